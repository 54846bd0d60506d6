//! How much memory a [`MemoryJetStream`](crate::MemoryJetStream) may take.

/// The caps of a JetStream in memory, like an account's on a server.
///
/// A program that runs away is told `LimitReached` instead of taking all the
/// memory that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryLimits {
    /// About how many bytes all streams together may take: messages as their
    /// streams count them, an estimate of what indexing them costs, and the
    /// message ids of the duplicate windows. 2 GiB by default.
    pub max_bytes: u64,
    /// How many streams there may be; 10,000 by default.
    pub max_streams: u64,
    /// The largest message in bytes, headers included; 1 MiB by default, as on a server.
    pub max_payload: u64,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self { max_bytes: 2 * 1024 * 1024 * 1024, max_streams: 10_000, max_payload: 1024 * 1024 }
    }
}

impl MemoryLimits {
    /// Sets about how many bytes all streams together may take.
    #[must_use]
    pub const fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets how many streams there may be.
    #[must_use]
    pub const fn with_max_streams(mut self, streams: u64) -> Self {
        self.max_streams = streams;
        self
    }

    /// Sets the largest message in bytes, headers included.
    #[must_use]
    pub const fn with_max_payload(mut self, bytes: u64) -> Self {
        self.max_payload = bytes;
        self
    }
}
