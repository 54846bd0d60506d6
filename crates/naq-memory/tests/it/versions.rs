//! Pretending an older server.

use std::time::Duration;

use naq_core::ErrorKind;
use naq_core::jetstream::{
    Capabilities, JetStream, MessageTtl, PublishMessage, ServerVersion, StreamConfig,
};
use naq_memory::{MemoryJetStream, VERSION};

fn of(minor: u32) -> MemoryJetStream {
    MemoryJetStream::builder().version(ServerVersion::new(2, minor, 0)).build()
}

#[tokio::test]
async fn what_a_version_lacks_is_unsupported() {
    let ttl = || StreamConfig::new("events", ["events.>"]).with_allow_message_ttl(true);
    let atomic = || StreamConfig::new("events", ["events.>"]).with_allow_atomic_publish(true);
    for (minor, config, can) in
        [(10, ttl(), false), (11, ttl(), true), (11, atomic(), false), (12, atomic(), true)]
    {
        let created = of(minor).create_stream(config).await;
        match created {
            Ok(_) => assert!(can, "2.{minor}"),
            Err(error) => assert!(!can && error.is(ErrorKind::Unsupported), "2.{minor} {error:?}"),
        }
    }
    let old = of(10);
    old.create_stream(StreamConfig::new("events", ["events.>"])).await.unwrap();
    let ttl = MessageTtl::After(Duration::from_secs(1));
    let error = old.publish(PublishMessage::new("events.a", "x").with_ttl(ttl)).await.unwrap_err();
    assert!(error.is(ErrorKind::Unsupported), "{error:?}");
    let batch = vec![PublishMessage::new("events.a", "x")];
    let error = old.publish_atomic(batch).await.unwrap_err();
    assert!(error.is(ErrorKind::Unsupported), "{error:?}");
}

#[test]
fn capabilities_are_the_versions() {
    for minor in [10, 11, 12, 14] {
        let want = Capabilities::of(ServerVersion::new(2, minor, 0));
        assert_eq!(of(minor).capabilities(), want);
    }
    assert_eq!(MemoryJetStream::new().server_info().version, VERSION);
}
