//! Questions about one type in a log of many jobs.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use naq_core::events::{AnalyticsRequest, EventItem, EventQuery, Filter, ReadEvents, ReadUntil};
use naq_core::jetstream::{JetStream, JetStreamExt, PublishMessage};
use naq_tests::server::NatsServer;
use naq_tests::{backend, wait};

use crate::{PATIENCE, Program};

const JOBS: u64 = 10_000;
const EVENTS: u64 = 50_000;

/// Stores five events of each job, four of them of one type, and two of no job.
async fn store(js: &dyn JetStream) {
    let event = |n: u64| {
        // Neighbours in the log are of jobs that lie far apart.
        let (kind, job) = (if n.is_multiple_of(5) { "a" } else { "b" }, n * 7_919 % JOBS);
        let payload = format!(r#"{{"type":"{kind}","job_id":"j{job}","n":{n}}}"#);
        PublishMessage::new(format!("events.{kind}.j{job}"), payload)
    };
    let of_no_job = || PublishMessage::new("events.b", r#"{"type":"b"}"#);
    let half = EVENTS / 2;
    let messages = (0..half)
        .map(event)
        .chain([of_no_job()])
        .chain((half..EVENTS).map(event))
        .chain([of_no_job()]);
    let acks = js.publish_each(stream::iter(messages.collect::<Vec<_>>()).boxed());
    let stored = acks.filter(|ack| futures::future::ready(ack.is_ok())).count();
    assert_eq!(wait::within("the acks", PATIENCE, stored).await as u64, EVENTS + 2);
}

/// How many events a filter finds in the whole log, and how long it takes.
async fn read(program: &Program, filter: Filter) -> (u64, Duration) {
    let began = Instant::now();
    let options = ReadEvents::default().with_filter(filter).with_until(ReadUntil::Head);
    let mut items = program.events.read_events(options);
    let (mut found, mut last) = (0, 0);
    while let Some(item) = wait::within("an item", PATIENCE, items.next()).await {
        match item.unwrap() {
            EventItem::Event(recorded) => {
                assert!(recorded.sequence() > last);
                last = recorded.sequence();
                found += 1;
            }
            EventItem::CaughtUp { position } => assert_eq!(position.sequence, EVENTS + 2),
            other => panic!("{other:?}"),
        }
    }
    (found, began.elapsed())
}

/// With one consumer for both subjects of a type the server took a hundred
/// times as long as for reading everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_type_of_many_jobs_is_read_about_as_fast_as_the_whole_log() {
    const MOST_TIMES: u32 = 30;
    let server = NatsServer::start().await;
    let program = Program::on(&server.url()).await;
    let js = backend::connect(&server.url()).await;
    store(&*js).await;
    let (all, whole) = read(&program, Filter::new()).await;
    assert_eq!(all, EVENTS + 2);
    for (kind, count) in [("a", EVENTS / 5), ("b", EVENTS / 5 * 4 + 2), ("c", 0)] {
        let (found, took) = read(&program, Filter::new().event_type(kind)).await;
        assert_eq!(found, count, "events of type {kind}");
        assert!(took < whole * MOST_TIMES, "type {kind}: {took:?}, the whole log: {whole:?}");
    }
    let question = program.events.analytics(AnalyticsRequest::new("a"));
    let analytics = wait::within("the analytics", PATIENCE, question).await.unwrap();
    assert_eq!(analytics.measures.total_count, EVENTS / 5);
    program.stop().await;
}
