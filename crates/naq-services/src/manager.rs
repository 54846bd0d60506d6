//! The running services.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use naq_core::clock::{Clock, ClockExt};
use naq_core::service::{Instances, Interface, Service};
use naq_core::{Error, ErrorKind, Result};
use tokio::sync::Mutex;

use crate::builder::ServiceManagerBuilder;
use crate::health::{HealthReport, health_of_all};
use crate::hints;
use crate::stop::{Named, ShutdownReport, stop_in_reverse};

/// How long [`ServiceManager::stop`] may take in all.
pub const DEFAULT_STOP_BUDGET: Duration = Duration::from_secs(30);

/// The running services: had by type or by name, stopped in reverse order of their start.
///
/// No service ever sees it. Services had from it stay usable as long as
/// somebody holds them, and answer `Closed` once they are stopped. Dropped
/// without [`stop`](ServiceManager::stop), it lets go of its services, which
/// end their tasks without finishing accepted work.
#[derive(Debug)]
pub struct ServiceManager {
    instances: Instances,
    services: Vec<Named>,
    clock: Arc<dyn Clock>,
    stopping: Mutex<Stopping>,
}

#[derive(Debug)]
struct Stopping {
    running: Vec<Named>,
    report: ShutdownReport,
}

impl ServiceManager {
    /// Begins to say which services there are.
    #[must_use]
    pub fn builder() -> ServiceManagerBuilder {
        ServiceManagerBuilder::default()
    }

    pub(crate) fn new(instances: Instances, services: Vec<Named>, clock: Arc<dyn Clock>) -> Self {
        let stopping = Stopping { running: services.clone(), report: ShutdownReport::default() };
        Self { instances, services, clock, stopping: Mutex::new(stopping) }
    }

    /// A service by its concrete type or by a trait that it offers: `get::<dyn EventLog>()`.
    ///
    /// What was handed in with `provide` wins over what a recipe built.
    ///
    /// # Errors
    /// `NotFound` when nobody offers it, `Conflict` when several stand on a
    /// level; [`get_all`](ServiceManager::get_all) has them.
    pub fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Result<Arc<T>> {
        let mut found = self.instances.preferred::<T>();
        let interface = Interface::of::<T>();
        match (found.pop(), found.is_empty()) {
            (Some(one), true) => Ok(one),
            (None, _) => Err(hints::not_running(interface)),
            (Some(_), false) => {
                Err(Error::new(ErrorKind::Conflict, "get", "several services offer this interface")
                    .with("interface", interface.name())
                    .with_hint("ask for the concrete type, or take them all with get_all"))
            }
        }
    }

    /// Everybody who offers `T`, provided instances included; empty where nobody does.
    #[must_use]
    pub fn get_all<T: ?Sized + Send + Sync + 'static>(&self) -> Vec<Arc<T>> {
        self.instances.all()
    }

    /// A service that a recipe built, by its name.
    ///
    /// # Errors
    /// `NotFound`, with the names there are.
    pub fn get_by_name(&self, name: &str) -> Result<Arc<dyn Service>> {
        let found = self.services.iter().find(|named| named.name == name);
        found.map(|named| Arc::clone(&named.service)).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "get_by_name", "no service has this name")
                .with("name", name)
                .with_hint(format!("there are: {}", self.names().collect::<Vec<_>>().join(", ")))
        })
    }

    /// The names of the services that recipes built, in the order of their start.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.services.iter().map(|named| named.name)
    }

    /// The health of all services that recipes built, asked at the same time;
    /// who doesn't answer within five seconds is unhealthy.
    pub async fn health(&self) -> HealthReport {
        health_of_all(&self.services, &*self.clock).await
    }

    /// [`stop_within`](ServiceManager::stop_within) [`DEFAULT_STOP_BUDGET`].
    ///
    /// # Errors
    /// See there.
    pub async fn stop(&self) -> Result<ShutdownReport> {
        self.stop_within(DEFAULT_STOP_BUDGET).await
    }

    /// Stops all services in reverse order of their start, within `budget` in all.
    ///
    /// A service that fails or hangs doesn't keep the others from stopping:
    /// each has a share of the budget, and the last ones always get some of
    /// it. Instances that were handed in are left alone. Stopping again
    /// answers the same report; when this future is dropped half-way, the next
    /// call goes on where it was.
    ///
    /// # Errors
    /// When a service failed to stop (with the first one's kind, `Timeout` for
    /// one that hung), or left work undone (`OutcomeUnknown`). All is told by
    /// `error.source_as::<ShutdownReport>()`.
    pub async fn stop_within(&self, budget: Duration) -> Result<ShutdownReport> {
        let deadline = self.clock.deadline(budget);
        let Some(mut stopping) = self.clock.until(deadline, self.stopping.lock()).await else {
            return Err(Error::new(ErrorKind::Timeout, "stop", "somebody else is still stopping"));
        };
        let Stopping { running, report } = &mut *stopping;
        let left = self.clock.remaining_until(deadline);
        stop_in_reverse(running, report, left, &*self.clock).await;
        report.clone().into_result()
    }

    /// Waits until `end` is over, then stops: `run_until(tokio::signal::ctrl_c())`.
    ///
    /// # Errors
    /// See [`stop_within`](ServiceManager::stop_within).
    pub async fn run_until<F: Future>(&self, end: F) -> Result<ShutdownReport> {
        end.await;
        self.stop().await
    }
}

impl Drop for ServiceManager {
    fn drop(&mut self) {
        let left = self.stopping.get_mut().running.len();
        if left > 0 {
            tracing::warn!(services = left, "the service manager was dropped without a stop");
        }
    }
}
