//! How much memory this process takes.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::Outcome;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(50);

/// The resident memory of this process now, in bytes.
pub(super) fn resident() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")).ok_or("no VmRSS in status")?;
    Ok(kib.trim().parse::<u64>()? * 1024)
}

/// Watches for the most that it takes.
pub(super) struct Peak {
    most: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
    watcher: JoinHandle<()>,
}

impl Peak {
    /// Begins to watch.
    pub(super) fn watch() -> Self {
        let (most, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let watcher = thread::spawn({
            let (most, done) = (Arc::clone(&most), Arc::clone(&done));
            move || {
                while !done.load(Ordering::Relaxed) {
                    most.fetch_max(resident().unwrap_or(0), Ordering::Relaxed);
                    thread::sleep(INTERVAL);
                }
            }
        });
        Self { most, done, watcher }
    }

    /// The most since then, in bytes.
    pub(super) fn most(self) -> Outcome<u64> {
        self.done.store(true, Ordering::Relaxed);
        self.watcher.join().map_err(|_| "the watcher panicked")?;
        Ok(self.most.load(Ordering::Relaxed))
    }
}
