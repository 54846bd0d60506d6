//! A stored event as JSON: the event's own fields, and beside them where it is stored.

use bytes::Bytes;
use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::fields::write_map;
use super::input::READER_KEYS;
use crate::Timestamp;
use crate::events::{Event, Position, RecordedEvent};

impl Serialize for RecordedEvent {
    /// The event's fields, then `_message_id` (the sequence), `_timestamp`
    /// (when it was stored), `_position` and `_subject`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let [message_id, timestamp, position, subject] = READER_KEYS;
        let mut map = serializer.serialize_map(None)?;
        write_map(&self.event, &mut map)?;
        map.serialize_entry(message_id, &self.position.sequence)?;
        map.serialize_entry(timestamp, &self.stored_at)?;
        map.serialize_entry(position, &self.position.to_string())?;
        map.serialize_entry(subject, &self.subject)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for RecordedEvent {
    /// Reads the same back; `payload` is made anew from the event's fields.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut event = Event::deserialize(deserializer)?;
        let [message_id, timestamp, position, subject] = READER_KEYS;
        let mut take = |key: &'static str| match event.custom.shift_remove(key) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(D::Error::custom(format_args!("{key} must be a string"))),
            None => Err(D::Error::missing_field(key)),
        };
        let stored_at: Timestamp = take(timestamp)?.parse().map_err(D::Error::custom)?;
        let position: Position = take(position)?.parse().map_err(D::Error::custom)?;
        let subject = take(subject)?;
        event.custom.shift_remove(message_id);
        let payload = serde_json::to_vec(&event).map(Bytes::from).map_err(D::Error::custom)?;
        Ok(Self { event, position, stored_at, subject, payload })
    }
}
