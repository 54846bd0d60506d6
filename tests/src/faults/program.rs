//! A program with naq in this process.

use std::sync::Arc;
use std::time::Duration;

use naq_core::config::{ConnectionConfig, EventsConfig, NaqConfig, ServerConfig, Size};
use naq_core::{Error, Result};
use naq_events::EventService;
use naq_services::ServiceManager;

/// Reconnects and retries that follow each other so fast that no test waits for them, and
/// a buffer so small that memory which is not given back shows.
pub fn quick(url: &str) -> NaqConfig {
    let connection = ConnectionConfig::default()
        .with_server(ServerConfig::default().with_url(url))
        .with_ack_timeout(Duration::from_secs(2))
        .with_request_timeout(Duration::from_secs(2))
        .with_reconnect_backoff_min(Duration::from_millis(10))
        .with_reconnect_backoff_max(Duration::from_millis(100));
    let events = EventsConfig::default()
        .with_buffer_max_bytes(Size::from_mib(4))
        .with_retry_backoff_min(Duration::from_millis(5))
        .with_retry_backoff_max(Duration::from_millis(100));
    NaqConfig::default().with_connection(connection).with_events(events)
}

/// A program of its own, with its own connection.
#[derive(Debug)]
pub struct Program {
    /// All that it runs.
    pub services: ServiceManager,
    /// Its event log.
    pub events: Arc<EventService>,
}

impl Program {
    /// Starts one.
    ///
    /// # Errors
    /// Those of the start.
    pub async fn start(config: NaqConfig) -> Result<Self> {
        let services =
            ServiceManager::builder().config(config).register::<EventService>().start().await?;
        let events = services.get::<EventService>()?;
        Ok(Self { services, events })
    }

    /// Starts a [`quick`] one.
    ///
    /// # Panics
    /// When it doesn't start.
    pub async fn on(url: &str) -> Self {
        Self::start(quick(url)).await.unwrap()
    }

    /// The error with which a program does not start.
    ///
    /// # Panics
    /// When it starts.
    pub async fn refused(config: NaqConfig) -> Error {
        match Self::start(config).await {
            Ok(_) => panic!("it started"),
            Err(error) => error,
        }
    }

    /// Stops it.
    ///
    /// # Panics
    /// When something is left undone.
    pub async fn stop(self) {
        let report = self.services.stop().await.unwrap();
        assert!(report.is_clean(), "{report:?}");
    }
}
