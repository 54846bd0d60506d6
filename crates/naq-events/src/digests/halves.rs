//! What blocks come to before anything is read: those that follow one another
//! are put together, half by half, and stay so for the next question.

use std::sync::{Arc, MutexGuard};

use super::digest::{Digest, block_end, block_start};
use super::gather::{Gathering, Tally};
use super::head::{Head, Look};
use super::hours::Grain;
use super::memory::Memory;
use super::range::Lies;
use super::rests::Rest;
use super::runs::{Place, Run};

/// What a piece of the log comes to before anything is read.
#[derive(Debug)]
pub(super) enum Known {
    /// Blocks that are put together.
    Run(Arc<Run>),
    /// What a digest has seen, and what is to be read behind it.
    Digest(Arc<Digest>, Rest),
    /// What is to be read.
    Rest(Rest),
}

impl Gathering<'_> {
    /// What a block comes to: a run of its own where it was asked for before,
    /// and nothing is asked that this wouldn't tell.
    pub(super) async fn block(
        &self,
        block: u64,
        head: Option<Head>,
        digest: Option<Arc<Digest>>,
        look: &Look,
        tally: &impl Tally,
    ) -> Known {
        let to = block_end(block).min(self.through);
        let rest = |from, fold| Rest { block, from, to, fold };
        let Some(digest) = digest.filter(|digest| digest.through <= to) else {
            return Known::Rest(rest(block_start(block), Some(None)));
        };
        // What the digest has is read again, and what it lacks is folded still.
        if self.is_there(block) && tally.lacks(&digest) {
            let fold = (digest.through < to).then_some(Some(digest));
            return Known::Rest(rest(block_start(block), fold));
        }
        let is_one = |head: Head| head.lies(look) == Lies::Inside && look.grain != Grain::Minute;
        if head.is_some_and(is_one) && digest.through == block_end(block) && digest.holes() == 0 {
            // That takes as long as some hundred answers.
            tokio::task::yield_now().await;
            let run = Arc::new(Run::of(&digest, look.grain));
            self.kept().insert_run(run.place, Some(Arc::clone(&run)));
            return Known::Run(run);
        }
        let from = digest.through + 1;
        Known::Digest(Arc::clone(&digest), rest(from, Some(Some(digest))))
    }

    /// Puts the last runs together, as long as two of them are halves of one
    /// that tells enough.
    pub(super) fn put_together(&self, known: &mut Vec<Known>, look: &Look, tally: &impl Tally) {
        while let [.., Known::Run(left), Known::Run(right)] = known.as_slice()
            && let Some(place) = left.place.with(&right.place)
            && left.head.and(&right.head).lies(look) == Lies::Inside
            && self.is_told(&[&left.sum, &right.sum], place, tally)
        {
            let had = self.kept().run(place);
            let whole = had.unwrap_or_else(|| {
                let whole = Run::join(place, left, right).map(Arc::new);
                self.kept().insert_run(place, whole.clone());
                whole
            });
            let Some(whole) = whole else { return };
            known.truncate(known.len() - 2);
            known.push(Known::Run(whole));
        }
    }

    /// Whether what blocks come to tells what is asked, or nothing tells more.
    pub(super) fn is_told(&self, sums: &[&Digest], place: Place, tally: &impl Tally) -> bool {
        !self.is_there(place.end() - 1) || !sums.iter().any(|sum| tally.lacks(sum))
    }

    fn kept(&self) -> MutexGuard<'_, Memory> {
        self.digests.kept(self.open().info.created)
    }

    /// Whether the log still has all of a block, as far as is known: where
    /// anything was removed from its midst, it may be this block's.
    fn is_there(&self, block: u64) -> bool {
        let state = &self.open().info.state;
        state.first_sequence <= block_start(block) && state.num_deleted == 0
    }
}
