use futures::StreamExt;
use naq_core::jetstream::{
    Delivery, JetStream, JetStreamExt, PublishMessage, ReadOptions, ReadStart, StreamConfig,
};
use naq_memory::MemoryJetStream;

#[tokio::test]
async fn a_read_catches_up_and_goes_on_live() {
    let js = MemoryJetStream::new();
    js.create_stream(StreamConfig::new("events", ["events.>"])).await.unwrap();
    js.publish(PublishMessage::new("events.a", "1")).await.unwrap();
    let mut read = js.read("events", ReadOptions::default());
    let mut next = async || read.next().await.unwrap().unwrap();
    assert!(matches!(next().await, Delivery::Message(message) if message.sequence == 1));
    assert_eq!(next().await, Delivery::CaughtUp { sequence: 1 });
    let (delivery, _) = tokio::join!(next(), js.publish(PublishMessage::new("events.b", "2")));
    assert!(matches!(delivery, Delivery::Message(message) if message.subject == "events.b"));
}

#[tokio::test]
async fn a_purge_of_the_head_is_a_gap() {
    let js = MemoryJetStream::new();
    js.create_stream(StreamConfig::new("events", ["events.>"])).await.unwrap();
    for _ in 0..3 {
        js.publish(PublishMessage::new("events.a", "1")).await.unwrap();
    }
    js.delete_message("events", 1).await.unwrap();
    let options = ReadOptions::default().with_start(ReadStart::Sequence(1));
    let mut read = js.read("events", options.clone());
    assert_eq!(read.next().await.unwrap().unwrap(), Delivery::Gap { from: 1, to: 1 });
    assert_eq!(js.read_to_head("events", options).await.unwrap().len(), 2);
}
