//! An expression as text.

use std::fmt::{self, Display, Formatter};

use serde_json::Value;

use super::super::Filter;
use super::super::expr::{Expr, Op, Test};
use super::super::field_type::Type;
use super::super::path::FieldPath;
use super::super::pattern::Pattern;
use super::super::value::Literal;
use super::is_keyword;
use super::lexer::{self, FLAGS};

impl Display for Filter {
    /// The filter in the language; [`parse`](Filter::parse) makes an equal one
    /// of it, up to its 8 KiB.
    ///
    /// Of a filter that is wrong, what is right of it.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.all.as_slice() {
            [] => f.write_str("true"),
            [only] => write!(f, "{only}"),
            members => joined(members, " and ", f),
        }
    }
}

fn joined(members: &[Expr], with: &str, f: &mut Formatter<'_>) -> fmt::Result {
    for (index, member) in members.iter().enumerate() {
        if index > 0 {
            f.write_str(with)?;
        }
        // Among alternatives a conjunction needs none.
        if member.is_any() { write!(f, "({member})")? } else { write!(f, "{member}")? }
    }
    Ok(())
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(members) if members.is_empty() => f.write_str("true"),
            Self::Any(members) if members.is_empty() => f.write_str("false"),
            Self::All(members) => joined(members, " and ", f),
            Self::Any(members) => joined(members, " or ", f),
            Self::Not(inner) if inner.is_any() || inner.is_all() => write!(f, "not ({inner})"),
            Self::Not(inner) => write!(f, "not {inner}"),
            Self::Test(test) => write!(f, "{test}"),
            Self::Since(time) => write!(f, "since {time}"),
            Self::Until(time) => write!(f, "until {time}"),
        }
    }
}

impl Display for Test {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { path, is_negated, op } = self;
        let field = Name(path);
        let value = |literal| Written(path, literal);
        let not = if *is_negated { "not " } else { "" };
        match op {
            Op::Equals(literal) if *is_negated => write!(f, "{field} != {}", value(literal)),
            Op::Equals(literal) => write!(f, "{field} = {}", value(literal)),
            Op::AtLeast(literal) => write!(f, "{field} >= {}", value(literal)),
            Op::AtMost(literal) => write!(f, "{field} <= {}", value(literal)),
            Op::Above(literal) => write!(f, "{field} > {}", value(literal)),
            Op::Below(literal) => write!(f, "{field} < {}", value(literal)),
            Op::Matches(pattern) if *is_negated => write!(f, "{field} !~ {pattern}"),
            Op::Matches(pattern) => write!(f, "{field} ~ {pattern}"),
            Op::Contains(literal) => write!(f, "{field} {not}contains {}", value(literal)),
            Op::Exists => write!(f, "exists {field}"),
            Op::In(literals) => {
                write!(f, "{field} {not}in (")?;
                for (index, literal) in literals.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{}", value(literal))?;
                }
                f.write_str(")")
            }
        }
    }
}

/// A field's name, in quotes where it needs them.
struct Name<'a>(&'a FieldPath);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = self.0.as_str();
        if lexer::is_word(name) && !is_keyword(name) { f.write_str(name) } else { quoted(name, f) }
    }
}

/// A value as its field takes it.
struct Written<'a>(&'a FieldPath, &'a Literal);

impl Display for Written<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.1 {
            Literal::Time(_, text) if text.chars().all(lexer::is_of_time) => f.write_str(text),
            Literal::Text(text) | Literal::Time(_, text) => quoted(text, f),
            Literal::Number(number) => {
                let unit = if Type::of(self.0) == Type::Seconds { "s" } else { "" };
                write!(f, "{}{unit}", number.to_json())
            }
            Literal::Bool(value) => write!(f, "{value}"),
        }
    }
}

fn quoted(text: &str, f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "{}", Value::from(text))
}

impl Display for Pattern {
    /// Between slashes, or in quotes where slashes can't hold it.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let source = self.source();
        if source.contains("\\/") || source.ends_with('\\') || source.chars().any(char::is_control)
        {
            return quoted(source, f);
        }
        let (flags, pattern) = flags(source).unwrap_or(("", source));
        write!(f, "/{}/{flags}", pattern.replace('/', "\\/"))
    }
}

/// The flags that stand before a whole pattern, and what follows them.
fn flags(source: &str) -> Option<(&str, &str)> {
    let (flags, pattern) = source.strip_prefix("(?")?.split_once(')')?;
    let are_known = !flags.is_empty() && flags.chars().all(|flag| FLAGS.contains(&flag));
    are_known.then_some((flags, pattern))
}
