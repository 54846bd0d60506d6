//! What a service has in memory of digests: a few words of every block, and of
//! digests and runs what was used last.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use naq_core::Timestamp;
use naq_core::jetstream::StreamState;

use super::digest::{Digest, block_end, block_of};
use super::draft::Draft;
use super::head::{Head, Look};
use super::hours::Grain;
use super::range::Lies;
use super::recent::Recent;
use super::runs::{Place, Run};
use super::worn::Worn;
use crate::fence::{Mark, newest_first};
use crate::read::OpenLog;

/// How many bytes of digests are held in memory, at most and about; the hours
/// of each come to some more where questions ask for them.
const MOST_OF_DIGESTS: usize = 96 << 20;

/// How many bytes of runs of one level: the longer ones, which cost more to
/// make, don't go for the many short ones.
const MOST_OF_A_LEVEL: usize = 8 << 20;

/// After so long a block that lacks something is looked for in the store again.
const FRESH: Duration = Duration::from_secs(60);

/// So many blocks that may have no digest are asked for one by one, and no more.
const FEW_BARE: u64 = 64;

/// How many blocks of a question are looked for together, at most.
const TOGETHER: usize = 32;

/// What is known of a log's blocks.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) created: Timestamp,
    /// Whole blocks: of each so little that it never goes.
    blocks: HashMap<u64, Known>,
    /// The blocks below it have left the log and have no digest, as far as was
    /// known when it was looked for last.
    bare_below: (u64, Option<Instant>),
    digests: Recent<u64, Arc<Digest>>,
    /// By level.
    runs: Vec<Recent<Place, Dated>>,
    /// After so long a block that left the log is looked for in the store anew: by
    /// then its digest may have been removed, or made coarser.
    renewed_after: Option<Duration>,
    /// How often this process has removed a digest, or replaced it by a coarser one.
    pub(super) aged: u64,
    pub(super) open: Option<Open>,
    /// The log's first sequence, and how many behind it were gone, when the
    /// open block was looked for in the store last.
    pub(super) gone: (u64, u64),
    /// The same when anything was looked for last.
    pub(super) front: (u64, u64),
    /// The log as it was opened in the turn in which all that is here was
    /// found to be of messages that it has.
    pub(super) log: Option<Arc<OpenLog>>,
    /// Through which sequence what the store has was found to be so too.
    pub(super) checked: u64,
    /// The last message of the last block that was made whole.
    pub(super) last: Mark,
    /// Which blocks the log has no longer whole, as far as is known.
    pub(super) worn: Worn,
}

/// A run, `None` for one that is too much, and since when the oldest of what is
/// in it is known.
type Dated = (Option<Arc<Run>>, Instant);

/// What is known of a block that is whole.
#[derive(Debug)]
struct Known {
    /// `None` for one that has left the log and has no digest.
    head: Option<Head>,
    since: Instant,
    looked_at: Instant,
    /// Whether the store may have no digest of it: nobody else could tell what
    /// is known here.
    is_own: bool,
}

impl Known {
    /// Whether the store needn't be asked: of what has left the log, another
    /// one may have counted more, and keep it a moment later.
    fn is_current(&self) -> bool {
        self.head.is_some_and(|head| head.holes == 0) || self.looked_at.elapsed() < FRESH
    }
}

/// The block that still grows.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    /// Shared with who keeps it meanwhile.
    pub(super) draft: Arc<Draft>,
    pub(super) sealed: Arc<Digest>,
    /// The last sequence that is in the store, or that it was asked to keep and
    /// has not, beside what another version of naq has there.
    pub(super) saved: u64,
    /// The extent of the digest in the store that the draft has in it.
    pub(super) base: (u64, u64),
}

impl Open {
    /// Goes on from a digest that the store has.
    pub(super) fn from_stored(sealed: Arc<Digest>) -> Self {
        let draft = Arc::new(Draft::from_digest(&sealed));
        let (saved, base) = (sealed.through, sealed.extent());
        Self { draft, sealed, saved, base }
    }

