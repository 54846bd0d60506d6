//! The indexes of a log: their list, and what of them is in memory.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use naq_core::clock::{Clock, ClockExt};
use naq_core::kv::KvStore;
use naq_core::{Error, ErrorKind, Result, Timestamp};
use uuid::Uuid;

use super::block::IndexBlock;
use super::definition::Definition;
use super::draft;
use super::store::IndexStore;
use crate::digests::{PATIENCE, block_of};
use crate::fence::{Mark, newest_first};
use crate::most_bytes::MostBytes;
use crate::read::OpenLog;
use crate::rights::Right;

/// How many bytes of indexes are held in memory at most.
const MOST_BYTES: usize = 64 << 20;

/// How many objects are removed at a time. It takes reading all keys, and is done
/// when an index has come to the log's end: at first, and when a block has left
/// the log since.
const MOST_SWEPT: usize = 64;

/// For how long the list of indexes is taken to be what it was.
const FRESH: Duration = Duration::from_secs(5);

/// How far the index of the newest block may lag behind before it is looked
/// for again, or made to go on by who asks for it.
pub(crate) const LAG: u64 = 32_000;

/// The indexes of a log: in the store, and some of them in memory.
#[derive(Debug)]
pub(crate) struct Indexes {
    pub(super) store: IndexStore,
    /// Held by the one who indexes a block: those who come meanwhile find it done.
    flight: tokio::sync::Mutex<()>,
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
    /// Whether the credentials let indexes be read and kept, as far as is known.
    read: Right,
    write: Right,
    /// How long the store lets the index of a block be.
    pub(super) most_bytes: MostBytes,
}

type Key = (Uuid, Timestamp, u64);

#[derive(Debug, Default)]
struct Kept {
    /// The list, or why it can't be read, and when that was found.
    list: Option<(Duration, Result<Arc<[Definition]>>)>,
    /// The turn in which all that is here was found to be of messages that it has.
    turn: u64,
    /// Through which sequence what the store has of an index was found to be so too.
    checked: HashMap<Uuid, u64>,
    blocks: HashMap<Key, Arc<IndexBlock>>,
    order: VecDeque<Key>,
    bytes: usize,
    /// What is over is gone from the store, as are objects of blocks before this one.
    swept: Option<u64>,
}

impl Kept {
    /// Forgets all indexes of blocks.
    fn forget(&mut self) {
        let (list, swept, turn) = (self.list.take(), self.swept, self.turn);
        *self = Self { list, swept, turn, ..Self::default() };
    }
}

