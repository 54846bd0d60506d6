//! Blocks that follow one another, put together: what a long range of time asks
//! without adding up its digests.

use std::collections::{BTreeMap, HashMap};

use super::cell::{Cell, Key, Name};
use super::digest::{Digest, both};
use super::errors::ErrorKey;
use super::head::Head;
use super::hours::{Grain, together};
use super::names::Dropped;

/// How many bytes a run has at most, about: names that are different in each
/// block are no shorter put together.
const MOST_WEIGHT: usize = 8 << 20;

/// As many blocks as a power of two, from a multiple of it on, each of them
/// whole and without a hole.
///
/// It follows from its digests: whatever asks for nothing finer than its grain,
/// and for errors by no minute within, has the same answer from both.
#[derive(Debug)]
pub(super) struct Run {
    /// Where it is.
    pub(super) place: Place,
    /// What is known of it at a glance.
    pub(super) head: Head,
    /// The sum of its digests, as if they were that of one block: its first. It
    /// has no spans, its errors are all in the minute of their first, and names
    /// and errors are in the order in which they came.
    pub(super) sum: Digest,
    /// What those of its digests leave out whose blocks the log may still have
    /// whole, as one digest without parts: who lacks it reads these blocks.
    pub(super) untold: Digest,
}

/// Which run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// How finely its cells tell times apart.
    pub(super) grain: Grain,
    /// Two to the power of it are its blocks.
    pub(super) level: u32,
    /// How many runs of this level lie before it.
    pub(super) index: u64,
}

impl Place {
    /// That of a level which has this block.
    pub(super) const fn of(grain: Grain, level: u32, block: u64) -> Self {
        Self { grain, level, index: block >> level }
    }

    /// Its first block.
    pub(super) const fn first(&self) -> u64 {
        self.index << self.level
    }

    /// The block behind its last.
    pub(super) const fn end(&self) -> u64 {
        (self.index + 1) << self.level
    }

    /// The one of the next level, if both are its halves.
    pub(super) fn with(&self, next: &Self) -> Option<Self> {
        let is_next = Self { index: self.index + 1, ..*self } == *next;
        let whole = Self { level: self.level + 1, index: self.index / 2, ..*self };
        (is_next && self.index.is_multiple_of(2)).then_some(whole)
    }
}

impl Run {
    /// That of one block, which is whole and has no hole.
    pub(super) fn of(digest: &Digest, grain: Grain) -> Self {
        let cells = together(&digest.cells, grain);
        let mut sum = Digest {
            names: digest.names.clone(),
            // Nobody asks what happened when within it.
            cells: cells.into_iter().map(|(key, cell)| (key, cell.blurred())).collect(),
            ..digest.without_parts()
        };
        let errors = digest.errors.iter();
        sum.errors = errors.map(|(error, all)| (error.clone(), all.in_one_minute())).collect();
        let untold = sum.without_parts();
        Self { place: Place::of(grain, 0, digest.block), head: Head::of(digest), sum, untold }
    }

    /// The same of what the log hasn't all of any more: nothing tells more of it.
    pub(super) fn of_worn(mut self) -> Self {
        let told = Digest {
            dropped: Dropped::default(),
            unlisted_errors: 0,
            unlisted_between: None,
            ..self.untold
        };
        self.untold = told;
        self
    }

    /// Both halves of a place together; `None` where that is too much.
    pub(super) fn join(place: Place, left: &Self, right: &Self) -> Option<Self> {
        let (one, other) = (&left.sum, &right.sum);
        let mut names = one.names.clone();
        let known: HashMap<&str, usize> =
            one.names.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
        let mut places = Vec::new();
        for name in &other.names {
            let place = known.get(name.as_str()).copied().unwrap_or_else(|| {
                names.push(name.clone());
                names.len() - 1
            });
            places.push(u32::try_from(place).ok()?);
        }
        let here = |name: Name| match name {
            Name::At(place) => places.get(place as usize).map_or(Name::Dropped, |it| Name::At(*it)),
            name => name,
        };
        let mut cells: BTreeMap<Key, Cell> = one.cells.iter().cloned().collect();
        for (key, cell) in &other.cells {
            let key = Key {
                event_type: here(key.event_type),
                queue: here(key.queue),
                job_name: here(key.job_name),
                ..*key
            };
            cells.entry(key).and_modify(|mine| mine.merge(cell)).or_insert_with(|| cell.clone());
        }
        let mut errors = one.errors.clone();
        let known: HashMap<&ErrorKey, usize> =
            one.errors.iter().enumerate().map(|(place, (error, _))| (error, place)).collect();
        for (error, more) in &other.errors {
            match known.get(error).and_then(|place| errors.get_mut(*place)) {
                Some((_, mine)) => {
                    mine.merge(more);
                    *mine = mine.in_one_minute();
                }
                None => errors.push((error.clone(), more.clone())),
            }
        }
        let sum = Digest {
            names,
            cells: cells.into_iter().map(|(key, cell)| (key, cell.blurred())).collect(),
            errors,
            ..few_words(one, other)
        };
        let untold = few_words(&left.untold, &right.untold);
        let run = Self { place, head: left.head.and(&right.head), sum, untold };
        (run.sum.weight() <= MOST_WEIGHT).then_some(run)
    }
}

/// What two come to, one behind the other, without their parts.
fn few_words(one: &Digest, other: &Digest) -> Digest {
    Digest {
        through: other.through,
        seen: one.seen + other.seen,
        malformed: one.malformed + other.malformed,
        tells_repeats: one.tells_repeats && other.tells_repeats,
        unlisted_errors: one.unlisted_errors + other.unlisted_errors,
        unlisted_between: one
            .unlisted_between
            .into_iter()
            .chain(other.unlisted_between)
            .reduce(both),
        dropped: one.dropped.or(other.dropped),
        ..one.without_parts()
    }
}
