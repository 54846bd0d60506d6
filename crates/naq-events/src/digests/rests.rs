//! What no digest has of some blocks, while it is read: each block is kept as
//! soon as it is read to its end, and one that grows now and then before.

use std::sync::Arc;
use std::vec::IntoIter;

use naq_core::{Error, ErrorKind, Result, Timestamp};

use super::digest::{Digest, block_end, block_start};
use super::draft::Draft;
use super::growing::Growing;
use super::keeping::CHECKPOINT_AFTER;
use super::kept::{Digests, Purpose};
use crate::fence::Mark;
use crate::read::OpenLog;

/// What no digest has of a block.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) block: u64,
    pub(super) from: u64,
    pub(super) to: u64,
    /// What has seen the block up to there; `None` where nothing has.
    pub(super) before: Option<Arc<Digest>>,
}

impl Rest {
    /// Whether it is kept at its end alone, and not amid its reading too: all
    /// that a block can have, since whoever would go on with it had as much to
    /// read anyway; and for a question a block that nobody has read before,
    /// since its answer shouldn't wait twice for the store.
    fn is_kept_at_its_end(&self, purpose: Purpose) -> bool {
        let is_new = self.from <= block_start(self.block);
        is_new && (purpose == Purpose::Question || self.to >= block_end(self.block))
    }
}

/// The rest that is being read.
#[derive(Debug)]
struct Now<'a> {
    to: u64,
    growing: Growing<'a>,
    /// What is counted is kept before the first message behind this sequence.
    kept_behind: u64,
}

/// Puts together what follows one another: it is read at one go.
pub(super) fn runs(rests: Vec<Rest>) -> Vec<Vec<Rest>> {
    let mut runs = Vec::<Vec<Rest>>::new();
    for rest in rests {
        let follows = |run: &&mut Vec<Rest>| run.last().is_some_and(|it| it.to + 1 == rest.from);
        match runs.last_mut().filter(follows) {
            Some(run) => run.push(rest),
            None => runs.push(vec![rest]),
        }
    }
    runs
}

/// Rests that follow one another. One of them at a time is in memory; dropped
/// amid it, what was counted is gone on from by the next reading.
#[derive(Debug)]
pub(super) struct Rests<'a> {
    digests: &'a Digests,
    created: Timestamp,
    first_sequence: u64,
    replicas: u32,
    purpose: Purpose,
    left: IntoIter<Rest>,
    now: Option<Now<'a>>,
}

impl<'a> Rests<'a> {
    /// Begins with the first one.
    pub(super) fn new(
        digests: &'a Digests,
        open: &OpenLog,
        rests: Vec<Rest>,
        purpose: Purpose,
    ) -> Self {
        let info = &open.info;
        let (created, first_sequence) = (info.created, info.state.first_sequence);
        let (replicas, left) = (open.replicas(), rests.into_iter());
        let mut rests =
            Self { digests, created, first_sequence, replicas, purpose, left, now: None };
        rests.begin_next();
        rests
    }

    fn begin_next(&mut self) {
        self.now = self.left.next().map(|rest| {
            let before = rest.before.as_deref();
            let growing = self.digests.begin(self.created, rest.block, rest.from, before);
            let kept_behind = match rest.is_kept_at_its_end(self.purpose) {
                true => u64::MAX,
                false => growing.open.saved + CHECKPOINT_AFTER,
            };
            Now { to: rest.to, growing, kept_behind }
        });
    }

    /// The sequence that reading begins with, for what is wanted from one on.
    pub(super) fn start(&self, from: u64) -> u64 {
        self.now.as_ref().map_or(from, |now| now.growing.start(from, self.first_sequence))
    }

    /// Meets a message, wanted or not.
    ///
    /// # Errors
    /// `Unavailable` where what was to be gone on from is of messages that the
    /// server has lost: it is thrown away, and the next reading begins anew.
    pub(super) fn meet(&mut self, message: Mark) -> Result<()> {
        if self.now.as_mut().is_none_or(|now| now.growing.meets(message)) {
            return Ok(());
        }
        self.now = None;
        let text = "the log's server has lost messages that were counted, and has others now";
        Err(Error::new(ErrorKind::Unavailable, "read_log", text)
            .with("sequence", message.sequence.to_string())
            .with_hint("ask again: what was made of them is made anew"))
    }

    /// What a message is counted in, unless that has been done.
    pub(super) fn lacking(&mut self, message: Mark) -> Option<&mut Draft> {
        let growing = &mut self.now.as_mut()?.growing;
        let draft = Some(growing).filter(|it| it.lacks(message.sequence)).map(Growing::draft)?;
        draft.marks(message);
        Some(draft)
    }

    /// Comes to a message: the rests before it are done, and kept; what has
    /// grown by much is kept as far as it has come. Answers where the last of
    /// those that are done ends.
    ///
    /// # Errors
    /// The first one of keeping them; none of them is in the way of going on.
    pub(super) async fn come_to(&mut self, sequence: u64) -> Result<Option<u64>> {
        let (mut done, mut result) = (None, Ok(()));
        while let Some(mut now) = self.now.take_if(|now| sequence > now.to) {
            now.growing.draft().reach(now.to);
            let kept = self.digests.finish(now.growing, self.replicas, self.purpose).await;
            result = result.and(kept);
            done = Some(now.to);
            self.begin_next();
        }
        if let Some(now) = self.now.as_mut().filter(|now| sequence > now.kept_behind) {
            // One that can't be kept isn't tried with each message.
            now.kept_behind = (sequence - 1) + CHECKPOINT_AFTER;
            now.growing.draft().reach(sequence - 1);
            let kept = self.digests.keep_amid(&mut now.growing, self.replicas).await;
            result = result.and(kept);
        }
        result.map(|()| done)
    }

    /// All is read to its end.
    ///
    /// # Errors
    /// As [`come_to`](Self::come_to).
    pub(super) async fn end(mut self) -> Result<()> {
        self.come_to(u64::MAX).await.map(drop)
    }

    /// The reading is broken: what was counted is kept, if it can be. The error
    /// of the reading says more than one of that.
    pub(super) async fn break_off(mut self) {
        if let Some(now) = self.now.take() {
            let _ = self.digests.finish(now.growing, self.replicas, self.purpose).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_one_another_is_one_run() {
        let rest = |from, to| Rest { block: 0, from, to, before: None };
        let rests = vec![rest(3, 4), rest(5, 9), rest(11, 11), rest(12, 20)];
        let runs: Vec<Vec<u64>> = runs(rests)
            .into_iter()
            .map(|run| run.into_iter().map(|rest| rest.from).collect())
            .collect();
        assert_eq!(runs, [vec![3, 5], vec![11, 12]]);
    }
}
