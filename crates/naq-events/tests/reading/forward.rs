//! Reading in stored order.

use naq_core::ErrorKind;
use naq_core::events::{AnalyticsRequest, CleanupRequest, HistoryRequest, Position, StatsRequest};
use naq_core::jetstream::Delivery;
use naq_core::{Result, Timestamp};
use naq_events::prelude::*;

use crate::support::{
    CREATED, all_of, asked, broken, jetstream, message, payload, second, service, strings, told,
};

#[tokio::test]
async fn a_read_that_breaks_ends_the_reading_behind_what_it_gave() {
    let (mock, log) = jetstream(1, 3, Box::new(|_| vec![message(1), message(2), broken()]));
    let service = service(mock, &ManualClock::new()).await;
    let told = told(&service, ReadEvents::default()).await;
    assert_eq!(told, ["1", "2", "unavailable in read_events"]);
    assert_eq!(asked(&log), ["info", "read Beginning..Head events.>"]);
}

#[tokio::test]
async fn what_happens_to_a_read_stands_in_line_with_its_events() {
    let deliveries = |_: &_| {
        vec![
            message(3),
            payload(4, "no event"),
            Ok(Delivery::Gap { from: 5, to: 6 }),
            Ok(Delivery::Resumed { sequence: 6 }),
            message(7),
            Ok(Delivery::CaughtUp { sequence: 7 }),
        ]
    };
    let (mock, _) = jetstream(3, 7, Box::new(deliveries));
    let service = service(mock, &ManualClock::new()).await;
    let told = told(&service, ReadEvents::default()).await;
    assert_eq!(told, ["3", "malformed 4", "gap 5-6", "resumed 6", "7", "caught up 7"]);
}

#[tokio::test]
async fn a_limit_ends_the_reading_at_its_last_event() {
    let (mock, _) = jetstream(1, 9, Box::new(|options| all_of(options, 1, 9)));
    let service = service(mock, &ManualClock::new()).await;
    let limited = ReadEvents::default().with_limit(2);
    assert_eq!(told(&service, limited).await, ["1", "2"]);
}

#[tokio::test]
async fn a_filter_is_sent_as_far_as_subjects_say_it_and_checked_here() {
    let (mock, log) = jetstream(1, 3, Box::new(|options| all_of(options, 1, 3)));
    let service = service(mock, &ManualClock::new()).await;
    let filter = Filter::new().event_type("job_paused").field("n").at_least(2);
    let read = ReadEvents::default().with_filter(filter);
    assert_eq!(told(&service, read).await, ["2", "3", "caught up 3"]);
    let expected = ["info", "read Beginning..Head events.job_paused events.job_paused.>"];
    assert_eq!(asked(&log), expected);
}

#[tokio::test]
async fn a_position_is_gone_on_behind_or_refused_for_another_stream() {
    let (mock, log) = jetstream(1, 9, Box::new(|options| all_of(options, 1, 9)));
    let service = service(mock, &ManualClock::new()).await;
    let after = |created, sequence| ReadEvents::default().after(Position::new(created, sequence));
    assert_eq!(told(&service, after(CREATED, 7)).await, ["8", "9", "caught up 9"]);
    assert_eq!(asked(&log), ["info", "read 8..Head events.>"]);
    let other = Timestamp::from_nanos(999);
    assert_eq!(told(&service, after(other, 7)).await, ["conflict in read_events"]);
    assert_eq!(asked(&log), ["info"]);
}

#[tokio::test]
async fn a_wrong_question_asks_nothing() {
    let (mock, log) = jetstream(1, 1, Box::new(|_| Vec::new()));
    let service = service(mock, &ManualClock::new()).await;
    let kind = |result: Result<()>| result.unwrap_err().kind();
    let backwards = (Some(second(2)), Some(second(1)));
    let history = service.history(HistoryRequest::job("")).await;
    assert_eq!(kind(history.map(drop)), ErrorKind::InvalidArgument);
    let stats = StatsRequest::default().with_range(backwards.0, backwards.1);
    assert_eq!(kind(service.stats(stats).await.map(drop)), ErrorKind::InvalidArgument);
    let analytics = service.analytics(AnalyticsRequest::new("")).await;
    assert_eq!(kind(analytics.map(drop)), ErrorKind::InvalidArgument);
    let cleanup = service.cleanup(CleanupRequest::default().with_event_type("")).await;
    assert_eq!(kind(cleanup.map(drop)), ErrorKind::InvalidArgument);
    let read = ReadEvents::default().with_limit(0);
    assert_eq!(told(&service, read).await, ["invalid argument in read_events"]);
    assert_eq!(asked(&log), strings(&[]));
}

#[tokio::test]
async fn a_stopped_service_answers_nothing() {
    let (mock, log) = jetstream(1, 1, Box::new(|_| Vec::new()));
    let service = service(mock, &ManualClock::new()).await;
    service.stop(std::time::Duration::from_secs(1)).await.unwrap();
    assert_eq!(told(&service, ReadEvents::default()).await, ["closed in read_events"]);
    let error = service.get_event_history("j", 1).await.unwrap_err();
    assert!(error.is(ErrorKind::Closed), "{error:?}");
    assert_eq!(asked(&log), strings(&[]));
}
