//! Points in time as they are typed: `1h` (ago), a time, `seq:N`, `beginning`, `now`.

use std::str::FromStr;
use std::time::Duration;

use jiff::civil;
use jiff::tz::TimeZone;
use naq_core::config::parse_duration;
use naq_core::{Error, Result, Timestamp};

/// A point in the log, or in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum When {
    /// Where the log begins.
    Beginning,
    /// The present.
    Now,
    /// A sequence of the stream.
    Sequence(u64),
    /// So long ago.
    Ago(Duration),
    /// An instant.
    At(Timestamp),
    /// A time on a clock on the wall, of the zone in which times are shown.
    Local(civil::DateTime),
    /// A time of today.
    Today(civil::Time),
}

/// A point in time alone, for questions that go by the events' own timestamps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PointInTime(When);

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let text = text.trim();
        match text {
            "beginning" => return Ok(Self::Beginning),
            "now" => return Ok(Self::Now),
            _ => {}
        }
        if let Some(number) = text.strip_prefix("seq:") {
            return match number.parse() {
                Ok(0) | Err(_) => Err("a sequence is a whole number from 1: seq:42".to_owned()),
                Ok(number) => Ok(Self::Sequence(number)),
            };
        }
        if let Ok(ago) = parse_duration(text) {
            return Ok(Self::Ago(ago));
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(Self::At(time));
        }
        // Only the time of day, before the date: `14:30` is no date.
        if let Ok(time) = text.parse::<civil::Time>()
            && text.contains(':')
            && !text.contains('-')
        {
            return Ok(Self::Today(time));
        }
        text.parse().map(Self::Local).map_err(|_| {
            "say how long ago (90s, 1h, 7d), a time (2026-11-24T12:00:00Z, \"2026-11-24 14:30\", \
             14:30), beginning, now, or seq:42"
                .to_owned()
        })
    }
}

impl FromStr for PointInTime {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.parse()? {
            When::Sequence(_) => {
                Err("this goes by the events' own times, which a sequence doesn't tell".to_owned())
            }
            when => Ok(Self(when)),
        }
    }
}

/// What a [`When`] comes to at a present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// Where the log begins.
    Beginning,
    /// The present.
    Now,
    /// A sequence of the stream.
    Sequence(u64),
    /// An instant.
    At(Timestamp),
}

impl When {
    /// What it means at `now`, for somebody in `zone`.
    pub(crate) fn resolve(&self, now: Timestamp, zone: &TimeZone) -> Result<Resolved> {
        Ok(match self {
            Self::Beginning => Resolved::Beginning,
            Self::Now => Resolved::Now,
            Self::Sequence(sequence) => Resolved::Sequence(*sequence),
            Self::Ago(ago) => Resolved::At(now.saturating_sub(*ago)),
            Self::At(time) => Resolved::At(*time),
            Self::Local(time) => Resolved::At(on_the_wall(*time, zone)?),
            Self::Today(time) => {
                let today = jiff::Timestamp::from_nanosecond(i128::from(now.as_nanos()))
                    .map_err(|error| outside().with_source(error))?
                    .to_zoned_datetime(zone.clone())
                    .date();
                Resolved::At(on_the_wall(today.to_datetime(*time), zone)?)
            }
        })
    }
}

impl PointInTime {
    /// The instant at `now`, for somebody in `zone`; `None` for the log's beginning.
    pub(crate) fn resolve(&self, now: Timestamp, zone: &TimeZone) -> Result<Option<Timestamp>> {
        Ok(match self.0.resolve(now, zone)? {
            Resolved::At(time) => Some(time),
            Resolved::Now => Some(now),
            Resolved::Beginning | Resolved::Sequence(_) => None,
        })
    }
}

fn on_the_wall(time: civil::DateTime, zone: &TimeZone) -> Result<Timestamp> {
    let time = zone.to_timestamp(time).map_err(|error| outside().with_source(error))?;
    i64::try_from(time.as_nanosecond()).map(Timestamp::from_nanos).map_err(|_| outside())
}

fn outside() -> Error {
    Error::invalid("time", "time", "must lie between the years 1677 and 2262")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn resolved(text: &str) -> Resolved {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        text.parse::<When>().unwrap().resolve(at("2026-11-24T12:00:00Z"), &zone).unwrap()
    }

    #[test]
    fn a_duration_is_so_long_ago() {
        assert_eq!(resolved("1h"), Resolved::At(at("2026-11-24T11:00:00Z")));
        assert_eq!(resolved("90"), Resolved::At(at("2026-11-24T11:58:30Z")));
        assert_eq!(resolved("1d 12h"), Resolved::At(at("2026-11-23T00:00:00Z")));
    }

    #[test]
    fn a_time_is_an_instant_or_on_the_wall_of_whoever_asks() {
        let noon = Resolved::At(at("2026-11-24T10:00:00Z"));
        for text in
            ["2026-11-24T10:00:00Z", "2026-11-24T12:00:00+02:00", "2026-11-24 12:00", "12:00"]
        {
            assert_eq!(resolved(text), noon, "{text}");
        }
        assert_eq!(resolved("2026-11-24"), Resolved::At(at("2026-11-23T22:00:00Z")));
    }

    #[test]
    fn sequences_and_words() {
        assert_eq!(resolved("seq:42"), Resolved::Sequence(42));
        assert_eq!(resolved("beginning"), Resolved::Beginning);
        assert_eq!(resolved("now"), Resolved::Now);
    }

    #[test]
    fn anything_else_is_refused_with_what_can_be_said() {
        for text in ["", "yesterday", "-1h", "seq:", "seq:0", "seq:x", "2026-13-01", "25:00"] {
            assert!(text.parse::<When>().is_err(), "{text}");
        }
        assert!("soon".parse::<When>().unwrap_err().contains("1h"));
        assert!("seq:4".parse::<PointInTime>().is_err());
    }

    #[test]
    fn the_beginning_is_no_bound() {
        let now = at("2026-11-24T12:00:00Z");
        let point = |text: &str| text.parse::<PointInTime>().unwrap().resolve(now, &TimeZone::UTC);
        assert_eq!(point("beginning").unwrap(), None);
        assert_eq!(point("now").unwrap(), Some(now));
    }
}
