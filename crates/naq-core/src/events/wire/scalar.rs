//! The values of known fields: what JSON has there, and what it must be.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::time_text::rfc3339_or_utc;
use crate::Timestamp;
use crate::events::{EventId, EventType, Text};

/// A value of a known field, of whatever JSON type it is.
#[derive(Clone, Copy)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'a str),
    Compound,
}

/// A value or none, or the rule that it breaks.
pub(super) type Read<T> = Result<Option<T>, &'static str>;

impl<'a> Scalar<'a> {
    fn text<T>(self, make: impl FnOnce(&'a str) -> T) -> Read<T> {
        match self {
            Self::Text(text) => Ok(Some(make(text))),
            Self::Null => Ok(None),
            _ => Err("must be a string"),
        }
    }
}

pub(super) fn text(scalar: Scalar<'_>) -> Read<Text> {
    scalar.text(Text::from)
}

pub(super) fn event_id(scalar: Scalar<'_>) -> Read<EventId> {
    scalar.text(EventId::from)
}

pub(super) fn event_type(scalar: Scalar<'_>) -> Read<EventType> {
    scalar.text(EventType::from)
}

pub(super) fn boolean(scalar: Scalar<'_>) -> Read<bool> {
    match scalar {
        Scalar::Bool(value) => Ok(Some(value)),
        Scalar::Null => Ok(None),
        _ => Err("must be true or false"),
    }
}

pub(super) fn attempt(scalar: Scalar<'_>) -> Read<u32> {
    const RULE: &str = "must be a whole number from 0 to 4294967295";
    match scalar {
        Scalar::Unsigned(value) => u32::try_from(value).map(Some).map_err(|_| RULE),
        Scalar::Signed(value) => u32::try_from(value).map(Some).map_err(|_| RULE),
        Scalar::Null => Ok(None),
        _ => Err(RULE),
    }
}

pub(super) fn seconds(scalar: Scalar<'_>) -> Read<f64> {
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

pub(super) const SECONDS_RULE: &str = "must be a finite number of seconds, not negative";

pub(super) fn is_seconds(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

pub(super) fn timestamp(scalar: Scalar<'_>) -> Read<Timestamp> {
    const RULE: &str = "must be an RFC 3339 time between the years 1677 and 2262";
    match scalar.text(rfc3339_or_utc).map_err(|_| RULE)? {
        Some(None) => Err(RULE),
        Some(time) => Ok(time),
        None => Ok(None),
    }
}

/// Hands a value of any JSON type to a function that knows what it must be.
pub(super) struct ScalarSeed<F>(pub(super) F);

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
