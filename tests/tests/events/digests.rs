//! Statistics from digests are those of the whole log, whatever became of digests and log.

use std::sync::Arc;
use std::time::Duration;

use naq_core::Timestamp;
use naq_core::events::{
    AnalyticsRequest, Event, EventAnalytics, EventQuery, EventStats, Filter, StatsRequest,
};
use naq_core::jetstream::JetStream;
use naq_core::kv::KvBucketExt;
use naq_events::EventService;
use naq_tests::behaviours::block_on;
use naq_tests::own_log::{DIGESTS, Keeps, OwnLog, Payload};
use naq_tests::server::shared;
use naq_tests::{backend, wait};

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

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos((1_700_000_000 + seconds) * 1_000_000_000)
}

const KINDS: [&str; 4] = ["job_started", "job_completed", "job_failed", "log"];

/// Events 82 milliseconds apart: a few late ones, clocks that are ten years
/// off, and what is no event.
fn log(random: &mut fastrand::Rng) -> Vec<Payload> {
    let mut messages = Vec::new();
    for n in 0..EVENTS {
        if random.u16(..4_000) == 0 {
            messages.push(("x", b"no event".to_vec()));
            continue;
        }
        let millis = n.cast_signed() * 82;
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
        // Within a minute, whose events are kept one by one.
        ("", between(1_001, 1_002)),
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
    let own = OwnLog::new(js, "digests");
    let slow = own.service(Keeps::Nothing).await;
    own.store(log(&mut fastrand::Rng::with_seed(7))).await;

    // Nobody has digested anything: the first question reads all, and folds it.
    let fast = own.service(Keeps::Digests).await;
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
    let other = own.service(Keeps::Digests).await;
    let got = stats(&other, "", (None, None)).await;
    assert_eq!(counted(&got), counted(whole));
    assert_eq!((got.basis.from_digests, got.basis.read), (BLOCK, EVENTS - BLOCK));
    assert_eq!((got.malformed, got.basis.holes), (whole.malformed, 0));

    // A damaged one is found, and made anew from the log.
    let bucket = own.bucket(DIGESTS);
    let [key] = &own.kept(DIGESTS).await[..] else { panic!("one whole block is kept") };
    let mut damaged = bucket.get(key).await.unwrap().unwrap().value.to_vec();
    damaged[2_000] ^= 4;
    bucket.put(key, damaged).await.unwrap();
    let got = stats(&*own.service(Keeps::Digests).await, "", (None, None)).await;
    assert_eq!((counted(&got), got.basis.read), (counted(whole), EVENTS));
    let got = stats(&*own.service(Keeps::Digests).await, "", (None, None)).await;
    assert_eq!(got.basis.from_digests, BLOCK);

    // What leaves the log stays counted, within a minute too.
    own.purge_below(60_001).await;
    let late = own.service(Keeps::Digests).await;
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

    // Without its digest, what has left the log is a hole, and is counted as one.
    bucket.delete(key).await.unwrap();
    let got = stats(&*own.service(Keeps::Digests).await, "", (None, None)).await;
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
