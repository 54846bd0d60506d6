//! The errors of the JetStream port that it takes a broken server, or rights, to see.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream;
use naq_core::config::ConnectionConfig;
use naq_core::connection::Connection;
use naq_core::jetstream::{
    Acknowledge, ConsumerConfig, Delivery, FetchOptions, GetMessage, GetMessages, JetStream,
    JetStreamExt, ListStreams, PublishMessage, PurgeOptions, ReadOptions, ReadUntil, Storage,
    StreamConfig, Which, WhichMany,
};
use naq_core::{ErrorKind, Result, RetryClass};
use naq_tests::server::{NatsServer, User};
use naq_tests::{backend, wait};

const PATIENCE: Duration = Duration::from_secs(30);
/// How long an answer may take that is no answer, here.
const SHORT: Duration = Duration::from_millis(500);

fn quick() -> ConnectionConfig {
    ConnectionConfig::default()
        .with_request_timeout(SHORT)
        .with_ack_timeout(SHORT)
        .with_reconnect_backoff_min(Duration::from_millis(10))
        .with_reconnect_backoff_max(Duration::from_millis(100))
}

async fn with_stream(server: &NatsServer) -> (Arc<dyn Connection>, Arc<dyn JetStream>) {
    let connection = backend::connection(&server.url(), quick()).await;
    let js = connection.jetstream();
    js.create_stream(StreamConfig::new("S", ["s.>"])).await.unwrap();
    js.publish(PublishMessage::new("s.a", "1")).await.unwrap();
    (connection, js)
}

fn message() -> PublishMessage {
    PublishMessage::new("s.a", "x")
}

/// The kind of the first item, which must be an error.
async fn first_kind<T>(mut items: naq_core::BoxStream<'static, Result<T>>) -> ErrorKind {
    let first = wait::within("an answer", PATIENCE, items.next()).await;
    first.and_then(Result::err).map(|error| error.kind()).expect("an error")
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    result.err().map(|error| error.kind()).expect("an error")
}

/// What each operation that asks answers, by name.
async fn questions(js: &dyn JetStream) -> Vec<(&'static str, ErrorKind)> {
    let one = || GetMessage::new(Which::Sequence(1));
    let many = || GetMessages::new(WhichMany::Sequences(vec![1]));
    vec![
        ("stream_info", kind(js.stream_info("S").await)),
        ("list_streams", first_kind(js.list_streams(ListStreams::default())).await),
        ("subject_counts", kind(js.subject_counts("S", ">", 0).await)),
        ("get_message", kind(js.get_message("S", one()).await)),
        ("get_messages", first_kind(js.get_messages("S", many())).await),
        ("consumer_info", kind(js.consumer_info("S", "c").await)),
        ("list_consumers", first_kind(js.list_consumers("S")).await),
    ]
}

/// What each operation that changes something answers, by name.
async fn changes(js: &dyn JetStream) -> Vec<(&'static str, ErrorKind)> {
    let none: [&str; 0] = [];
    let other = StreamConfig::new("T", ["t.>"]);
    let update = StreamConfig::new("S", none).with_max_messages(10);
    let many = stream::iter([message()]).boxed();
    vec![
        ("publish", kind(js.publish(message()).await)),
        ("publish_many", first_kind(js.publish_each(many)).await),
        ("create_stream", kind(js.create_stream(other).await)),
        ("update_stream", kind(js.update_stream(update).await)),
        ("purge_stream", kind(js.purge_stream("S", PurgeOptions::default()).await)),
        ("delete_message", kind(js.delete_message("S", 1).await)),
        ("create_consumer", kind(js.create_consumer("S", ConsumerConfig::new("d")).await)),
        ("delete_consumer", kind(js.delete_consumer("S", "c").await)),
        ("delete_stream", kind(js.delete_stream("S").await)),
    ]
}

