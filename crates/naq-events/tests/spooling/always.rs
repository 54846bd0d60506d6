//! `spool.mode = "always"`: accepted means on disk.

use std::sync::atomic::{AtomicBool, Ordering};

use naq_core::ErrorKind;
use naq_core::clock::ManualClock;
use naq_core::config::SpoolMode;
use naq_events::spool::{Spool, SpoolOptions};

use super::*;

fn always(dir: &Path) -> EventsConfig {
    quick(dir).with_spool(SpoolConfig::in_folder(dir).with_mode(SpoolMode::Always))
}

#[tokio::test]
async fn an_accepted_event_is_on_disk_whether_the_server_is_there_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let events = started(&jetstream, always(dir.path())).await;
    jetstream.faults().block();
    for number in 0..20_u64 {
        events.log_job_progress("a", &number.to_string()).await.unwrap();
        let counters = events.counters();
        assert_eq!((counters.pending, counters.spooled), (0, number + 1));
    }
    jetstream.faults().unblock();
    until(&events, "the drain", |counters| counters.acked == 20).await;
    assert!(numbers(&jetstream, "a").await.into_iter().eq(0..20));
}

#[tokio::test]
async fn a_server_that_does_not_answer_holds_up_no_disk() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let clock = Arc::new(ManualClock::new());
    let events = started_by(&jetstream, always(dir.path()), Arc::clone(&clock) as _).await;
    log(&events, "a", 0..1).await;
    until(&events, "the first one", |counters| counters.acked == 1).await;
    // What is known of the stream is too old now: it is asked, and nobody answers.
    clock.advance(60 * SECOND);
    jetstream.faults().block();
    let logged = tokio::time::timeout(PATIENCE, log(&events, "a", 1..20));
    logged.await.expect("it waits for the disk alone");
    assert_eq!(events.counters().spooled, 19);
    jetstream.faults().unblock();
    until(&events, "the drain", |counters| {
        clock.advance(Duration::from_millis(10));
        counters.acked == 20
    })
    .await;
    assert!(numbers(&jetstream, "a").await.into_iter().eq(0..20));
}

#[tokio::test]
async fn a_stop_gives_the_folder_back_though_others_look_at_the_counters() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    for _ in 0..5 {
        let events = started(&jetstream, always(dir.path())).await;
        let is_over = Arc::new(AtomicBool::new(false));
        let looker = std::thread::spawn({
            let (events, is_over) = (Arc::clone(&events), Arc::clone(&is_over));
            move || {
                while !is_over.load(Ordering::Relaxed) {
                    events.counters();
                }
            }
        });
        log(&events, "a", 0..1).await;
        events.stop(SECOND).await.unwrap();
        let folder = dir.path().join("1");
        let opened = Spool::open_folder(folder, SpoolOptions::default()).await;
        is_over.store(true, Ordering::Relaxed);
        looker.join().unwrap();
        opened.unwrap().0.close().await.unwrap();
    }
}

#[tokio::test]
async fn what_was_logged_before_an_outage_keeps_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let clock = Arc::new(ManualClock::new());
    let logged_at = clock.now();
    let events = started_by(&jetstream, always(dir.path()), Arc::clone(&clock) as _).await;
    jetstream.faults().disconnect();
    log(&events, "a", 0..2).await;
    events.stop(Duration::ZERO).await.unwrap();
    clock.advance(3_600 * SECOND);
    jetstream.faults().reconnect();
    jetstream.faults().fail_publishes(1, ErrorKind::TooLarge);
    let events = started_by(&jetstream, always(dir.path()), Arc::clone(&clock) as _).await;
    until(&events, "the end", |counters| {
        clock.advance(Duration::from_millis(10));
        (counters.acked, counters.failed, counters.notices) == (1, 1, 1)
    })
    .await;
    let told = stored(&jetstream).await;
    let told = told.iter().find(|message| message.subject.contains("events_lost")).unwrap();
    let told: serde_json::Value = serde_json::from_slice(&told.payload).unwrap();
    assert_eq!(told["first_time"], logged_at.to_string());
    let latency = events.account().ack_latency;
    assert!(latency.max > 3_500 * SECOND, "{latency:?}");
}

#[tokio::test]
async fn a_receipt_waits_for_the_server_as_long_as_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let events = started(&jetstream, always(dir.path())).await;
    let receipt = events.log_event_acked(Event::job_progress("a", "0")).await.unwrap();
    assert_eq!(receipt.sequence, Some(1));
    jetstream.faults().disconnect();
    let receipt = events.log_event_acked(Event::job_progress("a", "1")).await.unwrap();
    assert!(receipt.is_spooled());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_share_the_disk_and_keep_their_orders() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let events = started(&jetstream, always(dir.path())).await;
    let jobs = ["a", "b", "c", "d"];
    let tasks = jobs.map(|job| {
        let events = Arc::clone(&events);
        tokio::spawn(async move { log(&events, job, 0..200).await })
    });
    for task in tasks {
        task.await.unwrap();
    }
    until(&events, "the end", |counters| counters.acked == 800).await;
    for job in jobs {
        assert!(numbers(&jetstream, job).await.into_iter().eq(0..200), "{job}");
    }
}
