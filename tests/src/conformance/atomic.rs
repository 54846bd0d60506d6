//! Several messages, all or none.

use std::sync::Arc;

use naq_core::ErrorKind;
use naq_core::jetstream::{BatchAck, Expected, Headers, JetStream, PublishMessage};

use super::support::{Own, invalid, own_config, refused, text};

/// A stream that takes atomic batches, or `None` where the server can't; then
/// it is asserted that it says so.
async fn taking_batches(js: Arc<dyn JetStream>) -> Option<Own> {
    if js.capabilities().atomic_publish {
        return Some(Own::with(js, |config| config.with_allow_atomic_publish(true)).await);
    }
    let (name, config) = own_config();
    let allowing = config.clone().with_allow_atomic_publish(true);
    let error = refused(js.create_stream(allowing).await, ErrorKind::Unsupported);
    assert!(error.hint().is_some(), "{error:?}");
    refused(js.stream_info(&name).await, ErrorKind::NotFound);

    js.create_stream(config).await.unwrap();
    let own = Own { js, name };
    let batch = vec![own.message("a", "1"), own.message("b", "2")];
    refused(own.js.publish_atomic(batch).await, ErrorKind::Unsupported);
    assert_eq!(own.state().await.last_sequence, 0);
    None
}

pub async fn an_atomic_batch_is_stored_in_a_row(js: Arc<dyn JetStream>) {
    let Some(own) = taking_batches(js).await else { return };
    own.store("a", "before").await;
    let batch = vec![own.message("a", "1"), own.message("b", "2"), own.message("a", "3")];
    let ack = own.js.publish_atomic(batch).await.unwrap();
    assert_eq!(ack, BatchAck { stream: own.name.clone(), sequence: 4, count: 3 });
    let stored = own.stored().await;
    assert_eq!(stored.iter().map(text).collect::<Vec<_>>(), ["before", "1", "2", "3"]);
    assert_eq!(stored[2].subject, own.subject("b"));
}

pub async fn an_atomic_batch_may_be_a_single_message(js: Arc<dyn JetStream>) {
    let Some(own) = taking_batches(js).await else { return };
    let ack = own.js.publish_atomic(vec![own.message("a", "1")]).await.unwrap();
    assert_eq!((ack.sequence, ack.count), (1, 1));
}

pub async fn an_atomic_batch_keeps_headers_and_ids(js: Arc<dyn JetStream>) {
    let Some(own) = taking_batches(js).await else { return };
    let headers = Headers::new().with("Kind", "test");
    let batch = vec![
        own.message("a", "1").with_headers(headers),
        own.message("a", "2").with_message_id("id"),
    ];
    own.js.publish_atomic(batch).await.unwrap();
    let stored = own.stored().await;
    assert_eq!(stored[0].headers.get("Kind"), Some("test"));
    assert_eq!(stored[1].headers.get("Nats-Msg-Id"), Some("id"));
    let again = own.js.publish(own.message("a", "2").with_message_id("id")).await.unwrap();
    assert_eq!((again.sequence, again.duplicate), (2, true));
}

pub async fn a_failed_expectation_stores_nothing_of_an_atomic_batch(js: Arc<dyn JetStream>) {
    let Some(own) = taking_batches(js).await else { return };
    own.store_all(["a", "b"]).await;
    let on = |tail, sequence| {
        let expected = Expected::default().with_last_subject_sequence(sequence);
        own.message(tail, "changed").with_expected(expected)
    };
    let wrong = own.js.publish_atomic(vec![on("a", 1), on("b", 1)]).await;
    refused(wrong, ErrorKind::Conflict);
    assert_eq!(own.sequences().await, [1, 2]);
    let right = own.js.publish_atomic(vec![on("a", 1), on("b", 2)]).await.unwrap();
    assert_eq!((right.sequence, right.count), (4, 2));
}

pub async fn the_first_message_of_an_atomic_batch_may_expect_the_last_sequence(
    js: Arc<dyn JetStream>,
) {
    let Some(own) = taking_batches(js).await else { return };
    own.store("a", "x").await;
    let batch = |last| {
        let expected = Expected::default().with_last_sequence(last);
        vec![own.message("a", "1").with_expected(expected), own.message("a", "2")]
    };
    refused(own.js.publish_atomic(batch(5)).await, ErrorKind::Conflict);
    assert_eq!(own.js.publish_atomic(batch(1)).await.unwrap().sequence, 3);
}

