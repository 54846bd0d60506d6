//! What a field may be compared with.

use serde_json::Value;
use winnow::Result;

use super::super::field_type::Type;
use super::super::path::FieldPath;
use super::super::value::Literal;
use super::fault::Fault;
use super::is_keyword;
use super::lexer::{Kind, Token};
use super::quantity::{Measure, Quantity};
use super::time::{Moment, TIME};

/// The value that a token is for a field.
pub(super) fn literal(
    path: &FieldPath,
    token: &Token<'_>,
    moment: Moment<'_>,
) -> Result<Literal, Fault> {
    let of = Type::of(path);
    let refused = || Fault::expected(token.start, expected(of), Some(token.source));
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

fn expected(of: Type) -> &'static str {
    match of {
        Type::Text => "a text",
        Type::Number => "a number",
        Type::Seconds => "a duration such as 2s or 500ms, or a number of seconds",
        Type::Truth => "true or false",
        Type::Time => TIME,
        Type::Custom => "a text, a number, a time, true or false",
    }
}
