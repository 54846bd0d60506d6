//! Answering from digests: what cells tell from them, the rest from the log.
//!
//! Every sequence of the stream, up to its end when it was asked, is in
//! exactly one of three: a digest, the reading of what no digest has, or a
//! hole that is counted. What is read is folded into digests on the way.

use std::ops::Range;
use std::sync::Arc;

use futures::{StreamExt, stream};
use naq_core::events::{AnswerBasis, EventItem, RecordedEvent, ScanLimits};
use naq_core::jetstream::{Delivery, ReadOptions, ReadStart, ReadUntil};
use naq_core::{BoxStream, Result};

use super::cell::{Cell, Key, Minute};
use super::choose::CellFilter;
use super::digest::{Digest, Span, block_end, block_of, block_start};
use super::hours::Grain;
use super::kept::{Digests, Growing, Purpose};
use super::range::{Lies, MinuteRange};
use crate::read::{Log, OpenLog, decode, too_long};

/// How many blocks are looked at together.
const CHUNK: u64 = 32;

/// How many parts are read again at the same time.
const AT_ONCE: usize = 4;

/// Adds up an answer.
pub(crate) trait Tally: Send {
    /// How finely times must be told apart in the cells that it is shown.
    fn grain(&self) -> Grain;

    /// Whether a digest doesn't tell apart what is asked for: its events are
    /// read then, as long as they are there.
    fn lacks(&self, digest: &Digest) -> bool;

    /// This digest is used, whatever of it lies in the range.
    fn digest(&mut self, digest: &Digest);

    /// These cells of a digest lie in the range.
    fn cells(&mut self, digest: &Digest, cells: &[(Key, Cell)]);

    /// An event that no cell was shown for; it may lie outside of the range.
    fn event(&mut self, recorded: &RecordedEvent);
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
    pub(crate) limits: ScanLimits,
}

/// What is read, and why.
#[derive(Debug)]
enum Part {
    /// What a digest has seen and can't tell apart.
    Again(Again),
    /// What no digest has.
    Rest(Rest),
}

/// Events to be read again.
#[derive(Debug)]
struct Again {
    from: u64,
    to: u64,
    which: Which,
    /// How many of them the digest has seen.
    expected: u64,
}

/// Which of the events between two sequences.
#[derive(Debug)]
enum Which {
    /// Those of a minute of which only some lie in the range.
    Of(Minute),
    /// Those that a digest doesn't tell the minutes of.
    Apart(Arc<Digest>),
}

impl Which {
    fn has(&self, recorded: &RecordedEvent) -> bool {
        let of = Minute::of(recorded.timestamp());
        match self {
            Self::Of(minute) => *minute == of,
            Self::Apart(digest) => {
                digest.spans.binary_search_by_key(&of, |(minute, _)| *minute).is_err()
            }
        }
    }
}

#[derive(Debug)]
struct Rest {
    block: u64,
    from: u64,
    to: u64,
    /// What a digest has seen before; `None` where it is not to be folded.
    fold: Option<Option<Arc<Digest>>>,
}

impl Digests {
    /// Shows a tally everything that the log holds, or held when it was digested.
    pub(crate) async fn gather(
        &self,
        ask: &Ask<'_>,
        tally: &mut impl Tally,
    ) -> Result<AnswerBasis> {
        let mut gathering = Gathering::new(self, ask);
        for blocks in gathering.chunks() {
            let parts = gathering.parts(blocks, tally).await?;
            gathering.read(parts, tally).await?;
        }
        Ok(gathering.basis)
    }

    /// Shows a tally what digests have, as [`gather`](Self::gather) does, and
    /// counts what would be read instead of reading it.
    pub(crate) async fn estimate(
        &self,
        ask: &Ask<'_>,
        tally: &mut impl Tally,
    ) -> Result<AnswerBasis> {
        let mut gathering = Gathering::new(self, ask);
        let first = ask.open.info.state.first_sequence;
        for blocks in gathering.chunks() {
            for part in gathering.parts(blocks, tally).await? {
                let (from, to) = match &part {
                    Part::Again(again) => (again.from, again.to),
                    Part::Rest(rest) => (rest.from, rest.to),
                };
                let sequences = (to + 1).saturating_sub(from);
                let there = (to + 1).saturating_sub(from.max(first));
                gathering.basis.read += there;
                if let Part::Rest(_) = part {
                    gathering.basis.holes += sequences - there;
                }
            }
        }
        Ok(gathering.basis)
    }
}

/// The reading of a minute of which only some events lie in the range, and
/// whose cells don't tell all of them apart.
fn edge(digest: &Digest, minute: Minute) -> Option<Part> {
    let at = digest.spans.binary_search_by_key(&minute, |(minute, _)| *minute).ok()?;
    let (_, Span { from, to }) = digest.spans[at];
    let expected = digest.cells_between(minute, minute).iter().map(|(_, cell)| cell.count).sum();
    let which = Which::Of(minute);
    Some(Part::Again(Again { from, to, which, expected }))
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

struct Gathering<'a> {
    digests: &'a Digests,
    ask: &'a Ask<'a>,
    limit: u64,
    basis: AnswerBasis,
}