    /// Whether it has come as far as another one of the same stream.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let place = |open: &Self| (open.sealed.block, open.draft.through(), open.draft.seen());
        place(self) == place(other)
    }

    /// Whether it has come as far as a digest of its block at least, seen as
    /// much, and found no more gone.
    pub(super) fn has_outgrown(&self, digest: &Digest) -> bool {
        let (seen, through) = digest.extent();
        let further = self.draft.through().checked_sub(through);
        let more = self.draft.seen().checked_sub(seen);
        further.zip(more).is_some_and(|(further, more)| further <= more)
    }
}

/// A piece of the log as a question goes through it.
#[derive(Debug)]
pub(super) enum Piece {
    /// So many blocks of which nothing lies in the range.
    Outside(Head, u64),
    /// Blocks that are put together.
    Run(Arc<Run>),
    /// A block, and what is known of it where it was asked for before.
    Block(u64, Option<Head>),
}

impl Memory {
    /// Nothing known of a stream made at that time. What is known of blocks that
    /// left the log is renewed after so long, if at all.
    pub(super) fn new(created: Timestamp, renewed_after: Option<Duration>) -> Self {
        Self {
            created,
            blocks: HashMap::new(),
            bare_below: (0, None),
            digests: Recent::new(MOST_OF_DIGESTS),
            runs: Vec::new(),
            renewed_after,
            aged: 0,
            open: None,
            gone: (0, 0),
            front: (0, 0),
            log: None,
            checked: 0,
            last: Mark::default(),
            worn: Worn::default(),
        }
    }

    /// The turn in which it was looked at last; 0 for never.
    pub(super) fn turn(&self) -> u64 {
        self.log.as_ref().map_or(0, |log| log.turn())
    }

    /// The last messages of what is known, the newest first.
    pub(super) fn marks(&self) -> Vec<Mark> {
        let heads = self.blocks.values().filter_map(|known| known.head);
        let open = self.open.iter().flat_map(|open| [open.draft.mark(), open.sealed.mark]);
        newest_first(heads.map(|head| head.mark).chain(open).chain([self.last]))
    }

    /// The last message of the block before this one, as far as is known.
    pub(super) fn mark_before(&self, block: u64) -> Mark {
        let Some(before) = block.checked_sub(1) else { return Mark::default() };
        let is_of_it = |last: &Mark| last.sequence > 0 && block_of(last.sequence) == before;
        let of_last = Some(self.last).filter(is_of_it);
        let head = || self.blocks.get(&before).and_then(|known| known.head);
        of_last.or_else(|| head().map(|head| head.mark)).unwrap_or_default()
    }

    /// The digest of a block that is whole, and whether the store needn't be asked.
    /// What is too old to be believed is known no longer.
    pub(super) fn digest(
        &mut self,
        block: u64,
        state: &StreamState,
    ) -> (Option<Arc<Digest>>, bool) {
        if self.blocks.get(&block).is_some_and(|known| self.is_too_old(block, known, state)) {
            self.forget(block);
        }
        let digest = self.digests.get(&block);
        let is_here = |known: &Known| known.head.is_none() || digest.is_some();
        let is_current = self.blocks.get(&block).is_some_and(|it| it.is_current() && is_here(it));
        (digest, is_current)
    }

    /// How far the digest of a block goes that is in memory.
    pub(super) fn reach(&self, block: u64) -> Option<u64> {
        let is_known = |known: &Known| known.head.is_some_and(|head| head.seen > 0);
        match self.open.as_ref().filter(|open| open.sealed.block == block) {
            Some(open) => Some(open.sealed.through),
            None => self.blocks.get(&block).filter(|it| is_known(it)).map(|_| block_end(block)),
        }
    }

