//! How each event ends, and what its caller and the account are told.

use std::sync::Arc;

use naq_core::clock::ManualClock;
use naq_core::connection::MockConnectionProvider;
use naq_core::events::{EventLoss, LossReason, decode};
use naq_core::jetstream::PublishAck;
use naq_core::streams::MockStreamManager;

use super::support::{
    MS, SECOND, Server, advance, assume, eventually, pass, spawn, started, within,
};
use naq_events::prelude::*;

#[tokio::test]
async fn a_stored_event_gives_its_receipt() {
    let (service, mut server, _clock) = started(assume()).await;
    let logging = spawn({
        let service = Arc::clone(&service);
        async move { service.log_event_acked(Event::job_started("j", "w", "q")).await }
    });
    let mut session = server.session().await;
    let message = session.message().await;
    session.answer(Ok(PublishAck { stream: "events".into(), sequence: 42, duplicate: true }));
    let receipt = within(logging).await.unwrap().unwrap();
    assert_eq!((receipt.sequence, receipt.duplicate), (Some(42), true));
    assert_eq!(Some(receipt.id.to_string()), message.message_id);
    let counters = service.counters();
    assert_eq!((counters.acked, counters.duplicates, counters.pending), (1, 1, 0));
}

#[tokio::test]
async fn an_ack_that_never_comes_ends_as_unknown_after_the_delivery_timeout() {
    let (service, mut server, clock) = started(assume()).await;
    let logging = spawn({
        let service = Arc::clone(&service);
        async move { service.log_event_acked("hello").await }
    });
    let mut session = server.session().await;
    session.message().await;
    advance(&clock, 60 * SECOND).await;
    let error = within(logging).await.unwrap().unwrap_err();
    assert!(error.is(ErrorKind::OutcomeUnknown), "{error:?}");
    let counters = service.counters();
    assert_eq!((counters.unknown, counters.failed, counters.pending), (1, 0, 0));
    session.ended().await;
    service.log_event("the next one").await.unwrap();
    advance(&clock, 100 * MS).await;
    let mut session = server.session().await;
    // The first one tells that the log may have a hole.
    let told = decode(&session.message().await.payload).unwrap();
    assert_eq!((told.lost_count(), told.reason.as_deref()), (Some(1), Some("unknown")));
    session.store();
    session.message().await;
    session.store();
    assert!(service.flush(SECOND).await.unwrap().is_clean());
    let account = service.account();
    assert_eq!(account.losses, [EventLoss::new(LossReason::Unknown, EventType::Log, 1)]);
    assert_eq!((account.untold, account.counters.notices), (0, 1));
}

#[tokio::test]
async fn an_event_that_comes_when_all_others_are_stored_ends_in_its_time_too() {
    let (service, mut server, clock) = started(assume()).await;
    service.log_event("stored").await.unwrap();
    let mut session = server.session().await;
    session.message().await;
    session.store();
    eventually("it is stored", || service.counters().acked == 1).await;
    // The session waits for more, and for answers.
    pass(&clock, 100 * MS).await;
    service.log_event("never answered").await.unwrap();
    session.message().await;
    advance(&clock, 60 * SECOND).await;
    eventually("it has its outcome", || service.counters().unknown == 1).await;
    assert_eq!(service.counters().pending, 0);
}

#[tokio::test]
async fn what_shares_a_stuck_session_is_sent_again_with_its_id() {
    let (service, mut server, clock) = started(assume()).await;
    service.log_job_paused("a").await.unwrap();
    let mut session = server.session().await;
    session.message().await;
    clock.advance(30 * SECOND);
    service.log_job_paused("b").await.unwrap();
    let second = session.message().await;
    advance(&clock, 30 * SECOND).await;
    session.ended().await;
    advance(&clock, 100 * MS).await;
    let mut session = server.session().await;
    assert_eq!(session.message().await, second);
    session.store();
    service.flush(SECOND).await.unwrap();
    assert_eq!((service.counters().unknown, service.counters().acked), (1, 1));
}

