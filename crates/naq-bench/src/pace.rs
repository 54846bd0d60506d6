//! Calls at an even pace.

use std::thread;
use std::time::{Duration, Instant};

/// Says when the next call is due, and waits for it.
pub(crate) struct Pace {
    begun: Instant,
    /// None: as fast as they come.
    interval: Option<Duration>,
    calls: u32,
}

impl Pace {
    /// So many calls a second, the first one now; none at all for no pace.
    pub(crate) fn per_second(calls: u64) -> Self {
        let interval = (calls > 0).then(|| Duration::from_secs(1) / calls as u32);
        Self { begun: Instant::now(), interval, calls: 0 }
    }

    /// Waits until the next call is due, which a late one is at once.
    ///
    /// Sleeping is no more exact than a timer of the system, some 50 µs: calls
    /// then come a few at a time, as they do in a program.
    pub(crate) fn wait(&mut self) {
        let Some(interval) = self.interval else { return };
        let due = self.begun + interval * self.calls;
        self.calls += 1;
        if let Some(early) = due.checked_duration_since(Instant::now()) {
            thread::sleep(early);
        }
    }
}
