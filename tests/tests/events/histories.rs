//! A history by an index is that of the log, whatever became of index and log.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use naq_core::Timestamp;
use naq_core::config::SubjectLayout;
use naq_core::events::{
    EntityKind, Event, EventHistory, EventItem, EventQuery, HistoryRequest, ReadEvents, ReadUntil,
    RecordedEvent,
};
use naq_core::jetstream::{JetStream, PublishMessage};
use naq_events::EventService;
use naq_tests::behaviours::block_on;
use naq_tests::counting::{Count, Counting};
use naq_tests::own_log::{INDEXES, Keeps, OwnLog};
use naq_tests::server::shared;
use naq_tests::{backend, wait};

use super::indexes::build;

const DEADLINE: Duration = Duration::from_secs(600);

#[test]
fn histories_by_an_index_are_those_of_the_log_in_memory() {
    block_on(wait::within("the logs", DEADLINE, async {
        for seed in 0..8 {
            agree(super::memory(), seed).await;
        }
    }));
}

#[test]
fn histories_by_an_index_are_those_of_the_log_on_a_server() {
    block_on(wait::within("the logs", DEADLINE, async {
        let js = backend::connect(&shared().await.url()).await;
        for seed in 100..106 {
            agree(Arc::clone(&js), seed).await;
        }
    }));
}

#[test]
fn a_history_by_an_index_reads_what_the_index_names_and_nothing_else_in_memory() {
    block_on(wait::within("the log", DEADLINE, goes_by_the_index(super::memory())));
}

#[test]
fn a_history_by_an_index_reads_what_the_index_names_and_nothing_else_on_a_server() {
    block_on(wait::within("the log", DEADLINE, async {
        goes_by_the_index(backend::connect(&shared().await.url()).await).await;
    }));
}

const KINDS: [&str; 5] = ["job_started", "job_completed", "job_failed", "mine", "worker_heartbeat"];

/// Events of some jobs and workers, of which some have one name; some are
/// stored twice, and some messages are no events.
fn log(random: &mut fastrand::Rng, own: &OwnLog, numbers: Range<u64>) -> Vec<PublishMessage> {
    let subjects = own.subjects();
    let mut messages = Vec::new();
    for n in numbers {
        let kind = KINDS[random.usize(..KINDS.len())];
        let at = Timestamp::from_nanos(1_700_000_000_000_000_000 + n.cast_signed() * 1_000_000);
        let worker = match random.u8(..20) {
            0 => "w".repeat(200),
            n => format!("w{}", n % 5),
        };
        let mut event = Event::new(kind).with_timestamp(at).with_worker_id(worker);
        if kind != "worker_heartbeat" {
            let job = random.u8(..16);
            event = event.with_job_id(if job < 4 { format!("w{job}") } else { format!("j{job}") });
        }
        if random.bool() {
            event = event.with_id(format!("id-{n}").as_str());
        }
        let subject = subjects.build(kind, event.entity().map(|(_, id)| id));
        let payload = match random.u8(..40) {
            0 => b"no event".to_vec(),
            _ => serde_json::to_vec(&event).unwrap(),
        };
        if random.u8(..20) == 0 {
            messages.push(PublishMessage::new(subject.as_str(), payload.clone()));
        }
        messages.push(PublishMessage::new(subject, payload));
    }
    messages
}

