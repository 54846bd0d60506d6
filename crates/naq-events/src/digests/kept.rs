//! The digests that a service has in memory, and what it goes on from.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use naq_core::jetstream::StreamState;
use naq_core::kv::KvStore;
use naq_core::{ErrorKind, Result, Timestamp};

use super::digest::{Digest, block_end};
use super::draft::{Draft, MOST_BYTES};
use super::growing::Growing;
use super::memory::{Memory, Open};
use super::store::DigestStore;
use crate::most_bytes::MostBytes;
use crate::rights::Right;

/// What digests are loaded and made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A question: whole ones stay in memory for the next one.
    Question,
    /// To have them in the store: nobody has asked for what is in them.
    Keeping,
}

/// The digests of a log: in the store, and some of them in memory.
#[derive(Debug)]
pub(crate) struct Digests {
    store: DigestStore,
    kept: Mutex<Memory>,
    /// Held by who reads what lies at the log's end, but for one who has waited too long.
    pub(super) flight: tokio::sync::Mutex<()>,
    /// To keep digests.
    pub(super) right: Right,
    /// After how long what is known of blocks that left the log is renewed.
    renewed_after: Option<Duration>,
    /// Whether the last one could not be kept: that is told when it begins.
    pub(super) has_failed: AtomicBool,
    /// How long the store lets them be.
    pub(super) most_bytes: MostBytes,
}

impl Digests {
    /// The digests of a stream in these buckets.
    pub(crate) fn new(kv: Arc<dyn KvStore>, stream: &str) -> Self {
        Self {
            store: DigestStore::new(kv, stream),
            kept: Mutex::new(Memory::new(Timestamp::default(), None)),
            flight: tokio::sync::Mutex::default(),
            right: Right::default(),
            renewed_after: None,
            has_failed: AtomicBool::new(false),
            most_bytes: MostBytes::new(MOST_BYTES),
        }
    }

    /// The same where somebody removes digests, or makes them coarser, at this
    /// age at the earliest: what is known of blocks that left the log is
    /// believed for a tenth of it.
    pub(crate) fn with_ages(mut self, shortest: Option<Duration>) -> Self {
        self.renewed_after = shortest.map(|age| age / 10);
        self.kept = Mutex::new(Memory::new(Timestamp::default(), self.renewed_after));
        self
    }

