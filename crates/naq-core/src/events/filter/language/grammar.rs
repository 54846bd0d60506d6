//! Tokens as an expression.
//!
//! ```text
//! any       = all { "or" all }
//! all       = condition { "and" condition }
//! condition = "not" condition | "(" any ")" | "true" | "false"
//!           | "since" time | "until" time | "exists" field
//!           | field comparison
//! ```

use winnow::Result;
use winnow::combinator::{opt, separated};
use winnow::prelude::*;
use winnow::stream::{Stateful, Stream, TokenSlice};
use winnow::token::any;

use super::super::expr::{Expr, Op, Test};
use super::super::field_type::Type;
use super::super::path::FieldPath;
use super::super::pattern::Pattern;
use super::super::value::Literal;
use super::super::{MAX_CONDITIONS, MAX_DEPTH, MAX_VALUES};
use super::fault::Fault;
use super::is_keyword;
use super::lexer::{Kind, Token};
use super::time::{Moment, TIME};
use super::value::literal;
use crate::Timestamp;

/// The tokens that are left, and what is known on the way.
pub(super) type Input<'t> = Stateful<TokenSlice<'t, Token<'t>>, State<'t>>;

#[derive(Debug, Clone)]
pub(super) struct State<'t> {
    moment: Moment<'t>,
    untils: Vec<(Timestamp, usize)>,
    /// The length of the text.
    end: usize,
    depth: usize,
    conditions: usize,
}

const CONDITION: &str = "a field, `not`, `exists`, `since`, `until` or `(`";
const COMPARISON: &str =
    "= != < <= > >= ~ !~ or `in`, `between`, `contains`, `exists` behind the field";

/// What all tokens say.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) expr: Expr,
    /// The times of each `until`, and where the time stands.
    pub(super) untils: Vec<(Timestamp, usize)>,
}

/// Reads all tokens.
pub(super) fn read<'t>(
    text: &'t str,
    tokens: &'t [Token<'t>],
    moment: Moment<'t>,
) -> Result<Read, Fault> {
    let state = State { moment, untils: Vec::new(), end: text.len(), depth: 0, conditions: 0 };
    let mut input = Stateful { input: TokenSlice::new(tokens), state };
    let expr = any_of(&mut input)?;
    if !input.input.is_empty() {
        return Err(expected(&input, "`and`, `or` or the end"));
    }
    Ok(Read { expr, untils: input.state.untils })
}

/// Where the next token begins, or the text ends.
pub(super) fn place(input: &Input<'_>) -> usize {
    next(input).map_or(input.state.end, |token| token.start)
}

/// The next token, which stays where it is.
fn next<'t>(input: &Input<'t>) -> Option<&'t Token<'t>> {
    input.input.peek_token()
}

fn expected(input: &Input<'_>, what: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::expected(place(input), what, next(input).map(|token| token.source))
}

/// A keyword, or the symbol for it.
fn word<'t>(name: &'static str, symbol: &'static str) -> impl Parser<Input<'t>, (), Fault> {
    any.verify(move |token: &&Token<'_>| token.is_word(name) || token.is_symbol(symbol)).void()
}

fn symbol<'t>(name: &'static str) -> impl Parser<Input<'t>, (), Fault> {
    any.verify(move |token: &&Token<'_>| token.is_symbol(name)).void()
}

fn any_of(input: &mut Input<'_>) -> Result<Expr, Fault> {
    separated(1.., all_of, word("or", "||")).map(Expr::any).parse_next(input)
}

fn all_of(input: &mut Input<'_>) -> Result<Expr, Fault> {
    separated(1.., condition, word("and", "&&")).map(Expr::all).parse_next(input)
}

fn condition(input: &mut Input<'_>) -> Result<Expr, Fault> {
    let at = place(input);
    if opt(word("not", "!")).parse_next(input)?.is_some() {
        return nested(input, at, condition).map(Expr::not);
    }
    if opt(symbol("(")).parse_next(input)?.is_some() {
        return nested(input, at, |input| {
            let expr = any_of(input)?;
            close(input, "`and`, `or` or `)`")?;
            Ok(expr)
        });
    }
    if opt(word("true", "")).parse_next(input)?.is_some() {
        return Ok(Expr::ALWAYS);
    }
    if opt(word("false", "")).parse_next(input)?.is_some() {
        return Ok(Expr::NEVER);
    }
    count(input, at, 1)?;
    if opt(word("since", "")).parse_next(input)?.is_some() {
        return time(input).map(Expr::Since);
    }
    if opt(word("until", "")).parse_next(input)?.is_some() {
        let start = place(input);
        let until = time(input)?;
        input.state.untils.push((until, start));
        return Ok(Expr::Until(until));
    }
    if opt(word("exists", "")).parse_next(input)?.is_some() {
        let in_parentheses = opt(symbol("(")).parse_next(input)?.is_some();
        let path = field(input, "a field")?;
        if in_parentheses {
            close(input, "`)`")?;
        }
        return Ok(Expr::Test(Test::new(path, Op::Exists)));
    }
    let path = field(input, CONDITION)?;
    comparison(input, at, path)
}

