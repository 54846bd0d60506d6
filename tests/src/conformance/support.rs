//! What the topics share: a stream of one's own, and a reading that can't hang.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use naq_core::jetstream::{
    Delivery, Expected, JetStream, JetStreamExt, PublishAck, PublishMessage, ReadOptions,
    StoredMessage, StreamConfig, StreamInfo, StreamState,
};
use naq_core::{BoxStream, Error, ErrorKind, Result, Timestamp};

use crate::{names, wait};

/// How long a topic waits for what must come. Deletion of a stream may take a
/// reader 15 s to notice; everything else is far quicker.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A stream that only one topic knows, taking `<name>.>`.
pub(super) struct Own {
    pub(super) js: Arc<dyn JetStream>,
    pub(super) name: String,
}

impl Own {
    /// With the server's defaults.
    pub(super) async fn new(js: Arc<dyn JetStream>) -> Self {
        Self::with(js, |config| config).await
    }

    /// With what `configure` sets.
    pub(super) async fn with(
        js: Arc<dyn JetStream>,
        configure: impl FnOnce(StreamConfig) -> StreamConfig,
    ) -> Self {
        let (name, config) = own_config();
        js.create_stream(configure(config)).await.unwrap();
        Self { js, name }
    }

    /// `<stream>.<tail>`.
    pub(super) fn subject(&self, tail: &str) -> String {
        format!("{}.{tail}", self.name)
    }

    /// A message on [`subject`](Self::subject).
    pub(super) fn message(&self, tail: &str, payload: &str) -> PublishMessage {
        PublishMessage::new(self.subject(tail), payload.to_owned())
    }

    /// Stores a message and answers its sequence.
    pub(super) async fn store(&self, tail: &str, payload: &str) -> u64 {
        let ack = self.js.publish(self.message(tail, payload)).await.unwrap();
        assert!(!ack.duplicate, "{ack:?}");
        ack.sequence
    }

    /// Stores one message on each subject, payloads `1`, `2`, …
    pub(super) async fn store_all<const N: usize>(&self, tails: [&str; N]) {
        for (i, tail) in tails.into_iter().enumerate() {
            self.store(tail, &(i + 1).to_string()).await;
        }
    }

    /// Stores this many messages on one subject, pipelined, payloads `1`, `2`, …
    pub(super) async fn store_many(&self, tail: &str, count: u64) {
        let subject = self.subject(tail);
        let messages = (1..=count)
            .map(move |n| PublishMessage::new(subject.clone(), n.to_string()))
            .collect::<Vec<_>>();
        let acks = self.publish_many(messages).await;
        assert_eq!(acks.len() as u64, count);
        for ack in acks {
            ack.unwrap();
        }
    }

    /// All answers of a pipelined publish.
    pub(super) async fn publish_many(
        &self,
        messages: Vec<PublishMessage>,
    ) -> Vec<Result<PublishAck>> {
        collect(self.js.publish_each(futures::stream::iter(messages).boxed())).await
    }

    /// Publishes under expectations, with payload `expected`.
    pub(super) async fn publish_expecting(
        &self,
        tail: &str,
        expected: Expected,
    ) -> Result<PublishAck> {
        self.js.publish(self.message(tail, "expected").with_expected(expected)).await
    }

    pub(super) async fn info(&self) -> StreamInfo {
        self.js.stream_info(&self.name).await.unwrap()
    }

    pub(super) async fn state(&self) -> StreamState {
        self.info().await.state
    }

    /// All stored messages.
    pub(super) async fn stored(&self) -> Vec<StoredMessage> {
        let all = self.js.read_to_head(&self.name, ReadOptions::default());
        wait::within("a read to the head", PATIENCE, all).await.unwrap()
    }

    /// The sequences of all stored messages.
    pub(super) async fn sequences(&self) -> Vec<u64> {
        sequences(&self.stored().await)
    }

