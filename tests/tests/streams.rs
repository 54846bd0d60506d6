//! What `ensure_stream` says of a difference, held against what servers do with it.
//!
//! The service refuses by what it knows, before it sends anything: that what it
//! calls impossible is refused by every server, and what it calls safe is taken
//! by every server and loses nothing, is what these tests show.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use naq_core::connection::SingleJetStream;
use naq_core::jetstream::{
    Compression, Discard, JetStream, JetStreamExt, PublishMessage, Retention, Storage, StreamConfig,
};
use naq_core::streams::{EnsureOutcome, EnsureStream, StreamManager};
use naq_core::{ErrorKind, Timestamp};
use naq_memory::MemoryJetStream;
use naq_streams::StreamService;
use naq_tests::names::unique;
use naq_tests::server::{NatsServer, Version};
use naq_tests::{backend, wait};

/// A stream with three messages, and the service on its JetStream.
struct Fixture {
    js: Arc<dyn JetStream>,
    streams: StreamService,
    name: String,
}

impl Fixture {
    async fn new(js: &Arc<dyn JetStream>) -> Self {
        let streams = StreamService::new(SingleJetStream::provider(Arc::clone(js)));
        let fixture = Self { js: Arc::clone(js), streams, name: unique("ensure") };
        let created = fixture.ensure(fixture.base()).await.unwrap();
        assert_eq!(created, EnsureOutcome::Created);
        for tail in ["a", "b", "a"] {
            let message = PublishMessage::new(format!("{}.{tail}", fixture.name), "x");
            fixture.js.publish(message).await.unwrap();
        }
        fixture
    }

    /// What the stream is made with.
    fn base(&self) -> StreamConfig {
        StreamConfig::new(&self.name, [format!("{}.*", self.name)])
            .with_storage(Storage::File)
            .with_max_messages(1_000)
            .with_max_messages_per_subject(100)
            .with_max_consumers(10)
            .with_deny_delete(true)
            .with_deny_purge(true)
    }

    /// A difference alone: nothing else is set.
    fn only(&self) -> StreamConfig {
        StreamConfig::new(&self.name, [""; 0])
    }

    async fn ensure(&self, config: StreamConfig) -> naq_core::Result<EnsureOutcome> {
        Ok(self.streams.ensure_stream(EnsureStream::new(config)).await?.outcome)
    }

    async fn messages(&self) -> u64 {
        self.js.stream_info(&self.name).await.unwrap().state.messages
    }
}

async fn what_is_called_safe_is_taken_and_loses_nothing(js: &Arc<dyn JetStream>) {
    let fixture = Fixture::new(js).await;
    let only = || fixture.only();
    let mut safe = vec![
        ("description", only().with_description("for people".to_owned())),
        ("subjects", StreamConfig::new(&fixture.name, [format!("{}.>", fixture.name)])),
        ("discard", only().with_discard(Discard::New)),
        ("discard_new_per_subject", only().with_discard_new_per_subject(true)),
        ("max_messages", only().with_max_messages(3)),
        ("max_messages_per_subject", only().with_max_messages_per_subject(2)),
        ("max_bytes", only().with_max_bytes(1 << 20)),
        ("max_age", only().with_max_age(Duration::from_secs(3_600))),
        ("max_message_size", only().with_max_message_size(1_000)),
        ("duplicate_window", only().with_duplicate_window(Duration::from_secs(30))),
        ("compression", only().with_compression(Compression::S2)),
        ("allow_direct", only().with_allow_direct(true)),
        ("metadata", only().with_metadata("team", "a")),
    ];
    if js.capabilities().message_ttl {
        safe.push(("allow_message_ttl", only().with_allow_message_ttl(true)));
    }
    if js.capabilities().atomic_publish {
        safe.push(("allow_atomic_publish", only().with_allow_atomic_publish(true)));
        safe.push(("allow_atomic_publish", only().with_allow_atomic_publish(false)));
    }
    safe.push(("sealed", only().with_sealed(true)));
    for (field, wanted) in safe {
        let outcome = fixture.ensure(wanted.clone()).await.unwrap();
        let EnsureOutcome::Updated(changes) = outcome else { panic!("{field} was not updated") };
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!(changes[0].field, field);
        let again = fixture.ensure(wanted).await.unwrap();
        assert_eq!(again, EnsureOutcome::Unchanged, "{field} is as it was wanted");
        assert_eq!(fixture.messages().await, 3, "{field} lost messages");
    }
}

