//! Stream management: streams made to be as wanted, inspected, purged, deleted.
//!
//! [`StreamService`] implements the port
//! [`StreamManager`](naq_core::streams::StreamManager) on whatever JetStream
//! it is given: a server's by `naq-connection`, one in this process by
//! `naq-memory`, or a mock.
//!
//! ```
//! use std::sync::Arc;
//!
//! use naq_core::connection::SingleJetStream;
//! use naq_core::jetstream::StreamConfig;
//! use naq_memory::MemoryJetStream;
//! use naq_streams::prelude::*;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> naq_core::Result<()> {
//! let jetstream = SingleJetStream::provider(Arc::new(MemoryJetStream::new()));
//! let streams = StreamService::new(jetstream);
//!
//! let wanted = StreamConfig::new("orders", ["orders.>"]).with_max_messages(1_000);
//! let ensured = streams.ensure_stream(EnsureStream::new(wanted.clone())).await?;
//! assert_eq!(ensured.outcome, EnsureOutcome::Created);
//!
//! // Another process wants more room: the limit is raised, and told.
//! let wanted = wanted.with_max_messages(5_000);
//! let ensured = streams.ensure_stream(EnsureStream::new(wanted)).await?;
//! let EnsureOutcome::Updated(changes) = ensured.outcome else { unreachable!() };
//! assert_eq!(changes[0].to_string(), "max_messages from 1000 to 5000");
//!
//! assert!(streams.stream_exists("orders").await?);
//! # Ok(())
//! # }
//! ```

mod ensure;
mod service;

pub use service::StreamService;

/// What a program that manages streams needs at hand.
pub mod prelude {
    pub use naq_core::streams::{
        EnsureOutcome, EnsureStream, EnsuredStream, FieldChange, StreamManager,
    };

    pub use naq_core::{Error, ErrorKind, Result};

    pub use crate::StreamService;
}
