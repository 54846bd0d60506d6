//! Cleaning up with the care of retention: digested first, and step by step.

use std::sync::Arc;
use std::time::Duration;

use naq_core::events::{CleanupReport, CleanupRequest, EventQuery};
use naq_core::{Error, Result};

use super::apply::Applying;
use super::cuts::Aim;
use super::steps::RetentionStep;
use crate::cleanup::OPERATION;
use crate::service::EventService;

/// How a cleanup goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CleanupSteps {
    /// How long it waits behind steps for which the server took half a second
    /// together; a minute by default.
    pub pause: Duration,
    /// Whether what no digest has is digested first, where the service has
    /// digests; it is by default. Else statistics lose it.
    pub digest_first: bool,
}

impl Default for CleanupSteps {
    fn default() -> Self {
        Self { pause: Duration::from_secs(60), digest_first: true }
    }
}

impl CleanupSteps {
    /// Sets how long it waits behind steps that took half a second together.
    #[must_use]
    pub fn with_pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Sets whether what no digest has is digested first.
    #[must_use]
    pub fn with_digest_first(mut self, digest_first: bool) -> Self {
        self.digest_first = digest_first;
        self
    }
}

impl EventService {
    /// Removes what [`cleanup`](EventQuery::cleanup) does, with the care of
    /// [`apply_retention`](Self::apply_retention): in digests first, and then in
    /// bounded steps, of which each is told as it is done.
    ///
    /// Of one type it leaves the others: without their end jobs look as if they
    /// still ran. Dropping the future ends it behind the step that is under
    /// way; what was told is gone. A dry run is that of `cleanup`.
    ///
    /// # Errors
    /// Those of `cleanup`, and of `apply_retention` where it digests first; with
    /// `removed` where some went before, how many.
    pub async fn cleanup_in_steps(
        &self,
        request: CleanupRequest,
        steps: CleanupSteps,
        mut told: impl FnMut(&RetentionStep) + Send,
    ) -> Result<CleanupReport> {
        if request.dry_run {
            return self.cleanup(request).await;
        }
        request.validate()?;
        self.settled(OPERATION).await?;
        let CleanupRequest { max_age, event_type, .. } = request;
        let aim = Aim::Older(max_age, event_type.as_ref().map(|name| name.as_str().to_owned()));
        let digests = self.digests.clone().filter(|_| steps.digest_first);
        let (log, clock) = (self.log.clone(), Arc::clone(&self.clock));
        let mut removed = 0;
        let removing = async {
            let mut applying = Applying::begin(log, digests, clock, aim, steps.pause).await?;
            while let Some(step) = applying.step().await? {
                removed += step.removed;
                told(&step);
            }
            Ok(applying.now().saturating_sub(max_age))
        };
        match removing.await {
            Ok(before) => Ok(CleanupReport::new(removed, false, before, event_type)),
            Err(error) => Err(ended(error, removed)),
        }
    }
}

/// Why it ended, where so many were removed before.
fn ended(error: Error, removed: u64) -> Error {
    let error = error.in_operation(OPERATION);
    if removed > 0 { error.with("removed", removed.to_string()) } else { error }
}