    /// The pieces of some blocks as far as they can be looked at together, and
    /// the block behind them. `is_told` says of a run whether it tells enough.
    pub(super) fn pieces(
        &mut self,
        blocks: std::ops::Range<u64>,
        state: &StreamState,
        look: &Look,
        is_told: impl Fn(&Run) -> bool,
    ) -> (Vec<Piece>, u64) {
        let (mut pieces, mut next, mut missing) = (Vec::new(), blocks.start, 0);
        let bare = self.bare_below.0.min(blocks.end).saturating_sub(next);
        if bare > 0 {
            pieces.push(Piece::Outside(Head::gone(bare), bare));
            next += bare;
        }
        while next < blocks.end && missing < TOGETHER {
            let left = next..blocks.end;
            let (piece, behind) = self
                .longest(left, state, look, &is_told)
                .unwrap_or_else(|| (self.block(next, state, look), next + 1));
            missing += usize::from(matches!(piece, Piece::Block(..)));
            next = behind;
            pieces.push(piece);
        }
        (pieces, next)
    }

    /// Whether so many of the first blocks, which have left the log, may have no
    /// digest that it is looked for the first one that has.
    pub(super) fn may_be_bare(&mut self, gone: u64) -> bool {
        let (below, since) = self.bare_below;
        if gone <= FEW_BARE || since.is_some_and(|since| since.elapsed() < FRESH) {
            return false;
        }
        let digested = |(block, known): &(&u64, &Known)| **block < gone && known.head.is_some();
        let digested = self.blocks.iter().filter(digested).count() as u64;
        let may_be = gone - digested > FEW_BARE;
        if !may_be {
            // Not each question counts them.
            self.bare_below = (below, Some(Instant::now()));
        }
        may_be
    }

    /// The first block that has a digest in the store is this one, and nothing
    /// is there any more of those before it that lie below `gone`.
    pub(super) fn is_bare_below(&mut self, first: u64, gone: u64) {
        let own = self.blocks.iter().filter(|(_, known)| known.is_own && known.head.is_some());
        let open = self.open.as_ref().map(|open| open.sealed.block);
        let here = own.map(|(block, _)| *block).chain(open).min().unwrap_or(gone);
        let bare = first.min(here).min(gone);
        let before: Vec<u64> = self.blocks.keys().copied().filter(|it| *it < bare).collect();
        before.into_iter().for_each(|block| self.forget(block));
        self.bare_below = (bare, Some(Instant::now()));
    }

    fn is_too_old(&self, block: u64, known: &Known, state: &StreamState) -> bool {
        !known.is_own && self.is_too_long_ago(block, known.since, state)
    }

    /// Whether what is known of a block since then is renewed by now.
    fn is_too_long_ago(&self, block: u64, since: Instant, state: &StreamState) -> bool {
        let is_gone = block_end(block) < state.first_sequence;
        is_gone && self.renewed_after.is_some_and(|after| since.elapsed() >= after)
    }

    /// The piece that a block is.
    fn block(&self, block: u64, state: &StreamState, look: &Look) -> Piece {
        let is_believed = |it: &&Known| it.is_current() && !self.is_too_old(block, it, state);
        let Some(known) = self.blocks.get(&block).filter(is_believed) else {
            return Piece::Block(block, None);
        };
        let head = match known.head {
            None if block_end(block) < state.first_sequence => Head::gone(1),
            None => return Piece::Block(block, None),
            Some(head) => head,
        };
        match head.lies(look) {
            Lies::Outside if block_end(block) <= state.last_sequence => Piece::Outside(head, 1),
            _ => Piece::Block(block, Some(head)),
        }
    }

    /// The longest run at the beginning of these blocks that can be used.
    fn longest(
        &mut self,
        blocks: std::ops::Range<u64>,
        state: &StreamState,
        look: &Look,
        is_told: impl Fn(&Run) -> bool,
    ) -> Option<(Piece, u64)> {
        (0..self.runs.len()).rev().find_map(|level| {
            let place = Place::of(look.grain, u32::try_from(level).ok()?, blocks.start);
            let fits = place.first() == blocks.start
                && place.end() <= blocks.end
                && block_end(place.end() - 1) <= state.last_sequence;
            let (run, since) = fits.then(|| self.runs.get_mut(level)?.get(&place)).flatten()?;
            let run = run.filter(|_| !self.is_too_long_ago(place.first(), since, state))?;
            match run.head.lies(look) {
                Lies::Outside => {
                    let length = place.end() - place.first();
                    Some((Piece::Outside(run.head, length), place.end()))
                }
                Lies::Inside if is_told(&run) => Some((Piece::Run(run), place.end())),
                _ => None,
            }
        })
    }