#[tokio::test]
async fn an_event_that_could_never_be_sent_fails_with_what_stood_in_the_way() {
    let mut connections = MockConnectionProvider::new();
    let refused = || Error::new(ErrorKind::Unavailable, "connect", "refused");
    connections.expect_get_connection().returning(move |_| Err(refused()));
    let mut first = true;
    let (_server, jetstream) = Server::new();
    let jetstream: Arc<dyn naq_core::jetstream::JetStream> = Arc::new(jetstream);
    connections.expect_get_jetstream().returning(move |_| {
        if std::mem::take(&mut first) { Ok(Arc::clone(&jetstream)) } else { Err(refused()) }
    });
    let clock = ManualClock::new();
    let streams = Arc::new(MockStreamManager::new());
    let service = Arc::new(
        EventService::new(Arc::new(connections), streams, Arc::new(clock.clone()), assume())
            .unwrap(),
    );
    service.start().await.unwrap();
    let logging = spawn({
        let service = Arc::clone(&service);
        async move { service.log_event_acked("hello").await }
    });
    eventually("it is accepted", || service.counters().pending == 1).await;
    pass(&clock, 60 * SECOND).await;
    let error = within(logging).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.hint().is_some());
    assert_eq!((service.counters().failed, service.counters().unknown), (1, 0));
}

#[tokio::test]
async fn an_event_that_is_refused_for_good_fails_alone() {
    let (service, mut server, _clock) = started(assume()).await;
    for job in ["a", "b", "c"] {
        service.log_job_paused(job).await.unwrap();
    }
    let mut session = server.session().await;
    assert_eq!(session.jobs(3).await, ["a", "b", "c"]);
    session.store();
    session.refuse(ErrorKind::PermissionDenied);
    session.store();
    let report = service.flush(SECOND).await.unwrap();
    assert_eq!((report.acked, report.failed, report.pending), (2, 1, 0));
    assert!(server.is_quiet(), "the session goes on");
    let told = decode(&session.message().await.payload).unwrap();
    assert_eq!((told.lost_count(), told.reason.as_deref()), (Some(1), Some("failed")));
    session.store();
    eventually("the hole is told", || service.account().untold == 0).await;
}

#[tokio::test]
async fn a_refusal_for_good_after_a_doubt_is_no_proof_that_it_is_not_stored() {
    let (service, mut server, clock) = started(assume()).await;
    service.log_event("hello").await.unwrap();
    let mut session = server.session().await;
    session.message().await;
    session.refuse(ErrorKind::OutcomeUnknown);
    advance(&clock, 100 * MS).await;
    let mut session = server.session().await;
    session.message().await;
    session.refuse(ErrorKind::PermissionDenied);
    service.flush(SECOND).await.unwrap();
    assert_eq!((service.counters().unknown, service.counters().failed), (1, 0));
}

/// How often the head is tried while the clock goes from second to second.
async fn tries_of_a_stuck_head(kind: ErrorKind) -> (Vec<u32>, Error) {
    let (service, mut server, clock) = started(assume()).await;
    let logging = spawn({
        let service = Arc::clone(&service);
        async move { service.log_event_acked(Event::job_paused("a")).await }
    });
    let mut session = server.session().await;
    let mut tries = Vec::new();
    let mut id = None;
    while !logging.is_finished() {
        let mut in_this_second = 0;
        for _ in 0..20 {
            while !session.is_over_or_quiet().await {
                let message = session.message().await;
                if message.subject == "events.events_lost" {
                    // It was given up, and the log is to be told.
                    break;
                }
                assert_eq!(*id.get_or_insert(message.message_id.clone()), message.message_id);
                in_this_second += 1;
                session.refuse(kind);
            }
            if !server.is_quiet() {
                panic!("a refusal by the server is no reason for another session");
            }
            pass(&clock, 50 * MS).await;
        }
        tries.push(in_this_second);
    }
    (tries, within(logging).await.unwrap().unwrap_err())
}

