//! A connection that breaks, is noticed, and is made anew.

use std::time::Duration;

use futures::StreamExt;
use naq_core::ErrorKind;
use naq_core::connection::ConnectionState;
use naq_tests::proxy::{Direction, FaultProxy};
use naq_tests::server::NatsServer;
use naq_tests::wait;
use tokio::time::Instant;

use crate::fake::FakeServer;
use crate::{PATIENCE, connect_to, make_stream, numbered, quick};

#[tokio::test(flavor = "multi_thread")]
async fn a_break_and_its_repair_are_seen_in_the_state() {
    let server = NatsServer::start().await;
    let proxy = FaultProxy::start(server.address()).await;
    let connection = connect_to(&proxy.url(), quick()).await;
    let mut states = connection.state_changes();
    let mut next = async || wait::within("a state", PATIENCE, states.next()).await;
    assert_eq!(next().await, Some(ConnectionState::Connected));
    proxy.refuse(true);
    proxy.reset();
    assert_eq!(next().await, Some(ConnectionState::Disconnected));
    proxy.heal();
    assert_eq!(next().await, Some(ConnectionState::Connected));
    connection.round_trip(PATIENCE).await.unwrap();
    connection.close(PATIENCE).await.unwrap();
    let mut rest = Vec::new();
    while let Some(state) = next().await {
        rest.push(state);
    }
    assert_eq!(rest.last(), Some(&ConnectionState::Closed));
    assert_eq!(connection.state(), ConnectionState::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_is_noticed_by_its_silence() {
    let server = NatsServer::start().await;
    let config = quick().with_ping_interval(Duration::from_millis(100));
    let connection = connect_to(&server.url(), config).await;
    server.pause().await;
    wait::until("the silence to be noticed", Duration::from_secs(5), async || {
        connection.state() == ConnectionState::Disconnected
    })
    .await;
    server.resume();
    wait::until("the connection to be back", PATIENCE, async || {
        connection.state() == ConnectionState::Connected
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_asked_again_over_the_new_connection() {
    let server = NatsServer::start().await;
    let proxy = FaultProxy::start(server.address()).await;
    let connection = connect_to(&proxy.url(), quick()).await;
    let jetstream = connection.jetstream();
    make_stream(&*jetstream).await;
    proxy.black_hole(Direction::ToClient);
    let before = proxy.passed(Direction::ToServer);
    let (info, ()) = tokio::join!(jetstream.stream_info("S"), async {
        wait::until("the question to be on its way", PATIENCE, async || {
            proxy.passed(Direction::ToServer) > before
        })
        .await;
        proxy.reset();
        proxy.heal();
    });
    assert_eq!(info.unwrap().config.name, "S");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_under_way_at_a_break_is_told_at_once_to_be_of_unknown_outcome() {
    let server = NatsServer::start().await;
    let proxy = FaultProxy::start(server.address()).await;
    let connection = connect_to(&proxy.url(), quick().with_ack_timeout(PATIENCE)).await;
    let jetstream = connection.jetstream();
    make_stream(&*jetstream).await;
    proxy.black_hole(Direction::ToClient);
    let publish = wait::within("an answer", Duration::from_secs(5), jetstream.publish(numbered(1)));
    let (outcome, ()) = tokio::join!(publish, async {
        let direct = connect_to(&server.url(), quick()).await.jetstream();
        wait::until("the message to be stored", PATIENCE, async || {
            direct.stream_info("S").await.unwrap().state.messages == 1
        })
        .await;
        proxy.reset();
    });
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    proxy.heal();
    let repeated = jetstream.publish(numbered(1)).await.unwrap();
    assert_eq!((repeated.sequence, repeated.duplicate), (1, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn reconnects_back_off() {
    let server = FakeServer::start("2.15.1").await;
    let config = quick()
        .with_reconnect_backoff_min(Duration::from_millis(200))
        .with_reconnect_backoff_max(Duration::from_millis(200));
    let _connection = connect_to(&server.url(), config).await;
    let start = Instant::now();
    server.hang_up();
    // The first try comes at once, each next one after 100 to 200 ms.
    wait::until("five tries", PATIENCE, async || server.came() >= 6).await;
    assert!(start.elapsed() > Duration::from_millis(350), "{:?}", start.elapsed());
}