/// A log that grows and loses events, with indexes that are built, damaged and
/// deleted, has the same histories with them as without them.
async fn agree(js: Arc<dyn JetStream>, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut own = OwnLog::new(js, "histories");
    if random.u8(..3) == 0 {
        own.config = own.config.with_subjects(SubjectLayout::Type);
    }
    let slow = own.service(Keeps::Nothing).await;
    let maker = own.service(Keeps::Indexes).await;
    maker.create_event_index("queues", &["queue"]).await.unwrap();
    maker.create_event_index("jobs", &["queue", "job_id"]).await.unwrap();
    maker.create_event_index("workers", &["worker_id"]).await.unwrap();
    let mut stored = 0;
    for round in 0..5 {
        let numbers = stored..stored + random.u64(200..400);
        stored = numbers.end;
        own.publish(log(&mut random, &own, numbers)).await;
        match random.u8(..4) {
            0 => own.damage(INDEXES, &mut random).await,
            1 => {}
            _ => {
                let builder = own.service(Keeps::Indexes).await;
                build(&builder, "jobs").await;
                build(&builder, "workers").await;
            }
        }
        match random.u8(..4) {
            0 => own.purge_below(random.u64(1..=stored)).await,
            1 => own.purge_type(KINDS[random.usize(..KINDS.len())]).await,
            _ => {}
        }
        let fast = own.service(Keeps::Indexes).await;
        for _ in 0..8 {
            let number = random.u8(..18);
            let job = if number < 6 { format!("w{number}") } else { format!("j{number}") };
            let mut request = HistoryRequest::job(job).with_limit(random.usize(1..200));
            request = request.with_from_end(random.bool());
            let about = format!("seed {seed}, round {round}: {request:?}");
            let expected = slow.history(request.clone()).await.unwrap();
            assert_eq!(fast.history(request).await.unwrap(), expected, "{about}");
        }
        for worker in [format!("w{}", random.u8(..6)), "w".repeat(200)] {
            let request = HistoryRequest::new(EntityKind::Worker, &worker).with_limit(100);
            let mut expected = slow.history(request.clone()).await.unwrap();
            mentions(&slow, &worker, &mut expected).await;
            let about = format!("seed {seed}, round {round}: worker {worker}");
            assert_eq!(fast.history(request).await.unwrap(), expected, "{about}");
        }
    }
}

/// A log whose subjects tell no jobs: without an index all of it is read.
async fn goes_by_the_index(js: Arc<dyn JetStream>) {
    let mut own = OwnLog::new(js, "histories");
    let counting = Arc::new(Counting::of(Arc::clone(&own.js), &own.config.stream_name));
    own.js = Arc::clone(&counting) as _;
    own.config = own.config.with_subjects(SubjectLayout::Type);
    let (fast, slow) = (own.service(Keeps::Indexes).await, own.service(Keeps::Nothing).await);
    let messages = log(&mut fastrand::Rng::with_seed(5), &own, 0..3_000);
    let all = messages.len() as u64;
    let is_anybodys = |message: &&PublishMessage| {
        let payload = String::from_utf8_lossy(&message.payload);
        payload == "no event" || payload.contains(&"w".repeat(200))
    };
    let of_anybody = messages.iter().filter(is_anybodys).count() as u64;
    own.publish(messages).await;
    fast.create_event_index("ids", &["job_id", "worker_id"]).await.unwrap();
    build(&fast, "ids").await;
    for (kind, id) in [(EntityKind::Job, "j7"), (EntityKind::Job, "w2"), (EntityKind::Worker, "w2")]
    {
        let request = HistoryRequest::new(kind, id).with_limit(1_000);
        counting.take();
        let expected = slow.history(request.clone()).await.unwrap();
        assert_eq!(counting.take().read, all, "{kind:?} {id}");
        let got = fast.history(request).await.unwrap();
        let Count { read, by_sequence, .. } = counting.take();
        assert_eq!(got, expected, "{kind:?} {id}");
        // What is no event, and names that are too long for an index, may be anybody's.
        let named = got.summary.total_events + got.summary.duplicates;
        assert!(named > 50 && read == 0, "{kind:?} {id}: {named} events, and {read} read");
        let most = named + of_anybody;
        assert!((named..=most).contains(&by_sequence), "{kind:?} {id}: {by_sequence} of {named}");
    }
}

/// Puts what the whole log has of a worker in the place of what is stored under it.
async fn mentions(service: &EventService, worker: &str, history: &mut EventHistory) {
    let everything = ReadEvents::default().with_until(ReadUntil::Head);
    let items: Vec<_> = service.read_events(everything).try_collect().await.unwrap();
    let (mut ids, mut events, mut duplicates) = (HashSet::new(), Vec::new(), 0);
    for item in items {
        let EventItem::Event(recorded) = item else { continue };
        if recorded.event.worker_id.as_deref() != Some(worker) {
            continue;
        }
        match &recorded.event.id {
            Some(id) if !ids.insert(id.clone()) => duplicates += 1,
            _ => events.push(*recorded),
        }
    }
    let summary = &mut history.summary;
    summary.includes_mentions = true;
    (summary.total_events, summary.duplicates) = (events.len() as u64, duplicates);
    summary.first = events.iter().map(RecordedEvent::timestamp).min();
    summary.last = events.iter().map(RecordedEvent::timestamp).max();
    summary.truncated = events.len() > 100;
    events.truncate(100);
    history.events = events;
}
