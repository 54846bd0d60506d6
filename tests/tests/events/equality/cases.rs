//! Filters and ranges of time that are asked about.

use std::borrow::Cow;

use naq_core::Timestamp;
use naq_core::events::{Bucket, Event, Filter, MadeFrom};

use super::log::at;

const MINUTE: i64 = 60_000_000_000;

/// A filter, the same as code, and who can tell what it is about.
pub(super) struct Case {
    pub(super) text: Cow<'static, str>,
    pub(super) passes: Box<dyn Fn(&Event) -> bool + Send + Sync>,
    /// `None` for one that an index may tell of, or the log alone.
    pub(super) source: Option<MadeFrom>,
}

impl Case {
    /// The filter.
    pub(super) fn filter(&self) -> Filter {
        if self.text.is_empty() { Filter::new() } else { Filter::parse(&self.text).unwrap() }
    }
}

fn case(text: &'static str, passes: fn(&Event) -> bool, source: MadeFrom) -> Case {
    Case { text: text.into(), passes: Box::new(passes), source: Some(source) }
}

/// Filters of which it is known who can tell what they are about.
pub(super) fn cases() -> Vec<Case> {
    vec![
        case("", |_| true, MadeFrom::Digests),
        case(
            "type = job_completed",
            |it| it.event_type.as_str() == "job_completed",
            MadeFrom::Digests,
        ),
        case(
            "type in (job_failed, log) or queue = queue-2",
            |it| {
                ["job_failed", "log"].contains(&it.event_type.as_str())
                    || it.queue.as_deref() == Some("queue-2")
            },
            MadeFrom::Digests,
        ),
        case("not exists queue", |it| it.queue.is_none(), MadeFrom::Digests),
        case(
            "success = true and exists job_name and job_name != name-0",
            |it| {
                it.success == Some(true)
                    && it.job_name.as_deref().is_some_and(|name| name != "name-0")
            },
            MadeFrom::Digests,
        ),
        case("success = false", |it| it.success == Some(false), MadeFrom::Digests),
        case(
            "duration > 50s",
            |it| it.duration.is_some_and(|seconds| seconds > 50.0),
            MadeFrom::Log,
        ),
        case(
            "worker_id = w3 and type = job_started",
            |it| it.worker_id.as_deref() == Some("w3") && it.event_type.as_str() == "job_started",
            MadeFrom::Index,
        ),
        case(
            "worker_id in (w1, w4)",
            |it| ["w1", "w4"].map(Some).contains(&it.worker_id.as_deref()),
            MadeFrom::Index,
        ),
        case(
            "queue = queue-0 and error_type = IoError",
            |it| {
                it.queue.as_deref() == Some("queue-0")
                    && it.error_type.as_deref() == Some("IoError")
            },
            MadeFrom::Index,
        ),
    ]
}

pub(super) type Times = (Option<Timestamp>, Option<Timestamp>);

/// A range that touches the log's time, of whole stretches of so many minutes,
/// or, with 0, of none.
pub(super) fn times(random: &mut fastrand::Rng, span: i64, minutes: i64) -> Times {
    let mut end = || random.bool().then(|| random.i64(-60_000..span + 60_000));
    let (start, end) = match (end(), end()) {
        (Some(one), Some(other)) => (Some(one.min(other)), Some(one.max(other))),
        ends => ends,
    };
    let nanos = |millis: i64| at(0).as_nanos() + millis * 1_000_000;
    let (start, end) = (start.map(nanos), end.map(nanos));
    let length = minutes * MINUTE;
    let (start, end) = match length {
        0 => (start, end),
        _ => {
            let first = |nanos: i64| nanos.div_euclid(length) * length;
            (start.map(first), end.map(|end| first(end) + length - 1))
        }
    };
    (start.map(Timestamp::from_nanos), end.map(Timestamp::from_nanos))
}

/// The minutes of a stretch of time by which rows are told apart.
pub(super) fn minutes(bucket: Bucket) -> i64 {
    i64::try_from(bucket.length().as_secs() / 60).unwrap()
}
