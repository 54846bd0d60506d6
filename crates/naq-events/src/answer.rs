//! Where the figures of an answer come from: digests, else an index, else one
//! pass over the log.

use std::sync::Arc;

use futures::StreamExt;
use naq_core::events::{
    AnswerBasis, EventItem, Filter, MadeFrom, ReadEvents, RecordedEvent, SeenIds,
};
use naq_core::{Error, Result};

use crate::digests::{Ask, CellFilter, Digests, MinuteRange, Tally};
use crate::indexes::Indexes;
use crate::read::{Log, Meter, OpenLog, Scan};

/// What a service has to answer from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sources<'a> {
    /// The log.
    pub(crate) log: &'a Log,
    /// Its digests, if the service keeps any.
    pub(crate) digests: Option<&'a Digests>,
    /// Its indexes, if the service knows any.
    pub(crate) indexes: Option<&'a Arc<Indexes>>,
}

/// A question for figures.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    /// Who asks, for errors.
    pub(crate) operation: &'static str,
    /// The log as it stands.
    pub(crate) open: &'a OpenLog,
    /// Which events are meant.
    pub(crate) filter: &'a Filter,
    /// The filter as it is asked of cells; `None` where cells don't tell enough.
    pub(crate) cells: Option<&'a CellFilter>,
    /// By the events' own times: what is shown of digests' cells.
    pub(crate) range: MinuteRange,
    /// Counts what is read.
    pub(crate) meter: &'a Arc<Meter>,
}

/// What an answer was made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    /// As it is told.
    pub(crate) basis: AnswerBasis,
    /// Sequences that left the log before they were counted: from digests, at
    /// any time; else while the log was read.
    pub(crate) gone: u64,
}

impl Sources<'_> {
    /// Shows a tally all that may be meant, from the cheapest source that has it.
    pub(crate) async fn answer(
        &self,
        question: &Question<'_>,
        tally: &mut impl Tally,
    ) -> Result<Answered> {
        if let Some((digests, filter)) = self.digests.zip(question.cells) {
            let ask = Ask {
                operation: question.operation,
                log: self.log,
                open: question.open,
                range: question.range,
                filter,
                meter: question.meter,
            };
            let mut basis = digests.gather(&ask, tally).await?;
            basis.made_from = MadeFrom::Digests;
            return Ok(Answered { basis, gone: basis.holes });
        }
        let mut seen = Seen { ids: SeenIds::new(), duplicates: 0 };
        let mut answered = match self.by_index(question, &mut seen, tally).await? {
            Some(answered) => answered,
            None => self.by_scan(question, &mut seen, tally).await?,
        };
        answered.basis.duplicates = Some(seen.duplicates);
        Ok(answered)
    }

    /// From what an index names in the range, and what it doesn't cover; `None`
    /// where there is none for the filter.
    async fn by_index(
        &self,
        question: &Question<'_>,
        seen: &mut Seen,
        tally: &mut impl Tally,
    ) -> Result<Option<Answered>> {
        let Question { open, meter, .. } = question;
        let told = |error: Error| error.in_operation(question.operation);
        let options = ReadEvents::default().with_filter(question.filter.clone());
        let asked = (options, &question.range);
        let indexed = self.log.read_indexed(open, self.indexes, asked, meter).await;
        let Some(mut items) = indexed.map_err(told)? else { return Ok(None) };
        let (mut malformed, mut gone) = (0, 0);
        while let Some(item) = items.next().await {
            match self.log.counts(item.map_err(told)?) {
                EventItem::Event(recorded) => seen.show(&recorded, tally)?,
                EventItem::Malformed(_) => malformed += 1,
                EventItem::Gap { from, to } => gone += to.saturating_sub(from) + 1,
                _ => {}
            }
        }
        let mut answered = Answered::of_log(question, gone);
        answered.basis.made_from = MadeFrom::Index;
        answered.basis.from_index = meter.named();
        (answered.basis.read, answered.basis.malformed) = (meter.read(), malformed);
        Ok(Some(answered))
    }

    /// From one pass over what the filter lets through.
    ///
    /// The asked range bounds nothing that is read in it: an event may be
    /// stored long after it happened. What the filter says of type, job and
    /// the time of storing does.
    async fn by_scan(
        &self,
        question: &Question<'_>,
        seen: &mut Seen,
        tally: &mut impl Tally,
    ) -> Result<Answered> {
        let Question { operation, open, filter, meter, .. } = question;
        let scan = Scan::of(operation, self.log, filter, meter);
        let end = scan.run(self.log, open, |recorded| seen.show(&recorded, tally)).await?;
        let mut answered = Answered::of_log(question, end.gone);
        (answered.basis.read, answered.basis.malformed) = (end.read, end.malformed);
        Ok(answered)
    }
}

