//! The guarantee `read_back`: what a broken batch left in doubt is settled without ids.

use std::sync::{Arc, Mutex};

use futures::StreamExt;
use naq_core::config::Guarantee;
use naq_core::jetstream::{
    Delivery, Headers, MockJetStream, PublishMessage, PublishWay, StoredMessage, StreamConfig,
    StreamInfo, StreamState,
};
use naq_core::{Error, Timestamp};

use super::support::{MS, SECOND, Server, advance, assume, new_server, service, within};
use naq_core::clock::ManualClock;
use naq_events::prelude::*;

/// What the server answers beside the batches.
#[derive(Default)]
struct Stream {
    /// What it answers to the closing of a batch.
    closed: Option<u64>,
    /// The batches that were closed, with the number beyond.
    fenced: Vec<(String, u64)>,
    /// What is in it behind its last sequence at the beginning.
    stored: Vec<PublishMessage>,
    /// From where it was read.
    read_from: Vec<String>,
}

async fn started(
    stream: &Arc<Mutex<Stream>>,
    readable: bool,
) -> (Arc<EventService>, Server, ManualClock) {
    let mut jetstream = MockJetStream::new();
    new_server(&mut jetstream);
    jetstream.expect_stream_info().returning(|_| {
        let config = StreamConfig::new("events", ["events.>"]).with_allow_batched_publish(true);
        let mut state = StreamState::default();
        state.last_sequence = 70;
        Ok(StreamInfo::new(config, state, Timestamp::from_nanos(9)))
    });
    let shared = Arc::clone(stream);
    jetstream.expect_read().returning(move |_, options| {
        let mut stream = shared.lock().unwrap();
        stream.read_from.push(format!("{:?}", options.start));
        if !readable {
            let refused = Error::new(ErrorKind::PermissionDenied, "read", "not allowed");
            return futures::stream::iter([Err(refused)]).boxed();
        }
        let stored: Vec<_> = (71..)
            .zip(&stream.stored)
            .map(|(sequence, message)| StoredMessage {
                subject: message.subject.to_string(),
                sequence,
                stored_at: Timestamp::from_nanos(10),
                headers: Headers::new(),
                payload: message.payload.clone(),
            })
            .map(|message| Ok(Delivery::Message(message)))
            .chain([Ok(Delivery::CaughtUp { sequence: 72 })])
            .collect();
        futures::stream::iter(stored).boxed()
    });
    let shared = Arc::clone(stream);
    jetstream.expect_close_fast_batch().returning(move |_, batch, beyond| {
        let mut stream = shared.lock().unwrap();
        stream.fenced.push((batch.to_owned(), beyond));
        Ok(stream.closed)
    });
    let (server, jetstream) = Server::on(jetstream);
    let clock = ManualClock::new();
    let config = assume().with_guarantee(Guarantee::ReadBack);
    let service = service(jetstream, &clock, config);
    service.start().await.unwrap();
    (service, server, clock)
}

/// Logs three events of a job, of which the first is acknowledged, and breaks
/// the batch. Answers the messages and the batch's id.
async fn broken(
    service: &EventService,
    server: &mut Server,
    clock: &ManualClock,
) -> (Vec<PublishMessage>, String) {
    for message in ["1", "2", "3"] {
        service.log_job_progress("a", message).await.unwrap();
    }
    let mut session = server.session().await;
    let PublishWay::FastBatch { id, confirm_start: true } = session.way.clone() else {
        panic!("{:?}", session.way);
    };
    let mut messages = Vec::new();
    for _ in 0..3 {
        messages.push(session.message().await);
    }
    session.next(1);
    session.refuse(ErrorKind::OutcomeUnknown);
    session.ended().await;
    advance(clock, 100 * MS).await;
    (messages, id)
}

#[tokio::test]
async fn a_fence_tells_what_of_a_broken_batch_is_stored() {
    let stream = Arc::new(Mutex::new(Stream { closed: Some(2), ..Stream::default() }));
    let (service, mut server, clock) = started(&stream, true).await;
    let (messages, batch) = broken(&service, &mut server, &clock).await;
    assert!(messages.iter().all(|message| message.message_id.is_some()), "for those that begin");
    let mut session = server.session().await;
    let again = session.message().await;
    assert_eq!(again.payload, messages[2].payload);
    session.next(1);
    assert!(within(service.flush(SECOND)).await.unwrap().is_clean());
    assert_eq!(stream.lock().unwrap().fenced, [(batch, 4)]);
    let counters = service.counters();
    assert_eq!((counters.acked, counters.possible_duplicates), (3, 0));
    assert!(counters.is_balanced());
}

#[tokio::test]
async fn where_the_server_forgot_the_batch_the_stream_is_read() {
    let stream = Arc::new(Mutex::new(Stream::default()));
    let (service, mut server, clock) = started(&stream, true).await;
    for message in ["1", "2", "3"] {
        service.log_job_progress("a", message).await.unwrap();
    }
    let mut session = server.session().await;
    let mut messages = Vec::new();
    for _ in 0..3 {
        messages.push(session.message().await);
    }
    stream.lock().unwrap().stored = messages[..2].to_vec();
    session.refuse(ErrorKind::OutcomeUnknown);
    session.ended().await;
    advance(&clock, 100 * MS).await;
    let mut session = server.session().await;
    assert_eq!(session.message().await.payload, messages[2].payload);
    session.next(1);
    assert!(within(service.flush(SECOND)).await.unwrap().is_clean());
    assert_eq!(stream.lock().unwrap().read_from, ["Sequence(70)", "Sequence(71)"]);
    assert_eq!((service.counters().acked, service.counters().possible_duplicates), (3, 0));
}

#[tokio::test]
async fn without_the_right_to_read_each_event_has_its_id() {
    let stream = Arc::new(Mutex::new(Stream::default()));
    let (service, mut server, clock) = started(&stream, false).await;
    service.log_job_progress("a", "1").await.unwrap();
    service.log_job_progress("a", "2").await.unwrap();
    let mut session = server.session().await;
    assert!(matches!(session.way, PublishWay::FastBatch { confirm_start: false, .. }));
    for _ in 0..2 {
        assert!(session.message().await.message_id.is_some());
    }
    session.refuse(ErrorKind::OutcomeUnknown);
    session.ended().await;
    advance(&clock, 100 * MS).await;
    let mut session = server.session().await;
    session.message().await;
    session.next(1);
    assert!(stream.lock().unwrap().fenced.is_empty(), "ids tell");
}
