//! What happened to one job, worker or schedule.

use std::collections::VecDeque;

use naq_core::config::SubjectLayout;
use naq_core::events::{
    EntityKind, EventHistory, EventItem, HistoryRequest, HistorySummary, JobFold, RecordedEvent,
    SeenIds,
};
use naq_core::{Error, Result, Timestamp};

use crate::read::{Log, OfEntity, OpenLog, Scan, ScanEnd, decode};
use crate::stats::in_range;

/// The operation that errors name.
pub(crate) const OPERATION: &str = "get_event_history";

/// Answers a history from the entity's own events, which are all that is read
/// where its id is part of the subject.
pub(crate) async fn history(log: &Log, request: HistoryRequest) -> Result<EventHistory> {
    let open = log.open(OPERATION).await?;
    let scan = Scan {
        operation: OPERATION,
        subjects: vec![log.subjects().of_entity(&request.id)],
        since: None,
        until: None,
        limits: request.scan,
    };
    // A job's events are stored under the job. A worker's or a schedule's are
    // in part stored under the jobs that they name too; only a log without
    // entities in its subjects shows those.
    let includes_mentions =
        request.entity == EntityKind::Job || log.subjects().layout() == SubjectLayout::Type;
    let mut fold = HistoryFold::new(&request);
    let end = match by_subjects(log, &open, &request).await? {
        Some(of_entity) => fold.observe_all(of_entity, open.info.created),
        None => scan.run(log, &open, |recorded| fold.observe(recorded)).await?,
    };
    let mut history = fold.finish();
    history.summary.includes_mentions = includes_mentions;
    (history.summary.malformed, history.summary.gone) = (end.malformed, end.gone);
    Ok(history)
}

/// The entity's messages without a pass over the log, where its id is part of the subject.
async fn by_subjects(
    log: &Log,
    open: &OpenLog,
    request: &HistoryRequest,
) -> Result<Option<OfEntity>> {
    if log.subjects().layout() == SubjectLayout::Type {
        return Ok(None);
    }
    let filter = log.subjects().of_entity(&request.id);
    let told = |error: Error| error.in_operation(OPERATION);
    log.of_entity(open, &filter, log.limit(request.scan)).await.map_err(told)
}

/// Folds an entity's events in stored order into its history.
struct HistoryFold<'a> {
    request: &'a HistoryRequest,
    seen: SeenIds,
    job: JobFold,
    shown: VecDeque<RecordedEvent>,
    summary: HistorySummary,
}

impl<'a> HistoryFold<'a> {
    fn new(request: &'a HistoryRequest) -> Self {
        Self {
            request,
            // The newest that may be shown are all remembered; the oldest are kept.
            seen: match request.from_end {
                true => SeenIds::with_window(request.limit.max(SeenIds::WINDOW)),
                false => SeenIds::new(),
            },
            job: JobFold::new(),
            shown: VecDeque::new(),
            summary: EventHistory::new(request.entity, request.id.as_str()).summary,
        }
    }

    /// Takes in messages in stored order, and says what there was beside events.
    fn observe_all(&mut self, of_entity: OfEntity, created: Timestamp) -> ScanEnd {
        let mut end = ScanEnd { gone: of_entity.gone, ..ScanEnd::default() };
        for message in of_entity.messages {
            end.read += 1;
            match decode(message, created) {
                EventItem::Event(recorded) => self.observe(*recorded),
                _ => end.malformed += 1,
            }
        }
        end
    }

    fn observe(&mut self, recorded: RecordedEvent) {
        let event = &recorded.event;
        // A job, a worker and a schedule of one name share a subject.
        if event.entity_id(self.request.entity) != Some(self.request.id.as_str()) {
            return;
        }
        if !self.seen.is_first(event) {
            self.summary.duplicates += 1;
            return;
        }
        if self.request.entity == EntityKind::Job {
            self.job.observe(event, recorded.stored_at);
        }
        let at = recorded.timestamp();
        self.summary.total_events += 1;
        self.summary.first = Some(self.summary.first.map_or(at, |first| first.min(at)));
        self.summary.last = Some(self.summary.last.map_or(at, |last| last.max(at)));
        let is_shown = in_range(at, self.request.start, self.request.end)
            && self.request.filter.matches_recorded(&recorded);
        if !is_shown {
            self.summary.truncated = true;
        } else if self.shown.len() < self.request.limit {
            if !self.request.from_end {
                self.seen.keep(event);
            }
            self.shown.push_back(recorded);
        } else {
            self.summary.truncated = true;
            if self.request.from_end {
                self.shown.pop_front();
                self.shown.push_back(recorded);
            }
        }
    }

    fn finish(self) -> EventHistory {
        let mut history = EventHistory::new(self.request.entity, self.request.id.as_str());
        history.events = self.shown.into();
        history.summary = self.summary;
        history.summary.job = self.job.into_summary();
        history
    }
}
