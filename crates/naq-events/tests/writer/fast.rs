//! Events by the server's fast ingest: order, refusals, doubts, receipts.

use naq_core::config::Guarantee;
use naq_core::jetstream::{FAST_BATCHES, MESSAGES_PER_SUBJECT, PublishMessage, PublishWay};

use super::support::{
    MS, SECOND, advance, assume, eventually, job, spawn, started_fast as started, within,
};
use naq_events::prelude::*;

async fn log(service: &EventService, job: &str, message: &str) {
    service.log_job_progress(job, message).await.unwrap();
}

fn text(message: &PublishMessage) -> String {
    let event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
    event["message"].as_str().unwrap_or_default().to_owned()
}

fn batch_id(way: &PublishWay) -> &str {
    match way {
        PublishWay::FastBatch { id, .. } => id,
        PublishWay::Pipeline => panic!("not a batch"),
    }
}

#[tokio::test]
async fn one_job_s_events_go_without_waiting_for_each_other() {
    let (service, mut server, _clock) = started(assume()).await;
    for message in ["1", "2", "3"] {
        log(&service, "a", message).await;
    }
    let mut session = server.session().await;
    for message in ["1", "2", "3"] {
        let sent = session.message().await;
        assert_eq!((text(&sent), sent.message_id.is_some()), (message.to_owned(), true));
    }
    session.next(2);
    eventually("the first two are stored", || service.counters().acked == 2).await;
    session.next(1);
    assert!(service.flush(SECOND).await.unwrap().is_clean());
    let health = service.health().await;
    assert!(health.detail.contains("fast ingest"), "{health:?}");
}

#[tokio::test]
async fn a_poison_event_fails_alone_and_its_neighbours_go_in_a_new_batch_under_their_ids() {
    let (service, mut server, _clock) = started(assume()).await;
    for message in ["1", "poison", "3"] {
        log(&service, "a", message).await;
    }
    let mut session = server.session().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(session.message().await.message_id);
    }
    session.next(1);
    session.refuse(ErrorKind::TooLarge);
    let mut again = server.session().await;
    assert_ne!(batch_id(&again.way), batch_id(&session.way));
    let third = again.message().await;
    assert_eq!((text(&third), &third.message_id), ("3".to_owned(), &ids[2]));
    again.next(1);
    let report = service.flush(SECOND).await.unwrap();
    assert_eq!((report.failed, report.pending), (0, 0), "it had failed before");
    let counters = service.counters();
    assert_eq!((counters.acked, counters.failed, counters.unknown), (2, 1, 0));
}

#[tokio::test]
async fn a_full_stream_is_tried_with_one_event_at_most_twice_a_second() {
    let (service, mut server, clock) = started(assume()).await;
    for message in ["1", "2", "3"] {
        log(&service, "a", message).await;
    }
    for _ in 0..3 {
        let mut session = server.session().await;
        assert_eq!(text(&session.message().await), "1");
        session.refuse(ErrorKind::LimitReached);
        session.ended().await;
        eventually("it waits", || clock.next_deadline().is_some()).await;
        clock.advance(499 * MS);
        assert!(server.is_quiet());
        advance(&clock, 5 * SECOND).await;
    }
    let mut session = server.session().await;
    assert_eq!(text(&session.message().await), "1");
    assert!(session.is_quiet(), "the others wait for what becomes of it");
    session.next(1);
    for message in ["2", "3"] {
        assert_eq!(text(&session.message().await), message);
    }
    session.next(2);
    assert!(service.flush(SECOND).await.unwrap().is_clean());
    assert_eq!(service.counters().possible_duplicates, 0);
}

#[tokio::test]
async fn a_full_subject_is_tried_beside_the_line_and_holds_up_its_own_job_alone() {
    let (service, mut server, clock) = started(assume()).await;
    for (job, message) in [("full", "1"), ("a", "1"), ("full", "2"), ("a", "2")] {
        log(&service, job, message).await;
    }
    let full = || {
        let error = Error::new(ErrorKind::LimitReached, "publish", "full");
        error.with("limit", MESSAGES_PER_SUBJECT)
    };
    let mut batch = server.session().await;
    for expected in ["full", "a", "full", "a"] {
        assert_eq!(job(&batch.message().await), expected);
    }
    batch.answer(Err(full()));
    let mut batch = server.session().await;
    for message in ["1", "2"] {
        let sent = batch.message().await;
        assert_eq!((job(&sent), text(&sent)), ("a".to_owned(), message.to_owned()));
    }
    batch.next(2);
    eventually("the other job is stored", || service.counters().acked == 2).await;
    log(&service, "full", "3").await;
    log(&service, "b", "1").await;
    assert_eq!(job(&batch.message().await), "b", "what comes later passes it too");
    batch.next(1);
    for _ in 0..2 {
        // At most twice a second, and each time the same one.
        clock.advance(499 * MS);
        assert!(server.is_quiet());
        advance(&clock, 5 * SECOND).await;
        let mut beside = server.session().await;
        assert_eq!(text(&beside.message().await), "1");
        beside.answer(Err(full()));
        assert!(beside.is_quiet());
        drop(beside);
    }
    assert_eq!((service.counters().acked, service.counters().pending), (3, 3));
}

#[tokio::test]
async fn what_a_break_leaves_in_doubt_is_sent_again_in_order_under_its_ids() {
    let (service, mut server, clock) = started(assume()).await;
    for message in ["1", "2", "3"] {
        log(&service, "a", message).await;
    }
    let mut session = server.session().await;
    let mut sent = Vec::new();
    for _ in 0..3 {
        sent.push(session.message().await);
    }
    session.next(1);
    session.refuse(ErrorKind::OutcomeUnknown);
    session.ended().await;
    log(&service, "a", "4").await;
    advance(&clock, 100 * MS).await;
    let mut session = server.session().await;
    assert_eq!(session.message().await, sent[1]);
    session.next(1);
    assert_eq!(session.message().await, sent[2]);
    assert_eq!(text(&session.message().await), "4");
    session.next(2);
    assert!(service.flush(SECOND).await.unwrap().is_clean());
    assert_eq!((service.counters().acked, service.counters().possible_duplicates), (4, 0));
}

