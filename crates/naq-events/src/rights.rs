//! What credentials allow, as far as is known.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So long nobody tries again who was refused. Rights are given, and taken by
/// mistake for a moment, while programs run.
const AGAIN: Duration = Duration::from_secs(60);

/// A right that credentials may have: who was refused tries again after a while.
#[derive(Debug)]
pub(crate) struct Right {
    again_after: Duration,
    refused_at: Mutex<Option<Instant>>,
}

impl Default for Right {
    fn default() -> Self {
        Self::again_after(AGAIN)
    }
}

impl Right {
    /// One that is tried again after so long.
    pub(crate) const fn again_after(again_after: Duration) -> Self {
        Self { again_after, refused_at: Mutex::new(None) }
    }

    /// Whether it is worth a try: it wasn't refused a moment ago.
    pub(crate) fn may_be_there(&self) -> bool {
        self.refused_at().is_none_or(|at| at.elapsed() >= self.again_after)
    }

    /// It was refused. Answers whether that is news.
    pub(crate) fn was_refused(&self) -> bool {
        self.refused_at().replace(Instant::now()).is_none()
    }

    /// It is there.
    pub(crate) fn was_there(&self) {
        *self.refused_at() = None;
    }

    fn refused_at(&self) -> MutexGuard<'_, Option<Instant>> {
        // Nothing panics while it is held.
        self.refused_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_tried_again_after_a_while_and_told_once() {
        let right = Right::default();
        assert!(right.may_be_there());
        assert!(right.was_refused() && !right.may_be_there());
        let at_once = Right::again_after(Duration::ZERO);
        assert!(at_once.was_refused() && at_once.may_be_there());
        assert!(!at_once.was_refused());
        at_once.was_there();
        assert!(at_once.was_refused());
    }
}