impl Indexes {
    /// The indexes of a stream in these buckets.
    pub(crate) fn new(kv: Arc<dyn KvStore>, clock: Arc<dyn Clock>, stream: &str) -> Self {
        Self {
            store: IndexStore::new(kv, stream),
            flight: tokio::sync::Mutex::default(),
            clock,
            kept: Mutex::default(),
            read: Right::default(),
            write: Right::default(),
            most_bytes: MostBytes::new(draft::MOST_BYTES),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics while it is held.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log's indexes, as they are or were a few seconds ago.
    ///
    /// Where they can't be read there are none: an answer without them is as
    /// right, and slower.
    pub(crate) async fn listed(&self) -> Arc<[Definition]> {
        self.list().await.unwrap_or_default()
    }

    /// The same for who has to know whether they can be read; there are none
    /// where the credentials may read none.
    pub(super) async fn list(&self) -> Result<Arc<[Definition]>> {
        let now = self.clock.monotonic();
        if let Some((read_at, list)) = &self.kept().list
            && now.saturating_sub(*read_at) < FRESH
        {
            return list.clone();
        }
        let list = match self.read.may_be_there() {
            false => Ok(Arc::default()),
            true => match self.store.definitions().await {
                Ok(list) => {
                    self.read.was_there();
                    Ok(list.into())
                }
                Err(error) => {
                    self.cannot_read(&error);
                    if error.is(ErrorKind::PermissionDenied) {
                        Ok(Arc::default())
                    } else {
                        Err(error)
                    }
                }
            },
        };
        self.kept().list = Some((now, list.clone()));
        list
    }

    /// The list has been changed to this one.
    pub(super) fn now_listed(&self, list: Vec<Definition>) {
        self.kept().list = Some((self.clock.monotonic(), Ok(list.into())));
    }

    /// The index of these blocks of a log, from memory or the store; `None`
    /// where there is none that can be read.
    pub(crate) async fn load(
        &self,
        definition: &Definition,
        log: &OpenLog,
        blocks: &[u64],
    ) -> Vec<Option<Arc<IndexBlock>>> {
        if let Err(error) = self.check_memory(log).await {
            self.cannot_read(&error);
            return vec![None; blocks.len()];
        }
        let (created, state) = (log.info.created, &log.info.state);
        let key = |block: u64| (definition.id, created, block);
        let is_fresh = |it: &Arc<IndexBlock>| {
            it.is_whole() || state.last_sequence.saturating_sub(it.through) < LAG
        };
        let known = |kept: &Kept, block: u64| kept.blocks.get(&key(block)).cloned();
        let missing: Vec<u64> = {
            let kept = self.kept();
            let lacks = |block: &&u64| !known(&kept, **block).as_ref().is_some_and(is_fresh);
            blocks.iter().filter(lacks).copied().collect()
        };
        if !missing.is_empty() && self.read.may_be_there() {
            match self.stored(definition, log, &missing).await {
                Ok(found) => found.into_iter().flatten().for_each(|block| {
                    self.keep(block, log.turn());
                }),
                Err(error) => self.cannot_read(&error),
            }
        }
        let kept = self.kept();
        // One that goes beyond the log's end is of what a server has lost.
        let is_of_this = |it: &Arc<IndexBlock>| it.through <= state.last_sequence;
        blocks.iter().map(|block| known(&kept, *block).filter(is_of_this)).collect()
    }

    /// The index of these blocks as the store has it; what is of messages that
    /// the server has lost is removed.
    pub(super) async fn stored(
        &self,
        definition: &Definition,
        log: &OpenLog,
        blocks: &[u64],
    ) -> Result<Vec<Option<IndexBlock>>> {
        self.check_memory(log).await?;
        let id = definition.id;
        let mut found = self.store.get(log.info.created, id, blocks).await?;
        let checked = {
            let kept = self.kept();
            let checked = kept.checked.get(&id).filter(|_| kept.turn == log.turn());
            checked.copied().unwrap_or_default()
        };
        let marks = found.iter().flatten().map(|block| block.mark);
        let marks = newest_first(marks.filter(|mark| mark.sequence > checked));
        let Some(newest) = marks.first().copied() else { return Ok(found) };
        let lost = log.lost_from(marks).await?.unwrap_or(u64::MAX);
        let is_lost = |block: &mut IndexBlock| block.mark.sequence >= lost;
        for block in found.iter_mut().filter_map(|block| block.take_if(is_lost)) {
            log.discards("an index", block.block);
            if let Err(error) = self.store.discard(&block).await {
                // Whoever loads it next finds it out again.
                tracing::debug!(%error, block = block.block, "an index was not removed");
            }
        }
        let mut kept = self.kept();
        if kept.turn == log.turn() {
            let checked = kept.checked.entry(id).or_default();
            *checked = newest.sequence.min(lost - 1).max(*checked);
        }
        Ok(found)
    }

    /// In a new turn, forgets what is in memory where some of it
    /// is of messages that the server has lost.
    async fn check_memory(&self, log: &OpenLog) -> Result<()> {
        let created = log.info.created;
        let marks = {
            let kept = self.kept();
            if kept.turn >= log.turn() {
                return Ok(());
            }
            let blocks = kept.blocks.values().filter(|block| block.created == created);
            newest_first(blocks.map(|block| block.mark))
        };
        let lost = log.lost_from(marks).await?;
        let mut kept = self.kept();
        if kept.turn < log.turn() {
            if let Some(sequence) = lost {
                log.discards("an index", block_of(sequence));
                kept.forget();
            }
            kept.turn = log.turn();
            kept.checked.clear();
        }
        Ok(())
    }

    /// The last message that the index of the block before was made of, if that
    /// is in memory.
    pub(super) fn mark_before(
        &self,
        definition: &Definition,
        created: Timestamp,
        block: u64,
    ) -> Mark {
        let before = block.checked_sub(1).map(|before| (definition.id, created, before));
        let kept = self.kept();
        before.and_then(|before| kept.blocks.get(&before)).map_or(Mark::default(), |it| it.mark)
    }

    /// Something in memory is of messages that the server has lost: what is
    /// asked for next comes from the store, and is looked at.
    pub(super) fn distrust(&self, log: &OpenLog) {
        self.kept().forget();
        log.suspects();
    }

    /// Holds the index of a block in memory, which was made in this turn.
    pub(super) fn keep(&self, mut block: IndexBlock, turn: u64) {
        let key = (block.id, block.created, block.block);
        let mut kept = self.kept();
        if kept.turn > turn {
            return;
        }
        if let Some(had) = kept.blocks.get(&key) {
            if had.through > block.through {
                return;
            }
            block.forget_with(had);
        }
        kept.bytes += block.size();
        let block = Arc::new(block);
        match kept.blocks.insert(key, block) {
            Some(old) => kept.bytes -= old.size(),
            None => kept.order.push_back(key),
        }
        while kept.bytes > MOST_BYTES
            && kept.order.len() > 1
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.bytes -= kept.blocks.remove(&oldest).map_or(0, |block| block.size());
        }
    }

    /// These sequences have left the log: what is in memory of an index names
    /// them no more.
    pub(crate) fn forget(&self, definition: &Definition, log: &OpenLog, gone: &[u64]) {
        let mut kept = self.kept();
        if kept.turn != log.turn() {
            return;
        }
        for gone in gone.chunk_by(|a, b| block_of(*a) == block_of(*b)) {
            let block = gone.first().map_or(0, |sequence| block_of(*sequence));
            let key = (definition.id, log.info.created, block);
            if let Some(block) = kept.blocks.get_mut(&key) {
                Arc::make_mut(block).forget(gone);
            }
        }
    }

    /// Indexes a block beside nobody else; `None` after some seconds, beside one
    /// who has not come to an end by then: that its program polls no more, perhaps.
    pub(super) async fn flight(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        self.clock.until(self.clock.deadline(PATIENCE), self.flight.lock()).await
    }

    /// Whether the credentials let indexes be kept, as far as is known.
    pub(crate) fn may_write(&self) -> bool {
        self.write.may_be_there()
    }

    /// An index was kept.
    pub(super) fn was_kept(&self) {
        self.write.was_there();
    }

    /// An index was not kept: told, and nothing worse for who only asks.
    pub(crate) fn cannot_write(&self, error: &Error) {
        if error.is(ErrorKind::PermissionDenied) {
            if self.write.was_refused() {
                tracing::info!(%error, "these credentials may keep no indexes");
            }
        } else {
            tracing::warn!(%error, "an index was not kept");
        }
    }

    fn cannot_read(&self, error: &Error) {
        if error.is(ErrorKind::PermissionDenied) {
            if self.read.was_refused() {
                tracing::info!(%error, "these credentials may read no indexes");
            }
        } else {
            tracing::warn!(%error, "indexes can't be read: the log is read instead");
        }
    }

    /// Removes what belongs to no index, or to what has left the log.
    pub(super) async fn sweep(&self, created: Timestamp, first_block: u64) -> Result<()> {
        while self.sweep_some(created, first_block).await? {}
        Ok(())
    }

    /// Removes some of that; answers whether there may be more.
    pub(super) async fn sweep_some(&self, created: Timestamp, first_block: u64) -> Result<bool> {
        let has_more = self.store.sweep(created, first_block, MOST_SWEPT).await?;
        if !has_more {
            let mut kept = self.kept();
            kept.swept = kept.swept.max(Some(first_block));
        }
        Ok(has_more)
    }

    /// Whether nothing was swept yet, or blocks have left the log since.
    pub(super) fn has_to_sweep(&self, first_block: u64) -> bool {
        self.kept().swept < Some(first_block)
    }
}

#[cfg(test)]
mod tests {
    use naq_core::clock::ManualClock;
    use naq_core::kv::{BucketConfig, KvBucketExt};

