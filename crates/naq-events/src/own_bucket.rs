//! A bucket of naq's own: who keeps something in it first makes it, and until
//! then there is nothing in it.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use naq_core::jetstream::Consistency;
use naq_core::kv::{
    BucketConfig, KeySelection, KvBucket, KvBucketExt, KvEntry, KvStore, KvUpdate, PutOptions,
    RemoveOptions, WatchOptions,
};
use naq_core::{ErrorKind, Result};

use crate::rights::Right;

/// How often a lost race is run again.
pub(crate) const TRIES: usize = 4;

/// How much is erased at a time, at most: older servers take some hundredths of
/// a second for each key.
pub(crate) const MOST_ERASED: usize = 512;

/// A bucket that all logs of an account share.
#[derive(Debug, Clone)]
pub(crate) struct OwnBucket {
    kv: Arc<dyn KvStore>,
    /// As it is made, but for its replicas.
    config: BucketConfig,
    /// To erase something.
    right: Arc<Right>,
}

impl OwnBucket {
    /// The bucket that is made like this where it isn't there.
    pub(crate) fn new(kv: Arc<dyn KvStore>, config: BucketConfig) -> Self {
        Self { kv, config, right: Arc::default() }
    }

    /// The bucket, whether it is there or not.
    pub(crate) fn bucket(&self) -> Result<Arc<dyn KvBucket>> {
        self.kv.bucket(&self.config.name)
    }