/// One level further in.
fn nested<'t>(
    input: &mut Input<'t>,
    at: usize,
    inner: impl FnOnce(&mut Input<'t>) -> Result<Expr, Fault>,
) -> Result<Expr, Fault> {
    input.state.depth += 1;
    if input.state.depth > MAX_DEPTH {
        return Err(Fault::rule(at, format!("`not` and parentheses are at most {MAX_DEPTH} deep")));
    }
    let expr = inner(input)?;
    input.state.depth -= 1;
    Ok(expr)
}

/// Counts conditions, which have a bound.
fn count(input: &mut Input<'_>, at: usize, conditions: usize) -> Result<(), Fault> {
    input.state.conditions += conditions;
    if input.state.conditions > MAX_CONDITIONS {
        return Err(Fault::rule(at, format!("a filter has at most {MAX_CONDITIONS} conditions")));
    }
    Ok(())
}

fn close(input: &mut Input<'_>, what: &'static str) -> Result<(), Fault> {
    match opt(symbol(")")).parse_next(input)? {
        Some(()) => Ok(()),
        None => Err(expected(input, what)),
    }
}

/// A field's name; each part of it may stand in quotes.
fn field(input: &mut Input<'_>, what: &'static str) -> Result<FieldPath, Fault> {
    let at = place(input);
    let mut name = String::new();
    loop {
        let Some(token) = next(input) else { return Err(expected(input, what)) };
        match &token.kind {
            Kind::Word if !is_keyword(token.source) => name.push_str(token.source),
            Kind::Text(text) => name.push_str(text),
            _ => return Err(expected(input, what)),
        }
        any.void().parse_next(input)?;
        if opt(symbol(".")).parse_next(input)?.is_none() {
            break;
        }
        name.push('.');
    }
    if next(input).is_some_and(|token| token.is_symbol("(")) {
        return Err(Fault::rule(at, format!("there is no function `{name}`")));
    }
    FieldPath::new(&name).map_err(|rule| Fault::rule(at, format!("a field {rule}")))
}

fn time(input: &mut Input<'_>) -> Result<Timestamp, Fault> {
    let time = next(input).and_then(|token| input.state.moment.read(token));
    let Some(time) = time else { return Err(expected(input, TIME)) };
    any.void().parse_next(input)?;
    ago(input)?;
    Ok(time)
}

/// A duration before `ago` means the same as without it.
fn ago(input: &mut Input<'_>) -> Result<(), Fault> {
    opt(word("ago", "")).void().parse_next(input)
}

fn comparison(input: &mut Input<'_>, at: usize, path: FieldPath) -> Result<Expr, Fault> {
    let is_negated = opt(word("not", "")).parse_next(input)?.is_some();
    let Some(operator) = next(input) else { return Err(expected(input, COMPARISON)) };
    let start = operator.start;
    let test = |path, is_negated, op| Ok(Expr::Test(Test { path, is_negated, op }));
    let name = match &operator.kind {
        Kind::Symbol(symbol) if !is_negated => *symbol,
        Kind::Word => operator.source,
        _ => "",
    };
    any.void().parse_next(input)?;
    match name.to_ascii_lowercase().as_str() {
        "=" => test(path.clone(), false, Op::Equals(value(input, &path)?)),
        "!=" => test(path.clone(), true, Op::Equals(value(input, &path)?)),
        "<" => test(path.clone(), false, Op::Below(ordered(input, &path)?)),
        "<=" => test(path.clone(), false, Op::AtMost(ordered(input, &path)?)),
        ">" => test(path.clone(), false, Op::Above(ordered(input, &path)?)),
        ">=" => test(path.clone(), false, Op::AtLeast(ordered(input, &path)?)),
        "~" => test(path, false, Op::Matches(pattern(input)?)),
        "!~" => test(path, true, Op::Matches(pattern(input)?)),
        "exists" if !is_negated => test(path, false, Op::Exists),
        "contains" => {
            if !Type::of(&path).has_parts() {
                let rule =
                    format!("`contains` looks into texts and lists, and `{path}` is neither");
                return Err(Fault::rule(start, rule));
            }
            test(path.clone(), is_negated, Op::Contains(value(input, &path)?))
        }
        "between" => {
            let low = ordered(input, &path)?;
            if opt(word("and", "")).parse_next(input)?.is_none() {
                return Err(expected(input, "`and` and the upper end"));
            }
            range(input, at, &path, low, is_negated)
        }
        "in" if opt(symbol("(")).parse_next(input)?.is_some() => {
            let values = list(input, &path)?;
            test(path, is_negated, Op::In(values))
        }
        "in" => {
            let first = place(input);
            let low = ordered(input, &path).map_err(|fault| {
                // Where no value stands, a list was as welcome.
                if place(input) == first { expected(input, IN) } else { fault }
            })?;
            if opt(symbol("..")).parse_next(input)?.is_none() {
                return Err(expected(input, "`..` and the upper end"));
            }
            range(input, at, &path, low, is_negated)
        }
        _ => Err(Fault::expected(start, COMPARISON, Some(operator.source))),
    }
}

