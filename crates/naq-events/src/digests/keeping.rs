//! Keeping digests of what was read: each as soon as its block is whole, and one
//! that grows now and then.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use naq_core::{ErrorKind, Result, Timestamp};

use super::digest::{Digest, block_end};
use super::growing::Growing;
use super::kept::{Digests, Purpose};
use super::memory::Open;
use super::store::Saved;

/// Reading an event again costs about as much as sealing so many cells: the
/// open block is sealed once that is the cheaper of the two.
const CELLS_AN_EVENT: u64 = 16;

/// After how many more events the open block is kept in the store: a process
/// that has just started reads so many at most which another one has read.
pub(super) const CHECKPOINT_AFTER: u64 = 32_000;

impl Digests {
    /// Takes back what has grown: a whole block is kept for good, one that
    /// still grows now and then. `replicas` is how many of the log there are.
    ///
    /// # Errors
    /// Those of the bucket. What could not be kept is told in the program's
    /// log, and made again by the next one to look; no answer lacks it.
    pub(crate) async fn finish(
        &self,
        mut growing: Growing<'_>,
        replicas: u32,
        purpose: Purpose,
    ) -> Result<()> {
        growing.check()?;
        let open = &mut growing.open;
        let (created, block) = (open.sealed.created, open.sealed.block);
        let is_whole = open.draft.through() >= block_end(block);
        let unsaved = open.draft.through() - open.saved;
        let is_due = unsaved >= CHECKPOINT_AFTER || (is_whole && unsaved > 0);
        let grown = open.draft.through() - open.sealed.through;
        let is_worth_it = grown * CELLS_AN_EVENT > open.draft.to_seal();
        let (mut result, mut is_own) = (Ok(()), !self.may_keep());
        // It may have been sealed by one who was given up amid keeping it.
        if is_due {
            match self.keep_if_allowed(open, replicas).await {
                Ok(Saved::Better(better)) => {
                    if better.through < block_end(block) && better.holes() < open.sealed.holes() {
                        // The next one to look goes on from that.
                        growing.is_done = true;
                        return Ok(());
                    }
                    if is_whole {
                        open.sealed = Arc::new(*better);
                    }
                }
                Ok(saved) => is_own |= saved == Saved::NotKept,
                Err(error) => result = Err(error),
            }
        } else if grown > 0 && is_worth_it {
            open.sealed = Arc::new(open.draft.seal().0);
        }
        if is_whole {
            // Else it is put back, and the next one to look keeps it.
            growing.is_done = result.is_ok();
            let mut kept = self.kept(created);
            // What isn't in the store is not known for good.
            if result.is_ok() && purpose == Purpose::Question && kept.turn() == growing.turn {
                let open = &growing.open;
                let digest = (open.draft.seen() > 0).then(|| Arc::clone(&open.sealed));
                kept.insert(block, digest);
                if is_own {
                    kept.is_own(block);
                }
            }
            if kept.turn() == growing.turn {
                kept.last = growing.open.draft.mark();
            }
            kept.open.take_if(|open| open.sealed.block <= block);
        }
        result
    }

    /// Keeps a block as far as it has come, amid its reading.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub(super) async fn keep_amid(&self, growing: &mut Growing<'_>, replicas: u32) -> Result<()> {
        growing.check()?;
        self.keep_if_allowed(&mut growing.open, replicas).await.map(drop)
    }

    /// Keeps the open block where it is whole: who read it was given up amid
    /// that, or it failed. Nobody reads the block again, and the next one to be
    /// read takes its place in memory.
    ///
    /// # Errors
    /// As [`finish`](Self::finish): it stays in memory then.
    pub(super) async fn keep_whole(
        &self,
        created: Timestamp,
        replicas: u32,
        purpose: Purpose,
    ) -> Result<()> {
        let is_left = |open: &&Open| {
            let end = block_end(open.sealed.block);
            open.draft.through() >= end && open.saved < end
        };
        // The others have what is in memory until this is done, or given up too.
        let Some(open) = self.kept(created).open.as_ref().filter(is_left).cloned() else {
            return Ok(());
        };
        self.finish(Growing::new(self, open), replicas, purpose).await
    }

    /// Keeps the block that grows as far as it has come.
    ///
    /// # Errors
    /// Those of the bucket: whoever asks for this wants to know.
    pub(crate) async fn checkpoint(&self, created: Timestamp, replicas: u32) -> Result<()> {
        let open = self.kept(created).open.clone();
        let Some(mut open) = open.filter(|open| open.draft.through() > open.saved) else {
            return Ok(());
        };
        self.keep(&mut open, replicas).await?;
        let mut kept = self.kept(created);
        // A question may have taken it on meanwhile.
        if let Some(mine) = kept.open.as_mut().filter(|mine| mine.is_as(&open)) {
            *mine = open;
        }
        Ok(())
    }

    /// Seals a block that grows, and keeps it, where the credentials let it be
    /// kept as far as is known.
    async fn keep_if_allowed(&self, open: &mut Open, replicas: u32) -> Result<Saved> {
        if self.may_keep() {
            match self.keep(open, replicas).await {
                Err(error) if error.is(ErrorKind::PermissionDenied) => {}
                kept => return kept,
            }
        } else {
            open.sealed = Arc::new(open.draft.seal().0);
        }
        open.saved = open.sealed.through;
        Ok(Saved::NotKept)
    }

    /// Seals a block that grows, and keeps it where the store has no better one,
    /// as rich as it is taken there.
    async fn keep(&self, open: &mut Open, replicas: u32) -> Result<Saved> {
        let saved = loop {
            let (digest, bytes) = open.draft.seal_within(self.most_bytes.get());
            open.sealed = Arc::new(digest);
            // A digest of nothing tells nothing that its absence doesn't.
            if open.draft.seen() == 0 {
                return Ok(Saved::Kept);
            }
            let length = bytes.len();
            match self.save(&open.sealed, bytes, open.base, replicas).await {
                Err(error) if self.most_bytes.shrinks(&error, length) => {}
                saved => break saved?,
            }
        };
        // What isn't kept now is tried again when as much more came.
        open.saved = open.sealed.through;
        if saved != Saved::NotKept {
            open.base = open.sealed.extent();
        }
        Ok(saved)
    }

    /// Whether the credentials let digests be kept, as far as is known.
    pub(crate) fn may_keep(&self) -> bool {
        self.right.may_be_there()
    }

    /// Keeps a digest, where the store has no better one.
    async fn save(
        &self,
        digest: &Digest,
        bytes: Vec<u8>,
        base: (u64, u64),
        replicas: u32,
    ) -> Result<Saved> {
        let front = self.kept(digest.created).front;
        let saved = self.store().save(digest, bytes, (base, front), replicas).await;
        if let Err(error) = &saved
            && error.is(ErrorKind::PermissionDenied)
        {
            if self.right.was_refused() {
                tracing::info!(%error, "these credentials may keep no digests");
            }
            return saved;
        }
        if saved.is_ok() {
            self.right.was_there();
        }
        let had_failed = self.has_failed.swap(saved.is_err(), Ordering::Relaxed);
        saved.inspect_err(|error| match had_failed {
            true => tracing::debug!(%error, block = digest.block, "a digest was not kept"),
            false => tracing::warn!(%error, block = digest.block, "a digest was not kept"),
        })
    }
}
