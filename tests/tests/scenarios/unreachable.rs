//! Servers that aren't there, aren't there yet, or aren't what naq needs.

use std::time::Duration;

use naq_core::config::{ConnectPolicy, NaqConfig};
use naq_core::events::{Event, EventQueryExt, EventSink, EventSinkExt};
use naq_core::service::HealthState;
use naq_core::{ErrorKind, RetryClass};
use naq_tests::server::NatsServer;
use naq_tests::wait;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::{PATIENCE, Program, quick};

/// A server of an address that nobody listens on any more.
async fn dead() -> NatsServer {
    let mut server = NatsServer::start().await;
    server.kill();
    server
}

fn with_timeout(url: &str, timeout: Duration) -> NaqConfig {
    let mut config = quick(url);
    config.connection = config.connection.with_connect_timeout(timeout);
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_not_to_be_reached_has_its_own_kind_and_says_what_to_do() {
    let dead = dead().await;
    let plain = NatsServer::builder().without_jetstream().start().await;
    for (url, kinds) in [
        (dead.url(), &[ErrorKind::Unavailable, ErrorKind::Timeout][..]),
        (plain.url(), &[ErrorKind::Unsupported]),
        ("http://127.0.0.1:4222".to_owned(), &[ErrorKind::Config, ErrorKind::InvalidArgument]),
        ("nats://".to_owned(), &[ErrorKind::Config, ErrorKind::InvalidArgument]),
    ] {
        let start = Program::refused(with_timeout(&url, Duration::from_secs(1)));
        let error = wait::within("a refusal", Duration::from_secs(10), start).await;
        assert!(kinds.contains(&error.kind()), "{url}: {error:?}");
        // What to do is a hint, or the rule of the field that is wrong.
        let is_helpful = error.hint().is_some() || error.get("field").is_some();
        assert!(is_helpful, "{url}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_too_old_is_refused_by_its_version() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let old = tokio::spawn(async move {
        let info = concat!(
            r#"INFO {"server_id":"A","server_name":"old","version":"2.9.25","proto":1,"#,
            r#""headers":true,"jetstream":true,"max_payload":1048576,"client_id":1}"#,
            "\r\n"
        );
        let mut open = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            if socket.write_all(info.as_bytes()).await.is_ok()
                && socket.write_all(b"PONG\r\n").await.is_ok()
            {
                open.push(socket);
            }
        }
    });
    let start = Program::refused(with_timeout(&url, Duration::from_secs(2)));
    let error = wait::within("a refusal", Duration::from_secs(10), start).await;
    assert!(error.is(ErrorKind::Unsupported), "{error:?}");
    assert!(format!("{error}").contains("2.9.25"), "{error}");
    assert_eq!(error.retry(), RetryClass::Never);
    old.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lazy_program_logs_before_its_server_is_there() {
    let mut server = dead().await;
    let mut config = quick(&server.url());
    config.connection = config.connection.with_connect_policy(ConnectPolicy::Lazy);
    let start = Program::start(config);
    let program = wait::within("a lazy start", Duration::from_secs(5), start).await.unwrap();
    for n in 0..100 {
        program.events.log_job_progress(&format!("j{}", n % 4), &n.to_string()).await.unwrap();
    }
    let early = program.events.flush(Duration::from_millis(20)).await.unwrap();
    assert_eq!((early.acked, early.pending), (0, 100), "{early:?}");
    let health = program.services.health().await;
    assert_ne!(health.state(), HealthState::Healthy, "{health:?}");

    server.restart().await;
    let report = program.events.flush(PATIENCE).await.unwrap();
    assert!(report.is_clean() && report.acked == 100, "{report:?}");
    for job in 0..4 {
        let history = program.events.get_event_history(&format!("j{job}"), 100).await.unwrap();
        let told: Vec<_> =
            history.events.iter().map(|r| r.event.message.clone().unwrap()).collect();
        let expected = (0..25).map(|n| (4 * n + job).to_string());
        assert!(told.iter().map(|text| text.to_string()).eq(expected), "{told:?}");
    }
    let receipt = program.events.log_event_acked(Event::log("on")).await.unwrap();
    assert_eq!(receipt.sequence, Some(101));
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_to_a_server_that_is_gone_is_an_error_in_time_and_never_empty() {
    let mut server = NatsServer::start().await;
    let program = Program::on(&server.url()).await;
    program.events.log_event_acked(Event::job_paused("j")).await.unwrap();
    server.kill();
    let limit = Duration::from_secs(20);
    let history = program.events.get_event_history("j", 1);
    let error = wait::within("an error", limit, history).await.unwrap_err();
    assert!([ErrorKind::Unavailable, ErrorKind::Timeout].contains(&error.kind()), "{error:?}");
    let cleanup = program.events.cleanup_old_events(Duration::ZERO);
    let error = wait::within("an error", limit, cleanup).await.unwrap_err();
    assert!([ErrorKind::Unavailable, ErrorKind::Timeout].contains(&error.kind()), "{error:?}");
    server.restart().await;
    let answer = async || program.events.get_event_history("j", 1).await.is_ok();
    wait::until("an answer", PATIENCE, answer).await;
    program.stop().await;
}
