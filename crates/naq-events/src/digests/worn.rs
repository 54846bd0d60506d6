//! Blocks whose digests tell too little for a question: one is read again where
//! the log still has all of it that its digest has seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use naq_core::Result;
use naq_core::events::EventItem;

use super::digest::{Digest, block_of, block_start};
use super::gather::{Gathering, Tally};
use super::reading::Again;

/// The blocks of which something has left the log that their digests have seen.
/// It doesn't come back: nobody tries to read them again.
#[derive(Debug, Default)]
pub(super) struct Worn(BTreeMap<u64, Gone>);

/// So many sequences of a block are gone at least, up to one.
#[derive(Debug, Clone, Copy)]
struct Gone {
    count: u64,
    through: u64,
}

impl Worn {
    /// Whether the log is known to lack what a digest has seen.
    pub(super) fn has(&self, digest: &Digest) -> bool {
        let gone = self.0.get(&digest.block);
        gone.is_some_and(|it| it.through <= digest.through && it.count > digest.holes())
    }

    /// Knows what is gone of a block of a log that begins with this sequence.
    fn insert(&mut self, block: u64, gone: Gone, first_sequence: u64) {
        // What has left it altogether is known by that.
        self.0 = self.0.split_off(&block_of(first_sequence));
        self.0.insert(block, gone);
    }
}

impl Gathering<'_> {
    /// Reads again what a digest has seen. Where the log lacks some of that, what
    /// the digest tells is shown instead, and what is still to be read is answered.
    pub(super) async fn untold(
        &mut self,
        digest: &Arc<Digest>,
        tally: &mut impl Tally,
    ) -> Result<Vec<Again>> {
        let before = (tally.clone(), self.seen.clone(), self.basis.duplicates);
        let Some(gone) = self.all_of(digest, tally).await? else { return Ok(Vec::new()) };
        (*tally, self.seen, self.basis.duplicates) = before;
        let first_sequence = self.open().info.state.first_sequence;
        self.kept().worn.insert(digest.block, gone, first_sequence);
        Ok(self.take(digest, tally))
    }

    /// Shows all that a digest has seen, or answers what of it the log lacks as
    /// soon as that is known.
    async fn all_of(&mut self, digest: &Digest, tally: &mut impl Tally) -> Result<Option<Gone>> {
        let (from, through) = (block_start(digest.block), digest.through);
        let (mut met, mut malformed, mut shown) = (0, 0, Ok(()));
        let gone = |through: u64, met| Gone { count: (through + 1) - from - met, through };
        let mut deliveries = self.deliveries(from, through);
        while let Some(delivery) = deliveries.next().await {
            let Some((sequence, item)) = self.item(delivery)? else { continue };
            met += 1;
            let gone = gone(sequence, met);
            if gone.count > digest.holes() {
                return Ok(Some(gone));
            }
            match item {
                // What is too much for an answer may be less by the digest.
                EventItem::Event(recorded) if shown.is_ok() => {
                    shown = self.show_event(&recorded, None, tally);
                }
                EventItem::Event(_) => {}
                _ => malformed += 1,
            }
        }
        let gone = gone(through, met);
        if gone.count > digest.holes() {
            return Ok(Some(gone));
        }
        shown?;
        self.basis.malformed += malformed;
        self.basis.holes += gone.count;
        Ok(None)
    }
}
