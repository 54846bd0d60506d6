//! What is measured of a set of events, as it is written in a question: `p95:duration`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

/// A field of seconds that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum MeasuredField {
    /// How long a run took: `duration`.
    Duration,
    /// How long a job had waited before it ran: `queue_wait`.
    QueueWait,
}

impl MeasuredField {
    /// Its name in an event.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::QueueWait => "queue_wait",
        }
    }
}

/// A figure of a set of events; those of a field are over the events that have it.
///
/// It is written as a word, and a field where it is of one: `count`, `rate`,
/// `success_rate`, `mean:duration`, `min:queue_wait`, `max:duration`,
/// `p50:duration` to `p99.9:duration`. Without a field `duration` is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Measure {
    /// How many events; exact.
    Count,
    /// Events a second, over the part of the bucket that lies in the range,
    /// else over the range.
    Rate,
    /// The share with `success` true, from 0 to 1, of those that say; exact.
    SuccessRate,
    /// The mean, in seconds; exact.
    Mean(MeasuredField),
    /// The least, in seconds; exact.
    Min(MeasuredField),
    /// The greatest, in seconds; exact.
    Max(MeasuredField),
    /// What so many of a thousand stayed below, 1 to 999, in seconds; within 1 %.
    Percentile(u16, MeasuredField),
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => f.write_str("count"),
            Self::Rate => f.write_str("rate"),
            Self::SuccessRate => f.write_str("success_rate"),
            Self::Mean(field) => write!(f, "mean:{}", field.name()),
            Self::Min(field) => write!(f, "min:{}", field.name()),
            Self::Max(field) => write!(f, "max:{}", field.name()),
            Self::Percentile(thousandths, field) => {
                write!(f, "p{}", thousandths / 10)?;
                if thousandths % 10 > 0 {
                    write!(f, ".{}", thousandths % 10)?;
                }
                write!(f, ":{}", field.name())
            }
        }
    }
}

impl FromStr for Measure {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let rule = "must be count, rate, success_rate, or mean, min, max or a percentile \
                        (p50 to p99.9) of duration or queue_wait";
            Error::invalid("query", "measure", rule)
                .with("measure", text)
                .with_hint("write `p95:duration` or `mean:queue_wait`")
        };
        let (word, field) = match text.split_once(':') {
            None => (text, None),
            Some((word, "duration")) => (word, Some(MeasuredField::Duration)),
            Some((word, "queue_wait")) => (word, Some(MeasuredField::QueueWait)),
            Some(_) => return Err(wrong()),
        };
        let of = field.unwrap_or(MeasuredField::Duration);
        match (word, field) {
            ("count", None) => Ok(Self::Count),
            ("rate", None) => Ok(Self::Rate),
            ("success_rate", None) => Ok(Self::SuccessRate),
            ("mean", _) => Ok(Self::Mean(of)),
            ("min", _) => Ok(Self::Min(of)),
            ("max", _) => Ok(Self::Max(of)),
            _ => {
                let percent = word.strip_prefix('p').ok_or_else(wrong)?;
                let (whole, tenth) = percent.split_once('.').unwrap_or((percent, "0"));
                let is_number = |digits: &str, most: usize| {
                    (1..=most).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
                };
                if !is_number(whole, 2) || !is_number(tenth, 1) {
                    return Err(wrong());
                }
                match format!("{whole}{tenth}").parse() {
                    Ok(thousandths @ 1..=999) => Ok(Self::Percentile(thousandths, of)),
                    _ => Err(wrong()),
                }
            }
        }
    }
}

impl Serialize for Measure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Measure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "count",
            "rate",
            "success_rate",
            "mean:duration",
            "min:queue_wait",
            "max:duration",
            "p50:duration",
            "p99.9:queue_wait",
            "p0.1:duration",
            "p5:duration",
        ] {
            assert_eq!(text.parse::<Measure>().unwrap().to_string(), text);
        }
        assert_eq!("p95".parse::<Measure>().unwrap().to_string(), "p95:duration");
    }

    #[test]
    fn anything_else_is_refused_with_the_rule() {
        for text in [
            "",
            "p",
            "p100",
            "p0",
            "p0.0",
            "p9.99",
            "p-5",
            "sum",
            "mean:size",
            "count:duration",
            "95",
        ] {
            let error = text.parse::<Measure>().unwrap_err();
            assert_eq!(error.get("field"), Some("measure"), "{text}");
        }
    }
}
