//! The questions, and how naq is asked them.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use naq_core::Timestamp;
use naq_core::events::{
    AnalyticsRequest, EntityKind, EventQuery, HistoryRequest, StatsRequest, TopErrorsRequest,
};
use naq_events::EventService;

use super::log::LENGTH;
use crate::Outcome;

/// What was counted, by group and name; the same for naq and for the raw way.
pub(super) type Counts = BTreeMap<String, BTreeMap<String, u64>>;

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);
/// The most events of a history that are shown: more than any job has.
const HISTORY: usize = 1_000;

/// A range of time, both ends included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

impl Range {
    /// An hour somewhere in a day that began at `start`, as somebody asks who
    /// doesn't wait for a minute to begin.
    pub(super) fn some_hour(rng: &mut Rng, start: Timestamp) -> Self {
        let start = start.saturating_add(random(rng, LENGTH - HOUR));
        Self { start, end: start.saturating_add(HOUR) }
    }

    /// Nearly all of a day that began at `start`.
    pub(super) fn nearly_all(rng: &mut Rng, start: Timestamp) -> Self {
        let end = start.saturating_add(LENGTH - random(rng, HOUR / 4));
        Self { start: start.saturating_add(random(rng, HOUR / 4)), end }
    }

    /// Four hours of a day that began at `start` with a minute: errors are
    /// counted by whole minutes.
    pub(super) fn whole_minutes(rng: &mut Rng, start: Timestamp) -> Self {
        let minutes = rng.u32(..20 * 60);
        let start = start.saturating_add(MINUTE * minutes);
        Self { start, end: start.saturating_add(4 * HOUR - Duration::from_nanos(1)) }
    }
}

fn random(rng: &mut Rng, below: Duration) -> Duration {
    Duration::from_nanos(rng.u64(..below.as_nanos() as u64))
}

/// What is asked.
#[derive(Debug, Clone)]
pub(super) enum Question {
    /// The events of one job.
    History(String),
    /// Counts by type, queue and kind of job.
    Stats(Range),
    /// How completed jobs went, by queue.
    Analytics(Range),
    /// What failed most.
    TopErrors(Range),
}

impl Question {
    /// The range of time that it is about.
    pub(super) fn range(&self) -> Option<Range> {
        match self {
            Self::History(_) => None,
            Self::Stats(range) | Self::Analytics(range) | Self::TopErrors(range) => Some(*range),
        }
    }

    /// Asks naq.
    pub(super) async fn ask(&self, events: &EventService) -> Outcome<Counts> {
        let ends = |range: &Range| (Some(range.start), Some(range.end));
        let mut counts = Counts::new();
        match self {
            Self::History(job) => {
                let request =
                    HistoryRequest::new(EntityKind::Job, job.as_str()).with_limit(HISTORY);
                let history = events.history(request).await?;
                let count = history.events.len() as u64;
                counts.insert("events".to_owned(), BTreeMap::from([(String::new(), count)]));
            }
            Self::Stats(range) => {
                let (start, end) = ends(range);
                let stats = events.stats(StatsRequest::default().with_range(start, end)).await?;
                let by = |counts: BTreeMap<String, u64>| counts;
                counts.insert("type".to_owned(), by(stats.event_types));
                counts.insert("queue".to_owned(), by(stats.queues));
                counts.insert("job_name".to_owned(), by(stats.job_names));
            }
            Self::Analytics(range) => {
                let (start, end) = ends(range);
                let request = AnalyticsRequest::new("job_completed").with_range(start, end);
                let analytics = events.analytics(request).await?;
                let queues = analytics.by_queue.into_iter();
                let by_queue = queues.map(|(name, measures)| (name, measures.total_count));
                counts.insert("queue".to_owned(), by_queue.collect());
            }
            Self::TopErrors(range) => {
                let (start, end) = ends(range);
                let request = TopErrorsRequest::default().with_range(start, end).with_limit(1_000);
                for error in events.top_errors(request).await?.errors {
                    let class = error.error_type.unwrap_or_default();
                    counts.entry(class).or_default().insert(error.fingerprint, error.count);
                }
            }
        }
        Ok(counts)
    }
}