impl Answered {
    /// From the log alone, of which so many sequences went while it was read.
    fn of_log(question: &Question<'_>, gone: u64) -> Self {
        let mut basis = question.open.basis();
        if basis.through > 0 {
            basis.holes = gone_before(question.open, question.filter) + gone;
        }
        Self { basis, gone }
    }
}

/// How many sequences left the log before its first message that a filter may
/// have meant. What went before that was stored before it too: nothing of it is
/// missed where only what was stored later is meant.
pub(crate) fn gone_before(open: &OpenLog, filter: &Filter) -> u64 {
    let state = &open.info.state;
    let is_later = |since| state.first_time.is_some_and(|first| first < since);
    if filter.stored_range().0.is_some_and(is_later) {
        return 0;
    }
    state.first_sequence.saturating_sub(1)
}

/// Finds events that are stored more than once.
struct Seen {
    ids: SeenIds,
    duplicates: u64,
}

impl Seen {
    /// Shows a tally an event, and looks whether it was counted before.
    fn show(&mut self, recorded: &RecordedEvent, tally: &mut impl Tally) -> Result<()> {
        if tally.event(recorded) {
            self.duplicates += u64::from(!self.ids.is_first(&recorded.event));
        }
        tally.check()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use naq_core::clock::ManualClock;
    use naq_core::config::{EventsConfig, SubjectLayout};
    use naq_core::connection::SingleJetStream;
    use naq_core::events::{
        AnalyticsRequest, Bucket, Event, EventSubjects, QueryAnswer, QueryRequest, ScanLimits,
        StatsRequest, TopErrorsRequest,
    };
    use naq_core::jetstream::{JetStream, PublishMessage, PurgeKeep, PurgeOptions, StreamConfig};
    use naq_core::{ErrorKind, Timestamp};
    use naq_memory::MemoryJetStream;

    use super::*;
    use crate::read::Limits;
    use crate::top_errors::Bounds;
    use crate::{analytics, explain_query, grouped, stats, top_errors};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_nanos(second * 1_000_000_000)
    }

    fn log(js: Arc<dyn JetStream>, clock: Arc<ManualClock>) -> Log {
        let connections = SingleJetStream::provider(js);
        let subjects = EventSubjects::new("events", SubjectLayout::Entity).unwrap();
        let limits = Limits::of(&EventsConfig::default());
        Log::new(connections, clock, "events", subjects, limits)
    }

    #[tokio::test]
    async fn of_what_is_stored_twice_only_what_is_counted_is_told() {
        let js: Arc<dyn JetStream> = Arc::new(MemoryJetStream::new());
        js.create_stream(StreamConfig::new("events", ["events.>"])).await.unwrap();
        // Too early, too short, and meant; each stored twice.
        for (second, duration) in [(10, 9.0), (700, 1.0), (720, 5.0)] {
            let event = Event::job_failed("job", "disk is full", duration);
            let mut event = event.with_timestamp(at(second));
            event.id = Some(format!("id-{second}").into());
            let payload = serde_json::to_vec(&event).unwrap();
            for _ in 0..2 {
                let message = PublishMessage::new("events.job_failed.job", payload.clone());
                js.publish(message).await.unwrap();
            }
        }
        let log = log(js, Arc::new(ManualClock::starting_at(at(1_000))));
        let sources = Sources { log: &log, digests: None, indexes: None };
        let meter = || log.meter("test", ScanLimits::default());
        let filter = || Filter::parse("duration > 2").unwrap();
        let (start, end) = (Some(at(600)), Some(at(900)));
        let request = StatsRequest::default().with_filter(filter()).with_range(start, end);
        let stats = stats::stats(sources, &meter(), request).await.unwrap();
        assert_eq!((stats.total_events, stats.basis.duplicates), (2, Some(1)));
        let request = AnalyticsRequest::new("job_failed").with_filter(filter());
        let request = request.with_range(start, end);
        let figures = analytics::analytics(sources, &meter(), request).await.unwrap();
        assert_eq!(figures.basis.duplicates, Some(1));
        let request = QueryRequest::new(filter()).with_range(start, end);
        let rows = grouped::query(sources, &meter(), request).await.unwrap();
        assert_eq!(rows.basis.duplicates, Some(1));
        let request = TopErrorsRequest::default().with_filter(filter()).with_range(start, end);
        let errors = top_errors::top_errors(sources, &meter(), request).await.unwrap();
        assert_eq!((errors.total, errors.basis.duplicates), (2, Some(1)));
    }

