//! What is known of blocks without their digests at hand: a few words of each.

use naq_core::Timestamp;

use super::cell::Minute;
use super::digest::{BLOCK, Digest, both};
use super::hours::Grain;
use super::range::{Lies, MinuteRange};
use crate::fence::Mark;

/// What tells whether a question needs more of a block, or of blocks that
/// follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// How many messages there were.
    pub(super) seen: u64,
    /// How many of them were no events.
    pub(super) malformed: u64,
    /// How many were gone before.
    pub(super) holes: u64,
    /// When the first and the last of the events happened; `None` without one.
    times: Option<(Timestamp, Timestamp)>,
    /// The minutes of the first and the last error, or between which they lie;
    /// `None` without one.
    errors: Option<(Minute, Minute)>,
    /// Whether the minutes of some events aren't told.
    has_apart: bool,
    /// How finely the times of the others are told.
    grain: Grain,
    /// The last message of them; none where that isn't known.
    pub(super) mark: Mark,
}

impl Head {
    /// That of so many blocks that have left the log and have no digest.
    pub(super) const fn gone(blocks: u64) -> Self {
        Self {
            seen: 0,
            malformed: 0,
            holes: blocks * BLOCK,
            times: None,
            errors: None,
            has_apart: false,
            grain: Grain::Minute,
            mark: Mark { sequence: 0, stored_at: Timestamp::from_nanos(0) },
        }
    }

    /// That of a digest.
    pub(super) fn of(digest: &Digest) -> Self {
        let listed = digest.errors.iter().filter_map(|(_, all)| all.times);
        let listed = listed.map(|(first, last)| (Minute::of(first), Minute::of(last)));
        Self {
            seen: digest.seen,
            malformed: digest.malformed,
            holes: digest.holes(),
            times: digest.times(),
            errors: listed.chain(digest.unlisted_between).reduce(both),
            has_apart: !digest.cells_apart().is_empty(),
            grain: digest.grain,
            mark: digest.mark,
        }
    }

    /// That of both.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self {
            seen: self.seen + other.seen,
            malformed: self.malformed + other.malformed,
            holes: self.holes + other.holes,
            times: self.times.into_iter().chain(other.times).reduce(both),
            errors: self.errors.into_iter().chain(other.errors).reduce(both),
            has_apart: self.has_apart || other.has_apart,
            grain: self.grain.max(other.grain),
            mark: self.mark.max(other.mark),
        }
    }

    /// How it lies to what is looked at.
    pub(super) fn lies(&self, look: &Look) -> Lies {
        match self.times.map(|(first, last)| look.range.span(first, last)) {
            None | Some(Lies::Outside) => Lies::Outside,
            Some(Lies::Inside) if self.can_be_one(look) => Lies::Inside,
            Some(_) => Lies::Across,
        }
    }

    /// Whether nothing is asked of it that its grain doesn't tell.
    fn can_be_one(&self, look: &Look) -> bool {
        let is_cut = |(first, last)| look.cuts.iter().any(|cut| first < *cut && *cut <= last);
        let is_as_fine = !self.has_apart && self.grain <= look.grain;
        let is_told = look.grain == Grain::Whole || is_as_fine;
        is_told && !self.errors.is_some_and(is_cut)
    }
}

/// What a question looks at.
#[derive(Debug, Clone)]
pub(super) struct Look {
    /// The events of this range.
    pub(super) range: MinuteRange,
    /// How finely it tells their times apart.
    pub(super) grain: Grain,
    /// Where its errors' minutes must be told apart: before each of these.
    pub(super) cuts: Vec<Minute>,
}
