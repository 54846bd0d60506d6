//! The events of a small cell, in as little room as they take.

use naq_core::Timestamp;

use super::moment::{Moment, Nanos};

/// Events, sorted; values that none of them has take no room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Few {
    times: Vec<Timestamp>,
    /// One for each time, or empty where no event has one.
    durations: Vec<Option<Nanos>>,
    /// The same of the waits.
    waits: Vec<Option<Nanos>>,
}

impl Few {
    /// Adds an event behind those that are not after it.
    pub(super) fn insert(&mut self, moment: Moment) {
        // They mostly come in the order of their times.
        let mut place = self.times.partition_point(|at| *at < moment.at);
        while self.get(place).is_some_and(|before| before <= moment) {
            place += 1;
        }
        let had = self.times.len();
        for (values, value) in
            [(&mut self.durations, moment.duration), (&mut self.waits, moment.wait)]
        {
            if value.is_some() && values.is_empty() {
                values.resize(had, None);
            } else if value.is_none() && values.is_empty() {
                continue;
            }
            values.insert(place, value);
        }
        self.times.insert(place, moment.at);
    }

    fn get(&self, place: usize) -> Option<Moment> {
        let value = |values: &[Option<Nanos>]| values.get(place).copied().flatten();
        let at = *self.times.get(place)?;
        Some(Moment { at, duration: value(&self.durations), wait: value(&self.waits) })
    }

    /// Each of them, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Moment> {
        (0..self.times.len()).filter_map(|place| self.get(place))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    /// When the first and the last of them happened; `None` without one.
    pub(super) fn ends(&self) -> Option<(Timestamp, Timestamp)> {
        Some((*self.times.first()?, *self.times.last()?))
    }

    /// How many bytes they take in memory beside itself, about.
    pub(super) fn weight(&self) -> usize {
        let values = self.durations.capacity() + self.waits.capacity();
        self.times.capacity() * size_of::<Timestamp>() + values * size_of::<Option<Nanos>>()
    }
}

impl FromIterator<Moment> for Few {
    fn from_iter<T: IntoIterator<Item = Moment>>(moments: T) -> Self {
        let mut moments: Vec<_> = moments.into_iter().collect();
        moments.sort_unstable();
        let values = |value: fn(&Moment) -> Option<Nanos>| {
            let has_some = moments.iter().any(|moment| value(moment).is_some());
            if has_some { moments.iter().map(value).collect() } else { Vec::new() }
        };
        Self {
            times: moments.iter().map(|moment| moment.at).collect(),
            durations: values(|moment| moment.duration),
            waits: values(|moment| moment.wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn one_by_one_in_any_order_they_are_the_same_as_together(
            all in prop::collection::vec((0_i64..9, 0_u128..4, 0_u128..4), 0..40),
        ) {
            // Some have no duration, and often none has a wait.
            let value = |nanos: u128| Nanos::new(nanos).filter(|_| nanos > 1);
            let moment = |&(at, duration, wait): &(i64, u128, u128)| Moment {
                at: Timestamp::from_nanos(at),
                duration: value(duration),
                wait: value(wait).filter(|_| all.len() > 20),
            };
            let together: Few = all.iter().map(moment).collect();
            let mut one_by_one = Few::default();
            all.iter().map(moment).for_each(|moment| one_by_one.insert(moment));
            prop_assert_eq!(&one_by_one, &together);
            let mut sorted: Vec<_> = all.iter().map(moment).collect();
            sorted.sort();
            prop_assert_eq!(together.len(), sorted.len());
            prop_assert_eq!(together.iter().collect::<Vec<_>>(), sorted);
        }
    }

    #[test]
    fn what_no_event_has_takes_no_room() {
        let at = |nanos| Moment { at: Timestamp::from_nanos(nanos), duration: None, wait: None };
        let times: Few = (0..100).map(at).collect();
        assert_eq!(times.weight(), 100 * 8);
        let waited = Moment { wait: Nanos::new(1), ..at(100) };
        let some: Few = (0..100).map(at).chain([waited]).collect();
        assert_eq!(some.weight(), 2 * 101 * 8);
    }
}
