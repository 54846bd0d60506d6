//! Buckets as a whole: made, ensured, told, listed, deleted, full.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use naq_core::ErrorKind;
use naq_core::jetstream::{Discard, JetStreamExt, Storage, StreamConfig};
use naq_core::kv::{
    BucketConfig, BucketStatus, KeySelection, KvBucketExt, KvStoreExt, WatchOptions,
};

use super::support::{PATIENCE, Subject, refused};
use crate::{names, wait};

pub async fn a_new_bucket_is_the_stream_that_nats_has_for_it(on: Subject) {
    let own = on.bucket(3).await;
    let config = on.js.stream_info(&own.stream()).await.unwrap().config;
    assert_eq!(config.subjects, [format!("$KV.{}.>", own.name)]);
    assert_eq!(config.max_messages_per_subject, Some(3));
    assert_eq!(config.discard, Some(Discard::New));
    assert_eq!(config.allow_rollup, Some(true));
    assert_eq!(config.deny_delete, Some(true));
    assert_eq!(config.deny_purge, Some(false));
    assert_eq!(config.allow_direct, Some(true));
    assert_eq!(config.allow_atomic_publish.unwrap_or_default(), on.can().atomic_publish);
    assert!(!config.allow_message_ttl.unwrap_or_default());
}

pub async fn a_bucket_keeps_one_revision_unless_told_otherwise(on: Subject) {
    let own = on.bucket_with(|config| config).await;
    own.put_all([("a", "1"), ("a", "2")]).await;
    assert_eq!(own.history("a").await, ["2 a=2"]);
}

pub async fn creating_an_equal_bucket_again_changes_nothing(on: Subject) {
    let config = on.config().with_history(3).with_max_age(Duration::from_secs(60));
    let bucket = on.store.create_bucket(config.clone()).await.unwrap();
    bucket.put("a", "1").await.unwrap();
    let again = on.store.create_bucket(config).await.unwrap();
    assert_eq!(again.status().await.unwrap().values, 1);
}

pub async fn creating_a_bucket_that_differs_already_exists(on: Subject) {
    let own = on.bucket(3).await;
    let differs = BucketConfig::new(&own.name).with_history(4);
    let error = refused(on.store.create_bucket(differs).await, ErrorKind::AlreadyExists);
    assert_eq!(error.get("bucket"), Some(own.name.as_str()));
    assert!(error.hint().is_some());
}

pub async fn a_status_tells_what_was_set(on: Subject) {
    let config = on
        .config()
        .with_description("for people")
        .with_history(7)
        .with_max_age(Duration::from_secs(90))
        .with_max_bytes(1 << 20)
        .with_max_value_size(1 << 10)
        .with_storage(Storage::Memory)
        .with_replicas(1);
    let bucket = on.store.create_bucket(config.clone()).await.unwrap();
    bucket.put("a", "1").await.unwrap();
    bucket.put("a", "2").await.unwrap();
    bucket.delete("b").await.unwrap();
    let status = bucket.status().await.unwrap();
    assert_eq!((status.values, status.keys, status.last_revision), (3, 2, 3));
    assert!(status.bytes > 0);
    assert_eq!(status.stream, format!("KV_{}", config.name));
    let mut told = status.config;
    (told.transactions, told.compression, told.marker_ttl) = (None, None, None);
    assert_eq!(told, config);
}

pub async fn an_ensured_bucket_is_created_kept_and_updated(on: Subject) {
    let config = on.config().with_history(2);
    let bucket = on.store.ensure_bucket(config.clone()).await.unwrap();
    bucket.put("a", "1").await.unwrap();
    on.store.ensure_bucket(config.clone()).await.unwrap();
    let wider = config.with_history(9).with_max_bytes(1 << 20).with_description("wider");
    on.store.ensure_bucket(wider).await.unwrap();
    let status = bucket.status().await.unwrap();
    assert_eq!((status.config.history, status.config.max_bytes), (Some(9), Some(1 << 20)));
    assert_eq!(status.config.description.as_deref(), Some("wider"));
    assert_eq!(status.values, 1);

    // What is not set stays.
    on.store.ensure_bucket(BucketConfig::new(&status.config.name)).await.unwrap();
    assert_eq!(bucket.status().await.unwrap().config, status.config);
}

pub async fn an_ensured_bucket_that_would_lose_values_is_a_conflict(on: Subject) {
    let own = on.bucket(5).await;
    own.put_all([("a", "1"), ("a", "2"), ("a", "3")]).await;
    let narrower = BucketConfig::new(&own.name).with_history(2);
    let error = refused(on.store.ensure_bucket(narrower).await, ErrorKind::Conflict);
    assert_eq!(error.get("history"), Some("has 5, wanted 2"));
    assert_eq!(own.history("a").await.len(), 3, "nothing was changed");
}

pub async fn an_ensured_bucket_of_another_storage_is_a_conflict(on: Subject) {
    let own = on.bucket_with(|config| config.with_storage(Storage::Memory)).await;
    let other = BucketConfig::new(&own.name).with_storage(Storage::File);
    let error = refused(on.store.ensure_bucket(other).await, ErrorKind::Conflict);
    assert_eq!(error.get("storage"), Some("has memory, wanted file"));
}

