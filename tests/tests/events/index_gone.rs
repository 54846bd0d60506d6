//! What retention took from the midst of a log is asked for no more.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use naq_core::Timestamp;
use naq_core::events::{Event, EventItem, EventQuery, Filter, ReadEvents};
use naq_core::jetstream::JetStream;
use naq_core::service::Service;
use naq_events::EventService;
use naq_tests::behaviours::block_on;
use naq_tests::counting::Counting;
use naq_tests::own_log::{INDEXES, Keeps, OwnLog, Payload};
use naq_tests::server::shared;
use naq_tests::{backend, wait};

use super::indexes::build;

const DEADLINE: Duration = Duration::from_secs(120);

#[test]
fn what_has_left_the_log_is_asked_for_once_and_a_keeper_forgets_it_in_memory() {
    block_on(wait::within("the log", DEADLINE, forgets(super::memory())));
}

#[test]
fn what_has_left_the_log_is_asked_for_once_and_a_keeper_forgets_it_on_a_server() {
    block_on(wait::within("the log", DEADLINE, async {
        forgets(backend::connect(&shared().await.url()).await).await;
    }));
}

#[test]
fn who_goes_on_with_an_index_leaves_out_what_has_left_the_log() {
    block_on(wait::within("the log", DEADLINE, goes_on(super::memory())));
}

/// Of a hundred events this many are kept for long.
const KEPT: u64 = 3;

/// Events of ten queues, most of them of a type that is not kept for long.
fn log(numbers: std::ops::Range<u64>) -> Vec<Payload> {
    let event = |n: u64| {
        let kind = if n / 10 % 100 < KEPT { "job_failed" } else { "job_started" };
        let at = Timestamp::from_nanos(1_700_000_000_000_000_000 + n.cast_signed() * 1_000_000);
        let event = Event::new(kind).with_queue(format!("q{}", n % 10)).with_timestamp(at);
        (kind, serde_json::to_vec(&event).unwrap())
    };
    numbers.map(event).collect()
}

/// A log that counts, an index of its queues, and retention that took nearly all.
async fn aged(js: Arc<dyn JetStream>, events: u64) -> (OwnLog, Arc<Counting>) {
    let mut own = OwnLog::new(js, "gone");
    let counting = Arc::new(Counting::of(Arc::clone(&own.js), &own.config.stream_name));
    own.js = Arc::clone(&counting) as _;
    let maker = own.service(Keeps::Indexes).await;
    own.store(log(0..events)).await;
    maker.create_event_index("queues", &["queue"]).await.unwrap();
    build(&maker, "queues").await;
    own.purge_type("job_started").await;
    (own, counting)
}

/// How many events a service finds, and for how many it asks.
async fn asked(service: &EventService, counting: &Counting) -> (u64, u64) {
    let options = ReadEvents::default().with_filter(Filter::parse("queue = q7").unwrap());
    counting.take();
    let items: Vec<_> =
        service.read_events(options.with_newest_first()).try_collect().await.unwrap();
    let count = counting.take();
    let found = items.iter().filter(|item| matches!(item, EventItem::Event(_))).count() as u64;
    assert_eq!((count.read, count.by_sequence), (0, found));
    (found, count.asked)
}

async fn forgets(js: Arc<dyn JetStream>) {
    const EACH: u64 = 3_000;
    let (own, counting) = aged(js, 10 * EACH).await;
    let left = EACH * KEPT / 100;
    let asking = own.service(Keeps::Indexes).await;
    assert_eq!(asked(&asking, &counting).await, (left, EACH), "nobody knows yet");
    assert_eq!(asked(&asking, &counting).await, (left, left), "this one does now");
    let before = asking.event_index_status("queues").await.unwrap();
    let keeper = own.keeper_of(Keeps::Indexes).await;
    wait::until("the index to be smaller", DEADLINE, async || {
        let status = asking.event_index_status("queues").await.unwrap();
        assert_eq!((status.through, status.uncovered), (before.through, 0));
        status.bytes < before.bytes / 2
    })
    .await;
    let fresh = own.service(Keeps::Indexes).await;
    assert_eq!(asked(&fresh, &counting).await, (left, left), "a fresh one");
    keeper.stop(Duration::from_secs(5)).await.unwrap();
    // The log goes on, and so does the index: by who has the larger one in memory.
    own.store(log(0..40_000)).await;
    let built = build(&asking, "queues").await;
    assert_eq!((built.through, built.read), (10 * EACH + 40_000, 40_000));
    let all = left + 4_000;
    assert_eq!(asked(&asking, &counting).await, (all, all));
    assert_eq!(asked(&*own.service(Keeps::Indexes).await, &counting).await, (all, all));
    assert_eq!(own.kept(INDEXES).await.len(), 2);
}

async fn goes_on(js: Arc<dyn JetStream>) {
    const EACH: u64 = 2_000;
    let (own, counting) = aged(js, 10 * EACH).await;
    let left = EACH * KEPT / 100;
    build(&*own.service(Keeps::Indexes).await, "queues").await;
    let fresh = own.service(Keeps::Indexes).await;
    assert_eq!(asked(&fresh, &counting).await, (left, left));
}
