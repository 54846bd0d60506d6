//! Storing one message.

use std::sync::Arc;

use bytes::Bytes;
use naq_core::ErrorKind;
use naq_core::jetstream::{
    Expected, Headers, JetStream, JetStreamExt, MAX_SUBJECT_BYTES, PublishAck, PublishMessage,
};

use super::support::{Own, invalid, now, refused};
use crate::names;

pub async fn sequences_count_up_from_one(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    for sequence in 1..=3 {
        let ack = own.js.publish(own.message("a", "x")).await.unwrap();
        assert_eq!(ack, PublishAck { stream: own.name.clone(), sequence, duplicate: false });
    }
}

pub async fn what_is_published_is_what_is_stored(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let payload = Bytes::from_static(b"\0\r\n\xff+OK\r\n PUB x 1\r\ny\r\n");
    let headers = Headers::new().with("Kind", "test");
    let before = now();
    let message = PublishMessage::new(own.subject("a.ä-b"), payload.clone());
    own.js.publish(message.with_headers(headers.clone())).await.unwrap();

    let stored = own.js.find_sequence(&own.name, 1).await.unwrap().unwrap();
    assert_eq!(stored.payload, payload);
    assert_eq!(stored.subject, own.subject("a.ä-b"));
    assert_eq!(stored.sequence, 1);
    assert_eq!(stored.headers, headers);
    assert!(before <= stored.stored_at && stored.stored_at <= now(), "{stored:?}");
}

pub async fn an_empty_payload_is_stored(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store("a", "").await;
    assert_eq!(own.stored().await[0].payload, Bytes::new());
}

pub async fn a_message_without_headers_is_stored_without_any(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store("a", "x").await;
    assert!(own.stored().await[0].headers.is_empty());
}

pub async fn all_values_of_a_header_are_kept_in_order(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let headers = Headers::new().with("A", "2").with("B", "x y").with("A", "1").with("Empty", "");
    own.js.publish(own.message("a", "x").with_headers(headers)).await.unwrap();

    let stored = own.stored().await.remove(0).headers;
    let values = |name| {
        stored.iter().filter(|(n, _)| *n == name).map(|(_, v)| v.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(values("A"), ["2", "1"]);
    assert_eq!(values("B"), ["x y"]);
    assert_eq!(values("Empty"), [""]);
    assert_eq!(stored.len(), 4);
}

pub async fn header_names_keep_their_case_and_are_told_apart_by_it(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let headers = Headers::new().with("shade", "lower").with("Shade", "upper");
    own.js.publish(own.message("a", "x").with_headers(headers)).await.unwrap();

    let stored = own.stored().await.remove(0).headers;
    assert_eq!(stored.get("shade"), Some("lower"));
    assert_eq!(stored.get("Shade"), Some("upper"));
    assert_eq!(stored.get("SHADE"), None);
}

pub async fn a_message_id_is_stored_as_a_header(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.js.publish(own.message("a", "x").with_message_id("id-1")).await.unwrap();
    assert_eq!(own.stored().await[0].headers.get("Nats-Msg-Id"), Some("id-1"));
}

pub async fn headers_that_would_break_the_protocol_are_refused(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    for (name, value) in
        [("", "x"), ("a b", "x"), ("a:b", "x"), ("a\r\nb", "x"), ("ä", "x"), ("a", "x\r\nb: y")]
    {
        let headers = Headers::new().with(name.to_owned(), value);
        let result = own.js.publish(own.message("a", "x").with_headers(headers)).await;
        invalid(result, "headers");
    }
    let id = own.message("a", "x").with_message_id("a\r\nb: c");
    invalid(own.js.publish(id).await, "message_id");
    for expected in [
        Expected::default().with_last_message_id("a\r\nb"),
        Expected::default().with_stream("a\r\nb"),
    ] {
        invalid(own.publish_expecting("a", expected).await, "expected");
    }
    assert_eq!(own.state().await.messages, 0);
}

pub async fn subjects_that_no_message_can_have_are_refused(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let bad = ["", "*", ">", "a.*", "a.>", "a..b", "a.", " ", "a b", "a\r\nPUB x 1", "a\0", "a\t"];
    for tail in bad {
        invalid(own.js.publish(own.message(tail, "x")).await, "subject");
    }
    invalid(own.js.publish(own.message(&"x".repeat(MAX_SUBJECT_BYTES), "x")).await, "subject");
    assert_eq!(own.state().await.messages, 0);
    assert_eq!(own.store("a", "the connection is still up").await, 1);
}

pub async fn a_subject_that_no_stream_takes_is_not_found(js: Arc<dyn JetStream>) {
    let subject = names::unique("nobody");
    let error =
        refused(js.publish(PublishMessage::new(subject.as_str(), "x")).await, ErrorKind::NotFound);
    assert_eq!(error.get("subject"), Some(subject.as_str()), "{error:?}");
}

pub async fn a_payload_of_the_servers_limit_is_stored_and_one_byte_more_is_too_large(
    js: Arc<dyn JetStream>,
) {
    let own = Own::new(js).await;
    let limit = usize::try_from(own.js.server_info().max_payload).unwrap();
    let of = |size| PublishMessage::new(own.subject("a"), vec![b'x'; size]);
    assert_eq!(own.js.publish(of(limit)).await.unwrap().sequence, 1);

    let error = refused(own.js.publish(of(limit + 1)).await, ErrorKind::TooLarge);
    assert!(error.hint().is_some(), "{error:?}");
    let client = own.js.server_info().client_id;
    assert_eq!(own.store("a", "the connection is still up").await, 2);
    assert_eq!(own.js.server_info().client_id, client);
}

pub async fn headers_count_towards_the_servers_limit(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let limit = usize::try_from(own.js.server_info().max_payload).unwrap();
    let message = PublishMessage::new(own.subject("a"), vec![b'x'; limit]);
    let headers = Headers::new().with("One", "too many");
    refused(own.js.publish(message.with_headers(headers)).await, ErrorKind::TooLarge);
    let message = PublishMessage::new(own.subject("a"), vec![b'x'; limit]);
    refused(own.js.publish(message.with_message_id("id")).await, ErrorKind::TooLarge);
    assert_eq!(own.state().await.messages, 0);
}

pub async fn a_star_inside_a_token_is_no_wildcard(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store("a*b", "x").await;
    own.store("a>", "x").await;
    assert_eq!(own.stored().await[0].subject, own.subject("a*b"));
    assert_eq!(own.stored().await[1].subject, own.subject("a>"));
}
