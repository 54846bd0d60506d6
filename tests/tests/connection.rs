//! Connections of naq: pooled once, refused by kind, broken and made anew, closed in order.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use naq_connection::ConnectionService;
use naq_core::config::{ConnectPolicy, ConnectionConfig, ServerConfig};
use naq_core::connection::{Connection, ConnectionProvider, ServerRef};
use naq_core::jetstream::{JetStream, PublishMessage, StreamConfig};
use naq_core::{Error, Result};

#[path = "connection/breaks.rs"]
mod breaks;
#[path = "connection/closing.rs"]
mod closing;
#[path = "connection/credentials.rs"]
mod credentials;
#[path = "connection/early_ends.rs"]
mod early_ends;
#[path = "connection/fake.rs"]
mod fake;
#[path = "connection/fast_batch.rs"]
mod fast_batch;
#[path = "connection/instants.rs"]
mod instants;
#[path = "connection/pipeline.rs"]
mod pipeline;
#[path = "connection/pool.rs"]
mod pool;
#[path = "connection/reading.rs"]
mod reading;
#[path = "connection/refusals.rs"]
mod refusals;
#[path = "connection/replicas.rs"]
mod replicas;
#[path = "connection/secrets.rs"]
mod secrets;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Short waits, so that what times out does so soon.
fn quick() -> ConnectionConfig {
    ConnectionConfig::default()
        .with_connect_timeout(Duration::from_secs(2))
        .with_reconnect_backoff_min(Duration::from_millis(10))
        .with_reconnect_backoff_max(Duration::from_millis(50))
}

fn lazy() -> ConnectionConfig {
    quick().with_connect_policy(ConnectPolicy::Lazy)
}

/// A connection to the server, made by a service of its own.
async fn connect(config: ConnectionConfig, server: ServerConfig) -> Result<Arc<dyn Connection>> {
    let service = ConnectionService::new(Vec::new(), config.with_server(server));
    service.get_connection(&ServerRef::Default).await
}

async fn connect_to(url: &str, config: ConnectionConfig) -> Arc<dyn Connection> {
    connect(config, ServerConfig::default().with_url(url)).await.unwrap()
}

/// Why there is no connection.
async fn refusal(config: ConnectionConfig, server: ServerConfig) -> Error {
    match connect(config, server).await {
        Ok(connection) => panic!("it connected: {connection:?}"),
        Err(error) => error,
    }
}

async fn make_stream(jetstream: &dyn JetStream) {
    jetstream.create_stream(StreamConfig::new("S", ["s.>"])).await.unwrap();
}

/// Message `n` with an id of its own.
fn numbered(n: usize) -> PublishMessage {
    PublishMessage::new(format!("s.{}", n % 7), n.to_string()).with_message_id(n.to_string())
}
