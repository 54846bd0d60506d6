//! One timer that is set anew only when it has to be.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use naq_core::clock::Clock;

/// A timer of a [`Clock`].
///
/// Setting it to the time it is set to, or to a later one, costs nothing: it
/// then rings early, and whoever waits looks again.
pub(super) struct Alarm {
    clock: Arc<dyn Clock>,
    set: Option<(Duration, BoxFuture<'static, ()>)>,
}

impl Alarm {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, set: None }
    }

    /// Ready when the time has come; never, where there is none.
    pub(super) fn poll(&mut self, at: Option<Duration>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = at else {
            self.set = None;
            return Poll::Pending;
        };
        if self.set.as_ref().is_none_or(|(set_to, _)| *set_to > at) {
            let clock = Arc::clone(&self.clock);
            self.set = Some((at, Box::pin(async move { clock.sleep_until(at).await })));
        }
        let Some((_, sleep)) = &mut self.set else { return Poll::Pending };
        let rung = sleep.as_mut().poll(cx);
        if rung.is_ready() {
            self.set = None;
        }
        rung
    }
}

impl std::fmt::Debug for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alarm").field("at", &self.set.as_ref().map(|(at, _)| at)).finish()
    }
}
