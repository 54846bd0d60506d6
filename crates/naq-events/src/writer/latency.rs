//! How long events take until they are stored.

use std::time::Duration;

use naq_core::events::AckLatency;
use sketches_ddsketch::{Config, DDSketch};

/// A measurement is kept for one to two of these.
const WINDOW: Duration = Duration::from_secs(60);

/// The latencies of the last one to two minutes, in two sketches that take turns.
pub(super) struct Latencies {
    current: DDSketch,
    previous: DDSketch,
    until: Duration,
}

impl Latencies {
    pub(super) fn new() -> Self {
        Self { current: sketch(), previous: sketch(), until: Duration::ZERO }
    }

    /// So many events were confirmed at `now`, each this long after it was accepted.
    pub(super) fn record(&mut self, latency: Duration, count: u64, now: Duration) {
        if now >= self.until {
            let last = std::mem::replace(&mut self.current, sketch());
            // After a pause the last minute is none of the last two.
            let is_recent = now < self.until.saturating_add(WINDOW);
            self.previous = if is_recent { last } else { sketch() };
            self.until = now.saturating_add(WINDOW);
        }
        self.current.add_with_count(latency.as_secs_f64(), count);
    }

    /// What was measured lately.
    pub(super) fn summary(&self, now: Duration) -> AckLatency {
        let mut all = sketch();
        let age = now.saturating_sub(self.until);
        let recent = [(&self.current, WINDOW), (&self.previous, Duration::ZERO)];
        for (part, lasts) in recent {
            if age.is_zero() || age < lasts {
                // They are of one configuration: merging can't fail.
                let _ = all.merge(part);
            }
        }
        let at = |quantile: f64| {
            let seconds = all.quantile(quantile).ok().flatten();
            seconds.map_or(Duration::ZERO, seconds_to_duration)
        };
        let mut summary = AckLatency::default();
        summary.count = all.count() as u64;
        (summary.p50, summary.p90, summary.p99) = (at(0.5), at(0.9), at(0.99));
        summary.max = all.max().map_or(Duration::ZERO, seconds_to_duration);
        summary
    }
}

/// As exact as 1 % of the value.
fn sketch() -> DDSketch {
    DDSketch::new(Config::defaults())
}

fn seconds_to_duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

impl std::fmt::Debug for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Latencies").field("until", &self.until).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn percentiles_are_those_of_the_last_minutes() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.summary(Duration::ZERO), AckLatency::default());
        latencies.record(10 * MS, 90, Duration::ZERO);
        latencies.record(1_000 * MS, 10, WINDOW / 2);
        let summary = latencies.summary(WINDOW / 2);
        assert_eq!(summary.count, 100);
        let near = |told: Duration, ms: u128| {
            assert!(told.as_micros().abs_diff(ms * 1_000) <= ms * 20, "{told:?} for {ms} ms");
        };
        near(summary.p50, 10);
        near(summary.p99, 1_000);
        near(summary.max, 1_000);
        latencies.record(2 * MS, 1, WINDOW + MS);
        assert_eq!(latencies.summary(WINDOW + MS).count, 101);
        latencies.record(2 * MS, 1, 2 * WINDOW + 2 * MS);
        assert_eq!(latencies.summary(2 * WINDOW + 2 * MS).count, 2);
    }

    #[test]
    fn what_is_old_is_left_out_though_nothing_new_came() {
        let mut latencies = Latencies::new();
        latencies.record(MS, 1, Duration::ZERO);
        assert_eq!(latencies.summary(WINDOW + MS).count, 1);
        assert_eq!(latencies.summary(3 * WINDOW).count, 0);
        latencies.record(MS, 1, 5 * WINDOW);
        assert_eq!(latencies.summary(5 * WINDOW).count, 1);
    }
}
