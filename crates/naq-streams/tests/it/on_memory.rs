//! What the service does to streams that are really there.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use naq_core::ErrorKind;
use naq_core::clock::{Clock, ManualClock};
use naq_core::config::StreamsConfig;
use naq_core::connection::{ConnectionProvider, SingleJetStream};
use naq_core::jetstream::{
    JetStreamExt, PublishMessage, PurgeKeep, PurgeOptions, Retention, Storage, StreamConfig,
};
use naq_core::service::{HealthState, Provide, Service};
use naq_memory::MemoryJetStream;
use naq_streams::prelude::*;

struct Fixture {
    jetstream: MemoryJetStream,
    clock: ManualClock,
    streams: StreamService,
}

impl Fixture {
    fn new() -> Self {
        let clock = ManualClock::new();
        let jetstream = MemoryJetStream::builder().clock(Arc::new(clock.clone())).build();
        let streams = StreamService::new(SingleJetStream::provider(Arc::new(jetstream.clone())))
            .with_clock(Arc::new(clock.clone()));
        Self { jetstream, clock, streams }
    }

    async fn store(&self, subjects: &[&str]) {
        let messages = subjects.iter().map(|subject| PublishMessage::new(*subject, "x")).collect();
        self.jetstream.publish_all(messages).await.unwrap();
    }

    async fn ensure(&self, config: StreamConfig) -> Result<EnsureOutcome> {
        Ok(self.streams.ensure_stream(EnsureStream::new(config)).await?.outcome)
    }

    async fn messages(&self) -> u64 {
        self.streams.get_stream_info("orders").await.unwrap().state.messages
    }
}

fn wanted() -> StreamConfig {
    StreamConfig::new("orders", ["orders.>"]).with_max_messages(100)
}

#[tokio::test]
async fn ensuring_is_idempotent_and_tells_what_it_changed() {
    let fixture = Fixture::new();
    assert_eq!(fixture.ensure(wanted()).await.unwrap(), EnsureOutcome::Created);
    assert_eq!(fixture.ensure(wanted()).await.unwrap(), EnsureOutcome::Unchanged);

    let more = wanted().with_max_messages(500).with_description("all orders".into());
    let EnsureOutcome::Updated(changes) = fixture.ensure(more.clone()).await.unwrap() else {
        panic!("not updated")
    };
    let fields: Vec<_> = changes.iter().map(|change| change.field).collect();
    assert_eq!(fields, ["description", "max_messages"]);
    assert_eq!(fixture.ensure(more).await.unwrap(), EnsureOutcome::Unchanged);

    // What is not set doesn't matter.
    let little = StreamConfig::new("orders", [""; 0]);
    assert_eq!(fixture.ensure(little).await.unwrap(), EnsureOutcome::Unchanged);
}

#[tokio::test]
async fn a_conflict_changes_nothing() {
    let fixture = Fixture::new();
    fixture.ensure(wanted().with_storage(Storage::File)).await.unwrap();
    let before = fixture.streams.get_stream_info("orders").await.unwrap();
    let other = wanted()
        .with_storage(Storage::Memory)
        .with_retention(Retention::WorkQueue)
        .with_max_messages(7);
    let refused = fixture.ensure(other).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(refused.get("storage"), Some("has file, wanted memory"));
    assert_eq!(refused.get("retention"), Some("has limits, wanted workqueue"));
    assert_eq!(fixture.streams.get_stream_info("orders").await.unwrap(), before);
}

