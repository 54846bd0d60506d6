//! Statistics from digests are those of the whole log, whatever became of digests and log.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use naq_core::Timestamp;
use naq_core::clock::SystemClock;
use naq_core::config::{EventsConfig, Size};
use naq_core::connection::SingleJetStream;
use naq_core::events::{
    AnalyticsRequest, Bucket, Event, EventAnalytics, EventQuery, EventStats, Filter, GroupBy,
    Measure, MeasuredField, QueryAnswer, QueryRequest, StatsRequest, TopErrors, TopErrorsRequest,
};
use naq_core::jetstream::{JetStream, PublishMessage, PurgeKeep, PurgeOptions};
use naq_core::kv::{KvBucketExt, KvStore};
use naq_core::service::Service;
use naq_events::EventService;
use naq_kv::KvStoreService;
use naq_streams::StreamService;
use naq_tests::behaviours::block_on;
use naq_tests::server::shared;
use naq_tests::{backend, names, wait};

/// A block, and some of the next one.
const EVENTS: u64 = 66_000;
const BLOCK: u64 = 65_536;
const DEADLINE: Duration = Duration::from_secs(600);

#[test]
fn answers_from_digests_are_those_of_the_log_in_memory() {
    block_on(wait::within("the log", DEADLINE, holds(super::memory())));
}

#[test]
fn answers_from_digests_are_those_of_the_log_on_a_server() {
    block_on(wait::within("the log", DEADLINE, async {
        holds(backend::connect(&shared().await.url()).await).await;
    }));
}

#[test]
fn what_was_counted_stays_counted_whatever_leaves_the_log_in_memory() {
    block_on(wait::within("the logs", DEADLINE, async {
        for seed in 0..12 {
            stays_counted(super::memory(), seed).await;
        }
    }));
}

#[test]
fn what_was_counted_stays_counted_whatever_leaves_the_log_on_a_server() {
    block_on(wait::within("the logs", DEADLINE, async {
        let js = backend::connect(&shared().await.url()).await;
        for seed in 100..104 {
            stays_counted(Arc::clone(&js), seed).await;
        }
    }));
}

/// A log of one's own, and those who ask it.
struct Own {
    js: Arc<dyn JetStream>,
    config: EventsConfig,
}

impl Own {
    fn new(js: Arc<dyn JetStream>) -> Self {
        let name = names::unique("digests");
        let config = EventsConfig::default()
            .with_stream_name(name.as_str())
            .with_subject_root(name.as_str())
            .with_max_bytes(Size::from_mib(64));
        Self { js, config }
    }

    async fn service(&self, has_digests: bool) -> Arc<EventService> {
        let connections = SingleJetStream::provider(Arc::clone(&self.js));
        let streams = Arc::new(StreamService::new(Arc::clone(&connections)));
        let clock = Arc::new(SystemClock::new());
        let service = EventService::new(connections, streams, clock, self.config.clone()).unwrap();
        let service = if has_digests { service.with_digests(self.kv()) } else { service };
        service.start().await.unwrap();
        Arc::new(service)
    }

    fn kv(&self) -> Arc<dyn KvStore> {
        Arc::new(KvStoreService::new(SingleJetStream::provider(Arc::clone(&self.js))))
    }

    async fn purge_below(&self, sequence: u64) {
        let options = PurgeOptions::default().with_keep(PurgeKeep::FromSequence(sequence));
        self.js.purge_stream(&self.config.stream_name, options).await.unwrap();
    }

    async fn purge_type(&self, kind: &str) {
        let subject = format!("{}.{kind}", self.config.subject_root);
        let options = PurgeOptions::default().with_subject(subject);
        self.js.purge_stream(&self.config.stream_name, options).await.unwrap();
    }

    /// Stores payloads, each under its type.
    async fn store(&self, events: Vec<Stored>) {
        let root = &self.config.subject_root;
        let count = events.len() as u64;
        let messages: Vec<_> = events
            .into_iter()
            .map(|(kind, payload)| PublishMessage::new(format!("{root}.{kind}"), payload))
            .collect();
        let published = self.js.publish_many(stream::iter(messages).boxed(), Default::default());
        let stored = published.fold(0, async |sum, result| sum + result.unwrap().count()).await;
        assert_eq!(stored, count);
    }

