//! The digest of a block: sorted, bounded, and the same for the same events.

use naq_core::Timestamp;

use super::cell::{Cell, Key, Minute, Name};
use super::errors::{ErrorKey, Occurrences};
use super::hours::{Grain, Hours, whole_hours};
use super::names::Dropped;
use crate::fence::Mark;

/// How many sequences a block has.
pub(crate) const BLOCK: u64 = 65_536;

/// The block of a sequence, from 1.
pub(crate) const fn block_of(sequence: u64) -> u64 {
    sequence.saturating_sub(1) / BLOCK
}

/// The first sequence of a block.
pub(crate) const fn block_start(block: u64) -> u64 {
    block * BLOCK + 1
}

/// The last sequence of a block.
pub(crate) const fn block_end(block: u64) -> u64 {
    (block + 1) * BLOCK
}

/// The sequences between which the events of a minute lie, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first of them.
    pub(crate) from: u64,
    /// The last of them.
    pub(crate) to: u64,
}

impl Span {
    /// Takes a sequence in.
    pub(crate) fn extend(&mut self, sequence: u64) {
        self.from = self.from.min(sequence);
        self.to = self.to.max(sequence);
    }
}

/// What a block of the log comes to.
///
/// Its names, cells, spans and errors are sorted, each once; every cell that
/// isn't counted apart has a span of its minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest {
    /// When the stream was made.
    pub(crate) created: Timestamp,
    /// Which block of it.
    pub(crate) block: u64,
    /// The last sequence that was looked at; before the block's first, nothing was.
    pub(crate) through: u64,
    /// The last message that it was made of; none where that isn't known.
    pub(crate) mark: Mark,
    /// How many messages there were: what is missing was gone before.
    pub(crate) seen: u64,
    /// How many of them were no events.
    pub(crate) malformed: u64,
    /// Whether it tells repeated events: one that an older naq made doesn't.
    pub(crate) tells_repeats: bool,
    /// How finely its cells tell times apart: a cell's minute is the first of
    /// its hour or day.
    pub(crate) grain: Grain,
    /// The table of names.
    pub(crate) names: Vec<String>,
    /// The counts, by key.
    pub(crate) cells: Vec<(Key, Cell)>,
    /// Of which names they leave out those that events have.
    pub(crate) dropped: Dropped,
    /// Where the events of each minute lie.
    pub(crate) spans: Vec<(Minute, Span)>,
    /// The errors.
    pub(crate) errors: Vec<(ErrorKey, Occurrences)>,
    /// Occurrences of errors that are not listed, because there were too many.
    pub(crate) unlisted_errors: u64,
    /// Between which minutes these lie, if there are any: those of all its events.
    pub(crate) unlisted_between: Option<(Minute, Minute)>,
    /// The cells by hour, once they were asked for.
    pub(crate) hours: Hours,
}

impl Digest {
    /// How many sequences were looked at and not there any more.
    pub(crate) const fn holes(&self) -> u64 {
        (self.through + 1).saturating_sub(block_start(self.block)).saturating_sub(self.seen)
    }

    /// How many sequences would be holes at most, were it read on through one in
    /// a log that begins with this sequence and lacks so many behind it.
    fn holes_through(&self, through: u64, (first, deleted): (u64, u64)) -> u64 {
        let there = first.max(self.through + 1).min(through + 1);
        let (before, behind) = (there.saturating_sub(self.through + 1), through + 1 - there);
        self.holes() + before + behind.min(deleted)
    }

    /// How much of its block is in it, to tell the better one of two.
    pub(crate) const fn extent(&self) -> (u64, u64) {
        (self.seen, self.through)
    }

    /// When the first and the last of its events happened; `None` without one.
    pub(crate) fn times(&self) -> Option<(Timestamp, Timestamp)> {
        self.cells.iter().map(|(_, cell)| (cell.first, cell.last)).reduce(both)
    }

    /// The same, which says between which minutes its unlisted errors lie.
    pub(crate) fn with_unlisted_between(mut self) -> Self {
        let times = self.times().filter(|_| self.unlisted_errors > 0);
        self.unlisted_between = times.map(|(first, last)| (Minute::of(first), Minute::of(last)));
        self
    }

    /// How many bytes it takes in memory, about; its hours come to more.
    pub(crate) fn weight(&self) -> usize {
        let cells: usize = self.cells.iter().map(|(_, cell)| cell.weight()).sum();
        let names: usize = self.names.iter().map(|name| size_of::<String>() + name.len()).sum();
        let errors: usize = self.errors.iter().map(|(key, all)| key.weight() + all.weight()).sum();
        cells + names + errors + self.spans.len() * size_of::<(Minute, Span)>()
    }

    /// The same without names, cells, spans and errors.
    pub(super) fn without_parts(&self) -> Self {
        Self {
            names: Vec::new(),
            cells: Vec::new(),
            spans: Vec::new(),
            errors: Vec::new(),
            hours: Hours::default(),
            ..*self
        }
    }

