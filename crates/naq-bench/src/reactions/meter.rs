//! What handlers see: how many events, how fast, and how long after they were stored.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::Outcome;

/// Takes what handlers see.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    count: AtomicU64,
    /// So many come first and are not measured.
    warm_up: u64,
    wanted: u64,
    begun: OnceLock<Instant>,
    done: Notify,
    /// In microseconds; `None` where only the rate is wanted.
    latencies: Option<Mutex<Vec<f64>>>,
}

impl Meter {
    /// One that measures how fast events are handled, after the first tenth.
    pub(super) fn of_rate(events: u64) -> Arc<Self> {
        Arc::new(Self { wanted: events, warm_up: events.div_ceil(10), ..Self::default() })
    }

    /// One that measures how late events are handled, after the first tenth.
    pub(super) fn of_latency(events: u64) -> Arc<Self> {
        let latencies = Some(Mutex::new(Vec::with_capacity(events as usize)));
        let warm_up = events.div_ceil(10);
        Arc::new(Self { wanted: events, warm_up, latencies, ..Self::default() })
    }

    /// An event was handled that had been stored at this time.
    pub(super) fn handled(&self, stored_at_nanos: i64) {
        let count = self.count.fetch_add(1, Ordering::AcqRel) + 1;
        if let Some(latencies) = &self.latencies
            && count > self.warm_up
        {
            let now = jiff::Timestamp::now().as_nanosecond();
            let micros = (now - i128::from(stored_at_nanos)) as f64 / 1_000.0;
            latencies.lock().unwrap_or_else(PoisonError::into_inner).push(micros);
        }
        if count == self.warm_up {
            self.begun.get_or_init(Instant::now);
        }
        if count == self.wanted {
            self.done.notify_one();
        }
    }

    /// Waits until all have been handled; answers how many a second.
    pub(super) async fn all(&self, patience: Duration) -> Outcome<f64> {
        timeout(patience, self.done.notified()).await?;
        let begun = self.begun.get().ok_or("nothing was measured")?;
        Ok((self.wanted - self.warm_up) as f64 / begun.elapsed().as_secs_f64())
    }

    /// What was measured, in microseconds.
    pub(super) fn latencies(&self) -> Vec<f64> {
        let Some(latencies) = &self.latencies else { return Vec::new() };
        std::mem::take(&mut latencies.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The value that this share of the measurements doesn't exceed; none of none.
pub(super) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