    async fn key_of_block_0(&self) -> String {
        let created = self.js.stream_info(&self.config.stream_name).await.unwrap().created;
        format!("{}.{}.0000000000.v2", self.config.stream_name, created.as_nanos())
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos((1_700_000_000 + seconds) * 1_000_000_000)
}

/// The type of an event, and its payload.
type Stored = (&'static str, Vec<u8>);

const KINDS: [&str; 4] = ["job_started", "job_completed", "job_failed", "log"];

/// Events so many milliseconds apart: a few late ones, clocks that are ten
/// years off, and what is no event.
fn log(random: &mut fastrand::Rng, numbers: Range<u64>, apart: i64) -> Vec<Stored> {
    let mut messages = Vec::new();
    for n in numbers {
        if random.u16(..4_000) == 0 {
            messages.push(("x", b"no event".to_vec()));
            continue;
        }
        let millis = n.cast_signed() * apart;
        let offset = match random.u16(..1_000) {
            0 => 315_360_000,
            1..=10 => -random.i64(0..7_200),
            _ => 0,
        };
        let kind = KINDS[random.usize(..4)];
        let time = at(offset).as_nanos() + millis * 1_000_000;
        let mut event = Event::new(kind).with_timestamp(Timestamp::from_nanos(time));
        if kind != "log" {
            event = event.with_job_id(format!("job-{}", random.u16(..)));
            event = event.with_queue(format!("queue-{}", random.u8(..4)));
            event = event.with_job_name(format!("name-{}", random.u8(..6)));
        }
        if kind == "job_completed" {
            event = event.with_duration(random.f64() * 100.0).with_success(random.u8(..) > 9);
        }
        if kind == "job_failed" {
            let error = ["no route to host", "timeout after", "bad row"][random.usize(..3)];
            event = event.with_error(format!("{error} {n}")).with_duration(0.5);
        }
        messages.push((kind, serde_json::to_vec(&event).unwrap()));
    }
    messages
}

type Times = (Option<Timestamp>, Option<Timestamp>);

fn questions() -> Vec<(&'static str, Times)> {
    let between = |start, end| (Some(at(start)), Some(at(end)));
    // 1,700,000,000 is 20 seconds into its minute.
    vec![
        ("", (None, None)),
        ("", between(1_000, 2_345)),
        ("type = job_completed and queue in (queue-1, queue-2)", (Some(at(-20)), None)),
        ("duration > 50s", (None, Some(at(4_000)))),
    ]
}

async fn stats(service: &EventService, filter: &str, (start, end): Times) -> EventStats {
    let filter = if filter.is_empty() { Filter::new() } else { Filter::parse(filter).unwrap() };
    let request = StatsRequest::default().with_range(start, end).with_filter(filter);
    service.stats(request).await.unwrap()
}

async fn analytics(service: &EventService, (start, end): Times) -> EventAnalytics {
    service.analytics(AnalyticsRequest::new("job_completed").with_range(start, end)).await.unwrap()
}

/// What is counted, without what it was counted from.
fn counted(stats: &EventStats) -> EventStats {
    let mut counted = stats.clone();
    (counted.basis, counted.malformed, counted.gone) = (Default::default(), 0, 0);
    (counted.stream_size, counted.stream_messages, counted.num_subjects) = (0, 0, 0);
    counted.subjects.clear();
    counted
}

fn measured(analytics: &EventAnalytics) -> EventAnalytics {
    let mut measured = analytics.clone();
    (measured.basis, measured.malformed, measured.gone) = (Default::default(), 0, 0);
    measured
}

async fn holds(js: Arc<dyn JetStream>) {
    let own = Own::new(js);
    let slow = own.service(false).await;
    own.store(log(&mut fastrand::Rng::with_seed(7), 0..EVENTS, 82)).await;

    // Nobody has digested anything: the first question reads all, and folds it.
    let fast = own.service(true).await;
    let mut truth = Vec::new();
    for (filter, range) in questions() {
        let (expected, got) =
            (stats(&slow, filter, range).await, stats(&fast, filter, range).await);
        assert_eq!(counted(&got), counted(&expected), "{filter:?} {range:?}");
        assert_eq!(got.basis.through, EVENTS);
        if truth.is_empty() {
            assert_eq!((got.basis.read, got.basis.from_digests), (EVENTS, 0));
            assert_eq!(got.malformed, expected.malformed);
        }
        // A scan takes its time: one of the ranges is measured.
        let mut figures = None;
        if truth.is_empty() {
            let expected = analytics(&slow, range).await;
            assert_eq!(measured(&analytics(&fast, range).await), measured(&expected), "{range:?}");
            figures = Some(expected);
        }
        truth.push((filter, range, expected, figures));
    }
    let whole = &truth[0].2;
    assert!(whole.total_events > EVENTS - 100 && whole.malformed > 0);

    // Another process finds the digest of the block, and reads the rest.
    let other = own.service(true).await;
    let got = stats(&other, "", (None, None)).await;
    assert_eq!(counted(&got), counted(whole));
    assert_eq!((got.basis.from_digests, got.basis.read), (BLOCK, EVENTS - BLOCK));
    assert_eq!((got.malformed, got.basis.holes), (whole.malformed, 0));

    // A damaged one is found, and made anew from the log.
    let bucket = own.kv().bucket("naq_digests").unwrap();
    let key = own.key_of_block_0().await;
    let mut damaged = bucket.get(&key).await.unwrap().unwrap().value.to_vec();
    damaged[2_000] ^= 4;
    bucket.put(&key, damaged).await.unwrap();
    let got = stats(&*own.service(true).await, "", (None, None)).await;
    assert_eq!((counted(&got), got.basis.read), (counted(whole), EVENTS));
    let got = stats(&*own.service(true).await, "", (None, None)).await;
    assert_eq!(got.basis.from_digests, BLOCK);

    // What leaves the log stays counted; a range that ends within a minute
    // says how many events of that minute it can't tell.
    own.purge_below(60_001).await;
    let late = own.service(true).await;
    for (filter, range, expected, figures) in &truth {
        let got = stats(&late, filter, *range).await;
        if filter.contains("duration") {
            assert!(got.total_events < expected.total_events && got.basis.holes == 60_000);
            continue;
        }
        let missing = expected.total_events - got.total_events;
        assert!(missing <= got.basis.undecided, "{filter:?} {range:?} {got:?}");
        assert_eq!((got.basis.holes, got.basis.first_sequence), (0, 60_001));
        if got.basis.undecided == 0 {
            assert_eq!(counted(&got), counted(expected), "{filter:?} {range:?}");
            if let Some(figures) = figures {
                assert_eq!(measured(&analytics(&late, *range).await), measured(figures));
            }
        }
    }
    let got = stats(&late, "", (None, None)).await;
    assert_eq!((counted(&got), got.basis.undecided), (counted(whole), 0));
    let got = stats(&late, "", (Some(at(1_001)), Some(at(1_002)))).await;
    assert!(got.total_events == 0 && got.basis.undecided > 0, "{got:?}");

    // Without its digest, what has left the log is a hole, and is counted as one.
    bucket.delete(&key).await.unwrap();
    let got = stats(&*own.service(true).await, "", (None, None)).await;
    assert_eq!((got.basis.holes, got.gone), (60_000, 60_000));
    assert_eq!(got.total_events + got.malformed, EVENTS - 60_000);

    // The log made anew is another log.
    own.js.delete_stream(&own.config.stream_name).await.unwrap();
    let config = EventService::stream_config(&own.config).unwrap();
    own.js.create_stream(config).await.unwrap();
    own.store(vec![("log", br#"{"type":"log"}"#.to_vec())]).await;
    let got = stats(&late, "", (None, None)).await;
    assert_eq!((got.total_events, got.basis.through, got.basis.holes), (1, 1, 0));
}

/// A log that loses events in every way while it is asked answers as one does
/// that keeps them all and is read from the beginning.
async fn stays_counted(js: Arc<dyn JetStream>, seed: u64) {
    const FILTERS: [&str; 5] = [
        "",
        "type = job_completed",
        "type in (job_failed, log) or queue = queue-2",
        "not exists queue",
        "success = true and job_name != name-3",
    ];
    let mut random = fastrand::Rng::with_seed(seed);
    let (own, whole) = (Own::new(Arc::clone(&js)), Own::new(js));
    let (fast, slow) = (own.service(true).await, whole.service(false).await);
    let mut stored = 0;
    for _ in 0..8 {
        let numbers = stored..stored + random.u64(120..200);
        stored = numbers.end;
        let events = log(&mut random, numbers, 2_000);
        own.store(events.clone()).await;
        whole.store(events).await;
        for _ in 0..4 {
            let filter = FILTERS[random.usize(..FILTERS.len())];
            let is_of_minutes = random.bool();
            let times = some_times(&mut random, is_of_minutes);
            let got = stats(&fast, filter, times).await;
            let expected = stats(&slow, filter, times).await;
            let about = format!("seed {seed}: {filter:?} {times:?}");
            assert_eq!((got.basis.holes, got.basis.through), (0, stored), "{about}");
            let missing = expected.total_events - got.total_events;
            assert!(missing <= got.basis.undecided, "{about}: {got:?}");
            assert!(!is_of_minutes || got.basis.undecided == 0, "{about}: {got:?}");
            if got.basis.undecided == 0 {
                assert_eq!(counted(&got), counted(&expected), "{about}");
                let figures = analytics(&fast, times).await;
                assert_eq!(measured(&figures), measured(&analytics(&slow, times).await), "{about}");
            }
            assert_eq!(errors(&fast, times).await, errors(&slow, times).await, "{about}");
            let request = some_query(&mut random, filter, times);
            let (got, expected) = (query(&fast, &request).await, query(&slow, &request).await);
            if got.basis.undecided == 0 {
                assert_eq!((got.rows, got.unlisted), (expected.rows, 0), "{about}: {request:?}");
            }
        }
        match random.u8(..3) {
            0 => own.purge_below(random.u64(1..=stored + 1)).await,
            1 => own.purge_type(KINDS[random.usize(..KINDS.len())]).await,
            _ => {}
        }
    }
    // What nobody had counted before it left is a hole of just that size.
    own.store(log(&mut random, stored..stored + 60, 2_000)).await;
    own.purge_below(stored + 41).await;
    let got = stats(&fast, "", (None, None)).await;
    assert_eq!((got.basis.holes, got.total_events + got.malformed), (40, stored + 20));
}

/// The errors of a range, without what they were counted from.
async fn errors(service: &EventService, (start, end): Times) -> TopErrors {
    let end = end.unwrap_or(at(400_000_000));
    let request = TopErrorsRequest::default().with_range(start, Some(end));
    let mut errors = service.top_errors(request).await.unwrap();
    errors.basis = Default::default();
    errors
}

async fn query(service: &EventService, request: &QueryRequest) -> QueryAnswer {
    service.query(request.clone()).await.unwrap()
}

/// A question that digests can answer.
fn some_query(random: &mut fastrand::Rng, filter: &str, (start, end): Times) -> QueryRequest {
    let filter = if filter.is_empty() { Filter::new() } else { Filter::parse(filter).unwrap() };
    let mut groups = vec![GroupBy::Type, GroupBy::Queue, GroupBy::JobName, GroupBy::Outcome];
    random.shuffle(&mut groups);
    groups.truncate(random.usize(0..=3));
    let of = MeasuredField::Duration;
    // An open end would be another instant for each of the two who are asked.
    let request = QueryRequest::new(filter)
        .with_range(start, Some(end.unwrap_or(at(400_000_000))))
        .with_group_by(groups)
        .with_measures([
            Measure::Count,
            Measure::Rate,
            Measure::SuccessRate,
            Measure::Mean(of),
            Measure::Percentile(990, of),
        ]);
    match random.usize(0..5) {
        // A minute's buckets of ten years are too many, unless the range has no start.
        0 if start.is_none() => request.with_bucket(Bucket::Minute),
        1 => request.with_bucket(Bucket::Day),
        _ => request,
    }
}

/// A range of whole minutes, or one that ends within them.
fn some_times(random: &mut fastrand::Rng, is_of_minutes: bool) -> Times {
    const MINUTE: i64 = 60_000_000_000;
    let mut end = |offset: i64| {
        let nanos = at(random.i64(-3_600..3_600)).as_nanos();
        let minute = nanos - nanos.rem_euclid(MINUTE);
        let nanos = if is_of_minutes { minute + offset } else { nanos };
        random.bool().then(|| Timestamp::from_nanos(nanos))
    };
    let (start, end) = (end(0), end(MINUTE - 1));
    if start > end && end.is_some() { (end.map(|_| at(-3_620)), end) } else { (start, end) }
}
