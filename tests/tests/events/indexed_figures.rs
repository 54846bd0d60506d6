//! Figures by an index are those of the whole log, and read little of it.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use naq_core::Timestamp;
use naq_core::clock::{Clock, SystemClock};
use naq_core::events::{
    AnalyticsRequest, AnswerBasis, Bucket, EventQuery, Filter, GroupBy, MadeFrom, Measure,
    QueryRequest, StatsRequest, TopErrorsRequest,
};
use naq_core::jetstream::{JetStream, PurgeKeep, PurgeOptions};
use naq_events::EventService;
use naq_tests::behaviours::block_on;
use naq_tests::own_log::{Keeps, OwnLog};
use naq_tests::server::shared;
use naq_tests::{backend, wait};

use super::indexes::{build, log};

const DEADLINE: Duration = Duration::from_secs(600);

#[test]
fn figures_by_an_index_are_those_of_the_log_in_memory() {
    block_on(wait::within("the logs", DEADLINE, async {
        for seed in 0..8 {
            agrees(super::memory(), seed).await;
        }
    }));
}

#[test]
fn figures_by_an_index_are_those_of_the_log_on_a_server() {
    block_on(wait::within("the log", DEADLINE, async {
        agrees(backend::connect(&shared().await.url()).await, 100).await;
    }));
}

#[test]
fn a_range_of_time_leaves_out_blocks_of_an_index_in_memory() {
    block_on(wait::within("the log", DEADLINE, leaves_out(super::memory())));
}

#[test]
fn a_range_of_time_leaves_out_blocks_of_an_index_on_a_server() {
    block_on(wait::within("the log", DEADLINE, async {
        leaves_out(backend::connect(&shared().await.url()).await).await;
    }));
}