    /// Whether it is the one to go on from, and not another one of its block
    /// that was made from one of such an extent: read on through the same
    /// sequence, it has seen as much, and more, or what the other found gone.
    /// `gone` is the log's first sequence, and how many are gone behind it.
    pub(crate) fn is_better_than(&self, other: &Self, base: (u64, u64), gone: (u64, u64)) -> bool {
        let has_new = self.extent() != base;
        if self.through < other.through {
            return has_new && self.holes_through(other.through, gone) < other.holes();
        }
        let has_more = self.extent() > other.extent() || (has_new && self.holes() < other.holes());
        has_more && self.holes() <= other.holes_through(self.through, gone)
    }

    /// The cells of the minutes between two, both included; not those counted apart.
    pub(crate) fn cells_between(&self, first: Minute, last: Minute) -> &[(Key, Cell)] {
        between(&self.cells, first, last)
    }

    /// The cells of the minutes between two, both included, in parts; not those
    /// counted apart. Where the grain allows it, those of whole hours are one cell.
    pub(crate) fn cells_within(
        &self,
        first: Minute,
        last: Minute,
        grain: Grain,
    ) -> [&[(Key, Cell)]; 3] {
        let hours = whole_hours(first, last).filter(|_| grain != Grain::Minute);
        let of_minutes = self.cells.partition_point(|(key, _)| key.minute < Minute::APART);
        let cells = self.cells.get(..of_minutes).unwrap_or_default();
        let Some(((from, to), cells)) =
            hours.and_then(|hours| Some((hours, self.hours.of(cells)?)))
        else {
            return [self.cells_between(first, last), &[], &[]];
        };
        [
            self.cells_between(first, Minute(from.0 - 1)),
            between(cells, from, to),
            self.cells_between(Minute(to.0 + 1), last),
        ]
    }

    /// The cells of which the minute isn't told.
    pub(crate) fn cells_apart(&self) -> &[(Key, Cell)] {
        let from = self.cells.partition_point(|(key, _)| key.minute < Minute::APART);
        self.cells.get(from..).unwrap_or_default()
    }

    /// Where a name stands; `None` where no event has it.
    pub(crate) fn place(&self, name: &str) -> Option<Name> {
        let place = self.names.iter().position(|it| it == name)?;
        u32::try_from(place).ok().map(Name::At)
    }

    /// The name at a place; `None` for one that is absent or dropped.
    pub(crate) fn name(&self, name: Name) -> Option<&str> {
        match name {
            Name::At(place) => self.names.get(place as usize).map(String::as_str),
            _ => None,
        }
    }

    /// The same with other keys: cells whose new keys are equal become one;
    /// unused names and spans go; names and cells are sorted.
    pub(crate) fn regrouped(self, regroup: impl Fn(Key) -> Key) -> Self {
        let mut cells = self.cells;
        let mut is_used = vec![false; self.names.len()];
        for (key, _) in &mut cells {
            *key = regroup(*key);
            for name in [key.event_type, key.queue, key.job_name] {
                if let Name::At(place) = name
                    && let Some(is_used) = is_used.get_mut(place as usize)
                {
                    *is_used = true;
                }
            }
        }
        let used = self.names.iter().zip(&is_used).filter(|(_, is_used)| **is_used);
        let mut names: Vec<String> = used.map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        let place = |name| names.binary_search(name).ok().and_then(|new| u32::try_from(new).ok());
        let places: Vec<Option<u32>> = self.names.iter().map(place).collect();
        for (key, _) in &mut cells {
            for name in [&mut key.event_type, &mut key.queue, &mut key.job_name] {
                if let Name::At(old) = *name {
                    // A place beyond the table is not made here, and not decoded.
                    let new = places.get(old as usize).copied().flatten();
                    *name = new.map_or(Name::Dropped, Name::At);
                }
            }
        }
        cells.sort_unstable_by_key(|(key, _)| *key);
        cells.dedup_by(|(key, cell), (mine, all)| {
            let is_same = key == mine;
            if is_same {
                all.merge(cell);
            }
            is_same
        });
        let mut spans = self.spans;
        spans.retain(|(minute, _)| !between(&cells, *minute, *minute).is_empty());
        spans.sort_unstable_by_key(|(minute, _)| *minute);
        let dropped = Dropped::of(&cells, &names);
        let hours = Hours::default();
        Self { names, cells, dropped, spans, hours, ..self }
    }
}

/// From the earlier start to the later end.
pub(super) fn both<T: Ord>((first, last): (T, T), (other_first, other_last): (T, T)) -> (T, T) {
    (first.min(other_first), last.max(other_last))
}

/// The cells of the minutes between two, both included; not those counted apart.
fn between(cells: &[(Key, Cell)], first: Minute, last: Minute) -> &[(Key, Cell)] {
    let from = cells.partition_point(|(key, _)| key.minute < first);
    let is_in = |(key, _): &(Key, Cell)| key.minute <= last && key.minute != Minute::APART;
    let to = cells.partition_point(is_in);
    cells.get(from..to).unwrap_or_default()
}
