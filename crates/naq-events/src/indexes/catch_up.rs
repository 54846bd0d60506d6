//! Indexing what is in the log and in no index yet, block by block.

use std::collections::HashMap;

use futures::{FutureExt, StreamExt, future};
use naq_core::events::EventItem;
use naq_core::jetstream::{Delivery, ReadOptions, ReadStart, ReadUntil};
use naq_core::{Error, ErrorKind, Result, Timestamp};

use uuid::Uuid;

use super::block::IndexBlock;
use super::definition::Definition;
use super::draft::Draft;
use super::kept::{Indexes, LAG};
use super::pruning::Pruning;
use crate::digests::{block_end, block_of, block_start};
use crate::fence::Mark;
use crate::read::{Log, Meter, OpenLog, decode};

/// How often a block is begun, where what it would go on from is of messages
/// that the server has lost.
const TRIES: usize = 2;

/// How many blocks whoever asks makes the index catch up with at most.
const MOST_BLOCKS_BY_ASKING: u64 = 4;

impl Indexes {
    /// Indexes what isn't, from a block on up to the log's end as it stood
    /// when it was opened; answers how many messages it read.
    ///
    /// Each block is kept when it is done: ended at any instant, the next one
    /// to do it goes on there, and two at once do no harm. A meter ends it amid
    /// a block, which is kept as far as it has come then.
    pub(crate) async fn catch_up(
        &self,
        log: &Log,
        open: &OpenLog,
        definition: &Definition,
        from_block: u64,
        meter: Option<&Meter>,
    ) -> Result<u64> {
        let mut read = 0;
        let mut next = Some(from_block);
        while let Some(block) = next {
            let done = self.catch_up_block(log, open, definition, block, meter).await?;
            read += done.read;
            next = done.next;
        }
        Ok(read)
    }

    /// Indexes what isn't of the first block that the log has, from this one on.
    pub(super) async fn catch_up_block(
        &self,
        log: &Log,
        open: &OpenLog,
        definition: &Definition,
        block: u64,
        meter: Option<&Meter>,
    ) -> Result<Done> {
        let (created, state) = (open.info.created, &open.info.state);
        let first_block = block_of(state.first_sequence);
        let block = block.max(first_block);
        if state.last_sequence < block_start(block) {
            return Ok(Done { read: 0, through: state.last_sequence, next: None });
        }
        let _flight = self.flight().await;
        let to = block_end(block).min(state.last_sequence);
        let next = (to < state.last_sequence).then_some(block + 1);
        for _ in 0..TRIES {
            let had = self.load(definition, open, &[block]).await.pop().flatten();
            if had.as_ref().is_some_and(|had| had.through >= to) {
                return Ok(Done { read: 0, through: to, next });
            }
            let draft = had.as_deref().and_then(Draft::of);
            let fields = definition.fields.len();
            let mut draft =
                draft.unwrap_or_else(|| Draft::new(created, definition.id, block, fields));
            let before = match draft.mark().sequence {
                0 => self.mark_before(definition, created, block),
                _ => draft.mark(),
            };
            let come_to = draft.through();
            let Some(Reading { read, is_whole }) =
                read(&mut draft, log, open, definition, (before, to), meter).await?
            else {
                self.distrust(open);
                continue;
            };
            if !open.is_as_opened() {
                break;
            }
            let (through, next) = (draft.through(), next.filter(|_| is_whole));
            if !is_whole && through == come_to {
                return Ok(Done { read, through, next });
            }
            self.save(&draft, open).await?;
            if is_whole && next.is_none() && self.has_to_sweep(first_block) {
                self.sweep_some(created, first_block).await?;
            }
            return Ok(Done { read, through, next });
        }
        let text = "the log's server began anew, or lost its end, while the log was read";
        Err(Error::new(ErrorKind::Unavailable, "index_events", text)
            .with("block", block.to_string())
            .with_hint("do it again: it goes on where it was"))
    }

    /// Keeps what a draft has come to, unless what is kept is better.
    pub(super) async fn save(&self, draft: &Draft, open: &OpenLog) -> Result<()> {
        let (made, better) = loop {
            let made = IndexBlock::decode(draft.seal(self.most_bytes.get()))?;
            let length = made.bytes().len();
            match self.store.save(&made, open.info.state.last_sequence).await {
                Err(error) if self.most_bytes.shrinks(&error, length) => {}
                better => break (made, better?),
            }
        };
        self.was_kept();
        self.keep(better.unwrap_or(made), open.turn());
        Ok(())
    }

