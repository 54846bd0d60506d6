//! One instant in UTC: what an event's `timestamp` and a message's storage time are.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::fmt::temporal::DateTimePrinter;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Error, Result};

/// An instant in UTC with nanoseconds, between the years 1677 and 2262.
///
/// That is the range of a signed 64-bit count of nanoseconds, which is what
/// the server stores; other instants are refused. As text it is RFC 3339 in
/// UTC with microseconds, `2026-11-24T12:00:00.000000Z`; nanoseconds below a
/// microsecond are kept in memory and cut in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

static RFC3339: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

impl Timestamp {
    /// The earliest instant.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest instant.
    pub const MAX: Self = Self(i64::MAX);

    /// From nanoseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The same instant without what lies below a microsecond: what text keeps of it.
    #[must_use]
    pub const fn truncated_to_micros(self) -> Self {
        match self.0.checked_sub(self.0.rem_euclid(1_000)) {
            Some(nanos) => Self(nanos),
            None => self,
        }
    }

    /// `self + by`, or the latest instant where that would pass it.
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// `self - by`, or the earliest instant where that would pass it.
    #[must_use]
    pub fn saturating_sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero where it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let nanos = i128::from(self.0) - i128::from(earlier.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }

    /// Writes it as RFC 3339 in UTC with microseconds.
    pub fn write_rfc3339(self, out: &mut impl jiff::fmt::Write) {
        // A count of 64 bits of nanoseconds lies well inside jiff's years, and
        // no writer of ours can fail.
        let _ = RFC3339.print_timestamp(&self.to_jiff(), out);
    }

    fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_nanosecond(i128::from(self.0))
            .expect("i64 nanoseconds are the years 1677 to 2262, which jiff has")
    }
}

/// Writes one timestamp after the other: those of one second differ in their
/// microseconds alone.
#[derive(Debug)]
pub(crate) struct Rfc3339 {
    second: i64,
    text: Vec<u8>,
}

/// Where the microseconds stand in the text, between the dot and the `Z`.
const MICROS: std::ops::Range<usize> = 20..26;

impl Rfc3339 {
    pub(crate) const fn new() -> Self {
        Self { second: 0, text: Vec::new() }
    }

    /// What [`Timestamp::write_rfc3339`] writes of it.
    pub(crate) fn text(&mut self, at: Timestamp) -> &[u8] {
        let second = at.0.div_euclid(1_000_000_000);
        if self.text.is_empty() || second != self.second {
            self.second = second;
            self.text.clear();
            at.write_rfc3339(&mut self.text);
        }
        let mut micros = at.0.rem_euclid(1_000_000_000) / 1_000;
        for digit in self.text.get_mut(MICROS).into_iter().flatten().rev() {
            *digit = b'0' + (micros % 10) as u8;
            micros /= 10;
        }
        &self.text
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(27);
        self.write_rfc3339(&mut text);
        f.pad(&text)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    /// Reads RFC 3339 with any offset.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no RFC 3339 time or outside the range.
    fn from_str(text: &str) -> Result<Self> {
        let refused = |rule: &'static str| {
            Error::invalid("parse_timestamp", "timestamp", rule).with("value", text)
        };
        let time: jiff::Timestamp = text.parse().map_err(|error: jiff::Error| {
            refused("must be an RFC 3339 time such as 2026-11-24T12:00:00Z").with_source(error)
        })?;
        i64::try_from(time.as_nanosecond())
            .map(Self)
            .map_err(|_| refused("must lie between the years 1677 and 2262"))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(0).saturating_add(after),
            Err(before) => Self(0).saturating_sub(before.duration()),
        }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        let span = Duration::from_nanos(time.0.unsigned_abs());
        if time.0 < 0 { UNIX_EPOCH - span } else { UNIX_EPOCH + span }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_microseconds_and_utc() {
        let time: Timestamp = "2026-11-24T13:00:00.123456789+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-24T12:00:00.123456Z");
        assert_eq!(time.as_nanos() % 1_000, 789);
        assert_eq!(time.truncated_to_micros().as_nanos() % 1_000, 0);
    }

    #[test]
    fn one_after_the_other_they_read_as_each_alone() {
        let mut writer = Rfc3339::new();
        let ends = [i64::MIN, i64::MIN + 1, -1_000_000_000, -1, 0, 1, 999_999_999, i64::MAX];
        let seconds = (0..40).map(|n| 1_764_000_000_123_456_789 + n * 101_234_567);
        for nanos in ends.into_iter().chain(seconds).chain([0, i64::MIN]) {
            let at = Timestamp::from_nanos(nanos);
            assert_eq!(writer.text(at), at.to_string().as_bytes(), "{nanos}");
        }
    }

    #[test]
    fn the_ends_of_the_range_can_be_written() {
        assert!(Timestamp::MIN.to_string().starts_with("1677-"));
        assert!(Timestamp::MAX.to_string().starts_with("2262-"));
    }

    #[test]
    fn what_the_server_cannot_hold_is_refused() {
        for text in ["2300-01-01T00:00:00Z", "1600-01-01T00:00:00Z", "yesterday", ""] {
            let error = text.parse::<Timestamp>().unwrap_err();
            assert_eq!(error.get("field"), Some("timestamp"), "{text}");
        }
    }

    #[test]
    fn distance_is_never_negative() {
        let (a, b) = (Timestamp::from_nanos(5), Timestamp::from_nanos(9));
        assert_eq!(b.since(a), Duration::from_nanos(4));
        assert_eq!(a.since(b), Duration::ZERO);
        assert_eq!(Timestamp::MAX.since(Timestamp::MIN).as_nanos(), u128::from(u64::MAX));
    }
}