    /// What is under a key.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<KvEntry>> {
        match self.bucket()?.get(key).await {
            Err(error) if error.is(ErrorKind::NotFound) => Ok(None),
            entry => entry,
        }
    }

    /// What is under each of these keys.
    pub(crate) async fn get_many(
        &self,
        keys: Vec<String>,
        consistency: Consistency,
    ) -> Result<Vec<Option<KvEntry>>> {
        let count = keys.len();
        let mut results = self.bucket()?.get_many(keys, consistency);
        let mut entries = Vec::with_capacity(count);
        while let Some(result) = results.next().await {
            let entry = match result.result {
                Err(error) if error.is(ErrorKind::NotFound) => None,
                entry => entry?,
            };
            entries.push(entry.filter(KvEntry::is_live));
        }
        entries.resize(count, None);
        Ok(entries)
    }

    /// The keys that begin like this.
    pub(crate) async fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let mut listed = self.bucket()?.keys(KeySelection::prefix(prefix));
        let mut keys = Vec::new();
        while let Some(key) = listed.next().await {
            match key {
                Ok(key) => keys.push(key),
                Err(error) if error.is(ErrorKind::NotFound) => return Ok(Vec::new()),
                Err(error) => return Err(error),
            }
        }
        Ok(keys)
    }

    /// Shows what stands under each key that begins like this, without its value,
    /// markers too, until it is enough. What is put meanwhile may be left out.
    pub(crate) async fn each(
        &self,
        prefix: &str,
        mut look: impl FnMut(KvEntry) -> ControlFlow<()> + Send,
    ) -> Result<()> {
        let options = WatchOptions::new(KeySelection::prefix(prefix)).with_without_values(true);
        let mut updates = self.bucket()?.watch(options);
        while let Some(update) = updates.next().await {
            match update {
                Ok(KvUpdate::Entry(entry)) => {
                    if look(entry).is_break() {
                        break;
                    }
                }
                Ok(KvUpdate::CaughtUp { .. }) => break,
                Ok(_) => {}
                // Nobody has kept anything yet.
                Err(error) if error.is(ErrorKind::NotFound) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Puts a value under a key, and answers its revision. A bucket that has to
    /// be made gets so many replicas.
    pub(crate) async fn put(
        &self,
        key: &str,
        value: Bytes,
        options: PutOptions,
        replicas: impl Future<Output = Result<u32>> + Send,
    ) -> Result<u64> {
        match self.bucket()?.put_opts(key, value.clone(), options).await {
            Err(error) if error.is(ErrorKind::NotFound) => {
                let config = self.config.clone().with_replicas(replicas.await?);
                self.kv.ensure_bucket(config).await?.put_opts(key, value, options).await
            }
            put => put,
        }
    }

    /// Puts a value under a key, unless what is there is to stay: then that is
    /// the answer, as `stays` has it. A race that is lost is run again some times.
    /// A bucket that has to be made gets so many replicas; without them it is
    /// `NotFound`.
    pub(crate) async fn put_unless<T: Send>(
        &self,
        key: &str,
        value: Bytes,
        replicas: Option<u32>,
        stays: impl Fn(&KvEntry) -> Option<T> + Send + Sync,
    ) -> Result<Option<T>> {
        let (mut options, mut left) = (PutOptions::create(), TRIES);
        loop {
            let put = match replicas {
                None => self.bucket()?.put_opts(key, value.clone(), options).await,
                Some(replicas) => {
                    let replicas = std::future::ready(Ok(replicas));
                    self.put(key, value.clone(), options, replicas).await
                }
            };
            let error = match put {
                Ok(_) => return Ok(None),
                Err(error) => error,
            };
            left -= 1;
            if left == 0 || !is_lost_race(error.kind()) {
                return Err(error);
            }
            options = match self.get(key).await? {
                Some(entry) => match stays(&entry) {
                    Some(theirs) => return Ok(Some(theirs)),
                    None => PutOptions::update(entry.revision),
                },
                None => PutOptions::create(),
            };
        }
    }

    /// Erases what is under a key, unless it was replaced since it had this
    /// revision, where one is named; answers whether it did. That needs a right of
    /// its own: without it a marker is left.
    pub(crate) async fn erase(&self, key: &str, revision: Option<u64>) -> Result<bool> {
        if self.right.may_be_there() {
            let erased = self.bucket()?.erase(key, revision).await;
            if let Some(erased) = self.allowed(erased)? {
                return Ok(erased > 0);
            }
        }
        self.remove(key, revision).await
    }

    /// Erases some of the markers under keys that begin like this, where that is
    /// allowed; answers whether there may be more.
    ///
    /// Nobody needs them: what is put under such a key meanwhile stays.
    pub(crate) async fn sweep(&self, prefix: &str) -> Result<bool> {
        if !self.right.may_be_there() {
            return Ok(false);
        }
        let markers = self.markers(prefix).await?;
        let may_be_more = markers.len() >= MOST_ERASED;
        for (key, revision) in markers {
            if self.allowed(self.bucket()?.erase(&key, Some(revision)).await)?.is_none() {
                return Ok(false);
            }
        }
        Ok(may_be_more)
    }

    /// Keys of which a marker is left, and its revision.
    async fn markers(&self, prefix: &str) -> Result<Vec<(String, u64)>> {
        let mut markers = Vec::new();
        let look = |entry: KvEntry| {
            if !entry.is_live() {
                markers.push((entry.key, entry.revision));
            }
            if markers.len() < MOST_ERASED {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        self.each(prefix, look).await?;
        Ok(markers)
    }

    /// What came of erasing something; `None` where it isn't allowed, which is
    /// told when it is found out.
    fn allowed(&self, erased: Result<u64>) -> Result<Option<u64>> {
        match erased {
            Err(error) if error.is(ErrorKind::PermissionDenied) => {
                if self.right.was_refused() {
                    let bucket = &self.config.name;
                    tracing::info!(bucket, %error, "a marker is left of each key that is removed");
                }
                Ok(None)
            }
            Err(error) => Err(error),
            Ok(erased) => {
                self.right.was_there();
                Ok(Some(erased))
            }
        }
    }

    /// Removes what is under a key, unless it was replaced since it had this
    /// revision, where one is named; answers whether it did. A marker is left.
    pub(crate) async fn remove(&self, key: &str, revision: Option<u64>) -> Result<bool> {
        let mut options = RemoveOptions::purge();
        options.expected = revision;
        match self.bucket()?.remove(key, options).await {
            Err(error) if error.is(ErrorKind::Conflict) => Ok(false),
            removed => removed.map(|_| true),
        }
    }
}

/// Whether another one was quicker.
pub(crate) fn is_lost_race(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::AlreadyExists | ErrorKind::Conflict)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use naq_core::Error;
    use naq_core::kv::{MockKvBucket, MockKvStore};

    use super::*;
    use crate::made_up::memory_store;

    fn values(entries: Vec<Option<KvEntry>>) -> Vec<Option<Bytes>> {
        entries.into_iter().map(|entry| entry.map(|entry| entry.value)).collect()
    }

    #[tokio::test]
    async fn a_bucket_that_is_not_there_has_nothing_and_is_made_by_who_keeps_something() {
        let bucket = OwnBucket::new(memory_store(), BucketConfig::new("own"));
        let nobody = bucket.put_unless("s.a", "1".into(), None, |_| Some(())).await;
        assert!(nobody.unwrap_err().is(ErrorKind::NotFound));
        let both = || vec!["s.a".to_owned(), "s.b".to_owned()];
        assert_eq!(bucket.get("s.a").await.unwrap(), None);
        assert_eq!(bucket.get_many(both(), Consistency::Any).await.unwrap(), [None, None]);
        assert!(bucket.keys("s.").await.unwrap().is_empty());
        for key in ["s.b", "t.b"] {
            let replicas = std::future::ready(Ok(1));
            bucket.put(key, "1".into(), PutOptions::create(), replicas).await.unwrap();
        }
        let found = values(bucket.get_many(both(), Consistency::Any).await.unwrap());
        assert_eq!(found, [None, Some("1".into())]);
        assert_eq!(bucket.keys("s.").await.unwrap(), ["s.b"]);
        let revision = bucket.get("s.b").await.unwrap().unwrap().revision;
        assert!(!bucket.remove("s.b", Some(revision + 1)).await.unwrap());
        assert!(bucket.remove("s.b", Some(revision)).await.unwrap());
        assert_eq!(bucket.get_many(both(), Consistency::Any).await.unwrap(), [None, None]);
    }

    #[tokio::test]
    async fn what_is_better_stays_and_what_is_not_is_replaced() {
        let bucket = OwnBucket::new(memory_store(), BucketConfig::new("own"));
        // A longer value is better.
        let put = async |value: &'static str| {
            let stays =
                |entry: &KvEntry| (entry.value.len() >= value.len()).then(|| entry.value.clone());
            bucket.put_unless("a", value.into(), Some(1), stays).await.unwrap()
        };
        assert_eq!(put("12").await, None);
        assert_eq!(put("1").await, Some("12".into()));
        assert_eq!(put("123").await, None);
        let revision = bucket.get("a").await.unwrap().unwrap().revision;
        bucket.remove("a", Some(revision)).await.unwrap();
        assert_eq!(put("1").await, None);
        assert_eq!(bucket.get("a").await.unwrap().unwrap().value, "1");
    }

    #[tokio::test]
    async fn what_is_erased_leaves_nothing_and_markers_are_swept() {
        let bucket = OwnBucket::new(memory_store(), BucketConfig::new("own"));
        assert!(!bucket.sweep("s.").await.unwrap(), "there is no bucket yet");
        let put = async |key: &str| {
            let replicas = std::future::ready(Ok(1));
            bucket.put(key, "1".into(), PutOptions::default(), replicas).await.unwrap()
        };
        let left = async || bucket.bucket().unwrap().status().await.unwrap().values;
        let (before, now) = (put("s.a").await, put("s.a").await);
        assert!(!bucket.erase("s.a", Some(before)).await.unwrap());
        assert_eq!(bucket.get("s.a").await.unwrap().unwrap().revision, now);
        assert!(bucket.erase("s.a", Some(now)).await.unwrap());
        assert_eq!(left().await, 0);
        for key in ["s.a", "s.b", "t.a"] {
            let revision = put(key).await;
            assert!(key == "s.b" || bucket.remove(key, Some(revision)).await.unwrap());
        }
        assert_eq!(left().await, 3);
        for _ in 0..2 {
            assert!(!bucket.sweep("s.").await.unwrap());
            assert_eq!(left().await, 2);
        }
        assert_eq!(bucket.keys("s.").await.unwrap(), ["s.b"]);
        for number in 0..=MOST_ERASED {
            bucket.remove(&format!("u.{number}"), None).await.unwrap();
        }
        assert!(bucket.sweep("u.").await.unwrap());
        assert_eq!(left().await, 3);
        assert!(!bucket.sweep("u.").await.unwrap());
        assert_eq!(left().await, 2);
    }

    #[tokio::test]
    async fn who_may_not_erase_leaves_markers_and_does_not_ask_each_time() {
        let mut own = MockKvBucket::new();
        own.expect_erase().times(1).returning(|_, _| {
            Err(Error::new(ErrorKind::PermissionDenied, "erase", "not by these credentials"))
        });
        own.expect_remove().times(2).returning(|_, options| {
            assert_eq!(options.expected, Some(7));
            Ok(8)
        });
        let (mut kv, own) = (MockKvStore::new(), Arc::new(own));
        kv.expect_bucket().returning(move |_| Ok(Arc::clone(&own) as Arc<dyn KvBucket>));
        let bucket = OwnBucket::new(Arc::new(kv), BucketConfig::new("own"));
        for _ in 0..2 {
            assert!(bucket.erase("a", Some(7)).await.unwrap());
        }
        assert!(!bucket.sweep("").await.unwrap());
    }

    #[tokio::test]
    async fn a_race_that_is_always_lost_is_given_up() {
        let bucket = OwnBucket::new(memory_store(), BucketConfig::new("own"));
        bucket.put_unless("a", "1".into(), Some(1), |_| Some(())).await.unwrap();
        // By the time that this one puts again, another one has.
        let stays = |entry: &KvEntry| {
            let raced = async {
                let options = PutOptions::update(entry.revision);
                bucket.bucket()?.put_opts("a", entry.value.clone(), options).await
            };
            raced.now_or_never().unwrap().unwrap();
            None::<()>
        };
        let error = bucket.put_unless("a", "2".into(), None, stays).await.unwrap_err();
        assert!(is_lost_race(error.kind()), "{error}");
        assert_eq!(bucket.get("a").await.unwrap().unwrap().value, "1");
    }
}
