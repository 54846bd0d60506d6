//! The text as tokens.

use std::ops::Range;

use serde_json::Value;
use winnow::combinator::{alt, opt, peek, preceded};
use winnow::error::ParserError;
use winnow::prelude::*;
use winnow::stream::Location;
use winnow::token::{any, one_of, take, take_till, take_while};
use winnow::{LocatingSlice, Result};

use super::fault::Fault;
use super::quantity::{Quantity, quantity};

pub(super) type Chars<'t> = LocatingSlice<&'t str>;

/// The smallest part of a text that means something.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    /// As it stands in the text.
    pub(super) source: &'t str,
    pub(super) start: usize,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A name, a keyword, or a text without quotes.
    Word,
    /// A text in quotes.
    Text(String),
    Number(Value),
    /// A number with a unit.
    Quantity(Quantity),
    /// A date, or a time of the day.
    Time,
    /// A regular expression between slashes.
    Pattern(String),
    Symbol(&'static str),
}

impl Token<'_> {
    /// Whether it is this keyword.
    pub(super) fn is_word(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.source.eq_ignore_ascii_case(keyword)
    }

    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.kind, Kind::Symbol(own) if own == symbol)
    }
}

/// Reads a text to its end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    let mut input = LocatingSlice::new(text);
    let mut tokens = Vec::new();
    loop {
        space(&mut input)?;
        if input.is_empty() {
            return Ok(tokens);
        }
        let (kind, Range { start, end }) = kind.with_span().parse_next(&mut input)?;
        tokens.push(Token { kind, source: &text[start..end], start });
    }
}

fn space(input: &mut Chars<'_>) -> Result<(), Fault> {
    take_while(0.., char::is_whitespace).void().parse_next(input)
}

fn kind(input: &mut Chars<'_>) -> Result<Kind, Fault> {
    let start = input.current_token_start();
    let first = peek(any).parse_next(input)?;
    match first {
        '"' | '\'' => text.map(Kind::Text).parse_next(input),
        '/' => pattern.map(Kind::Pattern).parse_next(input),
        '0'..='9' | '-' => alt((time.value(Kind::Time), quantity)).parse_next(input),
        first if begins_word(first) => word.value(Kind::Word).parse_next(input),
        _ => match symbol.parse_next(input) {
            Ok(symbol) => Ok(Kind::Symbol(symbol)),
            Err(_) => {
                let expected = "a field, a value, a comparison or a parenthesis";
                Err(Fault::expected(start, expected, Some(first.encode_utf8(&mut [0; 4]))))
            }
        },
    }
}

/// Symbols that mean the same as a word become that word's symbol.
fn symbol(input: &mut Chars<'_>) -> Result<&'static str, Fault> {
    alt((
        alt(("(".value("("), ")".value(")"), ",".value(","), "..".value(".."), ".".value("."))),
        alt(("!=".value("!="), "!~".value("!~"), "!".value("!"), "~".value("~"))),
        alt(("<=".value("<="), ">=".value(">="), "<".value("<"), ">".value(">"))),
        alt(("==".value("="), "=".value("="), "&&".value("&&"), "||".value("||"))),
    ))
    .parse_next(input)
}

fn begins_word(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '_' | '@' | '$')
}

fn goes_on(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '@' | '$' | ':')
}

/// A name with dots inside, but not at its end, and never two of them.
fn word(input: &mut Chars<'_>) -> Result<(), Fault> {
    one_of(begins_word).parse_next(input)?;
    loop {
        take_while(0.., goes_on).parse_next(input)?;
        if opt(('.', one_of(goes_on))).parse_next(input)?.is_none() {
            return Ok(());
        }
    }
}

/// Whether a text is one word, so that it needs no quotes.
pub(super) fn is_word(text: &str) -> bool {
    word.parse(LocatingSlice::new(text)).is_ok()
}

