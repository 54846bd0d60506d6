//! A connection that breaks at any instant of a reader's life: whoever has begun to
//! read is told, once, and nothing is passed over.

use std::ops::RangeInclusive;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use naq_core::Result;
use naq_core::jetstream::{
    Delivery, JetStream, JetStreamExt, PublishMessage, ReadOptions, ReadStart,
};
use naq_tests::proxy::{Direction, FaultProxy};
use naq_tests::server::NatsServer;
use naq_tests::wait;

use crate::{PATIENCE, connect_to, make_stream, numbered, quick};

/// How many messages there are at first, two for each subject.
const MESSAGES: usize = 14;

/// From when on the bytes are counted after which the connection breaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Opening,
    FirstDelivery,
}

/// A stream, somebody who writes, and a way to the server that breaks.
struct Scene {
    _server: NatsServer,
    writer: Arc<dyn JetStream>,
    proxy: FaultProxy,
}

impl Scene {
    async fn new() -> Self {
        let server = NatsServer::start().await;
        let writer = connect_to(&server.url(), quick()).await.jetstream();
        make_stream(&*writer).await;
        let mut acks = writer.publish_each(stream::iter((0..MESSAGES).map(numbered)).boxed());
        while let Some(ack) = acks.next().await {
            ack.unwrap();
        }
        drop(acks);
        let proxy = FaultProxy::start(server.address()).await;
        Self { _server: server, writer, proxy }
    }

    /// Publishes one more, and tells its sequence.
    async fn publish(&self) -> u64 {
        self.writer.publish(PublishMessage::new("s.0", "more")).await.unwrap().sequence
    }

    /// Reads over a connection that breaks behind so many bytes; whether it did.
    async fn round(&self, options: &ReadOptions, from: From, bytes: u64) -> bool {
        let connection = connect_to(&self.proxy.url(), quick()).await;
        let mut reader = Reader::new(connection.jetstream().read("S", options.clone()));
        if from == From::FirstDelivery {
            reader.next().await;
        }
        let due = self.proxy.passed(Direction::ToClient) + bytes;
        self.proxy.cut_after(Direction::ToClient, bytes);
        let want = self.publish().await;
        while reader.last < want {
            reader.next().await;
        }
        let has_broken = self.proxy.passed(Direction::ToClient) >= due;
        match (has_broken, from) {
            (false, _) => assert_eq!(reader.resumed, 0),
            (true, From::FirstDelivery) => {
                while reader.resumed == 0 {
                    reader.next().await;
                }
            }
            // What breaks before anything was told is nobody's business.
            (true, From::Opening) => {}
        }
        let want = self.publish().await;
        while reader.last < want {
            reader.next().await;
        }
        assert!(reader.resumed <= 1, "one break was told {} times", reader.resumed);
        has_broken
    }

    /// Breaks the connection ever later, until that is behind everything; so often
    /// at least and at most.
    async fn all_rounds(options: ReadOptions, from: From, rounds: RangeInclusive<u64>) {
        // No message is as short as the first of these.
        let step = if from == From::FirstDelivery { 83 } else { 199 };
        let scene = Self::new().await;
        let mut round = 0;
        while round < *rounds.end() && scene.round(&options, from, round * step).await {
            round += 1;
        }
        assert!(rounds.contains(&round), "it was over after {round} rounds");
    }
}

/// Who reads, and what was told.
struct Reader {
    deliveries: BoxStream<'static, Result<Delivery>>,
    last: u64,
    resumed: u64,
}

impl Reader {
    fn new(deliveries: BoxStream<'static, Result<Delivery>>) -> Self {
        Self { deliveries, last: 0, resumed: 0 }
    }

    async fn next(&mut self) {
        let next = wait::within("a delivery", PATIENCE, self.deliveries.next()).await;
        match next.unwrap().unwrap() {
            Delivery::Message(message) => {
                assert!(message.sequence > self.last, "{message:?} behind {}", self.last);
                self.last = message.sequence;
            }
            Delivery::Resumed { .. } => self.resumed += 1,
            Delivery::CaughtUp { .. } => {}
            gap @ Delivery::Gap { .. } => panic!("{gap:?}"),
        }
    }
}

fn several() -> ReadOptions {
    ReadOptions::default().with_subjects(vec!["s.0".to_owned(), "s.1".to_owned()])
}

fn latest() -> ReadOptions {
    ReadOptions::default().with_start(ReadStart::LastPerSubject).with_subject("s.0")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_says_at_any_instant_that_it_resumed() {
    // All that is there has come with the first.
    Scene::all_rounds(ReadOptions::default(), From::FirstDelivery, 1..=9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_the_latest_says_at_any_instant_that_it_resumed() {
    Scene::all_rounds(latest(), From::FirstDelivery, 5..=99).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_several_filters_says_at_any_instant_that_it_resumed() {
    Scene::all_rounds(several(), From::FirstDelivery, 5..=99).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_meets_a_break_while_it_opens_reads_all_the_same() {
    Scene::all_rounds(latest(), From::Opening, 9..=9).await;
    Scene::all_rounds(several(), From::Opening, 17..=17).await;
}
