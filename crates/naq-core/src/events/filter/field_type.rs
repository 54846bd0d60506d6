//! What the values of a field are, and so what it may be compared with.

use super::path::FieldPath;
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

    /// What a value must be that the field is compared with, as JSON.
    pub(super) fn rule(self) -> &'static str {
        match self {
            Self::Text => "must be a string",
            Self::Number => "must be a number",
            Self::Seconds => "must be a number of seconds",
            Self::Truth => "must be true or false",
            Self::Time => "must be an RFC 3339 time such as 2026-11-24T12:00:00Z",
            Self::Custom => "must be a string, a number, true or false",
        }
    }

    /// Whether one value of the field can be above another.
    pub(super) fn has_order(self) -> bool {
        self != Self::Truth
    }

    /// Whether a value of the field can have parts.
    pub(super) fn has_parts(self) -> bool {
        matches!(self, Self::Text | Self::Custom)
    }
}
