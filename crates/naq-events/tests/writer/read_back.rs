//! The guarantee `read_back`: what a broken batch left in doubt is settled without ids.

use std::sync::{Arc, Mutex};

use futures::{FutureExt, StreamExt};
use naq_core::config::Guarantee;
use naq_core::connection::SingleJetStream;
use naq_core::jetstream::{
    Delivery, Headers, MockJetStream, PublishMessage, PublishWay, StoredMessage, StreamConfig,
    StreamInfo, StreamState,
};
use naq_core::streams::{EnsureOutcome, EnsuredStream, MockStreamManager};
use naq_core::{Error, Timestamp};

use super::support::{
    MS, SECOND, Server, Session, advance, assume, new_server, pass, service, spawn, within,
};
use naq_core::clock::ManualClock;
use naq_events::prelude::*;

/// What the server answers beside the batches.
#[derive(Default)]
struct Stream {
    /// What it answers to the closing of a batch.
    closed: Option<u64>,
    /// Why it refuses to close one.
    not_closed: Option<ErrorKind>,
    /// Why it says nothing about itself.
    unseen: Option<ErrorKind>,
    /// Why it can't be read.
    unread: Option<ErrorKind>,
    /// The batches that were closed, with the number beyond.
    fenced: Vec<(String, u64)>,
    /// What is in it behind its last sequence at the beginning.
    stored: Vec<PublishMessage>,
    /// From where it was read.
    read_from: Vec<String>,
}

/// The answer of a server that refuses.
fn refused<T>(operation: &'static str, kind: ErrorKind) -> Result<T, Error> {
    Err(Error::new(kind, operation, "as the test wants it"))
}

