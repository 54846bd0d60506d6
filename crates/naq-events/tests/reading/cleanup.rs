//! Removing what is old: what is asked, in which order, and what is never sent.

use std::time::Duration;

use mockall::Sequence;
use naq_core::events::CleanupRequest;
use naq_core::jetstream::{
    MockJetStream, PurgeKeep, ServerInfo, ServerVersion, StreamConfig, StreamInfo, StreamState,
};
use naq_core::{Error, ErrorKind};
use naq_events::prelude::*;

use crate::support::{CREATED, all_of, asked, broken, jetstream, second, service};

/// A service on a log of messages 1 to 9 that asks at second `now`.
async fn at(
    now: u64,
    read: crate::support::Answer,
) -> (std::sync::Arc<EventService>, crate::support::Asked) {
    let (mock, log) = jetstream(1, 9, read);
    (service(mock, &ManualClock::starting_at(second(now))).await, log)
}

fn whole() -> crate::support::Answer {
    Box::new(|options| all_of(options, 1, 9))
}

#[tokio::test]
async fn the_first_that_is_young_is_looked_up_and_what_lies_below_is_purged() {
    let (service, log) = at(15, whole()).await;
    let report = service.cleanup_old_events(Duration::from_secs(10)).await.unwrap();
    assert_eq!((report.removed, report.before), (4, second(5)));
    let time = second(5);
    let read = format!("read Time({time:?})..Head headers");
    assert_eq!(asked(&log), ["info", read.as_str(), "purge  below 5"]);
}

#[tokio::test]
async fn a_log_that_is_young_is_not_even_looked_through() {
    let (service, log) = at(15, whole()).await;
    for max_age in [14, 15, 1_000, u64::MAX] {
        let report = service.cleanup_old_events(Duration::from_secs(max_age)).await.unwrap();
        assert_eq!((report.removed, asked(&log).as_slice()), (0, &["info".to_owned()][..]));
    }
}

#[tokio::test]
async fn a_type_is_purged_with_and_without_entities() {
    let (service, log) = at(15, whole()).await;
    let request = CleanupRequest::new(Duration::from_secs(10)).with_event_type("a.b");
    service.cleanup(request).await.unwrap();
    let expected = ["purge events.a=2Eb below 5", "purge events.a=2Eb.> below 5"];
    assert_eq!(asked(&log)[2..], expected);
}

#[tokio::test]
async fn a_dry_run_counts_by_headers_and_sends_no_purge() {
    let (service, log) = at(15, whole()).await;
    let request = CleanupRequest::new(Duration::from_secs(10)).with_dry_run(true);
    assert_eq!(service.cleanup(request).await.unwrap().removed, 4);
    assert_eq!(asked(&log)[2..], ["read Beginning..4 headers"]);
}

#[tokio::test]
async fn a_log_that_is_old_altogether_is_purged_to_its_end_as_it_stood() {
    let (service, log) = at(1_000, whole()).await;
    assert_eq!(service.cleanup_old_events(Duration::ZERO).await.unwrap().removed, 9);
    // What comes after the question has a higher sequence, and stays.
    assert_eq!(asked(&log)[2..], ["purge  below 10"]);
}

#[tokio::test]
async fn a_lookup_that_breaks_purges_nothing() {
    let (service, log) = at(15, Box::new(|_| vec![broken()])).await;
    let error = service.cleanup_old_events(Duration::from_secs(10)).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Unavailable, "cleanup_old_events"));
    assert_eq!(asked(&log).len(), 2);
}

#[tokio::test]
async fn a_purge_whose_answer_is_lost_has_an_unknown_outcome() {
    let mut order = Sequence::new();
    let mut mock = MockJetStream::new();
    mock.expect_server_info()
        .returning(|| ServerInfo::new("test", "id", ServerVersion::new(2, 15, 1)));
    mock.expect_stream_info().times(1).in_sequence(&mut order).returning(|_| {
        let mut state = StreamState::default();
        state.messages = 1;
        (state.first_sequence, state.last_sequence) = (7, 7);
        state.first_time = Some(second(7));
        Ok(StreamInfo::new(StreamConfig::new("events", ["events.>"]), state, CREATED))
    });
    mock.expect_read().times(1).in_sequence(&mut order).returning(|_, _| {
        let nothing = naq_core::jetstream::Delivery::CaughtUp { sequence: 7 };
        Box::pin(futures::stream::iter([Ok(nothing)]))
    });
    mock.expect_purge_stream()
        .times(1)
        .in_sequence(&mut order)
        .withf(|stream, options| stream == "events" && options.keep == PurgeKeep::FromSequence(8))
        .returning(|_, _| Err(Error::new(ErrorKind::OutcomeUnknown, "purge_stream", "lost")));
    let service = service(mock, &ManualClock::starting_at(second(100))).await;
    let error = service.cleanup_old_events(Duration::from_secs(10)).await.unwrap_err();
    let told = (error.kind(), error.operation());
    assert_eq!(told, (ErrorKind::OutcomeUnknown, "cleanup_old_events"));
}
