//! Indexing what is in the log and in no index yet, block by block.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;
use naq_core::events::EventItem;
use naq_core::jetstream::{Delivery, ReadOptions, ReadStart, ReadUntil};
use naq_core::{Result, Timestamp};

use uuid::Uuid;

use super::block::IndexBlock;
use super::definition::Definition;
use super::draft::Draft;
use super::kept::{Indexes, LAG};
use crate::digests::{block_end, block_of, block_start};
use crate::read::{Log, OpenLog, decode};

/// How many blocks whoever asks makes the index catch up with at most.
const MOST_BLOCKS_BY_ASKING: u64 = 4;

impl Indexes {
    /// Indexes what isn't, from a block on up to the log's end as it stood
    /// when it was opened. Says how far it has come after each block, and
    /// answers how many messages it read.
    ///
    /// Each block is kept when it is done: ended at any instant, the next one
    /// to do it goes on there, and two at once do no harm.
    pub(crate) async fn catch_up(
        &self,
        log: &Log,
        open: &OpenLog,
        definition: &Definition,
        from_block: u64,
        mut reached: impl FnMut(u64) + Send,
    ) -> Result<u64> {
        let mut read = 0;
        let mut next = Some(from_block);
        while let Some(block) = next {
            let done = self.catch_up_block(log, open, definition, block).await?;
            read += done.read;
            reached(done.through);
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
    ) -> Result<Done> {
        let (created, state) = (open.info.created, &open.info.state);
        let first_block = block_of(state.first_sequence);
        let block = block.max(first_block);
        if state.last_sequence < block_start(block) {
            return Ok(Done { read: 0, through: state.last_sequence, next: None });
        }
        let _flight = self.flight.lock().await;
        let to = block_end(block).min(state.last_sequence);
        let next = (to < state.last_sequence).then_some(block + 1);
        let had = self.load(definition, created, &[block], state).await.pop().flatten();
        if had.as_ref().is_some_and(|had| had.through >= to) {
            return Ok(Done { read: 0, through: to, next });
        }
        let draft = had.as_deref().and_then(Draft::of);
        let fields = definition.fields.len();
        let mut draft = draft.unwrap_or_else(|| Draft::new(created, definition.id, block, fields));
        let read = read(&mut draft, log, open, definition, to).await?;
        let made = IndexBlock::decode(draft.seal())?;
        let better = self.store.save(&made, state.last_sequence).await?;
        self.keep(Arc::new(better.unwrap_or(made)));
        if next.is_none() && self.has_to_sweep(first_block) {
            self.sweep(created, first_block).await?;
        }
        Ok(Done { read, through: to, next })
    }

    /// Lets the index follow the log where it lags by so much that reading
    /// the rest at each question would cost more, and by not so much that a
    /// question shouldn't wait for it.
    pub(crate) async fn follow(&self, log: &Log, open: &OpenLog, definition: &Definition) {
        let (created, state) = (open.info.created, &open.info.state);
        let last = block_of(state.last_sequence);
        let first = last.saturating_sub(MOST_BLOCKS_BY_ASKING).max(block_of(state.first_sequence));
        if state.last_sequence == 0 || !self.may_write() {
            return;
        }
        let blocks: Vec<u64> = (first..=last).collect();
        let loaded = self.load(definition, created, &blocks, state).await;
        // Where there is nothing at all, somebody has to build it first.
        let Some(newest) = loaded.iter().flatten().next_back() else { return };
        if state.last_sequence - newest.through < LAG {
            return;
        }
        if let Err(error) = self.catch_up(log, open, definition, newest.block, |_| {}).await {
            self.cannot_write(&error);
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
    created: Timestamp,
    /// The block to be looked at next, and how far the index reaches.
    indexes: HashMap<Uuid, (u64, u64)>,
}

impl Following {
    /// Looks on at each index, one block at most; `true` where there is more
    /// to do at once.
    ///
    /// The block that grows is looked at again when enough has come.
    pub(crate) async fn look(
        &mut self,
        indexes: &Indexes,
        log: &Log,
        open: &OpenLog,
    ) -> Result<bool> {
        let last = open.info.state.last_sequence;
        if self.created != open.info.created {
            *self = Self { created: open.info.created, ..Self::default() };
        }
        let list = indexes.listed().await;
        self.indexes.retain(|id, _| list.iter().any(|definition| definition.id == *id));
        let mut has_more = false;
        for definition in &*list {
            let (block, through) = self.indexes.get(&definition.id).copied().unwrap_or_default();
            // One that reaches behind the end is of what a server has lost.
            if through > 0 && (through..through + LAG).contains(&last) {
                continue;
            }
            let block = if last < through { 0 } else { block };
            let done = indexes.catch_up_block(log, open, definition, block).await?;
            let next = done.next.unwrap_or_else(|| block_of(last));
            self.indexes.insert(definition.id, (next, done.through));
            has_more |= done.next.is_some();
        }
        Ok(has_more)
    }
}

/// Shows a draft what it has not seen yet through a sequence.
async fn read(
    draft: &mut Draft,
    log: &Log,
    open: &OpenLog,
    definition: &Definition,
    to: u64,
) -> Result<u64> {
    let created = open.info.created;
    let from = (draft.through() + 1).max(open.info.state.first_sequence);
    let mut read = 0;
    if from <= to {
        let options = ReadOptions::default()
            .with_start(ReadStart::Sequence(from))
            .with_until(ReadUntil::Sequence(to))
            .with_created(created);
        let mut deliveries = open.jetstream.read(log.stream(), options);
        while let Some(delivery) = deliveries.next().await {
            let Delivery::Message(message) = delivery? else { continue };
            let sequence = message.sequence;
            read += 1;
            match decode(message, created) {
                EventItem::Event(recorded) => {
                    draft.observe(sequence, &recorded.event, &definition.fields);
                }
                _ => draft.malformed(sequence),
            }
        }
    }
    draft.reach(to);
    Ok(read)
}
