//! The ports to connections: who makes them, who hands them out, what one tells.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::jetstream::{JetStream, ServerInfo};
use crate::{BoxStream, Error, ErrorKind, Result};

/// Which server is meant: the default one, one named in the configuration, or a URL.
///
/// ```
/// use naq_core::connection::ServerRef;
///
/// assert_eq!(ServerRef::from("billing"), ServerRef::Named("billing".into()));
/// assert_eq!(ServerRef::from("nats://127.0.0.1"), ServerRef::Url("nats://127.0.0.1".into()));
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub enum ServerRef {
    /// The server of the configuration's `url`.
    #[default]
    Default,
    /// A server of the configuration's `servers` table.
    Named(String),
    /// A server by its URL; may hold credentials, which `Debug` and `Display` hide.
    Url(String),
}

impl From<&str> for ServerRef {
    /// A text with `://` is a URL, an empty one the default, any other a name.
    fn from(text: &str) -> Self {
        if text.is_empty() {
            Self::Default
        } else if text.contains("://") {
            Self::Url(text.to_owned())
        } else {
            Self::Named(text.to_owned())
        }
    }
}

impl fmt::Display for ServerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Named(name) => f.write_str(name),
            Self::Url(url) => f.write_str(&redact_url(url)),
        }
    }
}

impl Debug for ServerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerRef({self})")
    }
}

/// A URL (or several, joined by commas) without user, password or token.
///
/// ```
/// assert_eq!(naq_core::connection::redact_url("nats://u:p@host:4222"), "nats://host:4222");
/// ```
#[must_use]
pub fn redact_url(url: &str) -> String {
    let one = |url: &str| match url.split_once("://") {
        Some((scheme, rest)) => {
            // Up to the last `@`, before the path is cut off: a password may hold a raw `/`.
            let rest = rest.rsplit('@').next().unwrap_or_default();
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            format!("{scheme}://{}", &rest[..end])
        }
        None => url.rsplit('@').next().unwrap_or_default().to_owned(),
    };
    url.split(',').map(|part| one(part.trim())).collect::<Vec<_>>().join(",")
}

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Never connected yet (a lazy connection whose server hasn't answered).
    Pending,
    /// Connected.
    Connected,
    /// Lost; it is being made anew.
    Disconnected,
    /// The server doesn't accept the credentials (any more); tries go on.
    AuthFailed,
    /// No new work is taken; what is under way is finished.
    Draining,
    /// Closed for good.
    Closed,
}

impl fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::AuthFailed => "authentication failed",
            Self::Draining => "draining",
            Self::Closed => "closed",
        })
    }
}

/// What a health check found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthCheck {
    /// How long a question took there and back.
    pub round_trip: Duration,
    /// The server that answered.
    pub server: ServerInfo,
}

impl HealthCheck {
    /// A round trip to a server.
    #[must_use]
    pub const fn new(round_trip: Duration, server: ServerInfo) -> Self {
        Self { round_trip, server }
    }
}

/// One connection.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Connection: Debug + Send + Sync + 'static {
    /// The server's URL without credentials.
    fn url(&self) -> String;

    /// How it stands now.
    fn state(&self) -> ConnectionState;

    /// How it stands, now and at each change; ends when it is closed.
    ///
    /// A reader that is slow sees the newest state, not each one between.
    fn state_changes(&self) -> BoxStream<'static, ConnectionState>;

    /// What JetStream can do on it. The same one each time.
    fn jetstream(&self) -> Arc<dyn JetStream>;

    /// Asks the server and waits for its answer.
    ///
    /// # Errors
    /// `Unavailable`, `AuthFailed`, `Closed`; `Timeout` after `within`.
    async fn round_trip(&self, within: Duration) -> Result<Duration>;

    /// Takes no more work, awaits the acknowledgements of what was sent, then closes.
    ///
    /// After `within` it is closed whatever is still open. Closing what is
    /// closed does nothing.
    ///
    /// # Errors
    /// `OutcomeUnknown` where acknowledgements were still missing at the deadline.
    async fn close(&self, within: Duration) -> Result<()>;
}

forward_port! {
    Connection {
        plain {
            url() -> String;
            state() -> ConnectionState;
            state_changes() -> BoxStream<'static, ConnectionState>;
            jetstream() -> Arc<dyn JetStream>;
        }
        boxed {
            round_trip[](within: Duration) -> Result<Duration>;
            close[](within: Duration) -> Result<()>;
        }
    }
}

/// Makes connections for the URL schemes that it names.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Connector: Debug + Send + Sync + 'static {
    /// The schemes, such as `memory`.
    fn schemes(&self) -> Vec<String>;

    /// Connects to a URL of one of its schemes.
    ///
    /// # Errors
    /// `InvalidArgument` for a URL that it can't read, `Unavailable` where nobody answers.
    async fn connect(&self, url: &str) -> Result<Arc<dyn Connection>>;
}

