//! Starting in order, and undoing it on failure and on cancellation.

use std::sync::Arc;
use std::time::Duration;

use naq_core::clock::{Clock, ClockExt};
use naq_core::config::format_duration;
use naq_core::{Error, ErrorKind, Result};

use crate::stop::{Named, ShutdownReport, stop_in_reverse};

/// How long undoing a start may take.
const ROLLBACK_BUDGET: Duration = Duration::from_secs(30);

/// Starts the services in this order, within `budget` for all.
///
/// On failure those that had started are stopped in reverse before this
/// returns. When the future is dropped, a task on the same runtime stops them.
pub(crate) async fn start_all(
    services: Vec<Named>,
    budget: Duration,
    clock: Arc<dyn Clock>,
) -> Result<Vec<Named>> {
    let deadline = clock.deadline(budget);
    let mut started = Rollback { started: Vec::new(), clock: Arc::clone(&clock) };
    for named in services {
        let begun = clock.monotonic();
        let outcome = match clock.until(deadline, named.service.start()).await {
            Some(outcome) => outcome,
            None => Err(Error::new(ErrorKind::Timeout, "start", "did not start in time")
                .with("after", format_duration(budget))
                .with_hint("give it longer with ServiceManagerBuilder::start_timeout")),
        };
        match outcome {
            Ok(()) => {
                let took = clock.elapsed_since(begun);
                tracing::info!(service = named.name, ?took, "started");
                started.started.push(named);
            }
            Err(error) => {
                tracing::error!(service = named.name, %error, "failed to start");
                let undone = started.undo().await;
                return Err(also(error.with("service", named.name), &undone));
            }
        }
    }
    Ok(started.keep())
}

/// What failed to start stays the error; what failed to stop after it is named in it.
fn also(error: Error, undone: &ShutdownReport) -> Error {
    let failed: Vec<&str> = undone.failures().map(|(name, _)| name).collect();
    if failed.is_empty() { error } else { error.with("not_stopped", failed.join(", ")) }
}

/// What has started so far. Dropped, it stops that.
struct Rollback {
    started: Vec<Named>,
    clock: Arc<dyn Clock>,
}

impl Rollback {
    fn keep(mut self) -> Vec<Named> {
        std::mem::take(&mut self.started)
    }

    async fn undo(&mut self) -> ShutdownReport {
        let mut report = ShutdownReport::default();
        stop_in_reverse(&mut self.started, &mut report, ROLLBACK_BUDGET, &*self.clock).await;
        report
    }
}

impl Drop for Rollback {
    fn drop(&mut self) {
        if self.started.is_empty() {
            return;
        }
        let mut left =
            Self { started: std::mem::take(&mut self.started), clock: self.clock.clone() };
        match tokio::runtime::Handle::try_current() {
            // The task ends by itself: each stop in it has a deadline.
            Ok(runtime) => {
                tracing::warn!("the start was cancelled; stopping what had started");
                runtime.spawn(async move {
                    left.undo().await;
                });
            }
            // Services end their tasks when they are dropped; only the farewells are missed.
            Err(_) => {
                tracing::warn!(
                    "the start was cancelled outside of a runtime; dropping the services"
                );
                left.started.clear();
            }
        }
    }
}
