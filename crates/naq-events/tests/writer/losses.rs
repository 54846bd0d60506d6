//! What was dropped is counted by type and told in the stream.

use std::sync::Arc;

use naq_core::clock::ManualClock;
use naq_core::config::OverflowPolicy;
use naq_core::events::{EventLoss, LossReason, decode};
use naq_core::jetstream::PublishMessage;

use super::support::{SECOND, Server, Session, advance, assume, eventually, pass, spawn, started};
use naq_events::prelude::*;

/// Room for two events, both taken by what is under way.
async fn full(overflow: OverflowPolicy) -> (Arc<EventService>, Server, Session, ManualClock) {
    let config = assume().with_buffer_max_events(2_usize).with_overflow(overflow);
    let (service, mut server, clock) = started(config).await;
    service.log_job_paused("a").await.unwrap();
    service.log_job_paused("b").await.unwrap();
    let mut session = server.session().await;
    session.jobs(2).await;
    (service, server, session, clock)
}

/// What an `events_lost` message says: reason, count, types.
fn told(message: &PublishMessage) -> (String, u64, String) {
    assert_eq!(message.subject, "events.events_lost");
    let event = decode(&message.payload).unwrap();
    let count = event.custom["count"].as_u64().unwrap();
    (event.reason.unwrap().to_string(), count, event.custom["types"].to_string())
}

#[tokio::test]
async fn a_hole_is_told_in_the_stream_as_soon_as_it_takes_events_again() {
    let (service, _server, mut session, clock) = full(OverflowPolicy::DropNewest).await;
    let begun = clock.now();
    service.log_job_paused("c").await.unwrap();
    clock.advance(2 * SECOND);
    service.log_worker_heartbeat("w").await.unwrap();
    service.log_worker_heartbeat("w").await.unwrap();
    let last = clock.now();
    assert!(session.is_over_or_quiet().await, "nothing is told before");
    let account = service.account();
    assert_eq!(
        account.losses,
        [
            EventLoss::new(LossReason::DropNewest, EventType::JobPaused, 1),
            EventLoss::new(LossReason::DropNewest, EventType::WorkerHeartbeat, 2),
        ]
    );
    assert_eq!(account.counters.dropped, 3);
    clock.advance(SECOND);
    session.store();
    let message = session.message().await;
    let types = r#"{"job_paused":1,"worker_heartbeat":2}"#.to_owned();
    assert_eq!(told(&message), ("drop_newest".to_owned(), 3, types));
    let event = decode(&message.payload).unwrap();
    assert_eq!(event.custom["first_time"], begun.to_string());
    assert_eq!(event.custom["last_time"], last.to_string());
    let counters = service.counters();
    assert_eq!((counters.offered, counters.pending), (5, 1), "it is in no account of others");
    session.store();
    session.store();
    eventually("all of it is stored", || service.counters().notices == 1).await;
    assert!(session.is_over_or_quiet().await, "a loss is told once");
    assert_eq!(service.counters().acked, 2);
    assert!(service.counters().is_balanced());
}

