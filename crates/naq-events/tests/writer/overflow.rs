//! A full buffer: what each policy does.

use std::sync::Arc;

use naq_core::config::OverflowPolicy;

use super::support::{SECOND, Session, advance, assume, eventually, spawn, started, within};
use naq_events::prelude::*;

fn two(overflow: OverflowPolicy) -> EventsConfig {
    assume().with_buffer_max_events(2_usize).with_overflow(overflow)
}

#[tokio::test]
async fn what_is_under_way_takes_room_until_it_is_acknowledged() {
    let (service, mut server, _clock) = started(two(OverflowPolicy::Fail)).await;
    service.log_job_paused("a").await.unwrap();
    service.log_job_paused("b").await.unwrap();
    let mut session = server.session().await;
    session.jobs(2).await;
    let error = service.log_job_paused("c").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitReached);
    assert!(error.hint().is_some());
    session.store();
    eventually("there is room", || service.counters().acked == 1).await;
    service.log_job_paused("c").await.unwrap();
    let counters = service.counters();
    assert_eq!((counters.offered, counters.rejected), (4, 1));
}

#[tokio::test]
async fn room_is_bounded_in_bytes_too() {
    let config = assume()
        .with_buffer_max_bytes(naq_core::config::Size::from_kib(4))
        .with_overflow(OverflowPolicy::Fail);
    let (service, _server, _clock) = started(config).await;
    service.log_event("x".repeat(2_000)).await.unwrap();
    let error = service.log_event("x".repeat(2_000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitReached);
    let error = service.log_event("x".repeat(5_000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "it would never fit");
    assert!(service.counters().pending_bytes <= 4_096);
}

#[tokio::test]
async fn waiting_for_room_ends_when_there_is_some_first_come_first_served() {
    let (service, mut server, _clock) = started(two(OverflowPolicy::Wait)).await;
    service.log_job_paused("a").await.unwrap();
    service.log_job_paused("b").await.unwrap();
    let mut session = server.session().await;
    session.jobs(2).await;
    let mut waiting = Vec::new();
    for job in ["c", "d"] {
        let service = Arc::clone(&service);
        waiting.push(spawn(async move { service.log_job_paused(job).await }));
        tokio::task::yield_now().await;
    }
    assert_eq!(service.counters().offered, 2, "who waits has offered nothing yet");
    session.store();
    assert_eq!(session.jobs(1).await, ["c"]);
    session.store();
    assert_eq!(session.jobs(1).await, ["d"]);
    for task in waiting {
        within(task).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn waiting_for_room_ends_at_its_deadline() {
    let (service, mut server, clock) = started(two(OverflowPolicy::Wait)).await;
    service.log_job_paused("a").await.unwrap();
    service.log_job_paused("b").await.unwrap();
    let mut session = server.session().await;
    session.jobs(2).await;
    let waiting = spawn({
        let service = Arc::clone(&service);
        async move { service.log_job_paused("c").await }
    });
    advance(&clock, 30 * SECOND).await;
    let error = within(waiting).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.get("waited")), (ErrorKind::LimitReached, Some("30s")));
    assert_eq!(service.counters().rejected, 1);
    let error = service.try_log_event("now").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitReached, "the synchronous call never waits");
}

#[tokio::test]
async fn a_call_that_is_dropped_while_it_waits_leaves_its_event_unaccepted() {
    let (service, mut server, _clock) = started(two(OverflowPolicy::Wait)).await;
    service.log_job_paused("a").await.unwrap();
    service.log_job_paused("b").await.unwrap();
    let mut session = server.session().await;
    session.jobs(2).await;
    let mut dropped = Box::pin(service.log_job_paused("dropped"));
    let mut waiting = Box::pin(service.log_job_paused("c"));
    assert!(futures::poll!(&mut dropped).is_pending());
    assert!(futures::poll!(&mut waiting).is_pending());
    drop(dropped);
    session.store();
    assert_eq!(session.jobs(1).await, ["c"]);
    waiting.await.unwrap();
    assert_eq!(service.counters().offered, 3);
}

#[tokio::test]
async fn who_waits_for_room_is_accepted_in_the_order_of_the_calls_whenever_he_runs_on() {
    let (service, mut server, _clock) = started(two(OverflowPolicy::Wait)).await;
    service.log_job_paused("a").await.unwrap();
    service.log_job_paused("b").await.unwrap();
    let mut session = server.session().await;
    session.jobs(2).await;
    let jobs = ["c", "d", "e", "f"];
    let mut calls = Vec::new();
    for job in jobs {
        let mut call = Box::pin(service.log_job_paused(job));
        assert!(futures::poll!(&mut call).is_pending());
        calls.push(call);
    }
    for job in jobs {
        session.store();
        assert_eq!(session.jobs(1).await, [job], "though its call has not run on");
    }
    session.store();
    session.store();
    eventually("all of it is stored", || service.counters().acked == 6).await;
    // The last one learns it first.
    for call in calls.into_iter().rev() {
        within(call).await.unwrap();
    }
}

#[tokio::test]
async fn dropping_the_newest_counts_it_and_tells_nobody_but_who_waits_for_its_receipt() {
    let (service, _server, _clock) = started(two(OverflowPolicy::DropNewest)).await;
    for job in ["a", "b", "c"] {
        service.log_job_paused(job).await.unwrap();
    }
    assert_eq!(service.counters().dropped, 1);
    let error = service.log_event_acked("d").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitReached);
    let counters = service.counters();
    assert_eq!((counters.offered, counters.dropped, counters.pending), (4, 2, 2));
}

