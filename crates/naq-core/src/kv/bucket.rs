//! Buckets: how they shall be, and how they are.

use std::time::Duration;

use crate::Timestamp;
use crate::jetstream::{Compression, Storage};

/// The most revisions of one key that a bucket may keep.
pub const MAX_HISTORY: u64 = 64;

/// How a bucket shall be, or is.
///
/// `None` is *unset*: creation takes the default that each field names, and
/// `ensure_bucket` leaves what is there. In what a bucket's status tells,
/// every field but the description is set. For limits `Some(0)` (or a zero
/// duration) is *unlimited*.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketConfig {
    /// Its name: `[a-zA-Z0-9_-]+`, at most 200 bytes.
    pub name: String,
    /// A text for people.
    pub description: Option<String>,
    /// How many revisions of each key are kept: 1 (the default) to 64.
    pub history: Option<u64>,
    /// The age at which revisions go; by default they stay.
    pub max_age: Option<Duration>,
    /// The most bytes in all, history and overhead included; unlimited by default.
    /// What would go beyond is refused with `LimitReached`.
    pub max_bytes: Option<u64>,
    /// The largest value in bytes, headers included; unlimited by default
    /// (the server's own limit holds in any case).
    pub max_value_size: Option<u64>,
    /// Where it is kept: on disk by default.
    pub storage: Option<Storage>,
    /// How many servers hold it; 1 by default.
    pub replicas: Option<u32>,
    /// Whether it is compressed on disk; not by default.
    pub compression: Option<Compression>,
    /// Allows a TTL per key, and leaves a marker for this long (whole seconds,
    /// at least one) where a key aged away, so that watchers learn of it.
    ///
    /// Needs a server from 2.11 on. Zero, the default, is off; once on it
    /// can't be turned off.
    pub marker_ttl: Option<Duration>,
    /// Whether transactions are possible. Needs a server from 2.12 on; by
    /// default on where the server can, off where it cannot.
    pub transactions: Option<bool>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $with:ident => $field:ident: $type:ty),* $(,)?) => {
        $($(#[$doc])* #[must_use] pub fn $with(mut self, value: $type) -> Self {
            self.$field = Some(value);
            self
        })*
    };
}

impl BucketConfig {
    /// A bucket of a name, all else unset.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Sets the text for people.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    setters! {
        /// Sets how many revisions of each key are kept.
        with_history => history: u64,
        /// Sets the age at which revisions go.
        with_max_age => max_age: Duration,
        /// Sets the most bytes in all.
        with_max_bytes => max_bytes: u64,
        /// Sets the largest value in bytes.
        with_max_value_size => max_value_size: u64,
        /// Sets where it is kept.
        with_storage => storage: Storage,
        /// Sets how many servers hold it.
        with_replicas => replicas: u32,
        /// Sets whether it is compressed on disk.
        with_compression => compression: Compression,
        /// Allows a TTL per key, with markers that stay this long.
        with_marker_ttl => marker_ttl: Duration,
        /// Sets whether transactions are possible.
        with_transactions => transactions: bool,
    }
}

/// A bucket as the server tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketStatus {
    /// How it is.
    pub config: BucketConfig,
    /// How many revisions it holds, those of other than the latest and markers included.
    pub values: u64,
    /// How many keys it holds, those of which only a marker is left included.
    pub keys: u64,
    /// How many bytes it holds, overhead included.
    pub bytes: u64,
    /// The revision given out last; 0 in a new bucket.
    pub last_revision: u64,
    /// When it was created: a bucket made anew under the same name differs here.
    pub created: Timestamp,
    /// The stream that holds it.
    pub stream: String,
}

impl BucketStatus {
    /// The status of an empty bucket.
    #[must_use]
    pub fn new(config: BucketConfig, stream: impl Into<String>, created: Timestamp) -> Self {
        Self {
            config,
            values: 0,
            keys: 0,
            bytes: 0,
            last_revision: 0,
            created,
            stream: stream.into(),
        }
    }
}
