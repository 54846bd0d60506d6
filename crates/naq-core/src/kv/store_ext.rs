//! Working with keys by the names of their bucket.

use std::future::Future;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Result;

use super::{KeyResult, KvBucketExt, KvEntry, KvStore};

/// Conveniences for every [`KvStore`]: the calls of [`KvBucketExt`] with the
/// name of the bucket in front, for those who don't keep a handle.
///
/// Each costs what the call on a handle costs; nothing is asked in between.
pub trait KvStoreExt: KvStore {
    /// Gives a key a value, whatever it had, and answers the revision.
    fn put(
        &self,
        bucket: &str,
        key: &str,
        value: impl Into<Bytes> + Send,
    ) -> impl Future<Output = Result<u64>> + Send {
        async move { self.bucket(bucket)?.put(key, value).await }
    }

    /// The latest value of a key; `None` where it never had one or was removed.
    fn get(&self, bucket: &str, key: &str) -> impl Future<Output = Result<Option<KvEntry>>> + Send {
        async move { self.bucket(bucket)?.get(key).await }
    }

    /// Gives a key a value written as JSON.
    fn put_json<T: Serialize + Sync + ?Sized>(
        &self,
        bucket: &str,
        key: &str,
        value: &T,
    ) -> impl Future<Output = Result<u64>> + Send {
        async move { self.bucket(bucket)?.put_json(key, value).await }
    }

    /// The latest value of a key, read as JSON.
    fn get_json<T: DeserializeOwned>(
        &self,
        bucket: &str,
        key: &str,
    ) -> impl Future<Output = Result<Option<T>>> + Send {
        async move { self.bucket(bucket)?.get_json(key).await }
    }

    /// Gives a key a value only where `revision` is its latest: `Conflict` otherwise.
    fn update(
        &self,
        bucket: &str,
        key: &str,
        value: impl Into<Bytes> + Send,
        revision: u64,
    ) -> impl Future<Output = Result<u64>> + Send {
        async move { self.bucket(bucket)?.update(key, value, revision).await }
    }

    /// Deletes a key and answers the revision of the marker that is left.
    fn delete(&self, bucket: &str, key: &str) -> impl Future<Output = Result<u64>> + Send {
        async move { self.bucket(bucket)?.delete(key).await }
    }

    /// All revisions of a key that the bucket holds, oldest first, markers included.
    fn history(
        &self,
        bucket: &str,
        key: &str,
    ) -> impl Future<Output = Result<Vec<KvEntry>>> + Send {
        async move { self.bucket(bucket)?.history(key).await }
    }

    /// Gives many keys their values, pipelined; a result per key, in their order.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no name of a bucket.
    fn bulk_put<K: Into<String>, V: Into<Bytes>>(
        &self,
        bucket: &str,
        entries: impl IntoIterator<Item = (K, V)> + Send,
    ) -> impl Future<Output = Result<Vec<KeyResult<u64>>>> + Send {
        async move { Ok(self.bucket(bucket)?.bulk_put(entries).await) }
    }

    /// The latest values of many keys, pipelined; a result per key, in their order.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no name of a bucket.
    fn bulk_get<K: Into<String>>(
        &self,
        bucket: &str,
        keys: impl IntoIterator<Item = K> + Send,
    ) -> impl Future<Output = Result<Vec<KeyResult<Option<KvEntry>>>>> + Send {
        async move { Ok(self.bucket(bucket)?.bulk_get(keys).await) }
    }
}

impl<S: KvStore + ?Sized> KvStoreExt for S {}
