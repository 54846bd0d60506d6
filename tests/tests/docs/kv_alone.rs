//! Key-value buckets with no more of naq than they need.

use std::sync::Arc;
use std::time::Duration;

use naq_connection::ConnectionService;
use naq_core::config::NaqConfig;
use naq_core::connection::ConnectionProvider;
use naq_core::service::Service;
use naq_kv::prelude::*;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = NaqConfig::from_vars(std::env::vars())?;
    let connections = Arc::new(ConnectionService::new(Vec::new(), config.connection.clone()));
    connections.start().await?;
    let provider: Arc<dyn ConnectionProvider> = connections.clone();
    let stores = KvStoreService::new(provider);
    let settings = stores.create_bucket(BucketConfig::new("settings").with_history(5)).await?;
    let revision = settings.put("workers.max", "8").await?;
    let entry = settings.get("workers.max").await?.ok_or("it was put")?;
    assert_eq!((&entry.value[..], entry.revision), (&b"8"[..], revision));
    connections.stop(Duration::from_secs(5)).await?;
    Ok(())
}
