//! A stream's limits, and what goes or is refused when one is reached.

use std::sync::Arc;
use std::time::Duration;

use naq_core::ErrorKind;
use naq_core::jetstream::{
    ConsumerConfig, Discard, Headers, JetStream, PublishMessage, is_subject_full,
};

use super::support::{Own, PATIENCE, now, refused, text};
use crate::wait;

pub async fn a_full_stream_lets_the_oldest_messages_go(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_max_messages(3)).await;
    own.store_all(["a", "b", "a", "b", "a"]).await;
    assert_eq!(own.sequences().await, [3, 4, 5]);
    let state = own.state().await;
    assert_eq!((state.first_sequence, state.last_sequence, state.messages), (3, 5, 3));
    assert_eq!(state.num_deleted, 0);
}

pub async fn a_full_subject_lets_its_oldest_message_go(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_max_messages_per_subject(2)).await;
    own.store_all(["a", "b", "a", "a", "a"]).await;
    assert_eq!(own.sequences().await, [2, 4, 5]);
    let state = own.state().await;
    assert_eq!((state.first_sequence, state.num_deleted, state.num_subjects), (2, 1, 2));
}

pub async fn a_stream_full_of_bytes_lets_the_oldest_messages_go(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_max_bytes(4_096)).await;
    for _ in 0..10 {
        own.store("a", &"x".repeat(1_000)).await;
    }
    assert_eq!(own.sequences().await, [8, 9, 10]);
    assert!(own.state().await.bytes <= 4_096);
}

pub async fn old_messages_go_by_age(js: Arc<dyn JetStream>) {
    let age = Duration::from_secs(1);
    let own = Own::with(js, |config| config.with_max_age(age)).await;
    own.store_all(["a", "b"]).await;
    let last = own.stored().await[1].stored_at;
    wait::until("all to age", PATIENCE, async || own.state().await.messages == 0).await;
    assert!(now().since(last) >= age, "they went too early");
    let state = own.state().await;
    assert_eq!((state.first_sequence, state.last_sequence), (3, 2));
    assert_eq!(own.store("a", "next").await, 3);
}

pub async fn a_full_stream_that_discards_new_messages_refuses_them(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_max_messages(2).with_discard(Discard::New)).await;
    own.store_all(["a", "b"]).await;
    let error = refused(own.js.publish(own.message("a", "3")).await, ErrorKind::LimitReached);
    assert!(error.hint().is_some(), "{error:?}");
    assert_eq!(own.sequences().await, [1, 2]);
    own.js.delete_message(&own.name, 1).await.unwrap();
    assert_eq!(own.store("a", "there is room again").await, 3);
}

pub async fn a_stream_full_of_bytes_that_discards_new_messages_refuses_them(
    js: Arc<dyn JetStream>,
) {
    let own = Own::with(js, |config| config.with_max_bytes(2_048).with_discard(Discard::New)).await;
    let message = || own.message("a", &"x".repeat(1_200));
    own.js.publish(message()).await.unwrap();
    let error = refused(own.js.publish(message()).await, ErrorKind::LimitReached);
    assert!(!is_subject_full(&error), "{error:?}");
    assert_eq!(own.sequences().await, [1]);
}

pub async fn discarding_new_messages_leaves_a_full_subject_rolling(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| {
        config.with_max_messages_per_subject(1).with_max_messages(10).with_discard(Discard::New)
    })
    .await;
    own.store_all(["a", "b", "a"]).await;
    assert_eq!(own.sequences().await, [2, 3]);
}

pub async fn a_full_subject_can_refuse_too(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| {
        config
            .with_max_messages_per_subject(1)
            .with_discard(Discard::New)
            .with_discard_new_per_subject(true)
    })
    .await;
    own.store_all(["a", "b"]).await;
    let error = refused(own.js.publish(own.message("a", "3")).await, ErrorKind::LimitReached);
    assert!(is_subject_full(&error), "{error:?}");
    assert_eq!(own.sequences().await, [1, 2]);
}

pub async fn a_message_over_the_streams_size_is_too_large(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_max_message_size(100)).await;
    let of = |size| PublishMessage::new(own.subject("a"), vec![b'x'; size]);
    assert_eq!(own.js.publish(of(100)).await.unwrap().sequence, 1);
    let error = refused(own.js.publish(of(101)).await, ErrorKind::TooLarge);
    assert!(error.hint().is_some(), "{error:?}");
    let headers = Headers::new().with("One", "too many");
    refused(own.js.publish(of(100).with_headers(headers)).await, ErrorKind::TooLarge);
    assert_eq!(own.sequences().await, [1]);
}

pub async fn more_consumers_than_the_stream_allows_are_refused(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_max_consumers(1)).await;
    own.js.create_consumer(&own.name, ConsumerConfig::new("first")).await.unwrap();
    let second = own.js.create_consumer(&own.name, ConsumerConfig::new("second")).await;
    refused(second, ErrorKind::LimitReached);
    assert_eq!(own.state().await.consumers, 1);
}

pub async fn a_rollup_replaces_the_messages_of_its_subject(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_allow_rollup(true)).await;
    own.store_all(["a", "b", "a"]).await;
    let rollup = Headers::new().with("Nats-Rollup", "sub");
    own.js.publish(own.message("a", "rolled up").with_headers(rollup)).await.unwrap();
    assert_eq!(own.sequences().await, [2, 4]);
    assert_eq!(text(&own.stored().await[1]), "rolled up");
}

pub async fn a_rollup_of_all_replaces_the_whole_stream(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_allow_rollup(true)).await;
    own.store_all(["a", "b", "a"]).await;
    let rollup = Headers::new().with("Nats-Rollup", "all");
    own.js.publish(own.message("a", "rolled up").with_headers(rollup)).await.unwrap();
    assert_eq!(own.sequences().await, [4]);
}

pub async fn a_stream_that_does_not_allow_rollups_refuses_them(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "a"]).await;
    let rollup = Headers::new().with("Nats-Rollup", "sub");
    let result = own.js.publish(own.message("a", "x").with_headers(rollup)).await;
    refused(result, ErrorKind::Unsupported);
    assert_eq!(own.sequences().await, [1, 2]);
}
