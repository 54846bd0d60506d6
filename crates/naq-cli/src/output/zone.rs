//! Times as they are shown: local, or UTC.

use jiff::ZonedDateTime;
use jiff::tz::TimeZone;
use naq_core::Timestamp;

/// The zone in which times are shown and typed.
#[derive(Debug, Clone)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    /// UTC, or what this machine has.
    pub(crate) fn new(utc: bool) -> Self {
        Self(if utc { TimeZone::UTC } else { TimeZone::system() })
    }

    /// The zone itself.
    pub(crate) const fn zone(&self) -> &TimeZone {
        &self.0
    }

    /// `2026-11-24`, and in UTC `2026-11-24 UTC`.
    pub(crate) fn date(&self, time: Timestamp) -> String {
        let utc = if self.0 == TimeZone::UTC { " UTC" } else { "" };
        self.shown(time, "%Y-%m-%d") + utc
    }

    /// `12:30:01.123`.
    pub(crate) fn clock(&self, time: Timestamp) -> String {
        self.shown(time, "%H:%M:%S%.3f")
    }

    /// `2026-11-24 12:30:01`, and in UTC with a `Z` behind it.
    pub(crate) fn full(&self, time: Timestamp) -> String {
        let utc = if self.0 == TimeZone::UTC { "Z" } else { "" };
        self.shown(time, "%Y-%m-%d %H:%M:%S") + utc
    }

    fn shown(&self, time: Timestamp, format: &str) -> String {
        match jiff::Timestamp::from_nanosecond(i128::from(time.as_nanos())) {
            Ok(time) => ZonedDateTime::new(time, self.0.clone()).strftime(format).to_string(),
            // jiff has the years -9999 to 9999; 64 bits of nanoseconds lie inside.
            Err(_) => time.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_their_zone() {
        let time: Timestamp = "2026-11-24T12:30:01.123456Z".parse().unwrap();
        let utc = Zone::new(true);
        assert_eq!(utc.date(time), "2026-11-24 UTC");
        assert_eq!(utc.clock(time), "12:30:01.123");
        assert_eq!(utc.full(time), "2026-11-24 12:30:01Z");
        let east = Zone(TimeZone::fixed(jiff::tz::offset(13)));
        assert_eq!(east.full(time), "2026-11-25 01:30:01");
        assert_eq!(utc.full(Timestamp::MAX), "2262-04-11 23:47:16Z");
    }
}
