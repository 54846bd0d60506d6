//! One key: which calls are made, in which order, and what a failure comes to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use mockall::Sequence;
use naq_core::clock::ManualClock;
use naq_core::config::KvStoresConfig;
use naq_core::connection::SingleJetStream;
use naq_core::jetstream::{
    Delivery, Headers, MessageTtl, MockJetStream, PublishAck, PublishMessage, ReadStart,
    StoredMessage, Which,
};
use naq_core::{Error, ErrorKind, Timestamp};
use naq_kv::prelude::*;

/// A bucket `jobs` on a mock.
pub(crate) fn bucket(mock: MockJetStream) -> Arc<dyn KvBucket> {
    let config = KvStoresConfig::default()
        .with_update_attempts(3_u32)
        .with_update_backoff_max(Duration::ZERO);
    KvStoreService::new(SingleJetStream::provider(Arc::new(mock)))
        .with_config(config)
        .with_clock(Arc::new(ManualClock::new()))
        .bucket("jobs")
        .unwrap()
}

pub(crate) fn ack(sequence: u64) -> PublishAck {
    PublishAck { stream: "KV_jobs".into(), sequence, duplicate: false }
}

pub(crate) fn error(kind: ErrorKind) -> Error {
    Error::new(kind, "mock", "as told")
}

/// What a JetStream answers for a message that isn't there.
pub(crate) fn no_message() -> Error {
    error(ErrorKind::NotFound).with("error_code", "10037")
}

pub(crate) fn stored(key: &str, sequence: u64, headers: Headers) -> StoredMessage {
    StoredMessage {
        subject: format!("$KV.jobs.{key}"),
        sequence,
        stored_at: Timestamp::default(),
        headers,
        payload: Bytes::from_static(b"stored"),
    }
}

pub(crate) fn marker() -> Headers {
    Headers::new().with("KV-Operation", "DEL")
}

/// Remembers the messages that are published, so that a later read can show one of them.
pub(crate) type Sent = Arc<Mutex<Vec<PublishMessage>>>;

fn id_of(sent: &Sent) -> String {
    sent.lock().unwrap().last().unwrap().message_id.clone().unwrap()
}

#[tokio::test]
async fn a_put_is_one_publish_without_condition_or_id() {
    let mut mock = MockJetStream::new();
    mock.expect_publish()
        .withf(|message| *message == PublishMessage::new("$KV.jobs.a.b", "1"))
        .times(1)
        .returning(|_| Ok(ack(7)));
    assert_eq!(bucket(mock).put("a.b", "1").await.unwrap(), 7);
}

#[tokio::test]
async fn a_purge_rolls_the_key_up_and_a_delete_does_not() {
    let mut mock = MockJetStream::new();
    let mut order = Sequence::new();
    let purge = Headers::new().with("KV-Operation", "PURGE").with("Nats-Rollup", "sub");
    for headers in [marker(), purge] {
        mock.expect_publish()
            .withf(move |message| message.headers == headers && message.payload.is_empty())
            .times(1)
            .in_sequence(&mut order)
            .returning(|_| Ok(ack(1)));
    }
    let bucket = bucket(mock);
    bucket.delete("a").await.unwrap();
    bucket.purge("a").await.unwrap();
}

#[tokio::test]
async fn a_ttl_is_whole_seconds_and_a_marker_ttl_goes_with_a_purge() {
    let mut mock = MockJetStream::new();
    mock.expect_publish()
        .withf(|message| message.ttl == Some(MessageTtl::After(Duration::from_secs(5))))
        .times(2)
        .returning(|_| Ok(ack(1)));
    let bucket = bucket(mock);
    let ttl = Duration::from_secs(5);
    bucket.put_opts("a", "1".into(), PutOptions::default().with_ttl(ttl)).await.unwrap();
    bucket.remove("a", RemoveOptions::purge().with_marker_ttl(ttl)).await.unwrap();

    let half = PutOptions::default().with_ttl(Duration::from_millis(500));
    let refused = bucket.put_opts("a", "1".into(), half).await.unwrap_err();
    assert_eq!(refused.get("field"), Some("ttl"));
    let delete = RemoveOptions::default().with_marker_ttl(ttl);
    let refused = bucket.remove("a", delete).await.unwrap_err();
    assert_eq!(refused.get("field"), Some("marker_ttl"));
}