#[tokio::test]
async fn what_wants_a_receipt_goes_beside_the_batch_and_keeps_its_place_in_its_job() {
    let (service, mut server, _clock) = started(assume()).await;
    log(&service, "a", "1").await;
    let acked = spawn({
        let service = std::sync::Arc::clone(&service);
        async move { service.log_event_acked(Event::job_progress("a", "2")).await }
    });
    eventually("it is accepted", || service.counters().pending == 2).await;
    log(&service, "a", "3").await;
    log(&service, "b", "1").await;
    let mut batch = server.session().await;
    assert_eq!(text(&batch.message().await), "1");
    assert_eq!(job(&batch.message().await), "b");
    assert!(server.is_quiet(), "it waits for the earlier one of its job");
    batch.next(2);
    let mut beside = server.session().await;
    assert_eq!(beside.way, PublishWay::Pipeline);
    assert_eq!(text(&beside.message().await), "2");
    assert!(beside.is_quiet());
    beside.store();
    let receipt = within(acked).await.unwrap().unwrap();
    assert_eq!((receipt.sequence, receipt.position()), (Some(1), None));
    assert_eq!(text(&beside.message().await), "3");
    beside.store();
    assert!(service.flush(SECOND).await.unwrap().is_clean());
    log(&service, "a", "4").await;
    assert_eq!(text(&batch.message().await), "4", "nothing keeps it out of the batch any more");
}

#[tokio::test]
async fn a_stream_that_takes_no_batches_gets_its_events_one_by_one() {
    let (service, mut server, _clock) = started(assume()).await;
    log(&service, "a", "1").await;
    log(&service, "a", "2").await;
    let mut session = server.session().await;
    session.message().await;
    session.refuse(ErrorKind::Unsupported);
    let mut session = server.session().await;
    assert_eq!(session.way, PublishWay::Pipeline);
    for message in ["1", "2"] {
        assert_eq!(text(&session.message().await), message);
        assert!(session.is_quiet());
        session.store();
    }
    assert!(service.flush(SECOND).await.unwrap().is_clean());
    assert_eq!(service.counters().failed, 0);
}

#[tokio::test]
async fn where_no_batch_is_left_events_go_one_by_one_for_a_while() {
    let (service, mut server, clock) = started(assume()).await;
    log(&service, "a", "1").await;
    log(&service, "a", "2").await;
    let mut batch = server.session().await;
    batch.message().await;
    let error = Error::new(ErrorKind::LimitReached, "publish_many", "too many");
    batch.answer(Err(error.with("limit", FAST_BATCHES)));
    let mut session = server.session().await;
    assert_eq!(session.way, PublishWay::Pipeline);
    for message in ["1", "2"] {
        assert_eq!(text(&session.message().await), message);
        session.store();
    }
    log(&service, "a", "3").await;
    assert_eq!(text(&session.message().await), "3");
    advance(&clock, 10 * SECOND).await;
    log(&service, "a", "4").await;
    assert!(session.is_quiet(), "it is over when what was sent is stored");
    session.store();
    let mut rest = server.session().await;
    assert_eq!(rest.way, PublishWay::Pipeline, "it stood in its queue already");
    assert_eq!(text(&rest.message().await), "4");
    log(&service, "b", "5").await;
    let mut batch = server.session().await;
    assert_ne!(batch.way, PublishWay::Pipeline);
    assert_eq!(text(&batch.message().await), "5");
    rest.store();
    batch.next(1);
    assert!(service.flush(SECOND).await.unwrap().is_clean());
    assert_eq!((service.counters().acked, service.counters().failed), (5, 0));
}

#[tokio::test]
async fn an_idle_batch_ends_and_the_next_event_begins_another_one() {
    let (service, mut server, clock) = started(assume()).await;
    log(&service, "a", "1").await;
    let mut session = server.session().await;
    session.message().await;
    session.next(1);
    assert!(service.flush(SECOND).await.unwrap().is_clean());
    assert!(session.is_quiet());
    advance(&clock, MS).await;
    assert!(session.is_quiet());
    advance(&clock, 2 * SECOND).await;
    session.ended().await;
    session.over();
    log(&service, "a", "2").await;
    let mut session = server.session().await;
    assert_eq!(text(&session.message().await), "2");
    session.next(1);
    assert!(service.stop(SECOND).await.unwrap().is_clean());
}

#[tokio::test]
async fn at_least_once_sends_no_ids_and_counts_what_may_be_there_twice() {
    let config = assume().with_guarantee(Guarantee::AtLeastOnce);
    let (service, mut server, clock) = started(config).await;
    log(&service, "a", "1").await;
    log(&service, "a", "2").await;
    let mut session = server.session().await;
    for _ in 0..2 {
        assert_eq!(session.message().await.message_id, None);
    }
    session.refuse(ErrorKind::OutcomeUnknown);
    session.ended().await;
    advance(&clock, 100 * MS).await;
    let mut session = server.session().await;
    for message in ["1", "2"] {
        let sent = session.message().await;
        assert_eq!((text(&sent).as_str(), sent.message_id), (message, None));
        session.next(1);
    }
    assert!(service.flush(SECOND).await.unwrap().is_clean());
    assert_eq!(service.counters().possible_duplicates, 2);
}
