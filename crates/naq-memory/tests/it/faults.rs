//! Each fault, and what it looks like to whoever it hits.

use std::time::Duration;

use futures::StreamExt;
use naq_core::ErrorKind;
use naq_core::jetstream::{
    Delivery, JetStream, JetStreamExt, PublishMessage, ReadOptions, ReadStart,
};

use crate::{Fixture, PATIENCE, SECOND, message, next};

fn messages(count: u64) -> Vec<PublishMessage> {
    (1..=count).map(|n| PublishMessage::new("events.a", n.to_string())).collect()
}

#[tokio::test]
async fn publishes_that_are_made_to_fail_store_nothing_and_the_next_ones_do() {
    let it = Fixture::new().await;
    it.js.faults().fail_publishes(2, ErrorKind::LimitReached);
    let answers: Vec<_> =
        it.js.publish_each(futures::stream::iter(messages(4)).boxed()).collect().await;
    let kinds: Vec<_> =
        answers.iter().map(|answer| answer.as_ref().map(|ack| ack.sequence)).collect();
    assert!(matches!(kinds[..], [Err(_), Err(_), Ok(1), Ok(2)]), "{kinds:?}");
    assert_eq!(answers[0].as_ref().unwrap_err().kind(), ErrorKind::LimitReached);
}

#[tokio::test]
async fn a_publish_whose_ack_is_lost_is_stored() {
    let it = Fixture::new().await;
    it.js.faults().lose_acks(1);
    let message = PublishMessage::new("events.a", "x").with_message_id("id");
    let error = it.js.publish(message.clone()).await.unwrap_err();
    assert!(error.is(ErrorKind::OutcomeUnknown), "{error:?}");
    assert_eq!(it.messages().await, 1);
    assert!(it.js.publish(message).await.unwrap().duplicate);
}

#[tokio::test]
async fn an_atomic_batch_fails_as_a_whole() {
    let it = Fixture::with(|config| config.with_allow_atomic_publish(true)).await;
    it.js.faults().fail_publishes(1, ErrorKind::Unavailable);
    it.js.publish_atomic(messages(3)).await.unwrap_err();
    assert_eq!(it.messages().await, 0);
    it.js.faults().lose_acks(1);
    let error = it.js.publish_atomic(messages(3)).await.unwrap_err();
    assert!(error.is(ErrorKind::OutcomeUnknown), "{error:?}");
    assert_eq!(it.messages().await, 3);
    assert_eq!(it.js.publish_atomic(messages(3)).await.unwrap().sequence, 6);
}

#[tokio::test]
async fn without_a_connection_operations_are_unavailable() {
    let it = Fixture::new().await;
    it.js.faults().disconnect();
    let error = it.js.publish(PublishMessage::new("events.a", "x")).await.unwrap_err();
    assert!(error.is(ErrorKind::Unavailable), "{error:?}");
    let error = it.js.stream_info("events").await.unwrap_err();
    assert!(error.is(ErrorKind::Unavailable), "{error:?}");
    it.js.faults().reconnect();
    assert_eq!(it.store("events.a").await, 1);
}

#[tokio::test]
async fn a_read_resumes_behind_what_it_had_without_gap_or_repeat() {
    let it = Fixture::new().await;
    it.store("events.a").await;
    let mut read = it.js.read("events", ReadOptions::default());
    assert_eq!(message(&mut read).await, 1);
    assert_eq!(next(&mut read).await, Delivery::CaughtUp { sequence: 1 });
    it.js.faults().disconnect();
    assert!(futures::poll!(read.next()).is_pending(), "it stands still");
    it.js.faults().reconnect();
    it.store("events.b").await;
    assert_eq!(next(&mut read).await, Delivery::Resumed { sequence: 1 });
    assert_eq!(message(&mut read).await, 2);
    assert_eq!(next(&mut read).await, Delivery::CaughtUp { sequence: 2 });
}

#[tokio::test]
async fn a_waiting_read_is_woken_by_the_reconnect_alone() {
    let it = Fixture::new().await;
    let mut read = it.js.read("events", ReadOptions::default().with_start(ReadStart::New));
    assert_eq!(next(&mut read).await, Delivery::CaughtUp { sequence: 0 });
    let faults = it.js.faults();
    let (resumed, ()) = tokio::join!(next(&mut read), async { faults.reconnect() });
    assert_eq!(resumed, Delivery::Resumed { sequence: 0 });
    assert_eq!(next(&mut read).await, Delivery::CaughtUp { sequence: 0 });
}

