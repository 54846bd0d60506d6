//! The indexes of a log: their list, and what of them is in memory.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use naq_core::clock::Clock;
use naq_core::jetstream::StreamState;
use naq_core::kv::KvStore;
use naq_core::{Error, ErrorKind, Result, Timestamp};
use uuid::Uuid;

use super::block::IndexBlock;
use super::definition::Definition;
use super::store::IndexStore;

/// How many bytes of indexes are held in memory at most.
const MOST_BYTES: usize = 64 << 20;

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
    pub(super) flight: tokio::sync::Mutex<()>,
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
    /// Whether the credentials let indexes be read and kept, as far as is known.
    may_read: AtomicBool,
    may_write: AtomicBool,
}

type Key = (Uuid, Timestamp, u64);

#[derive(Debug, Default)]
struct Kept {
    /// The list, and when it was read.
    list: Option<(Duration, Arc<[Definition]>)>,
    blocks: HashMap<Key, Arc<IndexBlock>>,
    order: VecDeque<Key>,
    bytes: usize,
    /// Objects of blocks before this one are gone from the store.
    swept: u64,
}

impl Indexes {
    /// The indexes of a stream in these buckets.
    pub(crate) fn new(kv: Arc<dyn KvStore>, clock: Arc<dyn Clock>, stream: &str) -> Self {
        Self {
            store: IndexStore::new(kv, stream),
            flight: tokio::sync::Mutex::default(),
            clock,
            kept: Mutex::default(),
            may_read: AtomicBool::new(true),
            may_write: AtomicBool::new(true),
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
        let now = self.clock.monotonic();
        if let Some((read_at, list)) = &self.kept().list
            && now.saturating_sub(*read_at) < FRESH
        {
            return Arc::clone(list);
        }
        let list: Arc<[Definition]> = match self.may_read.load(Ordering::Relaxed) {
            false => Arc::default(),
            true => match self.store.definitions().await {
                Ok(list) => list.into(),
                Err(error) => {
                    self.cannot_read(&error);
                    Arc::default()
                }
            },
        };
        self.kept().list = Some((now, Arc::clone(&list)));
        list
    }

    /// The list has been changed to this one.
    pub(super) fn now_listed(&self, list: Vec<Definition>) {
        self.kept().list = Some((self.clock.monotonic(), list.into()));
    }

    /// The index of these blocks of a log in such a state, from memory or the
    /// store; `None` where there is none that can be read.
    pub(crate) async fn load(
        &self,
        definition: &Definition,
        created: Timestamp,
        blocks: &[u64],
        state: &StreamState,
    ) -> Vec<Option<Arc<IndexBlock>>> {
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
        if !missing.is_empty() && self.may_read.load(Ordering::Relaxed) {
            match self.store.get(created, definition.id, &missing).await {
                Ok(found) => found.into_iter().flatten().for_each(|block| {
                    self.keep(Arc::new(block));
                }),
                Err(error) => self.cannot_read(&error),
            }
        }
        let kept = self.kept();
        // One that goes beyond the log's end is of what a server has lost.
        let is_of_this = |it: &Arc<IndexBlock>| it.through <= state.last_sequence;
        blocks.iter().map(|block| known(&kept, *block).filter(is_of_this)).collect()
    }

    /// Holds the index of a block in memory.
    pub(super) fn keep(&self, block: Arc<IndexBlock>) {
        let key = (block.id, block.created, block.block);
        let mut kept = self.kept();
        if kept.blocks.get(&key).is_some_and(|had| had.through > block.through) {
            return;
        }
        kept.bytes += block.size();
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

    /// Whether the credentials let indexes be kept, as far as is known.
    pub(crate) fn may_write(&self) -> bool {
        self.may_write.load(Ordering::Relaxed)
    }

    /// An index was not kept: told, and nothing worse for who only asks.
    pub(crate) fn cannot_write(&self, error: &Error) {
        if error.is(ErrorKind::PermissionDenied) {
            self.may_write.store(false, Ordering::Relaxed);
            tracing::info!(%error, "these credentials may keep no indexes");
        } else {
            tracing::warn!(%error, "an index was not kept");
        }
    }

    fn cannot_read(&self, error: &Error) {
        if error.is(ErrorKind::PermissionDenied) {
            self.may_read.store(false, Ordering::Relaxed);
            tracing::info!(%error, "these credentials may read no indexes");
        } else {
            tracing::warn!(%error, "indexes can't be read: the log is read instead");
        }
    }

    /// Removes what belongs to no index, or to what has left the log.
    pub(super) async fn sweep(&self, created: Timestamp, first_block: u64) -> Result<u64> {
        let removed = self.store.sweep(created, first_block).await?;
        let mut kept = self.kept();
        kept.swept = kept.swept.max(first_block);
        Ok(removed)
    }

    /// Whether blocks have left the log since the last sweep.
    pub(super) fn has_to_sweep(&self, first_block: u64) -> bool {
        self.kept().swept < first_block
    }
}
