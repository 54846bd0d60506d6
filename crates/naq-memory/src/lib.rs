//! A JetStream in this process, for tests of naq and for a first run without a server.
//!
//! [`MemoryJetStream`] implements the port [`JetStream`] completely: streams
//! with every limit and retention, deduplication, expectations, atomic
//! batches, rollups, TTLs and markers, purges, reads, durable consumers. What
//! it does is what nats-server does: one conformance suite runs on the server
//! first and then on it, and where they differ the server is right.
//!
//! ```
//! use futures::StreamExt;
//! use naq_memory::prelude::*;
//! use naq_core::jetstream::{Delivery, PublishMessage, ReadOptions, StreamConfig};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> naq_core::Result<()> {
//! let js = MemoryJetStream::new();
//! js.create_stream(StreamConfig::new("events", ["events.>"])).await?;
//! let message = PublishMessage::new("events.log", "hello").with_message_id("1");
//! assert!(!js.publish(message.clone()).await?.duplicate);
//! assert!(js.publish(message).await?.duplicate);
//!
//! let mut read = js.read("events", ReadOptions::default());
//! let Some(Delivery::Message(stored)) = read.next().await.transpose()? else {
//!     unreachable!("one message was stored")
//! };
//! assert_eq!((stored.sequence, &stored.payload[..]), (1, &b"hello"[..]));
//! assert_eq!(read.next().await.transpose()?, Some(Delivery::CaughtUp { sequence: 1 }));
//! # Ok(())
//! # }
//! ```
//!
//! # In tests
//! - Time is a [`Clock`]: with a [`ManualClock`] a test moves ages, TTLs,
//!   duplicate windows, ack waits and the waits of fetches by hand, and nobody
//!   sleeps. Nothing runs in the background: what time has ended goes when
//!   the stream is next touched.
//! - [`Faults`] make publishes fail, lose acknowledgements, break the
//!   connection and hold everything back.
//! - [`MemoryJetStreamBuilder::version`] pretends an older server: its
//!   [`Capabilities`] are told, and what they lack is `Unsupported`.
//! - [`MemoryConnector`] serves `memory://` and `memory://name` where a
//!   program connects by URL.
//!
//! # Memory
//! Everything is kept in memory, whatever a stream's storage says, and is gone
//! with the last handle. [`MemoryLimits`] cap it as an account's limits do on
//! a server: what would pass them is `LimitReached`.
//!
//! # Where it differs from a server
//! - It is one server, never a cluster: replicas are 1, and
//!   [`Consistency`](naq_core::jetstream::Consistency) makes no difference.
//! - A fast batch is acknowledged at once, and stays one batch until its
//!   messages end; a server ends it, and begins another, whenever none come.
//! - A stream's bytes are counted as the server's stores count messages;
//!   compression, block overhead and what deleted messages leave on disk are not.
//! - A limit, an age or a TTL ends a message at its instant; the server may
//!   take a second longer. A consumer's delays are exact, too.
//! - A stream by interest keeps what a durable consumer wants. On a server an
//!   open read counts as interest, too, while it lasts.
//! - What a consumer has before it is counted exactly; the server estimates.
//! - Headers keep the order in which they were given; a server's client gives
//!   them sorted by name.
//! - Of header names that a server acts on, those of the port's fields and
//!   `Nats-Rollup` are; counters and schedules are stored as plain headers.
//!
//! [`Capabilities`]: naq_core::jetstream::Capabilities
//! [`Clock`]: naq_core::clock::Clock
//! [`JetStream`]: naq_core::jetstream::JetStream
//! [`ManualClock`]: naq_core::clock::ManualClock

mod connection;
mod connector;
mod fast_batches;
mod faults;
mod fetching;
mod getting;
mod limits;
mod memory;
mod model;
mod port;
mod publishing;
mod reading;
mod session;
mod shared;

pub use connection::MemoryConnection;
pub use connector::MemoryConnector;
pub use faults::Faults;
pub use limits::MemoryLimits;
pub use memory::{MemoryJetStream, MemoryJetStreamBuilder, VERSION};

/// What a program or test on a JetStream in memory needs at hand.
pub mod prelude {
    pub use naq_core::connection::{Connection, Connector};
    pub use naq_core::jetstream::{JetStream, JetStreamExt};

    pub use crate::{
        Faults, MemoryConnection, MemoryConnector, MemoryJetStream, MemoryJetStreamBuilder,
        MemoryLimits,
    };
}
