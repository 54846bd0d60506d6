//! Connections: found by URL, shared by name, closed on their own.

use std::sync::Arc;

use futures::StreamExt;
use naq_core::ErrorKind;
use naq_core::connection::{Connection, ConnectionState, Connector};
use naq_core::jetstream::{JetStream, PublishMessage, ReadOptions, StreamConfig};
use naq_memory::{MemoryConnection, MemoryConnector, MemoryJetStream};

use crate::{Fixture, PATIENCE, SECOND};

async fn make_stream(connection: &Arc<dyn Connection>, name: &str) {
    let config = StreamConfig::new(name, [format!("{name}.>")]);
    connection.jetstream().create_stream(config).await.unwrap();
}

#[tokio::test]
async fn connections_to_one_name_share_a_jetstream_and_other_names_do_not() {
    let connector = MemoryConnector::new();
    assert_eq!(connector.schemes(), ["memory"]);
    let first = connector.connect("memory://jobs").await.unwrap();
    make_stream(&first, "events").await;
    for (url, found) in [("memory://jobs", true), ("memory://jobs/", true), ("memory://", false)] {
        let other = connector.connect(url).await.unwrap();
        assert_eq!(other.url(), url);
        assert_eq!(other.jetstream().stream_info("events").await.is_ok(), found, "{url}");
    }
    let elsewhere = MemoryConnector::new().connect("memory://jobs").await.unwrap();
    assert!(elsewhere.jetstream().stream_info("events").await.is_err());
}

#[tokio::test]
async fn a_url_that_names_nothing_is_refused() {
    let connector = MemoryConnector::new();
    for url in [
        "nats://localhost",
        "memory:jobs",
        "memory",
        "memory://a b",
        "memory://a/b",
        "memory://u@h",
    ] {
        let error = connector.connect(url).await.unwrap_err();
        assert_eq!((error.kind(), error.get("field")), (ErrorKind::InvalidArgument, Some("url")));
    }
}

#[tokio::test]
async fn a_closed_connection_refuses_and_leaves_the_jetstream_alone() {
    let connector = MemoryConnector::new();
    let connection = connector.connect("memory://").await.unwrap();
    make_stream(&connection, "events").await;
    let js = connection.jetstream();
    connection.close(SECOND).await.unwrap();
    connection.close(SECOND).await.unwrap();
    assert_eq!(connection.state(), ConnectionState::Closed);
    for error in [
        js.stream_info("events").await.unwrap_err(),
        js.publish(PublishMessage::new("events.a", "x")).await.unwrap_err(),
        connection.round_trip(SECOND).await.unwrap_err(),
        js.read("events", ReadOptions::default()).next().await.unwrap().unwrap_err(),
    ] {
        assert!(error.is(ErrorKind::Closed), "{error:?}");
    }
    let anew = connector.connect("memory://").await.unwrap();
    anew.jetstream().stream_info("events").await.unwrap();
}

#[tokio::test]
async fn closing_ends_the_reads_of_that_connection_alone() {
    let connector = MemoryConnector::new();
    let one = connector.connect("memory://").await.unwrap();
    let two = connector.connect("memory://").await.unwrap();
    make_stream(&one, "events").await;
    let mut reads = [&one, &two].map(|it| it.jetstream().read("events", ReadOptions::default()));
    for read in &mut reads {
        read.next().await.unwrap().unwrap();
    }
    let (ended, closed) = tokio::join!(reads[0].next(), one.close(SECOND));
    closed.unwrap();
    assert!(ended.unwrap().unwrap_err().is(ErrorKind::Closed));
    assert!(reads[0].next().await.is_none());
    assert!(futures::poll!(reads[1].next()).is_pending());
}

#[tokio::test]
async fn the_state_is_told_now_and_at_each_change_until_the_end() {
    let js = MemoryJetStream::new();
    let connection = MemoryConnection::new("memory://", &js);
    let mut states = connection.state_changes();
    assert_eq!(states.next().await, Some(ConnectionState::Connected));
    assert!(futures::poll!(states.next()).is_pending());
    js.faults().disconnect();
    assert_eq!(connection.state(), ConnectionState::Disconnected);
    assert_eq!(states.next().await, Some(ConnectionState::Disconnected));
    js.faults().reconnect();
    assert_eq!(states.next().await, Some(ConnectionState::Connected));
    connection.close(SECOND).await.unwrap();
    assert_eq!(states.next().await, Some(ConnectionState::Closed));
    assert_eq!(states.next().await, None);
}

#[tokio::test]
async fn closing_waits_for_the_answers_that_are_missing() {
    let it = Fixture::new().await;
    let connection = MemoryConnection::new("memory://", &it.js);
    let js = connection.jetstream();
    it.js.faults().block();
    let publish = js.publish(PublishMessage::new("events.a", "x"));
    let (published, closed, ()) = tokio::join!(publish, connection.close(60 * SECOND), async {
        it.clock.wait_for_sleepers(2, PATIENCE).await.unwrap();
        assert_eq!(connection.state(), ConnectionState::Draining);
        let refused = js.publish(PublishMessage::new("events.a", "y")).await.unwrap_err();
        assert!(refused.is(ErrorKind::Closed), "{refused:?}");
        it.js.faults().unblock();
    });
    published.unwrap();
    closed.unwrap();
    assert_eq!(it.messages().await, 1);
}

#[tokio::test]
async fn closing_gives_up_at_its_deadline_and_says_what_is_unknown() {
    let it = Fixture::new().await;
    let connection = MemoryConnection::new("memory://", &it.js);
    let js = connection.jetstream();
    it.js.faults().block();
    let publish = js.publish(PublishMessage::new("events.a", "x"));
    let (published, closed, ()) = tokio::join!(publish, connection.close(SECOND), async {
        it.clock.wait_for_sleepers(2, PATIENCE).await.unwrap();
        it.clock.advance(SECOND);
    });
    let closed = closed.unwrap_err();
    assert_eq!((closed.kind(), closed.get("missing")), (ErrorKind::OutcomeUnknown, Some("1")));
    assert!(published.unwrap_err().is(ErrorKind::Closed));
}

#[tokio::test]
async fn a_round_trip_has_its_deadline() {
    let it = Fixture::new().await;
    let connection = MemoryConnection::new("memory://", &it.js);
    connection.round_trip(SECOND).await.unwrap();
    it.js.faults().block();
    let (trip, ()) = tokio::join!(connection.round_trip(SECOND), async {
        it.clock.wait_for_sleepers(1, PATIENCE).await.unwrap();
        it.clock.advance(SECOND);
    });
    assert!(trip.unwrap_err().is(ErrorKind::Timeout));
    it.js.faults().disconnect();
    assert!(connection.round_trip(SECOND).await.unwrap_err().is(ErrorKind::Unavailable));
}
