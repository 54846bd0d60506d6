//! Removing all of what is too old, which is digested first.

use std::sync::Arc;
use std::time::Duration;

use naq_core::clock::{Clock, ClockExt};
use naq_core::{Error, ErrorKind, Result, Timestamp};

use super::APPLY;
use super::cuts::Aim;
use super::steps::{Retention, RetentionStep};
use crate::digests::Digests;
use crate::read::Log;

/// How often what turns out to be in no kept digest is digested again: another
/// one that digests may have come in between.
const TRIES: u32 = 2;

/// Removal under way.
pub(super) struct Applying {
    log: Log,
    /// What goes is in them first, where it has to be.
    digests: Option<Arc<Digests>>,
    clock: Arc<dyn Clock>,
    retention: Retention,
    now: Timestamp,
    pause: Duration,
    tries: u32,
}

impl Applying {
    /// Digests what no digest has, and finds what is too old by now.
    pub(super) async fn begin(
        log: Log,
        digests: Option<Arc<Digests>>,
        clock: Arc<dyn Clock>,
        aim: Aim,
        pause: Duration,
    ) -> Result<Self> {
        let now = log.open(APPLY).await?.now();
        if let Some(digests) = &digests {
            fold(digests, &log).await?;
        }
        let mut retention = Retention::with_aim(log.clone(), digests.clone(), aim);
        retention.plan(now).await?;
        Ok(Self { log, digests, clock, retention, now, pause, tries: TRIES })
    }

    /// By which time what goes was too old.
    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    /// Removes some more; `None` where nothing is left that was too old.
    ///
    /// # Errors
    /// `Conflict` where the rest is in no digest that is kept, `PermissionDenied`
    /// where none can be kept; those of the connection.
    pub(super) async fn step(&mut self) -> Result<Option<RetentionStep>> {
        loop {
            if self.retention.wants_pause() && self.retention.has_more() {
                self.clock.sleep(self.pause).await;
                self.retention.has_paused();
            }
            if let Some(step) = self.retention.step().await? {
                return Ok(Some(step));
            }
            let lacking = self.retention.digested_through().zip(self.digests.as_ref());
            let Some((through, digests)) = lacking else { return Ok(None) };
            if !digests.may_keep() {
                let text = "the digests can't be kept with these credentials";
                return Err(Error::new(ErrorKind::PermissionDenied, APPLY, text));
            }
            if self.tries == 0 {
                return Err(stays_behind(through, APPLY));
            }
            self.tries -= 1;
            fold(digests, &self.log).await?;
            self.retention.plan(self.now).await?;
        }
    }
}

/// Why what is too old behind a sequence stays.
pub(crate) fn stays_behind(through: u64, operation: &'static str) -> Error {
    let text = "what is too old behind a sequence is in no digest that is kept, and stays";
    Error::new(ErrorKind::Conflict, operation, text)
        .with("digested_through", through.to_string())
        .with_hint(
            "try again; where another version of naq has digested it, that one's keeper removes it",
        )
}

/// Has everything in kept digests that the log holds.
pub(super) async fn fold(digests: &Digests, log: &Log) -> Result<()> {
    let open = log.open(APPLY).await?;
    if open.info.state.messages > 0 {
        // Else all that there is would be read for nothing.
        digests.check_right(&open).await?;
    }
    digests.fold(APPLY, log, &open, 0, |_, _| {}).await?;
    digests.checkpoint(open.info.created, open.replicas()).await
}
