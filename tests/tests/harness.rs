//! The harness does what the other tests rely on.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use futures::StreamExt;
use naq_tests::accounts::Operator;
use naq_tests::certs::Certificates;
use naq_tests::server::{NatsServer, User, Version, shared};
use naq_tests::{names, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const DEADLINE: Duration = Duration::from_secs(10);

#[path = "harness/fence.rs"]
mod fence;
#[path = "harness/ledger.rs"]
mod ledger;
#[path = "harness/proxy.rs"]
mod proxy;

async fn stored(client: &async_nats::Client, stream: &str) -> u64 {
    let js = jetstream::new(client.clone());
    js.get_stream(stream).await.unwrap().cached_info().state.messages
}

async fn store(client: &async_nats::Client, stream: &str, messages: u64) {
    let js = jetstream::new(client.clone());
    let config = jetstream::stream::Config { name: stream.to_owned(), ..Default::default() };
    js.get_or_create_stream(config).await.unwrap();
    for _ in 0..messages {
        js.publish(stream.to_owned(), "x".into()).await.unwrap().await.unwrap();
    }
}

#[tokio::test]
async fn every_pinned_version_starts_and_says_so() {
    for version in Version::ALL {
        let server = NatsServer::builder().version(version).start().await;
        let client = server.client().await;
        assert_eq!(client.server_info().version, version.number());
        store(&client, "some", 1).await;
    }
}

#[tokio::test]
async fn a_killed_server_comes_back_on_its_port_with_its_store() {
    let mut server = NatsServer::start().await;
    store(&server.client().await, "kept", 3).await;
    let address = server.address();
    server.kill();
    assert!(!server.is_running());
    assert!(TcpStream::connect(address).await.is_err());
    server.restart().await;
    assert_eq!(server.address(), address);
    assert_eq!(stored(&server.client().await, "kept").await, 3);
}

#[tokio::test]
async fn a_stopped_server_ends_by_itself_and_says_so_in_its_log() {
    let mut server = NatsServer::start().await;
    server.stop().await;
    assert!(!server.is_running());
    assert!(server.log().contains("Server Exiting"), "{}", server.log());
}

#[tokio::test]
async fn a_store_outlives_a_change_of_version() {
    let mut server = NatsServer::builder().version(Version::V2_10).start().await;
    store(&server.client().await, "kept", 2).await;
    server.restart_as(Version::V2_15).await;
    let client = server.client().await;
    assert_eq!(client.server_info().version, Version::V2_15.number());
    assert_eq!(stored(&client, "kept").await, 2);
}

#[tokio::test]
async fn a_paused_server_is_silent_until_it_is_resumed() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    server.pause().await;
    let answer = tokio::time::timeout(Duration::from_millis(200), round_trip(&client)).await;
    assert!(answer.is_err(), "a frozen server answered");
    server.resume();
    wait::within("an answer", DEADLINE, round_trip(&client)).await;
}