/// A log whose events happened long ago, or don't say when.
async fn leaves_out(js: Arc<dyn JetStream>) {
    let own = OwnLog::new(js, "indexes");
    let (fast, slow) = (own.service(Keeps::Indexes).await, own.service(Keeps::Nothing).await);
    let mut events = log(&mut fastrand::Rng::with_seed(9), 0..1_000);
    let malformed = events.iter().filter(|(_, payload)| payload == b"no event").count() as u64;
    own.store(events.clone()).await;
    fast.create_event_index("workers", &["worker_id"]).await.unwrap();
    build(&fast, "workers").await;
    let filter = || Filter::parse("worker_id ~ /^w[1-4]$/").unwrap();
    let second = Duration::from_secs(1);
    let ask = async |start: Option<Timestamp>, end: Option<Timestamp>| {
        let (stats, basis) = same(&fast, &slow, async |service| {
            let request = StatsRequest::default().with_range(start, end).with_filter(filter());
            let mut stats = service.stats(request).await.unwrap();
            let basis = std::mem::take(&mut stats.basis);
            (stats, basis)
        })
        .await;
        let request = QueryRequest::new(filter()).with_range(start, end);
        let explained = fast.explain_query(request).await.unwrap();
        assert_eq!(explained.messages_at_most, basis.read);
        assert_eq!((basis.made_from, basis.malformed), (MadeFrom::Index, malformed));
        (stats.total_events, basis.read)
    };
    // They happened in one second.
    let begun = Timestamp::from_nanos(1_700_000_000_000_000_000);
    let last = begun.saturating_add(second);
    let (all, read) = ask(None, None).await;
    assert!(all > 10 && read >= all + malformed, "{all} of {read}");
    assert_eq!(ask(Some(begun), Some(last)).await, (all, read));
    assert_eq!(ask(Some(last.saturating_add(second)), None).await, (0, malformed));
    assert_eq!(ask(None, Some(begun.saturating_sub(second))).await, (0, malformed));
    // One without a time of its own happened when it was stored: just now.
    let asked_at = SystemClock::new().now().saturating_sub(60 * second);
    events.clear();
    events.push(("job_started", br#"{"type":"job_started","worker_id":"w1"}"#.to_vec()));
    own.store(events).await;
    build(&fast, "workers").await;
    assert_eq!(ask(Some(asked_at), None).await.0, 1);
    assert_eq!(ask(None, Some(begun.saturating_sub(second))).await, (0, malformed));
}

/// The rare ones first.
const FILTERS: [&str; 8] = [
    "worker_id = w17",
    "worker_id in (w1, w2) and duration > 20s",
    "n in 100..130",
    "worker_id = w3 and type = job_failed",
    "worker_id = nobody",
    "worker_id != w4",
    "n < 50 or worker_id = w9",
    "exists worker_id and not queue = q2",
];

async fn agrees(js: Arc<dyn JetStream>, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let own = OwnLog::new(js, "indexes");
    let (fast, slow) = (own.service(Keeps::Indexes).await, own.service(Keeps::Nothing).await);
    own.store(log(&mut random, 0..2_000)).await;
    fast.create_event_index("workers", &["worker_id", "n"]).await.unwrap();
    build(&fast, "workers").await;
    // Some of it the index doesn't cover, and some has left the log.
    own.store(log(&mut random, 2_000..2_040)).await;
    let failed = format!("{}.job_failed", own.config.subject_root);
    for options in [
        PurgeOptions::default().with_keep(PurgeKeep::FromSequence(20)),
        PurgeOptions::default().with_subject(failed).with_keep(PurgeKeep::FromSequence(60)),
    ] {
        if random.bool() {
            own.purge(options).await;
        }
    }
    let at = |n: i64| Some(Timestamp::from_nanos(1_700_000_000_000_000_000 + n * 1_000_000));
    for text in FILTERS {
        let filter = || Filter::parse(text).unwrap();
        let (start, end) = (at(random.i64(-100..1_000)), at(random.i64(1_000..2_100)));
        let bases = [
            same(&fast, &slow, async |service| {
                let request = StatsRequest::default().with_range(start, end).with_filter(filter());
                let mut stats = service.stats(request).await.unwrap();
                let basis = std::mem::take(&mut stats.basis);
                (format!("{stats:?}"), basis)
            })
            .await
            .1,
            same(&fast, &slow, async |service| {
                let request = AnalyticsRequest::new("job_completed").with_filter(filter());
                let mut analytics = service.analytics(request).await.unwrap();
                let basis = std::mem::take(&mut analytics.basis);
                (format!("{analytics:?}"), basis)
            })
            .await
            .1,
            same(&fast, &slow, async |service| {
                let mut answer = service.query(by_type(text)).await.unwrap();
                let basis = std::mem::take(&mut answer.basis);
                (format!("{answer:?}"), basis)
            })
            .await
            .1,
            same(&fast, &slow, async |service| {
                let request = TopErrorsRequest::default().with_filter(filter());
                let mut errors = service.top_errors(request).await.unwrap();
                let basis = std::mem::take(&mut errors.basis);
                (format!("{errors:?}"), basis)
            })
            .await
            .1,
        ];
        let explained = fast.explain_query(by_type(text)).await.unwrap();
        assert_eq!(explained.made_from, MadeFrom::Index, "{text}: {explained:?}");
        assert!(
            bases[2].read <= explained.messages_at_most,
            "{text}: {:?} {explained:?}",
            bases[2]
        );
        for basis in bases {
            assert_eq!(basis.made_from, MadeFrom::Index, "{text}");
            assert!(basis.from_index <= basis.read, "{text}: {basis:?}");
        }
        if FILTERS[..5].contains(&text) {
            // What no index covers yet, what is no event, and what is meant.
            assert!(bases[0].read < 120, "{text}: {:?}", bases[0]);
        }
    }
    assert_eq!(slow.explain_query(by_type(FILTERS[0])).await.unwrap().made_from, MadeFrom::Log);
    assert_eq!(
        fast.explain_query(by_type("queue = q1")).await.unwrap().made_from,
        MadeFrom::Digests
    );
}

fn by_type(filter: &str) -> QueryRequest {
    QueryRequest::new(Filter::parse(filter).unwrap())
        .with_group_by([GroupBy::Type, GroupBy::Queue])
        .with_bucket(Bucket::Minute)
        .with_measures([Measure::Count, Measure::SuccessRate])
}

/// What both answer alike, and the basis of the first.
async fn same<T: PartialEq + Debug>(
    fast: &EventService,
    slow: &EventService,
    ask: impl AsyncFn(&EventService) -> (T, AnswerBasis),
) -> (T, AnswerBasis) {
    let ((quick, basis), (read, of_log)) = (ask(fast).await, ask(slow).await);
    assert_eq!(quick, read);
    assert_eq!((of_log.made_from, of_log.from_index), (MadeFrom::Log, 0));
    let told = |basis: &AnswerBasis| {
        let AnswerBasis { through, first_sequence, removed, .. } = *basis;
        let AnswerBasis { malformed, duplicates, holes, undecided, .. } = *basis;
        (through, first_sequence, removed, malformed, duplicates, holes, undecided)
    };
    assert_eq!(told(&basis), told(&of_log));
    (quick, basis)
}
