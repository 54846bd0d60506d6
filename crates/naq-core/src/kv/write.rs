//! Several changes at a time, and what became of each.

use bytes::Bytes;

use crate::Result;

use super::{KvEntry, PutOptions, RemoveOptions};

/// One change of a key, for bulk calls and transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvWrite {
    /// Gives the key a value.
    Put {
        /// The key.
        key: String,
        /// Its value.
        value: Bytes,
        /// Under which condition, and for how long.
        options: PutOptions,
    },
    /// Removes the key.
    Remove {
        /// The key.
        key: String,
        /// How, and under which condition.
        options: RemoveOptions,
    },
}

impl KvWrite {
    /// Gives a key a value, whatever it had.
    pub fn put(key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self::put_opts(key, value, PutOptions::default())
    }

    /// Gives a key a value under these options.
    pub fn put_opts(key: impl Into<String>, value: impl Into<Bytes>, options: PutOptions) -> Self {
        Self::Put { key: key.into(), value: value.into(), options }
    }

    /// Deletes a key; older revisions stay as the bucket's history has it.
    pub fn delete(key: impl Into<String>) -> Self {
        Self::remove(key, RemoveOptions::default())
    }

    /// Removes a key under these options.
    pub fn remove(key: impl Into<String>, options: RemoveOptions) -> Self {
        Self::Remove { key: key.into(), options }
    }

    /// The key that it changes.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Remove { key, .. } => key,
        }
    }
}

/// What became of one key of a bulk call.
#[derive(Debug, Clone)]
pub struct KeyResult<T> {
    /// The key, as it was given.
    pub key: String,
    /// What became of it.
    pub result: Result<T>,
}

impl<T> KeyResult<T> {
    /// A key and what became of it.
    pub fn new(key: impl Into<String>, result: Result<T>) -> Self {
        Self { key: key.into(), result }
    }
}

/// What [`modify`](super::KvBucket::modify) shall do with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvChange {
    /// Give it this value.
    Put(Bytes),
    /// Delete it.
    Delete,
    /// Leave it as it is.
    Keep,
}

/// Decides on a change by what the key has now: `None` where it has no value.
///
/// Called again after each lost race, so it must do nothing but decide.
pub type ModifyFn = Box<dyn FnMut(Option<&KvEntry>) -> Result<KvChange> + Send>;

/// What [`modify`](super::KvBucket::modify) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Modified {
    /// The revision that it made; `None` where it left the key as it was.
    pub revision: Option<u64>,
    /// How many tries it took, at least 1.
    pub attempts: u32,
}

impl Modified {
    /// What was done, and after how many tries.
    #[must_use]
    pub const fn new(revision: Option<u64>, attempts: u32) -> Self {
        Self { revision, attempts }
    }
}
