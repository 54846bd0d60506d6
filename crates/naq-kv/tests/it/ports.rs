//! The ports behind pointers, and their conveniences on mocks.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use mockall::predicate::eq;
use naq_core::jetstream::Consistency;
use naq_core::kv::{MockKvBucket, MockKvStore};
use naq_core::{ErrorKind, Timestamp};
use naq_kv::prelude::*;

use crate::mocked::error;

fn entry(value: &'static str, operation: KvOperation) -> KvEntry {
    KvEntry {
        key: "a".into(),
        value: value.into(),
        revision: 3,
        created: Timestamp::default(),
        operation,
    }
}

/// A mock on which each operation is called once.
fn everything_once() -> MockKvBucket {
    let mut mock = MockKvBucket::new();
    mock.expect_name().times(1).return_const("jobs".to_owned());
    mock.expect_put_opts().times(1).returning(|_, _, _| Ok(1));
    mock.expect_get_opts().times(1).returning(|_, _| Ok(Some(entry("x", KvOperation::Put))));
    mock.expect_remove().times(1).returning(|_, _| Ok(2));
    mock.expect_erase().times(1).returning(|_, _| Ok(3));
    mock.expect_keys().times(1).returning(|_| stream::iter([Ok("a".to_owned())]).boxed());
    mock.expect_history().times(1).returning(|_| Ok(Vec::new()));
    mock.expect_watch().times(1).returning(|_| stream::empty().boxed());
    mock.expect_write_many().times(1).returning(|_| stream::empty().boxed());
    mock.expect_get_many().times(1).returning(|_, _| stream::empty().boxed());
    mock.expect_transaction().times(1).returning(|_| Ok(vec![4, 5]));
    mock.expect_modify().times(1).returning(|_, _| Err(error(ErrorKind::Conflict)));
    mock.expect_status().times(1).returning(|| Err(error(ErrorKind::NotFound)));
    mock
}

/// Calls each operation on exactly this type, not on what it points at.
async fn call_all<B: KvBucket>(bucket: B) {
    assert_eq!(B::name(&bucket), "jobs");
    assert_eq!(B::put_opts(&bucket, "a", "x".into(), PutOptions::default()).await.unwrap(), 1);
    assert!(B::get_opts(&bucket, "a", GetOptions::default()).await.unwrap().is_some());
    assert_eq!(B::remove(&bucket, "a", RemoveOptions::default()).await.unwrap(), 2);
    assert_eq!(B::erase(&bucket, "a", Some(7)).await.unwrap(), 3);
    let keys: Vec<_> = B::keys(&bucket, KeySelection::All).try_collect().await.unwrap();
    assert_eq!(keys, ["a"]);
    assert!(B::history(&bucket, "a").await.unwrap().is_empty());
    assert!(B::watch(&bucket, WatchOptions::default()).next().await.is_none());
    assert!(B::write_many(&bucket, Vec::new()).next().await.is_none());
    assert!(B::get_many(&bucket, Vec::new(), Consistency::Any).next().await.is_none());
    assert_eq!(B::transaction(&bucket, Vec::new()).await.unwrap(), [4, 5]);
    let kept = B::modify(&bucket, "a", Box::new(|_| Ok(KvChange::Keep))).await;
    assert!(kept.unwrap_err().is(ErrorKind::Conflict));
    assert!(B::status(&bucket).await.unwrap_err().is(ErrorKind::NotFound));
}

#[tokio::test]
async fn a_bucket_behind_pointers_is_the_same_bucket() {
    call_all(everything_once()).await;
    call_all(Arc::new(everything_once())).await;
    call_all(Box::new(Arc::new(everything_once()) as Arc<dyn KvBucket>)).await;
}

#[tokio::test]
async fn the_conveniences_serve_a_mock_and_a_trait_object_alike() {
    let mut mock = MockKvBucket::new();
    mock.expect_put_opts()
        .with(eq("a"), eq(bytes::Bytes::from("1")), eq(PutOptions::update(7)))
        .times(1)
        .returning(|_, _, _| Ok(8));
    mock.expect_remove().with(eq("a"), eq(RemoveOptions::purge())).times(1).returning(|_, _| Ok(9));
    mock.expect_get_opts().returning(|_, _| Ok(Some(entry("", KvOperation::Expire))));
    let bucket: Arc<dyn KvBucket> = Arc::new(mock);
    assert_eq!(bucket.update("a", "1", 7).await.unwrap(), 8);
    assert_eq!(bucket.purge("a").await.unwrap(), 9);
    assert_eq!(bucket.get("a").await.unwrap(), None, "what aged away is no value");
    assert!(bucket.get_revision("a", 3).await.unwrap().is_some(), "but it is an entry");
}

#[tokio::test]
async fn a_mocked_store_serves_code_that_works_by_names() {
    let mut mock = MockKvStore::new();
    mock.expect_bucket().with(eq("jobs")).returning(|_| {
        let mut bucket = MockKvBucket::new();
        bucket.expect_name().return_const("jobs".to_owned());
        bucket.expect_get_opts().returning(|_, _| Ok(Some(entry("[1]", KvOperation::Put))));
        Ok(Arc::new(bucket))
    });
    let store: Arc<dyn KvStore> = Arc::new(mock);
    assert_eq!(store.get_json::<Vec<u8>>("jobs", "a").await.unwrap(), Some(vec![1]));
    let corrupt = store.get_json::<bool>("jobs", "a").await.unwrap_err();
    assert_eq!((corrupt.kind(), corrupt.get("bucket")), (ErrorKind::Corrupt, Some("jobs")));
}
