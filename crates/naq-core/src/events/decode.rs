//! From stored bytes to an event: tolerant of what others wrote, exact about what is wrong.

use std::fmt;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;

use super::fields::Field;
use super::{Event, EventId, EventType, Text};
use crate::{Error, Timestamp};

/// Why bytes are no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedReason {
    /// Not JSON; what the parser says, with the place.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// JSON, and no object.
    #[error("not a JSON object")]
    NotAnObject,
    /// Nested deeper than an event may be.
    #[error("nested over {0} levels deep")]
    TooDeep(usize),
    /// A field that naq knows breaks its rule.
    #[error("{field} {rule}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
}

impl MalformedReason {
    /// The refusal of the same as input: `InvalidArgument` with field and rule.
    #[must_use]
    pub fn into_error(self, operation: &'static str) -> Error {
        match self {
            Self::Field { field, rule } => Error::invalid(operation, field, rule),
            other => Error::invalid(operation, "event", other.to_string()),
        }
        .with_hint("see the wire format: an event is a JSON object with a `type`")
    }
}

/// Decodes one event.
///
/// Takes every event that naq wrote, and those of others as far as they can
/// be understood: unknown types and fields are kept, a known field that is
/// `null` is as good as absent, a timestamp may have any offset, and one
/// without an offset is UTC. Lengths are not checked.
///
/// # Errors
/// The reason why it is none. A known field of the wrong type is such a
/// reason: dropping it would make the event say something else.
pub fn decode(payload: &[u8]) -> Result<Event, MalformedReason> {
    let mut failure = None;
    let mut json = serde_json::Deserializer::from_slice(payload);
    let decoded = EventSeed { failure: &mut failure }
        .deserialize(&mut json)
        .and_then(|event| json.end().map(|()| event));
    decoded.map_err(|error| reason(&error, failure))
}

/// Decodes one event from a value in memory.
pub(crate) fn decode_value(value: Value) -> Result<Event, MalformedReason> {
    let mut failure = None;
    EventSeed { failure: &mut failure }.deserialize(value).map_err(|error| reason(&error, failure))
}

fn reason(error: &serde_json::Error, failure: Option<MalformedReason>) -> MalformedReason {
    if let Some(failure) = failure {
        return failure;
    }
    if error.is_data() {
        return MalformedReason::NotAnObject;
    }
    let text = error.to_string();
    // serde_json has no other sign for it; the limit is its own.
    if text.starts_with("recursion limit exceeded") {
        return MalformedReason::TooDeep(128);
    }
    MalformedReason::NotJson(text)
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut failure = None;
        let event = EventSeed { failure: &mut failure }.deserialize(deserializer);
        match failure {
            Some(reason) => Err(D::Error::custom(reason)),
            None => event,
        }
    }
}

/// Reads an object as an event, and leaves word of the field that it stumbled on.
struct EventSeed<'a> {
    failure: &'a mut Option<MalformedReason>,
}

impl<'de> DeserializeSeed<'de> for EventSeed<'_> {
    type Value = Event;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Event, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EventSeed<'_> {
    type Value = Event;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event, which is an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event, A::Error> {
        let mut event = Event::new(EventType::Log);
        let mut event_type = None;
        let mut refuse = |field: Field, rule: &'static str| {
            *self.failure = Some(MalformedReason::Field { field: field.name(), rule });
            A::Error::custom(rule)
        };
        while let Some(key) = map.next_key_seed(KeySeed)? {
            let field = match key {
                Key::Known(field) => field,
                Key::Custom(name) => {
                    event.custom.insert(name, map.next_value()?);
                    continue;
                }
            };
            macro_rules! read {
                ($rule:expr) => {
                    map.next_value_seed(ScalarSeed($rule))?.map_err(|rule| refuse(field, rule))?
                };
            }
            match field {
                Field::Type => event_type = read!(event_type_of),
                Field::Id => event.id = read!(event_id),
                Field::Timestamp => event.timestamp = read!(timestamp),
                Field::Service => event.service = read!(text),
                Field::ServiceVersion => event.service_version = read!(text),
                Field::JobId => event.job_id = read!(text),
                Field::WorkerId => event.worker_id = read!(text),
                Field::Queue => event.queue = read!(text),
                Field::ScheduleId => event.schedule_id = read!(text),
                Field::JobName => event.job_name = read!(text),
                Field::Attempt => event.attempt = read!(attempt),
                Field::Duration => event.duration = read!(seconds),
                Field::QueueWait => event.queue_wait = read!(seconds),
                Field::Success => event.success = read!(boolean),
                Field::Error => event.error = read!(text),
                Field::ErrorType => event.error_type = read!(text),
                Field::Reason => event.reason = read!(text),
                Field::Message => event.message = read!(text),
                Field::Traceparent => event.traceparent = read!(text),
            }
        }
        event.event_type = event_type.ok_or_else(|| refuse(Field::Type, "is missing"))?;
        Ok(event)
    }
}

