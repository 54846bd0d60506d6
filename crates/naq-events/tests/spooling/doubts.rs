//! Events of which it is not known whether they arrived.

use naq_core::Timestamp;
use naq_core::clock::ManualClock;
use naq_core::events::{EventEncoder, EventSubjects};
use naq_core::jetstream::{JetStream, PurgeKeep, PurgeOptions, ServerVersion};
use naq_events::spool::{SentContext, Spool, SpoolEntry, SpoolOptions};

use super::*;

/// A window that is over as soon as a test has waited for anything.
fn short_window(dir: &Path) -> EventsConfig {
    quick(dir).with_duplicate_window(Duration::from_millis(100))
}

/// A service whose events are stored and in doubt, all in the spool.
async fn in_doubt(jetstream: &MemoryJetStream, dir: &Path) {
    let events = started(jetstream, short_window(dir)).await;
    jetstream.faults().lose_acks(20);
    log(&events, "a", 0..20).await;
    until(&events, "the spool", |counters| {
        // Whatever is tried meanwhile loses its acknowledgement too.
        jetstream.faults().lose_acks(20);
        counters.spooled == 20
    })
    .await;
    jetstream.faults().disconnect();
    events.stop(Duration::ZERO).await.unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    jetstream.faults().lose_acks(0);
    jetstream.faults().reconnect();
}

#[tokio::test]
async fn past_the_window_they_are_looked_up_in_the_stream() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    in_doubt(&jetstream, dir.path()).await;
    let before = stored(&jetstream).await.len();
    assert!(before > 0, "some were stored");
    let events = started(&jetstream, short_window(dir.path())).await;
    until(&events, "the drain", |counters| counters.acked == 20).await;
    let mut found = numbers(&jetstream, "a").await;
    found.sort_unstable();
    assert!(found.into_iter().eq(0..20), "each is there once");
    let counters = events.counters();
    assert_eq!((counters.recovered, counters.possible_duplicates), (20, 0));
    assert!(counters.duplicates > 0, "{counters:?}");
}

#[tokio::test]
async fn a_stream_made_anew_is_sent_them_and_they_count_as_possible_duplicates() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    in_doubt(&jetstream, dir.path()).await;
    jetstream.delete_stream("events").await.unwrap();
    let events = started(&jetstream, short_window(dir.path())).await;
    until(&events, "the drain", |counters| counters.acked == 20).await;
    let found = numbers(&jetstream, "a").await;
    assert!(found.into_iter().eq(0..20));
    let counters = events.counters();
    assert!(counters.possible_duplicates > 0 && counters.possible_duplicates <= 20, "{counters:?}");
}

#[tokio::test]
async fn what_may_be_in_a_stream_that_is_no_more_counts_whichever_program_sends_it() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    in_doubt(&jetstream, dir.path()).await;
    jetstream.delete_stream("events").await.unwrap();
    // It reads them, and ends before one of them is stored.
    jetstream.faults().fail_publishes(u64::MAX, ErrorKind::Unavailable);
    let events = started(&jetstream, short_window(dir.path())).await;
    until(&events, "a try", |counters| counters.possible_duplicates > 0).await;
    events.stop(Duration::ZERO).await.unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    jetstream.faults().fail_publishes(0, ErrorKind::Unavailable);
    let events = started(&jetstream, short_window(dir.path())).await;
    until(&events, "the drain", |counters| counters.acked == 20).await;
    assert_eq!(events.counters().possible_duplicates, 20, "{:?}", events.counters());
}

#[tokio::test]
async fn within_the_window_the_id_settles_them() {
    let dir = tempfile::tempdir().unwrap();
    // A server without fast batches: there each message has an ack that can be lost.
    let before_batches = ServerVersion::new(2, 12, 0);
    let jetstream = MemoryJetStream::builder().version(before_batches).build();
    let events = started(&jetstream, quick(dir.path())).await;
    jetstream.faults().lose_acks(1);
    log(&events, "a", 0..20).await;
    until(&events, "the end", |counters| counters.acked == 20).await;
    assert!(numbers(&jetstream, "a").await.into_iter().eq(0..20), "in order, and each once");
    let counters = events.counters();
    assert_eq!((counters.duplicates, counters.possible_duplicates), (1, 0), "{counters:?}");
}

#[tokio::test]
async fn where_that_part_of_the_stream_is_gone_they_are_sent_and_count_as_possible_duplicates() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let before = started(&jetstream, EventsConfig::default()).await;
    log(&before, "b", 0..30).await;
    assert!(before.stop(PATIENCE).await.unwrap().is_clean());
    // They stood behind the tenth message, if they were stored.
    let created = jetstream.stream_info("events").await.unwrap().created;
    let sent_at = Timestamp::from_nanos(10);
    let sent = SentContext { stream_created: created, last_sequence: 10, sent_at };
    let encoder = EventEncoder::new(EventSubjects::default());
    let entry = |number: u64| {
        let event = Event::job_progress("a", number.to_string());
        SpoolEntry::new(encoder.encode(&event, sent_at).unwrap(), sent_at).in_doubt(sent)
    };
    let (spool, _) = Spool::open(dir.path(), SpoolOptions::default()).await.unwrap();
    spool.try_append((0..20).map(entry).collect()).unwrap().await.unwrap();
    spool.close().await.unwrap();
    jetstream
        .purge_stream("events", PurgeOptions::default().with_keep(PurgeKeep::Newest(5)))
        .await
        .unwrap();

    let events = started(&jetstream, quick(dir.path())).await;
    until(&events, "the drain", |counters| counters.acked == 20).await;
    assert!(numbers(&jetstream, "a").await.into_iter().eq(0..20));
    let counters = events.counters();
    assert_eq!((counters.recovered, counters.possible_duplicates), (20, 20), "{counters:?}");
}

#[tokio::test]
async fn what_the_stream_forgets_while_it_waits_in_hand_is_looked_up_before_it_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let before_batches = ServerVersion::new(2, 12, 0);
    let jetstream =
        MemoryJetStream::builder().version(before_batches).clock(Arc::new(clock.clone())).build();
    // Longer in hand than the stream recognises it: no other rule has it read again.
    let config = quick(dir.path()).with_delivery_timeout(600 * SECOND);
    let events = started_by(&jetstream, config, Arc::new(clock.clone())).await;
    jetstream.faults().lose_acks(1);
    log(&events, "a", 0..1).await;
    until(&events, "the spool", |counters| counters.spooled == 1).await;
    assert_eq!(numbers(&jetstream, "a").await, [0], "it is stored, and nobody said so");
    jetstream.faults().fail_publishes(u64::MAX, ErrorKind::LimitReached);
    clock.advance(100 * SECOND);
    until(&events, "the repeat", |counters| counters.retried == 1).await;
    jetstream.faults().fail_publishes(0, ErrorKind::LimitReached);
    clock.advance(50 * SECOND);
    until(&events, "the end", |counters| {
        clock.advance(SECOND);
        counters.acked == 1
    })
    .await;
    assert_eq!(numbers(&jetstream, "a").await, [0], "once, though the window is over");
    let counters = events.counters();
    assert_eq!((counters.duplicates, counters.possible_duplicates), (1, 0), "{counters:?}");
}
