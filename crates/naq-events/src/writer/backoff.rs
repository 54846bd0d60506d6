//! How long to wait before the next try.

use std::time::Duration;

/// A server that answers is asked for the same thing at most twice a second.
const ANSWERED_FLOOR: Duration = Duration::from_millis(500);

/// Waits that double from one bound to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
}

impl Backoff {
    pub(super) const fn new(min: Duration, max: Duration) -> Self {
        Self { min, max }
    }

    /// The wait before try number `tries + 1`, `tries` having failed.
    ///
    /// Between half and all of what doubling gives, as `jitter` (0 to 1) says,
    /// so that producers that lost one server don't come back in step; where
    /// the server `answered`, not below half a second.
    pub(super) fn wait(self, tries: u32, answered: bool, jitter: f64) -> Duration {
        let doubled = self.min.saturating_mul(1 << tries.saturating_sub(1).min(20)).min(self.max);
        let jittered = doubled.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0));
        if answered { jittered.max(ANSWERED_FLOOR) } else { jittered }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn waits_double_up_to_their_cap() {
        let backoff = Backoff::new(100 * MS, 5_000 * MS);
        let waits: Vec<_> = (1..9).map(|tries| backoff.wait(tries, false, 1.0)).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000].map(|ms| ms * MS));
        assert_eq!(backoff.wait(u32::MAX, false, 0.0), 2_500 * MS);
    }

    #[test]
    fn a_server_that_answers_is_not_asked_more_than_twice_a_second() {
        let backoff = Backoff::new(MS, 10 * MS);
        assert_eq!(backoff.wait(1, true, 0.0), 500 * MS);
        assert_eq!(backoff.wait(9, false, 1.0), 10 * MS);
    }
}
