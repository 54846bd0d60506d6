//! What the log answers, in the JSON form that the command prints.
//!
//! A value that there is none of is `null`; the shape stays.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::events::{AnswerBasis, EntityKind, EventType, JobSummary, RecordedEvent};

/// The history of one job, worker or schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EventHistory {
    /// The events that are shown, in stored order, each id once.
    pub events: Vec<RecordedEvent>,
    /// What all of its events say taken together, shown or not.
    pub summary: HistorySummary,
}

/// What a history says about its entity and about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HistorySummary {
    /// What the history is about.
    pub entity: EntityKind,
    /// Its id.
    pub id: String,
    /// Where a job stands; all `None` for a worker or schedule.
    #[serde(flatten)]
    pub job: JobSummary,
    /// How many events it has in the log, each id once.
    pub total_events: u64,
    /// When the first of them happened.
    pub first: Option<Timestamp>,
    /// When the last of them happened.
    pub last: Option<Timestamp>,
    /// Whether there are more events than are shown.
    pub truncated: bool,
    /// Whether events that are stored under another entity, and only mention
    /// this one, are in: a job's events name its worker.
    pub includes_mentions: bool,
    /// How many events were stored more than once and are shown once.
    pub duplicates: u64,
    /// How many messages on the way were no events.
    pub malformed: u64,
    /// How many sequences a limit or a purge removed while the history was
    /// being read; events of it may have been among them.
    pub gone: u64,
}

impl EventHistory {
    /// An empty history.
    #[must_use]
    pub fn new(entity: EntityKind, id: impl Into<String>) -> Self {
        Self {
            events: Vec::new(),
            summary: HistorySummary {
                entity,
                id: id.into(),
                job: JobSummary::default(),
                total_events: 0,
                first: None,
                last: None,
                truncated: false,
                includes_mentions: false,
                duplicates: 0,
                malformed: 0,
                gone: 0,
            },
        }
    }
}

/// Statistics of the log over a range of time; exact.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EventStats {
    /// Events in the range.
    pub total_events: u64,
    /// Bytes of the whole stream.
    pub stream_size: u64,
    /// Messages of the whole stream.
    pub stream_messages: u64,
    /// The subjects that the stream is configured with.
    pub subjects: Vec<String>,
    /// How many different subjects it holds.
    pub num_subjects: u64,
    /// The asked start of the range; `None` for the log's.
    pub start_time: Option<Timestamp>,
    /// The asked end of the range; `None` for the log's.
    pub end_time: Option<Timestamp>,
    /// Events by type.
    pub event_types: BTreeMap<String, u64>,
    /// Events by queue, those that name one.
    pub queues: BTreeMap<String, u64>,
    /// Events by kind of job, those that name one.
    pub job_names: BTreeMap<String, u64>,
    /// When the first event of the range happened.
    pub first_event: Option<Timestamp>,
    /// When the last event of the range happened.
    pub last_event: Option<Timestamp>,
    /// Events that are not in the log, or may not be, as its `events_lost` events of the range tell.
    pub lost: u64,
    /// Messages that were read and are no events.
    pub malformed: u64,
    /// Sequences that left the log before they were counted: from digests, at
    /// any time; in one pass over the log, while it went on.
    pub gone: u64,
    /// How often an event's type, queue or job name is not listed above,
    /// because there are over [`MAX_GROUPS`](Self::MAX_GROUPS) different ones,
    /// or too many in one digest of events that are gone.
    pub unlisted: u64,
    /// What it was made from.
    #[serde(default)]
    pub basis: AnswerBasis,
}

impl EventStats {
    /// How many different types, queues or job names are told apart, each.
    pub const MAX_GROUPS: usize = 10_000;
}

/// The asked range of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TimeRange {
    /// Its start; `None` for the log's.
    pub start: Option<Timestamp>,
    /// Its end; `None` for the log's.
    pub end: Option<Timestamp>,
}

/// Durations below which half, 95 % and 99 % of the runs stayed, in seconds.
///
/// From a sketch: each is within [`RELATIVE_ERROR`](Self::RELATIVE_ERROR) of
/// a true one.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Percentiles {
    /// The median.
    pub p50: Option<f64>,
    /// 95 % stayed below.
    pub p95: Option<f64>,
    /// 99 % stayed below.
    pub p99: Option<f64>,
}

impl Percentiles {
    /// The greatest relative error of a percentile: 1 %.
    pub const RELATIVE_ERROR: f64 = 0.01;

    /// From the three of them, in seconds.
    #[must_use]
    pub const fn new(p50: Option<f64>, p95: Option<f64>, p99: Option<f64>) -> Self {
        Self { p50, p95, p99 }
    }
}

/// The figures of a set of events; each is over those that have the field,
/// and `None` where none has.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EventMeasures {
    /// How many events.
    pub total_count: u64,
    /// The share with `success` true, from 0 to 1, of those that say.
    pub success_rate: Option<f64>,
    /// The mean of `duration`, in seconds.
    pub average_duration: Option<f64>,
    /// The least `duration`, in seconds.
    pub min_duration: Option<f64>,
    /// The greatest `duration`, in seconds.
    pub max_duration: Option<f64>,
    /// How `duration` is distributed, in seconds.
    pub percentiles: Percentiles,
}