forward_port! {
    Connector {
        plain { schemes() -> Vec<String>; }
        boxed { connect['a](url: &'a str) -> Result<Arc<dyn Connection>>; }
    }
}

/// Hands out connections, each made once however many ask at the same time.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ConnectionProvider: Debug + Send + Sync + 'static {
    /// The connection to a server, made if it isn't there yet.
    ///
    /// # Errors
    /// `InvalidArgument` for an unknown name or scheme, `Unavailable`,
    /// `Timeout` or `AuthFailed` where connecting failed (the next call tries
    /// anew), `Unsupported` for a server that is too old, `Closed` after the stop.
    async fn get_connection(&self, server: &ServerRef) -> Result<Arc<dyn Connection>>;

    /// JetStream on the connection to a server.
    ///
    /// # Errors
    /// Those of [`get_connection`](Self::get_connection).
    async fn get_jetstream(&self, server: &ServerRef) -> Result<Arc<dyn JetStream>>;

    /// A real round trip to a server, with the configuration's deadline.
    ///
    /// # Errors
    /// Those of [`get_connection`](Self::get_connection) and [`Connection::round_trip`].
    async fn health_check(&self, server: &ServerRef) -> Result<HealthCheck>;

    /// Drains and closes the connection to a server; the next call for it connects anew.
    ///
    /// Answers whether there was one.
    ///
    /// # Errors
    /// Those of [`Connection::close`].
    async fn close_connection(&self, server: &ServerRef) -> Result<bool>;
}

forward_port! {
    ConnectionProvider {
        plain {}
        boxed {
            get_connection['a](server: &'a ServerRef) -> Result<Arc<dyn Connection>>;
            get_jetstream['a](server: &'a ServerRef) -> Result<Arc<dyn JetStream>>;
            health_check['a](server: &'a ServerRef) -> Result<HealthCheck>;
            close_connection['a](server: &'a ServerRef) -> Result<bool>;
        }
    }
}

/// A provider for a JetStream of one's own: a mock, naq-memory, or one made elsewhere.
///
/// It answers for the default server alone and owns nothing: closing is up to
/// whoever made the JetStream.
#[derive(Debug, Clone)]
pub struct SingleJetStream(Arc<dyn JetStream>);

impl SingleJetStream {
    /// Hands out this JetStream.
    #[must_use]
    pub fn new(jetstream: Arc<dyn JetStream>) -> Self {
        Self(jetstream)
    }

    /// The same as a trait object, as services take it.
    #[must_use]
    pub fn provider(jetstream: Arc<dyn JetStream>) -> Arc<dyn ConnectionProvider> {
        Arc::new(Self(jetstream))
    }
}

#[async_trait]
impl ConnectionProvider for SingleJetStream {
    async fn get_connection(&self, _server: &ServerRef) -> Result<Arc<dyn Connection>> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "get_connection",
            "a single JetStream has no connection handle",
        ))
    }

    async fn get_jetstream(&self, server: &ServerRef) -> Result<Arc<dyn JetStream>> {
        match server {
            ServerRef::Default => Ok(Arc::clone(&self.0)),
            other => Err(Error::invalid(
                "get_jetstream",
                "server",
                "must be the default one: this provider has a single JetStream",
            )
            .with("server", other.to_string())),
        }
    }

    async fn health_check(&self, _server: &ServerRef) -> Result<HealthCheck> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "health_check",
            "a single JetStream has no connection to ask on",
        ))
    }

    async fn close_connection(&self, _server: &ServerRef) -> Result<bool> {
        Ok(false)
    }
}

/// Conveniences for every [`ConnectionProvider`].
#[async_trait]
pub trait ConnectionProviderExt: ConnectionProvider {
    /// JetStream on the default server.
    async fn default_jetstream(&self) -> Result<Arc<dyn JetStream>> {
        self.get_jetstream(&ServerRef::Default).await
    }

    /// The connection to the default server.
    async fn default_connection(&self) -> Result<Arc<dyn Connection>> {
        self.get_connection(&ServerRef::Default).await
    }
}

impl<P: ConnectionProvider + ?Sized> ConnectionProviderExt for P {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_their_secrets() {
        for (url, want) in [
            ("nats://user:p@ss@host:4222", "nats://host:4222"),
            ("nats://token@a,tls://u:p@b/x?y", "nats://a,tls://b"),
            ("nats://u:p@ss/w@host", "nats://host"),
            ("user:pass@host", "host"),
            ("memory://name", "memory://name"),
        ] {
            assert_eq!(redact_url(url), want);
            assert!(!format!("{:?}", ServerRef::Url(url.into())).contains("p@ss"));
        }
    }
}
