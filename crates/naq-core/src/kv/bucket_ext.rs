//! What is convenient on top of a bucket.

use std::future::Future;

use bytes::Bytes;
use futures::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::jetstream::Consistency;
use crate::{Error, Result};

use super::{
    GetOptions, KeyResult, KvBucket, KvChange, KvEntry, KvWrite, Modified, PutOptions,
    RemoveOptions,
};

/// Conveniences for every [`KvBucket`], mocks and trait objects included.
///
/// Errors are those of the port's methods that each names.
pub trait KvBucketExt: KvBucket {
    /// Gives a key a value, whatever it had, and answers the revision.
    fn put(&self, key: &str, value: impl Into<Bytes>) -> impl Future<Output = Result<u64>> + Send {
        let value = value.into();
        async move { self.put_opts(key, value, PutOptions::default()).await }
    }

    /// Gives a key a value only where it has none: `AlreadyExists` otherwise.
    fn create(
        &self,
        key: &str,
        value: impl Into<Bytes>,
    ) -> impl Future<Output = Result<u64>> + Send {
        let value = value.into();
        async move { self.put_opts(key, value, PutOptions::create()).await }
    }

    /// Gives a key a value only where `revision` is its latest: `Conflict` otherwise.
    fn update(
        &self,
        key: &str,
        value: impl Into<Bytes>,
        revision: u64,
    ) -> impl Future<Output = Result<u64>> + Send {
        let value = value.into();
        async move { self.put_opts(key, value, PutOptions::update(revision)).await }
    }

    /// The latest value of a key; `None` where it never had one or was removed.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<KvEntry>>> + Send {
        async move { Ok(self.get_opts(key, GetOptions::default()).await?.filter(KvEntry::is_live)) }
    }

    /// A revision of a key, a marker too; `None` where the bucket doesn't hold it (any more).
    fn get_revision(
        &self,
        key: &str,
        revision: u64,
    ) -> impl Future<Output = Result<Option<KvEntry>>> + Send {
        async move { self.get_opts(key, GetOptions::at(revision)).await }
    }

    /// Deletes a key; older revisions stay as the bucket's history has it.
    fn delete(&self, key: &str) -> impl Future<Output = Result<u64>> + Send {
        async move { self.remove(key, RemoveOptions::default()).await }
    }

    /// Removes a key and its older revisions; a marker is left.
    fn purge(&self, key: &str) -> impl Future<Output = Result<u64>> + Send {
        async move { self.remove(key, RemoveOptions::purge()).await }
    }

    /// Gives a key a value written as JSON.
    ///
    /// # Errors
    /// `InvalidArgument` for a value that serde cannot write as JSON.
    fn put_json<T: Serialize + Sync + ?Sized>(
        &self,
        key: &str,
        value: &T,
    ) -> impl Future<Output = Result<u64>> + Send {
        async move { self.put_opts(key, to_json(value)?, PutOptions::default()).await }
    }

    /// The latest value of a key, read as JSON.
    ///
    /// # Errors
    /// `Corrupt` where the value isn't JSON of this type.
    fn get_json<T: DeserializeOwned>(
        &self,
        key: &str,
    ) -> impl Future<Output = Result<Option<T>>> + Send {
        async move {
            let decode = |entry: KvEntry| entry.json().map_err(|e| e.with("bucket", self.name()));
            self.get(key).await?.map(decode).transpose()
        }
    }

    /// Reads a key, changes it, and writes it only if nobody else did
    /// meanwhile; otherwise tries again: see [`KvBucket::modify`].
    ///
    /// ```
    /// # use naq_core::kv::{KvBucket, KvBucketExt, KvChange};
    /// # async fn example(bucket: &dyn KvBucket) -> naq_core::Result<()> {
    /// bucket
    ///     .update_with("greeting", |entry| match entry {
    ///         Some(entry) => Ok(KvChange::Put([&entry.value[..], b"!"].concat().into())),
    ///         None => Ok(KvChange::Put("hello".into())),
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    fn update_with<F>(&self, key: &str, change: F) -> impl Future<Output = Result<Modified>> + Send
    where
        F: FnMut(Option<&KvEntry>) -> Result<KvChange> + Send + 'static,
    {
        async move { self.modify(key, Box::new(change)).await }
    }

    /// The same with a value read and written as JSON: `change` gets `None`
    /// where the key has no value, and what it leaves there is written;
    /// leaving `None` deletes the key, or keeps it away.
    ///
    /// # Errors
    /// `Corrupt` where the value isn't JSON of this type; then nothing is changed.
    fn update_json_with<T, F>(
        &self,
        key: &str,
        mut change: F,
    ) -> impl Future<Output = Result<Modified>> + Send
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(&mut Option<T>) -> Result<()> + Send + 'static,
    {
        self.update_with(key, move |entry| {
            let mut value = entry.map(KvEntry::json).transpose()?;
            change(&mut value)?;
            Ok(match (&value, entry) {
                (Some(value), _) => KvChange::Put(to_json(value)?),
                (None, Some(_)) => KvChange::Delete,
                (None, None) => KvChange::Keep,
            })
        })
    }

    /// Gives many keys their values, pipelined; a result per key, in their order.
    fn bulk_put<K: Into<String>, V: Into<Bytes>>(
        &self,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> impl Future<Output = Vec<KeyResult<u64>>> + Send {
        let writes = entries.into_iter().map(|(key, value)| KvWrite::put(key, value));
        self.write_many(writes.collect()).collect()
    }

    /// Deletes many keys, pipelined; a result per key, in their order.
    fn bulk_delete<K: Into<String>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> impl Future<Output = Vec<KeyResult<u64>>> + Send {
        self.write_many(keys.into_iter().map(KvWrite::delete).collect()).collect()
    }

    /// The latest values of many keys, pipelined; a result per key, in their
    /// order, `None` for those that have no value.
    fn bulk_get<K: Into<String>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> impl Future<Output = Vec<KeyResult<Option<KvEntry>>>> + Send {
        self.get_many(keys.into_iter().map(Into::into).collect(), Consistency::Leader)
            .map(|KeyResult { key, result }| {
                KeyResult::new(key, result.map(|entry| entry.filter(KvEntry::is_live)))
            })
            .collect()
    }
}

impl<B: KvBucket + ?Sized> KvBucketExt for B {}

/// A value as JSON.
fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Bytes> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| {
        Error::invalid("put_json", "value", "must be writable as JSON").with_source(error)
    })
}
