//! What a field may be compared with.

use serde_json::Value;
use winnow::Result;

use super::super::path::FieldPath;
use super::super::value::Literal;
use super::fault::Fault;
use super::is_keyword;
use super::lexer::{Kind, Token};
use super::quantity::{Measure, Quantity};
use super::time::{Moment, TIME};
use crate::events::wire::fields::Field;

/// What the values of a field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Number,
    /// A number of seconds.
    Seconds,
    Truth,
    Time,
    /// Anything.
    Custom,
}

impl Type {
    pub(super) fn of(path: &FieldPath) -> Self {
        match path.known() {
            None => Self::Custom,
            Some(Field::Timestamp) => Self::Time,
            Some(Field::Duration | Field::QueueWait) => Self::Seconds,
            Some(Field::Attempt) => Self::Number,
            Some(Field::Success) => Self::Truth,
            Some(
                Field::Type
                | Field::Id
                | Field::Service
                | Field::ServiceVersion
                | Field::JobId
                | Field::WorkerId
                | Field::Queue
                | Field::ScheduleId
                | Field::JobName
                | Field::Error
                | Field::ErrorType
                | Field::Reason
                | Field::Message
                | Field::Traceparent,
            ) => Self::Text,
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Seconds => "a duration such as 2s or 500ms, or a number of seconds",
            Self::Truth => "true or false",
            Self::Time => TIME,
            Self::Custom => "a text, a number, a time, true or false",
        }
    }
}

/// The value that a token is for a field.
pub(super) fn literal(
    path: &FieldPath,
    token: &Token<'_>,
    moment: Moment<'_>,
) -> Result<Literal, Fault> {
    let of = Type::of(path);
    let refused = || Fault::expected(token.start, of.expected(), Some(token.source));
    let is_free_word = token.kind == Kind::Word && !is_keyword(token.source);
    let value = match (of, &token.kind) {
        (Type::Time, _) => {
            let time = moment.read(token).ok_or_else(refused)?;
            // A time that is whole as it stands is kept as it stands.
            let text = match &token.kind {
                Kind::Text(text) => Some(text.as_str()),
                Kind::Time => Some(token.source),
                _ => None,
            };
            let kept = text.filter(|text| crate::events::wire::time_text::rfc3339(text).is_some());
            Value::from(kept.map_or_else(|| time.to_string(), str::to_owned))
        }
        (Type::Custom | Type::Truth, Kind::Word) if token.is_word("true") => true.into(),
        (Type::Custom | Type::Truth, Kind::Word) if token.is_word("false") => false.into(),
        (Type::Custom | Type::Text, Kind::Text(text)) => text.as_str().into(),
        (Type::Custom | Type::Text, Kind::Word) if is_free_word => token.source.into(),
        (Type::Custom | Type::Text, Kind::Time) => token.source.into(),
        // What can only be a text may look like a number: `job_id = 7`.
        (Type::Text, Kind::Number(_) | Kind::Quantity(_)) => token.source.into(),
        (Type::Custom | Type::Number | Type::Seconds, Kind::Number(number)) => number.clone(),
        (Type::Custom, Kind::Quantity(quantity)) => quantity.value.clone(),
        (Type::Seconds, Kind::Quantity(Quantity { value, measure: Measure::Duration })) => {
            value.clone()
        }
        _ => return Err(refused()),
    };
    Literal::new(path, &value)
        .map_err(|rule| Fault::rule(token.start, format!("the value of `{path}` {rule}")))
}
