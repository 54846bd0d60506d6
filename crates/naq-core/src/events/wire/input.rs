//! Whatever a program hands to the log: an event, a string, a JSON object.

use serde_json::Value;

use super::decode::{decode_input, decode_value};
use super::validate::{LOG, MAX_DEPTH, exceeds_depth};
use crate::events::{Event, MalformedReason};
use crate::{Error, Result};

/// Something to be logged.
///
/// Made from an [`Event`], from a string (an event of type `log` with that
/// message), or from a JSON object in the wire format. What is wrong with it
/// is told when it is logged, not when it is made; `log_event("…")` and
/// `log_event(json!({…}))` need no `?` of their own.
///
/// What a reader adds to a stored event (`_message_id`, `_timestamp`,
/// `_position`, `_subject`) is left out when such an object is logged again.
#[derive(Debug, Clone)]
pub struct EventInput(Result<Event>);

/// The keys that a reader adds, see [`RecordedEvent`](crate::events::RecordedEvent).
pub(crate) const READER_KEYS: [&str; 4] = ["_message_id", "_timestamp", "_position", "_subject"];

impl EventInput {
    /// From the text of a JSON object, such as a line of NDJSON. A field that is
    /// there twice is refused.
    #[must_use]
    pub fn from_json(text: &[u8]) -> Self {
        Self::from_decoded(decode_input(text).map_err(|reason| match reason {
            // What is too deep to be read is too deep to be logged, whose rule is stricter.
            MalformedReason::TooDeep(_) => MalformedReason::TooDeep(MAX_DEPTH),
            other => other,
        }))
    }

    /// The event, or what is wrong with the input.
    ///
    /// # Errors
    /// `InvalidArgument` that names the field and the rule: `event` must be a
    /// JSON object of at most 64 levels, `type` must be there, and a known
    /// field must be of its type.
    pub fn into_event(self) -> Result<Event> {
        self.0
    }

    /// The event, or what is wrong with the input, to look at.
    ///
    /// # Errors
    /// As [`into_event`](Self::into_event).
    pub fn as_event(&self) -> std::result::Result<&Event, &Error> {
        self.0.as_ref()
    }

    /// The same input with its event changed; what is malformed stays so.
    #[must_use]
    pub fn map(self, change: impl FnOnce(Event) -> Event) -> Self {
        Self(self.0.map(change))
    }

    fn from_decoded(decoded: std::result::Result<Event, MalformedReason>) -> Self {
        Self(match decoded {
            Ok(mut event) => {
                if !event.custom.is_empty() {
                    for key in READER_KEYS {
                        event.custom.shift_remove(key);
                    }
                }
                Ok(event)
            }
            Err(reason) => Err(reason.into_error(LOG)),
        })
    }
}

impl From<Event> for EventInput {
    fn from(event: Event) -> Self {
        Self(Ok(event))
    }
}

impl From<&Event> for EventInput {
    fn from(event: &Event) -> Self {
        Self(Ok(event.clone()))
    }
}

impl From<&str> for EventInput {
    fn from(message: &str) -> Self {
        Self(Ok(Event::log(message)))
    }
}

impl From<String> for EventInput {
    fn from(message: String) -> Self {
        Self(Ok(Event::log(message)))
    }
}

impl From<Value> for EventInput {
    fn from(value: Value) -> Self {
        // First, because taking a value apart goes as deep as it does.
        if exceeds_depth(&value, MAX_DEPTH) {
            return Self::from_decoded(Err(MalformedReason::TooDeep(MAX_DEPTH)));
        }
        Self::from_decoded(decode_value(value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ErrorKind;
    use crate::events::EventType;

    fn refused(input: impl Into<EventInput>) -> (String, String) {
        let error = input.into().into_event().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert_eq!(error.operation(), "log_event");
        assert!(error.hint().is_some());
        (error.get("field").unwrap_or_default().to_owned(), error.message().to_owned())
    }

    #[test]
    fn a_string_becomes_a_log_event() {
        let event = EventInput::from("hello").into_event().unwrap();
        assert_eq!(event.event_type, EventType::Log);
        assert_eq!(event.message.as_deref(), Some("hello"));
    }

    #[test]
    fn an_object_becomes_the_event_it_describes() {
        let input = json!({"type": "job_completed", "job_id": "j", "duration": 2, "n": [1, 2]});
        let event = EventInput::from(input).into_event().unwrap();
        assert_eq!(event.duration, Some(2.0));
        assert_eq!(event.custom["n"], json!([1, 2]));
    }

    #[test]
    fn malformed_input_names_field_and_rule() {
        let deep = (0..64).fold(json!(1), |inner, _| json!([inner]));
        for (input, field, rule) in [
            (json!(null), "event", "must be a JSON object"),
            (json!([1]), "event", "must be a JSON object"),
            (json!({}), "type", "is missing"),
            (json!({"type": null}), "type", "is missing"),
            (json!({"type": 3}), "type", "must be a string"),
            (json!({"type": "x", "job_id": 7}), "job_id", "must be a string"),
            (json!({"type": "x", "job_id": {"a": 1}}), "job_id", "must be a string"),
            (json!({"type": "x", "success": "yes"}), "success", "must be true or false"),
            (json!({"type": "x", "duration": -0.5}), "duration", "finite"),
            (json!({"type": "x", "duration": "1"}), "duration", "finite"),
            (json!({"type": "x", "attempt": -1}), "attempt", "whole number"),
            (json!({"type": "x", "attempt": 1.5}), "attempt", "whole number"),
            (json!({"type": "x", "timestamp": "yesterday"}), "timestamp", "RFC 3339"),
            (json!({"type": "x", "timestamp": "2300-01-01T00:00:00Z"}), "timestamp", "2262"),
            (json!({"type": "x", "timestamp": 5}), "timestamp", "RFC 3339"),
            (json!({"type": "x", "deep": deep}), "event", "64 levels"),
        ] {
            let text = input.to_string();
            let (named, told) = refused(input);
            assert_eq!(named, field, "{text}");
            assert!(told.contains(rule), "{text}: {told}");
        }
    }

    #[test]
    fn a_line_that_is_no_json_says_where() {
        let error = EventInput::from_json(b"{\"type\": ").into_event().unwrap_err();
        assert!(error.message().contains("column"), "{error}");
    }

    #[test]
    fn sixty_four_levels_are_taken() {
        let deep = (0..63).fold(json!(1), |inner, _| json!([inner]));
        assert!(EventInput::from(json!({"type": "x", "deep": deep})).into_event().is_ok());
    }

    #[test]
    fn what_a_reader_added_is_not_logged_again() {
        let input = json!({"type": "x", "a": 1, "_message_id": 7, "_timestamp": "t", "b": 2});
        let event = EventInput::from(input).into_event().unwrap();
        assert_eq!(event.custom.keys().collect::<Vec<_>>(), ["a", "b"]);
    }
}
