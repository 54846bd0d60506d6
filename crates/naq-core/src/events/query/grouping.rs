//! What a question tells apart: groups of events, and stretches of time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What events are told apart by. An event without it is in the group of none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GroupBy {
    /// The type of event.
    Type,
    /// The queue.
    Queue,
    /// The kind of job.
    JobName,
    /// `success` or `failure`, of those that say.
    Outcome,
    /// The worker; costs a reading of the log.
    Worker,
    /// The type of error; costs a reading of the log.
    ErrorType,
    /// The error's message without what varies; costs a reading of the log.
    Fingerprint,
}

impl GroupBy {
    /// All there are.
    pub const ALL: [Self; 7] = [
        Self::Type,
        Self::Queue,
        Self::JobName,
        Self::Outcome,
        Self::Worker,
        Self::ErrorType,
        Self::Fingerprint,
    ];

    /// Its name in questions and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Queue => "queue",
            Self::JobName => "job_name",
            Self::Outcome => "outcome",
            Self::Worker => "worker",
            Self::ErrorType => "error_type",
            Self::Fingerprint => "fingerprint",
        }
    }
}

/// A stretch of time, in UTC, that a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Bucket {
    /// 60 seconds.
    Minute,
    /// 3,600 seconds.
    Hour,
    /// 86,400 seconds.
    Day,
}

impl Bucket {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// Its name in questions and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// How long it is.
    #[must_use]
    pub const fn length(self) -> Duration {
        match self {
            Self::Minute => Duration::from_secs(60),
            Self::Hour => Duration::from_secs(3_600),
            Self::Day => Duration::from_secs(86_400),
        }
    }

    const fn nanos(self) -> i64 {
        self.length().as_nanos() as i64
    }

    /// Where the one that a time lies in begins.
    #[must_use]
    pub const fn start(self, time: Timestamp) -> Timestamp {
        let nanos = time.as_nanos();
        Timestamp::from_nanos(nanos.saturating_sub(nanos.rem_euclid(self.nanos())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lies_in_its_bucket() {
        for nanos in [0, 1, -1, 86_399_999_999_999, i64::MAX] {
            let time = Timestamp::from_nanos(nanos);
            for bucket in Bucket::ALL {
                let start = bucket.start(time);
                assert!(start <= time && time.since(start) < bucket.length(), "{nanos} {bucket:?}");
                assert_eq!(bucket.start(start), start);
            }
        }
    }

    #[test]
    fn names_are_those_of_the_json_form() {
        for group in GroupBy::ALL {
            assert_eq!(serde_json::to_value(group).unwrap(), group.name());
        }
        for bucket in Bucket::ALL {
            assert_eq!(serde_json::to_value(bucket).unwrap(), bucket.name());
        }
    }
}
