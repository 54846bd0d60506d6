//! Stopping in reverse within a budget, whatever the single services do.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use naq_core::clock::{Clock, ClockExt};
use naq_core::config::format_duration;
use naq_core::service::{Service, StopReport};
use naq_core::{Error, ErrorKind, Result};

/// What a service gets at most beyond the time that it is told, to account for what it leaves:
/// ten thousand events on a machine that is busy with something else.
const REPORT: Duration = Duration::from_secs(2);

/// A service with its name.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) service: Arc<dyn Service>,
}

/// How one service's stop went.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServiceStop {
    /// The service's name.
    pub name: &'static str,
    /// Its account; or why there is none: its own error, `Timeout` when it used
    /// up its share of the budget, `Unexpected` when it panicked.
    pub outcome: Result<StopReport>,
    /// How long it took.
    pub took: Duration,
}

/// How the stop of all services went, in the order in which they stopped.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Each service that was stopped.
    pub services: Vec<ServiceStop>,
}

impl ShutdownReport {
    /// The sum of the accounts.
    #[must_use]
    pub fn total(&self) -> StopReport {
        let mut total = StopReport::default();
        for report in self.services.iter().filter_map(|stop| stop.outcome.as_ref().ok()) {
            total += *report;
        }
        total
    }

    /// The services that failed to stop, with their errors.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, &Error)> {
        self.services.iter().filter_map(|stop| Some((stop.name, stop.outcome.as_ref().err()?)))
    }

    /// Whether every service stopped and left nothing undone.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.failures().next().is_none() && self.total().is_clean()
    }

    /// The report where it is clean; else an error that has it as its source.
    pub(crate) fn into_result(self) -> Result<Self> {
        if self.is_clean() {
            return Ok(self);
        }
        let kind = match self.failures().next() {
            Some((_, first)) => first.kind(),
            None => ErrorKind::OutcomeUnknown,
        };
        let total = self.total();
        let failed: Vec<&str> = self.failures().map(|(name, _)| name).collect();
        let mut error = Error::new(kind, "stop", "not everything was finished")
            .with("pending", total.pending.to_string())
            .with("refused", total.failed.to_string());
        if !failed.is_empty() {
            error = error.with("services", failed.join(", "));
        }
        Err(error.with_source(self))
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, stop) in self.services.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{}: ", stop.name)?;
            match &stop.outcome {
                Ok(report) => {
                    write!(
                        f,
                        "{} acked, {} pending, {} refused",
                        report.acked, report.pending, report.failed
                    )?;
                    if report.kept > 0 {
                        write!(f, ", {} kept on disk", report.kept)?;
                    }
                }
                Err(error) => write!(f, "{error}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ShutdownReport {}

/// Stops `running` from its end, taking each off once it has stopped or failed to.
///
/// Dropping the future leaves in `running` what has not been stopped yet, the
/// service under way included, so that whoever comes next goes on there.
pub(crate) async fn stop_in_reverse(
    running: &mut Vec<Named>,
    report: &mut ShutdownReport,
    budget: Duration,
    clock: &dyn Clock,
) {
    let deadline = clock.deadline(budget);
    while let Some(Named { name, service }) = running.last().cloned() {
        let begun = clock.monotonic();
        let share = share(clock.remaining_until(deadline), budget, running.len());
        // Told less than it gets, so that its own report of a deadline comes through.
        let within = share.saturating_sub((share / 10).min(REPORT));
        // A panic in one must not keep the others from stopping.
        let stop = AssertUnwindSafe(service.stop(within)).catch_unwind();
        let outcome = match clock.until(clock.deadline(share), stop).await {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => {
                Err(Error::new(ErrorKind::Unexpected, "stop", "panicked while stopping")
                    .with("service", name))
            }
            None => Err(Error::new(ErrorKind::Timeout, "stop", "did not stop in its time")
                .with("service", name)
                .with("after", format_duration(share))),
        };
        let took = clock.elapsed_since(begun);
        match &outcome {
            Ok(done) if done.is_clean() => tracing::debug!(service = name, ?took, "stopped"),
            Ok(done) => tracing::warn!(
                service = name,
                ?took,
                pending = done.pending,
                refused = done.failed,
                "stopped with work left undone"
            ),
            Err(error) => tracing::error!(service = name, ?took, %error, "failed to stop"),
        }
        report.services.push(ServiceStop { name, outcome, took });
        running.pop();
    }
}

/// How much of the remaining time the next of `left` services may take: all but
/// a tenth of the budget for each behind it, and never less than its even part.
/// The first to stop is the one with accepted work; those behind it only let go.
fn share(remaining: Duration, budget: Duration, left: usize) -> Duration {
    let left = u32::try_from(left).unwrap_or(u32::MAX).max(1);
    let reserved = (budget / 10).saturating_mul(left - 1);
    remaining.saturating_sub(reserved).max(remaining / left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_leaves_time_for_those_behind_it() {
        let seconds = Duration::from_secs;
        assert_eq!(share(seconds(30), seconds(30), 3), seconds(24));
        assert_eq!(share(seconds(6), seconds(30), 2), seconds(3));
        assert_eq!(share(seconds(3), seconds(30), 1), seconds(3));
        assert_eq!(share(seconds(30), seconds(30), 100), seconds(30) / 100);
        assert_eq!(share(Duration::ZERO, seconds(30), 2), Duration::ZERO);
    }
}
