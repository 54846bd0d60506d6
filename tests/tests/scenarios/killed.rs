//! A server that is killed under load, and comes back.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use naq_core::ErrorKind;
use naq_core::config::OverflowPolicy;
use naq_core::events::{
    Event, EventItem, EventQuery, EventQueryExt, EventSink, EventSinkExt, Filter, ReadEvents,
};
use naq_events::EventService;
use naq_tests::server::NatsServer;
use naq_tests::wait;
use tokio::task::JoinHandle;

use crate::{PATIENCE, Program, quick};

const JOBS: usize = 12;

/// Asserts, as often as it can, that the account is balanced; answers how often.
fn watch_the_account(events: &Arc<EventService>, over: &Arc<AtomicBool>) -> JoinHandle<u64> {
    let (events, over) = (Arc::clone(events), Arc::clone(over));
    tokio::spawn(async move {
        let mut looks = 0;
        while !over.load(Ordering::Relaxed) {
            let counters = events.counters();
            assert!(counters.is_balanced(), "{counters:?}");
            looks += 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        looks
    })
}

/// How often a live reading has caught up, and was resumed.
#[derive(Debug, Default)]
struct Signs {
    caught_up: AtomicUsize,
    resumed: AtomicUsize,
}

/// The sequences that a live reading has, until an event of the queue `end`.
async fn read_to_the_end(events: Arc<EventService>, signs: Arc<Signs>) -> Vec<u64> {
    let mut reading = events.read_events(ReadEvents::live());
    let mut sequences = Vec::new();
    loop {
        let item = wait::within("an item", PATIENCE, reading.next()).await;
        match item.expect("a live reading has no end").unwrap() {
            EventItem::Event(recorded) => {
                sequences.push(recorded.sequence());
                if recorded.event.queue.as_deref() == Some("end") {
                    return sequences;
                }
            }
            EventItem::Resumed { .. } => {
                signs.resumed.fetch_add(1, Ordering::Relaxed);
            }
            EventItem::CaughtUp { .. } => {
                signs.caught_up.fetch_add(1, Ordering::Relaxed);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_logged_around_kills_arrive_in_order_and_once() {
    let mut server = NatsServer::start().await;
    let program = Program::on(&server.url()).await;
    let reader = Program::on(&server.url()).await;
    let over = Arc::new(AtomicBool::new(false));
    let account = watch_the_account(&program.events, &over);
    let signs = Arc::new(Signs::default());
    let reading = tokio::spawn(read_to_the_end(Arc::clone(&reader.events), Arc::clone(&signs)));
    // One that opens behind a kill has nothing to resume.
    wait::until("the reading to be open", PATIENCE, async || {
        signs.caught_up.load(Ordering::Relaxed) > 0
    })
    .await;

    let mut logged = 0_usize;
    let mut log = async |count: usize| {
        for _ in 0..count {
            let job = format!("job-{}", logged % JOBS);
            program.events.log_job_progress(&job, &(logged / JOBS).to_string()).await.unwrap();
            logged += 1;
            // The writer and the server shall have their turn in between.
            tokio::task::yield_now().await;
        }
    };
    for kills in 1..=3 {
        log(480).await;
        server.kill();
        log(240).await;
        server.restart().await;
        wait::until("the reading to resume", PATIENCE, async || {
            signs.resumed.load(Ordering::Relaxed) >= kills
        })
        .await;
    }
    log(480).await;
    let report = program.events.flush(PATIENCE).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    program.events.log_event_acked(Event::log("end").with_queue("end")).await.unwrap();
    over.store(true, Ordering::Relaxed);
    assert!(account.await.unwrap() > 10);
    let counters = program.events.counters();
    assert_eq!((counters.acked, counters.pending), (logged as u64 + 1, 0), "{counters:?}");
    assert!(counters.retried > 0, "no kill met an event: {counters:?}");

    for job in 0..JOBS {
        let history = program.events.get_event_history(&format!("job-{job}"), 10_000).await;
        let history = history.unwrap();
        let numbers: Vec<usize> = history
            .events
            .iter()
            .map(|recorded| recorded.event.message.as_deref().unwrap().parse().unwrap())
            .collect();
        let all: Vec<usize> = (0..logged / JOBS).collect();
        assert_eq!(numbers, all, "job-{job}");
        assert_eq!(history.summary.duplicates, 0);
    }
    let read = reading.await.unwrap();
    let stored: Vec<u64> = (1..=logged as u64 + 1).collect();
    assert!(read == stored, "{} of {}", read.len(), stored.len());
    program.stop().await;
    reader.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_with_a_filter_goes_on_where_it_was() {
    let mut server = NatsServer::start().await;
    let program = Program::on(&server.url()).await;
    let filter = Filter::new().event_type("job_paused");
    let mut reading = program.events.read_events(ReadEvents::live().with_filter(filter));
    let mut expected = Vec::new();
    let mut seen = Vec::new();
    for round in 0..3 {
        for n in 0..20 {
            let job = format!("{round}-{n}");
            program.events.log_event_acked(Event::job_resumed(job.as_str())).await.unwrap();
            let receipt = program.events.log_event_acked(Event::job_paused(job.as_str())).await;
            expected.push(receipt.unwrap().sequence.unwrap());
        }
        while seen.len() < expected.len() {
            let item = wait::within("an item", PATIENCE, reading.next()).await.unwrap().unwrap();
            assert!(!matches!(item, EventItem::Gap { .. }), "{item:?}");
            seen.extend(item.event().map(|recorded| recorded.sequence()));
        }
        server.restart().await;
    }
    assert_eq!(seen, expected);
    drop(reading);
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_longer_than_the_deadlines_is_accounted_for_and_over_with_the_server() {
    let mut server = NatsServer::start().await;
    let mut config = quick(&server.url());
    config.events = config
        .events
        .with_delivery_timeout(Duration::from_millis(800))
        .with_buffer_max_events(50_usize)
        .with_overflow(OverflowPolicy::Fail);
    let program = Program::start(config).await.unwrap();
    program.events.log_event_acked(Event::log("before")).await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let account = watch_the_account(&program.events, &over);
    server.kill();

    let mut refused: HashMap<ErrorKind, u64> = HashMap::new();
    for n in 0..80 {
        if let Err(error) = program.events.log_job_paused(&format!("job-{n}")).await {
            *refused.entry(error.kind()).or_default() += 1;
        }
    }
    assert_eq!(refused, HashMap::from([(ErrorKind::LimitReached, 30)]));
    let unsettled = program.events.flush(Duration::from_millis(10)).await.unwrap();
    assert_eq!((unsettled.acked, unsettled.pending), (0, 50), "{unsettled:?}");
    wait::until("every event to have an outcome", PATIENCE, async || {
        program.events.counters().pending == 0
    })
    .await;
    let counters = program.events.counters();
    assert_eq!((counters.offered, counters.acked, counters.rejected), (81, 1, 30));
    assert_eq!(counters.unknown + counters.failed, 50, "{counters:?}");
    let late = program.events.log_event_acked(Event::log("in vain")).await.unwrap_err();
    // Whether it was sent decides between not stored and not known.
    assert!([ErrorKind::OutcomeUnknown, ErrorKind::Timeout].contains(&late.kind()), "{late:?}");

    server.restart().await;
    let stored = async || program.events.log_event_acked(Event::log("after")).await.is_ok();
    wait::until("events to flow again", PATIENCE, stored).await;
    over.store(true, Ordering::Relaxed);
    account.await.unwrap();
    assert!(program.events.counters().is_balanced());
    program.services.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_without_a_server_ends_in_time_and_tells_what_is_unfinished() {
    let mut server = NatsServer::start().await;
    let program = Program::on(&server.url()).await;
    program.events.log_event_acked(Event::log("stored")).await.unwrap();
    server.kill();
    for n in 0..7 {
        program.events.log_event(format!("{n}")).await.unwrap();
    }
    let stop = program.services.stop_within(Duration::from_secs(1));
    let error = wait::within("the stop", Duration::from_secs(15), stop).await.unwrap_err();
    assert!(error.is(ErrorKind::OutcomeUnknown), "{error:?}");
    assert_eq!(error.get("pending"), Some("7"), "{error:?}");
    let counters = program.events.counters();
    assert!(counters.is_balanced(), "{counters:?}");
    assert_eq!((counters.offered, counters.acked, counters.pending), (8, 1, 0), "{counters:?}");
    let closed = program.events.log_event("late").await.unwrap_err();
    assert!(closed.is(ErrorKind::Closed), "{closed:?}");
}
