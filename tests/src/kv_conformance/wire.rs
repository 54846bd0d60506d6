//! What lies in the stream, message by message, as NATS's ADR-8 has it.

use std::time::Duration;

use naq_core::jetstream::{Headers, JetStream, PublishMessage};
use naq_core::kv::{KeySelection, KvBucket, KvBucketExt, KvOperation, PutOptions, RemoveOptions};

use super::support::Subject;

pub async fn a_put_is_a_bare_message_on_the_keys_subject(on: Subject) {
    let own = on.bucket(3).await;
    own.put_all([("a.b", "1")]).await;
    let messages = own.messages().await;
    assert_eq!(messages[0].subject, format!("$KV.{}.a.b", own.name));
    assert_eq!(&messages[0].payload[..], b"1");
    assert!(messages[0].headers.is_empty(), "{:?}", messages[0].headers);
}

pub async fn a_write_with_a_condition_carries_the_revision_and_an_id(on: Subject) {
    let own = on.bucket(3).await;
    own.bucket.create("a", "1").await.unwrap();
    own.bucket.update("a", "2", 1).await.unwrap();
    own.bucket.remove("a", RemoveOptions::default().with_expected(2)).await.unwrap();
    let messages = own.messages().await;
    for (message, expected) in messages.iter().zip(["0", "1", "2"]) {
        let header = message.headers.get("Nats-Expected-Last-Subject-Sequence");
        assert_eq!(header, Some(expected));
        assert_eq!(message.headers.get("Nats-Expected-Stream"), Some(own.stream().as_str()));
        assert!(message.headers.get("Nats-Msg-Id").is_some());
    }
    let ids: Vec<_> = messages.iter().map(|message| message.headers.get("Nats-Msg-Id")).collect();
    assert!(ids[0] != ids[1] && ids[1] != ids[2]);
}

pub async fn removals_are_empty_messages_with_their_operation(on: Subject) {
    let own = on.bucket(3).await;
    own.bucket.delete("a").await.unwrap();
    own.bucket.purge("b").await.unwrap();
    let messages = own.messages().await;
    let headers = |index: usize| messages[index].headers.iter().collect::<Vec<_>>();
    assert_eq!(headers(0), [("KV-Operation", "DEL")]);
    let purge = headers(1);
    assert!(purge.contains(&("KV-Operation", "PURGE")) && purge.contains(&("Nats-Rollup", "sub")));
    assert!(messages.iter().all(|message| message.payload.is_empty()));
}

pub async fn a_ttl_is_a_header_in_seconds(on: Subject) {
    if !on.can().message_ttl {
        return super::values::a_ttl_in_a_bucket_without_markers_is_unsupported(on).await;
    }
    let own = on.bucket_with(|config| config.with_marker_ttl(Duration::from_secs(3))).await;
    let ttl = PutOptions::create().with_ttl(Duration::from_secs(60));
    own.bucket.put_opts("a", "1".into(), ttl).await.unwrap();
    assert_eq!(own.messages().await[0].headers.get("Nats-TTL"), Some("60s"));
}

pub async fn messages_that_others_wrote_are_read_as_their_headers_say(on: Subject) {
    let own = on.bucket(9).await;
    let publish = async |key: &str, headers: Headers| {
        let message = PublishMessage::new(format!("$KV.{}.{key}", own.name), "x");
        on.js.publish(message.with_headers(headers)).await.unwrap();
    };
    publish("plain", Headers::new().with("Their-Own", "header")).await;
    publish("put", Headers::new().with("KV-Operation", "PUT")).await;
    publish("del", Headers::new().with("KV-Operation", "DEL")).await;
    publish("purge", Headers::new().with("KV-Operation", "PURGE")).await;
    let mut operations = Vec::new();
    for key in ["plain", "put", "del", "purge"] {
        operations.push(own.bucket.history(key).await.unwrap()[0].operation);
    }
    use KvOperation::{Delete, Purge, Put};
    assert_eq!(operations, [Put, Put, Delete, Purge]);
    assert_eq!(own.keys(KeySelection::All).await, ["plain", "put"]);
}
