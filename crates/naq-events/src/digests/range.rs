//! A range of time, as digests can answer it: whole minutes, and the edges.

use naq_core::Timestamp;

use super::cell::{Cell, Minute};

/// A range of time, both ends included; an open end is the log's.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MinuteRange {
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

/// How something lies to a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lies {
    /// All of it inside.
    Inside,
    /// Partly inside.
    Across,
    /// All of it outside.
    Outside,
}

impl MinuteRange {
    /// The range in which nothing lies: it ends before it begins.
    pub(crate) const NOTHING: Self = Self::new(Some(Timestamp::MAX), Some(Timestamp::MIN));

    /// The range between these ends.
    pub(crate) const fn new(start: Option<Timestamp>, end: Option<Timestamp>) -> Self {
        Self { start, end }
    }

    /// What is in both.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let end = match (self.end, other.end) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        // No start is the earliest one.
        Self { start: self.start.max(other.start), end }
    }

    /// Whether it leaves anything out.
    pub(crate) const fn is_bounded(&self) -> bool {
        self.start.is_some() || self.end.is_some()
    }

    /// Whether a time is in it.
    pub(crate) fn contains(&self, at: Timestamp) -> bool {
        self.start.is_none_or(|start| at >= start) && self.end.is_none_or(|end| at <= end)
    }

    /// How a minute lies to it.
    pub(crate) fn minute(&self, minute: Minute) -> Lies {
        self.span(minute.start(), minute.end())
    }

    /// How the events of a cell lie to it.
    pub(crate) fn cell(&self, cell: &Cell) -> Lies {
        self.span(cell.first, cell.last)
    }

    /// How what lies between two times, both included, lies to it.
    pub(crate) fn span(&self, first: Timestamp, last: Timestamp) -> Lies {
        let is_outside =
            self.start.is_some_and(|start| last < start) || self.end.is_some_and(|end| first > end);
        match (self.contains(first) && self.contains(last), is_outside) {
            (true, _) => Lies::Inside,
            (_, true) => Lies::Outside,
            _ => Lies::Across,
        }
    }

    /// The minutes that may lie inside or across it, both included.
    pub(crate) fn minutes(&self) -> (Minute, Minute) {
        let least = Minute::of(self.start.unwrap_or(Timestamp::MIN));
        (least, Minute::of(self.end.unwrap_or(Timestamp::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_minutes_are_inside_and_the_edges_are_across() {
        let at = |seconds: i64| Some(Timestamp::from_nanos(seconds * 1_000_000_000));
        let range = MinuteRange::new(at(60), at(150));
        let lies = [0, 1, 2, 3].map(|minute| range.minute(Minute(minute)));
        assert_eq!(lies, [Lies::Outside, Lies::Inside, Lies::Across, Lies::Outside]);
        assert_eq!(range.minutes(), (Minute(1), Minute(2)));
        let open = MinuteRange::default();
        let later = MinuteRange::new(at(100), at(200));
        let both = range.and(&later);
        assert_eq!((both.start, both.end), (at(100), at(150)));
        for both in [range.and(&open), open.and(&range)] {
            assert_eq!((both.start, both.end), (range.start, range.end));
        }
        assert_eq!(open.minute(Minute(-7)), Lies::Inside);
        let point = MinuteRange::new(at(61), at(61));
        assert_eq!(point.minute(Minute(1)), Lies::Across);
        let (least, greatest) = open.minutes();
        let lies = [least, Minute(0), greatest].map(|minute| MinuteRange::NOTHING.minute(minute));
        assert_eq!(lies, [Lies::Outside; 3]);
    }
}