#[tokio::test]
async fn dropping_the_oldest_spares_what_is_under_way() {
    let (service, mut server, _clock) = started(two(OverflowPolicy::DropOldest)).await;
    service.log_job_paused("sent").await.unwrap();
    let mut session = server.session().await;
    assert_eq!(session.jobs(1).await, ["sent"]);
    // Held back behind the one under way, so that they stay unsent.
    for _ in 0..3 {
        service.log_job_paused("sent").await.unwrap();
    }
    assert_eq!((service.counters().dropped, service.counters().pending), (2, 2));
    session.store();
    assert_eq!(session.jobs(2).await, ["sent", "events_lost"]);
    service.log_job_paused("other").await.unwrap();
    assert_eq!(service.counters().dropped, 3, "nothing unsent is left: the new one goes");
    assert!(service.counters().is_balanced());
}

/// Room for two events; heartbeats give way, progress is dropped when it comes, the rest waits.
fn by_type() -> EventsConfig {
    two(OverflowPolicy::Wait).with_overflow_by_type([
        ("worker_heartbeat".to_owned(), OverflowPolicy::DropOldest),
        ("job_progress".to_owned(), OverflowPolicy::DropNewest),
        ("log".to_owned(), OverflowPolicy::Fail),
    ])
}

/// As `by_type`, the whole room taken by one event under way and one held behind it.
async fn full(held: Event) -> (Arc<EventService>, Session, ManualClock) {
    let (service, mut server, clock) = started(by_type()).await;
    service.log_job_paused("a").await.unwrap();
    let mut session = server.session().await;
    session.jobs(1).await;
    service.log_event(held.with_job_id("a")).await.unwrap();
    (service, session, clock)
}

#[tokio::test]
async fn each_type_has_its_own_policy() {
    let (service, _session, _clock) = full(Event::new("x")).await;
    service.log_job_progress("b", "dropped").await.unwrap();
    assert_eq!(service.counters().dropped, 1);
    let error = service.log_event("fails").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitReached);
    assert_eq!(service.counters().rejected, 1);
    let mut waits = Box::pin(service.log_job_paused("waits"));
    assert!(futures::poll!(&mut waits).is_pending());
    assert!(service.counters().is_balanced());
}

#[tokio::test]
async fn an_event_whose_type_waits_is_not_dropped_for_another() {
    let (service, _session, _clock) = full(Event::new("waits")).await;
    service.log_worker_heartbeat("w").await.unwrap();
    let counters = service.counters();
    assert_eq!((counters.dropped, counters.pending), (1, 2), "the new one is dropped");
}

#[tokio::test]
async fn the_oldest_event_that_may_be_dropped_gives_way_whichever_type_drops_it() {
    let (service, mut session, _clock) = full(Event::new("job_progress")).await;
    service.log_worker_heartbeat("w").await.unwrap();
    let counters = service.counters();
    assert_eq!((counters.dropped, counters.pending), (1, 2));
    assert_eq!(session.jobs(1).await, ["w"]);
    session.store();
    session.store();
    eventually("nothing else is left", || service.counters().acked == 2).await;
}

#[tokio::test]
async fn who_makes_room_makes_it_for_those_first_who_wait_already() {
    for room in [2_usize, 3] {
        let config = by_type().with_buffer_max_events(room);
        let (service, mut server, _clock) = started(config).await;
        service.log_job_paused("a").await.unwrap();
        let mut session = server.session().await;
        session.jobs(1).await;
        for _ in 1..room {
            service.log_job_progress("a", "held").await.unwrap();
        }
        let mut waits = Box::pin(service.log_job_paused("w"));
        assert!(futures::poll!(&mut waits).is_pending());
        // Of the same entity as what waits.
        service.log_event(Event::new("worker_heartbeat").with_job_id("w")).await.unwrap();
        within(waits).await.unwrap();
        let counters = service.counters();
        assert_eq!((counters.dropped, counters.pending), (2, room as u64));
        assert_eq!(session.message().await.subject, "events.job_paused.w");
        session.store();
        session.store();
        if room == 3 {
            assert_eq!(session.message().await.subject, "events.worker_heartbeat.w");
            session.store();
        }
        eventually("all is stored", || service.counters().pending == 0).await;
        assert!(service.counters().is_balanced());
    }
}

#[tokio::test]
async fn nothing_is_dropped_that_lets_nobody_in() {
    let room = naq_core::config::Size::from_kib(8);
    let (service, mut server, _clock) =
        started(by_type().with_buffer_max_events(100_usize).with_buffer_max_bytes(room)).await;
    service
        .log_event(Event::new("sent").with_job_id("a").with_message("x".repeat(5_000)))
        .await
        .unwrap();
    let mut session = server.session().await;
    session.message().await;
    service.log_job_progress("a", "held").await.unwrap();
    let large = Event::new("large").with_message("x".repeat(5_000));
    let mut waits = Box::pin(service.log_event(large));
    assert!(futures::poll!(&mut waits).is_pending());
    service.log_worker_heartbeat("w").await.unwrap();
    let counters = service.counters();
    assert_eq!((counters.dropped, counters.pending), (1, 2), "what would not help stays");
    session.store();
    within(waits).await.unwrap();
    assert!(service.counters().is_balanced());
}

#[tokio::test]
async fn the_synchronous_call_fails_where_the_policy_waits() {
    let (service, _session, _clock) = full(Event::new("x")).await;
    let error = service.try_log_event(Event::job_paused("b")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitReached);
    service.try_log_event(Event::job_progress("b", "dropped")).unwrap();
    assert_eq!((service.counters().rejected, service.counters().dropped), (1, 1));
}
