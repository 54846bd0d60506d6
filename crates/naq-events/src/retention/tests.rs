//! Removing all of what is too old, where digests of it can't be kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use naq_core::clock::{Clock, ManualClock};
use naq_core::config::{EventsConfig, KeeperMode, RetentionAges, StreamMode};
use naq_core::connection::{ConnectionProvider, SingleJetStream};
use naq_core::events::{CleanupRequest, Event, EventQueryExt};
use naq_core::jetstream::{JetStream, PublishMessage, StreamConfig};
use naq_core::kv::{KvBucket, KvBucketExt, KvStore};
use naq_core::service::Service;
use naq_core::{Error, ErrorKind, Timestamp};
use naq_kv::KvStoreService;
use naq_memory::MemoryJetStream;
use naq_streams::StreamService;

use super::CleanupSteps;
use crate::digests::BLOCK;
use crate::made_up::{counting, of_a_newer_version, without_right};
use crate::service::EventService;

const AGE: Duration = Duration::from_secs(60);

/// Two types of event that get a minute old.
const KINDS: [&str; 2] = ["a", "b"];

/// A log of two events of each kind, all of them too old.
struct Scene {
    js: MemoryJetStream,
    clock: ManualClock,
    buckets: Arc<dyn KvStore>,
}

impl Scene {
    async fn new() -> Self {
        let clock = ManualClock::starting_at(Timestamp::from_nanos(1_700_000_000_000_000_000));
        let js = MemoryJetStream::builder().clock(Arc::new(clock.clone())).build();
        js.create_stream(StreamConfig::new("events", ["events.>"])).await.unwrap();
        let provider = SingleJetStream::provider(Arc::new(js.clone()));
        let scene = Self { js, clock, buckets: Arc::new(KvStoreService::new(provider)) };
        scene.log(4).await;
        scene.clock.advance(2 * AGE);
        scene
    }

    /// So many events more, of each kind in turn.
    async fn log(&self, events: usize) {
        for kind in KINDS.into_iter().cycle().take(events) {
            let payload = serde_json::to_vec(&Event::new(kind)).unwrap();
            self.js.publish(PublishMessage::new(format!("events.{kind}"), payload)).await.unwrap();
        }
    }

    /// A service that knows nothing yet.
    async fn service(&self) -> EventService {
        let connections = SingleJetStream::provider(Arc::new(self.js.clone()));
        self.service_by(connections, Arc::clone(&self.buckets)).await
    }

    /// The same, by this way to the log, with these buckets.
    async fn service_by(
        &self,
        connections: Arc<dyn ConnectionProvider>,
        buckets: Arc<dyn KvStore>,
    ) -> EventService {
        // Each is a step of its own.
        let ages = RetentionAges::default().with_age("a", AGE).with_age("b", AGE + AGE / 2);
        let config = EventsConfig::default()
            .with_stream(StreamMode::Assume)
            .with_keeper(KeeperMode::Off)
            .with_retention(ages);
        let streams = Arc::new(StreamService::new(Arc::clone(&connections)));
        let clock = Arc::new(self.clock.clone());
        let service = EventService::new(connections, streams, clock, config).unwrap();
        let service = service.with_digests(buckets);
        service.start().await.unwrap();
        service
    }

    /// The digest of the first block, and its key.
    async fn digest(&self) -> (Arc<dyn KvBucket>, String, Vec<u8>) {
        self.digest_of(0).await
    }

    /// The digest of a block, and its key.
    async fn digest_of(&self, block: u64) -> (Arc<dyn KvBucket>, String, Vec<u8>) {
        let bucket = self.buckets.bucket("naq_digests").unwrap();
        let created = self.js.stream_info("events").await.unwrap().created;
        let key = format!("events.{}.{block:010}.v2", created.as_nanos());
        let value = bucket.get(&key).await.unwrap().unwrap().value.to_vec();
        (bucket, key, value)
    }

    async fn left(&self) -> u64 {
        self.js.stream_info("events").await.unwrap().state.messages
    }
}

/// What went of each type, and how it ended.
async fn applied(service: &EventService) -> (Vec<u64>, Option<Error>) {
    let mut steps = service.apply_retention(Duration::ZERO);
    let mut removed = Vec::new();
    while let Some(step) = steps.next().await {
        match step {
            Ok(step) => removed.push(step.removed),
            Err(error) => {
                assert!(steps.next().await.is_none(), "it ends with its error");
                return (removed, Some(error));
            }
        }
    }
    (removed, None)
}

#[track_caller]
fn assert_stays(error: Option<&Error>, digested_through: &str) {
    let error = error.expect("what is too old stays, and nothing says so");
    assert!(error.is(ErrorKind::Conflict), "{error}");
    assert_eq!(error.get("digested_through"), Some(digested_through), "{error}");
}

#[tokio::test]
async fn what_another_version_has_digested_stays_and_that_is_told() {
    let scene = Scene::new().await;
    let earlier = scene.service().await;
    let digests = earlier.digests.as_deref().unwrap();
    super::apply::fold(digests, &earlier.log).await.unwrap();
    let (bucket, key, digest) = scene.digest().await;
    bucket.put(&key, of_a_newer_version(&digest)).await.unwrap();
    let service = scene.service().await;
    assert_eq!(service.plan_retention().await.unwrap().events, 4);
    let (removed, end) = applied(&service).await;
    assert_eq!((removed, scene.left().await), (vec![], 4));
    assert_stays(end.as_ref(), "0");
    bucket.delete(&key).await.unwrap();
    let (removed, end) = applied(&scene.service().await).await;
    assert!(end.is_none(), "{end:?}");
    assert_eq!((removed, scene.left().await), (vec![2, 2], 0));
}

