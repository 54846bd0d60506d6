//! Wall time that nobody can set.

use std::time::Duration;

use naq_core::Timestamp;
use naq_core::clock::Clock;

/// The wall time as it would be if nobody had set that clock since the service was
/// made: it tells the times of events before and after that apart, and never jumps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steady {
    wall: Timestamp,
    monotonic: Duration,
}

impl Steady {
    /// Steady time from now on.
    pub(super) fn new(clock: &dyn Clock) -> Self {
        Self { wall: clock.now(), monotonic: clock.monotonic() }
    }

    /// The steady time at this monotonic one.
    pub(super) fn at(&self, monotonic: Duration) -> Timestamp {
        if monotonic >= self.monotonic {
            self.wall.saturating_add(monotonic - self.monotonic)
        } else {
            self.wall.saturating_sub(self.monotonic - monotonic)
        }
    }
}