async fn round_trip(client: &async_nats::Client) {
    let inbox = client.new_inbox();
    let mut echo = client.subscribe(inbox.clone()).await.unwrap();
    client.publish(inbox, "?".into()).await.unwrap();
    echo.next().await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_is_gone_with_its_folder() {
    let server = NatsServer::start().await;
    let (address, store) = (server.address(), server.store());
    assert!(store.exists());
    drop(server);
    assert!(TcpStream::connect(address).await.is_err());
    assert!(!store.exists());
}

/// The test runs itself: the inner run starts a server, says where, and waits to
/// be killed.
#[tokio::test]
async fn a_server_ends_when_its_test_is_killed() {
    const INNER: &str = "NAQ_TESTS_INNER";
    if let Ok(told) = std::env::var(INNER) {
        let server = shared().await;
        let folder = server.store();
        fs::write(&told, format!("{} {}", server.address(), folder.display())).unwrap();
        std::future::pending::<()>().await;
    }
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("told");
    let mut inner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_server_ends_when_its_test_is_killed"])
        .env(INNER, &told)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = wait::some("the inner server", DEADLINE, async || {
        let said = fs::read_to_string(&told).ok()?;
        let (address, store) = said.split_once(' ')?;
        Some((address.to_owned(), store.to_owned()))
    })
    .await;
    assert!(TcpStream::connect(&said.0).await.is_ok());
    inner.kill().unwrap();
    inner.wait().unwrap();
    wait::until("the server's end", DEADLINE, async || TcpStream::connect(&said.0).await.is_err())
        .await;
    wait::until("the folder's end", DEADLINE, async || !fs::exists(&said.1).unwrap()).await;
}

#[tokio::test]
async fn the_shared_server_is_one() {
    let (one, other) = (shared().await, shared().await);
    assert_eq!(one.pid(), other.pid());
    assert_ne!(names::unique("s"), names::unique("s"));
}

#[tokio::test]
async fn a_user_may_do_what_was_granted_and_nothing_else() {
    let server = NatsServer::builder()
        .user(User::new("all", "secret"))
        .user(User::new("writer", "secret").may_publish(["in.>"]).may_subscribe(["_INBOX.>"]))
        .start()
        .await;
    let wrong = async_nats::ConnectOptions::with_user_and_password("all".into(), "wrong".into());
    assert!(wrong.connect(server.url()).await.is_err());
    let all = server.client_as("all", "secret").await;
    let writer = server.client_as("writer", "secret").await;
    let mut seen = all.subscribe("*.a").await.unwrap();
    // An answer means that the server knows of the subscription.
    round_trip(&all).await;
    writer.publish("out.a", "refused".into()).await.unwrap();
    writer.publish("in.a", "taken".into()).await.unwrap();
    let first = wait::within("a message", DEADLINE, seen.next()).await.unwrap();
    assert_eq!((first.subject.as_str(), &first.payload[..]), ("in.a", &b"taken"[..]));
}

#[tokio::test]
async fn a_token_an_nkey_and_a_jwt_are_ways_in() {
    let server = NatsServer::builder().token("t0ken").start().await;
    assert!(async_nats::connect(server.url()).await.is_err());
    async_nats::ConnectOptions::with_token("t0ken".into()).connect(server.url()).await.unwrap();

    let pair = nkeys::KeyPair::new_user();
    let server = NatsServer::builder().user(User::nkey(&pair.public_key())).start().await;
    let seed = pair.seed().unwrap();
    async_nats::ConnectOptions::with_nkey(seed).connect(server.url()).await.unwrap();

    let operator = Operator::generate();
    let server = NatsServer::builder().operator(&operator).start().await;
    assert!(async_nats::connect(server.url()).await.is_err());
    let client = async_nats::ConnectOptions::with_credentials(&operator.user("u").to_file())
        .unwrap()
        .connect(server.url())
        .await
        .unwrap();
    store(&client, "of_the_account", 1).await;
    let stranger = Operator::generate().user("u").to_file();
    let refused = async_nats::ConnectOptions::with_credentials(&stranger).unwrap();
    assert!(refused.connect(server.url()).await.is_err());
}

#[tokio::test]
async fn tls_wants_the_authority_and_mutual_tls_a_certificate() {
    let certificates = Certificates::generate();
    let trusting = || {
        async_nats::ConnectOptions::new()
            .add_root_certificates(certificates.authority())
            .require_tls(true)
    };
    let server = NatsServer::builder().tls(&certificates).start().await;
    trusting().connect(server.url()).await.unwrap();
    let stranger = Certificates::generate();
    let doubting = async_nats::ConnectOptions::new().add_root_certificates(stranger.authority());
    assert!(doubting.require_tls(true).connect(server.url()).await.is_err());

    let server = NatsServer::builder().mutual_tls(&certificates).start().await;
    assert!(trusting().connect(server.url()).await.is_err());
    let known = trusting()
        .add_client_certificate(certificates.client_certificate(), certificates.client_key());
    known.connect(server.url()).await.unwrap();
}

#[tokio::test]
async fn limits_and_lines_of_ones_own_reach_the_server() {
    let server = NatsServer::builder()
        .max_payload(4096)
        .sync_always()
        .jetstream_limits(1 << 20, 2 << 20)
        .config("server_name: \"mine\"")
        .start()
        .await;
    let client = server.client().await;
    assert_eq!(client.server_info().max_payload, 4096);
    assert_eq!(client.server_info().server_name, "mine");
    let too_much = jetstream::stream::Config {
        name: "too_much".to_owned(),
        max_bytes: 3 << 20,
        ..Default::default()
    };
    assert!(jetstream::new(client).create_stream(too_much).await.is_err());
    let plain = NatsServer::builder().without_jetstream().start().await;
    assert!(!plain.client().await.server_info().jetstream);
}

#[tokio::test]
#[should_panic(expected = "waited 20ms in vain for a miracle")]
async fn a_wait_in_vain_names_what_it_waited_for() {
    wait::until("a miracle", Duration::from_millis(20), async || false).await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_takes_real_time_under_a_paused_clock() {
    let start = Instant::now();
    wait::until("30 ms", DEADLINE, async || start.elapsed() > Duration::from_millis(30)).await;
}

/// Answers each byte with itself.
async fn echo_server() -> std::net::SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                // A broken connection is what the tests are about.
                let _ = tokio::io::copy(&mut from, &mut to).await;
                let _ = to.shutdown().await;
            });
        }
    });
    address
}

async fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
    stream.write_all(bytes).await.unwrap();
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).await.unwrap();
    back
}
