//! Time as a port: [`Clock`], the system's, and one that tests move by hand.
//!
//! Whatever is policy (flush intervals, backoff, block timeouts, ages, stamps)
//! reads time from a `Clock`, so that a test moves it with [`ManualClock`]
//! instead of sleeping.

mod manual;
mod system;

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;

pub use manual::ManualClock;
pub use system::SystemClock;

use crate::Timestamp;

/// Wall time, monotonic time, and sleeping until a monotonic instant.
///
/// Wall time may jump in both directions; use it for stamps only. Monotonic
/// time never goes back; use it for everything that waits or measures. A
/// monotonic instant is a [`Duration`] since a start that each clock chooses,
/// so instants of two clocks must not be mixed; clones of one clock agree.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Clock: Debug + Send + Sync + 'static {
    /// The wall time.
    fn now(&self) -> Timestamp;

    /// The time since this clock's start. Never smaller than an earlier answer.
    fn monotonic(&self) -> Duration;

    /// Returns once [`monotonic`](Clock::monotonic) is `deadline` or later; at
    /// once when it is already. Dropping the future ends the wait and leaves
    /// nothing behind.
    async fn sleep_until(&self, deadline: Duration);
}

/// What follows from a [`Clock`]'s three methods.
pub trait ClockExt: Clock {
    /// Waits for `span`, counted from the call.
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send {
        self.sleep_until(self.deadline(span))
    }

    /// The monotonic instant `span` from now.
    fn deadline(&self, span: Duration) -> Duration {
        self.monotonic().saturating_add(span)
    }

    /// How long ago the monotonic instant `start` was; zero if it lies ahead.
    fn elapsed_since(&self, start: Duration) -> Duration {
        self.monotonic().saturating_sub(start)
    }

    /// How long it is until the monotonic instant `deadline`; zero once it has passed.
    fn remaining_until(&self, deadline: Duration) -> Duration {
        deadline.saturating_sub(self.monotonic())
    }

    /// Runs `work` until it ends or the monotonic instant `deadline` passes:
    /// then `work` is dropped and the answer is `None`. Work that is ready
    /// wins over a deadline that has passed.
    fn until<F: Future + Send>(
        &self,
        deadline: Duration,
        work: F,
    ) -> impl Future<Output = Option<F::Output>> + Send
    where
        F::Output: Send,
    {
        let timer = self.sleep_until(deadline);
        async move {
            let work = std::pin::pin!(work);
            match futures::future::select(work, timer).await {
                futures::future::Either::Left((output, _)) => Some(output),
                futures::future::Either::Right(((), _)) => None,
            }
        }
    }
}

impl<T: Clock + ?Sized> ClockExt for T {}

forward_port!(Clock {
    plain {
        now() -> Timestamp;
        monotonic() -> Duration;
    }
    boxed {
        sleep_until[](deadline: Duration) -> ();
    }
});

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn work_that_ends_in_time_gives_its_output_and_late_work_gives_none() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
        let past = clock.monotonic();
        assert_eq!(clock.until(past, async { 7 }).await, Some(7));
        assert_eq!(clock.until(past, std::future::pending::<()>()).await, None);
    }

    #[tokio::test]
    async fn a_clock_behind_pointers_is_the_same_clock() {
        let inner = ManualClock::new();
        let clock: Box<Arc<dyn Clock>> = Box::new(Arc::new(inner.clone()));
        inner.advance(Duration::from_secs(3));
        assert_eq!(clock.monotonic(), inner.monotonic());
        assert_eq!(clock.now(), inner.now());
        clock.sleep_until(Duration::from_secs(1)).await;
    }
}
