//! What a reader gets: a stored event with its place, or word of what happened to the reading.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::events::{Event, MalformedReason, decode};
use crate::{Error, Result, Timestamp};

/// A place in one stream, to read on from.
///
/// It holds when the stream was made, because a stream made anew counts from
/// 1 again. As text it is `<sequence>@<creation time in nanoseconds>`,
/// `42@1764000000000000000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// When the stream was made, by its server's clock.
    pub created: Timestamp,
    /// The sequence in that stream, from 1; 0 is before the first message.
    pub sequence: u64,
}

impl Position {
    /// The place of `sequence` in the stream made at `created`.
    #[must_use]
    pub const fn new(created: Timestamp, sequence: u64) -> Self {
        Self { created, sequence }
    }

    /// Whether both are of one stream, so that their sequences can be compared.
    #[must_use]
    pub fn is_same_stream(&self, other: &Self) -> bool {
        self.created == other.created
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.sequence, self.created.as_nanos())
    }
}

impl FromStr for Position {
    type Err = Error;

    /// Reads what [`Display`](fmt::Display) writes.
    ///
    /// # Errors
    /// `InvalidArgument` for anything else.
    fn from_str(text: &str) -> Result<Self> {
        let parts = || {
            let (sequence, created) = text.split_once('@')?;
            Some(Self::new(Timestamp::from_nanos(created.parse().ok()?), sequence.parse().ok()?))
        };
        parts().filter(|position| position.to_string() == text).ok_or_else(|| {
            Error::invalid("parse_position", "position", "must be <sequence>@<nanoseconds>")
                .with("value", text)
        })
    }
}

impl Serialize for Position {
    /// As its text.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RecordedEvent {
    /// The event.
    pub event: Event,
    /// Its place in the stream.
    pub position: Position,
    /// When the server stored it, by the server's clock.
    pub stored_at: Timestamp,
    /// The subject it is stored under.
    pub subject: String,
    /// The stored bytes, as they are.
    pub payload: Bytes,
}

impl RecordedEvent {
    /// Decodes what is stored at a place.
    ///
    /// # Errors
    /// The same place as a [`MalformedEvent`], where the bytes are no event.
    pub fn decode(
        position: Position,
        stored_at: Timestamp,
        subject: String,
        payload: Bytes,
    ) -> std::result::Result<Self, MalformedEvent> {
        match decode(&payload) {
            Ok(event) => Ok(Self { event, position, stored_at, subject, payload }),
            Err(reason) => Err(MalformedEvent { reason, position, stored_at, subject, payload }),
        }
    }

    /// The same as no event, for this reason.
    #[must_use]
    pub fn into_malformed(self, reason: MalformedReason) -> MalformedEvent {
        let Self { position, stored_at, subject, payload, .. } = self;
        MalformedEvent { reason, position, stored_at, subject, payload }
    }

    /// The sequence in the stream.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.position.sequence
    }

    /// When it happened, as it says itself, or else when it was stored.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.event.timestamp.unwrap_or(self.stored_at)
    }
}

/// A message in the stream that is no event: a foreign or a broken one.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MalformedEvent {
    /// What is wrong with it.
    pub reason: MalformedReason,
    /// Its place in the stream.
    pub position: Position,
    /// When the server stored it.
    pub stored_at: Timestamp,
    /// The subject it is stored under.
    pub subject: String,
    /// The stored bytes, as they are.
    pub payload: Bytes,
}

impl MalformedEvent {
    /// The sequence in the stream.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.position.sequence
    }
}

/// One item of a reading.
///
/// Nobody can ignore recovery: what happened to the reading stands in line
/// with the events.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum EventItem {
    /// An event that passed the filter.
    Event(Box<RecordedEvent>),
    /// A message that is no event; reading goes on behind it.
    Malformed(Box<MalformedEvent>),
    /// Every match up to this place has been delivered; what follows is live.
    ///
    /// Once, and once after each `Resumed`; the place is the stream's end as
    /// it stood when the reading opened or resumed.
    CaughtUp {
        /// The end of the stream at that time.
        position: Position,
    },
    /// These sequences were removed before they could be read, by a limit or
    /// a purge of the oldest; whether any of them matched is not known.
    Gap {
        /// The first one that is gone.
        from: u64,
        /// The last one that is gone.
        to: u64,
    },
    /// The connection broke and was made anew; reading goes on behind this
    /// place, with nothing left out and nothing told twice.
    Resumed {
        /// The last place that had been read.
        position: Position,
    },
}

impl EventItem {
    /// The event, if it is one.
    #[must_use]
    pub fn event(&self) -> Option<&RecordedEvent> {
        match self {
            Self::Event(recorded) => Some(recorded),
            _ => None,
        }
    }

    /// The event itself, if it is one.
    #[must_use]
    pub fn into_event(self) -> Option<RecordedEvent> {
        match self {
            Self::Event(recorded) => Some(*recorded),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_back_from_its_text() {
        let position = Position::new(Timestamp::from_nanos(1_764_000_000_123_456_789), 42);
        assert_eq!(position.to_string(), "42@1764000000123456789");
        assert_eq!(position.to_string().parse::<Position>().unwrap(), position);
        let json = serde_json::to_string(&position).unwrap();
        assert_eq!(json, r#""42@1764000000123456789""#);
        assert_eq!(serde_json::from_str::<Position>(&json).unwrap(), position);
        let before = Position::new(Timestamp::from_nanos(-5), 0);
        assert_eq!(before.to_string().parse::<Position>().unwrap(), before);
        for text in ["", "42", "@", "x@1", "1@x", "-1@1", "1@1@1", "+1@1", "01@1"] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }
}