pub async fn an_older_bucket_is_given_transactions_and_ttls_where_the_server_can(on: Subject) {
    let name = names::unique("kv");
    let stream = StreamConfig::new(format!("KV_{name}"), [format!("$KV.{name}.>")])
        .with_max_messages_per_subject(1)
        .with_allow_rollup(true)
        .with_allow_direct(true);
    on.js.create_stream(stream).await.unwrap();
    let markers = Duration::from_secs(30);
    let wanted = BucketConfig::new(&name).with_transactions(true).with_marker_ttl(markers);
    let ensured = on.store.ensure_bucket(wanted).await;
    if !on.can().atomic_publish {
        refused(ensured, ErrorKind::Unsupported);
        return;
    }
    let status = ensured.unwrap().status().await.unwrap();
    assert_eq!(status.config.transactions, Some(true));
    assert_eq!(status.config.marker_ttl, Some(markers));
    let off = BucketConfig::new(&name).with_marker_ttl(Duration::ZERO);
    let error = refused(on.store.ensure_bucket(off).await, ErrorKind::Conflict);
    assert_eq!(error.get("marker_ttl"), Some("has true, wanted false"));
}

pub async fn a_deleted_bucket_is_gone(on: Subject) {
    let own = on.bucket(1).await;
    own.put_all([("a", "1")]).await;
    on.store.delete_bucket(&own.name).await.unwrap();
    assert!(on.js.find_stream(&own.stream()).await.unwrap().is_none());
    let error = refused(on.store.delete_bucket(&own.name).await, ErrorKind::NotFound);
    assert_eq!(error.get("bucket"), Some(own.name.as_str()));
}

pub async fn a_bucket_that_is_not_there_is_not_found_and_never_empty(on: Subject) {
    let name = names::unique("kv");
    let bucket = on.store.bucket(&name).unwrap();
    let missing = ErrorKind::NotFound;
    refused(bucket.get("a").await, missing);
    refused(bucket.get_revision("a", 1).await, missing);
    refused(bucket.history("a").await, missing);
    refused(bucket.status().await, missing);
    refused(bucket.keys(KeySelection::All).try_collect::<Vec<_>>().await, missing);
    let mut watch = bucket.watch(WatchOptions::default());
    refused(wait::within("a watch", PATIENCE, watch.next()).await.unwrap(), missing);
    for found in bucket.bulk_get(["a", "b"]).await {
        refused(found.result, missing);
    }
    for put in bucket.bulk_put([("a", "1"), ("b", "2")]).await {
        refused(put.result, missing);
    }
    let error = refused(bucket.put("a", "1").await, missing);
    assert_eq!(error.get("bucket"), Some(name.as_str()));
    assert!(error.hint().is_some());
    refused(bucket.create("a", "1").await, missing);
    refused(bucket.delete("a").await, missing);
}

pub async fn buckets_are_listed_by_name(on: Subject) {
    let (a, b) = (on.bucket(1).await, on.bucket(2).await);
    let foreign = names::unique("foreign");
    on.js.create_stream(StreamConfig::new(&foreign, [format!("{foreign}.>")])).await.unwrap();
    let listed: Vec<BucketStatus> = on.store.list_buckets().try_collect().await.unwrap();
    let names: Vec<_> = listed.iter().map(|status| status.config.name.as_str()).collect();
    assert!(names.contains(&a.name.as_str()) && names.contains(&b.name.as_str()));
    assert!(!names.iter().any(|name| name.contains("foreign")));
    assert!(names.is_sorted(), "{names:?}");
    let status = listed.iter().find(|status| status.config.name == b.name).unwrap();
    assert_eq!(status.config.history, Some(2));
}

pub async fn a_full_bucket_refuses_and_keeps_what_it_has(on: Subject) {
    let own = on.bucket_with(|config| config.with_max_bytes(4_096)).await;
    let value = || vec![b'x'; 1_500];
    own.bucket.put("a", value()).await.unwrap();
    own.bucket.put("b", value()).await.unwrap();
    let error = refused(own.bucket.put("c", value()).await, ErrorKind::LimitReached);
    assert_eq!(error.get("key"), Some("c"));
    assert_eq!(own.keys(KeySelection::All).await, ["a", "b"]);
}

pub async fn a_value_over_the_buckets_size_is_too_large(on: Subject) {
    let own = on.bucket_with(|config| config.with_max_value_size(100)).await;
    own.bucket.put("a", vec![0; 50]).await.unwrap();
    refused(own.bucket.put("a", vec![0; 200]).await, ErrorKind::TooLarge);
    assert_eq!(own.bucket.get("a").await.unwrap().unwrap().value.len(), 50);
}

pub async fn values_go_by_the_buckets_age(on: Subject) {
    let age = Duration::from_millis(600);
    let own = on.bucket_with(|config| config.with_max_age(age)).await;
    own.put_all([("a", "1")]).await;
    assert_eq!(own.value("a").await.as_deref(), Some("1"));
    wait::until("the value to age away", PATIENCE, async || own.value("a").await.is_none()).await;
    assert!(own.keys(KeySelection::All).await.is_empty());
}

pub async fn a_store_works_by_the_names_of_buckets(on: Subject) {
    let own = on.bucket(4).await;
    let (store, name) = (&on.store, own.name.as_str());
    let first = store.put(name, "a", "1").await.unwrap();
    assert_eq!(store.update(name, "a", "2", first).await.unwrap(), 2);
    assert_eq!(store.get(name, "a").await.unwrap().unwrap().revision, 2);
    store.put_json(name, "j", &vec![1, 2]).await.unwrap();
    assert_eq!(store.get_json::<Vec<u8>>(name, "j").await.unwrap(), Some(vec![1, 2]));
    store.delete(name, "a").await.unwrap();
    assert_eq!(store.history(name, "a").await.unwrap().len(), 3);
    assert_eq!(store.bulk_put(name, [("x", "1"), ("y", "2")]).await.unwrap().len(), 2);
    assert_eq!(store.bulk_get(name, ["x", "a"]).await.unwrap().len(), 2);
    refused(store.get("no bucket", "a").await, ErrorKind::InvalidArgument);
}
