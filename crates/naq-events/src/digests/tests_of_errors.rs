//! Errors of a log that has far more of them behind it than are told apart.

use std::sync::Arc;

use naq_core::Timestamp;
use naq_core::clock::ManualClock;
use naq_core::config::EventsConfig;
use naq_core::connection::{ConnectionProvider, SingleJetStream};
use naq_core::events::{
    Event, EventSubjects, Position, RecordedEvent, ScanLimits, TopErrors, TopErrorsRequest,
};
use naq_core::jetstream::{JetStream, PublishMessage};
use naq_kv::KvStoreService;
use naq_memory::MemoryJetStream;

use super::digest::{BLOCK, Digest, block_start};
use super::draft::{Draft, MOST_ERRORS};
use super::encode::encode;
use super::kept::Digests;
use crate::answer::Sources;
use crate::read::{Limits, Log};
use crate::{EventService, top_errors};

/// So many blocks have more errors than are told apart.
const BLOCKS: u64 = 16;
const MINUTE: i64 = 60_000_000_000;

/// A word without a number.
fn word(number: usize) -> String {
    number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'k')).collect()
}

/// A failure in some minute, at some place of a block.
fn failure(created: Timestamp, sequence: u64, minute: i64, error: &str) -> RecordedEvent {
    let at = Timestamp::from_nanos(minute * MINUTE);
    let event = Event::job_failed(format!("j-{sequence}"), error, 1.0).with_timestamp(at);
    let payload = serde_json::to_vec(&event).unwrap();
    let position = Position::new(created, sequence);
    RecordedEvent::decode(position, at, "events.x".to_owned(), payload.into()).unwrap()
}

/// A block each of whose errors occurs once, and none of them in another
/// block; in the last one the first of all is back, and there is a new one.
fn digest(created: Timestamp, block: u64) -> Digest {
    let mut draft = Draft::new(created, block);
    let start = block_start(block);
    let mut errors = Vec::new();
    if block + 1 < BLOCKS {
        let first = block as usize * MOST_ERRORS;
        errors.extend((first..first + MOST_ERRORS).map(word));
    } else {
        errors.extend((0..5).map(|_| word(0)));
        errors.extend((0..9).map(|_| "disk is full".to_owned()));
    }
    for (sequence, error) in (start..).zip(errors) {
        draft.observe(&failure(created, sequence, block.cast_signed(), &error));
    }
    draft.reach(start + BLOCK - 1);
    // As if the others were no errors.
    Digest { seen: BLOCK, ..draft.seal().0 }
}

#[tokio::test]
async fn what_is_new_is_found_in_blocks_one_by_one_and_put_together() {
    let config = EventsConfig::default();
    let js = Arc::new(MemoryJetStream::new());
    let stream = EventService::stream_config(&config).unwrap();
    let stream = stream.with_first_sequence(block_start(BLOCKS));
    let created = js.create_stream(stream).await.unwrap().created;
    let connections = || -> Arc<dyn ConnectionProvider> {
        SingleJetStream::provider(Arc::clone(&js) as Arc<dyn JetStream>)
    };
    let asked_nothing =
        || Digests::new(Arc::new(KvStoreService::new(connections())), &config.stream_name);
    let first = asked_nothing();
    for block in 0..BLOCKS {
        let digest = digest(created, block);
        assert_eq!(digest.unlisted_errors, 0);
        first.store().save(&digest, encode(&digest), ((0, 0), (0, 0)), 1).await.unwrap();
    }
    // The open block has an event, so that all others are whole.
    let subject = format!("{}.log", config.subject_root);
    js.publish(PublishMessage::new(subject, r#"{"type":"log"}"#)).await.unwrap();
    let clock = Arc::new(ManualClock::starting_at(Timestamp::from_nanos(100 * MINUTE)));
    let (subjects, limits) = (EventSubjects::default(), Limits::of(&config));
    let log = Log::new(connections(), clock, &config.stream_name, subjects, limits);
    let ask = async |digests: &Digests, request: TopErrorsRequest| -> TopErrors {
        let from = Sources { log: &log, digests: Some(digests), indexes: None };
        let meter = log.meter("ask", ScanLimits::default());
        let mut answer = top_errors::top_errors(from, &meter, request).await.unwrap();
        // What was read once is counted on from.
        answer.basis.from_digests += std::mem::take(&mut answer.basis.read);
        answer
    };
    let asked_before = asked_nothing();
    let last = Timestamp::from_nanos((BLOCKS.cast_signed() - 1) * MINUTE);
    for _ in 0..3 {
        let range = TopErrorsRequest::default().with_range(Some(last), None);
        let expected = ask(&asked_nothing(), range.clone()).await;
        let found: Vec<_> = expected
            .errors
            .iter()
            .map(|error| (error.fingerprint.as_str(), error.count, error.first_seen))
            .collect();
        let since = Timestamp::from_nanos(0);
        assert_eq!(found, [("disk is full", 9, last), (&*word(0), 5, since)]);
        assert_eq!((expected.different, expected.total, expected.unlisted), (2, 14, 0));
        assert_eq!(ask(&asked_before, range).await, expected);

        // Of all that occurred, those that did most.
        let all = TopErrorsRequest::default();
        let expected = ask(&asked_nothing(), all.clone()).await;
        assert_eq!((expected.errors[0].count, expected.errors[1].count), (9, 6));
        let occurred = 14 + (BLOCKS - 1) * MOST_ERRORS as u64;
        assert_eq!(expected.total + expected.unlisted, occurred);
        assert!(expected.unlisted > 0 && expected.different == TopErrors::MAX_GROUPS as u64);
        assert_eq!(ask(&asked_before, all).await, expected);
    }
    assert!(asked_before.kept(created).levels() > 3, "blocks were put together");
}
