//! The life of a service, and the recipe by which a manager builds one.
//!
//! A service is a plain struct with a plain constructor; nothing here is
//! needed to use one. Who wants several wired by type writes a recipe
//! ([`Provide`]) for each and lets `naq_services::ServiceManager` read the
//! graph off the types, start in order and stop in reverse.

mod deps;
mod health;
mod instances;
mod interfaces;
mod provide;
mod report;

use std::any::Any;
use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

pub use deps::{Arity, Dep, Deps, Want};
pub use health::{Health, HealthState};
pub use instances::{Instances, Origin};
pub use interfaces::{Interface, Interfaces};
pub use provide::Provide;
pub use report::StopReport;

use crate::Result;

/// The life of a service: started once, stopped once, asked for its health in between.
///
/// Background tasks of a service hold an inner state and never the service,
/// and end by a guard that the service owns: dropping a service, started or
/// not, leaves nothing running.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Service: Any + Debug + Send + Sync {
    /// Makes it ready for use: connects, ensures what must exist, begins its tasks.
    ///
    /// What it depends on has been started before. When this fails, or its
    /// future is dropped half-way, the service has undone what it had begun;
    /// it is then dropped and not asked to stop.
    ///
    /// # Errors
    /// The kind of whatever kept it from starting.
    async fn start(&self) -> Result<()>;

    /// Refuses new work, finishes what it accepted, and lets go of what it holds,
    /// within `within`; what it depends on is still there.
    ///
    /// Idempotent: stopping again, also after a stop whose future was dropped,
    /// finishes what is left to do. Work that can't be finished in time is
    /// counted in the report as pending.
    ///
    /// # Errors
    /// Only for what the report can't tell, such as a connection that did not close.
    async fn stop(&self, within: Duration) -> Result<StopReport>;

    /// How it is doing now, found out by really using what it depends on.
    async fn health(&self) -> Health;
}

forward_port!(Service {
    plain {}
    boxed {
        start[]() -> Result<()>;
        stop[](within: Duration) -> Result<StopReport>;
        health[]() -> Health;
    }
});