#[tokio::test]
async fn steps_that_end_half_way_say_that_there_is_more() {
    let scene = Scene::new().await;
    let service = scene.service().await;
    let mut steps = service.apply_retention(Duration::ZERO);
    assert_eq!(steps.next().await.unwrap().unwrap().removed, 2);
    let (bucket, key, _) = scene.digest().await;
    bucket.put(&key, "no digest").await.unwrap();
    let end = steps.next().await.unwrap();
    assert_stays(end.as_ref().err(), "0");
    assert!(steps.next().await.is_none());
    assert_eq!(scene.left().await, 2);
    // Whoever knows nothing of it digests what is there anew.
    let (removed, end) = applied(&scene.service().await).await;
    assert!(end.is_none(), "{end:?}");
    assert_eq!((removed, scene.left().await), (vec![2], 0));
}

#[tokio::test]
async fn what_is_cleaned_up_in_steps_is_in_digests_first_unless_that_is_not_wanted() {
    let scene = Scene::new().await;
    let service = scene.service().await;
    let of_a = || CleanupRequest::new(AGE).with_event_type("a");
    let steps = CleanupSteps::default().with_pause(Duration::ZERO);
    let mut told = Vec::new();
    let dry = of_a().with_dry_run(true);
    let dry = service.cleanup_in_steps(dry, steps, |step| told.push(step.removed)).await.unwrap();
    assert_eq!((dry.removed, dry.dry_run, told.len(), scene.left().await), (2, true, 0, 4));
    let done = service.cleanup_in_steps(of_a(), steps, |step| told.push(step.removed));
    let done = done.await.unwrap();
    assert_eq!((done.removed, done.event_type), (2, Some("a".into())));
    assert_eq!(done.before, scene.clock.now().saturating_sub(AGE));
    assert_eq!((told, scene.left().await), (vec![2], 2));
    let stats = scene.service().await.get_event_stats(None, None).await.unwrap();
    assert_eq!((stats.total_events, stats.basis.holes), (4, 0));

    // What can't be digested stays, unless it may go all the same.
    let (bucket, key, digest) = scene.digest().await;
    bucket.put(&key, of_a_newer_version(&digest)).await.unwrap();
    let all = || CleanupRequest::new(AGE);
    let refused = scene.service().await.cleanup_in_steps(all(), steps, |_| {}).await;
    assert_stays(refused.as_ref().err(), "0");
    assert_eq!(scene.left().await, 2);
    let steps = steps.with_digest_first(false);
    let done = scene.service().await.cleanup_in_steps(all(), steps, |_| {}).await.unwrap();
    assert_eq!((done.removed, scene.left().await), (2, 0));
    let error = service.cleanup_in_steps(of_a().with_event_type(""), steps, |_| {}).await;
    assert!(error.unwrap_err().is(ErrorKind::InvalidArgument));
}

#[tokio::test]
async fn a_cleanup_that_ends_half_way_says_how_much_it_removed() {
    let scene = Scene::new().await;
    scene.log(BLOCK as usize).await;
    scene.clock.advance(2 * AGE);
    let earlier = scene.service().await;
    super::apply::fold(earlier.digests.as_deref().unwrap(), &earlier.log).await.unwrap();
    let (bucket, key, digest) = scene.digest_of(1).await;
    bucket.put(&key, of_a_newer_version(&digest)).await.unwrap();
    let service = scene.service().await;
    let mut told = 0;
    let cleanup = || CleanupRequest::new(AGE);
    let steps = CleanupSteps::default();
    let end = service.cleanup_in_steps(cleanup(), steps, |step| told += step.removed).await;
    let end = end.unwrap_err();
    assert_stays(Some(&end), &BLOCK.to_string());
    assert_eq!(end.get("removed"), Some(BLOCK.to_string().as_str()));
    assert_eq!((told, scene.left().await), (BLOCK, 4));
    // Where nothing went, nothing is said of it.
    let end = service.cleanup_in_steps(cleanup(), steps, |_| {}).await.unwrap_err();
    assert_eq!(end.get("removed"), None);
}

#[tokio::test]
async fn who_may_keep_no_digests_learns_so_before_the_log_is_read() {
    let scene = Scene::new().await;
    let (is_denied, reads) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    let connections = SingleJetStream::provider(counting(&scene.js, &reads));
    let service = scene.service_by(connections, without_right(&scene.js, &is_denied)).await;
    let steps = CleanupSteps::default();
    let refused = service.cleanup_in_steps(CleanupRequest::new(AGE), steps, |_| {}).await;
    let refused = refused.unwrap_err();
    assert!(refused.is(ErrorKind::PermissionDenied), "{refused}");
    let (removed, end) = applied(&service).await;
    assert!(end.is_some_and(|end| end.is(ErrorKind::PermissionDenied)));
    assert_eq!((removed, scene.left().await, reads.load(Ordering::Relaxed)), (vec![], 4, 0));
}
