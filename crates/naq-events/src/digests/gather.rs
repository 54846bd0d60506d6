//! Answering from digests: what cells tell from them, the rest from the log.
//!
//! Every sequence of the stream, up to its end when it was asked, is in
//! exactly one of three: a digest, the reading of what no digest has, or a
//! hole that is counted. What is read is folded into digests on the way.

use std::ops::Range;
use std::sync::Arc;

use naq_core::events::{AnswerBasis, RecordedEvent, SeenIds};
use naq_core::{Error, Result};

use super::cell::{Cell, Key, Minute};
use super::choose::CellFilter;
use super::digest::{Digest, block_of, block_start};
use super::halves::Known;
use super::head::{Head, Look};
use super::hours::Grain;
use super::kept::{Digests, Purpose};
use super::memory::Piece;
use super::range::{Lies, MinuteRange};
use super::reading::{Again, Part, Which, edge};
use super::runs::Run;
use crate::read::{Log, Meter, OpenLog};

/// Adds up an answer. A copy of it is gone on with where what it was shown since
/// turns out not to be all.
pub(crate) trait Tally: Clone + Send {
    /// How finely times must be told apart in the cells that it is shown.
    fn grain(&self) -> Grain;

    /// Before which minutes the errors of digests are told apart, so that those
    /// of the minutes between may be put together.
    fn cuts(&self) -> Vec<Minute> {
        Vec::new()
    }

    /// Whether a digest doesn't tell apart what is asked for: its events are
    /// read then, as long as they are there.
    fn lacks(&self, digest: &Digest) -> bool;

    /// This digest is used, whatever of it lies in the range: that of a block,
    /// or what several come to. Answers how many of the events that are counted
    /// of it, and of no cell, repeat others.
    fn digest(&mut self, digest: &Digest) -> u64;

    /// So many blocks are known to have nothing in the range.
    fn outside(&mut self, _blocks: u64) {}

    /// These cells of a digest lie in the range. Answers how many of the events
    /// that are counted of them repeat others.
    fn cells(&mut self, digest: &Digest, cells: &[(Key, Cell)]) -> u64;

    /// An event that no cell was shown for; it may lie outside of the range.
    /// Answers whether it is counted.
    fn event(&mut self, recorded: &RecordedEvent) -> bool;

    /// Whether it has a use for more.
    ///
    /// # Errors
    /// What the answer will be whatever comes: nobody reads on for that.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// A question to the whole log, or to a range of its time.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    /// Who asks, for errors.
    pub(crate) operation: &'static str,
    /// The log.
    pub(crate) log: &'a Log,
    /// The log as it stands.
    pub(crate) open: &'a OpenLog,
    /// By the events' own times.
    pub(crate) range: MinuteRange,
    /// Which events are meant.
    pub(crate) filter: &'a CellFilter,
    /// How much may be read.
    pub(crate) meter: &'a Meter,
}

impl Digests {
    /// Shows a tally everything that the log holds, or held when it was digested.
    pub(crate) async fn gather(
        &self,
        ask: &Ask<'_>,
        tally: &mut impl Tally,
    ) -> Result<AnswerBasis> {
        let mut gathering = Gathering::new(self, ask).await?;
        let (grain, cuts) = (tally.grain(), tally.cuts());
        let look = Look { range: ask.range, grain, cuts };
        gathering.run(&look, tally).await?;
        Ok(gathering.basis)
    }

    /// Reads what no digest has from a block on, and makes digests of it, as a
    /// question does that is about nothing; answers how far it has come.
    pub(crate) async fn follow(&self, ask: &Ask<'_>, from_block: u64) -> Result<u64> {
        let mut gathering = Gathering::new(self, ask).await?;
        gathering.left.start = from_block.min(gathering.left.end);
        let look = Look { range: ask.range, grain: Grain::Whole, cuts: Vec::new() };
        gathering.run(&look, &mut Nobody).await?;
        Ok(gathering.through)
    }