#[tokio::test]
async fn a_key_outside_the_rules_sends_nothing() {
    let bucket = bucket(MockJetStream::new());
    for key in ["", "a b", "*", ">", "a..b", ".a", "ä"] {
        let refused = bucket.put(key, "1").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{key:?}");
        assert_eq!(bucket.get(key).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
        assert_eq!(bucket.delete(key).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
        assert_eq!(bucket.history(key).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}

#[tokio::test]
async fn a_missing_message_is_no_value_and_a_missing_bucket_an_error() {
    let (mut mock, mut order) = (MockJetStream::new(), Sequence::new());
    for answer in [no_message(), error(ErrorKind::NotFound).with("error_code", "10059")] {
        mock.expect_get_message()
            .times(1)
            .in_sequence(&mut order)
            .return_once(move |_, _| Err(answer));
    }
    let bucket = bucket(mock);
    assert_eq!(bucket.get("a").await.unwrap(), None);
    let missing = bucket.get("a").await.unwrap_err();
    assert_eq!((missing.kind(), missing.get("bucket")), (ErrorKind::NotFound, Some("jobs")));
    assert!(missing.hint().is_some());
}

#[tokio::test]
async fn a_revision_of_another_key_is_not_this_ones() {
    let mut mock = MockJetStream::new();
    mock.expect_get_message()
        .withf(|stream, request| stream == "KV_jobs" && request.which == Which::Sequence(4))
        .times(2)
        .returning(|_, _| Ok(stored("b", 4, Headers::new())));
    let bucket = bucket(mock);
    assert_eq!(bucket.get_revision("a", 4).await.unwrap(), None);
    assert_eq!(bucket.get_revision("b", 4).await.unwrap().unwrap().revision, 4);
    let refused = bucket.get_revision("b", 0).await.unwrap_err();
    assert_eq!(refused.get("field"), Some("revision"));
}

#[tokio::test]
async fn a_create_over_a_marker_expects_the_markers_revision() {
    let (mut mock, mut order) = (MockJetStream::new(), Sequence::new());
    let expects = |revision| {
        move |message: &PublishMessage| {
            message.expected.last_subject_sequence == Some(revision) && message.message_id.is_some()
        }
    };
    mock.expect_publish()
        .withf(expects(0))
        .times(1)
        .in_sequence(&mut order)
        .returning(|_| Err(error(ErrorKind::Conflict)));
    mock.expect_get_message()
        .times(1)
        .in_sequence(&mut order)
        .returning(|_, _| Ok(stored("a", 9, marker())));
    mock.expect_publish()
        .withf(expects(9))
        .times(1)
        .in_sequence(&mut order)
        .returning(|_| Ok(ack(10)));
    assert_eq!(bucket(mock).create("a", "1").await.unwrap(), 10);
}

#[tokio::test]
async fn a_create_over_a_value_already_exists() {
    let mut mock = MockJetStream::new();
    mock.expect_publish().times(1).returning(|_| Err(error(ErrorKind::Conflict)));
    mock.expect_get_message().times(1).returning(|_, _| Ok(stored("a", 9, Headers::new())));
    let refused = bucket(mock).create("a", "1").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    assert_eq!(refused.get("found"), Some("9"));
}

#[tokio::test]
async fn a_create_that_others_keep_crossing_ends() {
    let mut mock = MockJetStream::new();
    mock.expect_publish().returning(|_| Err(error(ErrorKind::Conflict)));
    mock.expect_get_message().returning(|_, _| Ok(stored("a", 9, marker())));
    let refused = bucket(mock).create("a", "1").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_lost_race_tells_both_revisions() {
    let mut mock = MockJetStream::new();
    mock.expect_publish().times(1).returning(|_| Err(error(ErrorKind::Conflict)));
    mock.expect_get_message().times(1).returning(|_, _| Ok(stored("a", 9, Headers::new())));
    let refused = bucket(mock).update("a", "1", 4).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!((refused.get("expected"), refused.get("found")), (Some("4"), Some("9")));
}

/// A mock whose publish fails while the message it was given shows up as the last one.
fn stored_though(kind: ErrorKind) -> MockJetStream {
    let sent = Sent::default();
    let mut mock = MockJetStream::new();
    let keep = Arc::clone(&sent);
    mock.expect_publish().times(1).returning(move |message| {
        keep.lock().unwrap().push(message);
        Err(error(kind))
    });
    mock.expect_get_message().times(1).returning(move |_, _| {
        Ok(stored("a", 12, Headers::new().with("Nats-Msg-Id", id_of(&sent))))
    });
    mock
}

#[tokio::test]
async fn an_ack_that_never_comes_is_looked_up_where_a_condition_was_set() {
    let mock = stored_though(ErrorKind::OutcomeUnknown);
    assert_eq!(bucket(mock).update("a", "1", 4).await.unwrap(), 12);
    let mock = stored_though(ErrorKind::OutcomeUnknown);
    let expected = RemoveOptions::default().with_expected(4);
    assert_eq!(bucket(mock).remove("a", expected).await.unwrap(), 12);
}

#[tokio::test]
async fn a_conflict_with_ones_own_message_is_a_success() {
    let mock = stored_though(ErrorKind::Conflict);
    assert_eq!(bucket(mock).update("a", "1", 4).await.unwrap(), 12);
    let mock = stored_though(ErrorKind::Conflict);
    assert_eq!(bucket(mock).create("a", "1").await.unwrap(), 12);
}

#[tokio::test]
async fn an_ack_that_never_comes_stays_unknown_where_nobody_can_tell() {
    // Somebody else's message is the last one: ours may lie below it.
    let mut mock = MockJetStream::new();
    mock.expect_publish().times(1).returning(|_| Err(error(ErrorKind::OutcomeUnknown)));
    mock.expect_get_message().times(1).returning(|_, _| Ok(stored("a", 9, Headers::new())));
    let unknown = bucket(mock).update("a", "1", 4).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::OutcomeUnknown);
    assert!(unknown.hint().is_some());

    // Without a condition there is nothing to know a message by: it isn't looked for.
    let mut mock = MockJetStream::new();
    mock.expect_publish().times(1).returning(|_| Err(error(ErrorKind::OutcomeUnknown)));
    let unknown = bucket(mock).put("a", "1").await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::OutcomeUnknown);
}

#[tokio::test]
async fn a_look_that_fails_leaves_the_answer_as_it_was() {
    for kind in [ErrorKind::Conflict, ErrorKind::OutcomeUnknown] {
        let mut mock = MockJetStream::new();
        mock.expect_publish().times(1).returning(move |_| Err(error(kind)));
        mock.expect_get_message().times(1).returning(|_, _| Err(error(ErrorKind::Timeout)));
        assert_eq!(bucket(mock).update("a", "1", 4).await.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn a_change_is_decided_anew_after_each_lost_race_and_ends() {
    let mut mock = MockJetStream::new();
    mock.expect_publish().times(3).returning(|_| Err(error(ErrorKind::Conflict)));
    mock.expect_get_message().returning(|_, _| Ok(stored("a", 9, Headers::new())));
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let refused = bucket(mock)
        .update_with("a", move |_| {
            *counted.lock().unwrap() += 1;
            Ok(KvChange::Put("2".into()))
        })
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(refused.get("attempts"), Some("3"));
    assert_eq!(*calls.lock().unwrap(), 3);
}

#[tokio::test]
async fn a_change_of_unknown_outcome_is_not_decided_twice() {
    let mut mock = MockJetStream::new();
    mock.expect_publish().times(1).returning(|_| Err(error(ErrorKind::OutcomeUnknown)));
    mock.expect_get_message().returning(|_, _| Ok(stored("a", 9, Headers::new())));
    let unknown =
        bucket(mock).update_with("a", |_| Ok(KvChange::Put("2".into()))).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::OutcomeUnknown);
}

#[tokio::test]
async fn a_change_that_refuses_or_keeps_writes_nothing() {
    let mut mock = MockJetStream::new();
    mock.expect_get_message().returning(|_, _| Ok(stored("a", 9, marker())));
    let bucket = bucket(mock);
    let refused =
        bucket.update_with("a", |_| Err(error(ErrorKind::InvalidArgument))).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    for change in [KvChange::Keep, KvChange::Delete] {
        let decide = move |entry: Option<&KvEntry>| {
            assert_eq!(entry, None, "a marker is no value");
            Ok(change.clone())
        };
        assert_eq!(bucket.update_with("a", decide).await.unwrap().revision, None);
    }
}

#[tokio::test]
async fn json_that_is_none_is_corrupt_and_never_none() {
    let mut mock = MockJetStream::new();
    mock.expect_get_message().returning(|_, _| Ok(stored("a", 9, Headers::new())));
    let corrupt = bucket(mock).get_json::<u64>("a").await.unwrap_err();
    assert_eq!(corrupt.kind(), ErrorKind::Corrupt);
    assert_eq!((corrupt.get("bucket"), corrupt.get("revision")), (Some("jobs"), Some("9")));
}

#[tokio::test]
async fn a_watch_tells_recovery_and_ends_with_the_error_that_broke_it() {
    let mut mock = MockJetStream::new();
    mock.expect_read()
        .withf(|stream, options| {
            stream == "KV_jobs"
                && options.start == ReadStart::LastPerSubject
                && options.subjects == ["$KV.jobs.a.>"]
        })
        .times(1)
        .returning(|_, _| {
            stream::iter([
                Ok(Delivery::Message(stored("a.b1", 3, Headers::new()))),
                Ok(Delivery::Message(stored("a.c1", 4, Headers::new()))),
                Ok(Delivery::CaughtUp { sequence: 4 }),
                Ok(Delivery::Resumed { sequence: 4 }),
                Ok(Delivery::Gap { from: 5, to: 6 }),
                Ok(Delivery::Message(stored("a.b1", 7, marker()))),
                Err(error(ErrorKind::NotFound)),
            ])
            .boxed()
        });
    let options = WatchOptions::new(KeySelection::prefix("a.b"));
    let updates: Vec<_> = bucket(mock).watch(options).collect().await;
    let told: Vec<String> = updates
        .iter()
        .map(|update| match update {
            Ok(KvUpdate::Entry(entry)) => format!("{} {}", entry.operation, entry.revision),
            Ok(other) => format!("{other:?}"),
            Err(error) => error.kind().to_string(),
        })
        .collect();
    assert_eq!(
        told,
        [
            "put 3",
            "CaughtUp { revision: 4 }",
            "Resumed { revision: 4 }",
            "Gap { from: 5, to: 6 }",
            "delete 7",
            "not found",
        ]
    );
    let broke = updates.last().unwrap().as_ref().unwrap_err();
    assert_eq!((broke.operation(), broke.get("bucket")), ("watch", Some("jobs")));
}
