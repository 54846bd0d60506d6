//! Where events stand in the spool, and sets of such places.

use std::collections::BTreeMap;
use std::fmt;

/// Where an event stands in its spool: 1 for the first, and so on.
///
/// A position is of use as long as its spool is open, and until its event has
/// its outcome; a spool that was emptied counts from 1 again when it is opened
/// the next time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpoolPosition(pub(super) u64);

impl SpoolPosition {
    /// Before every event: to read from here is to read from the beginning.
    pub const START: Self = Self(0);

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The place behind this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for SpoolPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A set of positions, kept as runs of neighbours: a million in a row cost
/// what one costs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PositionSet {
    /// The last of each run, by its first. No two runs touch.
    runs: BTreeMap<u64, u64>,
    count: u64,
}

impl PositionSet {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { runs: BTreeMap::new(), count: 0 }
    }

    /// Everything from `first` to `last`, both included; nothing where `last` is before `first`.
    #[must_use]
    pub fn run(first: SpoolPosition, last: SpoolPosition) -> Self {
        let mut set = Self::new();
        set.insert_run(first.0, last.0);
        set
    }

    /// Adds a position. Answers whether it is new.
    pub fn insert(&mut self, position: SpoolPosition) -> bool {
        self.insert_run(position.0, position.0) == 1
    }

    /// Whether the position is in it.
    #[must_use]
    pub fn contains(&self, position: SpoolPosition) -> bool {
        self.first_outside(position.0) != position.0
    }

    /// How many positions are in it.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.count
    }

    /// Whether none is in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The runs of neighbours, in order: the first and the last of each.
    pub fn runs(&self) -> impl Iterator<Item = (SpoolPosition, SpoolPosition)> + '_ {
        self.pairs().map(|(first, last)| (SpoolPosition(first), SpoolPosition(last)))
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.runs.iter().map(|(&first, &last)| (first, last))
    }

    /// The first and the last of all.
    pub(super) fn ends(&self) -> Option<(u64, u64)> {
        let (&first, _) = self.runs.first_key_value()?;
        let (_, &last) = self.runs.last_key_value()?;
        Some((first, last))
    }

    /// Adds a run. Answers how many of it are new.
    pub(super) fn insert_run(&mut self, first: u64, last: u64) -> u64 {
        if last < first {
            return 0;
        }
        let (mut from, mut to, mut known) = (first, last, 0);
        // Going back from the end, each run that touches the new one melts into it.
        while let Some((&start, &end)) = self.runs.range(..=to.saturating_add(1)).next_back() {
            if end.saturating_add(1) < from {
                break;
            }
            known += end - start + 1;
            self.runs.remove(&start);
            from = from.min(start);
            to = to.max(end);
        }
        self.runs.insert(from, to);
        let new = to - from + 1 - known;
        self.count += new;
        new
    }

    /// The first position from `from` on that is not in it.
    pub(super) fn first_outside(&self, from: u64) -> u64 {
        match self.runs.range(..=from).next_back() {
            Some((_, &end)) if end >= from => end.saturating_add(1),
            _ => from,
        }
    }

    /// Adds those of another set.
    pub(crate) fn add(&mut self, other: &Self) {
        for (first, last) in other.pairs() {
            self.insert_run(first, last);
        }
    }

    /// Takes out all that is before this position.
    pub(crate) fn forget_before(&mut self, position: SpoolPosition) {
        *self = self.within(position.0, u64::MAX);
    }

    /// The runs of it that lie between `first` and `last`, cut to them.
    pub(super) fn within(&self, first: u64, last: u64) -> Self {
        let mut within = Self::new();
        let before = self.runs.range(..first).next_back();
        let inside = self.runs.range(first..).take_while(|(start, _)| **start <= last);
        for (&start, &end) in before.into_iter().chain(inside) {
            within.insert_run(start.max(first), end.min(last));
        }
        within
    }
}

impl Extend<SpoolPosition> for PositionSet {
    fn extend<I: IntoIterator<Item = SpoolPosition>>(&mut self, positions: I) {
        for position in positions {
            self.insert(position);
        }
    }
}

impl FromIterator<SpoolPosition> for PositionSet {
    fn from_iter<I: IntoIterator<Item = SpoolPosition>>(positions: I) -> Self {
        let mut set = Self::new();
        set.extend(positions);
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_become_one_run() {
        let set: PositionSet = [5, 7, 6, 1, 9].map(SpoolPosition).into_iter().collect();
        assert_eq!(set.pairs().collect::<Vec<_>>(), [(1, 1), (5, 7), (9, 9)]);
        assert_eq!(set.len(), 5);
        assert!(set.contains(SpoolPosition(6)) && !set.contains(SpoolPosition(8)));
    }

    proptest! {
        #[test]
        fn it_holds_what_a_set_of_numbers_would(
            runs in prop::collection::vec((1_u64..60, 0_u64..12), 0..20),
            (first, last) in (0_u64..70, 0_u64..70),
        ) {
            let (mut set, mut model) = (PositionSet::new(), BTreeSet::new());
            for (start, length) in runs {
                let new = (start..start + length).filter(|&at| model.insert(at)).count();
                prop_assert_eq!(set.insert_run(start, (start + length).wrapping_sub(1)), new as u64);
            }
            prop_assert_eq!(set.len(), model.len() as u64);
            let listed: Vec<u64> = set.pairs().flat_map(|(first, last)| first..=last).collect();
            prop_assert_eq!(&listed, &model.iter().copied().collect::<Vec<_>>());
            let pairs: Vec<_> = set.pairs().collect();
            prop_assert!(pairs.windows(2).all(|two| two[0].1 + 1 < two[1].0));
            let outside = (first..).find(|at| !model.contains(at)).unwrap();
            prop_assert_eq!(set.first_outside(first), outside);
            let within: Vec<u64> = set.within(first, last).pairs().flat_map(|(a, b)| a..=b).collect();
            let expected: Vec<u64> =
                model.iter().copied().filter(|at| (first..=last).contains(at)).collect();
            prop_assert_eq!(within, expected);
        }
    }
}
