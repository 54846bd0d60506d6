//! What a keeper does where something is in its way, and what it removes then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use naq_core::Timestamp;
use naq_core::clock::{Clock, ClockExt, ManualClock};
use naq_core::config::{EventsConfig, KeeperMode, RetentionAges, StreamMode};
use naq_core::connection::SingleJetStream;
use naq_core::events::{Event, EventQueryExt};
use naq_core::jetstream::{JetStream, PublishMessage, StreamConfig};
use naq_core::service::Service;
use naq_kv::KvStoreService;
use naq_memory::{MemoryJetStream, MemoryLimits};
use naq_streams::StreamService;

use crate::digests::BLOCK;
use crate::made_up::{counting, without_right};
use crate::service::EventService;

const BUDGET: Duration = Duration::from_secs(5);

/// How long events are kept.
const AGE: Duration = Duration::from_secs(5);

/// A JetStream in memory whose time is that of a clock.
fn memory(limits: MemoryLimits) -> (MemoryJetStream, ManualClock) {
    let clock = ManualClock::starting_at(Timestamp::from_nanos(1_700_000_000_000_000_000));
    let js = MemoryJetStream::builder().clock(Arc::new(clock.clone())).limits(limits).build();
    (js, clock)
}

/// A log of one event of each of so many types, all of them older than their age.
async fn old_log(types: u64, stream: StreamConfig) -> (MemoryJetStream, ManualClock, EventsConfig) {
    let (js, clock) = memory(MemoryLimits::default());
    js.create_stream(stream).await.unwrap();
    let mut ages = RetentionAges::default();
    for n in 0..types {
        log(&js, Event::new(format!("kind-{n}"))).await;
        // No two have the same one: each type is a step of its own.
        ages = ages.with_age(format!("kind-{n}"), AGE + Duration::from_millis(n));
    }
    clock.advance(2 * AGE);
    (js, clock, keeping(ages))
}

fn keeping(ages: RetentionAges) -> EventsConfig {
    EventsConfig::default()
        .with_stream(StreamMode::Assume)
        .with_keeper(KeeperMode::On)
        .with_retention(ages)
}

async fn log(js: &MemoryJetStream, event: Event) {
    let subject = format!("events.{}", event.event_type.as_str());
    let payload = serde_json::to_vec(&event).unwrap();
    js.publish(PublishMessage::new(subject, payload)).await.unwrap();
}

/// A service that is not started.
fn service(js: &MemoryJetStream, clock: &ManualClock, config: EventsConfig) -> EventService {
    let connections = || SingleJetStream::provider(Arc::new(js.clone()));
    let kv = || Arc::new(KvStoreService::new(connections()));
    let streams = Arc::new(StreamService::new(connections()));
    let service = EventService::new(connections(), streams, Arc::new(clock.clone()), config);
    service.unwrap().with_digests(kv()).with_indexes(kv())
}

/// Asserts that something holds before so many seconds of a clock have gone by.
async fn within(
    seconds: u32,
    clock: &ManualClock,
    what: &str,
    mut holds: impl AsyncFnMut() -> bool,
) {
    // Everything is in memory: what is done at a time takes few turns of a task.
    const TURNS: u32 = 2_000;
    for _ in 0..=seconds {
        for _ in 0..TURNS {
            if holds().await {
                return;
            }
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(1));
    }
    panic!("{what}");
}

async fn messages(js: &MemoryJetStream) -> u64 {
    js.stream_info("events").await.unwrap().state.messages
}

async fn through(service: &EventService) -> u64 {
    service.keeper().await.unwrap().map_or(0, |keeper| keeper.through)
}

#[tokio::test]
async fn who_may_not_purge_digests_what_comes_and_says_what_is_in_its_way() {
    let stream = StreamConfig::new("events", ["events.>"]).with_deny_purge(true);
    let (js, clock, config) = old_log(2, stream).await;
    let service = service(&js, &clock, config);
    service.start().await.unwrap();
    within(5, &clock, "no refusal", async || service.keeper_trouble().is_some()).await;
    let trouble = service.keeper_trouble().unwrap();
    assert!(trouble.contains("purge"), "{trouble}");
    for last in 3..6 {
        log(&js, Event::new("kind-0")).await;
        // Far less than it waits for before it tries to remove something again.
        within(5, &clock, "not digested", async || through(&service).await == last).await;
        assert_eq!(service.keeper_trouble().as_deref(), Some(trouble.as_str()));
    }
    assert!(service.is_keeper());
    service.stop(BUDGET).await.unwrap();
}

