//! The section `kv_stores`: how buckets are worked with.

use std::time::Duration;

use super::section::section;

section! {
    /// The section `kv_stores`.
    pub struct KvStoresConfig {
        /// How often `update_with` tries before it answers Conflict.
        update_attempts (with_update_attempts): u32 = 16, 1..=1_000;
        /// The longest wait between two tries of `update_with`; it grows up to this, with jitter.
        update_backoff_max (with_update_backoff_max): Duration = Duration::from_millis(250),
            Duration::ZERO..=Duration::from_secs(60);
    }
}
