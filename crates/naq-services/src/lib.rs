//! The service manager of naq: typed wiring and life cycle.

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
