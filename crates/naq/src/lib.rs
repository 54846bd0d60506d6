//! The service layer of a job queue on NATS JetStream: one dependency for all of naq.
//!
//! Jobs, workers and schedules tell what happens to them; naq stores it
//! durably, and lets people and programs watch it live, look a job up, and ask
//! for statistics. It runs on a NATS server (2.10 or newer), or in memory with
//! nothing to set up.
//!
//! ```
//! use naq::prelude::*;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! // `.config_from_env()?` instead reads NAQ_NATS_URL and every other NAQ_… variable.
//! let services = ServiceManager::builder()
//!     .config(NaqConfig::for_url("memory://"))
//!     .register::<EventService>()
//!     .start()
//!     .await?;
//! let events = services.get::<EventService>()?;
//!
//! events.log_job_started("job-1", "worker-1", "emails").await?;
//! events.log_job_completed("job-1", 0.25, true).await?;
//!
//! let history = events.get_event_history("job-1", 100).await?;
//! assert_eq!(history.events.len(), 2);
//! services.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! What the event service needs, a connection and streams, comes from the
//! standard recipes. History and live are one stream, and statistics are one
//! question away; a bucket for what isn't an event is too:
//!
//! ```
//! use futures::StreamExt;
//! use naq::core::events::EventItem;
//! use naq::prelude::*;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let services = ServiceManager::builder()
//!     .config(NaqConfig::for_url("memory://"))
//!     .register::<EventService>()
//!     .register::<KvStoreService>()
//!     .start()
//!     .await?;
//! let events = services.get::<dyn EventLog>()?;
//! events.log_job_failed("job-7", "connection reset", 1.5).await?;
//!
//! let mut failures = events.stream_events(Filter::new().event_type("job_failed"));
//! while let Some(item) = failures.next().await {
//!     match item? {
//!         EventItem::Event(failure) => assert_eq!(failure.event.job_id.as_deref(), Some("job-7")),
//!         EventItem::CaughtUp { .. } => break, // from here on it is live
//!         _ => {}
//!     }
//! }
//! let stats = events.get_event_stats(None, None).await?;
//! assert_eq!(stats.total_events, 1);
//!
//! let stores = services.get::<KvStoreService>()?;
//! let settings = stores.create_bucket(BucketConfig::new("settings")).await?;
//! settings.put("workers.max", "8").await?;
//! services.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Code that logs takes an [`EventSink`](core::events::EventSink), code that
//! asks an [`EventQuery`](core::events::EventQuery): tests then hand it a mock
//! (feature `mock`) or the service on `memory://`.
//!
//! Who wants one part alone depends on its crate: each service has a plain
//! constructor and knows naq-core only.

pub use naq_connection as connection;
pub use naq_core as core;
pub use naq_events as events;
pub use naq_kv as kv;
pub use naq_memory as memory;
pub use naq_services as services;
pub use naq_streams as streams;

pub use naq_core::{Error, ErrorKind, Result};

/// All that most programs need: the services, their ports, the manager, the error.
pub mod prelude {
    pub use naq_connection::prelude::*;
    pub use naq_core::prelude::*;
    pub use naq_events::prelude::*;
    pub use naq_kv::prelude::*;
    pub use naq_services::prelude::*;
    pub use naq_streams::prelude::*;
}
