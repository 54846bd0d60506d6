//! Waiting for outcomes: flush, settle, stop.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use naq_core::clock::ClockExt;
use naq_core::events::FlushReport;
use naq_core::{Error, ErrorKind, Result};

use super::schedule::FIRST_NUMBER;
use super::shared::Shared;
use super::state::Intake;
use super::{Writer, refusals};

/// How long a stop lets the spool take what has no outcome: of its own time, but for more
/// than a quarter of that.
const RESCUE: Duration = Duration::from_secs(5);

/// How long a stop lets the spool's disk keep what it has: what is left of its own time, but
/// no less than the first and no more than the second.
const CLOSING: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

impl Writer {
    /// Sends what is pending now and waits until all of it has its outcome, at most `within`.
    pub(crate) async fn flush(&self, within: Duration) -> FlushReport {
        let started = self.shared.now();
        let mut watch = Watch::begin(&self.shared);
        let tally = Tally::begin(&self.shared);
        let deadline = started.saturating_add(within);
        let is_over = || {
            self.shared.lock().ledger.is_tally_over(tally.id)
                || self.shared.is_settled_or_safe(tally.below)
        };
        watch.wait(deadline, is_over).await;
        let mut report = tally.end();
        report.elapsed = self.shared.clock.elapsed_since(started);
        report
    }

    /// Waits until all that was accepted before the first poll has its outcome.
    ///
    /// Holds none of the writer: it may outlive it.
    ///
    /// # Errors
    /// `Closed` before the start and after the stop; `Timeout` where something
    /// has no outcome within `within`; zero doesn't wait at all.
    pub(crate) fn settled(
        &self,
        within: Duration,
    ) -> impl Future<Output = Result<()>> + Send + 'static + use<> {
        let shared = Arc::clone(&self.shared);
        async move { settle(&shared, within).await }
    }

    /// Accepts nothing any more, waits for the outcomes at most `within`, and ends the task.
    ///
    /// What has no outcome then is `pending` in the report, and gets one:
    /// unknown where it was sent, failed where it was not. Stopping again
    /// finishes what a dropped stop left.
    ///
    /// With a spool the last of that time, a quarter and at most 5 s, is for what
    /// goes there. A disk that hangs makes it longer: by what is missing of the
    /// 5 s, and by 1 s.
    pub(crate) async fn stop(&self, within: Duration) -> FlushReport {
        self.shared.close_intake();
        let end = self.shared.clock.deadline(within);
        let for_the_spool = match self.shared.spool() {
            Some(_) => RESCUE.min(within / 4),
            None => Duration::ZERO,
        };
        let within = within.saturating_sub(for_the_spool);
        let deadline = self.shared.clock.deadline(within);
        let mut report = self.flush(within).await;
        let (may_tell, are_told) = {
            let state = self.shared.lock();
            (state.gate.is_open() && !state.is_over, state.losses.are_told())
        };
        if may_tell {
            if !are_told {
                self.shared.tell_losses(true);
            }
            // What becomes of these is in no report: it is about the events of others. Some
            // may be on their way, or stand in the spool behind what was there.
            let are_over = || !self.shared.lock().losses.is_telling();
            Watch::begin(&self.shared).wait(deadline, are_over).await;
        }
        if self.shared.spool().is_some() {
            report.add(&self.rescue().await);
        }
        if let Some(keeper) = self.take_keeper() {
            // Before the end: what it has written stands before all that is left.
            keeper.end().await;
        }
        self.end();
        self.close_spool(end).await;
        report
    }

    /// Lets what has no outcome go to the spool.
    async fn rescue(&self) -> FlushReport {
        let started = self.shared.now();
        let mut watch = Watch::begin(&self.shared);
        let tally = Tally::begin(&self.shared);
        self.shared.begin_rescue(started);
        let deadline = started.saturating_add(RESCUE);
        if !watch.wait(deadline, || self.shared.lock().is_rescue_over()).await {
            let stream = self.shared.stream.as_str();
            tracing::error!(stream, "the spool did not take all events in time");
        }
        let mut report = tally.end();
        report.elapsed = self.shared.clock.elapsed_since(started);
        report
    }

    /// Gives the spool's folder back.
    async fn close_spool(&self, end: Duration) {
        let Some(spool) = self.shared.set_spool(None) else { return };
        let clock = &self.shared.clock;
        let [least, most] = CLOSING;
        let within = clock.remaining_until(end).clamp(least, most);
        match clock.until(clock.deadline(within), spool.close()).await {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::error!(%error, "the spool was not closed as it should be");
            }
            None => tracing::error!("the spool's disk does not answer: it is closed when it does"),
        }
    }

    /// Ends the task; whatever has no outcome gets one.
    fn end(&self) {
        drop(self.take_driver());
        // The task does the same when it ends, but it may be in the middle of a step.
        self.shared.end();
    }
}

async fn settle(shared: &Shared, within: Duration) -> Result<()> {
    let below = {
        let state = shared.lock();
        if state.intake != Intake::Open {
            return Err(refusals::not_open(state.intake).in_operation("settle"));
        }
        state.schedule.accepted()
    };
    let deadline = shared.clock.deadline(within);
    let is_settled = || shared.is_settled(below);
    // With nothing accepted there is nothing to wait for, but what others left.
    if within.is_zero()
        || below == FIRST_NUMBER
        || is_settled()
        || Watch::begin(shared).wait(deadline, is_settled).await
    {
        return Ok(());
    }
    let state = shared.lock();
    let error = Error::new(
        ErrorKind::Timeout,
        "settle",
        "the events that this service accepted before are not stored yet",
    )
    .with("pending", state.ledger.counters().pending.to_string())
    .with_hint(
        "see why the stream takes no events; `settle_timeout = \"0s\"` asks without waiting for \
         them",
    );
    Err(match &state.trouble {
        Some(trouble) => error.with_source(trouble.clone()),
        None => error,
    })
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end();
    }
}

/// Somebody who waits until events have their outcome.
struct Watch<'a> {
    shared: &'a Shared,
}

impl<'a> Watch<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.lock().watchers += 1;
        Self { shared }
    }

    /// Waits until events are settled. Says whether that came in time.
    async fn wait(
        &mut self,
        deadline: Duration,
        is_settled: impl Fn() -> bool + Send + Sync,
    ) -> bool {
        let shared = self.shared;
        let settled = async {
            loop {
                let mut told = std::pin::pin!(shared.settled.notified());
                // Registered before looking, or an outcome in between goes unnoticed.
                told.as_mut().enable();
                if is_settled() {
                    return;
                }
                shared.hurry();
                told.await;
            }
        };
        shared.clock.until(deadline, settled).await.is_some()
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.shared.lock().watchers -= 1;
    }
}

/// A flush's own account, closed when the flush is over or dropped.
struct Tally<'a> {
    shared: &'a Shared,
    id: u64,
    below: u64,
}

impl<'a> Tally<'a> {
    fn begin(shared: &'a Shared) -> Self {
        let mut state = shared.lock();
        let below = state.schedule.accepted();
        let id = state.ledger.begin_tally(below);
        Self { shared, id, below }
    }

    fn end(self) -> FlushReport {
        self.shared.lock().ledger.end_tally(self.id)
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        // Ended already in the usual case; then this finds nothing.
        self.shared.lock().ledger.end_tally(self.id);
    }
}
