//! Figures of a set of events, each over those that have the field.

use naq_core::events::{Event, EventMeasures, EventType, Percentiles};

use crate::digests::{Cell, Digest, Distribution, Key, Name, Outcome};

/// How the run that an event tells of ended: `job_failed` needs no `success` to
/// say so.
pub(crate) fn outcome(event: &Event) -> Outcome {
    match Outcome::of(event) {
        Outcome::Open if event.event_type == EventType::JobFailed => Outcome::Failure,
        outcome => outcome,
    }
}

/// The same of the cells of a digest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcomes {
    /// The name of failures there, if it has one.
    failed: Option<Name>,
}

impl Outcomes {
    /// Those of a digest's cells.
    pub(crate) fn of(digest: &Digest) -> Self {
        Self { failed: digest.place(EventType::JobFailed.as_str()) }
    }

    /// The key with how the runs of its events ended.
    pub(crate) fn told(self, key: &Key) -> Key {
        match key.outcome {
            Outcome::Open if self.failed == Some(key.event_type) => {
                Key { outcome: Outcome::Failure, ..*key }
            }
            _ => *key,
        }
    }
}

/// Adds up the figures of events, one by one or by cells of digests: both
/// come to the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct MeasuresFold {
    /// How many events.
    pub(crate) total: u64,
    /// How many of them say how they ended.
    pub(crate) outcomes: u64,
    /// How many of them ended well.
    pub(crate) successes: u64,
    /// Their `duration`s.
    pub(crate) durations: Distribution,
    /// Their `queue_wait`s.
    pub(crate) waits: Distribution,
}

impl MeasuresFold {
    /// Adds an event.
    pub(crate) fn observe(&mut self, event: &Event) {
        self.add_outcomes(outcome(event).success(), 1);
        event.duration.into_iter().for_each(|seconds| self.durations.observe(seconds));
        event.queue_wait.into_iter().for_each(|seconds| self.waits.observe(seconds));
    }

    /// Adds the events of a cell.
    pub(crate) fn add(&mut self, key: &Key, cell: &Cell) {
        self.add_outcomes(key.outcome.success(), cell.count);
        cell.add_values(&mut self.durations, &mut self.waits);
    }

    /// Adds all of another one.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.total += other.total;
        self.outcomes += other.outcomes;
        self.successes += other.successes;
        self.durations.merge(&other.durations);
        self.waits.merge(&other.waits);
    }

    fn add_outcomes(&mut self, success: Option<bool>, count: u64) {
        self.total += count;
        if let Some(success) = success {
            self.outcomes += count;
            self.successes += if success { count } else { 0 };
        }
    }

    /// The share that ended well, of those that say.
    pub(crate) fn success_rate(&self) -> Option<f64> {
        (self.outcomes > 0).then(|| self.successes as f64 / self.outcomes as f64)
    }

    /// The figures.
    pub(crate) fn finish(&self) -> EventMeasures {
        let (durations, mut measures) = (&self.durations, EventMeasures::default());
        measures.total_count = self.total;
        measures.success_rate = self.success_rate();
        measures.average_duration = durations.mean();
        (measures.min_duration, measures.max_duration) = (durations.min(), durations.max());
        let quantile = |share| durations.quantile(share);
        measures.percentiles = Percentiles::new(quantile(0.50), quantile(0.95), quantile(0.99));
        measures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_over_the_events_that_have_the_field() {
        let mut fold = MeasuresFold::default();
        fold.observe(&Event::new("x"));
        fold.observe(&Event::new("x").with_success(true));
        fold.observe(&Event::new("x").with_success(false).with_duration(2.0));
        fold.observe(&Event::new("x").with_duration(4.0));
        let measures = fold.finish();
        assert_eq!(measures.total_count, 4);
        assert_eq!(measures.success_rate, Some(0.5));
        assert_eq!(measures.average_duration, Some(3.0));
        assert_eq!((measures.min_duration, measures.max_duration), (Some(2.0), Some(4.0)));
        fold.observe(&Event::job_failed("j", "refused", 1.0));
        fold.observe(&Event::job_failed("j", "refused", 1.0).with_success(true));
        assert_eq!((fold.outcomes, fold.successes), (4, 2));
    }

    #[test]
    fn nothing_has_no_figures() {
        assert_eq!(MeasuresFold::default().finish(), EventMeasures::default());
    }
}