    use super::super::Following;
    use super::*;
    use crate::made_up::{CREATED, log_anew_from, memory_store};

    #[tokio::test]
    async fn what_is_over_is_swept_some_at_a_time_and_once_for_each_block() {
        const OBJECTS: usize = 2 * MOST_SWEPT + 3;
        let (kv, clock) = (memory_store(), Arc::new(ManualClock::starting_at(CREATED)));
        let bucket = kv.ensure_bucket(BucketConfig::new("naq_indexes")).await.unwrap();
        let (created, id) = (CREATED.as_nanos(), Uuid::now_v7().simple());
        for block in 0..OBJECTS {
            bucket.put(&format!("events.{created}.{id}.{block:010}.v5"), "x").await.unwrap();
        }
        bucket.put("others.indexes", "[]").await.unwrap();
        let indexes = Indexes::new(kv, clock, "events");
        let mut left = Vec::new();
        while indexes.has_to_sweep(0) {
            indexes.sweep_some(CREATED, 0).await.unwrap();
            left.push(bucket.status().await.unwrap().values - 1);
        }
        assert_eq!(left, [MOST_SWEPT as u64 + 3, 3, 0]);
        assert!(indexes.has_to_sweep(8));
        // One of another version.
        bucket.put(&format!("events.{created}.{id}.{:010}.v4", 9), "x").await.unwrap();
        indexes.sweep(CREATED, 8).await.unwrap();
        assert_eq!(bucket.status().await.unwrap().values, 1);
    }

    #[tokio::test]
    async fn a_damaged_list_is_none_to_who_asks_and_trouble_to_who_keeps() {
        let (kv, clock) = (memory_store(), Arc::new(ManualClock::starting_at(CREATED)));
        let bucket = kv.ensure_bucket(BucketConfig::new("naq_indexes")).await.unwrap();
        bucket.put("events.indexes", "[{]").await.unwrap();
        let indexes = Indexes::new(kv, Arc::clone(&clock) as _, "events");
        let (log, open) = log_anew_from(&[], 9);
        assert!(indexes.listed().await.is_empty());
        let mut following = Following::default();
        let trouble = following.look(&indexes, &log, &open).await.unwrap_err();
        assert!(trouble.is(ErrorKind::Corrupt), "{trouble}");
        bucket.put("events.indexes", "[]").await.unwrap();
        clock.advance(FRESH);
        assert!(!following.look(&indexes, &log, &open).await.unwrap());
    }
}
