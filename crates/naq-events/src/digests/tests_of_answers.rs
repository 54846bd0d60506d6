//! Answers from blocks that are put together.

use std::collections::BTreeSet;
use std::sync::Arc;

use naq_core::Timestamp;
use naq_core::clock::ManualClock;
use naq_core::config::EventsConfig;
use naq_core::connection::{ConnectionProvider, SingleJetStream};
use naq_core::events::{
    AnalyticsRequest, AnswerBasis, Bucket, Event, EventAnalytics, EventStats, EventSubjects,
    Filter, GroupBy, Measure, MeasuredField, Position, QueryAnswer, QueryRequest, RecordedEvent,
    ScanLimits, StatsRequest, TopErrors, TopErrorsRequest,
};
use naq_core::jetstream::{JetStream, PublishMessage, PurgeKeep, PurgeOptions};
use naq_core::kv::KvStore;
use naq_kv::KvStoreService;
use naq_memory::MemoryJetStream;

use super::cell::{Key, Minute, Name};
use super::digest::{BLOCK, Digest, block_start};
use super::draft::Draft;
use super::encode::encode;
use super::hours::Grain;
use super::kept::Digests;
use crate::answer::Sources;
use crate::read::{Limits, Log};
use crate::{EventService, analytics, grouped, stats, top_errors};

const MINUTE: i64 = 60_000_000_000;

/// A log whose events are known from digests, but for those behind the blocks.
pub(super) struct Gone {
    js: Arc<MemoryJetStream>,
    pub(super) config: EventsConfig,
    pub(super) created: Timestamp,
    random: fastrand::Rng,
    /// The first sequence of the log.
    pub(super) first: u64,
    /// How many minutes its events are apart from first to last, about.
    minutes: i64,
}

impl Gone {
    /// So many blocks of a log that begins behind them, without digests.
    pub(super) async fn blocks(blocks: u64) -> Self {
        Self::with(fastrand::Rng::with_seed(0), block_start(blocks)).await
    }

    async fn with(random: fastrand::Rng, first: u64) -> Self {
        let (js, config) = (Arc::new(MemoryJetStream::new()), EventsConfig::default());
        let stream = EventService::stream_config(&config).unwrap().with_first_sequence(first);
        let created = js.create_stream(stream).await.unwrap().created;
        Self { js, config, created, random, first, minutes: 0 }
    }