    /// Opens a read.
    pub(super) fn read(&self, options: ReadOptions) -> Reading {
        Reading(self.js.read(&self.name, options))
    }

    /// All that a read gives until it ends by itself.
    pub(super) async fn read_all(&self, options: ReadOptions) -> Vec<Seen> {
        self.read(options).rest().await
    }
}

/// The wall time of this machine, which is the server's too.
pub(super) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// A name of one's own, and the configuration of a stream of that name.
pub(super) fn own_config() -> (String, StreamConfig) {
    let name = names::unique("conformance");
    let config = StreamConfig::new(&name, [format!("{name}.>")]);
    (name, config)
}

pub(super) fn sequences(messages: &[StoredMessage]) -> Vec<u64> {
    messages.iter().map(|message| message.sequence).collect()
}

pub(super) fn text(message: &StoredMessage) -> &str {
    std::str::from_utf8(&message.payload).unwrap()
}

/// All items of a stream that ends by itself.
pub(super) async fn collect<T>(items: BoxStream<'static, T>) -> Vec<T> {
    wait::within("the end of a stream", PATIENCE, items.collect()).await
}

/// The error of what must have failed with this kind.
#[track_caller]
pub(super) fn refused<T: Debug>(result: Result<T>, kind: ErrorKind) -> Error {
    match result {
        Err(error) if error.is(kind) => error,
        Err(error) => panic!("expected {kind:?}, got {:?}: {error:?}", error.kind()),
        Ok(value) => panic!("expected {kind:?}, got the answer {value:?}"),
    }
}

/// As [`refused`] with `InvalidArgument`, which must name the field.
#[track_caller]
pub(super) fn invalid<T: Debug>(result: Result<T>, field: &str) {
    let error = refused(result, ErrorKind::InvalidArgument);
    assert_eq!(error.get("field"), Some(field), "{error:?}");
}

/// A delivery, as short as an assertion wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// A message by its sequence.
    Message(u64),
    CaughtUp(u64),
    Gap(u64, u64),
    Resumed(u64),
}

/// An open read whose every step has a deadline.
pub(super) struct Reading(pub(super) BoxStream<'static, Result<Delivery>>);

impl Reading {
    /// The next delivery or error; `None` at the end.
    pub(super) async fn step(&mut self) -> Option<Result<Delivery>> {
        wait::within("a delivery", PATIENCE, self.0.next()).await
    }

    /// The next delivery, which must come.
    pub(super) async fn next(&mut self) -> Seen {
        match self.step().await {
            Some(Ok(delivery)) => seen(&delivery),
            Some(Err(error)) => panic!("the read broke: {error:?}"),
            None => panic!("the read ended"),
        }
    }

    /// The next delivery, which must be a message.
    pub(super) async fn message(&mut self) -> StoredMessage {
        match self.step().await {
            Some(Ok(Delivery::Message(message))) => message,
            other => panic!("expected a message, got {other:?}"),
        }
    }

    /// The error with which the read must end.
    pub(super) async fn error(&mut self) -> Error {
        match self.step().await {
            Some(Err(error)) => {
                assert!(self.step().await.is_none(), "an error ends a read");
                error
            }
            other => panic!("expected an error, got {other:?}"),
        }
    }

    /// What comes until the read ends by itself.
    pub(super) async fn rest(&mut self) -> Vec<Seen> {
        let mut all = Vec::new();
        while let Some(delivery) = self.step().await {
            all.push(seen(&delivery.unwrap()));
        }
        all
    }
}

fn seen(delivery: &Delivery) -> Seen {
    match delivery {
        Delivery::Message(message) => Seen::Message(message.sequence),
        Delivery::CaughtUp { sequence } => Seen::CaughtUp(*sequence),
        Delivery::Gap { from, to } => Seen::Gap(*from, *to),
        Delivery::Resumed { sequence } => Seen::Resumed(*sequence),
    }
}
