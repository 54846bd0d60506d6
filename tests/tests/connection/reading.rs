//! Reading over breaks and slowly: no gap, no repeat, bounded.

use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use naq_core::connection::ConnectionState;
use naq_core::jetstream::{Delivery, JetStream, JetStreamExt, ReadOptions, ReadUntil};
use naq_tests::proxy::{Direction, FaultProxy};
use naq_tests::server::NatsServer;
use naq_tests::wait;

use crate::{PATIENCE, connect_to, make_stream, numbered, quick};

async fn fill(jetstream: &dyn JetStream, messages: usize) {
    make_stream(jetstream).await;
    let mut acks = jetstream.publish_each(stream::iter((0..messages).map(numbered)).boxed());
    while let Some(ack) = acks.next().await {
        ack.unwrap();
    }
}

/// A filter for each subject that [`numbered`] uses: together they have all.
fn each_by_its_own() -> Vec<String> {
    (0..7).map(|n| format!("s.{n}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_over_many_breaks_gives_each_message_once_and_in_order() {
    replay_over_breaks(Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_several_filters_over_many_breaks_is_in_order_too() {
    replay_over_breaks(each_by_its_own()).await;
}

async fn replay_over_breaks(filters: Vec<String>) {
    const MESSAGES: u64 = 30_000;
    let server = NatsServer::start().await;
    let direct = connect_to(&server.url(), quick()).await.jetstream();
    fill(&*direct, MESSAGES as usize).await;
    let proxy = FaultProxy::start(server.address()).await;
    let jetstream = connect_to(&proxy.url(), quick()).await.jetstream();

    let options = ReadOptions::default().with_until(ReadUntil::Head).with_subjects(filters);
    let mut read = jetstream.read("S", options);
    let mut sequence = 0;
    let mut resumed = 0;
    // In the middle of what the first pulls bring, and of what follows a break.
    let cut = || proxy.cut_after(Direction::ToClient, 200_000);
    cut();
    let mut cuts = 1;
    while let Some(delivery) = wait::within("a delivery", PATIENCE, read.next()).await {
        match delivery.unwrap() {
            Delivery::Message(message) => {
                sequence += 1;
                assert_eq!(message.sequence, sequence);
                if sequence % 5_000 == 1_000 {
                    // In the middle of a message that is on its way.
                    proxy.cut_after(Direction::ToClient, 10_000);
                    cuts += 1;
                }
            }
            Delivery::Resumed { sequence: at } => {
                assert_eq!(at, sequence);
                resumed += 1;
                if resumed < 6 {
                    cut();
                    cuts += 1;
                }
            }
            Delivery::CaughtUp { sequence } => assert_eq!(sequence, MESSAGES),
            gap @ Delivery::Gap { .. } => panic!("{gap:?}"),
        }
    }
    assert_eq!(sequence, MESSAGES);
    assert!(cuts > 3 && resumed > 2, "{cuts} cuts, {resumed} resumed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_not_sent_more_than_it_asked_for() {
    const MESSAGES: usize = 60_000;
    let server = NatsServer::start().await;
    let jetstream = connect_to(&server.url(), quick()).await.jetstream();
    fill(&*jetstream, MESSAGES).await;
    let mut read = jetstream.read("S", ReadOptions::default().with_until(ReadUntil::Head));
    let mut seen = 0_usize;
    for _ in 0..10 {
        assert!(matches!(read.next().await, Some(Ok(Delivery::Message(_)))));
        seen += 1;
    }
    // It comes to rest far before the end: when no pull is left to be answered.
    let client = async_nats::connect(server.url()).await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream("S").await.unwrap();
    let at_rest = wait::some("the server to rest", PATIENCE, async || {
        let info = stream.consumers().next().await?.unwrap();
        (info.num_waiting == 0).then_some(info)
    })
    .await;
    let sent = at_rest.delivered.consumer_sequence as usize;
    assert!(sent < MESSAGES / 2, "{sent} of {MESSAGES} were sent to who read ten");
    while let Some(delivery) = read.next().await {
        match delivery.unwrap() {
            Delivery::Message(_) => seen += 1,
            Delivery::CaughtUp { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, MESSAGES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_under_a_live_read_is_noticed_and_the_read_resumes() {
    let server = NatsServer::start().await;
    let config = quick().with_ping_interval(Duration::from_millis(200));
    let connection = connect_to(&server.url(), config).await;
    let jetstream = connection.jetstream();
    fill(&*jetstream, 1).await;
    let mut read = jetstream.read("S", ReadOptions::default());
    let mut next =
        async || wait::within("a delivery", PATIENCE, read.next()).await.unwrap().unwrap();
    assert!(matches!(next().await, Delivery::Message(_)));
    assert_eq!(next().await, Delivery::CaughtUp { sequence: 1 });
    server.pause().await;
    let resumed = async {
        let resumed = next().await;
        assert_eq!(resumed, Delivery::Resumed { sequence: 1 });
    };
    let thaw = async {
        wait::until("the freeze to be noticed", PATIENCE, async || {
            connection.state() != ConnectionState::Connected
        })
        .await;
        server.resume();
    };
    tokio::join!(resumed, thaw);
    assert_eq!(next().await, Delivery::CaughtUp { sequence: 1 });
    wait::until("a message to be taken", PATIENCE, async || {
        jetstream.publish(numbered(1)).await.is_ok()
    })
    .await;
    assert!(matches!(next().await, Delivery::Message(message) if message.sequence == 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_while_nobody_read_is_not_passed_over() {
    let server = NatsServer::start().await;
    let direct = connect_to(&server.url(), quick()).await.jetstream();
    fill(&*direct, 1).await;
    let proxy = FaultProxy::start(server.address()).await;
    let config = quick().with_ping_interval(Duration::from_secs(600));
    let jetstream = connect_to(&proxy.url(), config).await.jetstream();
    let mut read = jetstream.read("S", ReadOptions::default().with_subject("s.0"));
    assert!(matches!(read.next().await, Some(Ok(Delivery::Message(_)))));
    assert_eq!(read.next().await.unwrap().unwrap(), Delivery::CaughtUp { sequence: 1 });
    // The pull that stands while nobody reads brings heartbeats, each 5 s.
    assert!(tokio::time::timeout(Duration::from_millis(200), read.next()).await.is_err());
    for _ in 0..3 {
        let before = proxy.passed(Direction::ToClient);
        wait::until("a heartbeat", PATIENCE, async || proxy.passed(Direction::ToClient) > before)
            .await;
    }
    direct.publish(numbered(7)).await.unwrap();
    let next = wait::within("a delivery", PATIENCE, read.next()).await.unwrap().unwrap();
    assert!(matches!(&next, Delivery::Message(message) if message.sequence == 2), "{next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_reader_of_several_filters_that_fell_behind_reads_the_past_again() {
    const MESSAGES: u64 = 25_000;
    let server = NatsServer::start().await;
    let jetstream = connect_to(&server.url(), quick()).await.jetstream();
    fill(&*jetstream, 1).await;
    let mut read = jetstream.read("S", ReadOptions::default().with_subjects(each_by_its_own()));
    assert!(matches!(read.next().await, Some(Ok(Delivery::Message(_)))));
    assert_eq!(read.next().await.unwrap().unwrap(), Delivery::CaughtUp { sequence: 1 });
    // The pull that stands is out when this is over.
    assert!(tokio::time::timeout(Duration::from_millis(200), read.next()).await.is_err());
    let messages = (1..MESSAGES as usize).map(numbered);
    let mut acks = jetstream.publish_each(stream::iter(messages).boxed());
    while let Some(ack) = acks.next().await {
        ack.unwrap();
    }
    let client = async_nats::connect(server.url()).await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream("S").await.unwrap();
    let mut most = 0;
    for want in 2..=MESSAGES {
        let next = wait::within("a delivery", PATIENCE, read.next()).await.unwrap().unwrap();
        assert!(
            matches!(&next, Delivery::Message(message) if message.sequence == want),
            "{next:?}"
        );
        if want % 1_000 == 0 {
            most = most.max(stream.consumer_names().count().await);
        }
    }
    assert!(most >= 7, "{most} consumers read seven filters");
    jetstream.publish(numbered(MESSAGES as usize)).await.unwrap();
    let next = wait::within("a delivery", PATIENCE, read.next()).await.unwrap().unwrap();
    let live = |message: u64| message == MESSAGES + 1;
    assert!(matches!(&next, Delivery::Message(message) if live(message.sequence)), "{next:?}");
}