/// `2026-11-24`, with a time behind it, or `14:30` alone.
fn time(input: &mut Chars<'_>) -> Result<(), Fault> {
    let digits = |count| take_while(count, |c: char| c.is_ascii_digit());
    peek(alt((
        (digits(4..=4), '-', digits(2..=2), '-', digits(2..=2)).void(),
        (digits(1..=2), ':', digits(2..=2)).void(),
    )))
    .parse_next(input)?;
    let text: &str = input.as_ref();
    let end = text.find(|c| !is_of_time(c)).unwrap_or(text.len());
    let end = text[..end].find("..").unwrap_or(end);
    take(end).void().parse_next(input)
}

/// What a time is written with, of ASCII alone.
pub(super) fn is_of_time(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '+' | '-')
}

/// A text in quotes, with the escapes of JSON, and `\'`.
fn text(input: &mut Chars<'_>) -> Result<String, Fault> {
    let start = input.current_token_start();
    let quote = one_of(['"', '\'']).parse_next(input)?;
    let mut text = String::new();
    loop {
        let plain = take_till(0.., |c| c == quote || c == '\\').parse_next(input)?;
        text.push_str(plain);
        match opt(any::<_, Fault>).parse_next(input)? {
            None => {
                return Err(Fault::rule(
                    start,
                    format!("the text that begins here lacks a {quote}"),
                ));
            }
            Some('\\') => text.push(escape(input)?),
            Some(_) => return Ok(text),
        }
    }
}

fn escape(input: &mut Chars<'_>) -> Result<char, Fault> {
    let start = input.current_token_start() - 1;
    let unknown = || Fault::rule(start, r#"an escape is \" \' \\ \/ \b \f \n \r \t or \u0041"#);
    let escaped = any::<_, Fault>.parse_next(input).map_err(|_| unknown())?;
    Ok(match escaped {
        '"' | '\'' | '\\' | '/' => escaped,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let first = unit(input).map_err(|_| unknown())?;
            let units = if (0xd800..0xdc00).contains(&first) {
                let second = preceded("\\u", unit).parse_next(input).map_err(|_| unknown())?;
                vec![first, second]
            } else {
                vec![first]
            };
            let mut chars = char::decode_utf16(units);
            match (chars.next(), chars.next()) {
                (Some(Ok(c)), None) => c,
                _ => return Err(unknown()),
            }
        }
        _ => return Err(unknown()),
    })
}

/// Four hexadecimal digits.
fn unit(input: &mut Chars<'_>) -> Result<u16, Fault> {
    let digits = take_while(4..=4, |c: char| c.is_ascii_hexdigit()).parse_next(input)?;
    u16::from_str_radix(digits, 16).map_err(|_| Fault::from_input(input))
}

/// `/pattern/flags`: a slash inside is written `\/`. Flags go before the
/// pattern, as the dictionary form has them.
fn pattern(input: &mut Chars<'_>) -> Result<String, Fault> {
    let start = input.current_token_start();
    '/'.parse_next(input)?;
    let mut pattern = String::new();
    loop {
        let plain = take_till(0.., ['/', '\\']).parse_next(input)?;
        pattern.push_str(plain);
        match opt(any::<_, Fault>).parse_next(input)? {
            None => {
                return Err(Fault::rule(start, "the pattern that begins here lacks a /"));
            }
            Some('\\') => match opt(any::<_, Fault>).parse_next(input)? {
                Some('/') => pattern.push('/'),
                Some(escaped) => pattern.extend(['\\', escaped]),
                None => pattern.push('\\'),
            },
            Some(_) => break,
        }
    }
    let at = input.current_token_start();
    let flags: &str = take_while(0.., char::is_alphanumeric).parse_next(input)?;
    if let Some(unknown) = flags.chars().find(|flag| !FLAGS.contains(flag)) {
        let found = unknown.to_string();
        return Err(Fault::expected(at, "one of the flags i, m, s, x, U", Some(&found)));
    }
    if flags.is_empty() { Ok(pattern) } else { Ok(format!("(?{flags}){pattern}")) }
}

/// The flags that may stand behind a pattern.
pub(super) const FLAGS: [char; 5] = ['i', 'm', 's', 'x', 'U'];
