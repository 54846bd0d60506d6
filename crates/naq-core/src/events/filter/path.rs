//! How a condition finds its field in an event.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use super::value::Operand;
use crate::events::model::id::ID_BYTES;
use crate::events::wire::fields::Field;
use crate::events::{Event, Text};

/// The name of a field, known or custom, with dots into custom objects.
#[derive(Debug, Clone)]
pub(super) struct FieldPath {
    text: String,
    known: Option<Field>,
}

impl PartialEq for FieldPath {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FieldPath {
    /// How long a path may be, in bytes.
    const MAX_BYTES: usize = 256;

    pub(super) fn new(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() || text.len() > Self::MAX_BYTES {
            return Err("must be a field's name of 1 to 256 bytes");
        }
        Ok(Self { text: text.to_owned(), known: Field::known(text) })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn known(&self) -> Option<Field> {
        self.known
    }

    /// The value in an event; none where it is missing or null.
    pub(super) fn resolve<'a>(&self, event: &'a Event) -> Option<Operand<'a>> {
        match self.known {
            Some(field) => known(field, event),
            None => custom(&self.text, event),
        }
    }
}

fn known(field: Field, event: &Event) -> Option<Operand<'_>> {
    match field {
        Field::Type => Some(Operand::Text(Cow::Borrowed(event.event_type.as_str()))),
        Field::Id => event
            .id
            .as_ref()
            .map(|id| Operand::Text(Cow::Owned(id.as_text(&mut [0; ID_BYTES]).to_owned()))),
        Field::Timestamp => event.timestamp.map(Operand::Time),
        Field::Service => known_text(&event.service),
        Field::ServiceVersion => known_text(&event.service_version),
        Field::JobId => known_text(&event.job_id),
        Field::WorkerId => known_text(&event.worker_id),
        Field::Queue => known_text(&event.queue),
        Field::ScheduleId => known_text(&event.schedule_id),
        Field::JobName => known_text(&event.job_name),
        Field::Attempt => event.attempt.map(|value| Operand::Number(value.into())),
        Field::Duration => event.duration.map(|value| Operand::Number(value.into())),
        Field::QueueWait => event.queue_wait.map(|value| Operand::Number(value.into())),
        Field::Success => event.success.map(Operand::Bool),
        Field::Error => known_text(&event.error),
        Field::ErrorType => known_text(&event.error_type),
        Field::Reason => known_text(&event.reason),
        Field::Message => known_text(&event.message),
        Field::Traceparent => known_text(&event.traceparent),
    }
}

fn known_text(value: &Option<Text>) -> Option<Operand<'_>> {
    value.as_deref().map(|text| Operand::Text(Cow::Borrowed(text)))
}

/// The whole text names a field before its dots are looked at, at every level.
fn custom<'a>(path: &str, event: &'a Event) -> Option<Operand<'a>> {
    let found = event.custom.get(path).or_else(|| {
        let (head, rest) = path.split_once('.')?;
        inside(event.custom.get(head)?, rest)
    });
    operand(found?)
}

fn inside<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    object.get(path).or_else(|| {
        let (head, rest) = path.split_once('.')?;
        inside(object.get(head)?, rest)
    })
}

/// A custom value; none where it is null.
pub(super) fn operand(value: &Value) -> Option<Operand<'_>> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => Operand::Bool(*value),
        Value::Number(value) => Operand::Number(value.into()),
        Value::String(text) => Operand::CustomText(text),
        compound => Operand::Compound(compound),
    })
}
