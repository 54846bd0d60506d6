//! The recipe by which a manager builds a service.

use super::{Deps, Interfaces, Service};
use crate::config::NaqConfig;
use crate::{Error, Result};

/// How to build a service from its dependencies and its section of the configuration.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use async_trait::async_trait;
/// use naq_core::Result;
/// use naq_core::clock::Clock;
/// use naq_core::service::{Health, Interfaces, Provide, Service, StopReport};
///
/// #[derive(Debug)]
/// struct Stopwatch { clock: Arc<dyn Clock>, started: Duration }
///
/// #[async_trait]
/// impl Service for Stopwatch {
///     async fn start(&self) -> Result<()> { Ok(()) }
///     async fn stop(&self, _within: Duration) -> Result<StopReport> { Ok(StopReport::default()) }
///     async fn health(&self) -> Health { Health::healthy() }
/// }
///
/// impl Provide for Stopwatch {
///     const NAME: &'static str = "stopwatch";
///     type Deps = (Arc<dyn Clock>,);
///     type Config = ();
///
///     fn interfaces() -> Interfaces<Self> { Interfaces::new() }
///
///     fn build((clock,): Self::Deps, (): ()) -> Result<Self> {
///         let started = clock.monotonic();
///         Ok(Self { clock, started })
///     }
/// }
/// ```
pub trait Provide: Service + Sized {
    /// The service's name, and that of its section in the configuration:
    /// small letters, digits and `_`. No two services of a manager share one.
    const NAME: &'static str;

    /// What it depends on: a tuple of `Arc<dyn T>`, `Option<Arc<dyn T>>` and `Vec<Arc<dyn T>>`.
    type Deps: Deps;

    /// What it is configured by. `()` for nothing; for a section of one's own,
    /// implement `TryFrom<&NaqConfig>` with
    /// [`ExtraConfig::section`](crate::config::ExtraConfig::section).
    type Config: for<'a> TryFrom<&'a NaqConfig, Error: Into<Error>> + Send + 'static;

    /// What it can be had as beside its concrete type.
    fn interfaces() -> Interfaces<Self>;

    /// Builds it: synchronous, without I/O, without starting anything.
    ///
    /// # Errors
    /// `Config` or `InvalidArgument` when the configuration can't work.
    fn build(deps: Self::Deps, config: Self::Config) -> Result<Self>;
}
