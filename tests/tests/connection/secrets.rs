//! No log line of any level shows a secret.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex};

use naq_core::config::ServerConfig;
use naq_core::secret::Secret;
use naq_tests::server::{NatsServer, User};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::{PATIENCE, connect, connect_to, numbered, quick, refusal};

/// Keeps everything that anybody logs, at every level.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn keep(&self, record: impl FnOnce(&mut dyn Visit)) {
        struct Line(String);
        impl Visit for Line {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                let _ = write!(self.0, " {field}={value:?}");
            }
        }
        let mut line = Line(String::new());
        record(&mut line);
        self.0.lock().unwrap().push_str(&format!("{}\n", line.0));
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.keep(|line| span.record(line));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        self.keep(|line| values.record(line));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.keep(|line| event.record(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_line_shows_a_secret_through_connect_break_and_refusal() {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let mut server = NatsServer::builder().user(User::new("ann", "hunter2")).start().await;
    let connection = connect_to(&server.url_as("ann", "hunter2"), quick()).await;
    let by_config = ServerConfig::default()
        .with_url(server.url())
        .with_user("ann".to_owned())
        .with_password(Secret::from("hunter2"));
    let other = connect(quick(), by_config).await.unwrap();
    crate::make_stream(&*connection.jetstream()).await;
    connection.jetstream().publish(numbered(1)).await.unwrap();
    server.restart().await;
    connection.round_trip(PATIENCE).await.unwrap();
    other.close(PATIENCE).await.unwrap();
    let wrong = ServerConfig::default().with_url(server.url_as("ann", "hunter22"));
    refusal(quick(), wrong).await;

    let log = log.0.lock().unwrap();
    assert!(log.contains("connecting to server"), "nothing was logged:\n{log}");
    for line in log.lines() {
        assert!(!line.contains("hunter2"), "{line}");
    }
}
