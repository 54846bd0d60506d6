//! Digests of messages that the server has lost are told from the others, and
//! thrown away.

use std::sync::Arc;

use naq_core::{Result, Timestamp};

use super::digest::{Digest, block_of};
use super::kept::Digests;
use crate::fence::newest_first;
use crate::read::OpenLog;

impl Digests {
    /// Goes by a log as it is opened here. In a new turn what is in memory is
    /// looked at, and forgotten where some of it is of messages that the
    /// server has lost.
    ///
    /// # Errors
    /// Those of the connection.
    pub(crate) async fn look(&self, log: &OpenLog) -> Result<()> {
        let created = log.info.created;
        let marks = {
            let kept = self.kept(created);
            if kept.turn() >= log.turn() {
                return Ok(());
            }
            kept.marks()
        };
        let lost = log.lost_from(marks).await?;
        let mut kept = self.kept(created);
        if kept.turn() < log.turn() {
            if let Some(sequence) = lost {
                log.discards("a digest", block_of(sequence));
                *kept = self.nothing_of(created);
            }
            (kept.log, kept.checked) = (Some(Arc::new(log.clone())), 0);
        }
        Ok(())
    }

    /// The digests of these blocks as the store has them; those of messages
    /// that the server has lost are removed.
    pub(crate) async fn stored(
        &self,
        created: Timestamp,
        blocks: &[u64],
    ) -> Result<Vec<Option<Digest>>> {
        let mut found = self.store().get(created, blocks).await?;
        let (log, checked) = {
            let kept = self.kept(created);
            (kept.log.clone(), kept.checked)
        };
        let marks = found.iter().flatten().map(|digest| digest.mark);
        let marks = newest_first(marks.filter(|mark| mark.sequence > checked));
        let (Some(log), Some(newest)) = (log, marks.first().copied()) else { return Ok(found) };
        let lost = log.lost_from(marks).await?.unwrap_or(u64::MAX);
        let is_lost = |digest: &mut Digest| digest.mark.sequence >= lost;
        for digest in found.iter_mut().filter_map(|digest| digest.take_if(is_lost)) {
            log.discards("a digest", digest.block);
            if let Err(error) = self.store().discard(&digest).await {
                // Whoever loads it next finds it out again.
                tracing::debug!(%error, block = digest.block, "a digest was not removed");
            }
        }
        let mut kept = self.kept(created);
        if kept.turn() == log.turn() {
            kept.checked = kept.checked.max(newest.sequence.min(lost - 1));
        }
        Ok(found)
    }