#[tokio::test]
async fn each_reason_is_told_by_an_event_of_its_own() {
    let (service, mut server, clock) =
        started(assume().with_buffer_max_events(2_usize).with_overflow_by_type([
            ("job_progress".to_owned(), OverflowPolicy::DropNewest),
            ("worker_heartbeat".to_owned(), OverflowPolicy::DropOldest),
        ]))
        .await;
    service.log_job_paused("a").await.unwrap();
    let mut session = server.session().await;
    session.jobs(1).await;
    // Held behind the one under way.
    let beat = || Event::worker_heartbeat("w").with_job_id("a");
    service.log_event(beat()).await.unwrap();
    clock.advance(SECOND);
    service.log_event(beat()).await.unwrap();
    service.log_job_progress("b", "…").await.unwrap();
    session.store();
    pass(&clock, SECOND / 10).await;
    assert_eq!(session.jobs(1).await, ["a"]);
    let (newest, oldest) = (session.message().await, session.message().await);
    assert_eq!(told(&newest), ("drop_newest".to_owned(), 1, r#"{"job_progress":1}"#.to_owned()));
    let types = r#"{"worker_heartbeat":1}"#.to_owned();
    assert_eq!(told(&oldest), ("drop_oldest".to_owned(), 1, types));
    let time = |message: &PublishMessage| {
        decode(&message.payload).unwrap().custom["first_time"].to_string()
    };
    assert!(time(&oldest) < time(&newest), "the time is when the event was logged");
}

#[tokio::test]
async fn while_losses_go_on_they_are_summed_up_for_a_second() {
    let (service, _server, mut session, clock) = full(OverflowPolicy::DropNewest).await;
    let mut notices = 0;
    for _ in 0..40 {
        for _ in 0..5 {
            service.log_worker_heartbeat("w").await.unwrap();
        }
        session.store();
        pass(&clock, SECOND / 10).await;
        while !session.is_over_or_quiet().await {
            notices += u64::from(session.message().await.subject == "events.events_lost");
        }
    }
    assert!((3..=5).contains(&notices), "one a second in four: {notices}");
    assert!(service.counters().is_balanced());
}

#[tokio::test]
async fn a_notice_that_is_refused_goes_back_into_the_sum_and_makes_no_loss_of_its_own() {
    let (service, _server, mut session, clock) = full(OverflowPolicy::DropNewest).await;
    service.log_worker_heartbeat("w").await.unwrap();
    session.store();
    pass(&clock, SECOND / 10).await;
    assert_eq!(told(&session.message().await).1, 1);
    session.store();
    session.refuse(ErrorKind::PermissionDenied);
    pass(&clock, SECOND / 10).await;
    assert!(session.is_over_or_quiet().await, "not at once again");
    advance(&clock, 2 * SECOND).await;
    assert_eq!(told(&session.message().await).1, 1, "the same loss, and no other");
    session.store();
    eventually("it is stored", || service.counters().notices == 1).await;
    let account = service.account();
    let counters = account.counters;
    assert_eq!((counters.offered, counters.dropped, counters.failed), (3, 1, 0));
    assert_eq!(account.losses.len(), 1);
}

#[tokio::test]
async fn a_hole_is_told_though_nothing_else_is_left_to_send() {
    let (service, mut server, mut session, clock) = full(OverflowPolicy::DropNewest).await;
    service.log_worker_heartbeat("w").await.unwrap();
    session.refuse(ErrorKind::PermissionDenied);
    session.refuse(ErrorKind::PermissionDenied);
    eventually("both failed", || service.counters().failed == 2).await;
    let message = tokio::select! {
        message = session.message() => message,
        mut other = server.session() => other.message().await,
        () = pass(&clock, 5 * SECOND) => panic!("it is not told"),
    };
    assert_eq!(told(&message).1, 1);
}

#[tokio::test]
async fn a_stop_tells_what_the_stream_does_not_know_yet() {
    let (service, _server, mut session, clock) = full(OverflowPolicy::DropNewest).await;
    service.log_worker_heartbeat("w").await.unwrap();
    session.store();
    pass(&clock, SECOND / 10).await;
    assert_eq!(told(&session.message().await).1, 1);
    service.log_worker_heartbeat("w").await.unwrap();
    let stopping = spawn({
        let service = Arc::clone(&service);
        async move { service.stop(10 * SECOND).await }
    });
    session.store();
    session.store();
    assert_eq!(told(&session.message().await).1, 1, "within the second");
    session.store();
    let report = super::support::within(stopping).await.unwrap().unwrap();
    assert_eq!((report.acked, report.failed), (1, 0), "a report is about the events of others");
    let counters = service.counters();
    assert_eq!((counters.acked, counters.notices, service.account().untold), (2, 2, 0));
}

#[tokio::test]
async fn the_account_tells_how_long_events_took() {
    let (service, _server, mut session, clock) = full(OverflowPolicy::Fail).await;
    clock.advance(SECOND / 4);
    session.store();
    eventually("one is stored", || service.counters().acked == 1).await;
    let latency = service.account().ack_latency;
    assert_eq!(latency.count, 1);
    assert!(latency.p50.as_millis().abs_diff(250) <= 5, "{latency:?}");
}
