//! The digests that a service has in memory, and those that it makes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use naq_core::jetstream::StreamState;
use naq_core::kv::KvStore;
use naq_core::{ErrorKind, Result, Timestamp};

use super::digest::{Digest, block_end};
use super::draft::Draft;
use super::growing::Growing;
use super::memory::{Memory, Open};
use super::store::DigestStore;

/// Reading an event again costs about as much as sealing so many cells: the
/// open block is sealed once that is the cheaper of the two.
const CELLS_AN_EVENT: u64 = 16;

/// After how many more events the open block is kept in the store: a process
/// that has just started reads so many at most which another one has read.
pub(super) const CHECKPOINT_AFTER: u64 = 32_000;

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
    /// Whether the credentials let digests be kept, as far as is known.
    may_write: AtomicBool,
    /// After how long what is known of blocks that left the log is renewed.
    renewed_after: Option<Duration>,
    /// Whether the last one could not be kept: that is told when it begins.
    has_failed: AtomicBool,
}

impl Digests {
    /// The digests of a stream in these buckets.
    pub(crate) fn new(kv: Arc<dyn KvStore>, stream: &str) -> Self {
        Self {
            store: DigestStore::new(kv, stream),
            kept: Mutex::new(Memory::new(Timestamp::default(), None)),
            flight: tokio::sync::Mutex::default(),
            may_write: AtomicBool::new(true),
            renewed_after: None,
            has_failed: AtomicBool::new(false),
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
        Open { saved: sealed.through, base, draft, sealed }
    }

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
        let mut result = Ok(());
        // It may have been sealed by one who was given up amid keeping it.
        if is_due {
            match self.keep(open, replicas).await {
                Ok(better) => {
                    let has_fewer_holes = |it: &Digest| it.holes() < open.sealed.holes();
                    let is_part = |it: &Digest| it.through < block_end(block);
                    if better.as_ref().is_some_and(|it| is_part(it) && has_fewer_holes(it)) {
                        // The next one to look goes on from that.
                        growing.is_done = true;
                        return Ok(());
                    }
                    if let Some(better) = better.filter(|_| is_whole) {
                        open.sealed = Arc::new(better);
                    }
                }
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
                if !self.may_keep() {
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
        self.keep(&mut growing.open, replicas).await.map(drop)
    }

    /// Seals a block that grows, and keeps it; answers the one in the store
    /// where that is better.
    async fn keep(&self, open: &mut Open, replicas: u32) -> Result<Option<Digest>> {
        let (digest, bytes) = open.draft.seal();
        open.sealed = Arc::new(digest);
        // A digest of nothing tells nothing that its absence doesn't.
        if open.draft.seen() == 0 {
            return Ok(None);
        }
        let better = self.save(&open.sealed, bytes, open.base, replicas).await?;
        open.saved = open.sealed.through;
        open.base = open.sealed.extent();
        Ok(better)
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
        if open.draft.seen() == 0 {
            return Ok(());
        }
        let (digest, bytes) = open.draft.seal();
        open.sealed = Arc::new(digest);
        let front = self.kept(created).front;
        self.store.save(&open.sealed, bytes, (open.base, front), replicas).await?;
        open.saved = open.sealed.through;
        open.base = open.sealed.extent();
        let mut kept = self.kept(created);
        // A question may have taken it on meanwhile.
        if let Some(mine) = kept.open.as_mut().filter(|mine| mine.is_as(&open)) {
            *mine = open;
        }
        Ok(())
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

    /// Whether the credentials let digests be kept, as far as is known.
    pub(crate) fn may_keep(&self) -> bool {
        self.may_write.load(Ordering::Relaxed)
    }

    /// Keeps a digest, and answers the one in the store where that is better.
    /// Credentials that may not keep any are found out once.
    async fn save(
        &self,
        digest: &Digest,
        bytes: Vec<u8>,
        base: (u64, u64),
        replicas: u32,
    ) -> Result<Option<Digest>> {
        if !self.may_keep() {
            return Ok(None);
        }
        let front = self.kept(digest.created).front;
        match self.store.save(digest, bytes, (base, front), replicas).await {
            Err(error) if error.is(ErrorKind::PermissionDenied) => {
                self.may_write.store(false, Ordering::Relaxed);
                tracing::info!(%error, "these credentials may keep no digests");
                Ok(None)
            }
            result => {
                let had_failed = self.has_failed.swap(result.is_err(), Ordering::Relaxed);
                result.inspect_err(|error| match had_failed {
                    true => tracing::debug!(%error, block = digest.block, "a digest was not kept"),
                    false => tracing::warn!(%error, block = digest.block, "a digest was not kept"),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use naq_core::Error;
    use naq_core::events::{Event, Position, RecordedEvent};
    use naq_core::kv::MockKvStore;

    use super::super::digest::block_start;
    use super::*;

    fn log(sequence: u64) -> RecordedEvent {
        let at = Timestamp::from_nanos(0);
        let payload = serde_json::to_vec(&Event::log("x").with_timestamp(at)).unwrap();
        let position = Position::new(at, sequence);
        RecordedEvent::decode(position, at, "events.log".to_owned(), payload.into()).unwrap()
    }

    /// A store in this process.
    fn kv() -> Arc<dyn KvStore> {
        let js = Arc::new(naq_memory::MemoryJetStream::new());
        Arc::new(naq_kv::KvStoreService::new(naq_core::connection::SingleJetStream::provider(js)))
    }

    /// Digests whose store is away.
    fn without_server() -> Digests {
        let mut kv = MockKvStore::new();
        kv.expect_bucket()
            .returning(|_| Err(Error::new(ErrorKind::Unavailable, "bucket", "the server is away")));
        Digests::new(Arc::new(kv), "events")
    }

    /// A digest of block 0 that has looked at all through a sequence, where
    /// only some are there, and its bytes.
    fn digest(seen: impl IntoIterator<Item = u64>, through: u64) -> (Digest, Vec<u8>) {
        let mut draft = Draft::new(Timestamp::from_nanos(0), 0);
        seen.into_iter().for_each(|sequence| draft.observe(&log(sequence)));
        draft.reach(through);
        draft.seal()
    }

    #[tokio::test]
    async fn what_has_seen_more_of_what_is_gone_is_not_replaced_by_what_has_come_further() {
        let store = DigestStore::new(kv(), "events");
        let (early, bytes) = digest(1..=9, 9);
        assert_eq!(store.save(&early, bytes, ((0, 0), (1, 0)), 1).await.unwrap(), None);
        // Another one has counted the first two, and found the others gone.
        let (far, bytes) = digest([1, 2].into_iter().chain(10..40), 40);
        assert!(far.extent() > early.extent() && far.holes() > 0);
        let better = store.save(&far, bytes.clone(), ((2, 2), (10, 0)), 1).await.unwrap();
        assert_eq!(better.as_ref(), Some(&early));
        // Made from the one in the store it is the better one, holes or not.
        let (on, bytes) = digest((1..=9).chain(20..40), 40);
        assert_eq!(store.save(&on, bytes, (early.extent(), (10, 0)), 1).await.unwrap(), None);
        let stored = store.get(early.created, &[0]).await.unwrap();
        assert_eq!(stored, [Some(on)]);
    }

    #[tokio::test]
    async fn what_has_fewer_holes_and_lacks_what_is_gone_does_not_replace_what_has_come_further() {
        let store = DigestStore::new(kv(), "events");
        let (early, bytes) = digest(1..=10, 10);
        assert_eq!(store.save(&early, bytes, ((0, 0), (1, 0)), 1).await.unwrap(), None);
        // Another one has found some of that gone, and counted what went since.
        let (far, bytes) = digest((1..=3).chain(30..=60), 60);
        assert!(far.holes() > early.holes());
        assert_eq!(store.save(&far, bytes, ((0, 0), (55, 0)), 1).await.unwrap(), None);
        assert_eq!(store.get(far.created, &[0]).await.unwrap(), [Some(far)]);
        // Nor is one that grows given up for it, though that is what the store has.
        let kv = kv();
        let store = DigestStore::new(Arc::clone(&kv), "events");
        let (early, bytes) = digest(1..=10, 10);
        store.save(&early, bytes, ((0, 0), (1, 0)), 1).await.unwrap();
        let digests = Digests::new(kv, "events");
        let mut growing = digests.begin(early.created, 0, 1, None);
        (1..=3).chain(30..=60).for_each(|sequence| growing.draft().observe(&log(sequence)));
        drop(growing);
        let mut state = StreamState::default();
        (state.first_sequence, state.last_sequence) = (55, 60);
        let found = digests.load(early.created, &[0], &state, Purpose::Question).await.unwrap();
        assert_eq!(found[0].as_ref().map(|it| it.extent()), Some((34, 60)));
    }

    #[tokio::test]
    async fn a_whole_block_that_could_not_be_kept_is_not_taken_for_kept() {
        let created = Timestamp::from_nanos(0);
        let digests = without_server();
        let mut open = digests.begin(created, 0, 1, None);
        open.draft().observe(&log(1));
        open.draft().reach(block_end(0));
        let error = digests.finish(open, 1, Purpose::Question).await.unwrap_err();
        assert!(error.is(ErrorKind::Unavailable));
        let state = StreamState::default();
        for _ in 0..2 {
            // What it comes to is there, and each one to look tries to keep it.
            let found = digests.load(created, &[0], &state, Purpose::Question).await.unwrap();
            assert_eq!(found[0].as_ref().map(|it| it.extent()), Some((1, block_end(0))));
            assert!(digests.kept(created).digest(0, &state).0.is_none());
            let kept = digests.keep_whole(created, 1, Purpose::Question).await;
            assert!(kept.unwrap_err().is(ErrorKind::Unavailable));
        }
    }

    #[tokio::test]
    async fn what_nobody_has_asked_for_does_not_stay_in_memory() {
        let created = Timestamp::from_nanos(0);
        let digests = Digests::new(kv(), "events");
        let state = StreamState::default();
        let in_memory = || digests.kept(created).len();
        for block in 0..3 {
            let mut open = digests.begin(created, block, block_start(block), None);
            open.draft().observe(&log(block_start(block)));
            open.draft().reach(block_end(block));
            digests.finish(open, 1, Purpose::Keeping).await.unwrap();
        }
        let found = digests.load(created, &[0, 1, 2], &state, Purpose::Keeping).await.unwrap();
        assert_eq!((found.iter().flatten().count(), in_memory()), (3, 0));
        let found = digests.load(created, &[0, 1], &state, Purpose::Question).await.unwrap();
        assert_eq!((found.iter().flatten().count(), in_memory()), (2, 2));
    }

    #[tokio::test]
    async fn a_draft_that_has_come_less_far_than_what_was_seen_is_not_gone_on_from() {
        let created = Timestamp::from_nanos(0);
        let digests = Digests::new(Arc::new(MockKvStore::new()), "events");
        let mut far = digests.begin(created, 0, 1, None);
        (1..=9).for_each(|sequence| far.draft().observe(&log(sequence)));
        let seen = far.draft().seal().0;
        // A slower question puts back less than another one has seen.
        let mut near = digests.begin(created, 0, 1, None);
        (1..=5).for_each(|sequence| near.draft().observe(&log(sequence)));
        digests.finish(near, 1, Purpose::Question).await.unwrap();

        let mut open = digests.begin(created, 0, 10, Some(&seen));
        assert_eq!((open.draft().through(), open.draft().seen()), (9, 9));
        let mut other = digests.begin(created, 0, 6, None);
        assert_eq!((other.draft().through(), other.draft().seen()), (5, 5));
    }

    #[tokio::test]
    async fn what_a_reading_that_is_given_up_has_counted_is_gone_on_from() {
        let created = Timestamp::from_nanos(0);
        let digests = Digests::new(kv(), "events");
        let mut given_up = digests.begin(created, 0, 1, None);
        (1..=9).for_each(|sequence| given_up.draft().observe(&log(sequence)));
        drop(given_up);
        let mut next = digests.begin(created, 0, 10, None);
        assert_eq!((next.draft().through(), next.draft().seen()), (9, 9));
        // Nor is it lost where the next one comes no further, or at a stop.
        drop(next);
        assert!(!digests.has(created, 1..2).await.unwrap());
        digests.checkpoint(created, 1).await.unwrap();
        let has = async |to| digests.has(created, 1..to).await.unwrap();
        assert_eq!([has(10).await, has(11).await], [true, false]);
        let stored = digests.stored(created, &[0]).await.unwrap();
        assert_eq!(stored[0].as_ref().map(|digest| digest.extent()), Some((9, 9)));
    }

    #[tokio::test]
    async fn what_was_not_looked_up_after_a_loss_is_looked_up_by_the_next_question() {
        let created = Timestamp::from_nanos(0);
        let digests = without_server();
        let mut open = digests.begin(created, 0, 1, None);
        (1..=3).for_each(|sequence| open.draft().observe(&log(sequence)));
        drop(open);
        let mut state = StreamState::default();
        let unchanged = digests.load(created, &[0], &state, Purpose::Question).await.unwrap();
        assert!(unchanged[0].is_some());
        // Another service may have counted what has left the log meanwhile.
        (state.first_sequence, state.last_sequence) = (8, 9);
        for _ in 0..2 {
            let asked = digests.load(created, &[0], &state, Purpose::Question).await;
            assert!(asked.unwrap_err().is(ErrorKind::Unavailable));
        }
    }
}