    /// Some blocks with digests; in some logs the last one's has seen only a part
    /// of it, and the log still has its end.
    pub(super) async fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let blocks = random.u64(2..20);
        let minutes = random.i64(1..40) * blocks.cast_signed();
        let there = if random.bool() { random.u64(1..60) } else { 0 };
        let mut gone = Self::with(random, block_start(blocks) - there).await;
        gone.minutes = minutes;
        let digests = gone.asked_nothing();
        for block in 0..blocks - u64::from(there > 0) {
            if gone.random.u8(..20) == 0 {
                continue;
            }
            let digest = gone.digest(block, blocks);
            digests.store().save(&digest, encode(&digest), ((0, 0), (0, 0)), 1).await.unwrap();
        }
        let more = gone.random.u64(0..4);
        let stored = gone.store(there + more).await;
        if there > 0 {
            let mut draft = Draft::new(gone.created, blocks - 1);
            for sequence in (block_start(blocks - 1)..).take(9) {
                let event = gone.event(minutes);
                draft.observe(&gone.recorded(sequence, &event));
            }
            let seen = gone.random.u64(..there) as usize;
            for (event, sequence) in stored.iter().zip(gone.first..).take(seen) {
                draft.observe(&gone.recorded(sequence, event));
            }
            let (digest, bytes) = draft.seal();
            digests.store().save(&digest, bytes, ((0, 0), (0, 0)), 1).await.unwrap();
        }
        gone
    }

    /// Stores so many events at the log's end.
    async fn store(&mut self, events: u64) -> Vec<Event> {
        let events: Vec<_> = (0..events).map(|_| self.event(self.minutes)).collect();
        for event in &events {
            let subject = format!("{}.{}", self.config.subject_root, event.event_type);
            let payload = serde_json::to_vec(event).unwrap();
            self.js.publish(PublishMessage::new(subject, payload)).await.unwrap();
        }
        events
    }

    /// Limits take some of what is there; what has been counted is kept before.
    async fn lose(&mut self, digests: &Digests) {
        digests.checkpoint(self.created, 1).await.unwrap();
        let name = &self.config.stream_name;
        let state = self.js.stream_info(name).await.unwrap().state;
        let from = self.random.u64(state.first_sequence..=state.last_sequence + 1);
        let options = PurgeOptions::default().with_keep(PurgeKeep::FromSequence(from));
        self.js.purge_stream(name, options).await.unwrap();
    }

    fn connections(&self) -> Arc<dyn ConnectionProvider> {
        SingleJetStream::provider(Arc::clone(&self.js) as Arc<dyn JetStream>)
    }

    /// Those of somebody who has just been started.
    pub(super) fn asked_nothing(&self) -> Digests {
        let kv: Arc<dyn KvStore> = Arc::new(KvStoreService::new(self.connections()));
        Digests::new(kv, &self.config.stream_name)
    }

    pub(super) fn log(&self) -> Log {
        let clock = Arc::new(ManualClock::starting_at(self.at(2 * self.minutes, 0)));
        let subjects = EventSubjects::default();
        let limits = Limits::of(&self.config);
        Log::new(self.connections(), clock, &self.config.stream_name, subjects, limits)
    }

    pub(super) fn at(&self, minute: i64, nanos: i64) -> Timestamp {
        Timestamp::from_nanos(1_764_000_000_000_000_000 + minute * MINUTE + nanos)
    }

    /// An event about so many minutes behind the first.
    fn event(&mut self, minute: i64) -> Event {
        let random = &mut self.random;
        let kinds = ["job_failed", "job_completed", "custom", "events_lost"];
        let mut event = Event::new(kinds[random.usize(..kinds.len())]);
        let name = |random: &mut fastrand::Rng, kind: &str| {
            random.bool().then(|| format!("{kind}-{}", random.u8(..5)).into())
        };
        event.queue = name(random, "queue");
        event.job_name = name(random, "name");
        event.success = random.bool().then(|| random.bool());
        event.duration = random.bool().then(|| f64::from(random.u32(..1_000)) / 64.0);
        event.queue_wait = random.bool().then(|| f64::from(random.u32(..1_000)) / 64.0);
        event.error =
            random.bool().then(|| format!("error {}", ["a", "b", "c"][random.usize(..3)]).into());
        event.job_id = Some(format!("job-{}", random.u8(..9)).into());
        event.custom.insert("count".to_owned(), 3.into());
        // Some come late, or from a clock that is wrong.
        let minute = match random.u8(..20) {
            0 => minute - 600,
            1 => minute + 3_000,
            _ => minute + random.i64(-2..40),
        };
        let nanos = random.i64(0..MINUTE);
        event.with_timestamp(self.at(minute, nanos))
    }

    /// An event as it was stored there.
    pub(super) fn recorded(&self, sequence: u64, event: &Event) -> RecordedEvent {
        let payload = serde_json::to_vec(event).unwrap();
        let position = Position::new(self.created, sequence);
        let (at, subject) = (event.timestamp.unwrap(), "events.x".to_owned());
        RecordedEvent::decode(position, at, subject, payload.into()).unwrap()
    }

    /// A digest of a block that is whole, but for one in some that has holes.
    fn digest(&mut self, block: u64, blocks: u64) -> Digest {
        let mut draft = Draft::new(self.created, block);
        let minute = self.minutes * block.cast_signed() / blocks.cast_signed();
        // Of some there is more than can be told one by one.
        let (events, is_alike) = match self.random.u8(..8) {
            0 => (1_100, true),
            1 => (0, false),
            _ => (self.random.u64(1..40), false),
        };
        let mut before = None;
        for number in 0..events {
            let mut event = self.event(minute);
            // Some are stored more than once.
            event.id = Some(number.to_string().into());
            event = before.take_if(|_| self.random.u8(..5) == 0).unwrap_or(event);
            if is_alike {
                event = Event::log("x").with_timestamp(self.at(minute, number.cast_signed()));
            }
            draft.observe(&self.recorded(block_start(block) + number, &event));
            before = Some(event);
        }
        draft.malformed(block_start(block) + events);
        draft.reach(block_start(block) + BLOCK - 1);
        let (mut digest, _) = draft.seal();
        if self.random.u8(..12) > 0 {
            digest.seen = BLOCK;
        }
        match self.random.u8(..12) {
            0 => digest.regrouped(|key| Key { job_name: dropped(key.job_name), ..key }),
            1 => digest.regrouped(|key| Key { minute: Minute::APART, ..key }),
            2 if events > 0 => Digest { unlisted_errors: 7, ..digest },
            5 => Digest { tells_repeats: false, ..digest },
            3 => digest.coarser(Grain::Hour),
            4 => digest.coarser(Grain::Day),
            _ => digest,
        }
    }

    /// A range of whole minutes or of any, open at some of its ends.
    fn range(&mut self) -> (Option<Timestamp>, Option<Timestamp>) {
        let whole = self.random.bool();
        let mut end = |is_end: bool| {
            let minute = self.random.i64(-10..self.minutes + 40);
            let nanos = if is_end { MINUTE - 1 } else { 0 };
            let nanos = if whole { nanos } else { self.random.i64(0..MINUTE) };
            (self.random.u8(..3) > 0).then_some((minute, nanos))
        };
        let (start, end) = (end(false), end(true));
        let (start, end) = if end.is_some() && start > end { (None, end) } else { (start, end) };
        let at = |(minute, nanos)| self.at(minute, nanos);
        (start.map(at), end.map(at))
    }

    pub(super) fn question(&mut self) -> Question {
        let filters =
            ["", "type = job_completed", "not exists queue", "job_name = name-1 or success = true"];
        let filter = Filter::parse(filters[self.random.usize(1..filters.len())]).unwrap();
        let filter = if self.random.bool() { Filter::new() } else { filter };
        let (start, end) = self.range();
        match self.random.u8(..4) {
            0 => {
                Question::Stats(StatsRequest::default().with_filter(filter).with_range(start, end))
            }
            1 => {
                let request = AnalyticsRequest::new("job_completed").with_filter(filter);
                Question::Analytics(request.with_range(start, end))
            }
            2 => {
                let request = TopErrorsRequest::default().with_range(start, end);
                let since = self.range().0.filter(|_| self.random.bool());
                Question::TopErrors(match since {
                    Some(since) => request.with_new_since(since),
                    None => request,
                })
            }
            _ => {
                let mut groups =
                    vec![GroupBy::Type, GroupBy::Queue, GroupBy::JobName, GroupBy::Outcome];
                self.random.shuffle(&mut groups);
                groups.truncate(self.random.usize(..3));
                let of = if self.random.bool() {
                    MeasuredField::Duration
                } else {
                    MeasuredField::QueueWait
                };
                let request = QueryRequest::new(filter)
                    .with_range(start, end)
                    .with_group_by(groups)
                    .with_measures([
                        Measure::Count,
                        Measure::Rate,
                        Measure::SuccessRate,
                        Measure::Mean(of),
                        Measure::Min(of),
                        Measure::Max(of),
                        Measure::Percentile(950, of),
                    ]);
                Question::Query(match self.random.usize(..4) {
                    0 => request,
                    bucket => request.with_bucket(Bucket::ALL[bucket - 1]),
                })
            }
        }
    }
}

