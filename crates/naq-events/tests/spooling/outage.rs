//! Outages: what was logged meanwhile is stored afterwards, in order, and once.

use naq_core::config::SpoolMode;

use super::*;

#[tokio::test]
async fn events_past_the_buffer_survive_an_outage_and_keep_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let config = quick(dir.path()).with_buffer_max_events(50_usize);
    let events = started(&jetstream, config).await;
    log(&events, "a", 0..10).await;
    jetstream.faults().disconnect();
    log(&events, "a", 10..500).await;
    until(&events, "the spool", |counters| counters.spooled > 400).await;
    jetstream.faults().reconnect();
    log(&events, "a", 500..600).await;
    until(&events, "the end", |counters| counters.acked == 600).await;
    assert!(numbers(&jetstream, "a").await.into_iter().eq(0..600));
    let counters = events.counters();
    assert_eq!((counters.pending, counters.spooled, counters.not_stored()), (0, 0, 0));
    // Nothing is left for the next one.
    events.stop(SECOND).await.unwrap();
    let again = started(&jetstream, quick(dir.path())).await;
    assert_eq!(again.counters().recovered, 0);
}

#[tokio::test]
async fn new_events_go_past_the_spool_again_when_it_is_drained() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let events = started(&jetstream, quick(dir.path())).await;
    jetstream.faults().disconnect();
    log(&events, "a", 0..20).await;
    until(&events, "the spool", |counters| counters.spooled == 20).await;
    jetstream.faults().reconnect();
    until(&events, "the drain", |counters| counters.acked == 20).await;
    let receipt = events.log_event_acked(Event::job_progress("a", "20")).await.unwrap();
    assert_eq!(receipt.sequence, Some(21));
    assert!(numbers(&jetstream, "a").await.into_iter().eq(0..21));
}

#[tokio::test]
async fn what_a_stopped_service_leaves_in_the_spool_the_next_one_sends_first() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let events = started(&jetstream, quick(dir.path())).await;
    jetstream.faults().disconnect();
    log(&events, "a", 0..30).await;
    let report = events.stop(Duration::ZERO).await.unwrap();
    assert!(report.is_clean() && report.kept == 30, "{report:?}");
    let counters = events.counters();
    assert_eq!((counters.spooled, counters.pending), (30, 0));

    jetstream.faults().reconnect();
    let next = started(&jetstream, quick(dir.path())).await;
    log(&next, "a", 30..40).await;
    until(&next, "the drain", |counters| counters.acked == 40).await;
    let counters = next.counters();
    assert_eq!((counters.recovered, counters.offered), (30, 10));
    assert!(numbers(&jetstream, "a").await.into_iter().eq(0..40));
}

#[tokio::test]
async fn a_dropped_service_leaves_its_events_in_the_spool() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let events = started(&jetstream, quick(dir.path())).await;
    jetstream.faults().disconnect();
    log(&events, "a", 0..30).await;
    drop(events);
    jetstream.faults().reconnect();
    // The folder is given back a moment later; until then the next one has another.
    let mut next = started(&jetstream, quick(dir.path())).await;
    for _ in 0..1_000 {
        if next.counters().recovered == 30 {
            break;
        }
        next.stop(SECOND).await.unwrap();
        next = started(&jetstream, quick(dir.path())).await;
    }
    until(&next, "the drain", |counters| counters.acked == 30).await;
    assert!(numbers(&jetstream, "a").await.into_iter().eq(0..30));
}

/// The account of a service that ends without being stopped while 30 events
/// are under way, with one stored before them.
fn ended_under_way(config: fn(&Path) -> EventsConfig) -> EventCounters {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let events = runtime.block_on(async {
        let events = started(&jetstream, config(dir.path())).await;
        log(&events, "a", 0..1).await;
        until(&events, "the first", |counters| counters.acked == 1).await;
        jetstream.faults().block();
        let batches = events.counters().batches;
        log(&events, "a", 1..31).await;
        until(&events, "the sending", |counters| counters.batches > batches).await;
        events
    });
    drop(runtime);
    events.counters()
}

#[test]
fn what_is_under_way_when_a_service_is_dropped_goes_to_the_spool_too() {
    let counters = ended_under_way(quick);
    assert!(counters.is_balanced(), "{counters:?}");
    assert_eq!((counters.acked, counters.spooled, counters.unknown), (1, 30, 0), "{counters:?}");
}

#[test]
fn what_is_under_way_from_the_spool_stays_in_it_when_a_service_is_dropped() {
    let counters = ended_under_way(|dir| {
        quick(dir).with_spool(SpoolConfig::in_folder(dir).with_mode(SpoolMode::Always))
    });
    assert!(counters.is_balanced(), "{counters:?}");
    assert_eq!((counters.acked, counters.spooled, counters.unknown), (1, 30, 0), "{counters:?}");
}

#[tokio::test]
async fn a_receipt_says_that_the_event_is_in_the_spool() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let events = started(&jetstream, quick(dir.path())).await;
    jetstream.faults().disconnect();
    let receipt = events.log_event_acked(Event::job_progress("a", "0")).await.unwrap();
    assert!(receipt.is_spooled(), "{receipt:?}");
    let report = events.flush(PATIENCE).await.unwrap();
    assert_eq!((report.spooled, report.pending), (1, 0));
    assert!(report.is_safe() && !report.is_clean(), "{report:?}");
}

#[tokio::test]
async fn a_full_stream_sends_events_to_the_spool_and_the_account_is_right_throughout() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let events = started(&jetstream, quick(dir.path())).await;
    jetstream.faults().fail_publishes(u64::MAX, ErrorKind::LimitReached);
    log(&events, "a", 0..100).await;
    log(&events, "b", 0..100).await;
    until(&events, "the spool", |counters| counters.spooled == 200).await;
    jetstream.faults().fail_publishes(0, ErrorKind::LimitReached);
    until(&events, "the drain", |counters| counters.acked == 200).await;
    for job in ["a", "b"] {
        assert!(numbers(&jetstream, job).await.into_iter().eq(0..100));
    }
}

#[tokio::test]
async fn a_server_that_goes_silent_takes_nothing_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let jetstream = MemoryJetStream::new();
    let events = started(&jetstream, quick(dir.path())).await;
    log(&events, "a", 0..10).await;
    jetstream.faults().block();
    log(&events, "a", 10..50).await;
    until(&events, "the spool", |counters| counters.spooled > 0 && counters.pending == 0).await;
    jetstream.faults().unblock();
    until(&events, "the drain", |counters| counters.acked == 50).await;
    assert!(numbers(&jetstream, "a").await.into_iter().eq(0..50));
}
