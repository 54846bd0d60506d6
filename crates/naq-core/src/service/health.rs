//! How a service is doing.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// How well a service does its work. Ordered: the greater, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// It works.
    Healthy,
    /// It works in part, late, or on borrowed time (a buffer that fills up).
    Degraded,
    /// It doesn't work.
    Unhealthy,
}

impl HealthState {
    /// The state as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl fmt::Display for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a service found when it looked after itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// How well it does its work.
    pub state: HealthState,
    /// Why, in a sentence; empty where there is nothing to say.
    pub detail: String,
    /// How long the check took, where it asked somebody. Seconds when serialized.
    #[serde(serialize_with = "seconds")]
    pub latency: Option<Duration>,
}

impl Health {
    /// It works.
    #[must_use]
    pub const fn healthy() -> Self {
        Self { state: HealthState::Healthy, detail: String::new(), latency: None }
    }

    /// It works in part, and why.
    pub fn degraded(detail: impl Into<String>) -> Self {
        Self { state: HealthState::Degraded, detail: detail.into(), latency: None }
    }

    /// It doesn't work, and why.
    pub fn unhealthy(detail: impl Into<String>) -> Self {
        Self { state: HealthState::Unhealthy, detail: detail.into(), latency: None }
    }

    /// Sets [`detail`](Self::detail).
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Sets [`latency`](Self::latency).
    #[must_use]
    pub const fn with_latency(mut self, latency: Duration) -> Self {
        self.latency = Some(latency);
        self
    }
}

fn seconds<S: serde::Serializer>(latency: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    latency.map(|latency| latency.as_secs_f64()).serialize(to)
}
