//! What a keeper tells of itself: the value of its lease.

use std::time::Duration;

use naq_core::Timestamp;
use serde::{Deserialize, Serialize};

/// A keeper, and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeeperStatus {
    /// Its name: process id and a random part.
    pub keeper: String,
    /// Since when it is the keeper, by its clock.
    pub since: Timestamp,
    /// When it gave the last sign of life, by the server's clock.
    #[serde(default)]
    pub renewed_at: Timestamp,
    /// How long ago that was when it was asked for, in seconds, by the same clock.
    #[serde(default)]
    pub silent: f64,
    /// How long another one waits for a sign of life, in seconds.
    pub lease: f64,
    /// Through which sequence it has digested the log.
    pub through: u64,
    /// How many sequences the log had behind that when it was asked for.
    pub behind: u64,
    /// How many sequences that index is behind the log which is furthest
    /// behind it. One that is up to date is made to go on once 32,000 have come.
    #[serde(default)]
    pub index_behind: u64,
    /// How many events it has digested since it is the keeper.
    pub digested: u64,
    /// How many events it has removed since then, because they were too old.
    pub removed: u64,
    /// How many digests it has removed since then, because they were too old.
    #[serde(default)]
    pub digests_removed: u64,
    /// How many it has made coarser since then, because they were that old.
    #[serde(default)]
    pub digests_coarsened: u64,
    /// How long the server took for the longest step of the last removal, in
    /// seconds: for at most so long at a time it acknowledged nothing.
    pub last_removal_took: Option<f64>,
    /// When that step was, by the server's clock.
    pub last_removal: Option<Timestamp>,
    /// What stands in its way.
    pub trouble: Option<String>,
}

/// One that was silent for so many of its leases has died.
const LEASES: f64 = 3.0;

impl KeeperStatus {
    /// Whether it gave no sign of life for three of its leases: it has died, and
    /// no other one has taken over.
    #[must_use]
    pub fn has_died(&self) -> bool {
        self.silent > LEASES * self.lease
    }

    /// One that has done nothing yet.
    pub(super) fn new(keeper: String, since: Timestamp, lease: Duration) -> Self {
        Self {
            keeper,
            since,
            renewed_at: since,
            silent: 0.0,
            lease: lease.as_secs_f64(),
            through: 0,
            behind: 0,
            index_behind: 0,
            digested: 0,
            removed: 0,
            digests_removed: 0,
            digests_coarsened: 0,
            last_removal_took: None,
            last_removal: None,
            trouble: None,
        }
    }

    /// As seen at a time at which the log ended there.
    pub(super) fn seen(self, now: Timestamp, last: u64) -> Self {
        // A log that ends before what was digested was made anew, or has lost its end.
        let behind = if last < self.through { last } else { last - self.through };
        let silent = now.since(self.renewed_at).as_secs_f64();
        Self { behind, silent, ..self }
    }

    /// How long it is waited for.
    pub(super) fn patience(&self) -> Duration {
        // One that tells no time that there is has none.
        Duration::try_from_secs_f64(self.lease).unwrap_or_default()
    }
}
