//! What befalls an event log in the wild, on real servers: kills, missing
//! rights, wrong credentials, slow readers, other programs.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "scenarios/killed.rs"]
mod killed;
#[path = "scenarios/network.rs"]
mod network;
#[path = "scenarios/others.rs"]
mod others;
#[path = "scenarios/rights.rs"]
mod rights;
#[path = "scenarios/slow.rs"]
mod slow;
#[path = "scenarios/spooled.rs"]
mod spooled;
#[path = "scenarios/types.rs"]
mod types;
#[path = "scenarios/unreachable.rs"]
mod unreachable;

use std::sync::Arc;
use std::time::Duration;

use naq_core::config::{ConnectionConfig, EventsConfig, NaqConfig, ServerConfig};
use naq_core::{Error, Result};
use naq_events::EventService;
use naq_services::ServiceManager;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reconnects and retries that follow each other so fast that no test waits for them.
fn quick(url: &str) -> NaqConfig {
    let connection = ConnectionConfig::default()
        .with_server(ServerConfig::default().with_url(url))
        .with_ack_timeout(Duration::from_secs(1))
        .with_request_timeout(Duration::from_secs(2))
        .with_reconnect_backoff_min(Duration::from_millis(10))
        .with_reconnect_backoff_max(Duration::from_millis(100));
    let events = EventsConfig::default()
        .with_retry_backoff_min(Duration::from_millis(5))
        .with_retry_backoff_max(Duration::from_millis(100));
    NaqConfig::default().with_connection(connection).with_events(events)
}

/// A program of its own, with its own connection, that logs and asks.
struct Program {
    services: ServiceManager,
    events: Arc<EventService>,
}

impl Program {
    async fn start(config: NaqConfig) -> Result<Self> {
        let services =
            ServiceManager::builder().config(config).register::<EventService>().start().await?;
        let events = services.get::<EventService>()?;
        Ok(Self { services, events })
    }

    async fn on(url: &str) -> Self {
        Self::start(quick(url)).await.unwrap()
    }

    /// The error with which a program does not start.
    async fn refused(config: NaqConfig) -> Error {
        match Self::start(config).await {
            Ok(_) => panic!("it started"),
            Err(error) => error,
        }
    }

    async fn stop(self) {
        let report = self.services.stop().await.unwrap();
        assert!(report.is_clean(), "{report:?}");
    }
}