async fn what_is_called_impossible_is_refused_by_the_server_too(js: &Arc<dyn JetStream>) {
    let fixture = Fixture::new(js).await;
    let only = || fixture.only();
    let mut impossible = vec![
        ("storage", only().with_storage(Storage::Memory)),
        ("retention", only().with_retention(Retention::WorkQueue)),
        ("deny_delete", only().with_deny_delete(false)),
        ("deny_purge", only().with_deny_purge(false)),
    ];
    if js.capabilities().message_ttl {
        fixture.ensure(only().with_allow_message_ttl(true)).await.unwrap();
        impossible.push(("allow_message_ttl", only().with_allow_message_ttl(false)));
    }
    let before = js.stream_info(&fixture.name).await.unwrap();
    for (field, wanted) in impossible {
        let refused = fixture.ensure(wanted.clone()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{field}");
        assert!(refused.get(field).unwrap().contains("wanted"), "{refused}");
        let by_server = js.update_stream(wanted).await;
        assert!(by_server.is_err(), "{field} could be changed");
    }
    let after = js.stream_info(&fixture.name).await.unwrap();
    assert_eq!((after.config, after.state), (before.config, before.state));

    // That one depends on the version; where it is refused, it is told like the others.
    let consumers = fixture.ensure(only().with_max_consumers(20)).await;
    if js.server_info().version.at_least(2, 12) {
        assert!(matches!(consumers.unwrap(), EnsureOutcome::Updated(_)));
    } else {
        let refused = consumers.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert_eq!(refused.get("max_consumers"), Some("has 10, wanted 20"));
    }
}

async fn what_is_called_a_loss_is_one_and_happens_only_when_allowed(js: &Arc<dyn JetStream>) {
    for (field, lower) in [
        ("max_messages", StreamConfig::default().with_max_messages(2)),
        ("max_messages_per_subject", StreamConfig::default().with_max_messages_per_subject(1)),
        ("max_bytes", StreamConfig::default().with_max_bytes(100)),
        ("max_age", StreamConfig::default().with_max_age(Duration::from_millis(100))),
    ] {
        let fixture = Fixture::new(js).await;
        let mut wanted = lower;
        wanted.name.clone_from(&fixture.name);
        if field == "max_age" {
            // The messages must be older than that by then, and the window not longer.
            wanted.duplicate_window = Some(Duration::from_millis(100));
            let first = js.stream_info(&fixture.name).await.unwrap().state.first_time.unwrap();
            let old = async || {
                Timestamp::from(SystemTime::now()).since(first) > Duration::from_millis(300)
            };
            wait::until("the messages to be old", Duration::from_secs(5), old).await;
        }
        let refused = fixture.ensure(wanted.clone()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{field}");
        assert!(refused.get(field).is_some(), "{refused}");
        assert_eq!(fixture.messages().await, 3);

        let allowed = EnsureStream::new(wanted).with_allow_loss(true);
        fixture.streams.ensure_stream(allowed).await.unwrap();
        let fewer = async || fixture.messages().await < 3;
        wait::until(field, Duration::from_secs(10), fewer).await;
    }
}

async fn creators_at_the_same_time_agree(js: &Arc<dyn JetStream>) {
    let streams = StreamService::new(SingleJetStream::provider(Arc::clone(js)));
    let name = unique("race");
    let ensures = (0..6_u64).map(|n| {
        // All want the same but for a limit that each would raise.
        let config = StreamConfig::new(&name, [format!("{name}.>")]).with_max_messages(100 + n);
        let (streams, request) = (streams.clone(), EnsureStream::new(config));
        async move { streams.ensure_stream(request).await }
    });
    for ensured in futures::future::join_all(ensures).await {
        ensured.unwrap();
    }
    let info = js.find_stream(&name).await.unwrap().unwrap();
    assert!((100..106).contains(&info.config.max_messages.unwrap()));
}

async fn all(js: Arc<dyn JetStream>) {
    what_is_called_safe_is_taken_and_loses_nothing(&js).await;
    what_is_called_impossible_is_refused_by_the_server_too(&js).await;
    what_is_called_a_loss_is_one_and_happens_only_when_allowed(&js).await;
    creators_at_the_same_time_agree(&js).await;
}

async fn on(version: Version) {
    let server = NatsServer::builder().version(version).start().await;
    all(backend::connect(&server.url()).await).await;
}

#[tokio::test]
async fn differences_are_what_server_2_15_makes_of_them() {
    on(Version::V2_15).await;
}

#[tokio::test]
async fn differences_are_what_server_2_14_makes_of_them() {
    on(Version::V2_14).await;
}

#[tokio::test]
async fn differences_are_what_server_2_12_makes_of_them() {
    on(Version::V2_12).await;
}

#[tokio::test]
async fn differences_are_what_server_2_11_makes_of_them() {
    on(Version::V2_11).await;
}

#[tokio::test]
async fn differences_are_what_server_2_10_makes_of_them() {
    on(Version::V2_10).await;
}

#[tokio::test]
async fn differences_are_what_memory_makes_of_them() {
    all(Arc::new(MemoryJetStream::new())).await;
}
