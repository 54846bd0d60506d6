//! Closing: what is under way is awaited, and what remains is told.

use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use naq_core::ErrorKind;
use naq_core::connection::ConnectionState;
use naq_core::jetstream::{Delivery, JetStreamExt, ReadOptions};
use naq_tests::proxy::{Direction, FaultProxy};
use naq_tests::server::NatsServer;
use naq_tests::wait;
use tokio::time::Instant;

use crate::fake::FakeServer;
use crate::{PATIENCE, connect_to, make_stream, numbered, quick};

#[tokio::test(flavor = "multi_thread")]
async fn closing_awaits_the_acknowledgements_of_what_was_sent() {
    let server = NatsServer::start().await;
    let proxy = FaultProxy::start(server.address()).await;
    let connection = connect_to(&proxy.url(), quick()).await;
    let jetstream = connection.jetstream();
    make_stream(&*jetstream).await;
    proxy.delay(Direction::ToClient, Duration::from_millis(300));
    let mut acks = jetstream.publish_each(stream::iter((0..500).map(numbered)).boxed());
    // From the first ack on the whole window is out.
    acks.next().await.unwrap().unwrap();
    let rest = tokio::spawn(acks.collect::<Vec<_>>());
    let direct = connect_to(&server.url(), quick()).await.jetstream();
    wait::until("the rest to be stored", PATIENCE, async || {
        direct.stream_info("S").await.unwrap().state.messages == 500
    })
    .await;
    connection.close(PATIENCE).await.unwrap();
    let answers = rest.await.unwrap();
    assert_eq!(answers.len(), 499);
    for answer in answers {
        answer.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_at_its_deadline_and_counts_what_is_missing() {
    let server = NatsServer::start().await;
    let proxy = FaultProxy::start(server.address()).await;
    let connection = connect_to(&proxy.url(), quick().with_ack_timeout(PATIENCE)).await;
    let jetstream = connection.jetstream();
    make_stream(&*jetstream).await;
    proxy.black_hole(Direction::ToClient);
    let before = proxy.passed(Direction::ToServer);
    let publish = tokio::spawn(async move { jetstream.publish(numbered(1)).await });
    wait::until("the message to be on its way", PATIENCE, async || {
        proxy.passed(Direction::ToServer) > before
    })
    .await;
    let start = Instant::now();
    let error = connection.close(Duration::from_millis(300)).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!((error.kind(), error.get("missing")), (ErrorKind::OutcomeUnknown, Some("1")));
    assert_eq!(connection.state(), ConnectionState::Closed);
    let outcome = wait::within("the publish", PATIENCE, publish).await.unwrap();
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    connection.close(PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sent_at_the_close_is_refused_and_not_sent_later() {
    let server = NatsServer::start().await;
    let connection = connect_to(&server.url(), quick()).await;
    let jetstream = connection.jetstream();
    make_stream(&*jetstream).await;
    let (send, messages) = tokio::sync::mpsc::unbounded_channel();
    let messages = stream::unfold(messages, |mut messages| async move {
        messages.recv().await.map(|message| (message, messages))
    });
    let mut acks = jetstream.publish_each(messages.boxed());
    send.send(numbered(1)).unwrap();
    acks.next().await.unwrap().unwrap();
    connection.close(PATIENCE).await.unwrap();
    send.send(numbered(2)).unwrap();
    let refused = wait::within("an answer", PATIENCE, acks.next()).await.unwrap();
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Closed);
    let other = connect_to(&server.url(), quick()).await.jetstream();
    assert_eq!(other.stream_info("S").await.unwrap().state.messages, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_the_tries_to_reconnect() {
    let (server, other) = (FakeServer::start("2.15.1").await, FakeServer::start("2.15.1").await);
    let connection = connect_to(&server.url(), quick()).await;
    let _goes_on = connect_to(&other.url(), quick()).await;
    server.hang_up();
    other.hang_up();
    wait::until("some tries", PATIENCE, async || server.came() > 3 && other.came() > 3).await;
    connection.close(PATIENCE).await.unwrap();
    // A try that is under way may still come; then none does, while one that
    // was not closed makes many.
    let more = async |tries| {
        let before = other.came();
        wait::until("the other tries", PATIENCE, async || other.came() >= before + tries).await;
    };
    more(3).await;
    let before = server.came();
    more(10).await;
    assert_eq!(server.came(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_on_a_closed_connection_ends() {
    let server = NatsServer::start().await;
    let connection = connect_to(&server.url(), quick()).await;
    let jetstream = connection.jetstream();
    make_stream(&*jetstream).await;
    let mut read = jetstream.read("S", ReadOptions::default());
    assert_eq!(read.next().await.unwrap().unwrap(), Delivery::CaughtUp { sequence: 0 });
    connection.close(PATIENCE).await.unwrap();
    let error = wait::within("the end", PATIENCE, read.next()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(read.next().await.is_none());
}
