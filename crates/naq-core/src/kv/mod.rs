//! The ports to key-value buckets.
//!
//! A bucket holds keys with values. Each change gets a revision, a number that
//! rises in the whole bucket, by which a change can be made dependent on what
//! was read (compare and set). `naq-kv` implements both ports in NATS's own
//! wire format, so that every other NATS client reads the same buckets.

mod bucket;
mod bucket_ext;
mod entry;
mod name;
mod options;
mod store_ext;
mod watch;
mod write;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::jetstream::Consistency;
use crate::{BoxStream, Result};

pub use bucket::{BucketConfig, BucketStatus, MAX_HISTORY};
pub use bucket_ext::KvBucketExt;
pub use entry::{KvEntry, KvOperation};
pub use name::{MAX_BUCKET_BYTES, MAX_KEY_BYTES, check_bucket, check_key, check_prefix};
pub use options::{GetOptions, PutMode, PutOptions, RemoveMode, RemoveOptions};
pub use store_ext::KvStoreExt;
pub use watch::{KeySelection, KvUpdate, WatchFrom, WatchOptions};
pub use write::{KeyResult, KvChange, KvWrite, Modified, ModifyFn};

/// Makes, finds and deletes buckets.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait KvStore: Debug + Send + Sync + 'static {
    /// Creates a bucket; creating it again with an equal configuration changes nothing.
    ///
    /// # Errors
    /// `AlreadyExists` for a bucket of that name that differs;
    /// `InvalidArgument` for a name or value out of its range; `Unsupported`
    /// for what the server cannot do.
    async fn create_bucket(&self, config: BucketConfig) -> Result<Arc<dyn KvBucket>>;

    /// Makes a bucket be as wanted: creates it, leaves it, or updates it.
    ///
    /// Idempotent; safe when several processes do it at the same time.
    ///
    /// # Errors
    /// `Conflict` that names each field with both values where the difference
    /// can't be mended, or would lose values; then nothing is changed.
    async fn ensure_bucket(&self, config: BucketConfig) -> Result<Arc<dyn KvBucket>>;

    /// A handle to a bucket, without asking the server whether it is there:
    /// where it isn't, the handle's calls are `NotFound`.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no name of a bucket.
    fn bucket(&self, name: &str) -> Result<Arc<dyn KvBucket>>;

    /// Deletes a bucket with all its keys.
    ///
    /// # Errors
    /// `NotFound`.
    async fn delete_bucket(&self, name: &str) -> Result<()>;

    /// The status of every bucket, by name.
    fn list_buckets(&self) -> BoxStream<'static, Result<BucketStatus>>;
}

forward_port! {
    KvStore {
        plain {
            bucket(name: &str) -> Result<Arc<dyn KvBucket>>;
            list_buckets() -> BoxStream<'static, Result<BucketStatus>>;
        }
        boxed {
            create_bucket[](config: BucketConfig) -> Result<Arc<dyn KvBucket>>;
            ensure_bucket[](config: BucketConfig) -> Result<Arc<dyn KvBucket>>;
            delete_bucket['a](name: &'a str) -> Result<()>;
        }
    }
}