    /// Shows a tally what digests have, as [`gather`](Self::gather) does, and
    /// counts what would be read instead of reading it, and in how many parts.
    pub(crate) async fn estimate(
        &self,
        ask: &Ask<'_>,
        tally: &mut impl Tally,
    ) -> Result<(AnswerBasis, u64)> {
        let (mut gathering, mut parts) = (Gathering::new(self, ask).await?, 0);
        let first = ask.open.info.state.first_sequence;
        // Nothing is put together for it.
        let look = Look { range: ask.range, grain: Grain::Minute, cuts: Vec::new() };
        while let Some(pieces) = gathering.next(&look, tally) {
            for part in gathering.parts(pieces, &look, tally).await? {
                let there = |from: u64, to: u64| (to + 1).saturating_sub(from.max(first));
                let (read, holes) = match &part {
                    Part::Again(again) => (there(again.from, again.to), 0),
                    Part::Untold(digest) => (digest.seen, digest.holes()),
                    Part::Rest(rest) => {
                        let there = there(rest.from, rest.to);
                        (there, (rest.to + 1).saturating_sub(rest.from) - there)
                    }
                };
                gathering.basis.read += read;
                gathering.basis.holes += holes;
                parts += u64::from(read > 0);
            }
        }
        Ok((gathering.basis, parts))
    }
}

/// Adds up nothing.
#[derive(Clone)]
struct Nobody;

impl Tally for Nobody {
    fn grain(&self) -> Grain {
        Grain::Whole
    }

    fn lacks(&self, _: &Digest) -> bool {
        false
    }

    fn digest(&mut self, _: &Digest) -> u64 {
        0
    }

    fn cells(&mut self, _: &Digest, _: &[(Key, Cell)]) -> u64 {
        0
    }

    fn event(&mut self, _: &RecordedEvent) -> bool {
        false
    }
}

/// What of some cells lies in a range, where all of it can be told.
fn sharp(cells: &[(Key, Cell)], range: &MinuteRange) -> Option<Vec<(Key, Cell)>> {
    let mut inside = Vec::new();
    for (key, cell) in cells {
        match range.cell(cell) {
            Lies::Inside => inside.push((*key, cell.clone())),
            Lies::Outside => {}
            Lies::Across if cell.is_sharp() => {
                inside.extend(cell.when(|at| range.contains(at)).map(|part| (*key, part)));
            }
            Lies::Across => return None,
        }
    }
    Some(inside)
}

/// An answer in the making.
pub(super) struct Gathering<'a> {
    pub(super) digests: &'a Digests,
    pub(super) ask: &'a Ask<'a>,
    /// The log at a later look than the question's, where one was needed.
    later: Option<OpenLog>,
    /// The blocks that are still to be looked at.
    left: Range<u64>,
    /// The last sequence of what is looked at.
    pub(super) through: u64,
    pub(super) basis: AnswerBasis,
    /// What was read and is in no digest that is being made.
    pub(super) seen: SeenIds,
}

impl<'a> Gathering<'a> {
    async fn new(digests: &'a Digests, ask: &'a Ask<'a>) -> Result<Self> {
        let in_operation = |error: Error| error.in_operation(ask.operation);
        digests.look(ask.open).await.map_err(in_operation)?;
        digests.pass_bare(ask.open).await.map_err(in_operation)?;
        let last = ask.open.info.state.last_sequence;
        let left = 0..if last > 0 { block_of(last) + 1 } else { 0 };
        let mut basis = ask.open.basis();
        basis.duplicates = Some(0);
        let (later, seen) = (None, SeenIds::new());
        Ok(Self { digests, ask, later, left, through: last, basis, seen })
    }

    /// The log as it was looked at last.
    pub(super) fn open(&self) -> &OpenLog {
        self.later.as_ref().unwrap_or(self.ask.open)
    }

    /// Goes by a later look from now on.
    pub(super) fn look_at(&mut self, open: OpenLog) {
        self.later = Some(open);
    }

