//! Cells put together by longer stretches than minutes: those of whole hours are
//! what a day asks of a digest without adding up its minutes.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::cell::{Cell, Key, Minute};

/// The minutes of an hour, and of a day.
const MINUTES: i64 = 60;
const OF_A_DAY: i64 = 24 * MINUTES;

/// How finely a question tells times apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Grain {
    /// Events of different minutes must not be put together.
    Minute,
    /// Those of one hour of UTC may be.
    Hour,
    /// Those of one day of UTC may be.
    Day,
    /// All may be.
    Whole,
}

impl Grain {
    /// The minute that stands for all that may be put together with this one.
    pub(super) fn stretch(self, minute: Minute) -> Minute {
        let first_of = |length: i64| match minute {
            Minute::APART => minute,
            Minute(minute) => Minute(minute.div_euclid(length) * length),
        };
        match self {
            Self::Minute => minute,
            Self::Hour => first_of(MINUTES),
            Self::Day => first_of(OF_A_DAY),
            Self::Whole => Minute::APART,
        }
    }
}

/// A digest's cells by hour, added up when they are asked for again: once, the
/// cells of its minutes are as quick.
///
/// They follow from the digest and are no part of it: any two are equal, and a
/// copy has none.
#[derive(Debug, Default)]
pub(crate) struct Hours {
    cells: OnceLock<Vec<(Key, Cell)>>,
    was_asked: AtomicBool,
}

impl Hours {
    /// The cells of minutes, put together by hour: `cells` is sorted and has
    /// none that is counted apart. A key's minute is the first of its hour.
    /// `None` when it is asked for the first time.
    pub(super) fn of(&self, cells: &[(Key, Cell)]) -> Option<&[(Key, Cell)]> {
        if !self.was_asked.swap(true, Ordering::Relaxed) {
            return None;
        }
        Some(self.cells.get_or_init(|| together(cells, Grain::Hour)))
    }
}

impl Clone for Hours {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Hours {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Hours {}

/// The whole hours between two minutes, both included, as their first and last
/// minute; `None` where there is none.
pub(super) fn whole_hours(first: Minute, last: Minute) -> Option<(Minute, Minute)> {
    let from = first.0.div_euclid(MINUTES) + i64::from(first.0.rem_euclid(MINUTES) > 0);
    let behind = (last.0 + 1).div_euclid(MINUTES);
    (from < behind).then_some((Minute(from * MINUTES), Minute(behind * MINUTES - 1)))
}

/// The cells put together as finely as that, each key once: `cells` is sorted,
/// and so is what comes of it.
pub(super) fn together(cells: &[(Key, Cell)], grain: Grain) -> Vec<(Key, Cell)> {
    let stretch = |entry: &(Key, Cell)| grain.stretch(entry.0.minute);
    cells.chunk_by(|a, b| stretch(a) == stretch(b)).flat_map(|cells| of_one(cells, grain)).collect()
}

/// The cells of one stretch of time, each key once.
fn of_one(cells: &[(Key, Cell)], grain: Grain) -> Vec<(Key, Cell)> {
    let Some((first, _)) = cells.first() else { return Vec::new() };
    let minute = grain.stretch(first.minute);
    let mut sorted: Vec<_> =
        cells.iter().map(|(key, cell)| (Key { minute, ..*key }, cell)).collect();
    sorted.sort_by_key(|(key, _)| *key);
    let of_one_key = sorted.chunk_by(|(a, _), (b, _)| a == b);
    let together = of_one_key.filter_map(|cells| {
        let ((key, first), others) = cells.split_first()?;
        let others: Vec<&Cell> = others.iter().map(|(_, cell)| *cell).collect();
        let mut all = (*first).clone();
        all.merge_all(&others);
        Some((*key, all))
    });
    together.collect()
}

#[cfg(test)]
mod tests {
    use naq_core::events::Event;

    use super::super::cell::{Name, Outcome};
    use super::super::distribution::Distribution;
    use super::*;

    #[test]
    fn whole_hours_lie_between_both_ends() {
        let hours = |first, last| {
            whole_hours(Minute(first), Minute(last)).map(|(first, last)| (first.0, last.0))
        };
        assert_eq!(hours(0, 59), Some((0, 59)));
        assert_eq!(hours(0, 58), None);
        assert_eq!(hours(1, 119), Some((60, 119)));
        assert_eq!(hours(1, 118), None);
        assert_eq!(hours(-61, 130), Some((-60, 119)));
        assert_eq!(hours(5, 4), None);
    }

    #[test]
    fn minutes_of_an_hour_become_one_cell_of_each_kind() {
        let cell = |minute: i64, queue: u32, seconds: f64| {
            let key = Key {
                minute: Minute(minute),
                event_type: Name::At(0),
                queue: Name::At(queue),
                job_name: Name::Absent,
                outcome: Outcome::Open,
            };
            (key, Cell::of(&Event::log("x").with_duration(seconds), Minute(minute).start()))
        };
        let cells = [
            cell(-1, 0, 1.0),
            cell(0, 0, 1.0),
            cell(0, 1, 2.0),
            cell(59, 0, 3.0),
            cell(60, 0, 4.0),
        ];
        let kept = Hours::default();
        assert_eq!(kept.of(&cells), None);
        let hours = kept.of(&cells).unwrap();
        let found: Vec<_> = hours
            .iter()
            .map(|(key, cell)| (key.minute.0, key.queue, cell.count, cell.last))
            .collect();
        let last = |minute: i64| Minute(minute).start();
        let expected = [
            (-60, Name::At(0), 1, last(-1)),
            (0, Name::At(0), 2, last(59)),
            (0, Name::At(1), 1, last(0)),
            (60, Name::At(0), 1, last(60)),
        ];
        assert_eq!(found, expected);
        let (mut durations, mut waits) = (Distribution::default(), Distribution::default());
        hours[1].1.add_values(&mut durations, &mut waits);
        assert_eq!((durations.mean(), waits.mean()), (Some(2.0), None));
    }
}
