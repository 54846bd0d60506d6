//! The service itself: its recipe, its health, and buckets that are ensured.

use std::sync::Arc;
use std::time::Duration;

use mockall::Sequence;
use naq_core::clock::{Clock, ManualClock};
use naq_core::config::KvStoresConfig;
use naq_core::connection::{ConnectionProvider, SingleJetStream};
use naq_core::jetstream::{MockJetStream, Storage, StreamConfig, StreamInfo, StreamState};
use naq_core::service::{HealthState, Provide, Service};
use naq_core::{ErrorKind, Timestamp};
use naq_kv::prelude::*;
use naq_memory::MemoryJetStream;

use crate::mocked::error;

fn on(mock: MockJetStream) -> KvStoreService {
    KvStoreService::new(SingleJetStream::provider(Arc::new(mock)))
}

fn info(history: u64) -> StreamInfo {
    let config = StreamConfig::new("KV_jobs", ["$KV.jobs.>"])
        .with_max_messages_per_subject(history)
        .with_storage(Storage::File);
    StreamInfo::new(config, StreamState::default(), Timestamp::default())
}

#[tokio::test]
async fn a_bucket_that_another_process_made_first_is_taken_as_it_is_or_updated() {
    let (mut mock, mut order) = (MockJetStream::new(), Sequence::new());
    mock.expect_capabilities().return_const(naq_core::jetstream::Capabilities::default());
    mock.expect_stream_info()
        .times(1)
        .in_sequence(&mut order)
        .returning(|_| Err(error(ErrorKind::NotFound)));
    mock.expect_create_stream()
        .times(1)
        .in_sequence(&mut order)
        .returning(|_| Err(error(ErrorKind::AlreadyExists)));
    mock.expect_stream_info().times(1).in_sequence(&mut order).returning(|_| Ok(info(1)));
    mock.expect_update_stream()
        .withf(|config| config.max_messages_per_subject == Some(8) && config.subjects.is_empty())
        .times(1)
        .in_sequence(&mut order)
        .returning(|_| Ok(info(8)));
    on(mock).ensure_bucket(BucketConfig::new("jobs").with_history(8)).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_mended_is_told_in_a_buckets_words() {
    let mut mock = MockJetStream::new();
    mock.expect_stream_info().times(1).returning(|_| {
        let mut info = info(5);
        info.state.messages = 5;
        info.state.num_subjects = 1;
        Ok(info)
    });
    let wanted = BucketConfig::new("jobs").with_history(2).with_storage(Storage::Memory);
    let refused = on(mock).ensure_bucket(wanted).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(refused.get("history"), Some("has 5, wanted 2"));
    assert_eq!(refused.get("storage"), Some("has file, wanted memory"));
    assert_eq!(refused.get("bucket"), Some("jobs"));
}

#[tokio::test]
async fn a_failed_look_creates_nothing() {
    let mut mock = MockJetStream::new();
    mock.expect_stream_info().times(1).returning(|_| Err(error(ErrorKind::Timeout)));
    let failed = on(mock).ensure_bucket(BucketConfig::new("jobs")).await.unwrap_err();
    assert_eq!((failed.kind(), failed.operation()), (ErrorKind::Timeout, "ensure_bucket"));
}

#[tokio::test]
async fn names_and_values_out_of_their_range_send_nothing() {
    let store = on(MockJetStream::new());
    for name in ["", "a.b", "a b", "*"] {
        let config = BucketConfig::new(name);
        assert!(store.create_bucket(config.clone()).await.is_err(), "{name:?}");
        assert!(store.ensure_bucket(config).await.is_err());
        assert!(store.delete_bucket(name).await.is_err());
        assert!(store.bucket(name).is_err());
    }
    let refused = store.create_bucket(BucketConfig::new("a").with_history(65)).await.unwrap_err();
    assert_eq!(refused.get("field"), Some("history"));
}

#[tokio::test]
async fn the_recipe_builds_a_store_that_works() {
    let connections: Arc<dyn ConnectionProvider> =
        SingleJetStream::provider(Arc::new(MemoryJetStream::new()));
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
    let service = KvStoreService::build((connections, clock), KvStoresConfig::default()).unwrap();
    assert_eq!(KvStoreService::NAME, "kv_stores");
    let interfaces: Vec<_> =
        KvStoreService::interfaces().list().iter().map(|interface| interface.name()).collect();
    assert_eq!(interfaces, ["KvStoreService", "dyn KvStore"]);
    service.start().await.unwrap();
    service.create_bucket(BucketConfig::new("jobs")).await.unwrap();
    assert_eq!(service.health().await.state, HealthState::Healthy);
    assert!(service.stop(Duration::from_secs(1)).await.unwrap().is_clean());
}

#[tokio::test]
async fn health_is_bad_where_jetstream_does_not_answer() {
    let jetstream = MemoryJetStream::new();
    jetstream.faults().disconnect();
    let service = KvStoreService::new(SingleJetStream::provider(Arc::new(jetstream)));
    let health = service.health().await;
    assert_eq!(health.state, HealthState::Unhealthy, "{health:?}");
    assert!(!health.detail.is_empty());
}

#[tokio::test]
async fn values_age_away_by_the_clock() {
    let clock = ManualClock::new();
    let jetstream = MemoryJetStream::builder().clock(Arc::new(clock.clone())).build();
    let store = KvStoreService::new(SingleJetStream::provider(Arc::new(jetstream)));
    let config = BucketConfig::new("jobs")
        .with_max_age(Duration::from_secs(60))
        .with_marker_ttl(Duration::from_secs(10));
    let bucket = store.create_bucket(config).await.unwrap();
    bucket.put("old", "1").await.unwrap();
    let ttl = PutOptions::default().with_ttl(Duration::from_secs(20));
    bucket.put_opts("brief", "2".into(), ttl).await.unwrap();

    clock.advance(Duration::from_secs(21));
    assert_eq!(bucket.get("brief").await.unwrap(), None);
    let marker = bucket.get_opts("brief", GetOptions::default()).await.unwrap().unwrap();
    assert_eq!(marker.operation, KvOperation::Expire);
    assert!(bucket.get("old").await.unwrap().is_some());

    clock.advance(Duration::from_secs(40));
    assert_eq!(bucket.get("old").await.unwrap(), None);
}