    /// Goes through the pieces of the log, one window after the other.
    async fn run(&mut self, look: &Look, tally: &mut impl Tally) -> Result<()> {
        while let Some(pieces) = self.next(look, tally) {
            let flight = self.begin().await;
            let parts = self.parts(pieces, look, tally).await?;
            tally.check()?;
            let again = self.read(parts, flight, tally).await?;
            self.again(again, tally).await?;
        }
        Ok(())
    }

    /// Whether there is more to be looked at than what was begun with.
    pub(super) fn is_before_the_end(&self) -> bool {
        !self.left.is_empty()
    }

    /// The pieces of the log that are looked at together next; `None` behind its end.
    fn next(&mut self, look: &Look, tally: &impl Tally) -> Option<Vec<Piece>> {
        if self.left.is_empty() {
            return None;
        }
        let info = &self.open().info;
        let is_told = |run: &Run| self.is_told(&[&run.untold], run.place, tally);
        let mut kept = self.digests.kept(info.created);
        let (pieces, next) = kept.pieces(self.left.clone(), &info.state, look, is_told);
        self.left.start = next;
        Some(pieces)
    }

    /// Shows what digests have of these pieces, and says what is to be read.
    async fn parts(
        &mut self,
        pieces: Vec<Piece>,
        look: &Look,
        tally: &mut impl Tally,
    ) -> Result<Vec<Part>> {
        let (ask, created) = (self.ask, self.open().info.created);
        let block = |piece: &Piece| match piece {
            Piece::Block(block, _) => Some(*block),
            _ => None,
        };
        let blocks: Vec<u64> = pieces.iter().filter_map(block).collect();
        let loaded = self
            .digests
            .load(created, &blocks, &self.open().info.state, Purpose::Question)
            .await
            .map_err(|error| error.in_operation(ask.operation))?;
        if let Some(last) = loaded.last().and_then(Option::as_deref) {
            self.look_again(last).await?;
        }
        let mut loaded = loaded.into_iter();
        let mut known = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Outside(head, blocks) => {
                    self.count(&head);
                    // What left the log before anybody counted it has no digest.
                    if head.seen > 0 {
                        tally.outside(blocks);
                    }
                }
                Piece::Run(run) => known.push(Known::Run(run)),
                Piece::Block(block, head) => {
                    let digest = loaded.next().flatten();
                    known.push(self.block(block, head, digest, look, tally).await);
                }
            }
            self.put_together(&mut known, look, tally);
        }
        let mut parts = Vec::new();
        for known in known {
            let rest = match known {
                Known::Run(run) => {
                    self.count(&run.head);
                    self.count_repeats(tally.digest(&run.sum));
                    self.show(&run.sum, &run.sum.cells, tally);
                    continue;
                }
                Known::Digest(digest, rest) => {
                    parts.extend(self.take(&digest, tally).into_iter().map(Part::Again));
                    rest
                }
                Known::Untold(digest, rest) => {
                    parts.push(Part::Untold(digest));
                    rest
                }
                Known::Rest(rest) => rest,
            };
            if rest.from <= rest.to {
                parts.push(Part::Rest(rest));
            }
        }
        Ok(parts)
    }

    /// Counts messages whose digests are used, whatever their times.
    fn count(&mut self, head: &Head) {
        self.basis.from_digests += head.seen;
        self.basis.holes += head.holes;
        self.basis.malformed += head.malformed;
    }

    /// Shows what lies wholly in the range, and answers what has to be read.
    pub(super) fn take(&mut self, digest: &Arc<Digest>, tally: &mut impl Tally) -> Vec<Again> {
        let range = &self.ask.range;
        self.basis.from_digests += digest.seen;
        self.basis.holes += digest.holes();
        self.basis.malformed += digest.malformed;
        self.count_repeats(tally.digest(digest));
        let mut again = Vec::new();
        if digest.grain != Grain::Minute {
            self.take_coarse(digest, tally);
            return again;
        }
        let (least, greatest) = range.minutes();
        // The first and the last minute alone may lie across an end.
        let [is_first, is_last] =
            [least, greatest].map(|minute| range.minute(minute) == Lies::Across);
        let ends = [is_first.then_some(least), is_last.then_some(greatest)];
        let ends = if least == greatest { &ends[..1] } else { &ends[..] };
        for minute in ends.iter().flatten() {
            match sharp(digest.cells_between(*minute, *minute), range) {
                Some(cells) => self.show(digest, &cells, tally),
                None => again.extend(edge(digest, *minute)),
            }
        }
        let (first, last) = (least.0 + i64::from(is_first), greatest.0 - i64::from(is_last));
        for cells in digest.cells_within(Minute(first), Minute(last), tally.grain()) {
            self.show(digest, cells, tally);
        }
        let apart = digest.cells_apart();
        match sharp(apart, range) {
            Some(cells) => self.show(digest, &cells, tally),
            None => {
                let expected = apart.iter().map(|(_, cell)| cell.count).sum();
                let (from, to) = (block_start(digest.block), digest.through);
                let which = Which::Apart(Arc::clone(digest));
                again.push(Again { from, to, which, expected });
            }
        }
        again
    }

    /// Shows what lies in the range of a digest whose cells are of hours or days,
    /// and counts what nobody can tell any more: its events are gone.
    fn take_coarse(&mut self, digest: &Digest, tally: &mut impl Tally) {
        let (range, filter) = (self.ask.range, self.ask.filter);
        for cells in digest.cells.chunk_by(|(_, a), (_, b)| range.cell(a) == range.cell(b)) {
            match cells.first().map(|(_, cell)| range.cell(cell)) {
                Some(Lies::Inside) => self.show(digest, cells, tally),
                Some(Lies::Across) => {
                    let mut choice = filter.for_digest(digest);
                    let mut inside = Vec::new();
                    for (key, cell) in cells {
                        if cell.is_sharp() {
                            let part = cell.when(|at| range.contains(at));
                            inside.extend(part.map(|part| (*key, part)));
                        } else if !filter.can_decide(digest, key) || choice.passes(key) {
                            self.basis.undecided += cell.count;
                        }
                    }
                    self.show(digest, &inside, tally);
                }
                Some(Lies::Outside) | None => {}
            }
        }
    }

    /// Shows cells, but for those of which nobody can tell whether they are meant.
    fn show(&mut self, digest: &Digest, cells: &[(Key, Cell)], tally: &mut impl Tally) {
        if cells.is_empty() {
            return;
        }
        // Whatever of them is asked for: blocks that are put together answer the same.
        self.basis.duplicates = self.basis.duplicates.filter(|_| digest.tells_repeats);
        let is_clear = |(key, _): &&(Key, Cell)| self.ask.filter.can_decide(digest, key);
        if cells.iter().all(|cell| is_clear(&cell)) {
            return self.count_repeats(tally.cells(digest, cells));
        }
        let clear: Vec<_> = cells.iter().filter(is_clear).cloned().collect();
        let count = |cells: &[(Key, Cell)]| cells.iter().map(|(_, cell)| cell.count).sum::<u64>();
        self.basis.undecided += count(cells) - count(&clear);
        self.count_repeats(tally.cells(digest, &clear));
    }

    /// Shows a tally an event that was read. Whether it repeats another one is
    /// known by the digest that it goes to, if it goes to one.
    pub(super) fn show_event(
        &mut self,
        recorded: &RecordedEvent,
        is_repeat: Option<bool>,
        tally: &mut impl Tally,
    ) -> Result<()> {
        if tally.event(recorded) {
            let is_repeat = is_repeat.unwrap_or_else(|| !self.seen.is_first(&recorded.event));
            self.count_repeats(u64::from(is_repeat));
        }
        tally.check()
    }

    /// Counted events that repeat others.
    fn count_repeats(&mut self, repeats: u64) {
        self.basis.duplicates = self.basis.duplicates.map(|known| known + repeats);
    }
}
