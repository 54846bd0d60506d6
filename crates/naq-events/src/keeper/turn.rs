//! What is done now and then beside digesting, and may need a right that is lacking.

use std::time::Duration;

use naq_core::clock::{Clock, ClockExt};
use naq_core::{Error, ErrorKind, Result};

/// How long one that lacks a right waits before it tries again.
pub(super) const WITHOUT_RIGHT: Duration = Duration::from_secs(60);

/// When something is done next, and why it could not be done.
#[derive(Debug, Default)]
pub(super) struct Turn {
    next: Duration,
    denied: Option<Error>,
}

impl Turn {
    /// Whether its time has come.
    pub(super) fn is_due(&self, clock: &dyn Clock) -> bool {
        clock.monotonic() >= self.next
    }

    /// Its time comes then.
    pub(super) const fn put_off(&mut self, until: Duration) {
        self.next = until;
    }

    /// What came of it; `None` where that needs a right that is lacking: it is
    /// asked for again after a while, and everything else is done meanwhile.
    pub(super) fn allowed<T>(&mut self, clock: &dyn Clock, done: Result<T>) -> Result<Option<T>> {
        match done {
            Err(error) if error.is(ErrorKind::PermissionDenied) => {
                self.next = clock.deadline(WITHOUT_RIGHT);
                self.denied = Some(error);
                Ok(None)
            }
            done => {
                self.denied = None;
                done.map(Some)
            }
        }
    }

    /// What it was denied when it was tried last.
    pub(super) const fn denied(&self) -> Option<&Error> {
        self.denied.as_ref()
    }
}
