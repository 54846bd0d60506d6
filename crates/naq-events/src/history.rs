//! What happened to one job, worker or schedule.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::StreamExt;
use naq_core::config::SubjectLayout;
use naq_core::events::{
    EntityKind, EventHistory, EventItem, HistoryRequest, HistorySummary, JobFold, RecordedEvent,
    SeenIds,
};
use naq_core::jetstream::subject_matches;
use naq_core::{BoxStream, Error, ErrorKind, Result, Timestamp};

use crate::indexes::Indexes;
use crate::read::{EntitySubjects, Log, Meter, OfEntity, OpenLog, Scan, ScanEnd, decode};
use crate::stats::in_range;

/// The operation that errors name.
pub(crate) const OPERATION: &str = "get_event_history";

/// Up to so many events of a job are got by its subjects, whether there is an
/// index or not: that takes no longer.
const FEW: u64 = 12;

/// Answers a history from the entity's own events, which are all that is read
/// where its id is part of the subject, or in an index.
pub(crate) async fn history(
    log: &Log,
    indexes: Option<&Arc<Indexes>>,
    meter: &Arc<Meter>,
    request: HistoryRequest,
) -> Result<EventHistory> {
    let told = |error: Error| error.in_operation(OPERATION);
    let filter = log.subjects().of_entity(&request.id);
    let (open, subjects) = if log.subjects().layout() == SubjectLayout::Type {
        (log.open(OPERATION).await?, None)
    } else {
        // What is asked of the stream tells its subjects as well.
        let (open, subjects) = log.open_entity(OPERATION, &filter).await?;
        (open, Some(subjects))
    };
    let asked = Asked { log, open: &open, meter, request: &request, filter };
    // All of a job's events are stored under the job; a worker's or a
    // schedule's in part under the jobs that they name too, and only an index,
    // or a log without entities in its subjects, shows those.
    let total = subjects.as_ref().and_then(|subjects| subjects.total);
    let is_few = request.entity == EntityKind::Job && total.is_some_and(|total| total <= FEW);
    let mut found = match indexes.filter(|_| !is_few) {
        Some(indexes) => asked.by_index(indexes).await.map_err(told)?,
        None => None,
    };
    let includes_mentions = request.entity == EntityKind::Job
        || found.is_some()
        || log.subjects().layout() == SubjectLayout::Type;
    if let (None, Some(subjects)) = (&found, subjects) {
        found = asked.by_subjects(subjects).await.map_err(told)?;
    }
    let (fold, end) = match found {
        Some(found) => found,
        None => asked.by_scan().await?,
    };
    let mut history = fold.finish();
    history.summary.includes_mentions = includes_mentions;
    (history.summary.malformed, history.summary.gone) = (end.malformed, end.gone);
    Ok(history)
}

/// A history that is asked for.
struct Asked<'a> {
    log: &'a Log,
    open: &'a OpenLog,
    meter: &'a Arc<Meter>,
    request: &'a HistoryRequest,
    /// What its subjects match.
    filter: String,
}

type Found<'a> = (HistoryFold<'a>, ScanEnd);

impl<'a> Asked<'a> {
    /// By the messages on its subjects, without a pass over the log.
    async fn by_subjects(&self, subjects: EntitySubjects) -> Result<Option<Found<'a>>> {
        let of_entity = self.log.of_entity(self.open, subjects, self.meter).await?;
        Ok(of_entity.map(|of_entity| {
            let mut fold = HistoryFold::new(self.request);
            let end = fold.observe_all(of_entity, self.open.info.created);
            (fold, end)
        }))
    }

    /// By an index of its field.
    async fn by_index(&self, indexes: &Arc<Indexes>) -> Result<Option<Found<'a>>> {
        let entity = (self.request.entity, self.request.id.as_str());
        let items = self.log.of_entity_indexed(self.open, indexes, entity, self.meter).await?;
        let Some(items) = items else { return Ok(None) };
        let mut fold = HistoryFold::new(self.request);
        match fold.observe_items(items, &self.filter).await {
            Ok(end) => Ok(Some((fold, end))),
            // Another way may be allowed, and what was made anew can be read again.
            Err(error)
                if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Conflict) =>
            {
                tracing::debug!(%error, "a history is not read by an index");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// By a pass over what its subjects let through.
    async fn by_scan(&self) -> Result<Found<'a>> {
        let scan = Scan {
            operation: OPERATION,
            subjects: vec![self.filter.clone()],
            since: None,
            until: None,
            meter: self.meter,
        };
        let mut fold = HistoryFold::new(self.request);
        let observe = |recorded| {
            fold.observe(recorded);
            Ok(())
        };
        let end = scan.run(self.log, self.open, observe).await?;
        Ok((fold, end))
    }
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

    /// Takes in what a reading yields, and says what there was beside events;
    /// what is no event only where the entity's subjects have it.
    async fn observe_items(
        &mut self,
        mut items: BoxStream<'static, Result<EventItem>>,
        subjects: &str,
    ) -> Result<ScanEnd> {
        let mut end = ScanEnd::default();
        while let Some(item) = items.next().await {
            match item? {
                EventItem::Event(recorded) => self.observe(*recorded),
                EventItem::Malformed(malformed) => {
                    end.malformed += u64::from(subject_matches(subjects, &malformed.subject));
                }
                EventItem::Gap { from, to } => end.gone += to.saturating_sub(from) + 1,
                _ => {}
            }
        }
        Ok(end)
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
