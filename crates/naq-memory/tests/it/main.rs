//! The JetStream in memory where the conformance suite can't go: time by hand,
//! faults, caps, connections.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod connections;
mod faults;
mod limits;
mod time;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use naq_core::clock::ManualClock;
use naq_core::jetstream::{Delivery, JetStream, PublishMessage, StreamConfig};
use naq_core::{BoxStream, Result};
use naq_memory::MemoryJetStream;

const SECOND: Duration = Duration::from_secs(1);
/// How long a test waits, in real time, for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A JetStream whose time stands still, with a stream `events`.
struct Fixture {
    js: MemoryJetStream,
    clock: ManualClock,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(|config| config).await
    }

    async fn with(configure: impl FnOnce(StreamConfig) -> StreamConfig) -> Self {
        let clock = ManualClock::new();
        let js = MemoryJetStream::builder().clock(Arc::new(clock.clone())).build();
        let config = configure(StreamConfig::new("events", ["events.>"]));
        js.create_stream(config).await.unwrap();
        Self { js, clock }
    }

    async fn store(&self, subject: &str) -> u64 {
        self.js.publish(PublishMessage::new(subject, "x")).await.unwrap().sequence
    }

    async fn messages(&self) -> u64 {
        self.js.stream_info("events").await.unwrap().state.messages
    }
}

/// The next delivery of a read, which must come.
async fn next(read: &mut BoxStream<'static, Result<Delivery>>) -> Delivery {
    match tokio::time::timeout(PATIENCE, read.next()).await {
        Ok(Some(delivery)) => delivery.unwrap(),
        Ok(None) => panic!("the read ended"),
        Err(_) => panic!("nothing came"),
    }
}

/// The sequence of the next delivery, which must be a message.
async fn message(read: &mut BoxStream<'static, Result<Delivery>>) -> u64 {
    match next(read).await {
        Delivery::Message(message) => message.sequence,
        other => panic!("expected a message, got {other:?}"),
    }
}