/// The server of such a stream.
fn server_of(stream: &Arc<Mutex<Stream>>) -> (Server, MockJetStream) {
    let mut jetstream = MockJetStream::new();
    new_server(&mut jetstream);
    let shared = Arc::clone(stream);
    jetstream.expect_stream_info().returning(move |_| {
        if let Some(kind) = shared.lock().unwrap().unseen {
            return refused("stream_info", kind);
        }
        let config = StreamConfig::new("events", ["events.>"]).with_allow_batched_publish(true);
        let mut state = StreamState::default();
        state.last_sequence = 70;
        Ok(StreamInfo::new(config, state, Timestamp::from_nanos(9)))
    });
    let shared = Arc::clone(stream);
    jetstream.expect_read().returning(move |_, options| {
        let mut stream = shared.lock().unwrap();
        stream.read_from.push(format!("{:?}", options.start));
        if let Some(kind) = stream.unread {
            return futures::stream::iter([refused("read", kind)]).boxed();
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
        match stream.not_closed {
            Some(kind) => refused("close_fast_batch", kind),
            None => Ok(stream.closed),
        }
    });
    Server::on(jetstream)
}

async fn started(stream: &Arc<Mutex<Stream>>) -> (Arc<EventService>, Server, ManualClock) {
    let (server, jetstream) = server_of(stream);
    let clock = ManualClock::new();
    let config = assume().with_guarantee(Guarantee::ReadBack);
    let service = service(jetstream, &clock, config);
    service.start().await.unwrap();
    (service, server, clock)
}

/// A batch under way, its messages and its id.
type Begun = (Session, Vec<PublishMessage>, String);

/// Logs three events of a job, which are sent in a batch.
async fn begun(service: &EventService, server: &mut Server) -> Begun {
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
    (session, messages, id)
}

/// Acknowledges the first of a batch's events and breaks the batch. Answers
/// the messages and the batch's id.
async fn broken(begun: Begun, clock: &ManualClock) -> (Vec<PublishMessage>, String) {
    let (mut session, messages, id) = begun;
    session.next(1);
    session.refuse(ErrorKind::OutcomeUnknown);
    session.ended().await;
    advance(clock, 100 * MS).await;
    (messages, id)
}

#[tokio::test]
async fn a_fence_tells_what_of_a_broken_batch_is_stored() {
    let stream = Arc::new(Mutex::new(Stream { closed: Some(2), ..Stream::default() }));
    let (service, mut server, clock) = started(&stream).await;
    let begun = begun(&service, &mut server).await;
    let (messages, batch) = broken(begun, &clock).await;
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
async fn the_fence_is_that_of_the_batch_whatever_else_is_under_way() {
    let stream = Arc::new(Mutex::new(Stream { closed: Some(1), ..Stream::default() }));
    let (service, mut server, clock) = started(&stream).await;
    service.log_job_progress("a", "1").await.unwrap();
    service.log_job_progress("a", "2").await.unwrap();
    let mut batch = server.session().await;
    let PublishWay::FastBatch { id, .. } = batch.way.clone() else { panic!("{:?}", batch.way) };
    batch.message().await;
    batch.message().await;
    let logging = Arc::clone(&service);
    let acked = spawn(async move { logging.log_event_acked("of no job").await });
    let mut pipeline = server.session().await;
    assert_eq!(pipeline.way, PublishWay::Pipeline);
    pipeline.message().await;
    pipeline.store();
    within(acked).await.unwrap().unwrap();
    batch.refuse(ErrorKind::OutcomeUnknown);
    batch.ended().await;
    advance(&clock, 100 * MS).await;
    let mut session = server.session().await;
    session.message().await;
    session.next(1);
    assert!(within(service.flush(SECOND)).await.unwrap().is_clean());
    assert_eq!(stream.lock().unwrap().fenced, [(id, 3)]);
    assert_eq!((service.counters().acked, service.counters().possible_duplicates), (3, 0));
}

#[tokio::test]
async fn where_the_server_forgot_the_batch_the_stream_is_read() {
    let stream = Arc::new(Mutex::new(Stream::default()));
    let (service, mut server, clock) = started(&stream).await;
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
    let unread = Some(ErrorKind::PermissionDenied);
    let stream = Arc::new(Mutex::new(Stream { unread, ..Stream::default() }));
    let (service, mut server, clock) = started(&stream).await;
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

#[tokio::test]
async fn where_neither_fence_nor_reading_is_allowed_any_more_what_is_in_doubt_is_sent_again() {
    for (not_closed, unread) in [
        (Some(ErrorKind::PermissionDenied), None),
        (None, Some(ErrorKind::PermissionDenied)),
        (None, Some(ErrorKind::LimitReached)),
    ] {
        let stream = Arc::new(Mutex::new(Stream::default()));
        let (service, mut server, clock) = started(&stream).await;
        let begun = begun(&service, &mut server).await;
        {
            let mut stream = stream.lock().unwrap();
            (stream.not_closed, stream.unread) = (not_closed, unread);
        }
        let (messages, _) = broken(begun, &clock).await;
        let mut session = server.session().await;
        for message in &messages[1..] {
            assert_eq!(session.message().await.payload, message.payload);
            session.next(1);
        }
        assert!(within(service.flush(SECOND)).await.unwrap().is_clean());
        let counters = service.counters();
        // Most of a batch has no ids, so nobody recognises a repeat.
        assert_eq!((counters.acked, counters.possible_duplicates), (3, 2), "{not_closed:?}");
        assert!(counters.is_balanced());
    }
}

#[tokio::test]
async fn what_was_read_counts_even_where_the_fence_is_refused() {
    let stream = Arc::new(Mutex::new(Stream::default()));
    let (service, mut server, clock) = started(&stream).await;
    let begun = begun(&service, &mut server).await;
    {
        let mut stream = stream.lock().unwrap();
        stream.not_closed = Some(ErrorKind::PermissionDenied);
        stream.stored = begun.1[..2].to_vec();
    }
    let (messages, _) = broken(begun, &clock).await;
    let mut session = server.session().await;
    assert_eq!(session.message().await.payload, messages[2].payload);
    session.next(1);
    assert!(within(service.flush(SECOND)).await.unwrap().is_clean());
    let counters = service.counters();
    assert_eq!((counters.acked, counters.possible_duplicates), (3, 1), "it may come late");
}

#[tokio::test]
async fn a_fence_that_is_never_answered_holds_up_nothing_but_what_is_in_doubt() {
    let not_closed = Some(ErrorKind::OutcomeUnknown);
    let stream = Arc::new(Mutex::new(Stream { not_closed, ..Stream::default() }));
    let (service, mut server, clock) = started(&stream).await;
    let begun = begun(&service, &mut server).await;
    broken(begun, &clock).await;
    let expired = |service: &EventService| service.counters().unknown == 2;
    while !expired(&service) {
        assert!(server.is_quiet(), "it is not known yet what to send again");
        pass(&clock, SECOND).await;
    }
    service.log_job_progress("b", "later").await.unwrap();
    let mut sessions = Vec::new();
    for _ in 0..200 {
        pass(&clock, 50 * MS).await;
        sessions.extend(server.session().now_or_never());
        for session in &mut sessions {
            while !session.is_over_or_quiet().await {
                session.message().await;
                session.next(1);
            }
        }
    }
    let counters = service.counters();
    assert_eq!((counters.acked, counters.unknown, counters.pending), (2, 2, 0));
}

#[tokio::test]
async fn where_nobody_tells_about_the_stream_events_go_with_their_ids() {
    for unseen in [
        ErrorKind::Timeout,
        ErrorKind::Unavailable,
        ErrorKind::NotFound,
        ErrorKind::Unsupported,
        ErrorKind::PermissionDenied,
    ] {
        let stream = Arc::new(Mutex::new(Stream { unseen: Some(unseen), ..Stream::default() }));
        let (service, mut server, _clock) = started(&stream).await;
        service.log_job_progress("a", "1").await.unwrap();
        service.log_job_progress("a", "2").await.unwrap();
        let mut session = server.session().await;
        assert!(matches!(session.way, PublishWay::FastBatch { confirm_start: false, .. }));
        for _ in 0..2 {
            assert!(session.message().await.message_id.is_some(), "{unseen}");
        }
        session.next(2);
        assert!(within(service.flush(SECOND)).await.unwrap().is_clean(), "{unseen}");
    }
}

/// A service that saw to its stream when it started.
async fn started_ensured(stream: &Arc<Mutex<Stream>>) -> (Arc<EventService>, Server, ManualClock) {
    let (server, jetstream) = server_of(stream);
    let mut streams = MockStreamManager::new();
    streams.expect_ensure_stream().returning(|request| {
        let config = request.config.with_allow_batched_publish(true);
        let info = StreamInfo::new(config, StreamState::default(), Timestamp::from_nanos(9));
        Ok(EnsuredStream { info, outcome: EnsureOutcome::Created })
    });
    let clock = ManualClock::new();
    let config = EventsConfig::default().with_guarantee(Guarantee::ReadBack);
    let connections = SingleJetStream::provider(Arc::new(jetstream));
    let service =
        EventService::new(connections, Arc::new(streams), Arc::new(clock.clone()), config).unwrap();
    service.start().await.unwrap();
    (Arc::new(service), server, clock)
}

#[tokio::test]
async fn who_was_told_about_the_stream_once_takes_silence_for_an_outage_and_no_refusal() {
    for (unseen, at_the_start) in [
        (ErrorKind::Timeout, true),
        (ErrorKind::Timeout, false),
        (ErrorKind::Unavailable, true),
        (ErrorKind::Unavailable, false),
    ] {
        let stream = Arc::new(Mutex::new(Stream { closed: Some(1), ..Stream::default() }));
        let (service, mut server, clock) = match at_the_start {
            true => started_ensured(&stream).await,
            false => {
                let (service, mut server, clock) = started(&stream).await;
                let begun = begun(&service, &mut server).await;
                stream.lock().unwrap().unseen = Some(unseen);
                broken(begun, &clock).await;
                (service, server, clock)
            }
        };
        stream.lock().unwrap().unseen = Some(unseen);
        service.log_job_progress("a", "4").await.unwrap();
        for _ in 0..20 {
            pass(&clock, 100 * MS).await;
            assert!(server.is_quiet(), "the server is away, and nothing is sent: {unseen}");
        }
        stream.lock().unwrap().unseen = None;
        let session = async {
            loop {
                pass(&clock, 100 * MS).await;
                if let Some(session) = server.session().now_or_never() {
                    return session;
                }
            }
        };
        let session = within(session).await;
        let is_read_back = matches!(session.way, PublishWay::FastBatch { confirm_start: true, .. });
        assert!(is_read_back, "{unseen}, {at_the_start}: {:?}", session.way);
    }
}

#[tokio::test]
async fn a_receipt_s_event_has_its_id_and_its_repeat_is_no_possible_duplicate() {
    let stream = Arc::new(Mutex::new(Stream::default()));
    let (service, mut server, clock) = started(&stream).await;
    let logging = Arc::clone(&service);
    let acked = spawn(async move { logging.log_event_acked(Event::job_progress("a", "1")).await });
    let mut session = server.session().await;
    let first = session.message().await;
    session.refuse(ErrorKind::OutcomeUnknown);
    session.ended().await;
    advance(&clock, 100 * MS).await;
    let mut session = server.session().await;
    let again = session.message().await;
    assert!(first.message_id.is_some() && again.message_id == first.message_id);
    session.store();
    within(acked).await.unwrap().unwrap();
    assert_eq!(service.counters().possible_duplicates, 0);
}
