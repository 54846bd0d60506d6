//! The numbers under which the account knows events, by their place in the spool.

use std::collections::VecDeque;

use crate::spool::SpoolPosition;

/// The number of every event that an earlier process left in the spool: it
/// comes before all that this one accepts.
pub(super) const RECOVERED: u64 = 0;

/// Runs of events whose positions and numbers both rise by one.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// The first position and the first number of each run, both rising.
    runs: VecDeque<(SpoolPosition, u64)>,
    /// The next of the last run.
    next: Option<(SpoolPosition, u64)>,
}

impl Numbers {
    /// Notes that the event of this number stands at this position, behind all others.
    pub(super) fn push(&mut self, position: SpoolPosition, number: u64) {
        if self.next != Some((position, number)) {
            self.runs.push_back((position, number));
        }
        self.next = Some((position.next(), number + 1));
    }

    /// The number of the event at this position.
    pub(super) fn get(&self, position: SpoolPosition) -> u64 {
        let behind = self.runs.partition_point(|(first, _)| *first <= position);
        let Some((first, number)) = behind.checked_sub(1).map(|at| self.runs[at]) else {
            return RECOVERED;
        };
        number + (position.get() - first.get())
    }

    /// The smallest number from this position on. Positions and numbers don't
    /// rise together everywhere: the events of different entities have no order
    /// among them.
    pub(super) fn smallest_from(&self, position: SpoolPosition) -> u64 {
        let behind = self.runs.iter().filter(|(first, _)| *first > position);
        behind.map(|(_, number)| *number).fold(self.get(position), u64::min)
    }

    /// Forgets all: there is nothing in the spool.
    pub(super) fn clear(&mut self) {
        self.runs.clear();
        self.next = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64) -> SpoolPosition {
        (0..position).fold(SpoolPosition::START, |position, _| position.next())
    }

    #[test]
    fn a_position_has_the_number_that_was_noted() {
        let mut numbers = Numbers::default();
        for (position, number) in [(4, 7), (5, 8), (6, 11), (7, 12)] {
            numbers.push(at(position), number);
        }
        let read = |position| numbers.get(at(position));
        assert_eq!([3, 4, 5, 6, 7].map(read), [RECOVERED, 7, 8, 11, 12]);
        assert_eq!(numbers.runs.len(), 2, "neighbours are one run");
        numbers.push(at(8), 9);
        assert_eq!(numbers.smallest_from(at(6)), 9);
    }
}
