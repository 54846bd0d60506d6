//! Start, stop, flush, health.

use std::sync::Arc;

use naq_core::Timestamp;
use naq_core::clock::ManualClock;
use naq_core::config::StreamMode;
use naq_core::connection::{
    ConnectionState, MockConnection, MockConnectionProvider, SingleJetStream,
};
use naq_core::jetstream::{JetStream, StreamConfig, StreamInfo, StreamState};
use naq_core::service::HealthState;
use naq_core::streams::{EnsureOutcome, EnsuredStream, MockStreamManager};

use super::support::{
    SECOND, Server, advance, assume, eventually, old_server, service, spawn, started, within,
};
use naq_events::prelude::*;

fn ensured(config: StreamConfig) -> EnsuredStream {
    let info = StreamInfo::new(config, StreamState::default(), Timestamp::from_nanos(1));
    EnsuredStream { info, outcome: EnsureOutcome::Created }
}

#[tokio::test]
async fn before_the_start_and_after_the_stop_every_call_is_closed_and_says_what_to_do() {
    let (_server, jetstream) = Server::new();
    let service = service(jetstream, &ManualClock::new(), assume());
    let error = service.log_event("early").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(error.hint().is_some_and(|hint| hint.contains("start")), "{error:?}");
    assert_eq!(service.flush(SECOND).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(service.get_event_history("j", 1).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(service.health().await.state, HealthState::Unhealthy);
    service.start().await.unwrap();
    service.start().await.unwrap();
    assert!(service.stop(SECOND).await.unwrap().is_clean());
    assert!(service.stop(SECOND).await.unwrap().is_clean(), "again: nothing left to do");
    assert_eq!(service.log_event("late").await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(service.try_log_event("late").unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(service.start().await.unwrap_err().kind(), ErrorKind::Closed);
    let counters = service.counters();
    assert_eq!((counters.offered, counters.rejected), (3, 3));
}

#[tokio::test]
async fn starting_makes_the_stream_as_the_configuration_wants_it() {
    let (_server, jetstream) = Server::new();
    let mut streams = MockStreamManager::new();
    streams.expect_ensure_stream().once().returning(|request| {
        assert!(!request.verify_only && !request.allow_loss);
        assert_eq!((request.config.name.as_str(), request.config.max_messages), ("log", Some(7)));
        assert_eq!(request.config.subjects, ["a.b.>"]);
        Ok(ensured(request.config.with_max_message_size(300)))
    });
    let connections = SingleJetStream::provider(Arc::new(jetstream));
    let config = EventsConfig::default()
        .with_stream_name("log")
        .with_subject_root("a.b")
        .with_max_msgs(7_u64);
    let clock = Arc::new(ManualClock::new());
    let service = EventService::new(connections, Arc::new(streams), clock, config).unwrap();
    service.start().await.unwrap();
    let error = service.log_event("x".repeat(300)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "over the stream's own limit");
    service.log_event("x").await.unwrap();
}

#[tokio::test]
async fn a_stream_that_is_not_as_wanted_fails_the_start_and_nothing_is_accepted() {
    let (_server, jetstream) = Server::new();
    let mut streams = MockStreamManager::new();
    streams.expect_ensure_stream().once().returning(|request| {
        assert!(request.verify_only);
        Err(Error::new(ErrorKind::Conflict, "ensure_stream", "max_msgs differs"))
    });
    let connections = SingleJetStream::provider(Arc::new(jetstream));
    let config = EventsConfig::default().with_stream(StreamMode::Verify);
    let clock = Arc::new(ManualClock::new());
    let service = EventService::new(connections, Arc::new(streams), clock, config).unwrap();
    assert_eq!(service.start().await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(service.log_event("x").await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn on_a_lazy_connection_it_accepts_at_once_and_sees_to_the_stream_before_it_sends() {
    let (mut server, jetstream) = Server::new();
    let jetstream: Arc<dyn JetStream> = Arc::new(jetstream);
    let mut connections = MockConnectionProvider::new();
    connections.expect_get_connection().returning(|_| {
        let mut connection = MockConnection::new();
        connection.expect_state().return_const(ConnectionState::Pending);
        Ok(Arc::new(connection))
    });
    let mut tries = 0;
    connections.expect_get_jetstream().returning(move |_| {
        tries += 1;
        if tries < 3 {
            return Err(Error::new(ErrorKind::Unavailable, "connect", "nobody there yet"));
        }
        Ok(Arc::clone(&jetstream))
    });
    let mut streams = MockStreamManager::new();
    let mut seen_to = mockall::Sequence::new();
    streams
        .expect_ensure_stream()
        .once()
        .in_sequence(&mut seen_to)
        .returning(|_| Err(Error::new(ErrorKind::Unavailable, "ensure_stream", "just gone again")));
    streams
        .expect_ensure_stream()
        .once()
        .in_sequence(&mut seen_to)
        .returning(|request| Ok(ensured(request.config)));
    let clock = ManualClock::new();
    let service = EventService::new(
        Arc::new(connections),
        Arc::new(streams),
        Arc::new(clock.clone()),
        EventsConfig::default(),
    )
    .unwrap();
    service.start().await.unwrap();
    service.log_job_paused("a").await.unwrap();
    for _ in 0..3 {
        assert!(server.is_quiet());
        advance(&clock, SECOND).await;
    }
    let mut session = server.session().await;
    assert_eq!(session.jobs(1).await, ["a"]);
    session.store();
    assert!(service.stop(SECOND).await.unwrap().is_clean());
}

#[tokio::test]
async fn stopping_waits_for_the_acknowledgements_and_accepts_nothing_meanwhile() {
    let (service, mut server, _clock) = started(assume()).await;
    service.log_job_paused("a").await.unwrap();
    service.log_job_paused("b").await.unwrap();
    let mut session = server.session().await;
    session.jobs(2).await;
    let mut stopping = Box::pin(service.stop(SECOND));
    assert!(futures::poll!(&mut stopping).is_pending());
    assert!(service.try_log_event("late").is_err());
    session.store();
    eventually("one is stored", || service.counters().acked == 1).await;
    assert!(futures::poll!(&mut stopping).is_pending());
    session.store();
    let report = within(stopping).await.unwrap();
    assert_eq!((report.acked, report.pending, report.failed), (2, 0, 0));
    session.ended().await;
}

#[tokio::test]
async fn a_stop_that_runs_out_of_time_accounts_for_every_event() {
    let (service, mut server, clock) = started(assume()).await;
    let sent = spawn({
        let service = Arc::clone(&service);
        async move { service.log_event_acked(Event::job_paused("a")).await }
    });
    let mut session = server.session().await;
    session.message().await;
    let held = spawn({
        let service = Arc::clone(&service);
        async move { service.log_event_acked(Event::job_paused("a")).await }
    });
    eventually("both are accepted", || service.counters().pending == 2).await;
    let stopping = spawn({
        let service = Arc::clone(&service);
        async move { service.stop(5 * SECOND).await }
    });
    eventually("it stops", || clock.next_deadline() == Some(5 * SECOND)).await;
    clock.advance(5 * SECOND);
    let report = within(stopping).await.unwrap().unwrap();
    assert_eq!((report.acked, report.pending, report.failed), (0, 2, 0));
    let error = within(sent).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "it was sent");
    let error = within(held).await.unwrap().unwrap_err();
    assert_ne!(error.kind(), ErrorKind::OutcomeUnknown, "it was not");
    let counters = service.counters();
    assert_eq!((counters.unknown, counters.failed, counters.pending), (1, 1, 0));
    assert!(counters.is_balanced());
}

#[tokio::test]
async fn an_event_that_was_never_sent_does_not_inherit_another_s_doubt() {
    let (service, mut server, _clock) = started(assume()).await;
    service.log_job_paused("a").await.unwrap();
    service.log_job_paused("a").await.unwrap();
    let mut session = server.session().await;
    session.jobs(1).await;
    session.refuse(ErrorKind::OutcomeUnknown);
    session.ended().await;
    service.stop(std::time::Duration::ZERO).await.unwrap();
    assert_eq!((service.counters().unknown, service.counters().failed), (1, 1));
}

#[tokio::test]
async fn a_dropped_stop_is_finished_by_the_next_one() {
    let (service, mut server, _clock) = started(assume()).await;
    service.log_job_paused("a").await.unwrap();
    let mut session = server.session().await;
    session.jobs(1).await;
    let mut stopping = Box::pin(service.stop(SECOND));
    assert!(futures::poll!(&mut stopping).is_pending());
    drop(stopping);
    session.store();
    eventually("the writer goes on", || service.counters().acked == 1).await;
    assert!(service.stop(SECOND).await.unwrap().is_clean());
}

#[tokio::test]
async fn who_waits_for_room_is_sent_away_by_the_stop() {
    let (service, mut server, clock) = started(assume().with_buffer_max_events(1_usize)).await;
    service.log_job_paused("a").await.unwrap();
    server.session().await.jobs(1).await;
    let waiting = spawn({
        let service = Arc::clone(&service);
        async move { service.log_job_paused("b").await }
    });
    eventually("it waits", || clock.sleepers() > 1).await;
    let mut stopping = Box::pin(service.stop(SECOND));
    assert!(futures::poll!(&mut stopping).is_pending());
    assert_eq!(within(waiting).await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn dropping_the_service_ends_its_task_and_its_session() {
    let (service, mut server, clock) = started(assume()).await;
    service.log_job_paused("a").await.unwrap();
    let mut session = server.session().await;
    session.jobs(1).await;
    drop(service);
    session.ended().await;
    eventually("nobody sleeps on the clock", || clock.sleepers() == 0).await;
}

#[tokio::test]
async fn a_flush_reports_on_what_was_pending_and_the_rest_goes_on() {
    let (service, mut server, clock) = started(assume()).await;
    service.log_job_paused("a").await.unwrap();
    service.log_job_paused("b").await.unwrap();
    let mut session = server.session().await;
    session.jobs(2).await;
    let flushing = spawn({
        let service = Arc::clone(&service);
        async move { service.flush(2 * SECOND).await }
    });
    eventually("it waits", || clock.next_deadline() == Some(2 * SECOND)).await;
    service.log_job_paused("c").await.unwrap();
    session.store();
    eventually("one is stored", || service.counters().acked == 1).await;
    clock.advance(2 * SECOND);
    let report = within(flushing).await.unwrap().unwrap();
    assert_eq!((report.acked, report.pending, report.elapsed), (1, 1, 2 * SECOND));
    session.store();
    assert_eq!(session.jobs(1).await, ["c"]);
    session.store();
    assert_eq!(service.flush(SECOND).await.unwrap().pending, 0);
    assert_eq!(service.counters().acked, 3);
}

#[tokio::test]
async fn a_question_waits_for_what_was_accepted_and_says_when_that_takes_too_long() {
    let (service, mut server, clock) = started(assume()).await;
    service.log_job_paused("a").await.unwrap();
    server.session().await.jobs(1).await;
    let asking = spawn({
        let service = Arc::clone(&service);
        async move { service.get_event_history("a", 10).await }
    });
    advance(&clock, 10 * SECOND).await;
    let error = within(asking).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.get("pending")), (ErrorKind::Timeout, Some("1")));
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn health_tells_that_nothing_is_stored_at_the_moment_and_why() {
    let (service, mut server, _clock) = started(assume()).await;
    assert_eq!(service.health().await.state, HealthState::Healthy);
    service.log_job_paused("a").await.unwrap();
    let mut session = server.session().await;
    session.jobs(1).await;
    session.refuse(ErrorKind::Unavailable);
    eventually("the session is given up", || service.counters().retried == 0).await;
    session.ended().await;
    let health = service.health().await;
    assert_eq!(health.state, HealthState::Degraded);
    assert!(health.detail.contains("as the test wants it"), "{}", health.detail);
}

#[tokio::test]
async fn a_writer_that_panics_leaves_no_event_without_an_outcome() {
    let mut jetstream = naq_core::jetstream::MockJetStream::new();
    old_server(&mut jetstream);
    jetstream.expect_publish_many().returning(|_, _| panic!("a JetStream of somebody's own"));
    let service = service(jetstream, &ManualClock::new(), assume());
    service.start().await.unwrap();
    let error = within(service.log_event_acked("x")).await.unwrap_err();
    assert_ne!(error.kind(), ErrorKind::LimitReached, "{error:?}");
    assert_eq!(service.log_event("y").await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(service.health().await.state, HealthState::Unhealthy);
    assert!(service.counters().is_balanced());
    assert!(service.stop(SECOND).await.unwrap().is_clean());
}

#[tokio::test]
async fn who_waited_for_room_is_served_when_the_writer_had_gone_to_sleep() {
    let (service, mut server, clock) = started(assume().with_buffer_max_events(1_usize)).await;
    service.log_job_paused("a").await.unwrap();
    let mut session = server.session().await;
    session.jobs(1).await;
    let mut waiting = Box::pin(service.log_job_paused("b"));
    assert!(futures::poll!(&mut waiting).is_pending());
    drop(session);
    advance(&clock, 60 * SECOND).await;
    eventually("the first one is given up", || service.counters().unknown == 1).await;
    within(waiting).await.unwrap();
    advance(&clock, 5 * SECOND).await;
    assert_eq!(server.session().await.jobs(1).await, ["b"]);
}

#[tokio::test]
async fn the_recipe_builds_the_service_and_offers_it_as_sink_query_and_log() {
    use naq_core::kv::MockKvStore;
    use naq_core::service::Provide as _;

    let offered: Vec<_> =
        EventService::interfaces().list().iter().map(ToString::to_string).collect();
    assert_eq!(offered, ["EventService", "dyn EventLog", "dyn EventSink", "dyn EventQuery"]);
    let (mut server, jetstream) = Server::new();
    let deps = (
        SingleJetStream::provider(Arc::new(jetstream)),
        Arc::new(MockStreamManager::new()) as _,
        // Nobody looks for a bucket before somebody asks for statistics.
        Arc::new(MockKvStore::new()) as _,
        Arc::new(ManualClock::new()) as _,
        Some(Arc::new(RedactFn::new(|event: &mut Event| event.message = None)) as _),
    );
    let service = EventService::build(deps, assume()).unwrap();
    service.start().await.unwrap();
    service.log_event("secret").await.unwrap();
    let message = server.session().await.message().await;
    assert!(!String::from_utf8_lossy(&message.payload).contains("secret"));
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let (_server, jetstream) = Server::new();
    let connections = SingleJetStream::provider(Arc::new(jetstream));
    let new = |config| {
        let streams = Arc::new(MockStreamManager::new());
        EventService::new(Arc::clone(&connections), streams, Arc::new(ManualClock::new()), config)
            .unwrap_err()
    };
    assert_eq!(new(assume().with_stream_name("a.b")).kind(), ErrorKind::Config);
    assert_eq!(new(assume().with_buffer_size(0_usize)).kind(), ErrorKind::Config);
    let error = new(assume().with_redact_drop(vec!["job_id".to_owned()]));
    assert_eq!(error.get("field"), Some("redact_drop"));
}
