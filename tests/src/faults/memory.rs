//! How much memory this process takes while a scenario plays.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::child::memory_of;
use crate::ledger::Line;

/// How many scenarios have begun in this process, and how many are under way:
/// where several are, nobody knows whose the memory is.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static UNDER_WAY: AtomicU64 = AtomicU64::new(0);

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(50);

/// A look at the process's memory again and again, from when this is made
/// until it is dropped.
#[derive(Debug)]
pub(super) struct MemoryWatch {
    /// Which scenario it is, where it is the only one at its beginning.
    alone: Option<u64>,
    baseline: u64,
    peak: Arc<AtomicU64>,
    /// What the buffers of the scenario's programs may hold, in bytes.
    buffers: AtomicU64,
    looking: JoinHandle<()>,
}

impl MemoryWatch {
    pub(super) fn begin() -> Self {
        let number = BEGUN.fetch_add(1, Ordering::Relaxed);
        let alone = (UNDER_WAY.fetch_add(1, Ordering::Relaxed) == 0).then_some(number);
        let (baseline, _) = memory_of("self");
        let peak = Arc::new(AtomicU64::new(baseline));
        let looking = tokio::spawn({
            let peak = Arc::clone(&peak);
            async move {
                loop {
                    tokio::time::sleep(INTERVAL).await;
                    peak.fetch_max(memory_of("self").0, Ordering::Relaxed);
                }
            }
        });
        Self { alone, baseline, peak, buffers: AtomicU64::new(0), looking }
    }

    /// There is one more program, with such a buffer.
    pub(super) fn allow(&self, buffer: u64) {
        self.buffers.fetch_add(buffer, Ordering::Relaxed);
    }

    /// What was seen, if there was a program, and no other scenario meanwhile.
    pub(super) fn line(&self) -> Option<Line> {
        self.alone.filter(|number| number + 1 == BEGUN.load(Ordering::Relaxed))?;
        let buffer = self.buffers.load(Ordering::Relaxed);
        let peak = self.peak.load(Ordering::Relaxed);
        (buffer > 0).then_some(Line::Memory { baseline: self.baseline, peak, buffer })
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.looking.abort();
        UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
    }
}
