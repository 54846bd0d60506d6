//! What the standard recipes put in the place of what nobody registered.
#![cfg(feature = "standard")]

use std::sync::Arc;
use std::time::Duration;

use naq_core::config::NaqConfig;
use naq_core::connection::{
    ConnectionProvider, ConnectionProviderExt, MockConnectionProvider, MockConnector,
};
use naq_core::kv::{BucketConfig, KvBucketExt, KvStore};
use naq_core::service::{Health, Interfaces, Provide, Service, StopReport};
use naq_core::streams::StreamManager;
use naq_core::{Error, ErrorKind, Result};
use naq_services::{ServiceManager, ServiceManagerBuilder};

/// Wants streams and buckets, as an event service or a queue does.
#[derive(Debug)]
struct Queue {
    streams: Arc<dyn StreamManager>,
    stores: Arc<dyn KvStore>,
}

#[async_trait::async_trait]
impl Service for Queue {
    async fn start(&self) -> Result<()> {
        Ok(())
    }

    async fn stop(&self, _: Duration) -> Result<StopReport> {
        Ok(StopReport::default())
    }

    async fn health(&self) -> Health {
        Health::healthy()
    }
}

impl Provide for Queue {
    const NAME: &'static str = "queue";
    type Deps = (Arc<dyn StreamManager>, Arc<dyn KvStore>);
    type Config = ();

    fn interfaces() -> Interfaces<Self> {
        Interfaces::new()
    }

    fn build((streams, stores): Self::Deps, (): ()) -> Result<Self> {
        Ok(Self { streams, stores })
    }
}

fn in_memory() -> ServiceManagerBuilder {
    ServiceManager::builder().config(NaqConfig::for_url("memory://")).register::<Queue>()
}

#[tokio::test]
async fn what_a_service_needs_comes_from_the_standard_recipes() {
    let services = in_memory().start().await.unwrap();
    let names: Vec<&str> = services.names().collect();
    assert_eq!(names, ["connection", "streams", "kv_stores", "queue"]);

    let queue = services.get::<Queue>().unwrap();
    let bucket = queue.stores.create_bucket(BucketConfig::new("jobs")).await.unwrap();
    bucket.put("a", "1").await.unwrap();
    assert!(queue.streams.stream_exists("KV_jobs").await.unwrap());

    let health = services.health().await;
    assert_eq!(health.services.len(), 4);
    assert_eq!(health.state(), naq_core::service::HealthState::Healthy, "{health}");
    assert!(services.stop().await.unwrap().is_clean());
}

#[tokio::test]
async fn what_nobody_needs_is_not_started() {
    let services = ServiceManager::builder().start().await.unwrap();
    assert_eq!(services.names().count(), 0);
    assert_eq!(services.get::<dyn KvStore>().unwrap_err().kind(), ErrorKind::NotFound);
    services.stop().await.unwrap();
}

#[tokio::test]
async fn a_provided_connection_takes_the_place_of_the_standard_one() {
    let mut connections = MockConnectionProvider::new();
    connections
        .expect_get_jetstream()
        .returning(|_| Err(Error::new(ErrorKind::Unavailable, "get_jetstream", "not today")));
    let services =
        in_memory().provide::<dyn ConnectionProvider>(Arc::new(connections)).start().await.unwrap();
    assert_eq!(services.names().collect::<Vec<_>>(), ["streams", "kv_stores", "queue"]);
    let queue = services.get::<Queue>().unwrap();
    let error = queue.streams.stream_exists("jobs").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    services.stop().await.unwrap();
}

#[tokio::test]
async fn a_connector_of_ones_own_stands_beside_the_one_for_memory() {
    let mut connector = MockConnector::new();
    connector.expect_schemes().returning(|| vec!["toy".to_owned()]);
    connector
        .expect_connect()
        .returning(|_| Err(Error::new(ErrorKind::Unavailable, "connect", "only a toy")));
    let services = in_memory()
        .provide::<dyn naq_core::connection::Connector>(Arc::new(connector))
        .start()
        .await
        .unwrap();
    let connections = services.get::<dyn ConnectionProvider>().unwrap();
    connections.default_jetstream().await.unwrap();
    let error = connections.get_jetstream(&"toy://x".into()).await.unwrap_err();
    assert_eq!(error.message(), "only a toy");
    services.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_fails_the_start_and_names_the_service() {
    // A port that was free a moment ago and that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = NaqConfig::for_url(format!("nats://127.0.0.1:{port}"));
    config.connection.connect_timeout = Duration::from_millis(500);
    let error =
        ServiceManager::builder().config(config).register::<Queue>().start().await.unwrap_err();
    assert_eq!((error.kind(), error.get("service")), (ErrorKind::Unavailable, Some("connection")));
    assert!(error.hint().is_some(), "{error:?}");
}
