//! Expectations: compare and set on a stream or a subject.

use std::sync::Arc;

use naq_core::ErrorKind;
use naq_core::jetstream::{Expected, JetStream};

use super::support::{Own, refused};

pub async fn the_last_sequence_is_compared(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b"]).await;
    let with = |sequence| Expected::default().with_last_sequence(sequence);
    for wrong in [1, 3] {
        refused(own.publish_expecting("a", with(wrong)).await, ErrorKind::Conflict);
    }
    assert_eq!(own.publish_expecting("a", with(2)).await.unwrap().sequence, 3);
    assert_eq!(own.sequences().await, [1, 2, 3]);
}

pub async fn an_empty_stream_has_the_last_sequence_zero(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let empty = || Expected::default().with_last_sequence(0);
    assert_eq!(own.publish_expecting("a", empty()).await.unwrap().sequence, 1);
    refused(own.publish_expecting("a", empty()).await, ErrorKind::Conflict);
    assert_eq!(own.sequences().await, [1]);
}

pub async fn the_last_sequence_of_the_subject_is_compared(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b"]).await;
    let with = |sequence| Expected::default().with_last_subject_sequence(sequence);
    for wrong in [0, 2, 3] {
        refused(own.publish_expecting("a", with(wrong)).await, ErrorKind::Conflict);
    }
    assert_eq!(own.publish_expecting("a", with(1)).await.unwrap().sequence, 3);
    refused(own.publish_expecting("a", with(1)).await, ErrorKind::Conflict);
    assert_eq!(own.sequences().await, [1, 2, 3]);
}

pub async fn a_subject_without_messages_has_the_last_sequence_zero(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b"]).await;
    let none = || Expected::default().with_last_subject_sequence(0);
    assert_eq!(own.publish_expecting("c", none()).await.unwrap().sequence, 3);
    refused(own.publish_expecting("c", none()).await, ErrorKind::Conflict);
    own.js.delete_message(&own.name, 3).await.unwrap();
    assert_eq!(own.publish_expecting("c", none()).await.unwrap().sequence, 4);
}

pub async fn the_last_message_id_is_compared(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.js.publish(own.message("a", "x").with_message_id("first")).await.unwrap();
    own.js.publish(own.message("a", "x").with_message_id("second")).await.unwrap();
    let with = |id: &str| Expected::default().with_last_message_id(id);
    refused(own.publish_expecting("a", with("first")).await, ErrorKind::Conflict);
    assert_eq!(own.publish_expecting("a", with("second")).await.unwrap().sequence, 3);
    assert_eq!(own.sequences().await, [1, 2, 3]);
}

pub async fn the_stream_that_takes_the_message_is_compared(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let wrong = Expected::default().with_stream("another");
    refused(own.publish_expecting("a", wrong).await, ErrorKind::Conflict);
    let right = Expected::default().with_stream(&own.name);
    assert_eq!(own.publish_expecting("a", right).await.unwrap().sequence, 1);
}

pub async fn several_expectations_must_all_hold(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b"]).await;
    let both = |last, subject| {
        Expected::default().with_last_sequence(last).with_last_subject_sequence(subject)
    };
    refused(own.publish_expecting("a", both(2, 2)).await, ErrorKind::Conflict);
    refused(own.publish_expecting("a", both(1, 1)).await, ErrorKind::Conflict);
    assert_eq!(own.publish_expecting("a", both(2, 1)).await.unwrap().sequence, 3);
}

/// A lone server looks at expectations first and a cluster at ids; a caller sees no difference.
pub async fn a_repeated_compare_and_set_is_told_that_it_won(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let message = |id: &str| {
        let none = Expected::default().with_last_subject_sequence(0);
        own.message("a", "x").with_message_id(id).with_expected(none)
    };
    let won = own.js.publish(message("mine")).await.unwrap();
    assert_eq!((won.sequence, won.duplicate), (1, false));
    let again = own.js.publish(message("mine")).await.unwrap();
    assert_eq!((again.sequence, again.duplicate), (1, true));
    refused(own.js.publish(message("another's")).await, ErrorKind::Conflict);
    let many = own.publish_many(vec![message("another's"), message("mine")]).await;
    let [lost, again]: [_; 2] = many.try_into().unwrap();
    refused(lost, ErrorKind::Conflict);
    let again = again.unwrap();
    assert_eq!((again.sequence, again.duplicate), (1, true));
    assert_eq!(own.sequences().await, [1]);
}

pub async fn a_conflict_tells_the_stream_and_what_to_do(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let wrong = Expected::default().with_last_subject_sequence(7);
    let error = refused(own.publish_expecting("a", wrong).await, ErrorKind::Conflict);
    assert_eq!(error.get("subject"), Some(own.subject("a").as_str()), "{error:?}");
    assert!(error.hint().is_some(), "{error:?}");
}