    /// Lets the index follow the log where it lags by so much that reading
    /// the rest at each question would cost more, and by not so much that a
    /// question shouldn't wait for it: what is read for it counts to the
    /// question's limits, and is half of what is left of them at most, in half
    /// of the time that is left. It stops there, and the next question goes on.
    pub(crate) async fn follow(
        &self,
        log: &Log,
        open: &OpenLog,
        definition: &Definition,
        meter: &Meter,
    ) {
        let state = &open.info.state;
        let last = block_of(state.last_sequence);
        let first = last.saturating_sub(MOST_BLOCKS_BY_ASKING).max(block_of(state.first_sequence));
        if state.last_sequence == 0 || !self.may_write() {
            return;
        }
        let blocks: Vec<u64> = (first..=last).collect();
        let loaded = self.load(definition, open, &blocks).await;
        // Where there is nothing at all, somebody has to build it first.
        let Some(newest) = loaded.iter().flatten().next_back() else { return };
        let lag = state.last_sequence - newest.through;
        if lag < LAG || lag > meter.left() / 2 {
            return;
        }
        let half = meter.half();
        let following = self.catch_up(log, open, definition, newest.block, Some(&half));
        // A question that has nothing to follow is not as large as what following takes.
        let followed = half.within(Box::pin(following)).await;
        meter.take(&half);
        match followed {
            // It took too long to be kept.
            Err(error) if !error.is(ErrorKind::LimitReached) => self.cannot_write(&error),
            _ => {}
        }
    }
}

/// What was done of an index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    /// How many messages were read for it.
    pub(super) read: u64,
    /// How far it reaches now.
    pub(super) through: u64,
    /// The block that is to be looked at next; `None` at the log's end.
    pub(super) next: Option<u64>,
}

/// All indexes of a log, followed by who keeps it.
#[derive(Debug, Default)]
pub(crate) struct Following {
    /// When the log was made, and the turn in which it was looked at.
    of: (Timestamp, u64),
    /// The block to be looked at next, and how far the index reaches.
    indexes: HashMap<Uuid, (u64, u64)>,
    behind: u64,
    pruning: Pruning,
}

