//! Watching keys, and choosing which.

use super::KvEntry;

/// Which keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeySelection {
    /// Every key.
    #[default]
    All,
    /// Every key that begins with this text, at a dot or not.
    Prefix(String),
    /// This key.
    Key(String),
}

impl KeySelection {
    /// Every key that begins with this text; the empty one is every key.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self::Prefix(prefix.into())
    }

    /// This key.
    pub fn key(key: impl Into<String>) -> Self {
        Self::Key(key.into())
    }

    /// Whether a key is one of them.
    #[must_use]
    pub fn matches(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Prefix(prefix) => key.starts_with(prefix.as_str()),
            Self::Key(one) => key == one,
        }
    }
}

/// Where a watch begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WatchFrom {
    /// With the latest revision of each key as it stands, then every change.
    #[default]
    Now,
    /// With all revisions that the bucket still holds, then every change.
    History,
    /// With the first change after the watch has opened.
    Updates,
}

/// What to watch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchOptions {
    /// Which keys.
    pub keys: KeySelection,
    /// Where to begin.
    pub from: WatchFrom,
    /// Whether to leave markers of removals out.
    pub ignore_removals: bool,
    /// Whether to leave the values away.
    pub without_values: bool,
}

impl WatchOptions {
    /// These keys, from now.
    #[must_use]
    pub fn new(keys: KeySelection) -> Self {
        Self { keys, ..Self::default() }
    }

    /// Sets where to begin.
    #[must_use]
    pub fn with_from(mut self, from: WatchFrom) -> Self {
        self.from = from;
        self
    }

    /// Sets whether to leave markers of removals out.
    #[must_use]
    pub fn with_ignore_removals(mut self, ignore_removals: bool) -> Self {
        self.ignore_removals = ignore_removals;
        self
    }

    /// Sets whether to leave the values away.
    #[must_use]
    pub fn with_without_values(mut self, without_values: bool) -> Self {
        self.without_values = without_values;
        self
    }
}

/// What a watch yields. Recovery is part of it, so that nobody can overlook it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KvUpdate {
    /// A revision of a watched key; revisions rise strictly within one watch.
    Entry(KvEntry),
    /// All that was there when the watch opened, or resumed, has been
    /// delivered; what follows is live.
    ///
    /// Comes once, and once after each [`KvUpdate::Resumed`]; also where no key matches.
    CaughtUp {
        /// The bucket's last revision at that moment.
        revision: u64,
    },
    /// The connection broke and was made anew: every revision behind this one
    /// that the bucket still holds follows, none twice.
    Resumed {
        /// The last revision known to be examined.
        revision: u64,
    },
    /// The bucket let these revisions go unread: newer ones took their place,
    /// or they aged away (of which no entry tells where the bucket has no
    /// `marker_ttl`).
    Gap {
        /// The first revision that is gone.
        from: u64,
        /// The last revision that is gone.
        to: u64,
    },
}