    /// What is in memory of a stream that was made at that time. Nothing long
    /// is done while it is held.
    pub(super) fn kept(&self, created: Timestamp) -> MutexGuard<'_, Memory> {
        // Nothing panics while it is held.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.created != created {
            // The stream was made anew.
            *kept = self.nothing_of(created);
        }
        kept
    }

    /// A memory that knows nothing of a stream which was made at that time.
    pub(super) fn nothing_of(&self, created: Timestamp) -> Memory {
        Memory::new(created, self.renewed_after)
    }

    /// What is in memory of the stream that was looked at last.
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The digests of these blocks of a log in such a state, from memory or the store.
    pub(crate) async fn load(
        &self,
        created: Timestamp,
        blocks: &[u64],
        state: &StreamState,
        purpose: Purpose,
    ) -> Result<Vec<Option<Arc<Digest>>>> {
        self.seal_what_may_be_gone(created, state);
        let mut found: Vec<Option<Arc<Digest>>> = Vec::new();
        let mut missing = Vec::new();
        let gone = (state.first_sequence, state.num_deleted);
        let aged = {
            let mut kept = self.kept(created);
            kept.front = gone;
            let has_lost = kept.gone != gone;
            for (place, block) in blocks.iter().copied().enumerate() {
                let (known, is_current) = kept.digest(block, state);
                let open = kept.open.as_ref().filter(|open| open.sealed.block == block);
                // Of what left the log meanwhile, another one may have counted
                // more before it went.
                if (open.is_none() || has_lost) && !is_current {
                    missing.push((place, block));
                }
                found.push(open.map_or(known, |open| Some(Arc::clone(&open.sealed))));
            }
            kept.aged
        };
        if missing.is_empty() {
            return Ok(found);
        }
        let wanted: Vec<u64> = missing.iter().map(|(_, block)| *block).collect();
        let digests = match self.stored(created, &wanted).await {
            Err(error) if error.is(ErrorKind::PermissionDenied) => {
                // All is read from the log then, as where there are no digests.
                tracing::info!(%error, "these credentials may read no digests");
                return Ok(found);
            }
            digests => digests?,
        };
        // A reading may have put back meanwhile what can't be read again.
        self.seal_what_may_be_gone(created, state);
        let mut growing = None;
        {
            let mut kept = self.kept(created);
            if kept.open.as_ref().is_some_and(|open| blocks.contains(&open.sealed.block)) {
                kept.gone = gone;
            }
            for ((place, block), digest) in missing.into_iter().zip(digests) {
                let Some(slot) = found.get_mut(place) else { continue };
                let digest = digest.map(Arc::new);
                let (known, _) = kept.digest(block, state);
                let open = kept.open.as_ref().filter(|open| open.sealed.block == block);
                // It goes by what is here now, which may be more than before.
                if let Some(now) = open.map(|open| Arc::clone(&open.sealed)).or(known) {
                    *slot = Some(now);
                }
                let base = open.map_or((0, 0), |open| open.base);
                let is_better = match (&digest, &*slot) {
                    (Some(theirs), Some(_)) if open.is_some_and(|it| it.has_outgrown(theirs)) => {
                        false
                    }
                    (Some(theirs), Some(mine)) => theirs.is_better_than(mine, base, gone),
                    (theirs, mine) => theirs.is_some() && mine.is_none(),
                };
                if !is_better && slot.is_some() {
                    kept.looked_at(block);
                    continue;
                }
                // What grows here has seen less.
                kept.open.take_if(|open| open.sealed.block == block);
                slot.clone_from(&digest);
                let is_whole = digest.as_ref().is_some_and(|it| it.through >= block_end(block));
                if is_whole || (digest.is_none() && block_end(block) < state.first_sequence) {
                    // It may be what this process has removed or replaced meanwhile.
                    if purpose == Purpose::Question && kept.aged == aged {
                        kept.insert(block, digest);
                    }
                } else if digest.is_some() {
                    // Of several, the last is the one that the log grows in.
                    growing = digest;
                } else {
                    kept.forget(block);
                }
            }
        }
        if let Some(sealed) = growing {
            self.go_on_from(created, sealed, gone);
        }
        Ok(found)
    }

    /// Takes on a digest of a block that grows, or each question would fetch it
    /// anew; it was looked for in the store when so much of the log was gone.
    fn go_on_from(&self, created: Timestamp, sealed: Arc<Digest>, gone: (u64, u64)) {
        let (block, through) = (sealed.block, sealed.through);
        if self.kept(created).is_behind(block, through) {
            let open = Open::from_stored(sealed);
            let mut kept = self.kept(created);
            if kept.is_behind(block, through) {
                kept.open = Some(open);
                kept.gone = gone;
            }
        }
    }

    /// Seals the open block where what was counted since it was sealed last may
    /// have left the log: there it can't be read again.
    fn seal_what_may_be_gone(&self, created: Timestamp, state: &StreamState) {
        let kept = self.kept(created);
        let deleted_before = kept.gone.1;
        let is_due = |open: &&Open| {
            let sealed = open.sealed.through;
            let may_lack = state.first_sequence > sealed + 1 || state.num_deleted != deleted_before;
            may_lack && open.draft.through() > sealed
        };
        let Some(open) = kept.open.as_ref().filter(is_due).cloned() else { return };
        drop(kept);
        let sealed = Arc::new(open.draft.seal().0);
        if let Some(mine) = self.kept(created).open.as_mut().filter(|mine| mine.is_as(&open)) {
            mine.sealed = sealed;
        }
    }

    /// What a block's digest goes on from where it is read from this sequence
    /// on: the draft of the open block, if this service has one that has come
    /// so far, or the digest.
    pub(crate) fn begin(
        &self,
        created: Timestamp,
        block: u64,
        sequence: u64,
        from: Option<&Digest>,
    ) -> Growing<'_> {
        let open = self.begun(created, block, sequence, from);
        Growing::new(self, open)
    }

    fn begun(&self, created: Timestamp, block: u64, sequence: u64, from: Option<&Digest>) -> Open {
        let mut kept = self.kept(created);
        // Another question may have put back a draft that had come less far
        // than the one that this question has seen.
        let goes_on = |open: &mut Open| {
            open.sealed.block == block && open.draft.through().saturating_add(1) >= sequence
        };
        if let Some(open) = kept.open.take_if(goes_on) {
            return open;
        }
        drop(kept);
        let draft = from.map_or_else(|| Draft::new(created, block), Draft::from_digest);
        let sealed = Arc::new(from.cloned().unwrap_or_else(|| draft.seal().0));
        let base = from.map_or((0, 0), Digest::extent);
        Open { saved: sealed.through, base, draft: Arc::new(draft), sealed }
    }

    /// The bucket.
    pub(super) const fn store(&self) -> &DigestStore {
        &self.store
    }

    /// Knows from now on that a block has left the log and has no digest.
    pub(super) fn forget(&self, created: Timestamp, block: u64) {
        let mut kept = self.kept(created);
        kept.open.take_if(|open| open.sealed.block == block);
        kept.insert(block, None);
        kept.aged += 1;
    }

    /// The next question looks for a block's digest in the store.
    pub(super) fn look_again(&self, created: Timestamp, block: u64) {
        let mut kept = self.kept(created);
        kept.forget(block);
        kept.aged += 1;
    }
}
