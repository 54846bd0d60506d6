//! A JetStream whose every answer the test gives, and small things to wait with.

use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc::{self, UnboundedReceiver, UnboundedSender};
use futures::{FutureExt, StreamExt};
use naq_core::clock::ManualClock;
use naq_core::connection::SingleJetStream;
use naq_core::jetstream::{
    Capabilities, MockJetStream, PublishAck, PublishMessage, PublishWay, Published, ServerInfo,
    ServerVersion,
};
use naq_core::streams::MockStreamManager;
use naq_core::{BoxStream, Error, ErrorKind, Result};
use naq_events::prelude::*;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MS: Duration = Duration::from_millis(1);

/// How long a test waits in real time for what must happen.
const PATIENCE: Duration = Duration::from_secs(10);

/// One publish session as the server sees it.
pub(crate) struct Session {
    /// The way that it was asked for.
    pub(crate) way: PublishWay,
    messages: BoxStream<'static, PublishMessage>,
    answers: UnboundedSender<Result<Published>>,
    sequence: u64,
}

impl Session {
    /// The next message, which must come.
    pub(crate) async fn message(&mut self) -> PublishMessage {
        within(self.messages.next()).await.expect("the session is not over")
    }

    /// The jobs of the next messages.
    pub(crate) async fn jobs(&mut self, count: usize) -> Vec<String> {
        let mut jobs = Vec::new();
        for _ in 0..count {
            jobs.push(job(&self.message().await));
        }
        jobs
    }

    /// Whether there is no message now.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.messages.next().now_or_never().is_none()
    }

    /// Whether there is no message after all tasks had their turn.
    pub(crate) async fn is_over_or_quiet(&mut self) -> bool {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        match self.messages.next().now_or_never() {
            None | Some(None) => true,
            Some(Some(message)) => {
                let rest = std::mem::replace(&mut self.messages, futures::stream::empty().boxed());
                self.messages = futures::stream::iter([message]).chain(rest).boxed();
                false
            }
        }
    }

    /// Waits until the service has let go of the session.
    pub(crate) async fn ended(&mut self) {
        within(async { while self.messages.next().await.is_some() {} }).await;
    }

    pub(crate) fn store(&mut self) {
        self.sequence += 1;
        let ack =
            PublishAck { stream: "events".to_owned(), sequence: self.sequence, duplicate: false };
        self.answer(Ok(ack));
    }

    /// The next so many messages are stored.
    pub(crate) fn next(&mut self, count: u64) {
        let _ = self.answers.unbounded_send(Ok(Published::Next(count)));
    }

    /// Nothing more is answered.
    pub(crate) fn over(&self) {
        self.answers.close_channel();
    }

    pub(crate) fn refuse(&mut self, kind: ErrorKind) {
        self.answer(Err(Error::new(kind, "publish", "as the test wants it")));
    }

    pub(crate) fn answer(&mut self, answer: Result<PublishAck>) {
        // The service may have given the session up; then nobody hears it.
        let _ = self.answers.unbounded_send(answer.map(Published::One));
    }
}

/// Makes a JetStream be of a server without fast ingest.
pub(crate) fn old_server(jetstream: &mut MockJetStream) {
    of_version(jetstream, ServerVersion::new(2, 12, 8));
}

/// Makes a JetStream be of a server with fast ingest.
pub(crate) fn new_server(jetstream: &mut MockJetStream) {
    of_version(jetstream, ServerVersion::new(2, 15, 1));
}

fn of_version(jetstream: &mut MockJetStream, version: ServerVersion) {
    jetstream.expect_server_info().returning(move || ServerInfo::new("test", "id", version));
    jetstream.expect_capabilities().returning(move || Capabilities::of(version));
}

/// The last token of a message's subject.
pub(crate) fn job(message: &PublishMessage) -> String {
    message.subject.rsplit('.').next().unwrap_or_default().to_owned()
}

/// A server whose sessions the test plays.
pub(crate) struct Server(UnboundedReceiver<Session>);

impl Server {
    /// A server without fast ingest, and the JetStream that leads to it.
    pub(crate) fn new() -> (Self, MockJetStream) {
        let mut jetstream = MockJetStream::new();
        old_server(&mut jetstream);
        Self::on(jetstream)
    }

    /// A server whose JetStream is to be this one.
    pub(crate) fn on(mut jetstream: MockJetStream) -> (Self, MockJetStream) {
        let (sessions, opened) = mpsc::unbounded();
        jetstream.expect_publish_many().returning(move |messages, options| {
            let (answers, answered) = mpsc::unbounded();
            let way = options.way;
            let _ = sessions.unbounded_send(Session { way, messages, answers, sequence: 0 });
            answered.boxed()
        });
        (Self(opened), jetstream)
    }

    /// The next session, which must be opened.
    pub(crate) async fn session(&mut self) -> Session {
        within(self.0.next()).await.expect("the JetStream is still there")
    }

    /// Whether no session was opened since the last one.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.0.next().now_or_never().is_none()
    }
}

/// A configuration that asks nothing about the stream.
pub(crate) fn assume() -> EventsConfig {
    EventsConfig::default().with_stream(naq_core::config::StreamMode::Assume)
}

/// A started service, its server and its clock.
pub(crate) async fn started(config: EventsConfig) -> (Arc<EventService>, Server, ManualClock) {
    let (server, jetstream) = Server::new();
    let clock = ManualClock::new();
    let service = service(jetstream, &clock, config);
    service.start().await.unwrap();
    (service, server, clock)
}

/// The same with fast ingest.
pub(crate) async fn started_fast(config: EventsConfig) -> (Arc<EventService>, Server, ManualClock) {
    let mut jetstream = MockJetStream::new();
    new_server(&mut jetstream);
    let (server, jetstream) = Server::on(jetstream);
    let clock = ManualClock::new();
    let service = service(jetstream, &clock, config);
    service.start().await.unwrap();
    (service, server, clock)
}

/// A service on a JetStream, not started.
pub(crate) fn service(
    jetstream: MockJetStream,
    clock: &ManualClock,
    config: EventsConfig,
) -> Arc<EventService> {
    let connections = SingleJetStream::provider(Arc::new(jetstream));
    let streams = Arc::new(MockStreamManager::new());
    Arc::new(EventService::new(connections, streams, Arc::new(clock.clone()), config).unwrap())
}

/// Waits for what must happen, with a deadline in real time.
pub(crate) async fn within<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(PATIENCE, work).await.expect("it happens in time")
}

/// Waits until a condition holds, while all tasks go on.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let polled = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, polled).await.is_ok(), "never: {what}");
}

/// Advances the clock once somebody waits for a time that this reaches.
pub(crate) async fn advance(clock: &ManualClock, span: Duration) {
    let until = clock.monotonic() + span;
    eventually("somebody sleeps until then", || {
        clock.next_deadline().is_some_and(|deadline| deadline <= until)
    })
    .await;
    clock.advance(span);
}

/// Lets time go by in small steps, in each of which all tasks have their turn.
pub(crate) async fn pass(clock: &ManualClock, span: Duration) {
    for _ in 0..span.as_millis() / 50 {
        clock.advance(50 * MS);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
}

/// Starts something and lets it run until it waits.
pub(crate) fn spawn<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(work)
}