#[tokio::test]
async fn a_full_stream_is_asked_at_most_twice_a_second_and_ends_typed() {
    let (tries, error) = tries_of_a_stuck_head(ErrorKind::LimitReached).await;
    assert!(tries.iter().all(|&tries| tries <= 2), "{tries:?}");
    assert!((60..=62).contains(&tries.len()) && tries.iter().sum::<u32>() > 10, "{tries:?}");
    assert_eq!(error.kind(), ErrorKind::LimitReached);
    assert!(std::error::Error::source(&error).is_some(), "the server's own words are behind it");
}

#[tokio::test]
async fn a_missing_stream_is_waited_for_and_never_made_anew() {
    // The manager of streams has no expectation: any call to it would panic.
    let (_, error) = tries_of_a_stuck_head(ErrorKind::NotFound).await;
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn when_nothing_passes_one_event_is_tried_for_all() {
    let (service, mut server, clock) = started(assume()).await;
    for number in 0..50 {
        service.log_job_paused(&format!("j{number}")).await.unwrap();
    }
    let mut session = server.session().await;
    for _ in 0..50 {
        session.message().await;
        session.refuse(ErrorKind::LimitReached);
    }
    eventually("all are refused", || clock.next_deadline() <= Some(500 * MS)).await;
    advance(&clock, 500 * MS).await;
    session.message().await;
    assert!(session.is_quiet(), "the others wait for what becomes of it");
    session.store();
    for _ in 1..50 {
        session.message().await;
        session.store();
    }
    assert!(service.flush(SECOND).await.unwrap().is_clean());
}

#[tokio::test]
async fn an_event_over_the_server_s_limit_is_refused_before_it_is_accepted() {
    let (service, mut server, _clock) = started(assume()).await;
    let large = "x".repeat(1024 * 1024);
    let error = service.log_event(large).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.hint().is_some());
    assert_eq!((service.counters().rejected, service.counters().pending), (1, 0));
    assert!(server.is_quiet());
}

#[tokio::test]
async fn bad_input_is_refused_by_field_and_counted_and_the_rest_of_a_batch_goes_on() {
    let (service, _server, _clock) = started(assume()).await;
    let batch = [
        serde_json::json!({"type": "x"}),
        serde_json::json!({"job_id": "no type"}),
        serde_json::json!({"type": "x", "duration": -1}),
        serde_json::json!({"type": "x", "job_id": ""}),
        serde_json::json!({"type": "y"}),
    ];
    let results = service.batch_log_events(batch).await;
    let fields: Vec<_> = results
        .iter()
        .map(|result| result.as_ref().err().and_then(|error| error.get("field")).unwrap_or("ok"))
        .collect();
    assert_eq!(fields, ["ok", "type", "duration", "job_id", "ok"]);
    let counters = service.counters();
    assert_eq!((counters.offered, counters.rejected, counters.pending), (5, 3, 2));
}

#[tokio::test]
async fn what_is_redacted_never_reaches_the_server() {
    let config = assume()
        .with_redact_drop(vec!["user.email".to_owned()])
        .with_redact_mask(vec!["error".to_owned()]);
    let (service, mut server, _clock) = started(config).await;
    let event = Event::job_failed("j", "password 1234", 0.5)
        .with_field("user", serde_json::json!({"email": "a@b.example", "plan": "pro"}));
    service.log_event(&event).await.unwrap();
    let message = server.session().await.message().await;
    let stored: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(stored["error"], "***");
    assert_eq!(stored["user"], serde_json::json!({"plan": "pro"}));
    assert_eq!(event.error.as_deref(), Some("password 1234"), "the caller's event is untouched");
}

#[tokio::test]
async fn ids_grow_in_the_order_of_the_calls_and_are_the_message_ids() {
    let (service, mut server, clock) = started(assume()).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        service.log_event("hello").await.unwrap();
        clock.set_wall(naq_core::Timestamp::from_nanos(1));
    }
    let mut session = server.session().await;
    for _ in 0..3 {
        let message = session.message().await;
        let event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(event["id"].as_str(), message.message_id.as_deref());
        ids.push(message.message_id);
    }
    assert!(ids.is_sorted(), "{ids:?}");
}
