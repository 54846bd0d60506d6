//! From stored bytes to an event: tolerant of what others wrote, exact about what is wrong.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

use super::fields::Field;
use super::scalar::{
    ScalarSeed, attempt, boolean, event_id, event_type as event_type_of, seconds, text, timestamp,
};
use crate::Error;
use crate::events::{Event, EventType};

/// How many levels of objects and arrays are read: the JSON parser's limit.
const READ_DEPTH: usize = 127;

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
    /// A field of what is to be logged stands there twice: nobody can tell which
    /// value is meant. Of a stored event the last one counts.
    #[error("{0} stands there twice")]
    Twice(String),
}

impl MalformedReason {
    /// The refusal of the same as input: `InvalidArgument` with field and rule.
    #[must_use]
    pub fn into_error(self, operation: &'static str) -> Error {
        match self {
            Self::Field { field, rule } => Error::invalid(operation, field, rule),
            Self::Twice(field) => Error::invalid(operation, field, "must not stand there twice"),
            Self::NotJson(told) => {
                Error::invalid(operation, "event", format!("must be JSON: {told}"))
            }
            Self::NotAnObject => Error::invalid(operation, "event", "must be a JSON object"),
            Self::TooDeep(levels) => {
                let rule = format!("must not be nested over {levels} levels deep");
                Error::invalid(operation, "event", rule)
            }
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
/// reason: dropping it would make the event say something else. Of a field that
/// is there twice, the last one stands.
pub fn decode(payload: &[u8]) -> Result<Event, MalformedReason> {
    decode_text(payload, Repeated::LastOne)
}

/// Decodes one event that is to be logged: a field that is there twice is refused.
pub(crate) fn decode_input(text: &[u8]) -> Result<Event, MalformedReason> {
    decode_text(text, Repeated::Refused)
}

/// What becomes of a field that is there twice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeated {
    LastOne,
    Refused,
}

fn decode_text(payload: &[u8], repeated: Repeated) -> Result<Event, MalformedReason> {
    // To look at all bytes once is faster than to look at each string by itself.
    // Of what is no UTF-8 the parser tells the place.
    match std::str::from_utf8(payload) {
        Ok(text) => decode_json(serde_json::Deserializer::from_str(text), repeated),
        Err(_) => decode_json(serde_json::Deserializer::from_slice(payload), repeated),
    }
}

fn decode_json<'de>(
    mut json: serde_json::Deserializer<impl serde_json::de::Read<'de>>,
    repeated: Repeated,
) -> Result<Event, MalformedReason> {
    let mut failure = None;
    let decoded = EventSeed { failure: &mut failure, repeated }
        .deserialize(&mut json)
        .and_then(|event| json.end().map(|()| event));
    decoded.map_err(|error| reason(&error, failure))
}

/// Decodes one event from a value in memory.
pub(crate) fn decode_value(value: Value) -> Result<Event, MalformedReason> {
    let mut failure = None;
    // A value in memory has each field once.
    let seed = EventSeed { failure: &mut failure, repeated: Repeated::LastOne };
    seed.deserialize(value).map_err(|error| reason(&error, failure))
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
        return MalformedReason::TooDeep(READ_DEPTH);
    }
    MalformedReason::NotJson(text)
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut failure = None;
        let seed = EventSeed { failure: &mut failure, repeated: Repeated::LastOne };
        let event = seed.deserialize(deserializer);
        match failure {
            Some(reason) => Err(D::Error::custom(reason)),
            None => event,
        }
    }
}

