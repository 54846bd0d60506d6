//! An event's identity, and the generator that gives it one.

use std::fmt;
use std::sync::Mutex;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::{ContextV7, Uuid};

use crate::Timestamp;
use crate::events::Text;

/// The identity of an event: what makes a repeated publish of it a duplicate.
///
/// naq gives each event a UUIDv7. An id that came from elsewhere is kept byte
/// for byte, whatever it looks like; to be logged it has to be 1 to 256
/// visible ASCII characters, because it is sent as the message's
/// `Nats-Msg-Id` header.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EventId(Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    // A canonical UUID is kept as its 16 bytes: no allocation on the hot path.
    Uuid(Uuid),
    Foreign(Text),
}

/// Room for the text of a UUID, so that [`EventId::as_text`] needs no allocation.
pub(crate) type IdBuffer = [u8; ID_BYTES];

/// How long the text of a UUID is, in bytes.
pub(crate) const ID_BYTES: usize = uuid::fmt::Hyphenated::LENGTH;

impl EventId {
    /// An id from its text.
    #[must_use]
    pub fn new(text: impl AsRef<str> + Into<Text>) -> Self {
        match Self::canonical(text.as_ref()) {
            Some(uuid) => Self(Repr::Uuid(uuid)),
            None => Self(Repr::Foreign(text.into())),
        }
    }

    // Other spellings of a UUID stay text: what came must go back byte for byte.
    fn canonical(text: &str) -> Option<Uuid> {
        let canonical = |(i, byte): (usize, u8)| match i {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        };
        if text.len() != ID_BYTES || !text.bytes().enumerate().all(canonical) {
            return None;
        }
        Uuid::try_parse(text).ok()
    }

    /// The UUID, where the id is one in its usual spelling.
    #[must_use]
    pub fn as_uuid(&self) -> Option<Uuid> {
        match &self.0 {
            Repr::Uuid(uuid) => Some(*uuid),
            Repr::Foreign(_) => None,
        }
    }

    /// Its text, as [`Display`](fmt::Display) writes it, without the detour of formatting.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.as_text(&mut [0; ID_BYTES]).to_owned()
    }

    pub(crate) fn as_text<'a>(&'a self, buffer: &'a mut IdBuffer) -> &'a str {
        match &self.0 {
            Repr::Uuid(uuid) => uuid.hyphenated().encode_lower(buffer),
            Repr::Foreign(text) => text,
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_text(&mut [0; ID_BYTES]))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Uuid> for EventId {
    fn from(uuid: Uuid) -> Self {
        Self(Repr::Uuid(uuid))
    }
}

impl From<&str> for EventId {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for EventId {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_text(&mut [0; ID_BYTES]))
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// Gives out ids in order: each is greater than the one before it.
///
/// That holds for one generator, across threads, also when the clock stands
/// still or is set back. The time in an id is the one given to
/// [`next`](Self::next), so a test's ids follow its own clock.
#[derive(Debug, Default)]
pub struct EventIds {
    context: Mutex<ContextV7>,
}

impl EventIds {
    /// A generator of its own sequence.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next id, made at `now`; a time before 1970 counts as 1970.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> EventId {
        let nanos = u64::try_from(now.as_nanos()).unwrap_or(0);
        let (seconds, nanos) = (nanos / 1_000_000_000, (nanos % 1_000_000_000) as u32);
        EventId(Repr::Uuid(Uuid::new_v7(uuid::Timestamp::from_unix(&self.context, seconds, nanos))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_though_the_clock_goes_back() {
        let ids = EventIds::new();
        let times = [5_000_000_000, 5_000_000_000, 4_000_000_000, -1, 5_000_000_001];
        let made: Vec<_> =
            times.map(|nanos| ids.next(Timestamp::from_nanos(nanos)).as_uuid()).into();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]), "{made:?}");
    }

    #[test]
    fn an_id_holds_the_time_it_was_given() {
        let id = EventIds::new().next(Timestamp::from_nanos(1_764_000_000_123_000_000));
        let time = id.as_uuid().and_then(|uuid| uuid.get_timestamp()).map(|time| time.to_unix());
        assert_eq!(time, Some((1_764_000_000, 123_000_000)));
    }

    #[test]
    fn a_foreign_id_is_kept_byte_for_byte() {
        for text in ["", "42", "0197F3A2-0000-7000-8000-000000000000", "{0197f3a2}", "é"] {
            let id = EventId::from(text);
            assert_eq!(id.as_uuid(), None);
            assert_eq!(id.to_string(), text);
        }
        let canonical = "0197f3a2-0000-7000-8000-000000000000";
        assert!(EventId::from(canonical).as_uuid().is_some());
        assert_eq!(EventId::from(canonical).to_string(), canonical);
    }
}
