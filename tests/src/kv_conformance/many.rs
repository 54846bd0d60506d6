//! Many keys: pipelined, or all or none.

use futures::StreamExt;
use naq_core::ErrorKind;
use naq_core::jetstream::StreamConfig;
use naq_core::kv::{KeyResult, KvBucketExt, KvWrite, PutOptions, RemoveOptions};

use super::support::{Subject, refused, text};
use crate::names;

/// More than one request for last messages can name.
const PLENTY: usize = 2_500;

/// Each result as its value or its kind.
fn told<T: std::fmt::Debug>(results: &[KeyResult<T>]) -> Vec<String> {
    let told = |result: &KeyResult<T>| match &result.result {
        Ok(value) => format!("{}: {value:?}", result.key),
        Err(error) => format!("{}: {}", result.key, error.kind()),
    };
    results.iter().map(told).collect()
}

fn create(key: &str) -> KvWrite {
    KvWrite::put_opts(key, "created", PutOptions::create())
}

fn update(key: &str, revision: u64) -> KvWrite {
    KvWrite::put_opts(key, "updated", PutOptions::update(revision))
}

pub async fn many_keys_are_put_and_read_in_their_order(on: Subject) {
    let own = on.bucket(1).await;
    let keys: Vec<String> = (0..PLENTY).map(|n| format!("k.{n}")).collect();
    let put = own.bucket.bulk_put(keys.iter().map(|key| (key.clone(), key.clone()))).await;
    assert_eq!(put.len(), PLENTY);
    for (n, result) in put.iter().enumerate() {
        assert_eq!(result.key, keys[n]);
        assert_eq!(*result.result.as_ref().unwrap(), n as u64 + 1);
    }
    let got = own.bucket.bulk_get(keys.iter().rev().cloned()).await;
    assert_eq!(got.len(), PLENTY);
    for (result, key) in got.into_iter().zip(keys.iter().rev()) {
        assert_eq!(&result.key, key);
        assert_eq!(&text(&result.result.unwrap().unwrap()), key);
    }
}

pub async fn a_bulk_read_tells_what_has_no_value_and_what_is_no_key(on: Subject) {
    let own = on.bucket(2).await;
    own.put_all([("a", "1"), ("gone", "2")]).await;
    own.bucket.delete("gone").await.unwrap();
    let got = own.bucket.bulk_get(["gone", "a", "no key", "never", "a"]).await;
    let told: Vec<_> = got
        .iter()
        .map(|r| match &r.result {
            Ok(entry) => entry.as_ref().map_or_else(|| "none".to_owned(), text),
            Err(error) => error.kind().to_string(),
        })
        .collect();
    assert_eq!(told, ["none", "1", "invalid argument", "none", "1"]);
}

pub async fn a_write_that_fails_among_many_fails_alone(on: Subject) {
    let own = on.bucket_with(|config| config.with_max_value_size(300)).await;
    own.put_all([("b", "1")]).await;
    let writes = vec![
        KvWrite::put("a", "1"),
        KvWrite::put("big", vec![0; 500]),
        KvWrite::put("no key", "1"),
        update("b", 7),
        create("b"),
        update("b", 1),
        KvWrite::delete("a"),
    ];
    let results: Vec<_> = own.bucket.write_many(writes).collect().await;
    assert_eq!(
        told(&results),
        [
            "a: 2",
            "big: too large",
            "no key: invalid argument",
            "b: conflict",
            "b: already exists",
            "b: 3",
            "a: 4",
        ]
    );
}

pub async fn many_keys_are_deleted_and_created_again(on: Subject) {
    let own = on.bucket(2).await;
    own.put_all([("a", "1"), ("b", "2")]).await;
    let deleted = own.bucket.bulk_delete(["a", "b", "never"]).await;
    assert_eq!(told(&deleted), ["a: 3", "b: 4", "never: 5"]);
    let created: Vec<_> =
        own.bucket.write_many(vec![create("a"), create("new"), create("b")]).collect().await;
    assert!(created.iter().all(|result| result.result.is_ok()), "{created:?}");
    assert_eq!(own.value("b").await.as_deref(), Some("created"));
}