/// Reads an object as an event, and leaves word of the field that it stumbled on.
struct EventSeed<'a> {
    failure: &'a mut Option<MalformedReason>,
    repeated: Repeated,
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
        let mut seen = 0_u32;
        let refuses_repeated = self.repeated == Repeated::Refused;
        let failure = self.failure;
        let twice = |failure: &mut Option<MalformedReason>, name: &str| {
            *failure = Some(MalformedReason::Twice(name.to_owned()));
            A::Error::custom("twice")
        };
        let refuse = |failure: &mut Option<MalformedReason>, field: Field, rule: &'static str| {
            *failure = Some(MalformedReason::Field { field: field.name(), rule });
            A::Error::custom(rule)
        };
        while let Some(key) = map.next_key_seed(KeySeed)? {
            let field = match key {
                Key::Known(field) => field,
                Key::Custom(name) => {
                    if refuses_repeated && event.custom.contains_key(&name) {
                        return Err(twice(failure, &name));
                    }
                    event.custom.insert(name, map.next_value()?);
                    continue;
                }
            };
            // A bit for each of the few fields that naq knows.
            let bit = 1 << field as u32;
            if refuses_repeated && seen & bit != 0 {
                return Err(twice(failure, field.name()));
            }
            seen |= bit;
            macro_rules! read {
                ($rule:expr) => {
                    map.next_value_seed(ScalarSeed($rule))?
                        .map_err(|rule| refuse(failure, field, rule))?
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
        event.event_type = event_type.ok_or_else(|| refuse(failure, Field::Type, "is missing"))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(payload: impl AsRef<[u8]>) -> MalformedReason {
        decode(payload.as_ref()).unwrap_err()
    }

    #[test]
    fn what_is_no_json_is_told_with_the_parser_s_words() {
        for payload in [
            &b""[..],
            b"plain text",
            b"{\"type\":\"x\"",
            b"{\"type\":\"x\"} more",
            b"{\"type\":\"\xff\"}",
            b"{\"type\":\"x\",\"a\":\"\\ud800\"}",
            b"{\"type\":\"x\",\"duration\":1e999}",
            b"\x00\x01",
        ] {
            assert!(matches!(reason(payload), MalformedReason::NotJson(_)), "{payload:?}");
        }
    }

    #[test]
    fn json_that_is_no_object_is_told_apart() {
        for payload in ["null", "1", "\"log\"", "[{\"type\":\"x\"}]", "true"] {
            assert_eq!(reason(payload), MalformedReason::NotAnObject, "{payload}");
        }
    }

    #[test]
    fn a_bottomless_message_is_refused_and_not_followed() {
        let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
        let custom = format!("{{\"type\":\"x\",\"a\":{open}{close}}}");
        assert!(matches!(reason(custom), MalformedReason::TooDeep(_)));
        let known = format!("{{\"type\":\"x\",\"job_id\":{open}{close}}}");
        assert!(matches!(reason(known), MalformedReason::Field { field: "job_id", .. }));
    }

    #[test]
    fn the_stated_depth_is_the_parser_s() {
        let nested = |levels: usize| {
            let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
            format!("{{\"type\":\"x\",\"a\":{open}{close}}}")
        };
        assert!(decode(nested(READ_DEPTH).as_bytes()).is_ok());
        assert_eq!(reason(nested(READ_DEPTH + 1)), MalformedReason::TooDeep(READ_DEPTH));
    }

    #[test]
    fn the_field_that_breaks_its_rule_is_named() {
        for (payload, field) in [
            (r#"{"job_id":"j"}"#, "type"),
            (r#"{"type":null}"#, "type"),
            (r#"{"type":["x"]}"#, "type"),
            (r#"{"type":"x","id":5}"#, "id"),
            (r#"{"type":"x","worker_id":{}}"#, "worker_id"),
            (r#"{"type":"x","attempt":4294967296}"#, "attempt"),
            (r#"{"type":"x","queue_wait":-1}"#, "queue_wait"),
            (r#"{"type":"x","timestamp":"2026-11-24"}"#, "timestamp"),
            (r#"{"type":"x","success":0}"#, "success"),
        ] {
            let reason = reason(payload);
            assert!(
                matches!(reason, MalformedReason::Field { field: named, .. } if named == field),
                "{payload}: {reason}"
            );
        }
    }

    #[test]
    fn a_field_of_input_that_stands_there_twice_is_named() {
        for (payload, field) in [
            (r#"{"type":"x","type":"x"}"#, "type"),
            (r#"{"type":"x","job_id":null,"job_id":"j"}"#, "job_id"),
            (r#"{"type":"x","smtp":1,"host":"h","smtp":1}"#, "smtp"),
        ] {
            let reason = decode_input(payload.as_bytes()).unwrap_err();
            assert_eq!(reason, MalformedReason::Twice(field.to_owned()), "{payload}");
            assert_eq!(reason.into_error("log_event").get("field"), Some(field));
            assert!(decode(payload.as_bytes()).is_ok(), "of a stored one the last stands");
        }
    }

    #[test]
    fn a_refusal_is_a_sentence_with_the_field_before_the_rule() {
        for (payload, sentence) in [
            ("{", "event must be JSON: EOF"),
            ("[1]", "event must be a JSON object"),
            (r#"{"job_id":"j"}"#, "type is missing"),
        ] {
            let error = reason(payload).into_error("log_event");
            let told = format!("{} {}", error.get("field").unwrap(), error.message());
            assert!(told.starts_with(sentence), "{told}");
        }
    }

    #[test]
    fn what_others_wrote_is_understood_as_far_as_it_goes() {
        let payload = r#" {
            "zeta": {"b": 1, "a": [null, 1.50]},
            "job_id": null,
            "duration": 3,
            "timestamp": "2026-11-24T13:00:00.123+01:00",
            "type": "made_up",
            "id": "not a uuid",
            "alpha": null,
            "type": "made_up_again"
        } "#;
        let event = decode(payload.as_bytes()).unwrap();
        assert_eq!(event.event_type.as_str(), "made_up_again", "the last of two stands");
        assert_eq!(event.job_id, None);
        assert_eq!(event.duration, Some(3.0));
        assert_eq!(event.timestamp.unwrap().to_string(), "2026-11-24T12:00:00.123000Z");
        assert_eq!(event.id.as_ref().unwrap().to_string(), "not a uuid");
        assert_eq!(event.custom.keys().collect::<Vec<_>>(), ["zeta", "alpha"]);
        assert_eq!(event.custom["zeta"].to_string(), r#"{"b":1,"a":[null,1.5]}"#);
        assert!(event.custom["alpha"].is_null());
    }

    #[test]
    fn what_the_python_version_wrote_is_utc() {
        let payload = br#"{"type":"job_started","timestamp":"2026-11-24T12:00:00.123456"}"#;
        let event = decode(payload).unwrap();
        assert_eq!(event.timestamp.unwrap().to_string(), "2026-11-24T12:00:00.123456Z");
    }

    #[test]
    fn serde_reads_the_same() {
        let event: Event = serde_json::from_str(r#"{"type":"x","n":1}"#).unwrap();
        assert_eq!(event, Event::new("x").with_field("n", 1));
        let error = serde_json::from_str::<Event>(r#"{"type":"x","job_id":1}"#).unwrap_err();
        assert!(error.to_string().contains("job_id must be a string"), "{error}");
    }
}