async fn within<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let answer = future.await;
    assert!(start.elapsed() < limit, "{what} took {:?}", start.elapsed());
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_told_at_once() {
    let server = NatsServer::builder()
        .user(User::new("admin", "a"))
        .user(User::new("nobody", "n").may_publish(["nothing"]))
        .start()
        .await;
    let admin = backend::connect(&server.url_as("admin", "a")).await;
    admin.create_stream(StreamConfig::new("S", ["s.>"])).await.unwrap();
    admin.publish(message()).await.unwrap();
    admin.create_consumer("S", ConsumerConfig::new("c")).await.unwrap();

    let connection =
        backend::connection(&server.url_as("nobody", "n"), ConnectionConfig::default()).await;
    let js = connection.jetstream();
    let limit = Duration::from_secs(10);
    let mut told = within(limit, "all questions", questions(&*js)).await;
    told.extend(within(limit, "all changes", changes(&*js)).await);
    told.push(("fetch", kind(js.fetch("S", "c", FetchOptions::new(1)).await)));
    told.push(("read", first_kind(js.read("S", ReadOptions::default())).await));
    for (operation, kind) in told {
        assert_eq!(kind, ErrorKind::PermissionDenied, "{operation}");
    }
    let error = within(Duration::from_secs(2), "a refusal", js.publish(message())).await;
    let error = error.unwrap_err();
    assert_eq!(error.get("subject"), Some("s.a"), "{error:?}");
    assert_eq!(admin.stream_info("S").await.unwrap().state.messages, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_to_publish_alone_is_enough_to_publish() {
    let user = User::new("producer", "p").may_publish(["s.>"]).may_subscribe(["_INBOX.>"]);
    let server = NatsServer::builder().user(User::new("admin", "a")).user(user).start().await;
    let admin = backend::connect(&server.url_as("admin", "a")).await;
    admin.create_stream(StreamConfig::new("S", ["s.>"])).await.unwrap();
    let producer = backend::connect(&server.url_as("producer", "p")).await;
    assert_eq!(producer.publish(message().with_message_id("1")).await.unwrap().sequence, 1);
    assert!(producer.publish(message().with_message_id("1")).await.unwrap().duplicate);
    let many = stream::iter([message(), message()]).boxed();
    let acks: Vec<_> = producer.publish_each(many).map(|ack| ack.unwrap().sequence).collect().await;
    assert_eq!(acks, [2, 3]);
    assert_eq!(kind(producer.stream_info("S").await), ErrorKind::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_to_a_frozen_server_times_out() {
    let server = NatsServer::start().await;
    let (_connection, js) = with_stream(&server).await;
    server.pause().await;
    let told = within(Duration::from_secs(10), "all questions", questions(&*js)).await;
    server.resume();
    for (operation, kind) in told {
        assert_eq!(kind, ErrorKind::Timeout, "{operation}");
    }
    wait::until("the server to answer again", PATIENCE, async || js.stream_info("S").await.is_ok())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_to_a_frozen_server_has_an_unknown_outcome_and_may_be_repeated_by_its_id() {
    let server = NatsServer::start().await;
    let (_connection, js) = with_stream(&server).await;
    let message = || message().with_message_id("id");
    server.pause().await;
    let error = js.publish(message()).await.unwrap_err();
    server.resume();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error:?}");
    assert_eq!(error.retry(), RetryClass::SafeWithMessageId);
    let ack = wait::some("the server to answer again", PATIENCE, async || {
        js.publish(message()).await.ok()
    })
    .await;
    assert!(ack.duplicate, "it was stored when the server went on");
    assert_eq!(js.stream_info("S").await.unwrap().state.messages, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_nothing_is_available_and_with_it_all_is_again() {
    let mut server = NatsServer::start().await;
    let (_connection, js) = with_stream(&server).await;
    server.kill();
    wait::until("the connection to notice", PATIENCE, async || {
        kind(js.stream_info("S").await) == ErrorKind::Unavailable
    })
    .await;
    let limit = Duration::from_secs(15);
    let mut told = within(limit, "all questions", questions(&*js)).await;
    told.extend(within(limit, "all changes", changes(&*js)).await);
    for (operation, kind) in told {
        assert_eq!(kind, ErrorKind::Unavailable, "{operation}");
    }
    server.restart().await;
    let ack = wait::some("the server to take messages again", PATIENCE, async || {
        js.publish(message()).await.ok()
    })
    .await;
    assert_eq!(ack.sequence, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_connection_is_closed_for_everything() {
    let server = NatsServer::start().await;
    let (connection, js) = with_stream(&server).await;
    connection.close(PATIENCE).await.unwrap();
    let mut told = questions(&*js).await;
    told.extend(changes(&*js).await);
    told.push(("fetch", kind(js.fetch("S", "c", FetchOptions::new(1)).await)));
    told.push(("read", first_kind(js.read("S", ReadOptions::default())).await));
    for (operation, kind) in told {
        assert_eq!(kind, ErrorKind::Closed, "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_jetstream_supports_nothing_of_it() {
    let server = NatsServer::builder().without_jetstream().start().await;
    let connection = backend::connection(&server.url(), quick()).await;
    let js = connection.jetstream();
    let error = js.create_stream(StreamConfig::new("S", ["s.>"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.hint().is_some(), "{error:?}");
    let mut told = questions(&*js).await;
    told.extend(changes(&*js).await);
    for (operation, kind) in told {
        assert_eq!(kind, ErrorKind::Unsupported, "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accounts_used_up_storage_is_a_limit_that_was_reached() {
    let server = NatsServer::builder().jetstream_limits(1 << 20, 1 << 20).start().await;
    let js = backend::connect(&server.url()).await;
    let config = StreamConfig::new("S", ["s.>"]).with_storage(Storage::Memory);
    js.create_stream(config).await.unwrap();
    let error = loop {
        if let Err(error) = js.publish(PublishMessage::new("s.a", vec![0; 100_000])).await {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::LimitReached, "{error:?}");
    assert_eq!(error.retry(), RetryClass::Safe);
    let large = StreamConfig::new("T", ["t.>"]).with_max_bytes(1 << 30);
    assert_eq!(kind(js.create_stream(large).await), ErrorKind::LimitReached);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_goes_on_over_a_killed_server_without_gap_or_repeat() {
    let mut server = NatsServer::start().await;
    let (_connection, js) = with_stream(&server).await;
    let mut reading = js.read("S", ReadOptions::default().with_until(ReadUntil::Sequence(4)));
    let mut next =
        async || wait::within("a delivery", PATIENCE, reading.next()).await.map(Result::unwrap);
    assert!(matches!(next().await, Some(Delivery::Message(first)) if first.sequence == 1));
    assert_eq!(next().await, Some(Delivery::CaughtUp { sequence: 1 }));
    server.restart().await;
    assert_eq!(next().await, Some(Delivery::Resumed { sequence: 1 }));
    assert_eq!(next().await, Some(Delivery::CaughtUp { sequence: 1 }));
    for sequence in 2..=4 {
        let ack = wait::some("the server to take messages", PATIENCE, async || {
            js.publish(message()).await.ok()
        })
        .await;
        assert_eq!(ack.sequence, sequence);
        let Some(Delivery::Message(read)) = next().await else { panic!("expected a message") };
        assert_eq!(read.sequence, sequence);
    }
    assert_eq!(next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_goes_on_when_its_consumer_is_deleted() {
    let server = NatsServer::start().await;
    let (_connection, js) = with_stream(&server).await;
    let mut reading = js.read("S", ReadOptions::default());
    let mut next =
        async || wait::within("a delivery", PATIENCE, reading.next()).await.unwrap().unwrap();
    assert!(matches!(next().await, Delivery::Message(first) if first.sequence == 1));
    assert_eq!(next().await, Delivery::CaughtUp { sequence: 1 });

    let consumers: Vec<_> = js.list_consumers("S").map(Result::unwrap).collect().await;
    assert_eq!(consumers.len(), 1);
    js.delete_consumer("S", &consumers[0].config.name).await.unwrap();
    js.publish(message()).await.unwrap();
    let mut seen = Vec::new();
    let last = loop {
        match next().await {
            Delivery::Message(message) => break message.sequence,
            other => seen.push(other),
        }
    };
    assert_eq!(last, 2);
    assert_eq!(seen.first(), Some(&Delivery::Resumed { sequence: 1 }), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_durable_consumer_outlives_the_server() {
    let mut server = NatsServer::start().await;
    let (_connection, js) = with_stream(&server).await;
    js.publish_all(vec![message(), message()]).await.unwrap();
    let config = ConsumerConfig::new("c").with_ack_wait(Duration::from_secs(1));
    js.create_consumer("S", config).await.unwrap();
    let fetched = js.fetch("S", "c", FetchOptions::new(2)).await.unwrap();
    js.acknowledge(&fetched[0].token, Acknowledge::DoneConfirmed).await.unwrap();
    // Killed, it would deliver the acknowledged one again: it keeps positions lazily.
    server.stop().await;
    server.restart().await;
    let mut left = Vec::new();
    wait::until("what is left", PATIENCE, async || {
        let options = FetchOptions::new(10).with_wait(Duration::from_millis(300));
        for delivered in js.fetch("S", "c", options).await.unwrap_or_default() {
            js.acknowledge(&delivered.token, Acknowledge::DoneConfirmed).await.unwrap();
            left.push(delivered.message.sequence);
        }
        left.len() >= 2
    })
    .await;
    left.sort_unstable();
    assert_eq!(left, [2, 3]);
}
