//! JetStreams of naq on real servers.

use std::sync::Arc;

use naq_connection::ConnectionService;
use naq_core::config::{ConnectionConfig, ServerConfig};
use naq_core::connection::{Connection, ConnectionProvider, ServerRef};
use naq_core::jetstream::JetStream;

/// A JetStream on the server at a URL, with naq's defaults.
///
/// # Panics
/// When there is no connection.
pub async fn connect(url: &str) -> Arc<dyn JetStream> {
    connection(url, ConnectionConfig::default()).await.jetstream()
}

/// A connection to the server at a URL; it stays open while it is held.
///
/// # Panics
/// When there is no connection.
pub async fn connection(url: &str, config: ConnectionConfig) -> Arc<dyn Connection> {
    let config = config.with_server(ServerConfig::default().with_url(url));
    let service = ConnectionService::new(Vec::new(), config);
    service.get_connection(&ServerRef::Default).await.unwrap()
}
