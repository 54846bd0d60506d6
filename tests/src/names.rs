//! Names nobody else takes, for tests that share a server.

use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A name that starts with `prefix` and is no other test's: good as a stream,
/// bucket or consumer name, and as one token of a subject.
///
/// Unique among the running processes of one machine, which is as far as a
/// server of this harness can be shared.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}_{}_{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