impl Following {
    /// Looks on at each index, one block at most; `true` where there is more
    /// to do at once.
    ///
    /// The block that grows is looked at again when enough has come. When all
    /// follow, a block is looked at of which much may have left the log.
    ///
    /// # Errors
    /// That of the list; else the first one of any index; the others are looked on at all the same.
    pub(crate) async fn look(
        &mut self,
        indexes: &Indexes,
        log: &Log,
        open: &OpenLog,
    ) -> Result<bool> {
        let last = open.info.state.last_sequence;
        let of = (open.info.created, open.turn());
        if self.of != of {
            let pruning = std::mem::take(&mut self.pruning);
            *self = Self { of, pruning, ..Self::default() };
        }
        let list = indexes.list().await?;
        self.indexes.retain(|id, _| list.iter().any(|definition| definition.id == *id));
        let (mut has_more, mut failed) = (false, None);
        for definition in &*list {
            let (block, through) = self.indexes.get(&definition.id).copied().unwrap_or_default();
            // One that reaches behind the end is of what a server has lost.
            if through > 0 && (through..through + LAG).contains(&last) {
                continue;
            }
            let block = if last < through { 0 } else { block };
            match indexes.catch_up_block(log, open, definition, block, None).await {
                Ok(done) => {
                    let next = done.next.unwrap_or_else(|| block_of(last));
                    self.indexes.insert(definition.id, (next, done.through));
                    has_more |= done.next.is_some();
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let through = |it: &Definition| self.indexes.get(&it.id).map_or(0, |(_, through)| *through);
        let gone = open.info.state.first_sequence.saturating_sub(1);
        let behind = |it: &Definition| last.saturating_sub(through(it).max(gone));
        self.behind = list.iter().map(behind).max().unwrap_or(0);
        if has_more || failed.is_some() {
            return failed.map_or(Ok(has_more), Err);
        }
        self.pruning.look(indexes, log, open, &list).await
    }

    /// How many sequences that index was behind the log which was furthest
    /// behind it, when they were looked at last.
    pub(crate) const fn behind(&self) -> u64 {
        self.behind
    }
}

/// What was read for a draft.
#[derive(Debug, Clone, Copy)]
struct Reading {
    /// How many messages.
    read: u64,
    /// Whether that is all that was to be read; a meter has ended it else.
    is_whole: bool,
}

/// Shows a draft what it has not seen yet through a sequence, or as far as a
/// meter lets it come, so that there is time left to keep the draft; `None`
/// where the last message before isn't what it was.
async fn read(
    draft: &mut Draft,
    log: &Log,
    open: &OpenLog,
    definition: &Definition,
    (before, to): (Mark, u64),
    meter: Option<&Meter>,
) -> Result<Option<Reading>> {
    let (created, first) = (open.info.created, open.info.state.first_sequence.max(1));
    let from = (draft.through() + 1).max(first);
    let mut read = 0;
    if from <= to {
        // One that has left the log tells nothing.
        let start = if before.sequence < first { from } else { from.min(before.sequence) };
        let options = ReadOptions::default()
            .with_start(ReadStart::Sequence(start))
            .with_until(ReadUntil::Sequence(to))
            .with_created(created);
        let is_over = meter.map_or_else(|| future::pending().boxed(), Meter::half_time);
        let mut deliveries = open.jetstream.read(log.stream(), options).take_until(is_over);
        while let Some(delivery) = deliveries.next().await {
            let Delivery::Message(message) = delivery? else { continue };
            let sequence = message.sequence;
            let mark = Mark::from(&message);
            if before.contradicts(&mark) {
                return Ok(None);
            }
            if sequence < from {
                continue;
            }
            if meter.is_some_and(|meter| meter.note(&message).is_err()) {
                draft.reach(sequence - 1);
                return Ok(Some(Reading { read, is_whole: false }));
            }
            draft.marks(mark);
            read += 1;
            match decode(message, created) {
                EventItem::Event(recorded) => {
                    let seen = (sequence, recorded.timestamp());
                    draft.observe(seen, &recorded.event, &definition.fields);
                }
                _ => draft.malformed(sequence),
            }
        }
        // It is stopped at its own end too.
        if deliveries.take_result().is_some() {
            return Ok(Some(Reading { read, is_whole: false }));
        }
    }
    draft.reach(to);
    Ok(Some(Reading { read, is_whole: true }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use futures::stream;
    use naq_core::clock::{Clock, ManualClock};
    use naq_core::events::{Filter, ScanLimits};

    use super::*;
    use crate::digests::{BLOCK, MinuteRange, PATIENCE};
    use crate::made_up::{CREATED, log_anew_from, log_that_is_read, memory_store, message};

    /// An index of the queues, which is in the list.
    async fn index(indexes: &Indexes) -> Definition {
        let definition = Definition::new("test", "i", &["queue"], CREATED).unwrap();
        let add = |list: &mut Vec<Definition>| {
            list.push(definition.clone());
            Ok(())
        };
        indexes.store.change(1, add).await.unwrap();
        definition
    }

    #[tokio::test]
    async fn an_index_of_messages_that_the_server_has_lost_is_not_gone_on_from() {
        let kv = memory_store();
        let new = || {
            let clock = Arc::new(ManualClock::starting_at(CREATED));
            Indexes::new(Arc::clone(&kv), clock, "events")
        };
        let long_lived = new();
        let definition = index(&long_lived).await;
        let catch_up = async |indexes: &Indexes, (log, open): &(Log, OpenLog)| {
            let read = indexes.catch_up(log, open, &definition, 0, None).await.unwrap();
            let block = indexes.load(&definition, open, &[0]).await.remove(0).unwrap();
            let lookup = Filter::parse("queue = q").unwrap().lookup(&definition.fields).unwrap();
            let named = block.candidates(&lookup, &MinuteRange::default()).unwrap();
            assert_eq!(named, (1..=open.info.state.last_sequence).collect::<Vec<_>>());
            read
        };
        let before = log_anew_from(&[], 9);
        assert_eq!(catch_up(&long_lived, &before).await, 9);
        assert_eq!(catch_up(&long_lived, &log_anew_from(&[], 12)).await, 3);
        // In memory, of the same turn: what the server is doesn't tell.
        assert_eq!(catch_up(&long_lived, &log_anew_from(&[10], 20)).await, 20);
        assert_eq!(catch_up(&long_lived, &log_anew_from(&[10], 24)).await, 4);
        // In the store: by who has nothing in memory.
        let after = log_anew_from(&[10, 24], 30);
        assert_eq!(catch_up(&new(), &after).await, 30);
        assert_eq!(after.1.turn.discarded(), 1);
        // What holds before what is lost is gone on from.
        assert_eq!(catch_up(&new(), &log_anew_from(&[10, 24], 40)).await, 10);
    }

    #[tokio::test]
    async fn one_block_follows_the_other_up_to_the_end_of_the_log() {
        let clock = Arc::new(ManualClock::starting_at(CREATED));
        let indexes = Indexes::new(memory_store(), clock, "events");
        let definition = index(&indexes).await;
        let (log, open) = log_anew_from(&[], BLOCK + 7);
        let read = indexes.catch_up(&log, &open, &definition, 0, None).await.unwrap();
        let blocks = indexes.load(&definition, &open, &[0, 1]).await;
        let through: Vec<_> = blocks.into_iter().map(|block| block.unwrap().through).collect();
        assert_eq!((read, through), (BLOCK + 7, vec![BLOCK, BLOCK + 7]));
    }

    #[tokio::test]
    async fn who_indexes_and_is_polled_no_more_stops_nobody_for_long() {
        let clock = ManualClock::starting_at(CREATED);
        let indexes = Indexes::new(memory_store(), Arc::new(clock.clone()), "events");
        let definition = index(&indexes).await;
        let left_alone = indexes.flight().await;
        assert!(left_alone.is_some());
        let (log, open) = log_anew_from(&[], 7);
        let catching_up = indexes.catch_up(&log, &open, &definition, 0, None);
        let passing = async {
            clock.wait_for_sleepers(1, Duration::from_secs(30)).await.unwrap();
            clock.advance(PATIENCE);
        };
        let (read, ()) = tokio::join!(catching_up, passing);
        assert_eq!(read.unwrap(), 7);
        drop(left_alone);
    }

    #[tokio::test]
    async fn what_a_question_lets_an_index_follow_counts_to_its_limits() {
        let clock = Arc::new(ManualClock::starting_at(CREATED));
        let indexes = Indexes::new(memory_store(), clock, "events");
        let definition = index(&indexes).await;
        let (log, open) = log_anew_from(&[], 9);
        indexes.catch_up(&log, &open, &definition, 0, None).await.unwrap();
        let (log, open) = log_anew_from(&[], 9 + LAG);
        for (limit, read) in [(2 * LAG - 1, 0), (2 * LAG, LAG), (2 * LAG, 0)] {
            let meter = log.meter("test", ScanLimits::default().with_max_messages(limit));
            indexes.follow(&log, &open, &definition, &meter).await;
            assert_eq!(meter.read(), read);
        }
    }

    /// What a question of these limits lets an index come to that has 9 of a log,
    /// and the next question as much.
    async fn followed(log: &Log, open: &OpenLog, limits: ScanLimits) -> (u64, Arc<Meter>) {
        let kv = memory_store();
        let new = || {
            let clock = Arc::new(ManualClock::starting_at(CREATED));
            Indexes::new(Arc::clone(&kv), clock, "events")
        };
        let indexes = new();
        let definition = index(&indexes).await;
        let (before, opened) = log_anew_from(&[], 9);
        indexes.catch_up(&before, &opened, &definition, 0, None).await.unwrap();
        let meter = log.meter("test", limits);
        indexes.follow(log, open, &definition, &meter).await;
        // It is in the store, and goes on from there.
        let block = new().load(&definition, open, &[0]).await.remove(0).unwrap();
        assert_eq!(block.through, 9 + meter.read());
        let lookup = Filter::parse("queue = q").unwrap().lookup(&definition.fields).unwrap();
        let named = block.candidates(&lookup, &MinuteRange::default()).unwrap();
        assert_eq!(named, (1..=block.through).collect::<Vec<_>>());
        let next = log.meter("test", limits);
        new().follow(log, open, &definition, &next).await;
        assert_eq!(next.read(), meter.read());
        (block.through, meter)
    }

    #[tokio::test]
    async fn what_a_question_lets_an_index_follow_is_half_of_its_bytes_and_is_kept() {
        let (log, open) = log_anew_from(&[], 9 + 2 * LAG);
        let length = message(1).payload.len() as u64;
        let limits = ScanLimits::default().with_max_bytes(2_000 * length);
        let (through, meter) = followed(&log, &open, limits).await;
        assert_eq!(through, 1_009);
        // The other half is the question's.
        (1..=1_000).for_each(|sequence| meter.note(&message(sequence)).unwrap());
        assert!(meter.note(&message(1)).unwrap_err().is(ErrorKind::LimitReached));
    }

    #[tokio::test]
    async fn what_a_question_lets_an_index_follow_is_done_in_half_of_its_time_and_is_kept() {
        const SECOND: Duration = Duration::from_secs(1);
        // One comes each second; or so many at once, and none any more.
        for at_once in [None, Some(100)] {
            let clock = ManualClock::starting_at(CREATED);
            let passes = clock.clone();
            let messages = move |from, to| {
                let passes = passes.clone();
                let come = stream::iter(from..=to).then(move |sequence| {
                    let is_there = at_once.is_none_or(|at_once| sequence <= from + at_once);
                    let seconds = if at_once.is_none() { 1 } else { 250 * u32::from(!is_there) };
                    passes.advance(seconds * SECOND);
                    async move {
                        if !is_there {
                            future::pending::<()>().await;
                        }
                        Ok(Delivery::Message(message(sequence)))
                    }
                });
                come.boxed()
            };
            let (log, open) = log_that_is_read(9 + 2 * LAG, &clock, messages);
            let limits = ScanLimits::default().with_max_time(1_000 * SECOND);
            let (through, _) = followed(&log, &open, limits).await;
            assert_eq!(through, at_once.map_or(258, |at_once| 9 + at_once));
            assert_eq!(clock.monotonic(), 500 * SECOND, "for both");
        }
    }
}
