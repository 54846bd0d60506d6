//! Entries: one revision of one key.

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::{Error, ErrorKind, Result, Timestamp};

/// What a revision did to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KvOperation {
    /// Gave it a value.
    Put,
    /// Took the value away; older revisions stay as the bucket's history has it.
    Delete,
    /// Took the value and all older revisions away.
    Purge,
    /// The server took it away by age or TTL.
    Expire,
}

impl KvOperation {
    /// Its name: `put`, `delete`, `purge` or `expire`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Delete => "delete",
            Self::Purge => "purge",
            Self::Expire => "expire",
        }
    }
}

impl std::fmt::Display for KvOperation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// One revision of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvEntry {
    /// The key.
    pub key: String,
    /// The value; empty for a marker of a removal.
    pub value: Bytes,
    /// Its number: rises with each change in the bucket, whatever the key.
    pub revision: u64,
    /// When the server stored it.
    pub created: Timestamp,
    /// What it did to the key.
    pub operation: KvOperation,
}

impl KvEntry {
    /// Whether the key has a value by this revision, and wasn't removed.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.operation == KvOperation::Put
    }

    /// The value read as JSON.
    ///
    /// # Errors
    /// `Corrupt` where it isn't JSON of this type; the source says where.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.value).map_err(|error| {
            Error::new(ErrorKind::Corrupt, "get_json", "the value is not JSON of the wanted type")
                .with("key", &self.key)
                .with("revision", self.revision.to_string())
                .with_source(error)
        })
    }
}
