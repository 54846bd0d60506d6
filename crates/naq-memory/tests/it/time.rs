//! What time does, moved by hand.

use std::time::Duration;

use naq_core::jetstream::{
    Acknowledge, ConsumerConfig, Delivery, FetchOptions, JetStream, JetStreamExt, MessageTtl,
    PublishMessage, ReadOptions, ReadStart,
};
use naq_core::{ErrorKind, Timestamp};

use crate::{Fixture, PATIENCE, SECOND, message, next};

#[tokio::test]
async fn a_message_goes_at_its_age_and_not_before() {
    let it = Fixture::with(|config| config.with_max_age(60 * SECOND)).await;
    it.store("events.a").await;
    it.clock.advance(59 * SECOND);
    it.store("events.a").await;
    assert_eq!(it.messages().await, 2);
    it.clock.advance(SECOND);
    assert_eq!(it.messages().await, 1);
    it.clock.advance(59 * SECOND);
    assert_eq!(it.messages().await, 0);
    let state = it.js.stream_info("events").await.unwrap().state;
    assert_eq!((state.first_sequence, state.last_sequence), (3, 2));
}

#[tokio::test]
async fn a_message_that_never_expires_does_not_keep_the_others() {
    let it = Fixture::with(|config| config.with_max_age(SECOND).with_allow_message_ttl(true)).await;
    let forever = PublishMessage::new("events.a", "x").with_ttl(MessageTtl::Never);
    it.js.publish(forever).await.unwrap();
    it.store("events.b").await;
    it.clock.advance(SECOND);
    it.store("events.c").await;
    assert_eq!(it.messages().await, 2);
    it.clock.advance(SECOND);
    let left = it.js.read_to_head("events", ReadOptions::default()).await.unwrap();
    assert_eq!(left.iter().map(|message| message.sequence).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn a_message_goes_at_its_own_ttl() {
    let it = Fixture::with(|config| config.with_allow_message_ttl(true)).await;
    let short = PublishMessage::new("events.a", "x").with_ttl(MessageTtl::After(5 * SECOND));
    it.js.publish(short).await.unwrap();
    it.store("events.a").await;
    it.clock.advance(5 * SECOND - Duration::from_nanos(1));
    assert_eq!(it.messages().await, 2);
    it.clock.advance(Duration::from_nanos(1));
    assert_eq!(it.messages().await, 1);
}

#[tokio::test]
async fn a_message_id_is_free_again_at_the_end_of_the_window() {
    let it = Fixture::with(|config| config.with_duplicate_window(10 * SECOND)).await;
    let message = PublishMessage::new("events.a", "x").with_message_id("id");
    assert_eq!(it.js.publish(message.clone()).await.unwrap().sequence, 1);
    it.clock.advance(10 * SECOND - Duration::from_nanos(1));
    let again = it.js.publish(message.clone()).await.unwrap();
    assert_eq!((again.sequence, again.duplicate), (1, true));
    it.clock.advance(Duration::from_nanos(1));
    let anew = it.js.publish(message).await.unwrap();
    assert_eq!((anew.sequence, anew.duplicate), (2, false));
}

#[tokio::test]
async fn a_waiting_read_gets_the_marker_of_what_aged_away() {
    let it = Fixture::with(|config| {
        config.with_max_age(60 * SECOND).with_subject_delete_marker_ttl(3_600 * SECOND)
    })
    .await;
    it.store("events.a").await;
    let mut read = it.js.read("events", ReadOptions::default().with_start(ReadStart::New));
    assert_eq!(next(&mut read).await, Delivery::CaughtUp { sequence: 1 });
    let (marker, ()) = tokio::join!(next(&mut read), async {
        it.clock.wait_for_sleepers(1, PATIENCE).await.unwrap();
        it.clock.advance(60 * SECOND);
    });
    let Delivery::Message(marker) = marker else { panic!("{marker:?}") };
    assert_eq!((marker.subject.as_str(), marker.sequence), ("events.a", 2));
    let headers: Vec<_> = marker.headers.iter().collect();
    let want = [("Nats-Marker-Reason", "MaxAge"), ("Nats-TTL", "1h0m0s"), ("Nats-Rollup", "sub")];
    assert_eq!(headers, want);
    it.clock.advance(3_600 * SECOND);
    assert_eq!(it.messages().await, 0, "a marker goes without a marker of its own");
}

#[tokio::test]
async fn a_ttl_is_at_least_that_of_the_markers() {
    let it = Fixture::with(|config| config.with_subject_delete_marker_ttl(60 * SECOND)).await;
    let short = PublishMessage::new("events.a", "x").with_ttl(MessageTtl::After(SECOND));
    it.js.publish(short).await.unwrap();
    it.clock.advance(59 * SECOND);
    let stored = it.js.find_sequence("events", 1).await.unwrap().unwrap();
    assert_eq!(stored.headers.get("Nats-TTL"), Some("60"));
}

#[tokio::test]
async fn a_read_starts_at_the_first_message_of_a_time() {
    let it = Fixture::new().await;
    for _ in 0..10 {
        it.store("events.a").await;
        it.clock.advance(SECOND);
    }
    for sequence in [2, 3, 8] {
        it.js.delete_message("events", sequence).await.unwrap();
    }
    let start = Timestamp::from_nanos(1_767_225_600_000_000_000);
    for (after, first) in [(0, 1), (1, 4), (3, 4), (7, 9), (9, 10)] {
        let time = start.saturating_add(after * SECOND);
        let options = ReadOptions::default().with_start(ReadStart::Time(time));
        let mut read = it.js.read("events", options);
        assert_eq!(message(&mut read).await, first, "after {after} s");
    }
}

async fn fetch_one(it: &Fixture) -> Vec<(u64, u64)> {
    let options = FetchOptions::new(10).with_wait(Duration::ZERO);
    let fetched = it.js.fetch("events", "c", options).await.unwrap();
    fetched.iter().map(|it| (it.message.sequence, it.deliveries)).collect()
}

#[tokio::test]
async fn what_is_not_answered_comes_again_after_the_ack_wait() {
    let it = Fixture::new().await;
    let config = ConsumerConfig::new("c").with_ack_wait(30 * SECOND).with_max_deliver(3);
    it.js.create_consumer("events", config).await.unwrap();
    it.store("events.a").await;
    for delivery in 1..=3 {
        assert_eq!(fetch_one(&it).await, [(1, delivery)]);
        it.clock.advance(30 * SECOND - Duration::from_nanos(1));
        assert_eq!(fetch_one(&it).await, []);
        it.clock.advance(Duration::from_nanos(1));
    }
    assert_eq!(fetch_one(&it).await, [], "three times and no more");
    let info = it.js.consumer_info("events", "c").await.unwrap();
    assert_eq!((info.ack_pending, info.redelivered, info.ack_floor), (0, 1, 1));
}

#[tokio::test]
async fn a_fetch_that_waits_gets_what_comes_due() {
    let it = Fixture::new().await;
    let config = ConsumerConfig::new("c").with_ack_wait(30 * SECOND);
    it.js.create_consumer("events", config).await.unwrap();
    it.store("events.a").await;
    assert_eq!(fetch_one(&it).await, [(1, 1)]);
    let options = FetchOptions::new(1).with_wait(60 * SECOND);
    let (again, ()) = tokio::join!(it.js.fetch("events", "c", options), async {
        it.clock.wait_for_sleepers(1, PATIENCE).await.unwrap();
        it.clock.advance(30 * SECOND);
    });
    assert_eq!(again.unwrap()[0].deliveries, 2);
}

#[tokio::test]
async fn redeliveries_wait_as_the_backoff_says_and_its_last_wait_goes_on() {
    let it = Fixture::new().await;
    let mut config = ConsumerConfig::new("c");
    config.backoff = vec![SECOND, 10 * SECOND];
    it.js.create_consumer("events", config).await.unwrap();
    it.store("events.a").await;
    for (delivery, wait) in [(1, 1), (2, 10), (3, 10)] {
        assert_eq!(fetch_one(&it).await, [(1, delivery)]);
        it.clock.advance(wait * SECOND - Duration::from_nanos(1));
        assert_eq!(fetch_one(&it).await, []);
        it.clock.advance(Duration::from_nanos(1));
    }
}

#[tokio::test]
async fn a_retry_comes_after_its_delay_and_work_in_progress_later() {
    let it = Fixture::new().await;
    it.js.create_consumer("events", ConsumerConfig::new("c")).await.unwrap();
    it.store("events.a").await;
    let options = || FetchOptions::new(1).with_wait(Duration::ZERO);
    let first = it.js.fetch("events", "c", options()).await.unwrap().remove(0);
    it.clock.advance(20 * SECOND);
    it.js.acknowledge(&first.token, Acknowledge::InProgress).await.unwrap();
    it.clock.advance(20 * SECOND);
    assert_eq!(fetch_one(&it).await, [], "the ack wait began anew");
    it.js.acknowledge(&first.token, Acknowledge::Retry { after: 50 * SECOND }).await.unwrap();
    it.clock.advance(49 * SECOND);
    assert_eq!(fetch_one(&it).await, []);
    it.clock.advance(SECOND);
    assert_eq!(fetch_one(&it).await, [(1, 2)]);
}

#[tokio::test]
async fn a_consumer_that_nobody_uses_goes_and_one_that_is_used_stays() {
    let it = Fixture::new().await;
    let mut config = ConsumerConfig::new("c");
    config.inactive_threshold = 60 * SECOND;
    it.js.create_consumer("events", config).await.unwrap();
    for _ in 0..3 {
        it.clock.advance(59 * SECOND);
        assert_eq!(fetch_one(&it).await, []);
    }
    it.clock.advance(60 * SECOND);
    let error = it.js.consumer_info("events", "c").await.unwrap_err();
    assert!(error.is(ErrorKind::NotFound), "{error:?}");
}

#[tokio::test]
async fn a_wall_clock_that_is_set_back_ends_nothing_early_and_breaks_no_wait() {
    let it = Fixture::with(|config| config.with_max_age(60 * SECOND)).await;
    it.js.create_consumer("events", ConsumerConfig::new("c")).await.unwrap();
    it.store("events.a").await;
    assert_eq!(fetch_one(&it).await, [(1, 1)]);
    it.clock.set_wall(Timestamp::from_nanos(0));
    assert_eq!(it.store("events.b").await, 2);
    assert_eq!(it.messages().await, 2);
    assert_eq!(fetch_one(&it).await, [(2, 1)]);
    it.clock.advance(30 * SECOND);
    assert_eq!(fetch_one(&it).await, [(1, 2), (2, 2)], "ack waits are monotonic");
}
