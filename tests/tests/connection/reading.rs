//! Reading over breaks and slowly: no gap, no repeat, bounded.

use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use naq_core::jetstream::{Delivery, JetStream, ReadOptions, ReadUntil};
use naq_tests::proxy::{Direction, FaultProxy};
use naq_tests::server::NatsServer;
use naq_tests::wait;

use crate::{PATIENCE, connect_to, make_stream, numbered, quick};

async fn fill(jetstream: &dyn JetStream, messages: usize) {
    make_stream(jetstream).await;
    let mut acks = jetstream.publish_many(stream::iter((0..messages).map(numbered)).boxed());
    while let Some(ack) = acks.next().await {
        ack.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_over_many_breaks_gives_each_message_once_and_in_order() {
    const MESSAGES: u64 = 30_000;
    let server = NatsServer::start().await;
    let direct = connect_to(&server.url(), quick()).await.jetstream();
    fill(&*direct, MESSAGES as usize).await;
    let proxy = FaultProxy::start(server.address()).await;
    let jetstream = connect_to(&proxy.url(), quick()).await.jetstream();

    let options = ReadOptions::default().with_until(ReadUntil::Head);
    let mut read = jetstream.read("S", options);
    let mut sequence = 0;
    let mut resumed = 0;
    let mut cuts = 0;
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
            }
            Delivery::CaughtUp { sequence } => assert_eq!(sequence, MESSAGES),
            gap @ Delivery::Gap { .. } => panic!("{gap:?}"),
        }
    }
    assert_eq!(sequence, MESSAGES);
    assert!(cuts > 3 && resumed > 0, "{cuts} cuts, {resumed} resumed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_not_sent_more_than_it_asked_for() {
    const MESSAGES: usize = 60_000;
    let server = NatsServer::start().await;
    let direct = connect_to(&server.url(), quick()).await.jetstream();
    fill(&*direct, MESSAGES).await;
    let proxy = FaultProxy::start(server.address()).await;
    let jetstream = connect_to(&proxy.url(), quick()).await.jetstream();
    let mut read = jetstream.read("S", ReadOptions::default().with_until(ReadUntil::Head));
    let mut seen = 0_usize;
    for _ in 0..10 {
        assert!(matches!(read.next().await, Some(Ok(Delivery::Message(_)))));
        seen += 1;
    }
    // It comes to rest far before the end.
    let mut passed = proxy.passed(Direction::ToClient);
    wait::until("the server to rest", PATIENCE, async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        std::mem::replace(&mut passed, proxy.passed(Direction::ToClient)) == passed
    })
    .await;
    let all = direct.stream_info("S").await.unwrap().state.bytes;
    assert!(passed < all / 2, "{passed} of {all} bytes were sent to who read ten messages");
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
    let jetstream = connect_to(&server.url(), config).await.jetstream();
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
        tokio::time::sleep(Duration::from_secs(1)).await;
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
