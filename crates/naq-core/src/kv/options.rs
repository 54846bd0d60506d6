//! How one key is written, read and removed.

use std::time::Duration;

use crate::jetstream::Consistency;

/// What must hold for a value to be put.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PutMode {
    /// Nothing.
    #[default]
    Overwrite,
    /// The key has no value: it never had one, or it was removed.
    Create,
    /// The key's latest revision, a marker's too, is this one; 0 for none at all.
    Update(u64),
}

/// How to put a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutOptions {
    /// What must hold.
    pub mode: PutMode,
    /// After how long the server takes the key away: whole seconds, at least
    /// one. Needs a bucket with a `marker_ttl`.
    pub ttl: Option<Duration>,
}

impl PutOptions {
    /// Only where the key has no value.
    #[must_use]
    pub const fn create() -> Self {
        Self { mode: PutMode::Create, ttl: None }
    }

    /// Only where this is the key's latest revision.
    #[must_use]
    pub const fn update(revision: u64) -> Self {
        Self { mode: PutMode::Update(revision), ttl: None }
    }

    /// Sets what must hold.
    #[must_use]
    pub const fn with_mode(mut self, mode: PutMode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets after how long the server takes the key away.
    #[must_use]
    pub const fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }
}

/// Which revision to get, and who may answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetOptions {
    /// This revision rather than the latest.
    pub revision: Option<u64>,
    /// Who may answer: by default the leader, which sees every acknowledged change.
    pub consistency: Consistency,
}

impl GetOptions {
    /// This revision.
    #[must_use]
    pub const fn at(revision: u64) -> Self {
        Self { revision: Some(revision), consistency: Consistency::Leader }
    }

    /// Sets who may answer.
    #[must_use]
    pub const fn with_consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = consistency;
        self
    }
}

/// What a removal leaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RemoveMode {
    /// A marker behind the older revisions, which stay as the bucket's history has it.
    #[default]
    Delete,
    /// A marker alone.
    Purge,
}

/// How to remove a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoveOptions {
    /// What it leaves.
    pub mode: RemoveMode,
    /// Only where this is the key's latest revision; 0 for none at all.
    pub expected: Option<u64>,
    /// After how long the server takes the marker away: whole seconds, at
    /// least one, and with [`RemoveMode::Purge`] alone (older revisions would
    /// show again). Needs a bucket with a `marker_ttl`.
    pub marker_ttl: Option<Duration>,
}

impl RemoveOptions {
    /// Leaves a marker alone.
    #[must_use]
    pub const fn purge() -> Self {
        Self { mode: RemoveMode::Purge, expected: None, marker_ttl: None }
    }

    /// Sets what it leaves.
    #[must_use]
    pub const fn with_mode(mut self, mode: RemoveMode) -> Self {
        self.mode = mode;
        self
    }

    /// Only where this is the key's latest revision.
    #[must_use]
    pub const fn with_expected(mut self, revision: u64) -> Self {
        self.expected = Some(revision);
        self
    }

    /// Sets after how long the server takes the marker away.
    #[must_use]
    pub const fn with_marker_ttl(mut self, ttl: Duration) -> Self {
        self.marker_ttl = Some(ttl);
        self
    }
}