    #[tokio::test]
    async fn the_log_is_gone_through_twice_by_as_much_as_is_allowed_each_time() {
        let js: Arc<dyn JetStream> = Arc::new(MemoryJetStream::new());
        js.create_stream(StreamConfig::new("events", ["events.>"])).await.unwrap();
        for error in ["disk is full", "reset by peer", "no route", "no route"] {
            let event = Event::job_failed("job", error, 1.0).with_timestamp(at(10));
            let payload = serde_json::to_vec(&event).unwrap();
            js.publish(PublishMessage::new("events.job_failed.job", payload)).await.unwrap();
        }
        let log = log(js, Arc::new(ManualClock::starting_at(at(1_000))));
        let sources = Sources { log: &log, digests: None, indexes: None };
        let request =
            || TopErrorsRequest::default().with_filter(Filter::parse("type = job_failed").unwrap());
        let bounds = Bounds { groups: 1, counted: 8 };
        let ask = async |messages| {
            let meter = log.meter("test", ScanLimits::default().with_max_messages(messages));
            top_errors::ranked(sources, &meter, request(), bounds).await
        };
        let answer = ask(4).await.unwrap();
        assert_eq!((answer.errors[0].fingerprint.as_str(), answer.total), ("no route", 2));
        assert_eq!((answer.unlisted, answer.unlisted_at_most, answer.basis.read), (2, 1, 4));
        assert!(ask(3).await.unwrap_err().is(ErrorKind::LimitReached));
    }

    #[tokio::test]
    async fn an_answer_of_too_many_rows_is_refused_when_there_are_too_many() {
        let most = QueryAnswer::MAX_ROWS as u64;
        let js: Arc<dyn JetStream> = Arc::new(MemoryJetStream::new());
        js.create_stream(StreamConfig::new("events", ["events.>"])).await.unwrap();
        for minute in 0..most + 9 {
            let at = at(60 * minute.cast_signed());
            let payload = serde_json::to_vec(&Event::log("x").with_timestamp(at)).unwrap();
            js.publish(PublishMessage::new("events.log", payload)).await.unwrap();
        }
        let provider = SingleJetStream::provider(Arc::clone(&js));
        let digests = Digests::new(Arc::new(naq_kv::KvStoreService::new(provider)), "events");
        let log = log(js, Arc::new(ManualClock::starting_at(at(0))));
        for (digests, filter) in [(None, "not exists duration"), (Some(&digests), "type = log")] {
            let sources = Sources { log: &log, digests, indexes: None };
            let meter = log.meter("test", ScanLimits::default());
            let request = QueryRequest::new(Filter::parse(filter).unwrap());
            let request = request.with_bucket(Bucket::Minute);
            let error = grouped::query(sources, &meter, request).await.unwrap_err();
            assert!(error.is(ErrorKind::LimitReached), "{error}");
            assert_eq!(meter.read(), most + 1, "{filter}");
        }
    }

    #[tokio::test]
    async fn what_went_before_the_time_that_is_asked_for_is_not_missed() {
        let clock = Arc::new(ManualClock::starting_at(at(0)));
        let builder = MemoryJetStream::builder().clock(Arc::clone(&clock) as _);
        let js: Arc<dyn JetStream> = Arc::new(builder.build());
        js.create_stream(StreamConfig::new("events", ["events.>"])).await.unwrap();
        for _ in 0..5 {
            clock.advance(Duration::from_secs(100));
            let message = PublishMessage::new("events.log", r#"{"type":"log","duration":3}"#);
            js.publish(message).await.unwrap();
        }
        // The first that is left was stored at second 300.
        js.purge_stream("events", PurgeOptions::default().with_keep(PurgeKeep::FromSequence(3)))
            .await
            .unwrap();
        let log = log(js, clock);
        let sources = Sources { log: &log, digests: None, indexes: None };
        for (since, expected) in [(None, 2), (Some(200), 2), (Some(300), 2), (Some(301), 0)] {
            let filter = Filter::parse("duration > 2").unwrap();
            let filter = since.map_or(filter.clone(), |since| filter.stored_since(at(since)));
            let request = QueryRequest::new(filter);
            let explained = explain_query::explain(sources, &request).await.unwrap();
            let meter = log.meter("test", ScanLimits::default());
            let rows = grouped::query(sources, &meter, request).await.unwrap();
            assert_eq!((explained.holes, rows.basis.holes), (expected, expected), "{since:?}");
        }
    }
}