impl<'a> Gathering<'a> {
    fn new(digests: &'a Digests, ask: &'a Ask<'a>) -> Self {
        let state = &ask.open.info.state;
        let mut basis = AnswerBasis::default();
        if state.last_sequence > 0 {
            (basis.first_sequence, basis.through) = (state.first_sequence, state.last_sequence);
        }
        Self { digests, ask, limit: ask.log.limit(ask.limits), basis }
    }

    /// The log's blocks, those together that are looked at together.
    fn chunks(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        let last = self.ask.open.info.state.last_sequence;
        let end = if last > 0 { block_of(last) + 1 } else { 0 };
        (0..end).step_by(CHUNK as usize).map(move |start| start..end.min(start + CHUNK))
    }

    /// Shows what digests have of these blocks, and says what is to be read.
    async fn parts(&mut self, blocks: Range<u64>, tally: &mut impl Tally) -> Result<Vec<Part>> {
        let (ask, created) = (self.ask, self.ask.open.info.created);
        let state = &ask.open.info.state;
        let first = blocks.start;
        let loaded = self
            .digests
            .load(created, blocks, state, Purpose::Question)
            .await
            .map_err(|error| error.in_operation(ask.operation))?;
        let mut parts = Vec::new();
        for (block, digest) in (first..).zip(loaded) {
            let to = block_end(block).min(state.last_sequence);
            let digest = digest.filter(|digest| digest.through <= to);
            let rest = |from, fold| Rest { block, from, to, fold };
            let rest = match digest {
                // What the digest has is read again, and what it lacks is folded still.
                Some(digest) if self.is_there(&digest) && tally.lacks(&digest) => {
                    let fold = (digest.through < to).then_some(Some(digest));
                    rest(block_start(block), fold)
                }
                Some(digest) => {
                    self.take(&digest, &mut parts, tally);
                    rest(digest.through + 1, Some(Some(digest)))
                }
                None => rest(block_start(block), Some(None)),
            };
            if rest.from <= rest.to {
                parts.push(Part::Rest(rest));
            }
        }
        Ok(parts)
    }

    /// Whether the log still has all of the digest's block, as far as is known:
    /// where anything was removed from its midst, it may be this block's.
    fn is_there(&self, digest: &Digest) -> bool {
        let state = &self.ask.open.info.state;
        state.first_sequence <= block_start(digest.block) && state.num_deleted == 0
    }

    /// Shows what lies wholly in the range, and notes what has to be read.
    fn take(&mut self, digest: &Arc<Digest>, parts: &mut Vec<Part>, tally: &mut impl Tally) {
        let range = &self.ask.range;
        self.basis.from_digests += digest.seen;
        self.basis.holes += digest.holes();
        self.basis.malformed += digest.malformed;
        tally.digest(digest);
        let (least, greatest) = range.minutes();
        // The first and the last minute alone may lie across an end.
        let [is_first, is_last] =
            [least, greatest].map(|minute| range.minute(minute) == Lies::Across);
        let ends = [is_first.then_some(least), is_last.then_some(greatest)];
        let ends = if least == greatest { &ends[..1] } else { &ends[..] };
        for minute in ends.iter().flatten() {
            match sharp(digest.cells_between(*minute, *minute), range) {
                Some(cells) => self.show(digest, &cells, tally),
                None => parts.extend(edge(digest, *minute)),
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
                parts.push(Part::Again(Again { from, to, which, expected }));
            }
        }
    }

    /// Shows cells, but for those of which nobody can tell whether they are meant.
    fn show(&mut self, digest: &Digest, cells: &[(Key, Cell)], tally: &mut impl Tally) {
        if cells.is_empty() {
            return;
        }
        let is_clear = |(key, _): &&(Key, Cell)| self.ask.filter.can_decide(key);
        if cells.iter().all(|cell| is_clear(&cell)) {
            return tally.cells(digest, cells);
        }
        let clear: Vec<_> = cells.iter().filter(is_clear).cloned().collect();
        let count = |cells: &[(Key, Cell)]| cells.iter().map(|(_, cell)| cell.count).sum::<u64>();
        self.basis.undecided += count(cells) - count(&clear);
        tally.cells(digest, &clear);
    }

    /// Reads the parts; rests that follow one another at one go.
    async fn read(&mut self, parts: Vec<Part>, tally: &mut impl Tally) -> Result<()> {
        let (mut run, mut again) = (Vec::<Rest>::new(), Vec::new());
        for part in parts {
            match part {
                Part::Rest(rest) => {
                    if run.last().is_some_and(|last| last.to + 1 != rest.from) {
                        self.rests(std::mem::take(&mut run), tally).await?;
                    }
                    run.push(rest);
                }
                Part::Again(part) => again.push(part),
            }
        }
        self.rests(run, tally).await?;
        self.again(again, tally).await
    }