enum Key {
    Known(Field),
    Custom(String),
}

struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Key, E> {
        Ok(Field::known(name).map_or_else(|| Key::Custom(name.to_owned()), Key::Known))
    }
}

/// A value of a known field, of whatever JSON type it is.
enum Scalar<'a> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'a str),
    Compound,
}

/// A value or none, or the rule that it breaks.
type Read<T> = Result<Option<T>, &'static str>;

impl<'a> Scalar<'a> {
    fn text<T>(self, make: impl FnOnce(&'a str) -> T) -> Read<T> {
        match self {
            Self::Text(text) => Ok(Some(make(text))),
            Self::Null => Ok(None),
            _ => Err("must be a string"),
        }
    }
}

fn text(scalar: Scalar<'_>) -> Read<Text> {
    scalar.text(Text::from)
}

fn event_id(scalar: Scalar<'_>) -> Read<EventId> {
    scalar.text(EventId::from)
}

fn event_type_of(scalar: Scalar<'_>) -> Read<EventType> {
    scalar.text(EventType::from)
}

fn boolean(scalar: Scalar<'_>) -> Read<bool> {
    match scalar {
        Scalar::Bool(value) => Ok(Some(value)),
        Scalar::Null => Ok(None),
        _ => Err("must be true or false"),
    }
}

fn attempt(scalar: Scalar<'_>) -> Read<u32> {
    const RULE: &str = "must be a whole number from 0 to 4294967295";
    match scalar {
        Scalar::Unsigned(value) => u32::try_from(value).map(Some).map_err(|_| RULE),
        Scalar::Signed(value) => u32::try_from(value).map(Some).map_err(|_| RULE),
        Scalar::Null => Ok(None),
        _ => Err(RULE),
    }
}

fn seconds(scalar: Scalar<'_>) -> Read<f64> {
    let value = match scalar {
        Scalar::Float(value) => value,
        // Seconds beyond 2^53 lose their last digits, as in any double.
        Scalar::Unsigned(value) => value as f64,
        Scalar::Signed(value) => value as f64,
        Scalar::Null => return Ok(None),
        _ => return Err(SECONDS_RULE),
    };
    if is_seconds(value) { Ok(Some(value)) } else { Err(SECONDS_RULE) }
}

pub(crate) const SECONDS_RULE: &str = "must be a finite number of seconds, not negative";

pub(crate) fn is_seconds(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

fn timestamp(scalar: Scalar<'_>) -> Read<Timestamp> {
    const RULE: &str = "must be an RFC 3339 time between the years 1677 and 2262";
    match scalar.text(parse_timestamp).map_err(|_| RULE)? {
        Some(None) => Err(RULE),
        Some(time) => Ok(time),
        None => Ok(None),
    }
}

/// Reads RFC 3339, and the same without an offset as UTC: so the first
/// version of naq, which was written in Python, stamped its events.
pub(crate) fn parse_timestamp(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        // A date alone says nothing about when.
        if text.len() < "2026-11-24T12:00:00".len() {
            return None;
        }
        let time = jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?;
        i64::try_from(time.as_nanosecond()).ok().map(Timestamp::from_nanos)
    })
}

/// Hands a value of any JSON type to a function that knows what it must be.
struct ScalarSeed<F>(F);

impl<'de, T, F: FnOnce(Scalar<'_>) -> Read<T>> DeserializeSeed<'de> for ScalarSeed<F> {
    type Value = Read<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Read<T>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T, F: FnOnce(Scalar<'_>) -> Read<T>> Visitor<'de> for ScalarSeed<F> {
    type Value = Read<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Read<T>, E> {
        Ok((self.0)(Scalar::Bool(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Read<T>, E> {
        Ok((self.0)(Scalar::Unsigned(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Read<T>, E> {
        Ok((self.0)(Scalar::Signed(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Read<T>, E> {
        Ok((self.0)(Scalar::Float(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Read<T>, E> {
        Ok((self.0)(Scalar::Text(value)))
    }

    fn visit_unit<E>(self) -> Result<Read<T>, E> {
        Ok((self.0)(Scalar::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Read<T>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok((self.0)(Scalar::Compound))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Read<T>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok((self.0)(Scalar::Compound))
    }
}
