//! What became of the work that a service had accepted when it stopped.

use std::ops::AddAssign;

/// The account of a stop, in units of the service's work: events, messages, operations.
///
/// A service without work of its own answers the default: nothing of anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopReport {
    /// Finished and acknowledged while stopping.
    pub acked: u64,
    /// Not finished in time: it may have been carried out or not.
    pub pending: u64,
    /// Refused for good while stopping.
    pub failed: u64,
    /// Not finished, and kept on disk: a later start goes on with it.
    pub kept: u64,
}

impl StopReport {
    /// Sets [`acked`](Self::acked).
    #[must_use]
    pub const fn with_acked(mut self, acked: u64) -> Self {
        self.acked = acked;
        self
    }

    /// Sets [`pending`](Self::pending).
    #[must_use]
    pub const fn with_pending(mut self, pending: u64) -> Self {
        self.pending = pending;
        self
    }

    /// Sets [`failed`](Self::failed).
    #[must_use]
    pub const fn with_failed(mut self, failed: u64) -> Self {
        self.failed = failed;
        self
    }

    /// Sets [`kept`](Self::kept).
    #[must_use]
    pub const fn with_kept(mut self, kept: u64) -> Self {
        self.kept = kept;
        self
    }

    /// Whether nothing was left undone, but for what is [`kept`](Self::kept).
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.pending == 0 && self.failed == 0
    }
}

impl AddAssign for StopReport {
    fn add_assign(&mut self, other: Self) {
        self.acked = self.acked.saturating_add(other.acked);
        self.pending = self.pending.saturating_add(other.pending);
        self.failed = self.failed.saturating_add(other.failed);
        self.kept = self.kept.saturating_add(other.kept);
    }
}
