use naq_core::ErrorKind;
use naq_core::jetstream::{Expected, JetStream, PublishMessage, StreamConfig};
use naq_memory::MemoryJetStream;

async fn events() -> MemoryJetStream {
    let js = MemoryJetStream::new();
    js.create_stream(StreamConfig::new("events", ["events.>"])).await.unwrap();
    js
}

#[tokio::test]
async fn a_repeated_message_id_is_acknowledged_with_the_first_sequence() {
    let js = events().await;
    let message = PublishMessage::new("events.a", "1").with_message_id("x");
    let first = js.publish(message.clone()).await.unwrap();
    js.publish(PublishMessage::new("events.a", "2")).await.unwrap();
    let again = js.publish(message).await.unwrap();
    assert!(!first.duplicate && again.duplicate);
    assert_eq!((first.sequence, again.sequence), (1, 1));
}

#[tokio::test]
async fn an_expectation_that_fails_is_a_conflict_that_tells_the_last_sequence() {
    let js = events().await;
    js.publish(PublishMessage::new("events.a", "1")).await.unwrap();
    let expected = Expected::default().with_last_subject_sequence(0);
    let message = PublishMessage::new("events.a", "2").with_expected(expected);
    let error = js.publish(message).await.unwrap_err();
    assert_eq!((error.kind(), error.get("actual")), (ErrorKind::Conflict, Some("1")));
}