#[tokio::test]
async fn messages_are_lost_only_where_that_is_allowed() {
    let fixture = Fixture::new();
    fixture.ensure(wanted()).await.unwrap();
    fixture.store(&["orders.1", "orders.2", "orders.3"]).await;
    let lower = wanted().with_max_messages(2);
    assert_eq!(fixture.ensure(lower.clone()).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(fixture.messages().await, 3);

    let request = EnsureStream::new(lower).with_allow_loss(true);
    fixture.streams.ensure_stream(request).await.unwrap();
    assert_eq!(fixture.messages().await, 2);
}

#[tokio::test]
async fn a_lower_age_loses_messages_once_they_are_older() {
    let fixture = Fixture::new();
    fixture.ensure(wanted()).await.unwrap();
    fixture.store(&["orders.1"]).await;
    fixture.clock.advance(Duration::from_secs(90));
    let two_minutes = wanted().with_max_age(Duration::from_secs(120));
    fixture.ensure(two_minutes.with_duplicate_window(Duration::from_secs(30))).await.unwrap();
    let one_minute = wanted().with_max_age(Duration::from_secs(60));
    let refused = fixture.ensure(one_minute).await.unwrap_err();
    assert_eq!(refused.get("max_age"), Some("has 2m, wanted 1m"));
    assert_eq!(fixture.messages().await, 1);
}

#[tokio::test]
async fn streams_are_listed_purged_and_deleted() {
    let fixture = Fixture::new();
    fixture.ensure(wanted()).await.unwrap();
    fixture.ensure(StreamConfig::new("bills", ["bills.>"])).await.unwrap();
    let infos: Vec<_> = fixture.streams.list_streams().try_collect().await.unwrap();
    let names: Vec<_> = infos.iter().map(|info| info.config.name.as_str()).collect();
    assert_eq!(names, ["bills", "orders"]);

    fixture.store(&["orders.a", "orders.b", "orders.a", "orders.b", "orders.a"]).await;
    let mut counts: Vec<_> =
        fixture.streams.subject_counts("orders", "orders.*").try_collect().await.unwrap();
    counts.sort_unstable();
    assert_eq!(counts, [("orders.a".to_owned(), 3), ("orders.b".to_owned(), 2)]);

    let by_subject = PurgeOptions::default().with_subject("orders.b");
    assert_eq!(fixture.streams.purge_stream("orders", by_subject).await.unwrap(), 2);
    let keep_one = PurgeOptions::default().with_keep(PurgeKeep::Newest(1));
    assert_eq!(fixture.streams.purge_stream("orders", keep_one).await.unwrap(), 2);
    let from_5 = PurgeOptions::default().with_keep(PurgeKeep::FromSequence(5));
    assert_eq!(fixture.streams.purge_stream("orders", from_5).await.unwrap(), 0);
    assert_eq!(fixture.streams.purge_stream("orders", PurgeOptions::default()).await.unwrap(), 1);

    fixture.streams.delete_stream("orders").await.unwrap();
    assert!(!fixture.streams.stream_exists("orders").await.unwrap());
    let missing = fixture.streams.delete_stream("orders").await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn many_creators_at_the_same_time_make_one_stream() {
    let fixture = Fixture::new();
    let ensures = (0..8).map(|_| fixture.ensure(wanted()));
    let outcomes = futures::future::join_all(ensures).await;
    let created =
        outcomes.iter().filter(|outcome| matches!(outcome, Ok(EnsureOutcome::Created))).count();
    assert!(created >= 1);
    assert!(outcomes.iter().all(|outcome| outcome.is_ok()), "{outcomes:?}");
}

#[tokio::test]
async fn the_recipe_builds_a_service_that_works() {
    let connections: Arc<dyn ConnectionProvider> =
        SingleJetStream::provider(Arc::new(MemoryJetStream::new()));
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
    let service = StreamService::build((connections, clock), StreamsConfig::default()).unwrap();
    assert_eq!(StreamService::NAME, "streams");
    let interfaces: Vec<_> =
        StreamService::interfaces().list().iter().map(|interface| interface.name()).collect();
    assert_eq!(interfaces, ["StreamService", "dyn StreamManager"]);
    service.start().await.unwrap();
    assert_eq!(service.health().await.state, HealthState::Healthy);
    assert!(service.stop(Duration::from_secs(1)).await.unwrap().is_clean());
}
