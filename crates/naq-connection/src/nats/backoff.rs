//! How long to wait before the next try to connect.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// Waits that double from `min` to `max`, each with up to half of it taken off at random.
///
/// The first try of a series doesn't wait: after a short break one is back at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

impl Backoff {
    /// The wait before a try; tries count from 1.
    pub(crate) fn wait(&self, attempt: usize) -> Duration {
        // Random keys, made anew each time, are all the chance that jitter needs.
        let random = RandomState::new().hash_one(attempt);
        self.wait_with(attempt, random)
    }

    fn wait_with(&self, attempt: usize, random: u64) -> Duration {
        if attempt <= 1 {
            return Duration::ZERO;
        }
        let doublings = u32::try_from(attempt - 2).unwrap_or(u32::MAX).min(30);
        let full = self.min.saturating_mul(1 << doublings).min(self.max);
        #[allow(clippy::cast_precision_loss, reason = "jitter needs no precision")]
        let share = random as f64 / u64::MAX as f64;
        full.mul_f64(1.0 - share / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff =
        Backoff { min: Duration::from_millis(100), max: Duration::from_secs(5) };

    #[test]
    fn waits_double_up_to_the_cap() {
        let waits: Vec<_> = [1, 2, 3, 4, 8, 1_000_000]
            .map(|attempt| BACKOFF.wait_with(attempt, 0).as_millis())
            .into();
        assert_eq!(waits, [0, 100, 200, 400, 5_000, 5_000]);
    }

    #[test]
    fn jitter_takes_off_up_to_half() {
        assert_eq!(BACKOFF.wait_with(3, u64::MAX), Duration::from_millis(100));
        let waits: std::collections::HashSet<_> = (0..20).map(|_| BACKOFF.wait(5)).collect();
        assert!(waits.len() > 1, "twenty waits of one length are no jitter");
    }
}