    /// Reads again what digests have seen and can't tell apart, a few parts at a time.
    async fn again(&mut self, parts: Vec<Again>, tally: &mut impl Tally) -> Result<()> {
        let readings = parts.iter().enumerate().map(|(place, part)| {
            self.deliveries(part.from, part.to).map(move |delivery| (place, delivery))
        });
        let mut deliveries = stream::iter(readings.collect::<Vec<_>>()).flatten_unordered(AT_ONCE);
        let mut met = vec![0; parts.len()];
        while let Some((place, delivery)) = deliveries.next().await {
            let (Some((_, item)), Some(part)) = (self.item(delivery)?, parts.get(place)) else {
                continue;
            };
            if let EventItem::Event(recorded) = item
                && part.which.has(&recorded)
            {
                met[place] += 1;
                tally.event(&recorded);
            }
        }
        for (part, met) in parts.iter().zip(met) {
            self.basis.undecided += part.expected.saturating_sub(met);
        }
        Ok(())
    }

    /// Reads what no digest has, and makes digests of it.
    async fn rests(&mut self, run: Vec<Rest>, tally: &mut impl Tally) -> Result<()> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
        let (from, to, created) = (first.from, last.to, self.ask.open.info.created);
        let replicas = self.ask.open.info.config.replicas.unwrap_or(1);
        let (digests, mut met, mut malformed) = (self.digests, 0, 0);
        let begin = |rest: &Rest| -> Option<Growing<'_>> {
            let digest = rest.fold.as_ref()?.as_deref();
            Some(digests.begin(created, rest.block, rest.from, digest))
        };
        let mut folded = Vec::new();
        let mut rests = run.into_iter();
        let mut rest = rests.next();
        let mut open = rest.as_ref().and_then(begin);
        let result = {
            let mut visit = |sequence: u64, item: EventItem| {
                while rest.as_ref().is_some_and(|rest| sequence > rest.to) {
                    folded.extend(open.take().zip(rest.take()));
                    rest = rests.next();
                    open = rest.as_ref().and_then(begin);
                }
                met += 1;
                let mut open = open.as_mut().filter(|open| open.lacks(sequence));
                match item {
                    EventItem::Event(recorded) => {
                        if let Some(open) = &mut open {
                            open.draft().observe(&recorded);
                        }
                        tally.event(&recorded);
                    }
                    _ => {
                        if let Some(open) = &mut open {
                            open.draft().malformed(sequence);
                        }
                        malformed += 1;
                    }
                }
            };
            self.messages(from, to, &mut visit).await
        };
        let is_whole = result.is_ok();
        folded.extend(open.take().zip(rest.take()));
        while let Some(rest) = rests.next().filter(|_| is_whole) {
            folded.extend(begin(&rest).zip(Some(rest)));
        }
        let count = folded.len();
        for (place, (mut open, rest)) in folded.into_iter().enumerate() {
            // The last one that a broken reading was in has no end yet.
            if is_whole || place + 1 < count {
                open.draft().reach(rest.to);
            }
            // What is not kept was told, and the answer has it all the same.
            let _ = digests.finish(open, replicas, Purpose::Question).await;
        }
        result?;
        self.basis.malformed += malformed;
        self.basis.holes += (to + 1).saturating_sub(from).saturating_sub(met);
        Ok(())
    }

    /// Shows each message between two sequences, both included, that is still there.
    async fn messages(
        &mut self,
        from: u64,
        to: u64,
        mut visit: impl FnMut(u64, EventItem) + Send,
    ) -> Result<()> {
        let mut deliveries = self.deliveries(from, to);
        while let Some(delivery) = deliveries.next().await {
            if let Some((sequence, item)) = self.item(delivery)? {
                visit(sequence, item);
            }
        }
        Ok(())
    }

    /// What the log still has between two sequences, both included.
    fn deliveries(&self, from: u64, to: u64) -> BoxStream<'static, Result<Delivery>> {
        let (log, open) = (self.ask.log, self.ask.open);
        let from = from.max(open.info.state.first_sequence);
        if from > to {
            return stream::empty().boxed();
        }
        let options = ReadOptions::default()
            .with_start(ReadStart::Sequence(from))
            .with_until(ReadUntil::Sequence(to))
            .with_created(open.info.created);
        open.jetstream.read(log.stream(), options)
    }

    /// A delivery's sequence and what it is, where it is a message; counted.
    fn item(&mut self, delivery: Result<Delivery>) -> Result<Option<(u64, EventItem)>> {
        let ask = self.ask;
        let delivery = delivery.map_err(|error| error.in_operation(ask.operation))?;
        let Delivery::Message(message) = delivery else { return Ok(None) };
        self.basis.read += 1;
        if self.basis.read > self.limit {
            return Err(too_long(ask.operation, ask.log, self.limit, message.sequence));
        }
        Ok(Some((message.sequence, decode(message, ask.open.info.created))))
    }
}
