//! How the values of an event compare with those of a filter.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::field_type::Type;
use super::number::Number;
use super::path::FieldPath;
use crate::Timestamp;
use crate::events::wire::time_text::{rfc3339, rfc3339_or_utc};

/// How long a text in a filter may be, in bytes.
const MAX_TEXT_BYTES: usize = 4096;

/// A value that a filter names.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Text(String),
    // The text as it was given goes back into the JSON form.
    Time(Timestamp, String),
    Number(Number),
    Bool(bool),
}

impl Literal {
    /// The value as the field at `path` compares: a known field has values of
    /// one type, and none of text has times. Else the rule that it breaks.
    pub(super) fn new(path: &FieldPath, value: &Value) -> Result<Self, &'static str> {
        let of = Type::of(path);
        match (of, value) {
            (Type::Text | Type::Time | Type::Custom, Value::String(text)) => {
                if text.len() > MAX_TEXT_BYTES {
                    return Err("must be at most 4096 bytes long");
                }
                let time = match of {
                    Type::Custom => rfc3339(text),
                    Type::Time => Some(rfc3339_or_utc(text).ok_or(of.rule())?),
                    _ => None,
                };
                Ok(match time {
                    Some(time) => Self::Time(time, text.clone()),
                    None => Self::Text(text.clone()),
                })
            }
            (Type::Number | Type::Seconds | Type::Custom, Value::Number(number)) => {
                Ok(Self::Number(number.into()))
            }
            (Type::Truth | Type::Custom, Value::Bool(value)) => Ok(Self::Bool(*value)),
            _ => Err(of.rule()),
        }
    }

    /// The text of a text, also of one that is a time.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Time(_, text) => Some(text),
            Self::Number(_) | Self::Bool(_) => None,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Text(text) | Self::Time(_, text) => Value::from(text.as_str()),
            Self::Number(number) => number.to_json(),
            Self::Bool(value) => Value::from(*value),
        }
    }

    /// The order of two values of a filter; none where their types differ.
    pub(super) fn compare_literal(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Time(a, _), Self::Time(b, _)) => Some(a.cmp(b)),
            (Self::Number(a), Self::Number(b)) => a.compare(*b),
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

/// A value that an event has.
#[derive(Debug)]
pub(super) enum Operand<'a> {
    /// Of a known text field: text, whatever it looks like.
    Text(Cow<'a, str>),
    /// Of a custom field: text, or a time if it is one.
    CustomText(&'a str),
    Time(Timestamp),
    Number(Number),
    Bool(bool),
    /// An array or an object.
    Compound(&'a Value),
}

impl Operand<'_> {
    /// Its order relative to a filter's value; none where their types differ.
    pub(super) fn compare(&self, literal: &Literal) -> Option<Ordering> {
        match (self, literal) {
            (Self::Text(text), Literal::Text(other)) => Some(text.as_ref().cmp(other)),
            (Self::CustomText(text), Literal::Text(other)) => match rfc3339(text) {
                Some(_) => None,
                None => Some((*text).cmp(other)),
            },
            (Self::CustomText(text), Literal::Time(time, _)) => Some(rfc3339(text)?.cmp(time)),
            (Self::Time(value), Literal::Time(time, _)) => Some(value.cmp(time)),
            (Self::Number(value), Literal::Number(other)) => value.compare(*other),
            (Self::Bool(value), Literal::Bool(other)) => Some(value.cmp(other)),
            _ => None,
        }
    }

    /// What a regular expression searches.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::CustomText(text) => Cow::Borrowed(text),
            Self::Time(time) => Cow::Owned(time.to_string()),
            Self::Number(number) => Cow::Owned(number.to_json().to_string()),
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
            Self::Compound(value) => Cow::Owned(value.to_string()),
        }
    }
}
