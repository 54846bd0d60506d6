//! Questions that fold the log: history, statistics, analytics.

use naq_core::ErrorKind;
use naq_core::jetstream::Delivery;
use naq_events::prelude::*;

use crate::support::{all_of, asked, broken, jetstream, message, payload, service};

#[tokio::test]
async fn a_read_that_breaks_is_an_error_and_never_a_short_answer() {
    let (mock, _) = jetstream(1, 3, Box::new(|_| vec![message(1), broken()]));
    let service = service(mock, &ManualClock::new()).await;
    let history = service.get_event_history("j", 9).await.unwrap_err();
    let stats = service.get_event_stats(None, None).await.unwrap_err();
    let analytics = service.get_event_analytics("job_paused", None, None).await.unwrap_err();
    let operations = ["get_event_history", "get_event_stats", "get_event_analytics"];
    for (error, operation) in [history, stats, analytics].into_iter().zip(operations) {
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Unavailable, operation));
    }
}

#[tokio::test]
async fn each_question_reads_the_subjects_that_it_is_about() {
    let (mock, log) = jetstream(1, 3, Box::new(|options| all_of(options, 1, 3)));
    let service = service(mock, &ManualClock::new()).await;
    service.get_event_history("a.b", 9).await.unwrap();
    let of_job = ["count events.*.a=2Eb", "read Beginning..3 events.*.a=2Eb"];
    assert_eq!(asked(&log), of_job);
    service.get_event_stats(None, None).await.unwrap();
    assert_eq!(asked(&log), ["info", "read Beginning..3 events.>"]);
    service.get_event_analytics("job_paused", None, None).await.unwrap();
    let expected = "read Beginning..3 events.job_paused events.job_paused.>";
    assert_eq!(asked(&log), ["info", expected]);
}

#[tokio::test]
async fn what_went_meanwhile_and_what_is_no_event_is_counted() {
    let deliveries = |_: &_| {
        vec![
            message(1),
            payload(2, "no event"),
            Ok(Delivery::Gap { from: 3, to: 12 }),
            Ok(Delivery::Resumed { sequence: 12 }),
            message(13),
            Ok(Delivery::CaughtUp { sequence: 13 }),
        ]
    };
    let (mock, _) = jetstream(1, 13, Box::new(deliveries));
    let service = service(mock, &ManualClock::new()).await;
    let summary = service.get_event_history("j", 9).await.unwrap().summary;
    assert_eq!((summary.total_events, summary.malformed, summary.gone), (2, 1, 10));
    let stats = service.get_event_stats(None, None).await.unwrap();
    assert_eq!((stats.total_events, stats.malformed, stats.gone), (2, 1, 10));
    let analytics = service.get_event_analytics("job_paused", None, None).await.unwrap();
    let counted = (analytics.measures.total_count, analytics.malformed, analytics.gone);
    assert_eq!(counted, (2, 1, 10));
}