pub async fn a_transaction_is_stored_in_a_row(on: Subject) {
    let own = on.bucket(3).await;
    own.put_all([("a", "1"), ("b", "2"), ("c", "3")]).await;
    let writes = vec![
        update("a", 1),
        KvWrite::delete("b"),
        KvWrite::remove("c", RemoveOptions::purge().with_expected(3)),
        create("d"),
        KvWrite::put("e", "any"),
    ];
    let result = own.bucket.transaction(writes).await;
    if !on.can().atomic_publish {
        refused(result, ErrorKind::Unsupported);
        assert_eq!(own.messages().await.len(), 3, "nothing was stored");
        return;
    }
    assert_eq!(result.unwrap(), [4, 5, 6, 7, 8]);
    assert_eq!(own.history("a").await, ["1 a=1", "4 a=updated"]);
    assert_eq!(own.history("b").await, ["2 b=2", "5 delete b"]);
    assert_eq!(own.history("c").await, ["6 purge c"]);
    assert_eq!(own.value("d").await.as_deref(), Some("created"));
    assert_eq!(own.value("e").await.as_deref(), Some("any"));
}

pub async fn a_transaction_whose_condition_fails_stores_nothing(on: Subject) {
    if !on.can().atomic_publish {
        return a_transaction_is_stored_in_a_row(on).await;
    }
    let own = on.bucket(3).await;
    own.put_all([("a", "1"), ("b", "2"), ("c", "3")]).await;
    let writes = vec![KvWrite::put("new", "x"), update("a", 1), update("b", 1), update("c", 9)];
    let error = refused(own.bucket.transaction(writes).await, ErrorKind::Conflict);
    assert_eq!(error.get("keys"), Some("b c"));
    let writes = vec![KvWrite::put("new", "x"), create("new-too"), create("a")];
    let error = refused(own.bucket.transaction(writes).await, ErrorKind::AlreadyExists);
    assert_eq!(error.get("keys"), Some("a"));
    assert_eq!(own.messages().await.len(), 3);
}

pub async fn a_transaction_creates_over_markers(on: Subject) {
    if !on.can().atomic_publish {
        return a_transaction_is_stored_in_a_row(on).await;
    }
    let own = on.bucket(3).await;
    own.put_all([("a", "1"), ("b", "2")]).await;
    own.bucket.delete("a").await.unwrap();
    own.bucket.purge("b").await.unwrap();
    let writes = vec![create("a"), create("b"), create("c")];
    assert_eq!(own.bucket.transaction(writes).await.unwrap(), [5, 6, 7]);
}

pub async fn only_one_of_many_transactions_on_one_revision_wins(on: Subject) {
    if !on.can().atomic_publish {
        return a_transaction_is_stored_in_a_row(on).await;
    }
    let own = on.bucket(1).await;
    own.put_all([("a", "1"), ("b", "2")]).await;
    let transactions = (0..6)
        .map(|n| own.bucket.transaction(vec![KvWrite::put(format!("n{n}"), "x"), update("a", 1)]));
    let results = futures::future::join_all(transactions).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    for lost in results.into_iter().filter(|result| result.is_err()) {
        refused(lost, ErrorKind::Conflict);
    }
    assert_eq!(own.messages().await.len(), 3, "a, b, and the winner's n");
}

pub async fn a_transaction_takes_a_thousand_writes_of_different_keys(on: Subject) {
    if !on.can().atomic_publish {
        return a_transaction_is_stored_in_a_row(on).await;
    }
    let own = on.bucket(1).await;
    let puts = |count: usize| (0..count).map(|n| KvWrite::put(format!("k{n}"), "x")).collect();
    let revisions = own.bucket.transaction(puts(1_000)).await.unwrap();
    assert_eq!((revisions[0], revisions[999]), (1, 1_000));
    refused(own.bucket.transaction(puts(1_001)).await, ErrorKind::InvalidArgument);
    let twice = vec![KvWrite::put("a", "1"), KvWrite::put("a", "2")];
    let error = refused(own.bucket.transaction(twice).await, ErrorKind::InvalidArgument);
    assert_eq!(error.get("key"), Some("a"));
    assert!(own.bucket.transaction(Vec::new()).await.unwrap().is_empty());
}

pub async fn a_bucket_that_others_made_may_lack_transactions(on: Subject) {
    let name = names::unique("kv");
    let stream = StreamConfig::new(format!("KV_{name}"), [format!("$KV.{name}.>")])
        .with_max_messages_per_subject(1)
        .with_allow_rollup(true);
    on.js.create_stream(stream).await.unwrap();
    let bucket = on.store.bucket(&name).unwrap();
    let result = bucket.transaction(vec![KvWrite::put("a", "1")]).await;
    let error = refused(result, ErrorKind::Unsupported);
    assert!(error.hint().unwrap().contains("transactions"), "{error:?}");
    bucket.put("a", "1").await.unwrap();
}
