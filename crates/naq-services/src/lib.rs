//! The service manager of naq: typed wiring and life cycle.
//!
//! A service says by types what it needs and what it offers
//! ([`Provide`](naq_core::service::Provide)); the [`ServiceManager`] reads the
//! graph off them, checks it, starts in the order of the dependencies and stops
//! in reverse. It is sugar: each service has a plain constructor, and none ever
//! sees the manager.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use async_trait::async_trait;
//! use naq_core::clock::Clock;
//! use naq_core::service::{Health, Interfaces, Provide, Service, StopReport};
//! use naq_core::{Result, Timestamp};
//! use naq_services::ServiceManager;
//!
//! trait Greeter: std::fmt::Debug + Send + Sync {
//!     fn greet(&self) -> String;
//! }
//!
//! #[derive(Debug)]
//! struct English {
//!     since: Timestamp,
//! }
//!
//! impl Greeter for English {
//!     fn greet(&self) -> String {
//!         format!("Good morning, since {}", self.since)
//!     }
//! }
//!
//! #[async_trait]
//! impl Service for English {
//!     async fn start(&self) -> Result<()> {
//!         Ok(())
//!     }
//!     async fn stop(&self, _within: Duration) -> Result<StopReport> {
//!         Ok(StopReport::default())
//!     }
//!     async fn health(&self) -> Health {
//!         Health::healthy()
//!     }
//! }
//!
//! impl Provide for English {
//!     const NAME: &'static str = "english";
//!     type Deps = (Arc<dyn Clock>,);
//!     type Config = ();
//!
//!     fn interfaces() -> Interfaces<Self> {
//!         Interfaces::new().with::<dyn Greeter>(|service| service)
//!     }
//!
//!     fn build((clock,): Self::Deps, (): ()) -> Result<Self> {
//!         Ok(Self { since: clock.now() })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let services = ServiceManager::builder().register::<English>().start().await?;
//! let greeter = services.get::<dyn Greeter>()?;
//! assert!(greeter.greet().starts_with("Good morning"));
//! services.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//! `standard` (default): connection, streams and kv_stores are built from the
//! standard recipes where somebody needs them and nobody registered them, and
//! `memory://` is a JetStream in this process. Without it this crate knows
//! naq-core alone, and what is missing is an error that names who has it.

mod builder;
mod check;
mod graph;
mod health;
mod hints;
mod manager;
mod recipe;
mod signals;
mod sources;
mod standard;
mod start;
mod stop;

pub use builder::{DEFAULT_START_TIMEOUT, ServiceManagerBuilder};
pub use check::CheckReport;
pub use health::{HealthReport, ServiceHealth};
pub use manager::{DEFAULT_STOP_BUDGET, ServiceManager};
pub use stop::{ServiceStop, ShutdownReport};

/// What a program that wires services needs at hand.
pub mod prelude {
    pub use naq_core::config::NaqConfig;
    pub use naq_core::service::{Health, HealthState, Interfaces, Provide, Service, StopReport};

    pub use crate::{HealthReport, ServiceManager, ServiceManagerBuilder, ShutdownReport};
}