/// The figures of one type of event over a range of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EventAnalytics {
    /// The type.
    pub event_type: EventType,
    /// The figures of all of them.
    #[serde(flatten)]
    pub measures: EventMeasures,
    /// The asked range.
    pub time_range: TimeRange,
    /// The same by queue, those that name one.
    pub by_queue: BTreeMap<String, EventMeasures>,
    /// The same by kind of job, those that name one.
    pub by_job_name: BTreeMap<String, EventMeasures>,
    /// Messages that were read and are no events.
    pub malformed: u64,
    /// Sequences that left the log before they were counted, as in [`EventStats`].
    pub gone: u64,
    /// How often an event's queue or job name is not listed above, because
    /// there are over [`MAX_GROUPS`](EventAnalytics::MAX_GROUPS) different ones,
    /// or too many in one digest of events that are gone.
    pub unlisted: u64,
    /// What it was made from.
    #[serde(default)]
    pub basis: AnswerBasis,
}

impl EventAnalytics {
    /// How many different queues or job names are told apart, each.
    pub const MAX_GROUPS: usize = 1_000;

    /// The figures of no event.
    #[must_use]
    pub fn new(event_type: impl Into<EventType>, time_range: TimeRange) -> Self {
        Self {
            event_type: event_type.into(),
            measures: EventMeasures::default(),
            time_range,
            by_queue: BTreeMap::new(),
            by_job_name: BTreeMap::new(),
            malformed: 0,
            gone: 0,
            unlisted: 0,
            basis: AnswerBasis::default(),
        }
    }
}

/// What a cleanup removed, or would remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CleanupReport {
    /// How many messages were removed; in a dry run, would be.
    pub removed: u64,
    /// Whether nothing was removed, because it was only asked.
    pub dry_run: bool,
    /// What was stored before this time was meant.
    pub before: Timestamp,
    /// Only events of this type were meant.
    pub event_type: Option<EventType>,
}

impl CleanupReport {
    /// The report of a cleanup.
    #[must_use]
    pub fn new(
        removed: u64,
        dry_run: bool,
        before: Timestamp,
        event_type: Option<EventType>,
    ) -> Self {
        Self { removed, dry_run, before, event_type }
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    fn assert_shape<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
        answer: &T,
        expected: &Value,
    ) {
        let shown = serde_json::to_value(answer).unwrap();
        assert_eq!(shown, *expected);
        assert_eq!(serde_json::from_value::<T>(shown).unwrap(), *answer);
    }

    fn basis() -> Value {
        json!({
            "made_from": "log", "as_of": null, "through": 0, "newest_stored": null,
            "first_sequence": 0, "oldest_stored": null, "removed": 0, "from_digests": 0,
            "from_index": 0, "read": 0, "malformed": 0, "duplicates": null, "holes": 0,
            "undecided": 0,
        })
    }

    #[test]
    fn statistics_of_nothing_keep_their_shape() {
        assert_shape(
            &EventStats::default(),
            &json!({
                "total_events": 0, "stream_size": 0, "stream_messages": 0,
                "subjects": [], "num_subjects": 0, "start_time": null, "end_time": null,
                "event_types": {}, "queues": {}, "job_names": {},
                "first_event": null, "last_event": null, "lost": 0, "malformed": 0, "gone": 0,
                "unlisted": 0, "basis": basis(),
            }),
        );
    }

    #[test]
    fn figures_of_nothing_keep_their_shape() {
        let none = json!({"p50": null, "p95": null, "p99": null});
        let range = TimeRange { start: None, end: Some(Timestamp::from_nanos(0)) };
        let mut analytics = EventAnalytics::new("job_completed", range);
        analytics.by_queue.insert("q".to_owned(), EventMeasures::default());
        let measures = json!({
            "total_count": 0, "success_rate": null, "average_duration": null,
            "min_duration": null, "max_duration": null, "percentiles": none,
        });
        let mut expected = json!({
            "event_type": "job_completed",
            "time_range": {"start": null, "end": "1970-01-01T00:00:00.000000Z"},
            "by_queue": {"q": measures}, "by_job_name": {}, "malformed": 0, "gone": 0, "unlisted": 0,
            "basis": basis(),
        });
        for (name, value) in measures.as_object().unwrap() {
            expected[name] = value.clone();
        }
        assert_shape(&analytics, &expected);
    }

    #[test]
    fn a_history_of_nothing_keeps_its_shape() {
        assert_shape(
            &EventHistory::new(EntityKind::Worker, "w"),
            &json!({
                "events": [],
                "summary": {
                    "entity": "worker", "id": "w", "state": null, "attempts": null,
                    "job_name": null, "queue": null, "worker": null, "queue_wait": null,
                    "run_time": null, "last_error": null, "last_error_type": null,
                    "reason": null, "total_events": 0, "first": null, "last": null,
                    "truncated": false, "includes_mentions": false, "duplicates": 0,
                    "malformed": 0, "gone": 0,
                },
            }),
        );
    }

    #[test]
    fn a_cleanup_tells_what_it_meant() {
        assert_shape(
            &CleanupReport::new(3, true, Timestamp::from_nanos(0), Some(EventType::Log)),
            &json!({
                "removed": 3, "dry_run": true, "before": "1970-01-01T00:00:00.000000Z",
                "event_type": "log",
            }),
        );
    }
}
