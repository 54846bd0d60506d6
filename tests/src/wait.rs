//! Waiting for something to become true, with a deadline.
//!
//! Deadlines are real time even under tokio's paused clock: what these wait for
//! (a process, a socket, a server) does not know of it.

use std::future::Future;
use std::time::{Duration, Instant};

const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Polls `check` until it is true.
///
/// # Panics
/// When it isn't within the deadline, naming `what` was awaited. The deadline is
/// looked at between polls: a check that never returns is not interrupted.
pub async fn until(what: &str, within: Duration, mut check: impl AsyncFnMut() -> bool) {
    some(what, within, async || check().await.then_some(())).await;
}

/// Polls `check` until it has a value, and hands that out.
///
/// # Panics
/// As [`until`].
pub async fn some<T>(what: &str, within: Duration, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = check().await {
            return value;
        }
        assert!(start.elapsed() < within, "waited {within:?} in vain for {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Awaits `future` for at most the given time (tokio's clock).
///
/// # Panics
/// When it isn't done by then, naming `what` was awaited.
pub async fn within<T>(what: &str, limit: Duration, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {limit:?} in vain for {what}"),
    }
}