#[tokio::test]
async fn what_is_too_old_of_many_types_goes_within_the_same_minute() {
    let (js, clock, config) = old_log(50, StreamConfig::new("events", ["events.>"])).await;
    let service = service(&js, &clock, config);
    service.start().await.unwrap();
    within(5, &clock, "not removed", async || messages(&js).await == 0).await;
    let status = service.keeper().await.unwrap().unwrap();
    assert_eq!((status.through, status.removed, status.trouble), (50, 50, None));
    service.stop(BUDGET).await.unwrap();
}

#[tokio::test]
async fn what_is_in_digests_goes_though_no_more_can_be_kept() {
    let (js, clock, config) = old_log(2, StreamConfig::new("events", ["events.>"])).await;
    log(&js, Event::new("kind-0")).await;
    let service = service(&js, &clock, config);
    service.start().await.unwrap();
    within(5, &clock, "not removed", async || messages(&js).await == 1).await;
    let bucket = js.stream_info("KV_naq_digests").await.unwrap().config;
    js.update_stream(bucket.with_max_message_size(1_u64)).await.unwrap();
    log(&js, Event::new("kind-0")).await;
    within(70, &clock, "no trouble", async || service.keeper_trouble().is_some()).await;
    // The first was digested before, and the second stays until it can be.
    assert_eq!((through(&service).await, messages(&js).await), (4, 1));
    assert_eq!(service.keeper().await.unwrap().unwrap().removed, 3);
    service.stop(BUDGET).await.unwrap();
}

#[tokio::test]
async fn a_server_that_takes_small_messages_alone_keeps_what_is_coarser() {
    const EVENTS: u64 = 4_000;
    const LIMIT: u64 = 32 * 1024;
    let (js, clock) = memory(MemoryLimits::default().with_max_payload(LIMIT));
    js.create_stream(StreamConfig::new("events", ["events.>"])).await.unwrap();
    let config = keeping(RetentionAges::default().with_age("old", AGE));
    let other = service(&js, &clock, config.clone().with_keeper(KeeperMode::Off));
    other.start().await.unwrap();
    other.create_event_index("jobs", &["job_id"]).await.unwrap();
    other.stop(BUDGET).await.unwrap();
    for n in 0..EVENTS {
        let kind = if n % 2 == 0 { "old" } else { "other" };
        let event = Event::new(kind).with_job_id(format!("job-{n}"));
        log(&js, event.with_queue(format!("queue-{n}")).with_job_name(format!("name-{n}"))).await;
    }
    clock.advance(2 * AGE);
    let service = service(&js, &clock, config);
    service.start().await.unwrap();
    within(30, &clock, "not removed", async || messages(&js).await == EVENTS / 2).await;
    let status = service.keeper().await.unwrap().unwrap();
    assert_eq!((status.through, status.index_behind, status.trouble), (EVENTS, 0, None));
    let index = service.event_index_status("jobs").await.unwrap();
    assert_eq!((index.through, index.uncovered), (EVENTS, 0));
    assert!(index.bytes < LIMIT, "{index:?}");
    let stats = service.get_event_stats(None, None).await.unwrap();
    assert_eq!((stats.total_events, stats.basis.holes), (EVENTS, 0));
    service.stop(BUDGET).await.unwrap();
}

#[tokio::test]
async fn who_may_keep_no_digests_reads_nothing_for_them_until_that_changes() {
    const EVENTS: u64 = BLOCK + 9;
    let (js, clock, config) = old_log(0, StreamConfig::new("events", ["events.>"])).await;
    for _ in 0..EVENTS {
        js.publish(PublishMessage::new("events.log", r#"{"type":"log"}"#)).await.unwrap();
    }
    let (is_denied, reads) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    let connections = SingleJetStream::provider(counting(&js, &reads));
    let streams = Arc::new(StreamService::new(Arc::clone(&connections)));
    let service = EventService::new(connections, streams, Arc::new(clock.clone()), config);
    let service = service.unwrap().with_digests(without_right(&js, &is_denied));
    service.start().await.unwrap();
    within(5, &clock, "no trouble", async || service.keeper_trouble().is_some()).await;
    let trouble = service.keeper_trouble().unwrap();
    assert!(trouble.contains("digests can't be kept"), "{trouble}");
    let minutes = clock.deadline(Duration::from_secs(300));
    within(310, &clock, "time stands still", async || clock.monotonic() >= minutes).await;
    assert_eq!(reads.load(Ordering::Relaxed), 0);
    is_denied.store(false, Ordering::Relaxed);
    within(70, &clock, "not digested", async || through(&service).await == EVENTS).await;
    assert_eq!((service.keeper_trouble(), reads.load(Ordering::Relaxed)), (None, 1));
    service.stop(BUDGET).await.unwrap();
}
