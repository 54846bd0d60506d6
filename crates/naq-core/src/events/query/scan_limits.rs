//! How much of the log a question may read, and for how long.

use std::time::Duration;

use crate::{Error, Result};

/// How much of the log one question may read, and for how long.
///
/// A question that would read more, or for longer, ends with `LimitReached`,
/// which names the limit and says at which sequence it stopped: never with a
/// short answer that looks whole. What is `None` is as the service's
/// configuration has it.
///
/// A reading of events shows what it has while it goes on: for it the limits
/// are those of the search for each next event. What is still to come has no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanLimits {
    /// At most so many messages; by default `scan_limit`, 10,000,000.
    pub max_messages: Option<u64>,
    /// At most so many bytes of payload; by default `scan_limit_bytes`, 16 GiB.
    pub max_bytes: Option<u64>,
    /// At most for so long; by default `scan_limit_time`, five minutes.
    pub max_time: Option<Duration>,
}

impl ScanLimits {
    /// No limit, whatever the service's configuration says.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self {
            max_messages: Some(u64::MAX),
            max_bytes: Some(u64::MAX),
            max_time: Some(Duration::MAX),
        }
    }

    /// Sets after how many messages a question gives up; at least 1.
    #[must_use]
    pub const fn with_max_messages(mut self, messages: u64) -> Self {
        self.max_messages = Some(messages);
        self
    }

    /// Sets after how many bytes of payload a question gives up; at least 1.
    #[must_use]
    pub const fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Sets after how long a question gives up; above zero.
    #[must_use]
    pub const fn with_max_time(mut self, time: Duration) -> Self {
        self.max_time = Some(time);
        self
    }

    /// Checks that something may be read.
    pub(super) fn validate(self, operation: &'static str) -> Result<()> {
        let none = [
            (self.max_messages == Some(0), "max_messages", "must be at least 1"),
            (self.max_bytes == Some(0), "max_bytes", "must be at least 1"),
            (self.max_time == Some(Duration::ZERO), "max_time", "must be above zero"),
        ];
        match none.into_iter().find(|(is_none, ..)| *is_none) {
            Some((_, field, rule)) => Err(Error::invalid(operation, field, rule)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_nothing_is_refused_by_its_name() {
        let limits = ScanLimits::default;
        for (limits, field) in [
            (limits().with_max_messages(0), "max_messages"),
            (limits().with_max_bytes(0), "max_bytes"),
            (limits().with_max_time(Duration::ZERO), "max_time"),
        ] {
            assert_eq!(limits.validate("x").unwrap_err().get("field"), Some(field));
        }
        assert!(limits().validate("x").is_ok() && ScanLimits::unlimited().validate("x").is_ok());
    }
}
