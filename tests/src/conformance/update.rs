//! Changing streams.

use std::sync::Arc;
use std::time::Duration;

use naq_core::ErrorKind;
use naq_core::jetstream::{Discard, JetStream, PurgeOptions, Retention, Storage, StreamConfig};

use super::support::{Own, PATIENCE, refused};
use crate::wait;

/// A configuration in which nothing is set.
fn nothing_for(own: &Own) -> StreamConfig {
    let none: [&str; 0] = [];
    StreamConfig::new(&own.name, none)
}

pub async fn an_update_keeps_what_it_does_not_set(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| {
        config
            .with_description("for people".to_owned())
            .with_max_messages(100)
            .with_max_age(Duration::from_secs(3_600))
            .with_discard(Discard::New)
            .with_allow_direct(true)
            .with_metadata("owner", "tests")
    })
    .await;
    own.store("a", "x").await;
    let before = own.info().await;
    let update = nothing_for(&own).with_max_bytes(1 << 20);
    let updated = own.js.update_stream(update).await.unwrap();

    let mut want = before.config;
    want.max_bytes = Some(1 << 20);
    assert_eq!(updated.config, want);
    assert_eq!(updated.created, before.created);
    assert_eq!(own.info().await.config, want);
    assert_eq!(own.sequences().await, [1]);
}

pub async fn an_update_that_sets_nothing_changes_nothing(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_max_messages(100)).await;
    let before = own.info().await;
    let updated = own.js.update_stream(nothing_for(&own)).await.unwrap();
    assert_eq!(updated.config, before.config);
}

pub async fn an_update_takes_limits_away(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| {
        config.with_max_messages(2).with_max_age(Duration::from_secs(3_600))
    })
    .await;
    let update = nothing_for(&own).with_max_messages(0).with_max_age(Duration::ZERO);
    let updated = own.js.update_stream(update).await.unwrap().config;
    assert_eq!((updated.max_messages, updated.max_age), (Some(0), Some(Duration::ZERO)));
    own.store_all(["a", "a", "a"]).await;
    assert_eq!(own.sequences().await, [1, 2, 3]);
}

pub async fn an_update_replaces_the_subjects(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store("a", "stays").await;
    let update = StreamConfig::new(&own.name, [own.subject("b")]);
    let updated = own.js.update_stream(update).await.unwrap();
    assert_eq!(updated.config.subjects, [own.subject("b")]);
    refused(own.js.publish(own.message("a", "x")).await, ErrorKind::NotFound);
    assert_eq!(own.store("b", "x").await, 2);
    assert_eq!(own.sequences().await, [1, 2]);
}

pub async fn an_update_merges_metadata(js: Arc<dyn JetStream>) {
    let own =
        Own::with(js, |config| config.with_metadata("owner", "tests").with_metadata("stage", "1"))
            .await;
    let update = nothing_for(&own).with_metadata("stage", "2").with_metadata("new", "yes");
    let metadata = own.js.update_stream(update).await.unwrap().config.metadata;
    let own_keys: Vec<_> = metadata
        .iter()
        .filter(|(key, _)| !key.starts_with("_nats."))
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(own_keys, [("new", "yes"), ("owner", "tests"), ("stage", "2")]);
}

pub async fn a_lower_limit_lets_the_oldest_messages_go(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a", "b"]).await;
    own.js.update_stream(nothing_for(&own).with_max_messages(2)).await.unwrap();
    assert_eq!(own.sequences().await, [3, 4]);
}

pub async fn a_lower_limit_per_subject_lets_the_oldest_messages_go(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a", "b", "c"]).await;
    own.js.update_stream(nothing_for(&own).with_max_messages_per_subject(1)).await.unwrap();
    if own.js.server_info().version.at_least(2, 14) {
        let gone = async || own.sequences().await == [3, 4, 5];
        wait::until("the oldest to go", PATIENCE, gone).await;
    } else {
        // Older servers hold a subject to its limit when something is written to it.
        assert_eq!(own.sequences().await, [1, 2, 3, 4, 5]);
    }
}

pub async fn what_can_not_be_changed_is_refused(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_deny_purge(true).with_deny_delete(true)).await;
    let before = own.info().await.config;
    for update in [
        nothing_for(&own).with_storage(Storage::Memory),
        nothing_for(&own).with_retention(Retention::WorkQueue),
        nothing_for(&own).with_deny_purge(false),
        nothing_for(&own).with_deny_delete(false),
    ] {
        refused(own.js.update_stream(update).await, ErrorKind::InvalidArgument);
    }
    assert_eq!(own.info().await.config, before);
}

pub async fn an_update_to_subjects_of_another_stream_is_a_conflict(js: Arc<dyn JetStream>) {
    let (one, two) = (Own::new(Arc::clone(&js)).await, Own::new(js).await);
    let update = StreamConfig::new(&one.name, [two.subject("a")]);
    refused(one.js.update_stream(update).await, ErrorKind::Conflict);
    assert_eq!(one.info().await.config.subjects, [one.subject(">")]);
}

pub async fn a_sealed_stream_is_read_only(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b"]).await;
    let sealed = own.js.update_stream(nothing_for(&own).with_sealed(true)).await.unwrap();
    assert_eq!(sealed.config.sealed, Some(true));
    refused(own.js.publish(own.message("a", "x")).await, ErrorKind::PermissionDenied);
    let purged = own.js.purge_stream(&own.name, PurgeOptions::default()).await;
    refused(purged, ErrorKind::PermissionDenied);
    refused(own.js.delete_message(&own.name, 1).await, ErrorKind::PermissionDenied);
    let unsealed = own.js.update_stream(nothing_for(&own).with_sealed(false)).await;
    refused(unsealed, ErrorKind::InvalidArgument);
    assert_eq!(own.sequences().await, [1, 2]);
}
