//! The server's way with times and durations.

use std::time::Duration;

use naq_core::Timestamp;
use naq_core::jetstream::ReadStart;
use naq_core::{Error, Result};

/// A time of the server's; `None` for the year 1, which stands for none.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// A time that must be there.
pub(super) fn required(operation: &'static str, text: &str) -> Result<Timestamp> {
    time(text).ok_or_else(|| {
        Error::new(
            naq_core::ErrorKind::Unexpected,
            operation,
            "the server told a time that is none",
        )
        .with("value", text)
    })
}

/// A duration as the server takes it, in nanoseconds.
pub(super) fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// A duration as the server tells it; negative ones are none.
pub(super) fn duration(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// A time with all its nanoseconds, as the server takes it.
pub(super) fn nanos_text(time: Timestamp) -> String {
    // `Timestamp` writes microseconds; the rest is appended.
    let text = time.to_string();
    let below = time.as_nanos().rem_euclid(1_000);
    format!("{}{below:03}Z", text.trim_end_matches('Z'))
}

/// Where a consumer begins, as the server's `deliver_policy` with its companions.
pub(super) fn deliver_policy(
    start: ReadStart,
    into: &mut serde_json::Map<String, serde_json::Value>,
) {
    let policy = match start {
        ReadStart::Beginning | ReadStart::Sequence(0 | 1) => "all",
        ReadStart::Sequence(sequence) => {
            into.insert("opt_start_seq".into(), sequence.into());
            "by_start_sequence"
        }
        ReadStart::Time(time) => {
            into.insert("opt_start_time".into(), nanos_text(time).into());
            "by_start_time"
        }
        ReadStart::New => "new",
        ReadStart::LastPerSubject => "last_per_subject",
    };
    into.insert("deliver_policy".into(), policy.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_nanoseconds() {
        let time = Timestamp::from_nanos(1_764_000_000_123_456_789);
        assert!(nanos_text(time).ends_with(".123456789Z"));
        assert_eq!(super::time(&nanos_text(time)), Some(time));
        let before = Timestamp::from_nanos(-1);
        assert_eq!(super::time(&nanos_text(before)), Some(before));
    }

    #[test]
    fn the_year_one_is_no_time() {
        assert_eq!(time("0001-01-01T00:00:00Z"), None);
    }
}
