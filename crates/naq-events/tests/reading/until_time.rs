//! Reading until a time, by a clock that the test moves.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use naq_core::config::StreamMode;
use naq_core::connection::SingleJetStream;
use naq_core::events::{ReadStart, ReadUntil};
use naq_core::jetstream::{JetStream, PublishMessage, StreamConfig};
use naq_core::streams::MockStreamManager;
use naq_core::{BoxStream, Result, Timestamp};
use naq_events::prelude::*;
use naq_memory::MemoryJetStream;

use crate::support::{item_in_words, second};

/// A JetStream in memory and a service on it, on one clock that stands at second 100.
async fn on_memory() -> (Arc<EventService>, MemoryJetStream, ManualClock) {
    let clock = ManualClock::starting_at(second(100));
    let (events, jetstream) = on_clocks(&clock, &clock).await;
    (events, jetstream, clock)
}

/// A JetStream in memory on one clock, and a service on it on another.
async fn on_clocks(
    server: &ManualClock,
    clock: &ManualClock,
) -> (Arc<EventService>, MemoryJetStream) {
    let jetstream = MemoryJetStream::builder().clock(Arc::new(server.clone())).build();
    jetstream.create_stream(StreamConfig::new("events", ["events.>"])).await.unwrap();
    let config = EventsConfig::default().with_stream(StreamMode::Assume);
    let connections = SingleJetStream::provider(Arc::new(jetstream.clone()));
    let streams = Arc::new(MockStreamManager::new());
    let events = EventService::new(connections, streams, Arc::new(clock.clone()), config).unwrap();
    events.start().await.unwrap();
    (Arc::new(events), jetstream)
}

async fn store(jetstream: &MemoryJetStream) {
    let message = PublishMessage::new("events.log", r#"{"type":"log"}"#);
    jetstream.publish(message).await.unwrap();
}

async fn next(reading: &mut BoxStream<'static, Result<EventItem>>) -> Option<String> {
    let item = tokio::time::timeout(Duration::from_secs(10), reading.next()).await;
    item.expect("something comes").map(|item| item_in_words(&item))
}

/// The rest of a reading, while the clock goes on once it is waited for.
async fn rest(
    mut reading: BoxStream<'static, Result<EventItem>>,
    clock: &ManualClock,
    span: Duration,
) -> Vec<String> {
    let rest = tokio::spawn(async move {
        let mut all = Vec::new();
        while let Some(item) = next(&mut reading).await {
            all.push(item);
        }
        all
    });
    clock.wait_for_sleepers(1, Duration::from_secs(10)).await.unwrap();
    clock.advance(span);
    rest.await.unwrap()
}

fn until(time: Timestamp) -> ReadEvents {
    ReadEvents::default().with_until(ReadUntil::Time(time))
}

#[tokio::test]
async fn a_time_that_has_passed_ends_before_what_was_stored_at_it() {
    let (events, jetstream, clock) = on_memory().await;
    for _ in 0..3 {
        store(&jetstream).await;
        clock.advance(Duration::from_secs(10));
    }
    let told = async |time| {
        let mut reading = events.read_events(until(time));
        let mut all = Vec::new();
        while let Some(item) = next(&mut reading).await {
            all.push(item);
        }
        all
    };
    assert_eq!(told(second(120)).await, ["1", "2"]);
    assert_eq!(told(second(121)).await, ["1", "2", "3", "caught up 3"]);
    assert_eq!(told(second(100)).await, [""; 0]);
}

#[tokio::test]
async fn a_time_to_come_is_waited_for_and_catches_up_once() {
    let (events, jetstream, clock) = on_memory().await;
    store(&jetstream).await;
    let mut reading = events.read_events(until(second(110)));
    assert_eq!(next(&mut reading).await.as_deref(), Some("1"));
    assert_eq!(next(&mut reading).await.as_deref(), Some("caught up 1"));
    clock.advance(Duration::from_secs(5));
    store(&jetstream).await;
    assert_eq!(next(&mut reading).await.as_deref(), Some("2"));
    clock.advance(Duration::from_secs(4));
    // Stored before the time, and not read yet when it has passed.
    store(&jetstream).await;
    clock.advance(Duration::from_secs(2));
    store(&jetstream).await;
    assert_eq!(next(&mut reading).await.as_deref(), Some("3"));
    assert_eq!(next(&mut reading).await, None);
}

#[tokio::test]
async fn a_quiet_log_ends_with_the_time() {
    let (events, jetstream, clock) = on_memory().await;
    store(&jetstream).await;
    let reading = events.read_events(until(second(110)));
    let told = rest(reading, &clock, Duration::from_secs(11)).await;
    assert_eq!(told, ["1", "caught up 1"]);
}

#[tokio::test]
async fn what_is_new_until_a_time_begins_where_the_question_was_asked() {
    let (events, jetstream, clock) = on_memory().await;
    store(&jetstream).await;
    let mut reading = events.read_events(until(second(110)).with_start(ReadStart::New));
    assert_eq!(next(&mut reading).await.as_deref(), Some("caught up 1"));
    store(&jetstream).await;
    clock.advance(Duration::from_secs(11));
    assert_eq!(next(&mut reading).await.as_deref(), Some("2"));
    assert_eq!(next(&mut reading).await, None);
}

#[tokio::test]
async fn a_limit_ends_the_waiting() {
    let (events, jetstream, _clock) = on_memory().await;
    store(&jetstream).await;
    let mut reading = events.read_events(until(second(110)).with_limit(1));
    assert_eq!(next(&mut reading).await.as_deref(), Some("1"));
    assert_eq!(next(&mut reading).await, None);
}

#[tokio::test]
async fn a_broken_connection_is_told_and_catches_up_again() {
    let (events, jetstream, clock) = on_memory().await;
    store(&jetstream).await;
    let mut reading = events.read_events(until(second(110)));
    assert_eq!(next(&mut reading).await.as_deref(), Some("1"));
    assert_eq!(next(&mut reading).await.as_deref(), Some("caught up 1"));
    jetstream.faults().reconnect();
    assert_eq!(next(&mut reading).await.as_deref(), Some("resumed 1"));
    assert_eq!(next(&mut reading).await.as_deref(), Some("caught up 1"));
    let told = rest(reading, &clock, Duration::from_secs(11)).await;
    assert_eq!(told, [""; 0]);
}

#[tokio::test]
async fn a_clock_that_is_ahead_ends_nothing_before_the_server_s_time() {
    let (server, ahead) =
        (ManualClock::starting_at(second(100)), ManualClock::starting_at(second(400)));
    let (events, jetstream) = on_clocks(&server, &ahead).await;
    store(&jetstream).await;
    let by_filter = || {
        let filter = Filter::new().stored_until(second(130));
        ReadEvents::default().with_until(ReadUntil::Never).with_filter(filter)
    };
    for (options, stored) in [(until(second(130)), 1), (by_filter(), 2)] {
        let mut reading = events.read_events(options);
        for sequence in 1..=stored {
            assert_eq!(next(&mut reading).await.unwrap(), sequence.to_string());
        }
        assert_eq!(next(&mut reading).await.unwrap(), format!("caught up {stored}"));
        // What the server stores before the time is in.
        store(&jetstream).await;
        assert_eq!(next(&mut reading).await.unwrap(), (stored + 1).to_string());
        assert_eq!(rest(reading, &ahead, Duration::from_secs(31)).await, [""; 0]);
    }
}