    /// A run, if it is known; `None` within for one that is too much.
    pub(super) fn run(&mut self, place: Place) -> Option<Option<Arc<Run>>> {
        self.runs.get_mut(place.level as usize)?.get(&place).map(|(run, _)| run)
    }

    /// Keeps a run, or that it is too much; but not where a block of it was
    /// forgotten, or got another digest, while they were put together.
    pub(super) fn insert_run(&mut self, place: Place, run: Option<Arc<Run>>) {
        let known = (place.first()..place.end()).map(|block| self.blocks.get(&block));
        let known = known.map(|known| known.and_then(|it| Some((it.head?, it.since))));
        let both = |(head, since): (Head, Instant), (other, its): (Head, Instant)| {
            (head.and(&other), since.min(its))
        };
        let Some((head, since)) =
            known.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().reduce(both))
        else {
            return;
        };
        if run.as_ref().is_some_and(|run| run.head != head) {
            return;
        }
        let level = place.level as usize;
        while self.runs.len() <= level {
            self.runs.push(Recent::new(MOST_OF_A_LEVEL));
        }
        let weight = run.as_ref().map_or(0, |run| run.sum.weight()) + size_of::<Run>();
        if let Some(runs) = self.runs.get_mut(level) {
            runs.insert(place, (run, since), weight);
        }
    }

    /// Knows a block that is whole; without a digest, that it has left the log.
    pub(super) fn insert(&mut self, block: u64, digest: Option<Arc<Digest>>) {
        let head = digest.as_deref().map(Head::of);
        let now = Instant::now();
        let known = Known { head, since: now, looked_at: now, is_own: false };
        let known = self.blocks.insert(block, known);
        if known.is_some_and(|known| known.head != head) {
            self.remove_runs(block);
        }
        match digest {
            Some(digest) => {
                let weight = digest.weight();
                self.digests.insert(block, digest, weight);
            }
            None => self.digests.remove(&block),
        }
    }

    /// The store may not have what is known of a block.
    pub(super) fn is_own(&mut self, block: u64) {
        if let Some(known) = self.blocks.get_mut(&block) {
            known.is_own = true;
        }
    }

    /// Knows no more of a block.
    pub(super) fn forget(&mut self, block: u64) {
        self.remove_runs(block);
        self.blocks.remove(&block);
        self.digests.remove(&block);
    }

    /// What a block was put together with.
    fn remove_runs(&mut self, block: u64) {
        for (level, runs) in (0..).zip(&mut self.runs) {
            for grain in [Grain::Hour, Grain::Day, Grain::Whole] {
                runs.remove(&Place::of(grain, level, block));
            }
        }
    }

    /// The store was asked for a block that is known, and has nothing better.
    pub(super) fn looked_at(&mut self, block: u64) {
        if let Some(known) = self.blocks.get_mut(&block) {
            known.looked_at = Instant::now();
        }
    }

    /// Whether the open block lies before this one, or has come less far.
    pub(super) fn is_behind(&self, block: u64, through: u64) -> bool {
        let place = |open: &Open| (open.sealed.block, open.draft.through());
        self.open.as_ref().is_none_or(|open| place(open) < (block, through))
    }

    /// Of how many levels there are runs.
    #[cfg(test)]
    pub(super) fn levels(&self) -> usize {
        self.runs.iter().filter(|runs| runs.len() > 0).count()
    }

    /// Of how many blocks anything is known.
    #[cfg(test)]
    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// How many digests are in memory.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.digests.len()
    }
}
