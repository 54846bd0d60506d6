//! Message ids within the duplicate window.

use std::sync::Arc;
use std::time::Duration;

use naq_core::ErrorKind;
use naq_core::jetstream::{Expected, JetStream, PurgeOptions};

use super::support::{Own, PATIENCE, own_config, refused, text};
use crate::wait;

pub async fn a_duplicate_message_id_answers_the_first_sequence(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store("a", "other").await;
    let first = own.js.publish(own.message("a", "first").with_message_id("id")).await.unwrap();
    assert_eq!((first.sequence, first.duplicate), (2, false));
    own.store("a", "other").await;

    let again = own.js.publish(own.message("a", "again").with_message_id("id")).await.unwrap();
    assert_eq!((again.stream.as_str(), again.sequence), (own.name.as_str(), 2));
    assert!(again.duplicate);
    assert_eq!(own.sequences().await, [1, 2, 3]);
    assert_eq!(text(&own.stored().await[1]), "first");
}

pub async fn a_message_id_counts_for_the_whole_stream(js: Arc<dyn JetStream>) {
    let (one, two) = (Own::new(Arc::clone(&js)).await, Own::new(js).await);
    one.js.publish(one.message("a", "x").with_message_id("id")).await.unwrap();
    let other_subject = one.js.publish(one.message("b", "x").with_message_id("id")).await.unwrap();
    assert!(other_subject.duplicate);
    let other_stream = two.js.publish(two.message("a", "x").with_message_id("id")).await.unwrap();
    assert!(!other_stream.duplicate);
}

pub async fn message_ids_compare_byte_for_byte(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    for (id, sequence) in [("id", 1), ("ID", 2), ("id.", 3), ("ïd", 4)] {
        let ack = own.js.publish(own.message("a", id).with_message_id(id)).await.unwrap();
        assert_eq!((ack.sequence, ack.duplicate), (sequence, false), "{id}");
    }
}

pub async fn a_message_id_is_free_again_after_the_window(js: Arc<dyn JetStream>) {
    let window = Duration::from_secs(2);
    let own = Own::with(js, |config| config.with_duplicate_window(window)).await;
    let publish =
        async || own.js.publish(own.message("a", "x").with_message_id("id")).await.unwrap();
    assert_eq!(publish().await.sequence, 1);
    assert!(publish().await.duplicate);
    let fresh = wait::some("the window to pass", PATIENCE, async || {
        let ack = publish().await;
        (!ack.duplicate).then_some(ack)
    })
    .await;
    assert_eq!(fresh.sequence, 2);
}

pub async fn a_message_id_outlives_its_message(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.js.publish(own.message("a", "x").with_message_id("deleted")).await.unwrap();
    own.js.publish(own.message("a", "x").with_message_id("kept")).await.unwrap();
    own.js.delete_message(&own.name, 1).await.unwrap();
    let again = own.js.publish(own.message("a", "x").with_message_id("deleted")).await.unwrap();
    assert_eq!((again.sequence, again.duplicate), (1, true));
}

pub async fn a_refused_message_leaves_its_id_free(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_max_message_size(100)).await;
    let wrong = Expected::default().with_last_sequence(99);
    let message = || own.message("a", "x").with_message_id("id");
    refused(own.js.publish(message().with_expected(wrong)).await, ErrorKind::Conflict);
    let large = own.message("a", &"x".repeat(200)).with_message_id("id");
    refused(own.js.publish(large).await, ErrorKind::TooLarge);
    let ack = own.js.publish(message()).await.unwrap();
    assert_eq!((ack.sequence, ack.duplicate), (1, false));
}

pub async fn a_purge_forgets_no_message_id(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.js.publish(own.message("a", "x").with_message_id("id")).await.unwrap();
    own.js.purge_stream(&own.name, PurgeOptions::default()).await.unwrap();
    let again = own.js.publish(own.message("a", "x").with_message_id("id")).await.unwrap();
    assert_eq!((again.sequence, again.duplicate), (1, true));
}

pub async fn the_window_is_two_minutes_or_the_maximum_age(js: Arc<dyn JetStream>) {
    let own = Own::new(Arc::clone(&js)).await;
    assert_eq!(own.info().await.config.duplicate_window, Some(Duration::from_secs(120)));
    let short = Own::with(js, |config| config.with_max_age(Duration::from_secs(60))).await;
    assert_eq!(short.info().await.config.duplicate_window, Some(Duration::from_secs(60)));
}

pub async fn a_window_longer_than_the_maximum_age_is_refused(js: Arc<dyn JetStream>) {
    let (name, config) = own_config();
    let config =
        config.with_max_age(Duration::from_secs(10)).with_duplicate_window(Duration::from_secs(11));
    refused(js.create_stream(config).await, ErrorKind::InvalidArgument);
    refused(js.stream_info(&name).await, ErrorKind::NotFound);
}
