//! The account of all events with a spool, sampled while threads log and the server comes and goes.

use std::sync::atomic::{AtomicBool, Ordering};

use naq_core::config::{OverflowPolicy, Size, SpoolMode};

use super::*;

/// Logs from several threads while the server refuses, falls silent and goes
/// away by turns; looks at the account all the time.
async fn sampled(mode: SpoolMode, overflow: OverflowPolicy, most: Size) {
    const THREADS: u64 = 3;
    const EACH: u64 = 1_000;
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let spool = SpoolConfig::in_folder(dir.path()).with_mode(mode).with_max_bytes(most);
    let config = quick(dir.path())
        .with_spool(spool)
        .with_buffer_max_events(200_usize)
        .with_overflow(overflow)
        .with_delivery_timeout(SECOND);
    let events = started(&jetstream, config).await;
    let done = Arc::new(AtomicBool::new(false));
    let sampler = std::thread::spawn({
        let (events, done) = (Arc::clone(&events), Arc::clone(&done));
        move || {
            let (mut samples, mut most_spooled) = (0_u64, 0);
            while !done.load(Ordering::Relaxed) {
                let counters = events.account().counters;
                assert!(counters.is_balanced(), "{counters:?}");
                assert!(counters.pending <= 200, "{counters:?}");
                most_spooled = most_spooled.max(counters.spooled);
                samples += 1;
            }
            (samples, most_spooled)
        }
    });
    let mut loggers = tokio::task::JoinSet::new();
    for thread in 0..THREADS {
        let events = Arc::clone(&events);
        loggers.spawn(async move {
            for number in 0..EACH {
                let event = Event::job_progress(format!("{thread}"), "x".repeat(200));
                // What is refused is counted.
                let _ = events.log_event(event).await;
                if number % 10 == 0 {
                    events.log_event(Event::new("")).await.unwrap_err();
                }
            }
        });
    }
    let faults = jetstream.faults();
    let turn = Duration::from_millis(60);
    while !loggers.is_empty() {
        faults.disconnect();
        tokio::time::sleep(turn).await;
        faults.reconnect();
        faults.fail_publishes(30, ErrorKind::LimitReached);
        tokio::time::sleep(turn).await;
        faults.block();
        tokio::time::sleep(turn).await;
        faults.unblock();
        faults.lose_acks(3);
        tokio::time::sleep(turn).await;
        while let Some(ended) = loggers.try_join_next() {
            ended.unwrap();
        }
    }
    until(&events, "each event's end", |counters| counters.pending + counters.spooled == 0).await;
    done.store(true, Ordering::Relaxed);
    let (samples, most_spooled) = sampler.join().unwrap();
    assert!(samples > 100 && most_spooled > 0, "{samples} looks, {most_spooled} spooled at most");
    let counters = events.counters();
    assert_eq!(counters.offered, THREADS * (EACH + EACH / 10));
    assert!(counters.rejected >= THREADS * EACH / 10, "{counters:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_balanced_at_every_instant_where_the_spool_takes_what_the_server_does_not() {
    // So little that it is full at times.
    sampled(SpoolMode::Overflow, OverflowPolicy::DropNewest, Size::from_mib(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_balanced_at_every_instant_where_each_event_goes_to_disk_first() {
    sampled(SpoolMode::Always, OverflowPolicy::Fail, Size::from_mib(16)).await;
}
