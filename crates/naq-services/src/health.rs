//! The health of all services.

use std::fmt;
use std::time::Duration;

use futures::future::join_all;
use naq_core::clock::{Clock, ClockExt};
use naq_core::config::format_duration;
use naq_core::service::{Health, HealthState};
use serde::Serialize;

use crate::stop::Named;

/// How long a service may take to tell its health.
pub(crate) const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

/// The health of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServiceHealth {
    /// The service's name.
    pub name: &'static str,
    /// How it is; its latency is always set.
    #[serde(flatten)]
    pub health: Health,
}

/// The health of all services that the manager started, in the order of their start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HealthReport {
    /// Each service.
    pub services: Vec<ServiceHealth>,
}

impl HealthReport {
    /// The worst state of all; healthy where there is none.
    #[must_use]
    pub fn state(&self) -> HealthState {
        let states = self.services.iter().map(|service| service.health.state);
        states.max().unwrap_or(HealthState::Healthy)
    }

    /// The service that took longest to tell.
    #[must_use]
    pub fn slowest(&self) -> Option<&ServiceHealth> {
        self.services.iter().max_by_key(|service| service.health.latency)
    }

    /// The health of one service.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Health> {
        self.services.iter().find(|service| service.name == name).map(|service| &service.health)
    }
}

impl fmt::Display for HealthReport {
    /// One line: the state, what isn't healthy, and the slowest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.state())?;
        for ServiceHealth { name, health } in &self.services {
            if health.state != HealthState::Healthy {
                write!(f, "; {name} is {}: {}", health.state, health.detail)?;
            }
        }
        if let Some(ServiceHealth { name, health }) = self.slowest() {
            write!(
                f,
                "; slowest: {name}, {}",
                format_duration(health.latency.unwrap_or_default())
            )?;
        }
        Ok(())
    }
}

/// Asks all at the same time, each with a deadline.
pub(crate) async fn health_of_all(services: &[Named], clock: &dyn Clock) -> HealthReport {
    let begun = clock.monotonic();
    let deadline = clock.deadline(HEALTH_TIMEOUT);
    let checks = services.iter().map(|named| async move {
        let mut health = clock.until(deadline, named.service.health()).await.unwrap_or_else(|| {
            let timeout = format_duration(HEALTH_TIMEOUT);
            Health::unhealthy(format!("did not answer within {timeout}"))
        });
        health.latency.get_or_insert_with(|| clock.elapsed_since(begun));
        ServiceHealth { name: named.name, health }
    });
    HealthReport { services: join_all(checks).await }
}
