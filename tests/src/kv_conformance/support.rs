//! What the topics share: a bucket of one's own, and watching that can't hang.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use naq_core::jetstream::{Capabilities, JetStream, JetStreamExt, ReadOptions, StoredMessage};
use naq_core::kv::{
    BucketConfig, KeySelection, KvBucket, KvBucketExt, KvEntry, KvStore, KvUpdate, WatchOptions,
};
use naq_core::{BoxStream, Error, ErrorKind, Result};

use crate::{names, wait};

/// How long a topic waits for what must come. Deletion of a bucket may take a
/// watcher 15 s to notice; everything else is far quicker.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// What a behaviour is driven on.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The store.
    pub store: Arc<dyn KvStore>,
    /// The JetStream it stands on, to look at what it stored, and to meddle.
    pub js: Arc<dyn JetStream>,
}

impl Subject {
    /// A store and the JetStream it stands on.
    pub fn new(store: Arc<dyn KvStore>, js: Arc<dyn JetStream>) -> Self {
        Self { store, js }
    }

    pub(super) fn can(&self) -> Capabilities {
        self.js.capabilities()
    }

    /// A configuration with a name nobody else takes.
    pub(super) fn config(&self) -> BucketConfig {
        BucketConfig::new(names::unique("kv"))
    }

    /// A bucket that keeps this many revisions of a key.
    pub(super) async fn bucket(&self, history: u64) -> Own {
        self.bucket_with(|config| config.with_history(history)).await
    }

    /// A bucket with what `configure` sets.
    pub(super) async fn bucket_with(
        &self,
        configure: impl FnOnce(BucketConfig) -> BucketConfig,
    ) -> Own {
        let config = configure(self.config());
        let name = config.name.clone();
        let bucket = self.store.create_bucket(config).await.unwrap();
        Own { on: self.clone(), name, bucket }
    }
}

/// A bucket that only one topic knows.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) on: Subject,
    pub(super) name: String,
    pub(super) bucket: Arc<dyn KvBucket>,
}

impl Own {
    pub(super) fn stream(&self) -> String {
        format!("KV_{}", self.name)
    }

    /// Puts each pair, in order.
    pub(super) async fn put_all<const N: usize>(&self, pairs: [(&str, &str); N]) {
        for (key, value) in pairs {
            self.bucket.put(key, value.to_owned()).await.unwrap();
        }
    }

    /// The value of a key as text.
    pub(super) async fn value(&self, key: &str) -> Option<String> {
        self.bucket.get(key).await.unwrap().map(|entry| text(&entry))
    }

    /// The revisions that are kept of a key.
    pub(super) async fn history(&self, key: &str) -> Vec<String> {
        self.bucket.history(key).await.unwrap().iter().map(told).collect()
    }

    /// The keys of a selection, sorted.
    pub(super) async fn keys(&self, selection: KeySelection) -> Vec<String> {
        let keys = self.bucket.keys(selection).try_collect();
        let mut keys: Vec<String> = wait::within("keys", PATIENCE, keys).await.unwrap();
        keys.sort_unstable();
        keys
    }

    pub(super) fn watch(&self, options: WatchOptions) -> Watching {
        Watching(self.bucket.watch(options))
    }

    /// All messages of the bucket's stream.
    pub(super) async fn messages(&self) -> Vec<StoredMessage> {
        self.on.js.read_to_head(&self.stream(), ReadOptions::default()).await.unwrap()
    }
}

pub(super) fn text(entry: &KvEntry) -> String {
    String::from_utf8(entry.value.to_vec()).unwrap()
}

/// An entry as `revision key=value` or `revision operation key`.
pub(super) fn told(entry: &KvEntry) -> String {
    let KvEntry { key, revision, operation, .. } = entry;
    match entry.is_live() {
        true => format!("{revision} {key}={}", text(entry)),
        false => format!("{revision} {operation} {key}"),
    }
}

/// A watch that is waited for with a deadline.
pub(super) struct Watching(BoxStream<'static, Result<KvUpdate>>);

impl Watching {
    /// The next update, which must come.
    pub(super) async fn next(&mut self) -> Result<KvUpdate> {
        let next = wait::within("an update of a watch", PATIENCE, self.0.next()).await;
        next.expect("a watch has no end but an error")
    }

    /// The next update: an entry as [`told`] has it, anything else as `Debug` has it.
    pub(super) async fn told(&mut self) -> String {
        match self.next().await.unwrap() {
            KvUpdate::Entry(entry) => told(&entry),
            KvUpdate::CaughtUp { revision } => format!("caught up at {revision}"),
            other => format!("{other:?}"),
        }
    }

    /// The next updates.
    pub(super) async fn tells<const N: usize>(&mut self, expected: [&str; N]) {
        for expected in expected {
            assert_eq!(self.told().await, expected);
        }
    }

    /// The error that ends the watch.
    pub(super) async fn fails(&mut self) -> Error {
        loop {
            match self.next().await {
                Ok(update) => assert!(!matches!(update, KvUpdate::Entry(_)), "{update:?}"),
                Err(error) => return error,
            }
        }
    }

    /// Reads until the watch has caught up, and answers the entries.
    pub(super) async fn caught_up(&mut self) -> Vec<KvEntry> {
        let mut entries = Vec::new();
        loop {
            match self.next().await.unwrap() {
                KvUpdate::Entry(entry) => entries.push(entry),
                KvUpdate::CaughtUp { .. } => return entries,
                other => panic!("{other:?} before the watch has caught up"),
            }
        }
    }
}

/// The error of a call that must be refused, of this kind.
pub(super) fn refused<T: Debug>(result: Result<T>, kind: ErrorKind) -> Error {
    let error = result.expect_err("must be refused");
    assert_eq!(error.kind(), kind, "{error:?}");
    error
}
