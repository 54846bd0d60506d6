//! The system's clock, on tokio's timer.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::time::Instant;

use super::Clock;
use crate::Timestamp;

/// The system's wall clock and tokio's timer.
///
/// Sleeping needs a tokio runtime with its timer enabled; reading the time
/// does not. A sleep wakes up to a millisecond late, which is the timer's
/// resolution.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time counts from now.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep_until(&self, deadline: Duration) {
        match self.start.checked_add(deadline) {
            Some(instant) => tokio::time::sleep_until(instant).await,
            // Later than the platform's clock can count: nobody lives to see it.
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_sleeps_until_the_deadline_and_not_past_it() {
        let clock = SystemClock::new();
        clock.sleep_until(Duration::from_secs(5)).await;
        assert!(clock.monotonic() >= Duration::from_secs(5));
        assert!(clock.monotonic() < Duration::from_secs(6));
    }

    #[test]
    fn wall_time_is_of_this_century() {
        let year_2020 = Timestamp::from_nanos(1_577_836_800_000_000_000);
        assert!(SystemClock::new().now() > year_2020);
    }
}
