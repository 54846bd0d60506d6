//! The connector to NATS servers.

use std::sync::Arc;

use async_trait::async_trait;
use naq_core::Result;
use naq_core::config::{ConnectionConfig, ServerConfig};
use naq_core::connection::{Connection, Connector};

use crate::jetstream::Parts;
use crate::nats;

/// Makes connections to NATS servers: the schemes `nats` and `tls`.
///
/// Connections are made by the configuration's policy, deadlines and backoff.
/// [`ConnectionService`](crate::ConnectionService) has one already; by itself
/// it serves who wants a single connection.
#[derive(Debug, Clone)]
pub struct NatsConnector {
    config: Arc<ConnectionConfig>,
    /// What became of fast batches: who fences one off may do so on another connection.
    parts: Arc<Parts>,
}

impl NatsConnector {
    /// A connector with these deadlines and this policy.
    #[must_use]
    pub fn new(config: ConnectionConfig) -> Self {
        Self { config: Arc::new(config), parts: Arc::default() }
    }

    /// Connects to a server with its credentials and TLS settings.
    ///
    /// # Errors
    /// `InvalidArgument` for a URL that is none, `Config` for credentials that
    /// would travel in the clear; with the policy `fail` `Unavailable`,
    /// `Timeout`, `AuthFailed`, and `Unsupported` for a server older than 2.10,
    /// all within the connect timeout.
    pub async fn connect_to(&self, server: &ServerConfig) -> Result<Arc<dyn Connection>> {
        let connection =
            nats::connect(&self.config, server, server.url.expose(), Arc::clone(&self.parts))
                .await?;
        Ok(connection)
    }
}

#[async_trait]
impl Connector for NatsConnector {
    fn schemes(&self) -> Vec<String> {
        nats::SCHEMES.map(str::to_owned).into()
    }

    async fn connect(&self, url: &str) -> Result<Arc<dyn Connection>> {
        self.connect_to(&ServerConfig::default().with_url(url)).await
    }
}