#[tokio::test]
async fn what_is_held_back_is_answered_when_it_is_let_through() {
    let it = Fixture::new().await;
    let faults = it.js.faults();
    faults.block();
    let (ack, ()) = tokio::join!(it.js.publish(PublishMessage::new("events.a", "x")), async {
        it.clock.wait_for_sleepers(1, PATIENCE).await.unwrap();
        faults.unblock();
    });
    assert_eq!(ack.unwrap().sequence, 1);
}

#[tokio::test]
async fn what_is_held_back_past_its_deadline_was_not_carried_out() {
    let it = Fixture::new().await;
    it.js.faults().block();
    let wait = async |sleepers| {
        it.clock.wait_for_sleepers(sleepers, PATIENCE).await.unwrap();
        it.clock.advance(5 * SECOND);
    };
    let (change, ()) = tokio::join!(it.js.publish(PublishMessage::new("events.a", "x")), wait(1));
    assert_eq!(change.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    let (question, ()) = tokio::join!(it.js.stream_info("events"), wait(1));
    assert_eq!(question.unwrap_err().kind(), ErrorKind::Timeout);
    it.js.faults().unblock();
    assert_eq!(it.messages().await, 0);
}

#[tokio::test]
async fn a_read_stands_still_while_everything_is_held_back() {
    let it = Fixture::new().await;
    it.store("events.a").await;
    let mut read = it.js.read("events", ReadOptions::default());
    assert_eq!(message(&mut read).await, 1);
    assert_eq!(next(&mut read).await, Delivery::CaughtUp { sequence: 1 });
    it.store("events.a").await;
    it.js.faults().block();
    assert!(futures::poll!(read.next()).is_pending());
    it.js.faults().unblock();
    assert_eq!(message(&mut read).await, 2, "nothing broke, so nothing resumes");
}

#[tokio::test]
async fn a_stream_that_goes_under_a_broken_read_ends_it() {
    let it = Fixture::new().await;
    let mut read = it.js.read("events", ReadOptions::default());
    assert_eq!(next(&mut read).await, Delivery::CaughtUp { sequence: 0 });
    it.js.delete_stream("events").await.unwrap();
    it.js.faults().reconnect();
    let error = tokio::time::timeout(PATIENCE, read.next()).await.unwrap().unwrap().unwrap_err();
    assert!(error.is(ErrorKind::NotFound), "{error:?}");
    assert!(read.next().await.is_none());
}

#[tokio::test]
async fn a_fetch_that_waits_outlives_a_short_break() {
    use naq_core::jetstream::{ConsumerConfig, FetchOptions};
    let it = Fixture::new().await;
    it.js.create_consumer("events", ConsumerConfig::new("c")).await.unwrap();
    let options = FetchOptions::new(1).with_wait(Duration::from_secs(60));
    let (fetched, ()) = tokio::join!(it.js.fetch("events", "c", options), async {
        it.clock.wait_for_sleepers(1, PATIENCE).await.unwrap();
        it.js.faults().reconnect();
        it.store("events.a").await;
    });
    assert_eq!(fetched.unwrap().len(), 1);
}

#[tokio::test]
async fn a_read_that_is_broken_ends_behind_what_it_had_and_a_new_one_goes_on() {
    let it = Fixture::new().await;
    it.store("events.a").await;
    let mut read = it.js.read("events", ReadOptions::default());
    assert_eq!(message(&mut read).await, 1);
    it.js.faults().break_reads(ErrorKind::Unavailable);
    assert_eq!(next(&mut read).await, Delivery::CaughtUp { sequence: 1 });
    let error = tokio::time::timeout(PATIENCE, read.next()).await.unwrap().unwrap().unwrap_err();
    assert!(error.is(ErrorKind::Unavailable), "{error:?}");
    assert!(read.next().await.is_none());
    let mut anew = it.js.read("events", ReadOptions::default());
    assert_eq!(message(&mut anew).await, 1);
}

#[tokio::test]
async fn who_never_waits_still_lets_others_run() {
    let it = Fixture::new().await;
    let other = tokio::spawn(async {});
    for _ in 0..1_000_000 {
        it.js.stream_info("events").await.unwrap();
        if other.is_finished() {
            return;
        }
    }
    panic!("the other task never ran");
}

#[tokio::test]
async fn a_work_queue_is_not_read() {
    use naq_core::jetstream::{Retention, StreamConfig};
    let it = Fixture::new().await;
    let queue = StreamConfig::new("queue", ["queue.>"]).with_retention(Retention::WorkQueue);
    it.js.create_stream(queue).await.unwrap();
    let error = it.js.read("queue", ReadOptions::default()).next().await.unwrap().unwrap_err();
    assert!(error.is(ErrorKind::InvalidArgument) && error.hint().is_some(), "{error:?}");
}
