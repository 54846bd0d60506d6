//! The configuration of the standard services, and room for others' sections.
//!
//! [`NaqConfig`] is plain structs, a section per service. It comes from code,
//! from a TOML text, from `NAQ_…` variables, or from several of these, the
//! later ones changing single keys of the earlier:
//!
//! ```
//! use naq_core::config::NaqConfig;
//!
//! let config = NaqConfig::from_toml_str(
//!     r#"
//!     [connection]
//!     url = "nats://queue.example:4222"
//!     creds_file = "/etc/naq/worker.creds"
//!
//!     [events]
//!     max_age = "30d"
//!     buffer_max_bytes = "16MiB"
//!     "#,
//! )?
//! .with_vars([("NAQ_EVENTS_MAX_AGE", "7d")])?;
//! assert_eq!(config.events.max_age.map(|age| age.as_secs()), Some(7 * 86_400));
//! # Ok::<(), naq_core::Error>(())
//! ```
//!
//! Nothing here reads a file or the environment; `naq-services` does.
//! [`NaqConfig::reference`] lists every key.

mod connection;
mod duration;
mod events;
mod extra;
mod extra_de;
mod field;
mod kv;
mod overflow_by_type;
mod problem;
mod reference;
mod retention;
mod section;
mod server_url;
mod setting;
mod size;
mod sources;
mod spool;
mod streams;
mod variables;

pub use connection::{ConnectPolicy, ConnectionConfig, ServerConfig};
pub use duration::{format_duration, parse_duration};
pub use events::{EventsConfig, Guarantee, KeeperMode, OverflowPolicy, StreamMode, SubjectLayout};
pub use extra::ExtraConfig;
pub use kv::KvStoresConfig;
pub use problem::ConfigProblem;
pub use reference::KeyDoc;
pub use retention::RetentionAges;
pub use server_url::ServerUrl;
pub use size::Size;
pub use spool::{SpoolConfig, SpoolFsync, SpoolMode};
pub use streams::StreamsConfig;
pub use variables::COMMAND_VARIABLES;

use crate::{Error, Result};
use section::Section;

/// The configuration of every service, each with its defaults where nothing is said.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct NaqConfig {
    /// Where the servers are and how to reach them.
    pub connection: ConnectionConfig,
    /// What the stream service may do.
    pub streams: StreamsConfig,
    /// How key-value buckets are worked with.
    pub kv_stores: KvStoresConfig,
    /// The event stream, its buffer, and what questions may cost.
    pub events: EventsConfig,
    /// Sections of services that are not naq's own.
    pub extra: ExtraConfig,
}

impl NaqConfig {
    /// The names of the standard sections.
    pub const SECTIONS: [&'static str; 4] = ["connection", "streams", "kv_stores", "events"];

    /// The defaults with this server's URL.
    #[must_use]
    pub fn for_url(url: impl Into<ServerUrl>) -> Self {
        let mut config = Self::default();
        config.connection.server.url = url.into();
        config
    }

    /// The same with another section `connection`.
    #[must_use]
    pub fn with_connection(mut self, section: ConnectionConfig) -> Self {
        self.connection = section;
        self
    }

    /// The same with another section `streams`.
    #[must_use]
    pub fn with_streams(mut self, section: StreamsConfig) -> Self {
        self.streams = section;
        self
    }

    /// The same with another section `kv_stores`.
    #[must_use]
    pub fn with_kv_stores(mut self, section: KvStoresConfig) -> Self {
        self.kv_stores = section;
        self
    }

    /// The same with another section `events`.
    #[must_use]
    pub fn with_events(mut self, section: EventsConfig) -> Self {
        self.events = section;
        self
    }

    /// Everything in the standard sections that is out of range or contradicts itself.
    #[must_use]
    pub fn problems(&self) -> Vec<ConfigProblem> {
        fn of<S: Standard>(config: &NaqConfig) -> impl Iterator<Item = ConfigProblem> {
            S::of(config).problems().into_iter().map(|problem| problem.inside(S::NAME))
        }
        of::<ConnectionConfig>(self)
            .chain(of::<StreamsConfig>(self))
            .chain(of::<KvStoresConfig>(self))
            .chain(of::<EventsConfig>(self))
            .collect()
    }

    /// [`problems`](NaqConfig::problems) as one error.
    ///
    /// # Errors
    /// `Config`, naming every key and the rule it breaks.
    pub fn validate(&self) -> Result<()> {
        ConfigProblem::into_result(&self.problems(), "config")
    }

    fn checked_section<S: Standard>(&self) -> Result<S> {
        let section = S::of(self);
        let problems: Vec<_> =
            section.problems().into_iter().map(|problem| problem.inside(S::NAME)).collect();
        ConfigProblem::into_result(&problems, "config").map(|()| section.clone())
    }
}

/// A section that [`NaqConfig`] has as a field.
trait Standard: Section + Clone {
    const NAME: &'static str;
    fn of(config: &NaqConfig) -> &Self;
    fn of_mut(config: &mut NaqConfig) -> &mut Self;
}

macro_rules! standard {
    ($($field:ident: $section:ty),+) => {$(
        impl Standard for $section {
            const NAME: &'static str = stringify!($field);

            fn of(config: &NaqConfig) -> &Self {
                &config.$field
            }

            fn of_mut(config: &mut NaqConfig) -> &mut Self {
                &mut config.$field
            }
        }

        impl TryFrom<&NaqConfig> for $section {
            type Error = Error;

            /// The section, once it is valid.
            fn try_from(config: &NaqConfig) -> Result<Self> {
                config.checked_section()
            }
        }
    )+};
}

standard! {
    connection: ConnectionConfig,
    streams: StreamsConfig,
    kv_stores: KvStoresConfig,
    events: EventsConfig
}

/// For services that need no configuration.
impl From<&NaqConfig> for () {
    fn from(_: &NaqConfig) -> Self {}
}

/// A section read by an infallible `From<&NaqConfig>` cannot fail.
impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        NaqConfig::default().validate().unwrap();
    }

    #[test]
    fn a_section_set_in_code_is_checked_when_a_service_asks_for_it() {
        let config = NaqConfig::default()
            .with_events(EventsConfig::default().with_buffer_max_events(0_usize));
        let error = EventsConfig::try_from(&config).unwrap_err();
        assert_eq!(error.get("key"), Some("events.buffer_max_events"));
        assert!(StreamsConfig::try_from(&config).is_ok());
    }
}
