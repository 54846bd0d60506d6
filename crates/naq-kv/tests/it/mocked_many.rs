//! Many keys: what a failure in the middle comes to.

use std::sync::{Arc, Mutex};

use futures::stream::{self, StreamExt};
use mockall::Sequence;
use naq_core::jetstream::{
    BatchAck, Delivery, Headers, MockJetStream, PublishMessage, Published, ReadStart, ReadUntil,
    StreamConfig, StreamInfo, StreamState, WhichMany,
};
use naq_core::{ErrorKind, Result, Timestamp};
use naq_kv::prelude::*;

use crate::mocked::{Sent, ack, bucket, error, marker, no_message, stored};

/// Each result as its value or its kind.
fn told<T: std::fmt::Debug>(results: &[KeyResult<T>]) -> Vec<String> {
    results
        .iter()
        .map(|KeyResult { key, result }| match result {
            Ok(value) => format!("{key}: {value:?}"),
            Err(error) => format!("{key}: {}", error.kind()),
        })
        .collect()
}

#[tokio::test]
async fn a_publish_that_fails_in_the_middle_fails_its_key_alone() {
    let mut mock = MockJetStream::new();
    mock.expect_publish_many().times(1).returning(|messages, _| {
        let answer = |(n, message): (usize, PublishMessage)| async move {
            match &*message.subject {
                "$KV.jobs.b" => Err(error(ErrorKind::TooLarge)),
                "$KV.jobs.c" => Err(error(ErrorKind::OutcomeUnknown)),
                _ => Ok(Published::One(ack(n as u64 + 1))),
            }
        };
        messages.enumerate().then(answer).boxed()
    });
    let bucket = bucket(mock);
    let entries = [("a", "1"), ("b", "2"), ("no good", "3"), ("c", "4"), ("d", "5")];
    let results = bucket.bulk_put(entries).await;
    assert_eq!(
        told(&results),
        ["a: 1", "b: too large", "no good: invalid argument", "c: outcome unknown", "d: 4",]
    );
}

#[tokio::test]
async fn acks_that_stop_coming_leave_the_rest_unknown() {
    let mut mock = MockJetStream::new();
    mock.expect_publish_many().returning(|_, _| stream::iter([Ok(Published::One(ack(1)))]).boxed());
    let results = bucket(mock).bulk_put([("a", "1"), ("b", "2"), ("c", "3")]).await;
    assert_eq!(told(&results), ["a: 1", "b: outcome unknown", "c: outcome unknown"]);
}

#[tokio::test]
async fn a_bulk_call_of_bad_keys_alone_sends_nothing() {
    let bucket = bucket(MockJetStream::new());
    let results = bucket.bulk_put([("a b", "1")]).await;
    assert_eq!(told(&results), ["a b: invalid argument"]);
    let results = bucket.bulk_get(["*"]).await;
    assert_eq!(told(&results), ["*: invalid argument"]);
    assert!(bucket.bulk_delete([""; 0]).await.is_empty());
}

#[tokio::test]
async fn a_create_in_bulk_goes_on_over_a_marker() {
    let (mut mock, mut order) = (MockJetStream::new(), Sequence::new());
    mock.expect_publish_many().times(1).in_sequence(&mut order).returning(|_, _| {
        stream::iter([Err(error(ErrorKind::Conflict)), Ok(Published::One(ack(11)))]).boxed()
    });
    mock.expect_get_message()
        .times(1)
        .in_sequence(&mut order)
        .returning(|_, _| Ok(stored("a", 9, marker())));
    mock.expect_publish()
        .withf(|message| message.expected.last_subject_sequence == Some(9))
        .times(1)
        .in_sequence(&mut order)
        .returning(|_| Ok(ack(12)));
    let create = |key| KvWrite::put_opts(key, "1", PutOptions::create());
    let results: Vec<_> = bucket(mock).write_many(vec![create("a"), create("b")]).collect().await;
    assert_eq!(told(&results), ["a: 12", "b: 11"]);
}

