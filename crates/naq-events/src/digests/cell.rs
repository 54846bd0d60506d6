//! What a digest tells apart, and what it counts of each.

use naq_core::Timestamp;
use naq_core::events::Event;

use super::distribution::Distribution;
use super::few::Few;
use super::moment::Moment;

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

/// Up to so many events of a cell are kept one by one: a range that ends
/// within their minute is answered exactly, whatever became of them.
pub(crate) const FEW: usize = 1_024;

/// Up to so many where there is no room for more, or the digest is an old one:
/// the distribution of more takes less room than they do.
pub(crate) const FEWER: usize = 128;

/// What is counted of the events of a cell.
///
/// The same events make the same cell, in whatever order they come.
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
    /// How many have the id of one that was counted before them, at least.
    pub(crate) repeats: u64,
    /// Each of them, sorted, where they are few; those that tell of lost ones
    /// are few where they are one.
    pub(crate) few: Few,
    /// Their values, where they aren't told apart.
    pub(crate) many: Option<Box<Values>>,
}

/// The values of a cell's events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Values {
    /// Their `duration`s, of those that have one.
    pub(crate) durations: Distribution,
    /// Their `queue_wait`s, of those that have one.
    pub(crate) waits: Distribution,
}

impl Values {
    fn observe(&mut self, event: &Event) {
        event.duration.into_iter().for_each(|seconds| self.durations.observe(seconds));
        event.queue_wait.into_iter().for_each(|seconds| self.waits.observe(seconds));
    }
}

impl Cell {
    /// The cell of one event.
    pub(crate) fn of(event: &Event, at: Timestamp) -> Self {
        let lost = event.lost_count().unwrap_or(0);
        let few: Few = Moment::of(event, at).into_iter().collect();
        let is_told = few.len() > 0;
        let (count, repeats) = (1, 0);
        let mut cell = Self { count, first: at, last: at, lost, repeats, few, many: None };
        if !is_told {
            cell.values().observe(event);
        }
        cell
    }

    /// The cell of such events, which tell of so many lost ones; `None` of none.
    pub(crate) fn of_few(few: Few, lost: u64) -> Option<Self> {
        let (first, last) = few.ends()?;
        let (count, repeats) = (few.len() as u64, 0);
        Some(Self { count, first, last, lost, repeats, few, many: None })
    }

    /// Adds an event.
    pub(crate) fn observe(&mut self, event: &Event, at: Timestamp) {
        self.count(1, (at, at), event.lost_count().unwrap_or(0));
        match Moment::of(event, at).filter(|_| self.are_few()) {
            Some(moment) => self.few.insert(moment),
            None => self.values().observe(event),
        }
    }

    /// Adds all of another one.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.merge_all(&[other]);
    }

    /// Adds all of some others.
    pub(super) fn merge_all(&mut self, others: &[&Self]) {
        for other in others {
            self.count(other.count, (other.first, other.last), other.lost);
            self.repeats += other.repeats;
        }
        if self.are_few() && others.iter().all(|other| other.is_sharp()) {
            let theirs = others.iter().flat_map(|other| other.few.iter());
            self.few = self.few.iter().chain(theirs).collect();
        } else if !others.is_empty() {
            let values = self.values();
            for other in others {
                other.add_values(&mut values.durations, &mut values.waits);
            }
        }
    }

    fn count(&mut self, count: u64, (first, last): (Timestamp, Timestamp), lost: u64) {
        self.count += count;
        self.first = self.first.min(first);
        self.last = self.last.max(last);
        self.lost = self.lost.saturating_add(lost);
    }

    /// Whether its events can be kept one by one, as far as their number says.
    fn are_few(&self) -> bool {
        self.many.is_none() && self.count <= FEW as u64 && self.lost == 0
    }

    /// The values of its events, which are told apart no more.
    fn values(&mut self) -> &mut Values {
        let few = std::mem::take(&mut self.few);
        self.many.get_or_insert_with(|| {
            let Values { mut durations, mut waits } = Values::default();
            few.iter().for_each(|moment| moment.add_values(&mut durations, &mut waits));
            Box::new(Values { durations, waits })
        })
    }

    /// The same with its events not told apart, where they are several.
    pub(crate) fn blurred(self) -> Self {
        self.blurred_beyond(1)
    }

    /// The same with its events not told apart, where they are more than so many.
    pub(crate) fn blurred_beyond(mut self, few: usize) -> Self {
        if self.count > few as u64 {
            self.values();
        }
        self
    }

    /// Whether it tells its events apart.
    pub(crate) const fn is_sharp(&self) -> bool {
        self.many.is_none()
    }

    /// The cell of those of its events that happened at such times; `None`
    /// where none did, and where they aren't told apart. Of its repeats the cell
    /// has those that can't all be among the others.
    pub(crate) fn when(&self, is_in: impl Fn(Timestamp) -> bool) -> Option<Self> {
        let few = self.few.iter().filter(|moment| is_in(moment.at)).collect();
        let part = Self::of_few(few, self.lost)?;
        let others = self.count - part.count;
        Some(Self { repeats: self.repeats.saturating_sub(others), ..part })
    }

    /// Adds the values of its events to those of others.
    pub(crate) fn add_values(&self, durations: &mut Distribution, waits: &mut Distribution) {
        self.few.iter().for_each(|moment| moment.add_values(durations, waits));
        if let Some(values) = &self.many {
            durations.merge(&values.durations);
            waits.merge(&values.waits);
        }
    }

    /// How many bytes it takes in memory with its key, about.
    pub(crate) fn weight(&self) -> usize {
        let bins = |values: &Values| values.durations.bins().len() + values.waits.bins().len();
        let many = self
            .many
            .as_deref()
            .map_or(0, |values| size_of::<Values>() + bins(values) * size_of::<(u16, u64)>());
        size_of::<(Key, Self)>() + self.few.weight() + many
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
