//! The caps that keep a program that runs away from taking all memory.

use naq_core::ErrorKind;
use naq_core::jetstream::{JetStream, PublishMessage, PurgeOptions, StreamConfig};
use naq_memory::{MemoryJetStream, MemoryLimits};

async fn capped(limits: MemoryLimits) -> MemoryJetStream {
    let js = MemoryJetStream::builder().limits(limits).build();
    js.create_stream(StreamConfig::new("events", ["events.>"])).await.unwrap();
    js
}

/// Publishes until it is refused and tells how many were stored and why no more.
async fn fill(js: &MemoryJetStream, ids: bool) -> (u64, ErrorKind) {
    for stored in 0..1_000_000 {
        let mut message = PublishMessage::new("events.a", vec![0; 1_000]);
        if ids {
            message = message.with_message_id(stored.to_string());
        }
        if let Err(error) = js.publish(message).await {
            assert!(error.hint().is_some(), "{error:?}");
            return (stored, error.kind());
        }
    }
    panic!("a million messages were stored");
}

#[tokio::test]
async fn a_program_that_runs_away_is_told_so_and_goes_on_when_there_is_room() {
    let js = capped(MemoryLimits::default().with_max_bytes(1024 * 1024)).await;
    let (stored, kind) = fill(&js, false).await;
    assert_eq!(kind, ErrorKind::LimitReached);
    assert!((500..1_049).contains(&stored), "{stored}");
    js.purge_stream("events", PurgeOptions::default()).await.unwrap();
    js.publish(PublishMessage::new("events.a", "x")).await.unwrap();
}

#[tokio::test]
async fn message_ids_count_towards_the_cap() {
    let js = capped(MemoryLimits::default().with_max_bytes(1024 * 1024)).await;
    let keep_none = StreamConfig::new("events", [""; 0]).with_max_messages(1);
    js.update_stream(keep_none).await.unwrap();
    let (stored, kind) = fill(&js, true).await;
    assert_eq!(kind, ErrorKind::LimitReached);
    assert!(stored > 1_049, "{stored}");
}

#[tokio::test]
async fn a_stream_with_limits_of_its_own_never_meets_the_cap() {
    let js = capped(MemoryLimits::default().with_max_bytes(1024 * 1024)).await;
    let bounded = StreamConfig::new("events", [""; 0]).with_max_messages(100);
    js.update_stream(bounded).await.unwrap();
    for _ in 0..5_000 {
        js.publish(PublishMessage::new("events.a", vec![0; 1_000])).await.unwrap();
    }
}

#[tokio::test]
async fn streams_and_payloads_are_capped() {
    let js = capped(MemoryLimits::default().with_max_streams(1).with_max_payload(10)).await;
    let error = js.create_stream(StreamConfig::new("more", ["more"])).await.unwrap_err();
    assert!(error.is(ErrorKind::LimitReached), "{error:?}");
    assert_eq!(js.server_info().max_payload, 10);
    js.publish(PublishMessage::new("events.a", vec![0; 10])).await.unwrap();
    let error = js.publish(PublishMessage::new("events.a", vec![0; 11])).await.unwrap_err();
    assert!(error.is(ErrorKind::TooLarge), "{error:?}");
    js.delete_stream("events").await.unwrap();
    js.create_stream(StreamConfig::new("more", ["more"])).await.unwrap();
}
