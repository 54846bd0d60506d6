//! An `EventService` on the benchmark's server, as a program would start it.

use std::sync::Arc;
use std::time::Duration;

use naq_connection::ConnectionService;
use naq_core::clock::SystemClock;
use naq_core::config::{ConnectionConfig, EventsConfig, KeeperMode, ServerConfig};
use naq_core::connection::ConnectionProvider;
use naq_core::kv::KvStore;
use naq_core::service::Service;
use naq_events::EventService;
use naq_kv::KvStoreService;
use naq_streams::StreamService;

use crate::Outcome;

/// How long stopping may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A started service and its connection.
pub(crate) struct Logging {
    /// The service.
    pub(crate) events: Arc<EventService>,
    connection: Arc<ConnectionService>,
}

impl Logging {
    /// Starts a service with this configuration, that is no keeper, on the
    /// server of that URL.
    pub(crate) async fn start(url: &str, config: EventsConfig) -> Outcome<Self> {
        // What is measured is the service's own work, however long it runs.
        Self::begin(url, config.with_keeper(KeeperMode::Off)).await
    }

    /// Starts a service that is the log's keeper, unless there is another one.
    pub(crate) async fn start_keeper(url: &str, config: EventsConfig) -> Outcome<Self> {
        Self::begin(url, config.with_keeper(KeeperMode::On)).await
    }

    async fn begin(url: &str, config: EventsConfig) -> Outcome<Self> {
        let server = ServerConfig::default().with_url(url);
        let config_of_connection = ConnectionConfig::default().with_server(server);
        let connection = Arc::new(ConnectionService::new(Vec::new(), config_of_connection));
        connection.start().await?;
        let connections: Arc<dyn ConnectionProvider> = connection.clone();
        let streams = Arc::new(StreamService::new(Arc::clone(&connections)));
        let clock = Arc::new(SystemClock::new());
        let kv: Arc<dyn KvStore> = Arc::new(KvStoreService::new(Arc::clone(&connections)));
        let events = EventService::new(connections, streams, clock, config)?
            .with_digests(Arc::clone(&kv))
            .with_indexes(kv);
        let events = Arc::new(events);
        events.start().await?;
        Ok(Self { events, connection })
    }

    /// Stops both.
    pub(crate) async fn stop(self) -> Outcome {
        self.events.stop(PATIENCE).await?;
        self.connection.stop(PATIENCE).await?;
        Ok(())
    }
}
