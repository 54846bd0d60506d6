//! How much of what was sent still waits for its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::time::Instant;

/// Counts answers that are still missing, so that closing can await them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Work(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    open: AtomicUsize,
    idle: Notify,
}

impl Work {
    /// One more answer is missing, until the guard is dropped.
    pub(crate) fn begin(&self) -> WorkGuard {
        let mut guard = WorkGuard { shared: Arc::clone(&self.0), count: 0 };
        guard.set(1);
        guard
    }

    /// A guard for a changing number of answers, none at first.
    pub(crate) fn several(&self) -> WorkGuard {
        WorkGuard { shared: Arc::clone(&self.0), count: 0 }
    }

    /// Waits until nothing is missing and says how much still is at the deadline.
    pub(crate) async fn idle(&self, deadline: Instant) -> usize {
        let wait = async {
            loop {
                let mut changed = std::pin::pin!(self.0.idle.notified());
                changed.as_mut().enable();
                if self.0.open.load(Ordering::Acquire) == 0 {
                    return;
                }
                changed.await;
            }
        };
        match tokio::time::timeout_at(deadline, wait).await {
            Ok(()) => 0,
            Err(_) => self.0.open.load(Ordering::Acquire),
        }
    }
}

/// Missing answers that are counted until it is dropped.
#[derive(Debug)]
pub(crate) struct WorkGuard {
    shared: Arc<Shared>,
    count: usize,
}

impl WorkGuard {
    /// This many answers are missing now.
    pub(crate) fn set(&mut self, count: usize) {
        if count == self.count {
            return;
        }
        let open = &self.shared.open;
        if count > self.count {
            open.fetch_add(count - self.count, Ordering::AcqRel);
        } else if open.fetch_sub(self.count - count, Ordering::AcqRel) == self.count - count {
            self.shared.idle.notify_waiters();
        }
        self.count = count;
    }
}

impl Drop for WorkGuard {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn idle_waits_for_the_last_guard_and_counts_at_the_deadline() {
        let work = Work::default();
        assert_eq!(work.idle(Instant::now()).await, 0);
        let one = work.begin();
        let mut many = work.several();
        many.set(3);
        assert_eq!(work.idle(Instant::now() + Duration::from_secs(1)).await, 4);
        drop(one);
        let waiter = tokio::spawn({
            let work = work.clone();
            async move { work.idle(Instant::now() + Duration::from_secs(60)).await }
        });
        tokio::task::yield_now().await;
        many.set(0);
        assert_eq!(waiter.await.unwrap(), 0);
    }
}