fn dropped(name: Name) -> Name {
    if name == Name::Absent { name } else { Name::Dropped }
}

#[derive(Debug, Clone)]
pub(super) enum Question {
    Stats(StatsRequest),
    Analytics(AnalyticsRequest),
    TopErrors(TopErrorsRequest),
    Query(QueryRequest),
}

#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Stats(EventStats),
    Analytics(EventAnalytics),
    TopErrors(TopErrors),
    Query(QueryAnswer),
}

impl Question {
    pub(super) async fn ask(&self, log: &Log, digests: &Digests) -> Answer {
        let from = Sources { log, digests: Some(digests), indexes: None };
        let meter = log.meter("ask", ScanLimits::default());
        match self.clone() {
            Self::Stats(request) => {
                Answer::Stats(stats::stats(from, &meter, request).await.unwrap())
            }
            Self::Analytics(request) => {
                Answer::Analytics(analytics::analytics(from, &meter, request).await.unwrap())
            }
            Self::TopErrors(request) => {
                Answer::TopErrors(top_errors::top_errors(from, &meter, request).await.unwrap())
            }
            Self::Query(request) => {
                Answer::Query(grouped::query(from, &meter, request).await.unwrap())
            }
        }
    }
}

impl Answer {
    /// The same whatever of it was read: what was once is counted on from.
    pub(super) fn read_or_not(mut self) -> Self {
        let basis = self.basis();
        basis.from_digests += std::mem::take(&mut basis.read);
        self
    }