/// One bucket.
///
/// Keys are checked before anything is sent (`InvalidArgument`, see
/// [`check_key`]). A missing bucket is `NotFound`. A change whose answer got
/// lost is `OutcomeUnknown`; where it depended on a revision, the key is read
/// back first, and what is found out is told. What a bucket's configuration
/// or the server cannot do is `Unsupported`.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait KvBucket: Debug + Send + Sync + 'static {
    /// Its name.
    fn name(&self) -> &str;

    /// Gives a key a value and answers the revision.
    ///
    /// # Errors
    /// `AlreadyExists` ([`PutMode::Create`]: the key has a value) or
    /// `Conflict` ([`PutMode::Update`]: another revision is the latest), both
    /// with `found`, the latest revision; `TooLarge`, `LimitReached` (a full
    /// bucket), `OutcomeUnknown`.
    async fn put_opts(&self, key: &str, value: Bytes, options: PutOptions) -> Result<u64>;

    /// A revision of a key, by default the latest; `None` where there is none.
    ///
    /// A marker of a removal is an entry too: ask [`KvEntry::is_live`], or use
    /// [`KvBucketExt::get`].
    async fn get_opts(&self, key: &str, options: GetOptions) -> Result<Option<KvEntry>>;

    /// Removes a key and answers the revision of the marker that is left.
    ///
    /// A key that isn't there gets a marker too, as NATS has it.
    ///
    /// # Errors
    /// `Conflict` with `found`, the latest revision, where another one was
    /// expected; `OutcomeUnknown`.
    async fn remove(&self, key: &str, options: RemoveOptions) -> Result<u64>;

    /// Erases a key's revisions up to one, or all that there are, markers too,
    /// and leaves no marker; answers how many there were.
    ///
    /// What was put since that revision stays, so that nothing is lost which
    /// nobody has seen. Who watches isn't told. It may be done again.
    ///
    /// # Errors
    /// `PermissionDenied` without the right to purge the bucket's stream, or
    /// where that allows no purges; `OutcomeUnknown`.
    async fn erase(&self, key: &str, revision: Option<u64>) -> Result<u64>;

    /// The keys that have a value, each once, in no particular order.
    ///
    /// A key that has a value from the first poll to the end is listed, also
    /// while others change it; one that is put or removed meanwhile may or may
    /// not be. The names listed so far are held in memory.
    fn keys(&self, selection: KeySelection) -> BoxStream<'static, Result<String>>;

    /// All revisions of a key that the bucket holds, oldest first, markers
    /// included; of more than [`MAX_HISTORY`], which only a bucket made by
    /// others can have, the newest.
    async fn history(&self, key: &str) -> Result<Vec<KvEntry>>;

    /// Watches keys; see [`KvUpdate`] for what comes.
    ///
    /// Opens when first polled, and survives reconnects: every key's latest
    /// value arrives, every revision as long as the bucket holds it, none
    /// twice. The first error ends it: `NotFound` (the bucket was deleted, or
    /// isn't there), `Conflict` (it was made anew), `PermissionDenied`,
    /// `InvalidArgument`. Dropping it ends what it holds on the server.
    fn watch(&self, options: WatchOptions) -> BoxStream<'static, Result<KvUpdate>>;

    /// Carries out many changes, pipelined, and yields a result per change, in
    /// their order.
    ///
    /// Each stands alone: one failure doesn't stop the rest, and there is no
    /// order among different keys. Dropping the answer stops; what was sent
    /// may be stored.
    fn write_many(&self, writes: Vec<KvWrite>) -> BoxStream<'static, KeyResult<u64>>;

    /// Gets the latest revision of many keys, pipelined, a result per key, in
    /// their order; `None` where there is none. Markers are entries too.
    fn get_many(
        &self,
        keys: Vec<String>,
        consistency: Consistency,
    ) -> BoxStream<'static, KeyResult<Option<KvEntry>>>;

    /// Carries out all changes or none, and answers their revisions, which
    /// follow one another; readers see all of them or none.
    ///
    /// At most 1,000 changes, each of another key; none is an empty answer.
    ///
    /// # Errors
    /// `Unsupported` where server or bucket cannot; `AlreadyExists` or
    /// `Conflict` with `keys`, those whose condition failed; `OutcomeUnknown`.
    async fn transaction(&self, writes: Vec<KvWrite>) -> Result<Vec<u64>>;

    /// Reads a key, lets `change` decide, and writes what it decided only if
    /// nobody changed the key meanwhile; otherwise tries again, as often as
    /// the implementation is configured to, with growing, jittered waits.
    ///
    /// # Errors
    /// What `change` answers; `Conflict` after the last lost race;
    /// `OutcomeUnknown`, after which `change` is not called again.
    async fn modify(&self, key: &str, change: ModifyFn) -> Result<Modified>;

    /// How the bucket is and what it holds.
    async fn status(&self) -> Result<BucketStatus>;
}

forward_port! {
    KvBucket {
        plain {
            name() -> &str;
            keys(selection: KeySelection) -> BoxStream<'static, Result<String>>;
            watch(options: WatchOptions) -> BoxStream<'static, Result<KvUpdate>>;
            write_many(writes: Vec<KvWrite>) -> BoxStream<'static, KeyResult<u64>>;
            get_many(keys: Vec<String>, consistency: Consistency)
                -> BoxStream<'static, KeyResult<Option<KvEntry>>>;
        }
        boxed {
            put_opts['a](key: &'a str, value: Bytes, options: PutOptions) -> Result<u64>;
            get_opts['a](key: &'a str, options: GetOptions) -> Result<Option<KvEntry>>;
            remove['a](key: &'a str, options: RemoveOptions) -> Result<u64>;
            erase['a](key: &'a str, revision: Option<u64>) -> Result<u64>;
            history['a](key: &'a str) -> Result<Vec<KvEntry>>;
            transaction[](writes: Vec<KvWrite>) -> Result<Vec<u64>>;
            modify['a](key: &'a str, change: ModifyFn) -> Result<Modified>;
            status[]() -> Result<BucketStatus>;
        }
    }
}
