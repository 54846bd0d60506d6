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
    /// What a digest has seen and tells too little of, and what is to be read
    /// behind it.
    Untold(Arc<Digest>, Rest),
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
        let rest = |from, before| Rest { block, from, to, before };
        let Some(digest) = digest.filter(|digest| digest.through <= to) else {
            return Known::Rest(rest(block_start(block), None));
        };
        let behind = rest(digest.through + 1, Some(Arc::clone(&digest)));
        let may_be_whole = self.may_be_whole(&digest);
        let lies = |(first, last)| look.range.span(first, last);
        let is_asked_for = || digest.times().map(lies).is_some_and(|lies| lies != Lies::Outside);
        if may_be_whole && tally.lacks(&digest) && is_asked_for() {
            return Known::Untold(digest, behind);
        }
        let is_one = |head: Head| head.lies(look) == Lies::Inside && look.grain != Grain::Minute;
        if head.is_some_and(is_one) && digest.through == block_end(block) && digest.holes() == 0 {
            // That takes as long as some hundred answers.
            tokio::task::yield_now().await;
            let run = Run::of(&digest, look.grain);
            let run = Arc::new(if may_be_whole { run } else { run.of_worn() });
            self.kept().insert_run(run.place, Some(Arc::clone(&run)));
            return Known::Run(run);
        }
        Known::Digest(digest, behind)
    }

    /// Puts the last runs together, as long as two of them are halves of one
    /// that tells enough.
    pub(super) fn put_together(&self, known: &mut Vec<Known>, look: &Look, tally: &impl Tally) {
        while let [.., Known::Run(left), Known::Run(right)] = known.as_slice()
            && let Some(place) = left.place.with(&right.place)
            && left.head.and(&right.head).lies(look) == Lies::Inside
            && self.is_told(&[&left.untold, &right.untold], place, tally)
        {
            let had = self.kept().run(place);
            // Of one of its blocks less was known to be gone then.
            let is_told = |run: &Arc<Run>| self.is_told(&[&run.untold], place, tally);
            let had = had.filter(|run| run.as_ref().is_none_or(is_told));
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

    /// Whether blocks that are put together tell what is asked, or nothing tells
    /// more: these are their runs' [`untold`](Run::untold).
    pub(super) fn is_told(&self, untold: &[&Digest], place: Place, tally: &impl Tally) -> bool {
        let first_sequence = self.open().info.state.first_sequence;
        let is_gone = first_sequence > block_start(place.end() - 1);
        is_gone || !untold.iter().any(|untold| tally.lacks(untold))
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Memory> {
        self.digests.kept(self.open().info.created)
    }

    /// Whether the log still has all that a digest has seen, as far as is known:
    /// what was removed from its midst may be of any block.
    fn may_be_whole(&self, digest: &Digest) -> bool {
        let first_sequence = self.open().info.state.first_sequence;
        let gone = first_sequence.saturating_sub(block_start(digest.block));
        gone <= digest.holes() && !self.kept().worn.has(digest)
    }
}
