//! One connection for each server, however many ask.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use naq_connection::ConnectionService;
use naq_core::config::{ConnectionConfig, NaqConfig, ServerConfig};
use naq_core::connection::{
    Connection, ConnectionProvider, ConnectionProviderExt, ConnectionState, Connector, ServerRef,
};
use naq_core::jetstream::JetStreamExt;
use naq_core::service::{HealthState, Provide, Service};
use naq_core::{Error, ErrorKind, Result};
use naq_memory::MemoryConnector;
use naq_tests::proxy::{Direction, FaultProxy};
use naq_tests::server::shared;
use naq_tests::wait;
use tokio::sync::Notify;

use crate::{PATIENCE, make_stream, numbered, quick};

fn service_on(url: &str) -> ConnectionService {
    ConnectionService::new(
        vec![Arc::new(MemoryConnector::new())],
        quick().with_server(ServerConfig::default().with_url(url)),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_connected_once_however_many_ask_at_the_same_time() {
    let server = shared().await;
    let proxy = FaultProxy::start(server.address()).await;
    let service = service_on(&proxy.url());
    let url = ServerRef::from(proxy.url().as_str());
    let asked = (0..50).map(|i| {
        let server = if i % 2 == 0 { ServerRef::Default } else { url.clone() };
        let service = &service;
        async move { service.get_connection(&server).await.unwrap() }
    });
    let connections = join_all(asked).await;
    assert!(connections.iter().all(|other| Arc::ptr_eq(other, &connections[0])));
    assert_eq!(proxy.accepted(), 1);
}

/// Fails to connect, once it is let.
#[derive(Debug, Default)]
struct Failing {
    tries: AtomicUsize,
    go: Notify,
}

#[async_trait]
impl Connector for Failing {
    fn schemes(&self) -> Vec<String> {
        vec!["fake".to_owned()]
    }

    async fn connect(&self, _url: &str) -> Result<Arc<dyn Connection>> {
        self.tries.fetch_add(1, Ordering::SeqCst);
        self.go.notified().await;
        Err(Error::new(ErrorKind::Unavailable, "connect", "nobody there"))
    }
}

#[tokio::test]
async fn a_failed_attempt_is_told_to_all_who_waited_and_the_next_call_tries_anew() {
    let connector = Arc::new(Failing::default());
    let service = ConnectionService::new(
        vec![connector.clone()],
        ConnectionConfig::default().with_server(ServerConfig::default().with_url("fake://a")),
    );
    let asked = join_all((0..10).map(|_| service.default_connection()));
    let (answers, ()) = tokio::join!(asked, async { connector.go.notify_one() });
    for answer in answers {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert_eq!(connector.tries.load(Ordering::SeqCst), 1);
    connector.go.notify_one();
    assert!(service.default_connection().await.is_err());
    assert_eq!(connector.tries.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn named_servers_and_other_schemes_are_found_and_unknown_ones_told() {
    let server = shared().await;
    let named = BTreeMap::from([(
        "real".to_owned(),
        ServerConfig::default().with_url(server.url().as_str()),
    )]);
    let config =
        quick().with_server(ServerConfig::default().with_url("memory://")).with_servers(named);
    let service = ConnectionService::new(vec![Arc::new(MemoryConnector::new())], config);
    let memory = service.default_jetstream().await.unwrap();
    assert!(memory.find_stream("S").await.unwrap().is_none());
    let real = service.health_check(&ServerRef::from("real")).await.unwrap();
    assert_eq!(real.server.version.to_string(), server.version().number());
    assert!(real.round_trip > Duration::ZERO);

    let error = service.get_connection(&ServerRef::from("other")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.hint().unwrap().contains("real"), "{error:?}");
    let error = service.get_connection(&ServerRef::from("ftp://h")).await.unwrap_err();
    assert_eq!((error.kind(), error.get("scheme")), (ErrorKind::InvalidArgument, Some("ftp")));
    assert!(error.hint().unwrap().contains("memory"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_connection_is_made_anew_and_one_that_was_not_there_is_none() {
    let server = shared().await;
    let service = service_on(&server.url());
    assert!(!service.close_connection(&ServerRef::Default).await.unwrap());
    let first = service.default_connection().await.unwrap();
    assert!(service.close_connection(&ServerRef::Default).await.unwrap());
    let second = service.default_connection().await.unwrap();
    assert!(!Arc::ptr_eq(&first, &second));
    second.round_trip(PATIENCE).await.unwrap();
    // One that was closed behind the service's back is not handed out again either.
    second.close(PATIENCE).await.unwrap();
    service.health_check(&ServerRef::Default).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_gives_up_leaves_the_connection_to_the_others() {
    let server = shared().await;
    let proxy = FaultProxy::start(server.address()).await;
    proxy.delay(Direction::ToClient, Duration::from_millis(100));
    let service = Arc::new(service_on(&proxy.url()));
    let impatient = tokio::time::timeout(Duration::from_millis(20), service.default_connection());
    let (given_up, patient) = tokio::join!(impatient, service.default_connection());
    assert!(given_up.is_err());
    patient.unwrap().round_trip(PATIENCE).await.unwrap();
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_started_service_is_healthy_and_a_stopped_one_hands_out_nothing() {
    let server = shared().await;
    let mut config = NaqConfig::default();
    config.connection =
        quick().with_server(ServerConfig::default().with_url(server.url().as_str()));
    let service = ConnectionService::build((Vec::new(),), config.connection).unwrap();
    service.start().await.unwrap();
    let health = service.health().await;
    assert_eq!(health.state, HealthState::Healthy, "{health:?}");
    assert!(health.latency.is_some());
    let connection = service.default_connection().await.unwrap();
    assert!(service.stop(PATIENCE).await.unwrap().is_clean());
    assert!(service.stop(PATIENCE).await.unwrap().is_clean());
    let error = service.default_connection().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    let error = connection.round_trip(PATIENCE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(service.health().await.state, HealthState::Unhealthy);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_was_given_up_is_finished_by_the_next_one() {
    let server = shared().await;
    let proxy = FaultProxy::start(server.address()).await;
    let service = service_on(&proxy.url());
    let connection = service.default_connection().await.unwrap();
    let jetstream = connection.jetstream();
    proxy.black_hole(Direction::ToClient);
    let before = proxy.passed(Direction::ToServer);
    let publish = tokio::spawn(async move { jetstream.publish(numbered(1)).await });
    wait::until("the message to be on its way", PATIENCE, async || {
        proxy.passed(Direction::ToServer) > before
    })
    .await;
    let given_up = tokio::time::timeout(Duration::from_millis(50), service.stop(PATIENCE)).await;
    assert!(given_up.is_err());
    let report = service.stop(Duration::from_millis(100)).await.unwrap();
    assert_eq!(report.pending, 1, "{report:?}");
    assert_eq!(connection.state(), ConnectionState::Closed);
    assert!(publish.await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_service_and_its_connection_leave_nothing_connected() {
    let server = shared().await;
    let proxy = FaultProxy::start(server.address()).await;
    let service = service_on(&proxy.url());
    let jetstream = service.default_jetstream().await.unwrap();
    drop(service);
    assert!(jetstream.find_stream("nothing").await.unwrap().is_none(), "a handle keeps it open");
    drop(jetstream);
    wait::until("the connection to end", PATIENCE, async || proxy.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheme_that_nobody_connects_is_an_error_before_the_start() {
    let config = ConnectionConfig::default()
        .with_server(ServerConfig::default().with_url("http://u:hunter2@h"));
    let error = ConnectionService::build((Vec::new(),), config).unwrap_err();
    assert_eq!(error.get("scheme"), Some("http"));
    assert!(!format!("{error:?}").contains("hunter2"));
    make_stream(&*service_on("memory://").default_jetstream().await.unwrap()).await;
}
