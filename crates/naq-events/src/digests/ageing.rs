//! Removing digests that are older than statistics are to be.

use naq_core::{Result, Timestamp};

use super::digest::block_end;
use super::kept::Digests;
use crate::own_bucket::MOST_ERASED;

impl Digests {
    /// Removes the digests that were kept before a time, by the server's clock,
    /// and of whose blocks the log, which begins with this sequence, has
    /// nothing any more; of streams that had its name before, all of them; and
    /// the markers of such as were removed without the right to erase them.
    /// Answers how many digests that were, and whether there may be more of either.
    ///
    /// What the log still has could be digested again: its digests stay.
    pub(crate) async fn remove_old(
        &self,
        created: Timestamp,
        first_sequence: u64,
        before: Timestamp,
    ) -> Result<(u64, bool)> {
        let is_mine = |of: Timestamp| of == created;
        let old = self
            .store()
            .list(MOST_ERASED, |kept| {
                let is_gone = !is_mine(kept.created) || block_end(kept.block) < first_sequence;
                is_gone && kept.at < before
            })
            .await?;
        let (mut may_be_more, mut removed) = (old.len() >= MOST_ERASED, 0);
        for kept in old {
            if !self.store().remove(&kept).await? {
                continue;
            }
            removed += 1;
            if is_mine(kept.created) {
                self.forget(created, kept.block);
            }
        }
        may_be_more |= self.store().sweep().await?;
        Ok((removed, may_be_more))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use naq_core::connection::SingleJetStream;
    use naq_core::jetstream::StreamState;
    use naq_core::kv::KvStore;
    use naq_kv::KvStoreService;
    use naq_memory::MemoryJetStream;

    use super::super::digest::{BLOCK, block_start};
    use super::super::kept::Purpose;
    use super::*;

    const ONE: Timestamp = Timestamp::from_nanos(1);
    const TWO: Timestamp = Timestamp::from_nanos(2);

    fn kv() -> Arc<dyn KvStore> {
        let js = Arc::new(MemoryJetStream::new());
        Arc::new(KvStoreService::new(SingleJetStream::provider(js)))
    }

    /// Keeps a digest of a whole block, of which one message was no event.
    async fn keep(digests: &Digests, created: Timestamp, block: u64) {
        let mut open = digests.begin(created, block, block_start(block), None);
        open.draft().malformed(block_start(block));
        open.draft().reach(block_end(block));
        digests.finish(open, 1, Purpose::Question).await.unwrap();
    }

    /// Which of these blocks have a digest, in memory or in the store.
    async fn found(digests: &Digests, created: Timestamp, blocks: u64) -> Vec<bool> {
        let blocks: Vec<u64> = (0..blocks).collect();
        let found = digests
            .load(created, &blocks, &StreamState::default(), Purpose::Question)
            .await
            .unwrap();
        found.into_iter().map(|digest| digest.is_some()).collect()
    }

    #[tokio::test]
    async fn what_is_old_and_of_which_the_log_has_nothing_any_more_goes() {
        let kv = kv();
        let digests = Digests::new(Arc::clone(&kv), "events");
        let none = digests.remove_old(TWO, 1, Timestamp::MAX).await.unwrap();
        assert_eq!(none, (0, false), "there is no bucket yet");
        keep(&digests, ONE, 9).await;
        for block in 0..3 {
            keep(&digests, TWO, block).await;
        }
        // Another log is another log's business, whatever its name begins with.
        let other = Digests::new(kv, "events.more");
        keep(&other, TWO, 0).await;

        let first = BLOCK * 2;
        let young = digests.remove_old(TWO, first, Timestamp::MIN).await.unwrap();
        assert_eq!(young, (0, false));
        let removed = digests.remove_old(TWO, first, Timestamp::MAX).await.unwrap();
        assert_eq!(removed, (2, false), "block 0, and the one of the stream before");
        // The last sequence of block 1 is the first that the log has.
        assert_eq!(found(&digests, TWO, 3).await, [false, true, true]);
        assert_eq!(found(&digests, ONE, 10).await, [false; 10]);
        assert_eq!(found(&other, TWO, 1).await, [true]);
        let again = digests.remove_old(TWO, first, Timestamp::MAX).await.unwrap();
        assert_eq!(again, (0, false));
    }
}
