//! What keeps a connection from being made, each in its own kind and in time.

use std::net::SocketAddr;
use std::time::Duration;

use naq_core::ErrorKind;
use naq_core::config::{ConnectionConfig, ServerConfig};
use naq_core::connection::ConnectionState;
use naq_core::jetstream::{
    JetStream, JetStreamExt, PublishMessage, ReadOptions, ReadUntil, StreamConfig,
};
use naq_tests::certs::Certificates;
use naq_tests::server::{NatsServer, User};
use naq_tests::wait;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::fake::FakeServer;
use crate::{PATIENCE, connect, lazy, numbered, quick, refusal};

/// A port on which nobody listens.
async fn free_address() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap()
}

fn at(address: SocketAddr) -> ServerConfig {
    ServerConfig::default().with_url(format!("nats://{address}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_server_is_unavailable_at_once_and_says_what_to_do() {
    let error = wait::within(
        "a refusal",
        Duration::from_secs(1),
        refusal(quick(), at(free_address().await)),
    )
    .await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.hint().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_times_out_within_the_connect_timeout() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let config = quick().with_connect_timeout(Duration::from_millis(300));
    let start = Instant::now();
    let error = refusal(config, at(silent.local_addr().unwrap())).await;
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_does_not_hide_the_next_one_of_the_list() {
    let server = NatsServer::start().await;
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let (dead, silent) = (free_address().await, silent.local_addr().unwrap());
    let urls = format!("nats://{dead},nats://{silent},{}", server.url());
    // The order of the list is the client's to choose: often enough the silent one is first.
    for _ in 0..5 {
        let config = ServerConfig::default().with_url(urls.as_str());
        connect(quick(), config).await.unwrap().round_trip(PATIENCE).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_too_old_is_refused_by_its_version() {
    let old = FakeServer::start("2.9.25").await;
    let error = refusal(quick(), at(old.address)).await;
    assert_eq!((error.kind(), error.get("version")), (ErrorKind::Unsupported, Some("2.9.25")));
    assert!(error.hint().unwrap().contains("2.10"), "{error:?}");

    // A lazy connection can't know before it asks.
    let jetstream = connect(lazy(), at(old.address)).await.unwrap().jetstream();
    let error = jetstream.stream_info("S").await.unwrap_err();
    assert_eq!((error.kind(), error.get("version")), (ErrorKind::Unsupported, Some("2.9.25")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lazy_connection_is_unavailable_until_its_server_comes() {
    let mut server = NatsServer::start().await;
    server.kill();
    let config = lazy().with_request_timeout(Duration::from_millis(200));
    let connection = connect(config, ServerConfig::default().with_url(server.url())).await.unwrap();
    assert_eq!(connection.state(), ConnectionState::Pending);
    let jetstream = connection.jetstream();
    let error = jetstream.stream_info("S").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    server.restart().await;
    wait::until("the connection", PATIENCE, async || {
        connection.state() == ConnectionState::Connected
    })
    .await;
    crate::make_stream(&*jetstream).await;
    assert_eq!(jetstream.publish(numbered(1)).await.unwrap().sequence, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_hear_replies_is_told_so_within_two_seconds() {
    let server =
        NatsServer::builder().user(User::new("deaf", "d").may_subscribe(["nothing"])).start().await;
    let config = ServerConfig::default().with_url(server.url_as("deaf", "d"));
    let connection = connect(ConnectionConfig::default(), config).await.unwrap();
    let jetstream = connection.jetstream();
    let start = Instant::now();
    for _ in 0..2 {
        let error = jetstream.publish(PublishMessage::new("s.a", "x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
        assert!(error.hint().unwrap().contains("inbox_prefix"), "{error:?}");
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_prefix_of_ones_own_is_enough_to_hear_replies() {
    let server = NatsServer::builder()
        .user(User::new("admin", "a"))
        .user(User::new("prod", "p").may_subscribe(["_INBOX_prod.eu.>"]))
        .start()
        .await;
    let config = ServerConfig::default()
        .with_url(server.url_as("prod", "p"))
        .with_inbox_prefix("_INBOX_prod.eu");
    let jetstream = connect(quick(), config).await.unwrap().jetstream();
    jetstream.create_stream(StreamConfig::new("S", ["s.>"])).await.unwrap();
    assert_eq!(jetstream.publish(numbered(1)).await.unwrap().sequence, 1);
}

/// What a read of two filters gives, to the end as it stood.
async fn read_two(jetstream: &dyn JetStream) -> Vec<u64> {
    let filters = vec!["s.1".to_owned(), "s.2".to_owned()];
    let options = ReadOptions::default().with_until(ReadUntil::Head).with_subjects(filters);
    let reading = jetstream.read_to_head("S", options);
    let messages = wait::within("the messages", PATIENCE, reading).await.unwrap();
    messages.iter().map(|message| message.sequence).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_each_filter_may_have_no_consumer_of_its_own_one_reads_all() {
    let server = NatsServer::builder()
        .user(User::new("admin", "a"))
        .user(User::new("several", "s").may_publish([
            "$JS.API.STREAM.INFO.S",
            "$JS.API.CONSUMER.CREATE.S.*",
            "$JS.API.CONSUMER.*.S.*",
            "$JS.API.CONSUMER.MSG.NEXT.S.*",
        ]))
        .user(User::new("each", "e").may_publish([
            "$JS.API.STREAM.INFO.S",
            "$JS.API.CONSUMER.CREATE.S.*.s.1",
            "$JS.API.CONSUMER.CREATE.S.*.s.2",
            "$JS.API.CONSUMER.DELETE.S.*",
            "$JS.API.CONSUMER.MSG.NEXT.S.*",
        ]))
        .start()
        .await;
    let of = async |user: &str, password: &str| {
        let config = ServerConfig::default().with_url(server.url_as(user, password));
        connect(quick(), config).await.unwrap().jetstream()
    };
    let admin = of("admin", "a").await;
    let one_consumer = StreamConfig::new("S", ["s.>"]).with_max_consumers(1_u64);
    admin.create_stream(one_consumer).await.unwrap();
    for n in 1..=4 {
        admin.publish(numbered(n)).await.unwrap();
    }
    assert_eq!(read_two(&*admin).await, [1, 2], "on a stream that takes one consumer");
    admin.delete_stream("S").await.unwrap();
    crate::make_stream(&*admin).await;
    for n in 1..=4 {
        admin.publish(numbered(n)).await.unwrap();
    }
    for user in [of("several", "s").await, of("each", "e").await] {
        assert_eq!(read_two(&*user).await, [1, 2]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_with_an_authority_of_ones_own() {
    let certificates = Certificates::generate();
    let server = NatsServer::builder().tls(&certificates).start().await;
    let url = server.url().replace("nats://", "tls://");
    let trusting =
        ServerConfig::default().with_url(url.as_str()).with_tls_ca_file(certificates.authority());
    let connection = connect(quick(), trusting).await.unwrap();
    connection.round_trip(PATIENCE).await.unwrap();

    let other = Certificates::generate();
    let distrusting =
        ServerConfig::default().with_url(url.as_str()).with_tls_ca_file(other.authority());
    let error = refusal(quick(), distrusting).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_may_want_a_certificate_of_the_client() {
    let certificates = Certificates::generate();
    let server = NatsServer::builder().mutual_tls(&certificates).start().await;
    let url = server.url().replace("nats://", "tls://");
    let config =
        ServerConfig::default().with_url(url.as_str()).with_tls_ca_file(certificates.authority());
    assert!(connect(quick(), config.clone()).await.is_err());
    let config = config
        .with_tls_cert_file(certificates.client_certificate())
        .with_tls_key_file(certificates.client_key());
    connect(quick(), config).await.unwrap().round_trip(PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_certificate_file_is_told_by_its_key() {
    let certificates = Certificates::generate();
    let server = NatsServer::builder().tls(&certificates).start().await;
    let config = ServerConfig::default()
        .with_url(server.url().replace("nats://", "tls://"))
        .with_tls_ca_file(std::path::PathBuf::from("/nonexistent/ca.pem"));
    let error = refusal(quick(), config).await;
    assert!(error.hint().unwrap().contains("tls_ca_file"), "{error:?}");
}
