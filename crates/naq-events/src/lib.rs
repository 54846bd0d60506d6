//! The event log of naq: every job, worker and schedule tells what happens to
//! it; this crate stores that durably and answers what happened.
//!
//! [`EventService`] takes events ([`EventSink`](naq_core::events::EventSink))
//! and answers questions ([`EventQuery`](naq_core::events::EventQuery)), on
//! whatever JetStream it is given: a server's by `naq-connection`, one in this
//! process by `naq-memory`, or a mock.
//!
//! ```
//! use std::sync::Arc;
//!
//! use naq_core::connection::SingleJetStream;
//! use naq_events::prelude::*;
//! use naq_memory::MemoryJetStream;
//! use naq_streams::StreamService;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let connections = SingleJetStream::provider(Arc::new(MemoryJetStream::new()));
//! let streams = Arc::new(StreamService::new(Arc::clone(&connections)));
//! let clock = Arc::new(SystemClock::new());
//! let events = EventService::new(connections, streams, clock, EventsConfig::default())?;
//! events.start().await?;
//!
//! events.log_job_started("job-1", "worker-1", "emails").await?;
//! events.log_job_completed("job-1", 0.25, true).await?;
//! let history = events.get_event_history("job-1", 100).await?;
//! assert_eq!(history.events.len(), 2);
//!
//! let report = events.stop(std::time::Duration::from_secs(5)).await?;
//! assert!(report.is_clean());
//! # Ok(())
//! # }
//! ```
//!
//! Logging returns when an event is accepted into a bounded buffer; one task
//! writes it to the stream. What becomes of each event is counted
//! ([`counters`](naq_core::events::EventSink::counters)) and, where somebody
//! waits for it, told: nothing is lost in silence. [`EventService`] says what
//! is guaranteed.

mod analytics;
mod answer;
mod cleanup;
pub mod cursors;
mod digests;
mod explain_query;
mod fence;
mod grouped;
mod history;
pub mod indexes;
pub mod keeper;
#[cfg(test)]
mod made_up;
mod measures;
mod most_bytes;
mod names;
mod own_bucket;
pub mod prelude;
mod query;
pub mod reactions;
mod read;
mod redact;
pub mod retention;
mod rights;
mod service;
mod sink;
pub mod spool;
mod stats;
mod stream_setup;
mod top_errors;
mod writer;

pub use redact::{Redact, RedactFn};
pub use service::EventService;
pub use writer::{Sending, recognised_for};
