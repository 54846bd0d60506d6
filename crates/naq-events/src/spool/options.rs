//! What a spool may take, and when it makes the disk keep it.

use std::time::Duration;

use naq_core::config::{SpoolConfig, SpoolFsync};

/// The largest segment, unless asked for another.
const MAX_SEGMENT: u64 = 64 << 20;
/// The smallest segment, unless asked for another.
const MIN_SEGMENT: u64 = 256 << 10;

/// How a spool is kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SpoolOptions {
    /// How many bytes of disk its events and marks may take; above that an
    /// append is refused. Marks alone may pass it a little, because they are
    /// what makes room again. Default 1 GiB.
    pub max_bytes: u64,
    /// When it makes the disk keep what was written. Default: every 100 ms.
    pub fsync: SpoolFsync,
    /// How often [`SpoolFsync::Interval`] does so, in real time.
    pub fsync_interval: Duration,
    /// How long a segment gets before the next one is begun, in bytes. Room
    /// comes back a segment at a time. Default: a sixteenth of `max_bytes`,
    /// from 256 KiB to 64 MiB.
    pub segment_bytes: u64,
}

impl Default for SpoolOptions {
    fn default() -> Self {
        let (max_bytes, fsync_interval) = (1 << 30, Duration::from_millis(100));
        let segment_bytes = segment_bytes(max_bytes);
        Self { max_bytes, fsync: SpoolFsync::Interval, fsync_interval, segment_bytes }
    }
}

impl From<&SpoolConfig> for SpoolOptions {
    fn from(config: &SpoolConfig) -> Self {
        Self::default()
            .with_max_bytes(config.max_bytes.bytes())
            .with_fsync(config.fsync)
            .with_fsync_interval(config.fsync_interval)
    }
}

impl SpoolOptions {
    /// Sets [`max_bytes`](Self::max_bytes), and [`segment_bytes`](Self::segment_bytes) with it.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self.segment_bytes = segment_bytes(bytes);
        self
    }

    /// Sets [`fsync`](Self::fsync).
    #[must_use]
    pub fn with_fsync(mut self, fsync: SpoolFsync) -> Self {
        self.fsync = fsync;
        self
    }

    /// Sets [`fsync_interval`](Self::fsync_interval).
    #[must_use]
    pub fn with_fsync_interval(mut self, interval: Duration) -> Self {
        self.fsync_interval = interval;
        self
    }

    /// Sets [`segment_bytes`](Self::segment_bytes).
    #[must_use]
    pub fn with_segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }
}

fn segment_bytes(max_bytes: u64) -> u64 {
    (max_bytes / 16).clamp(MIN_SEGMENT, MAX_SEGMENT)
}
