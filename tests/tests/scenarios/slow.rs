//! Readers that are slower than the log.

use std::time::Duration;

use futures::{StreamExt, stream};
use naq_core::BoxStream;
use naq_core::Result;
use naq_core::events::{EventItem, EventQuery, ReadEvents};
use naq_core::jetstream::{ConsumerInfo, JetStream, JetStreamExt, PublishMessage};
use naq_tests::server::NatsServer;
use naq_tests::{backend, wait};

use crate::{PATIENCE, Program, quick};

/// Stores this many events, as another program would.
async fn store(js: &dyn JetStream, count: u64) {
    let messages: Vec<_> = (0..count)
        .map(|n| {
            let payload = format!(r#"{{"type":"job_paused","job_id":"j{}","n":{n}}}"#, n % 100);
            PublishMessage::new(format!("events.job_paused.j{}", n % 100), payload)
        })
        .collect();
    let acks = js.publish_each(stream::iter(messages).boxed());
    let stored = acks.filter(|ack| futures::future::ready(ack.is_ok())).count();
    assert_eq!(wait::within("the acks", PATIENCE, stored).await as u64, count);
}

async fn next(reading: &mut BoxStream<'static, Result<EventItem>>) -> EventItem {
    let item = wait::within("an item", PATIENCE, reading.next()).await;
    item.expect("the reading is not over").unwrap()
}

async fn only_consumer(js: &dyn JetStream) -> Option<ConsumerInfo> {
    let mut consumers = js.list_consumers("events");
    let first = consumers.next().await.transpose().unwrap();
    assert!(consumers.next().await.is_none(), "one reading has one consumer");
    first
}

/// Waits until the reader's consumer gives nothing more by itself.
async fn at_rest(js: &dyn JetStream) -> ConsumerInfo {
    let (mut last, mut same) = (None, 0);
    wait::some("the reading to come to rest", PATIENCE, async || {
        let info = only_consumer(js).await?;
        same = if last == Some(info.delivered) { same + 1 } else { 0 };
        last = Some(info.delivered);
        (same == 30).then_some(info)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_reader_does_not_take_stays_on_the_server_and_none_is_lost() {
    const COUNT: u64 = 40_000;
    let server = NatsServer::start().await;
    let program = Program::on(&server.url()).await;
    let js = backend::connect(&server.url()).await;
    store(&*js, COUNT).await;
    let mut reading = program.events.read_events(ReadEvents::live());
    assert_eq!(next(&mut reading).await.event().map(|e| e.sequence()), Some(1));
    let info = at_rest(&*js).await;
    assert!(info.pending > COUNT / 2, "{} of {COUNT} wait on the server", info.pending);
    let mut last = 1;
    while last < COUNT {
        match next(&mut reading).await {
            EventItem::Event(recorded) => {
                assert_eq!(recorded.sequence(), last + 1);
                last += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(next(&mut reading).await, EventItem::CaughtUp { .. }));
    drop(reading);
    wait::until("the consumer to go", PATIENCE, async || only_consumer(&*js).await.is_none()).await;
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_the_log_has_passed_is_told_what_it_missed() {
    let server = NatsServer::start().await;
    let mut config = quick(&server.url());
    config.events = config.events.with_max_msgs(1_000_u64);
    let program = Program::start(config).await.unwrap();
    let js = backend::connect(&server.url()).await;
    store(&*js, 10).await;
    let mut reading = program.events.read_events(ReadEvents::live());
    assert_eq!(next(&mut reading).await.event().map(|e| e.sequence()), Some(1));
    let mut end = 10;
    let mut accounted = 1;
    let mut gaps = 0;
    for _ in 0..3 {
        store(&*js, 15_000).await;
        end += 15_000;
        while accounted < end {
            match next(&mut reading).await {
                EventItem::Event(recorded) => {
                    assert_eq!(recorded.sequence(), accounted + 1);
                    accounted += 1;
                }
                EventItem::Gap { from, to } => {
                    assert_eq!(from, accounted + 1);
                    accounted = to;
                    gaps += 1;
                }
                EventItem::CaughtUp { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(gaps >= 1, "the log passed the reader");
    drop(reading);
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_one_log_each_have_all_of_it() {
    let server = NatsServer::start().await;
    let program = Program::on(&server.url()).await;
    let js = backend::connect(&server.url()).await;
    store(&*js, 2_000).await;
    let all = (0..5).map(|_| {
        let reading = program.events.read_events(ReadEvents::default());
        reading
            .filter(|item| futures::future::ready(item.as_ref().unwrap().event().is_some()))
            .count()
    });
    let counts = wait::within("five readings", PATIENCE, futures::future::join_all(all)).await;
    assert_eq!(counts, [2_000; 5]);
    let within = Duration::from_secs(10);
    wait::until("their consumers to go", within, async || only_consumer(&*js).await.is_none())
        .await;
    program.stop().await;
}
