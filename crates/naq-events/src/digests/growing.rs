//! A block's digest in the making, in the hands of who reads the block.

use std::sync::Arc;

use naq_core::{Error, ErrorKind, Result};

use super::digest::{Digest, block_start};
use super::draft::Draft;
use super::kept::Digests;
use super::memory::Open;
use crate::fence::Mark;

/// A block that is being read. Whatever ends the reading, what it has grown to
/// is there for the next one: it may have left the log meanwhile.
#[derive(Debug)]
pub(crate) struct Growing<'a> {
    digests: &'a Digests,
    pub(super) open: Open,
    /// What it was when it was sealed last before the reading.
    before: Arc<Digest>,
    /// The last message before what is read.
    mark: Mark,
    /// In which turn it was begun.
    pub(super) turn: u64,
    /// Whether nobody goes on from it.
    pub(super) is_done: bool,
}

impl<'a> Growing<'a> {
    /// Goes on from there.
    pub(super) fn new(digests: &'a Digests, open: Open) -> Self {
        let kept = digests.memory();
        let mark = match open.draft.mark() {
            Mark { sequence: 0, .. } => kept.mark_before(open.sealed.block),
            mark => mark,
        };
        let (before, turn) = (Arc::clone(&open.sealed), kept.turn());
        drop(kept);
        Self { digests, open, before, mark, turn, is_done: false }
    }

    /// Whether a sequence is not in the draft yet.
    pub(crate) fn lacks(&self, sequence: u64) -> bool {
        sequence > self.open.draft.through()
    }

    /// What it is made into.
    pub(crate) fn draft(&mut self) -> &mut Draft {
        Arc::make_mut(&mut self.open.draft)
    }

    /// The sequence that reading begins with, for what is wanted from one on of
    /// a log that begins with another one: the last message before is read once
    /// more, to see whether it is what it was. One that has left the log tells
    /// nothing.
    pub(crate) fn start(&self, from: u64, first_sequence: u64) -> u64 {
        if self.mark.sequence < first_sequence.max(1) { from } else { from.min(self.mark.sequence) }
    }

    /// Whether it can be gone on from where this message is in the log: else it
    /// is of messages that the server has lost, and nothing of it stays.
    pub(crate) fn meets(&mut self, message: Mark) -> bool {
        let holds = !self.mark.contradicts(&message);
        if !holds && !self.is_done {
            self.is_done = true;
            self.digests.distrust(self.open.sealed.created, self.open.sealed.block);
        }
        holds
    }

    /// Whether the log is still the one that it was begun of.
    ///
    /// # Errors
    /// `Unavailable` where its server began anew meanwhile: what was read may
    /// be of messages before and behind a loss.
    pub(super) fn check(&self) -> Result<()> {
        let kept = self.digests.memory();
        if kept.turn() == self.turn && kept.log.as_ref().is_none_or(|log| log.is_as_opened()) {
            return Ok(());
        }
        let text = "the log's server began anew while the log was read";
        Err(Error::new(ErrorKind::Unavailable, "read_log", text)
            .with("block", self.open.sealed.block.to_string())
            .with_hint("ask again"))
    }
}

impl Drop for Growing<'_> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let block = self.open.sealed.block;
        if self.check().is_err() {
            // As it was before the reading: whoever goes on sees whether that holds.
            let (saved, base) = (self.open.saved.min(self.before.through), self.open.base);
            self.open = Open { saved, base, ..Open::from_stored(Arc::clone(&self.before)) };
        }
        if self.open.draft.through() < block_start(block) {
            // Nothing was looked at: what is there has more to go on from.
            return;
        }
        let mut kept = self.digests.memory();
        let is_of_this = kept.created == self.open.sealed.created && kept.turn() == self.turn;
        if is_of_this && kept.is_behind(block, self.open.draft.through()) {
            let nothing = Open {
                draft: Arc::new(Draft::new(kept.created, block)),
                sealed: Arc::clone(&self.open.sealed),
                saved: 0,
                base: (0, 0),
            };
            kept.open = Some(std::mem::replace(&mut self.open, nothing));
        }
    }
}
