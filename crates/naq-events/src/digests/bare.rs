//! The first blocks of a log that have left it and have no digest: a log that
//! is older than its digests, or whose digests have an age. They are one hole,
//! and no question asks the store for each of them.

use naq_core::{ErrorKind, Result};

use super::digest::block_of;
use super::kept::Digests;
use crate::read::OpenLog;

impl Digests {
    /// Finds out which blocks at the log's beginning have no digest, where they
    /// may be many and nobody has looked for a minute.
    ///
    /// # Errors
    /// Those of the bucket, but where the credentials may not list it: each
    /// block is asked for by itself then.
    pub(super) async fn pass_bare(&self, log: &OpenLog) -> Result<()> {
        let (created, first_sequence) = (log.info.created, log.info.state.first_sequence);
        let gone = block_of(first_sequence);
        if !self.kept(created).may_be_bare(gone) {
            return Ok(());
        }
        let first = match self.store().first(created).await {
            Err(error) if error.is(ErrorKind::PermissionDenied) => {
                tracing::debug!(%error, "these credentials may not list digests");
                Some(0)
            }
            first => first?,
        };
        self.kept(created).is_bare_below(first.unwrap_or(gone), gone);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use naq_core::events::StatsRequest;

    use super::super::digest::{BLOCK, block_end};
    use super::super::draft::Draft;
    use super::super::tests_of_answers::{Gone, Question};

    #[tokio::test]
    async fn a_log_is_not_asked_for_its_digests_from_before_the_first() {
        const BLOCKS: u64 = 100_000;
        let gone = Gone::blocks(BLOCKS).await;
        let (log, digests) = (gone.log(), gone.asked_nothing());
        let known = || digests.kept(gone.created).blocks();
        let question = Question::Stats(StatsRequest::default());
        let mut answer = question.ask(&log, &digests).await;
        assert_eq!((answer.basis().holes, known()), (BLOCKS * BLOCK, 0));
        // Somebody who was slow has kept one.
        let block = BLOCKS - 10;
        let mut draft = Draft::new(gone.created, block);
        draft.malformed(block_end(block));
        let (digest, bytes) = draft.seal();
        digests.store().save(&digest, bytes, ((0, 0), (0, 0)), 1).await.unwrap();
        let mut answer = question.ask(&log, &gone.asked_nothing()).await;
        assert_eq!((answer.basis().holes, answer.basis().malformed), (BLOCKS * BLOCK - 1, 1));
        let digests = gone.asked_nothing();
        question.ask(&log, &digests).await;
        assert_eq!(digests.kept(gone.created).blocks(), 10);
    }
}