    /// What grows of a block is of messages that the server has lost: nothing
    /// that is in memory is believed any more.
    pub(super) fn distrust(&self, created: Timestamp, block: u64) {
        let mut kept = self.kept(created);
        if let Some(log) = kept.log.take() {
            log.discards("a digest", block);
            log.suspects();
        }
        *kept = self.nothing_of(created);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use naq_core::ErrorKind;
    use naq_core::jetstream::{
        JetStream, MockJetStream, ServerInfo, ServerVersion, StreamConfig, StreamInfo, StreamState,
    };
    use naq_core::kv::KvStore;

    use super::super::digest::BLOCK;
    use super::super::kept::Purpose;
    use super::*;
    use crate::fence::Mark;
    use crate::made_up::{CREATED, log_anew_from, memory_store};
    use crate::read::Log;

    fn digests(kv: &Arc<dyn KvStore>) -> Digests {
        Digests::new(Arc::clone(kv), "events")
    }

    /// How many messages were read, and what is in the store of the last block then.
    async fn fold(digests: &Digests, (log, open): &(Log, OpenLog)) -> Result<(u64, (u64, u64))> {
        let read = digests.fold("fold", log, open, 0, |_, _| {}).await?;
        digests.checkpoint(CREATED, 1).await?;
        let last = block_of(open.info.state.last_sequence);
        let stored = digests.stored(CREATED, &[last]).await?.remove(0);
        Ok((read, stored.map(|digest| digest.extent()).unwrap_or_default()))
    }

    #[tokio::test]
    async fn a_digest_of_messages_that_the_server_has_lost_is_not_gone_on_from() {
        let kv = memory_store();
        let long_lived = digests(&kv);
        assert_eq!(fold(&long_lived, &log_anew_from(&[], 9)).await.unwrap(), (9, (9, 9)));
        assert_eq!(fold(&long_lived, &log_anew_from(&[], 12)).await.unwrap(), (3, (12, 12)));
        // Nothing tells but the message itself.
        let after = log_anew_from(&[10], 20);
        let error = fold(&long_lived, &after).await.unwrap_err();
        assert!(error.is(ErrorKind::Unavailable), "{error}");
        assert_eq!(fold(&long_lived, &after).await.unwrap(), (20, (20, 20)));
        assert_eq!(fold(&long_lived, &log_anew_from(&[10], 24)).await.unwrap(), (4, (24, 24)));
        // In the store it is found by who has nothing in memory.
        let after = log_anew_from(&[10, 24], 30);
        assert_eq!(fold(&digests(&kv), &after).await.unwrap(), (30, (30, 30)));
        assert_eq!(after.1.turn.discarded(), 1);
        // In another turn what is in memory is looked at first.
        let (log, open) = log_anew_from(&[10, 24, 30], 40);
        assert_eq!(fold(&long_lived, &(log, open.in_turn(2))).await.unwrap(), (40, (40, 40)));
    }

    #[tokio::test]
    async fn a_whole_block_whose_end_is_lost_is_found_by_who_begins_the_next_one() {
        let kv = memory_store();
        let digests = digests(&kv);
        let before = log_anew_from(&[], BLOCK);
        assert_eq!(fold(&digests, &before).await.unwrap(), (BLOCK, (BLOCK, BLOCK)));
        let after = log_anew_from(&[BLOCK - 5], BLOCK + 7);
        let error = fold(&digests, &after).await.unwrap_err();
        assert!(error.is(ErrorKind::Unavailable), "{error}");
        let read = fold(&digests, &after).await.unwrap();
        assert_eq!(read, (BLOCK + 7, (7, BLOCK + 7)));
    }

    #[tokio::test]
    async fn what_was_read_while_the_server_began_anew_does_not_count_and_what_was_before_does() {
        static IS_ANEW: AtomicBool = AtomicBool::new(false);
        let mut js = MockJetStream::new();
        js.expect_server_info().returning(|| {
            let id = if IS_ANEW.load(Ordering::Relaxed) { "other" } else { "" };
            ServerInfo::new("", id, ServerVersion::new(2, 14, 0))
        });
        let js: Arc<dyn JetStream> = Arc::new(js);
        let config = StreamConfig::new("events", ["events.>"]);
        let info = StreamInfo::new(config, StreamState::default(), CREATED);
        let open = OpenLog::of(js, info, CREATED).in_turn(1);
        let digests = digests(&memory_store());
        digests.look(&open).await.unwrap();
        let through = |wanted: u64, reach: u64| {
            let mut growing = digests.begin(CREATED, 0, 1, None);
            assert_eq!((growing.draft().seen(), growing.draft().through()), (wanted, wanted));
            (wanted + 1..=reach).for_each(|sequence| {
                growing.draft().malformed(sequence);
                growing.draft().marks(Mark { sequence, stored_at: CREATED });
            });
            growing
        };
        digests.finish(through(0, 9), 1, Purpose::Question).await.unwrap();
        for is_finished in [true, false] {
            let growing = through(9, 20);
            IS_ANEW.store(true, Ordering::Relaxed);
            if is_finished {
                let error = digests.finish(growing, 1, Purpose::Question).await.unwrap_err();
                assert!(error.is(ErrorKind::Unavailable), "{error}");
            } else {
                drop(growing);
            }
            IS_ANEW.store(false, Ordering::Relaxed);
        }
        drop(through(9, 9));
    }
}