    pub(super) fn basis(&mut self) -> &mut AnswerBasis {
        match self {
            Self::Stats(answer) => &mut answer.basis,
            Self::Analytics(answer) => &mut answer.basis,
            Self::TopErrors(answer) => &mut answer.basis,
            Self::Query(answer) => &mut answer.basis,
        }
    }
}

#[tokio::test]
async fn blocks_put_together_answer_as_their_digests_do_one_by_one() {
    let (mut longest, mut repeats) = (0, BTreeSet::new());
    for seed in 0..16 {
        let mut gone = Gone::new(seed).await;
        let (log, asked_before) = (gone.log(), gone.asked_nothing());
        for number in 0..30 {
            match gone.random.u8(..10) {
                0 => gone.lose(&asked_before).await,
                1..4 => drop(gone.store(3).await),
                _ => {}
            }
            let question = gone.question();
            let expected = question.ask(&log, &gone.asked_nothing()).await.read_or_not();
            let mut got = question.ask(&log, &asked_before).await.read_or_not();
            repeats.insert(got.basis().duplicates);
            assert_eq!(got, expected, "log {seed}, question {number}: {question:?}");
        }
        longest = longest.max(asked_before.kept(gone.created).levels());
    }
    assert!(longest > 3, "no more than {longest} levels of runs");
    assert!(repeats.len() > 9 && repeats.contains(&None), "{repeats:?}");
}

#[tokio::test]
async fn a_quiet_log_is_told_to_the_minute_and_below_when_its_events_are_gone() {
    const APART: i64 = MINUTE / 5;
    let mut gone = Gone::with(fastrand::Rng::with_seed(0), 1).await;
    gone.minutes = (BLOCK + 10).cast_signed() / 5;
    let kinds = ["job_enqueued", "job_started", "job_completed"];
    for number in 0..(BLOCK + 10) {
        let event = Event::new(kinds[number as usize % kinds.len()])
            .with_timestamp(gone.at(0, number.cast_signed() * APART));
        let subject = format!("{}.{}", gone.config.subject_root, event.event_type);
        let payload = serde_json::to_vec(&event).unwrap();
        gone.js.publish(PublishMessage::new(subject, payload)).await.unwrap();
    }
    // Some hours, not of whole minutes.
    let (start, end) = (gone.at(3_000, APART), gone.at(3_200, 3 * APART));
    let within = (200 * 5 + 3) as u64;
    let range = StatsRequest::default().with_range(Some(start), Some(end));
    let by_day = QueryRequest::new(Filter::new()).with_bucket(Bucket::Day);
    let questions = [Question::Stats(range), Question::Query(by_day)];
    let (log, digests) = (gone.log(), gone.asked_nothing());
    let mut told = Vec::new();
    for (number, question) in questions.iter().enumerate() {
        let mut answer = question.ask(&log, &digests).await;
        let read = if number == 0 { BLOCK + 10 } else { 0 };
        assert_eq!((answer.basis().read, answer.basis().undecided), (read, 0), "{question:?}");
        if let Answer::Stats(stats) = &answer {
            assert_eq!(stats.total_events, within);
        }
        told.push(answer);
    }
    digests.checkpoint(gone.created, 1).await.unwrap();
    let all = PurgeOptions::default();
    gone.js.purge_stream(&gone.config.stream_name, all).await.unwrap();
    for (question, told) in questions.iter().zip(told) {
        match (question.ask(&log, &gone.asked_nothing()).await, told) {
            (Answer::Stats(got), Answer::Stats(told)) => {
                assert_eq!((got.total_events, got.basis.undecided), (told.total_events, 0));
            }
            (Answer::Query(got), Answer::Query(told)) => {
                assert_eq!((&got.rows, got.basis.undecided), (&told.rows, 0));
                let counts = got.rows.iter().filter_map(|row| row.values.first()?.as_ref());
                assert_eq!(counts.sum::<f64>(), (BLOCK + 10) as f64);
            }
            (got, _) => panic!("{got:?}"),
        }
    }
}