#[tokio::test]
async fn a_bulk_read_that_breaks_fails_all_keys_behind_it() {
    let mut mock = MockJetStream::new();
    mock.expect_get_messages().times(1).returning(|_, request| {
        let WhichMany::LastBySubjects(subjects) = request.which else { panic!("not by subjects") };
        assert_eq!(subjects, ["$KV.jobs.a", "$KV.jobs.b", "$KV.jobs.c", "$KV.jobs.d"]);
        stream::iter([
            Ok(stored("a", 1, Headers::new())),
            Err(no_message()),
            Err(error(ErrorKind::Timeout)),
        ])
        .boxed()
    });
    let results = bucket(mock).bulk_get(["a", "b", "*", "c", "d"]).await;
    let told: Vec<_> = results
        .iter()
        .map(|r| match &r.result {
            Ok(entry) => format!("{:?}", entry.as_ref().map(|entry| entry.revision)),
            Err(error) => error.kind().to_string(),
        })
        .collect();
    assert_eq!(told, ["Some(1)", "None", "invalid argument", "timed out", "timed out"]);
}

#[tokio::test]
async fn without_a_connection_each_key_gets_the_error() {
    let mut provider = naq_core::connection::MockConnectionProvider::new();
    provider.expect_get_jetstream().returning(|_| Err(error(ErrorKind::Unavailable)));
    let bucket = KvStoreService::new(Arc::new(provider)).bucket("jobs").unwrap();
    let results = bucket.bulk_put([("a", "1"), ("b", "2")]).await;
    assert_eq!(told(&results), ["a: unavailable", "b: unavailable"]);
    let results = bucket.bulk_get(["a"]).await;
    assert_eq!(told(&results), ["a: unavailable"]);
    let watched: Vec<_> = bucket.watch(WatchOptions::default()).collect().await;
    assert_eq!(watched[0].as_ref().unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_transaction_answers_the_revision_of_each_write() {
    let mut mock = MockJetStream::new();
    mock.expect_publish_atomic().times(1).returning(|messages| {
        assert_eq!(messages.len(), 3);
        Ok(BatchAck { stream: "KV_jobs".into(), sequence: 12, count: 3 })
    });
    let writes = vec![KvWrite::put("a", "1"), KvWrite::delete("b"), KvWrite::put("c", "3")];
    let bucket = bucket(mock);
    assert_eq!(bucket.transaction(writes).await.unwrap(), [10, 11, 12]);
    assert_eq!(bucket.transaction(Vec::new()).await.unwrap(), [0; 0]);
}

#[tokio::test]
async fn a_transaction_refuses_a_key_twice_and_too_many_writes() {
    let bucket = bucket(MockJetStream::new());
    let twice = vec![KvWrite::put("a", "1"), KvWrite::delete("a")];
    let refused = bucket.transaction(twice).await.unwrap_err();
    assert_eq!((refused.get("field"), refused.get("key")), (Some("writes"), Some("a")));
    let many = (0..1_001).map(|n| KvWrite::put(format!("k{n}"), "1")).collect();
    let refused = bucket.transaction(many).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
}

#[tokio::test]
async fn a_transaction_that_creates_over_a_value_sends_nothing() {
    let mut mock = MockJetStream::new();
    mock.expect_get_messages().times(1).returning(|_, _| {
        stream::iter([Ok(stored("a", 3, Headers::new())), Err(no_message())]).boxed()
    });
    let create = |key| KvWrite::put_opts(key, "1", PutOptions::create());
    let refused = bucket(mock).transaction(vec![create("a"), create("b")]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    assert_eq!(refused.get("keys"), Some("a"));
}

#[tokio::test]
async fn a_refused_transaction_names_the_keys_that_were_changed() {
    let (mut mock, mut order) = (MockJetStream::new(), Sequence::new());
    mock.expect_publish_atomic()
        .times(1)
        .in_sequence(&mut order)
        .returning(|_| Err(error(ErrorKind::Conflict)));
    mock.expect_get_messages().times(1).in_sequence(&mut order).returning(|_, _| {
        stream::iter([Ok(stored("a", 3, Headers::new())), Ok(stored("b", 8, Headers::new()))])
            .boxed()
    });
    let update = |key, revision| KvWrite::put_opts(key, "1", PutOptions::update(revision));
    let writes = vec![update("a", 3), update("b", 5), KvWrite::put("c", "1")];
    let refused = bucket(mock).transaction(writes).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(refused.get("keys"), Some("b"));
}

#[tokio::test]
async fn a_transaction_whose_ack_got_lost_is_looked_up() {
    for kind in [ErrorKind::OutcomeUnknown, ErrorKind::Conflict] {
        let sent = Sent::default();
        let mut mock = MockJetStream::new();
        let keep = Arc::clone(&sent);
        mock.expect_publish_atomic().times(1).returning(move |messages| {
            keep.lock().unwrap().extend(messages);
            Err(error(kind))
        });
        let id = move || {
            let sent = sent.lock().unwrap();
            Headers::new().with("Nats-Msg-Id", sent[1].message_id.clone().unwrap())
        };
        let also = id.clone();
        mock.expect_get_message().returning(move |_, _| Ok(stored("b", 21, id())));
        mock.expect_get_messages()
            .returning(move |_, _| stream::iter([Ok(stored("b", 21, also()))]).boxed());
        let update = KvWrite::put_opts("b", "1", PutOptions::update(4));
        let writes = vec![KvWrite::put("a", "1"), update, KvWrite::put("c", "1")];
        assert_eq!(bucket(mock).transaction(writes).await.unwrap(), [20, 21, 22]);
    }
}

#[tokio::test]
async fn where_transactions_are_not_possible_the_error_says_what_is_needed() {
    let mut mock = MockJetStream::new();
    mock.expect_publish_atomic().returning(|_| Err(error(ErrorKind::Unsupported)));
    let refused = bucket(mock).transaction(vec![KvWrite::put("a", "1")]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.hint().unwrap().contains("2.12"));
}

fn head(last_sequence: u64) -> Result<StreamInfo> {
    let mut state = StreamState::default();
    state.last_sequence = last_sequence;
    Ok(StreamInfo::new(StreamConfig::new("KV_jobs", [""; 0]), state, Timestamp::default()))
}

#[tokio::test]
async fn a_key_written_anew_while_keys_are_listed_is_not_missed() {
    // `b` had revision 2 when the list began and 5 when it was to be read: the
    // first round ends at head 4 without it.
    let (mut mock, mut order) = (MockJetStream::new(), Sequence::new());
    let message = |key, sequence, headers| Ok(Delivery::Message(stored(key, sequence, headers)));
    mock.expect_read()
        .withf(|_, options| {
            options.start == ReadStart::LastPerSubject && options.until == ReadUntil::Head
        })
        .times(1)
        .in_sequence(&mut order)
        .returning(move |_, _| {
            stream::iter([
                message("a", 1, Headers::new()),
                message("gone", 3, marker()),
                message("c", 4, Headers::new()),
                Ok(Delivery::CaughtUp { sequence: 4 }),
            ])
            .boxed()
        });
    mock.expect_stream_info().times(1).in_sequence(&mut order).returning(|_| head(6));
    mock.expect_read()
        .withf(|_, options| options.start == ReadStart::Sequence(5))
        .times(1)
        .in_sequence(&mut order)
        .returning(move |_, _| {
            stream::iter([
                message("b", 5, Headers::new()),
                message("a", 6, Headers::new()),
                Ok(Delivery::CaughtUp { sequence: 6 }),
            ])
            .boxed()
        });
    mock.expect_stream_info().times(1).in_sequence(&mut order).returning(|_| head(6));
    let keys: Vec<_> = bucket(mock).keys(KeySelection::All).map(Result::unwrap).collect().await;
    assert_eq!(keys, ["a", "c", "b"], "each once, and no marker");
}

#[tokio::test]
async fn a_list_of_keys_in_a_bucket_that_never_rests_ends() {
    let mut mock = MockJetStream::new();
    let heads = Arc::new(Mutex::new(0));
    let next = Arc::clone(&heads);
    mock.expect_read().times(8).returning(move |_, _| {
        *next.lock().unwrap() += 1;
        let sequence = *next.lock().unwrap();
        stream::iter([Ok(Delivery::CaughtUp { sequence })]).boxed()
    });
    mock.expect_stream_info().returning(move |_| head(*heads.lock().unwrap() + 1));
    assert!(bucket(mock).keys(KeySelection::All).next().await.is_none());
}

#[tokio::test]
async fn a_read_that_breaks_ends_the_keys_and_the_history_with_an_error() {
    let mut mock = MockJetStream::new();
    mock.expect_read().returning(|_, _| {
        stream::iter([
            Ok(Delivery::Message(stored("a", 1, Headers::new()))),
            Err(error(ErrorKind::Unavailable)),
        ])
        .boxed()
    });
    let bucket = bucket(mock);
    let keys: Vec<_> = bucket.keys(KeySelection::All).collect().await;
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[1].as_ref().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(bucket.history("a").await.unwrap_err().kind(), ErrorKind::Unavailable);
}