const IN: &str = "a list such as (a, b), or a range such as 2..5,";

/// The upper end of a range, and the range: both ends are in it.
fn range(
    input: &mut Input<'_>,
    at: usize,
    path: &FieldPath,
    low: Literal,
    is_negated: bool,
) -> Result<Expr, Fault> {
    let end = place(input);
    let high = ordered(input, path)?;
    match low.compare_literal(&high) {
        Some(std::cmp::Ordering::Greater) => {
            return Err(Fault::rule(end, "a range must not end before it begins"));
        }
        None => return Err(Fault::rule(end, "both ends of a range must be of one type")),
        Some(_) => {}
    }
    count(input, at, if is_negated { 2 } else { 1 })?;
    let test = |op| Expr::Test(Test::new(path.clone(), op));
    let inside = Expr::all(vec![test(Op::AtLeast(low)), test(Op::AtMost(high))]);
    Ok(if is_negated { Expr::all(vec![test(Op::Exists), Expr::not(inside)]) } else { inside })
}

/// The values of a list behind its `(`.
fn list(input: &mut Input<'_>, path: &FieldPath) -> Result<Vec<Literal>, Fault> {
    let mut values = vec![value(input, path)?];
    loop {
        let at = place(input);
        if opt(symbol(")")).parse_next(input)?.is_some() {
            return Ok(values);
        }
        if opt(symbol(",")).parse_next(input)?.is_none() {
            return Err(expected(input, "`,` or `)`"));
        }
        if values.len() == MAX_VALUES {
            return Err(Fault::rule(at, format!("a list has at most {MAX_VALUES} values")));
        }
        values.push(value(input, path)?);
    }
}

fn value(input: &mut Input<'_>, path: &FieldPath) -> Result<Literal, Fault> {
    let Some(token) = next(input) else { return Err(expected(input, "a value")) };
    let literal = literal(path, token, input.state.moment)?;
    any.void().parse_next(input)?;
    if Type::of(path) == Type::Time {
        ago(input)?;
    }
    Ok(literal)
}

/// A value that has an order.
fn ordered(input: &mut Input<'_>, path: &FieldPath) -> Result<Literal, Fault> {
    let at = place(input);
    match value(input, path)? {
        Literal::Bool(_) => Err(Fault::rule(at, "true and false have no order")),
        other => Ok(other),
    }
}

fn pattern(input: &mut Input<'_>) -> Result<Pattern, Fault> {
    let Some(token) = next(input) else { return Err(expected(input, PATTERN)) };
    let source = match &token.kind {
        Kind::Pattern(source) | Kind::Text(source) => source.as_str(),
        Kind::Word if !is_keyword(token.source) => token.source,
        _ => return Err(expected(input, PATTERN)),
    };
    let pattern = Pattern::new(source).map_err(|rule| {
        // The crate tells it over several lines, the last of which says what.
        let rule = rule.lines().last().unwrap_or_default();
        let rule = rule.strip_prefix("error: ").unwrap_or(rule);
        Fault::rule(token.start, format!("the regular expression is wrong: {rule}"))
    })?;
    any.void().parse_next(input)?;
    Ok(pattern)
}

const PATTERN: &str = "a regular expression such as /time(d )?out/i";
