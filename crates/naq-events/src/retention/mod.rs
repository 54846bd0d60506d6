//! How long events are kept, by type, and how much room they take.
//!
//! The section `events.retention` gives types an age. What is older is removed
//! in steps, each a purge that the server carries out by itself: as long as it
//! does, it acknowledges nothing, so that a step is bounded, and a pause lies
//! behind so many as take half a second together. A keeper does that by itself
//! ([`EventService`] says which service is one),
//! [`apply_retention`](EventService::apply_retention) when it is asked.
//!
//! # Guarantees
//! - Nothing is removed that isn't older than its type's age, by the time of storing
//!   and the server's clock: one of this machine that is ahead of it removes nothing early.
//! - Nothing is removed that no kept digest has: statistics of it stay.
//! - The events that tell of a job's end go after those before it: no job
//!   looks as if it still ran because of it.
//! - Done twice, late, by two at once, or ended half-way it removes nothing
//!   that it wouldn't have removed once.
//!
//! ```
//! use std::time::Duration;
//!
//! use naq_core::config::RetentionAges;
//! use naq_events::prelude::*;
//! use naq_services::ServiceManager;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! # let config = naq_core::config::NaqConfig::from_vars([("NAQ_NATS_URL", "memory://retention")])?;
//! let ages = RetentionAges::default().with_age("worker_heartbeat", Duration::from_secs(600));
//! let events = config.events.clone().with_retention(ages);
//! let services = ServiceManager::builder()
//!     .config(config.with_events(events))
//!     .register::<EventService>()
//!     .start()
//!     .await?;
//! let events = services.get::<EventService>()?;
//! events.log_event(Event::worker_heartbeat("worker-1")).await?;
//!
//! let plan = events.plan_retention().await?;
//! assert_eq!((plan.events, plan.last_sequence), (0, 1), "it is young");
//! let sizes = events.event_sizes(true).await?;
//! assert_eq!(sizes.kinds[0].event_type.as_deref(), Some("worker_heartbeat"));
//! services.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! | file | concept |
//! |---|---|
//! | `apply.rs` | removing all of it, digested first |
//! | `cleaning.rs` | the same for what is older than one age |
//! | `cuts.rs` | what is to go: events of a type below a sequence |
//! | `plan.rs` | what would go, counted |
//! | `steps.rs` | removing it, step by step |
//! | `sizes.rs` | how much room each type takes |
//! | `room.rs` | the room of one message |

mod apply;
mod cleaning;
mod cuts;
mod plan;
mod room;
mod sizes;
mod steps;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use naq_core::{BoxStream, Error, ErrorKind, Result};

use crate::service::EventService;

use apply::Applying;
pub(crate) use apply::stays_behind;
pub use cleaning::CleanupSteps;
use cuts::Aim;
pub use plan::{RetentionKind, RetentionPlan};
pub use sizes::{EventSizes, KindSize};
pub(crate) use steps::Retention;
pub use steps::RetentionStep;

const PLAN: &str = "plan_retention";
const APPLY: &str = "apply_retention";
const SIZES: &str = "event_sizes";

impl EventService {
    /// How many events, and how many bytes, of each type are older than their
    /// age. Removes nothing. Reads the headers of what is older, no payloads.
    ///
    /// # Errors
    /// `LimitReached` where that is more than `scan_limit`; those of the connection.
    pub async fn plan_retention(&self) -> Result<RetentionPlan> {
        self.settled(PLAN).await?;
        plan::plan(&self.log, self.digests.as_deref(), &self.config.retention)
            .await
            .map_err(|error| error.in_operation(PLAN))
    }

    /// Removes what is older than its type's age, and answers each step as it
    /// is done. Behind steps for which the server took half a second together
    /// it waits for `pause`: a minute lets ingest breathe.
    ///
    /// What no digest has is digested first. Ends when all is removed that was
    /// too old at the beginning, or with an error where some of it stays;
    /// dropping the stream ends it behind the step that is under way.
    ///
    /// # Errors
    /// `Unsupported` for a service without digests; `PermissionDenied` where
    /// the stream can't be purged, or digests can't be kept; `Conflict` where
    /// some of it is in no digest that is kept, as of a block that another
    /// version of naq has digested: `digested_through` is the sequence behind
    /// which it stays; those of the connection.
    pub fn apply_retention(&self, pause: Duration) -> BoxStream<'static, Result<RetentionStep>> {
        let settled = self.settled(APPLY);
        let (log, clock) = (self.log.clone(), Arc::clone(&self.clock));
        let (digests, ages) = (self.digests.clone(), self.config.retention.clone());
        let opening = async move {
            let digests = digests.ok_or_else(no_digests)?;
            settled.await?;
            Applying::begin(log, Some(digests), clock, Aim::Ages(ages), pause).await
        };
        let steps = stream::once(opening).flat_map(|opened| match opened {
            Err(error) => stream::once(async { Err(error) }).boxed(),
            Ok(applying) => stream::try_unfold(applying, |mut applying| async move {
                let step = applying.step().await?;
                Ok::<_, Error>(step.map(|step| (step, applying)))
            })
            .boxed(),
        });
        steps.map(|step| step.map_err(|error| error.in_operation(APPLY))).boxed()
    }

    /// How many events of each type there are, and how many bytes they take.
    ///
    /// By reading headers: all of them where `exact` is set or the log is a
    /// short one, else samples from all over the log. The sums are the
    /// server's, and always exact.
    ///
    /// # Errors
    /// `LimitReached` where `exact` would read more than `scan_limit`; those of the connection.
    pub async fn event_sizes(&self, exact: bool) -> Result<EventSizes> {
        self.settled(SIZES).await?;
        sizes::sizes(&self.log, exact).await.map_err(|error| error.in_operation(SIZES))
    }
}

fn no_digests() -> Error {
    Error::new(ErrorKind::Unsupported, APPLY, "nothing is removed that no digest has")
        .with_hint("give the service a key-value store (`with_digests`), and set `digests = true`")
}