pub async fn a_message_id_twice_in_an_atomic_batch_is_a_conflict(js: Arc<dyn JetStream>) {
    let Some(own) = taking_batches(js).await else { return };
    let batch = ["1", "2"].map(|text| own.message("a", text).with_message_id("id")).into();
    refused(own.js.publish_atomic(batch).await, ErrorKind::Conflict);
    assert_eq!(own.state().await.last_sequence, 0);
    let alone = own.js.publish(own.message("a", "1").with_message_id("id")).await.unwrap();
    assert!(!alone.duplicate);
}

pub async fn a_message_id_that_is_known_refuses_the_atomic_batch(js: Arc<dyn JetStream>) {
    let Some(own) = taking_batches(js).await else { return };
    own.js.publish(own.message("a", "x").with_message_id("known")).await.unwrap();
    let batch = vec![own.message("a", "1"), own.message("a", "2").with_message_id("known")];
    refused(own.js.publish_atomic(batch).await, ErrorKind::Conflict);
    assert_eq!(own.sequences().await, [1]);
}

pub async fn one_bad_message_stores_nothing_of_an_atomic_batch(js: Arc<dyn JetStream>) {
    let Some(own) = taking_batches(js).await else { return };
    let limit = usize::try_from(own.js.server_info().max_payload).unwrap();
    let large = PublishMessage::new(own.subject("a"), vec![0; limit + 1]);
    let result = own.js.publish_atomic(vec![own.message("a", "1"), large]).await;
    refused(result, ErrorKind::TooLarge);
    let result = own.js.publish_atomic(vec![own.message("a", "1"), own.message("*", "2")]).await;
    invalid(result, "subject");
    assert_eq!(own.state().await.last_sequence, 0);
}

pub async fn an_atomic_batch_obeys_the_streams_message_size(js: Arc<dyn JetStream>) {
    let Some(own) = taking_batches(js).await else { return };
    let (_, update) = own_config();
    let mut update = update.with_max_message_size(100);
    update.name.clone_from(&own.name);
    update.subjects.clear();
    own.js.update_stream(update).await.unwrap();
    let batch = vec![own.message("a", "1"), own.message("a", &"x".repeat(200))];
    refused(own.js.publish_atomic(batch).await, ErrorKind::TooLarge);
    assert_eq!(own.state().await.last_sequence, 0);
}

pub async fn a_thousand_messages_are_an_atomic_batch_and_one_more_is_too_many(
    js: Arc<dyn JetStream>,
) {
    let Some(own) = taking_batches(js).await else { return };
    let batch = |count: u64| (1..=count).map(|n| own.message("a", &n.to_string())).collect();
    let ack = own.js.publish_atomic(batch(1_000)).await.unwrap();
    assert_eq!((ack.sequence, ack.count), (1_000, 1_000));
    invalid(own.js.publish_atomic(batch(1_001)).await, "messages");
    assert_eq!(own.state().await.last_sequence, 1_000);
}

pub async fn an_atomic_batch_of_nothing_is_refused(js: Arc<dyn JetStream>) {
    let Some(own) = taking_batches(js).await else { return };
    invalid(own.js.publish_atomic(Vec::new()).await, "messages");
}

pub async fn a_stream_that_does_not_allow_atomic_batches_takes_none(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let batch = vec![own.message("a", "1"), own.message("a", "2")];
    let error = refused(own.js.publish_atomic(batch).await, ErrorKind::Unsupported);
    assert!(error.hint().is_some(), "{error:?}");
    assert_eq!(own.state().await.last_sequence, 0);
}

pub async fn an_atomic_batch_is_for_one_stream(js: Arc<dyn JetStream>) {
    let Some(one) = taking_batches(Arc::clone(&js)).await else { return };
    let Some(two) = taking_batches(js).await else { return };
    let batch = vec![one.message("a", "1"), two.message("a", "2")];
    one.js.publish_atomic(batch).await.unwrap_err();
    assert_eq!(one.state().await.last_sequence, 0);
    assert_eq!(two.state().await.last_sequence, 0);
}
