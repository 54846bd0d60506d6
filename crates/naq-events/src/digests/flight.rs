//! One question at a time reads what the log's last block has grown by: those
//! that are asked meanwhile wait, and find what it made.

use naq_core::Result;
use tokio::sync::MutexGuard;

use super::digest::{block_end, block_of};
use super::gather::Gathering;
use crate::read::OpenLog;

impl<'a> Gathering<'a> {
    /// Begins to read what lies at the log's end, once nobody else does; `None`
    /// where that is still to come, or all of it is in memory.
    ///
    /// It waits no longer than its question may.
    pub(super) async fn begin(&mut self) -> Result<Option<MutexGuard<'a, ()>>> {
        if self.is_before_the_end() || self.reach() == Some(self.through) {
            return Ok(None);
        }
        let flight = self.digests.flight.lock().await;
        // The log may have grown while another one read: what that has seen is
        // not of a server that has lost its end, if the log goes so far now.
        if self.reach().is_some_and(|reach| reach > self.through) {
            let open = self.ask.log.open(self.ask.operation).await?;
            self.look_again(&open);
        }
        Ok(Some(flight))
    }

    /// Goes by a later look at the log, as far as the blocks go that it looks at.
    fn look_again(&mut self, open: &OpenLog) {
        let (before, now) = (&self.ask.open.info, &open.info);
        let through = now.state.last_sequence.min(block_end(block_of(self.through)));
        if now.created == before.created && through > self.through {
            self.through = through;
            self.basis.through = through;
            if through == now.state.last_sequence {
                self.basis.newest_stored = now.state.last_time;
            }
        }
    }

    /// How far the digest goes that is in memory of a block that still grows.
    fn reach(&self) -> Option<u64> {
        let kept = self.digests.kept(self.ask.open.info.created);
        kept.open.as_ref().map(|open| open.sealed.through)
    }
}
