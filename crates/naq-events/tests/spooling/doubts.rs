//! Events of which it is not known whether they arrived.

use naq_core::jetstream::ServerVersion;

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
    naq_core::jetstream::JetStream::delete_stream(&jetstream, "events").await.unwrap();
    let events = started(&jetstream, short_window(dir.path())).await;
    until(&events, "the drain", |counters| counters.acked == 20).await;
    let found = numbers(&jetstream, "a").await;
    assert!(found.into_iter().eq(0..20));
    let counters = events.counters();
    assert!(counters.possible_duplicates > 0 && counters.possible_duplicates <= 20, "{counters:?}");
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
