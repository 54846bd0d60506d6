//! What a digest tells apart, and what it counts of each.

use naq_core::Timestamp;
use naq_core::events::Event;

use super::distribution::Distribution;

/// The nanoseconds of a minute.
const MINUTE: i64 = 60_000_000_000;

/// A minute, counted from 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Minute(pub(crate) i64);

impl Minute {
    /// Stands for all minutes that a digest doesn't tell apart.
    pub(crate) const APART: Self = Self(i64::MAX);

    /// The minute of a time.
    pub(crate) const fn of(time: Timestamp) -> Self {
        Self(time.as_nanos().div_euclid(MINUTE))
    }

    /// When it begins.
    pub(crate) const fn start(self) -> Timestamp {
        Timestamp::from_nanos(self.0.saturating_mul(MINUTE))
    }

    /// Its last nanosecond.
    pub(crate) const fn end(self) -> Timestamp {
        Timestamp::from_nanos(self.0.saturating_mul(MINUTE).saturating_add(MINUTE - 1))
    }
}

/// How what an event tells of ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Outcome {
    /// The event doesn't say.
    Open,
    /// `success` is false.
    Failure,
    /// `success` is true.
    Success,
}

impl Outcome {
    /// The outcome of an event.
    pub(crate) const fn of(event: &Event) -> Self {
        match event.success {
            None => Self::Open,
            Some(false) => Self::Failure,
            Some(true) => Self::Success,
        }
    }

    /// The event's `success`.
    pub(crate) const fn success(self) -> Option<bool> {
        match self {
            Self::Open => None,
            Self::Failure => Some(false),
            Self::Success => Some(true),
        }
    }
}

/// A name of an event, by its place in a table of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Name {
    /// The event has none.
    Absent,
    /// The digest doesn't tell it, because there were too many.
    Dropped,
    /// The name at this place.
    At(u32),
}

/// What is told apart: events that agree in all of it are one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// The minute in which they happened.
    pub(crate) minute: Minute,
    /// Their type.
    pub(crate) event_type: Name,
    /// Their queue.
    pub(crate) queue: Name,
    /// Their kind of job.
    pub(crate) job_name: Name,
    /// How they ended.
    pub(crate) outcome: Outcome,
}

/// What is counted of the events of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    /// How many.
    pub(crate) count: u64,
    /// When the first of them happened.
    pub(crate) first: Timestamp,
    /// When the last of them happened.
    pub(crate) last: Timestamp,
    /// How many events they tell to be lost.
    pub(crate) lost: u64,
    /// Their `duration`s, of those that have one.
    pub(crate) durations: Option<Box<Distribution>>,
    /// Their `queue_wait`s, of those that have one.
    pub(crate) waits: Option<Box<Distribution>>,
}

impl Cell {
    /// The cell of one event.
    pub(crate) fn of(event: &Event, at: Timestamp) -> Self {
        let distribution = |seconds: f64| Box::new(Distribution::of(seconds));
        Self {
            count: 1,
            first: at,
            last: at,
            lost: event.lost_count().unwrap_or(0),
            durations: event.duration.map(distribution),
            waits: event.queue_wait.map(distribution),
        }
    }

    /// Adds an event.
    pub(crate) fn observe(&mut self, event: &Event, at: Timestamp) {
        self.count += 1;
        self.first = self.first.min(at);
        self.last = self.last.max(at);
        self.lost = self.lost.saturating_add(event.lost_count().unwrap_or(0));
        for (all, seconds) in
            [(&mut self.durations, event.duration), (&mut self.waits, event.queue_wait)]
        {
            if let Some(seconds) = seconds {
                all.get_or_insert_default().observe(seconds);
            }
        }
    }

    /// Adds all of another one.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.lost = self.lost.saturating_add(other.lost);
        for (all, more) in
            [(&mut self.durations, &other.durations), (&mut self.waits, &other.waits)]
        {
            if let Some(more) = more {
                all.get_or_insert_default().merge(more);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_its_first_and_its_last_nanosecond() {
        for nanos in [0, 1, MINUTE - 1, -1, -MINUTE, i64::MAX, i64::MIN] {
            let at = Timestamp::from_nanos(nanos);
            let minute = Minute::of(at);
            assert!(minute.start() <= at && at <= minute.end(), "{nanos}");
        }
        assert_eq!(Minute::of(Timestamp::from_nanos(-1)), Minute(-1));
        assert_eq!(Minute(0).end().as_nanos() + 1, Minute(1).start().as_nanos());
    }
}
