//! What the log says about a run.

use std::time::Duration;

use futures::StreamExt;
use naq_core::events::{
    AnalyticsRequest, EventAnalytics, EventHistory, EventItem, EventLog, EventMeasures, EventStats,
    EventType, Filter, GroupBy, HistoryRequest, Measure, MeasuredField, QueryAnswer, QueryRequest,
    ReadEvents, ReadStart, StatsRequest, TopErrors, TopErrorsRequest,
};
use naq_core::{Result, Timestamp};
use serde::Serialize;

use super::run::Run;

/// How far clocks may differ.
const CLOCKS: Duration = Duration::from_secs(3_600);

/// What half of the runs stay below, and 95 %.
const MEDIAN: Measure = Measure::Percentile(500, MeasuredField::Duration);
const LONG: Measure = Measure::Percentile(950, MeasuredField::Duration);

/// The log's answers: every number of the report is one of these, or made of them alone.
#[derive(Debug, Serialize)]
pub(super) struct Answers {
    /// The run's queue, which all of its events name.
    pub(super) queue: String,
    /// The sequence of its first event.
    pub(super) first_sequence: u64,
    /// Counts of the time in which it ran.
    pub(super) stats: EventStats,
    /// The figures of its completed runs.
    pub(super) completed: EventAnalytics,
    /// How runs of each kind of job ended.
    pub(super) kinds: QueryAnswer,
    /// What failed most.
    pub(super) errors: TopErrors,
    /// The job whose run took longest.
    pub(super) slowest: Option<EventHistory>,
    /// A job that failed.
    pub(super) failed: Option<EventHistory>,
    /// Whether that is the job that was meant to fail.
    pub(super) failed_as_announced: bool,
    /// How many events of the run the service stored, by its own account.
    pub(super) stored: u64,
}

/// Asks the log about a run that is over.
pub(super) async fn ask(
    events: &dyn EventLog,
    run: &Run,
    first_sequence: u64,
    end: Timestamp,
) -> Result<Answers> {
    let range = (Some(run.start()), Some(end));
    let stats = events.stats(StatsRequest::default().with_range(range.0, range.1)).await?;
    let request = AnalyticsRequest::new(EventType::JobCompleted).with_range(range.0, range.1);
    let completed = events.analytics(request).await?;
    let of_run = |event_type: EventType| Filter::new().event_type(event_type).queue(run.queue());
    let slowest = match completed.by_queue.get(run.queue()).and_then(|own| own.max_duration) {
        Some(most) => {
            let filter = of_run(EventType::JobCompleted).field("duration").at_least(most);
            first(events, first_sequence, filter).await?
        }
        None => None,
    };
    let failed = first(events, first_sequence, of_run(EventType::JobFailed)).await?;
    let missing = run.missing_name();
    let failed_as_announced = failed.as_ref().is_some_and(|history| {
        let file = |recorded: &naq_core::events::RecordedEvent| {
            recorded.event.custom.get("file").and_then(|file| file.as_str()) == Some(&*missing)
        };
        history.events.iter().any(file)
    });
    let ended = [EventType::JobCompleted, EventType::JobFailed].map(|it| it.to_string());
    let of_queue = Filter::new().queue(run.queue());
    let request = QueryRequest::new(of_queue.clone().field("type").one_of(ended))
        .with_range(range.0, range.1)
        .with_group_by([GroupBy::JobName, GroupBy::Type])
        .with_measures([Measure::Count, MEDIAN, LONG]);
    let kinds = events.query(request).await?;
    // A log may be long, and the server's clock may go differently.
    let filter = of_queue.stored_since(run.start().saturating_sub(CLOCKS));
    let request =
        TopErrorsRequest::default().with_range(range.0, range.1).with_filter(filter).with_limit(3);
    let errors = events.top_errors(request).await?;
    let stored = events.counters().acked;
    let queue = run.queue().to_owned();
    Ok(Answers {
        queue,
        first_sequence,
        stats,
        completed,
        kinds,
        errors,
        slowest,
        failed,
        failed_as_announced,
        stored,
    })
}

/// The history of the first job of which an event passes the filter.
async fn first(events: &dyn EventLog, from: u64, filter: Filter) -> Result<Option<EventHistory>> {
    let options = ReadEvents::default()
        .with_start(ReadStart::Sequence(from))
        .with_filter(filter)
        .with_limit(1);
    let mut items = events.read_events(options);
    while let Some(item) = items.next().await {
        if let EventItem::Event(recorded) = item?
            && let Some(job) = recorded.event.job_id
        {
            return events.history(HistoryRequest::job(job.as_str())).await.map(Some);
        }
    }
    Ok(None)
}

impl Answers {
    /// How many events of a type there are.
    pub(super) fn count(&self, event_type: &EventType) -> u64 {
        self.stats.event_types.get(event_type.as_str()).copied().unwrap_or(0)
    }

    /// How many events of the run the log holds.
    pub(super) fn own_events(&self) -> u64 {
        self.stats.queues.get(&self.queue).copied().unwrap_or(0)
    }

    /// How many events others logged in the same time.
    pub(super) fn events_of_others(&self) -> u64 {
        self.stats.total_events.saturating_sub(self.own_events())
    }

    /// The figures of the run's own completed jobs.
    pub(super) fn measures(&self) -> EventMeasures {
        self.completed.by_queue.get(&self.queue).cloned().unwrap_or_default()
    }
}
