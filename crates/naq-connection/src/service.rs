//! Connections to several servers, pooled, and their life.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{FutureExt, join_all};
use naq_core::config::{ConnectionConfig, ServerConfig};
use naq_core::connection::{
    Connection, ConnectionProvider, ConnectionState, Connector, HealthCheck, ServerRef,
};
use naq_core::jetstream::JetStream;
use naq_core::service::{Health, Interfaces, Provide, Service, StopReport};
use naq_core::{Error, ErrorKind, Result};

use crate::connector::NatsConnector;
use crate::pool::Pool;

/// Hands out connections: to the default server, to named ones, to URLs.
///
/// Each server is connected once, however many ask at the same time; a failed
/// attempt is told to all who waited for it and not kept. `nats` and `tls` are
/// its own; any other scheme goes to the connector that names it.
///
/// It can be used without being started: starting connects to the default
/// server, so that with the policy `fail` a wrong address shows at once.
///
/// ```
/// use naq_connection::ConnectionService;
/// use naq_core::config::ConnectionConfig;
/// use naq_core::connection::{ConnectionProvider, ServerRef};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let connections = ConnectionService::new(Vec::new(), ConnectionConfig::default());
/// let error = connections.get_jetstream(&ServerRef::from("ftp://host")).await.unwrap_err();
/// assert_eq!(error.get("scheme"), Some("ftp"));
/// # });
/// ```
#[derive(Debug)]
pub struct ConnectionService {
    config: ConnectionConfig,
    nats: NatsConnector,
    connectors: Vec<Arc<dyn Connector>>,
    pool: Pool<ServerRef>,
}

impl ConnectionService {
    /// A service with connectors for schemes beside `nats` and `tls`. Connects nowhere yet.
    #[must_use]
    pub fn new(connectors: Vec<Arc<dyn Connector>>, config: ConnectionConfig) -> Self {
        Self { nats: NatsConnector::new(config.clone()), config, connectors, pool: Pool::new() }
    }

    /// The server that is meant, and the key under which it is pooled: a URL of
    /// a configured server is that server.
    fn resolve(&self, server: &ServerRef) -> Result<(ServerRef, ServerConfig)> {
        match server {
            ServerRef::Default => Ok((ServerRef::Default, self.config.server.clone())),
            ServerRef::Named(name) => match self.config.servers.get(name) {
                Some(config) => Ok((server.clone(), config.clone())),
                None => Err(self.unknown_name(name)),
            },
            ServerRef::Url(url) => {
                if self.config.server.url.expose() == url {
                    return Ok((ServerRef::Default, self.config.server.clone()));
                }
                let named = self.config.servers.iter().find(|(_, s)| s.url.expose() == url);
                Ok(match named {
                    Some((name, config)) => (ServerRef::Named(name.clone()), config.clone()),
                    // Nobody's credentials but those in the URL go to a server named by it alone.
                    None => (server.clone(), ServerConfig::default().with_url(url.as_str())),
                })
            }
        }
    }

    fn unknown_name(&self, name: &str) -> Error {
        let known: Vec<&str> = self.config.servers.keys().map(String::as_str).collect();
        Error::invalid(
            "get_connection",
            "server",
            "must be a server of the configuration, or a URL",
        )
        .with("server", name)
        .with_hint(if known.is_empty() {
            "the configuration names no servers: add [connection.servers.NAME]".to_owned()
        } else {
            format!("the configuration names: {}", known.join(", "))
        })
    }

    /// The connector of a URL's scheme; `None` for our own.
    fn connector(&self, url: &str) -> Result<Option<Arc<dyn Connector>>> {
        let scheme = url.split_once("://").map_or("nats", |(scheme, _)| scheme);
        let named = |connector: &&Arc<dyn Connector>| {
            connector.schemes().iter().any(|known| known == scheme)
        };
        if self.nats.schemes().iter().any(|known| known == scheme) {
            return Ok(None);
        }
        if let Some(connector) = self.connectors.iter().find(named) {
            return Ok(Some(Arc::clone(connector)));
        }
        let mut known = self.nats.schemes();
        known.extend(self.connectors.iter().flat_map(|connector| connector.schemes()));
        Err(Error::invalid("get_connection", "url", "must have a scheme that somebody connects")
            .with("scheme", scheme)
            .with_hint(format!("known schemes: {}", known.join(", "))))
    }

    async fn close_all(&self, within: Duration) -> (StopReport, Option<Error>) {
        let closing = self.pool.close().into_iter().map(|connection| async move {
            let closed = connection.close(within).await;
            (connection.url(), closed)
        });
        let mut report = StopReport::default();
        let mut first = None;
        let closed = join_all(closing).await;
        // Not before: a stop that was given up finds them here when it is tried again.
        self.pool.clear();
        for (url, closed) in closed {
            let Err(error) = closed else { continue };
            tracing::warn!(%url, %error, "a connection didn't close in order");
            if error.is(ErrorKind::OutcomeUnknown) {
                let missing = error.get("missing").and_then(|text| text.parse().ok());
                report += StopReport::default().with_pending(missing.unwrap_or(1));
            } else {
                first = first.or(Some(error));
            }
        }
        (report, first)
    }
}

#[async_trait]
impl ConnectionProvider for ConnectionService {
    async fn get_connection(&self, server: &ServerRef) -> Result<Arc<dyn Connection>> {
        let (key, config) = self.resolve(server)?;
        let connector = self.connector(config.url.expose())?;
        let nats = self.nats.clone();
        let make = move || {
            async move {
                match connector {
                    Some(connector) => connector.connect(config.url.expose()).await,
                    None => nats.connect_to(&config).await,
                }
            }
            .boxed()
        };
        self.pool.get(key, make).await
    }

    async fn get_jetstream(&self, server: &ServerRef) -> Result<Arc<dyn JetStream>> {
        Ok(self.get_connection(server).await?.jetstream())
    }

    async fn health_check(&self, server: &ServerRef) -> Result<HealthCheck> {
        let connection = self.get_connection(server).await?;
        let round_trip = connection.round_trip(self.config.request_timeout).await?;
        Ok(HealthCheck::new(round_trip, connection.jetstream().server_info()))
    }

    async fn close_connection(&self, server: &ServerRef) -> Result<bool> {
        let (key, _) = self.resolve(server)?;
        match self.pool.take(&key) {
            None => Ok(false),
            Some(connection) => connection.close(self.config.request_timeout).await.map(|()| true),
        }
    }
}

#[async_trait]
impl Service for ConnectionService {
    /// Connects to the default server; with the policy `lazy` it doesn't wait for it.
    async fn start(&self) -> Result<()> {
        let connection = self.get_connection(&ServerRef::Default).await?;
        tracing::info!(url = %connection.url(), state = %connection.state(),
            policy = ?self.config.connect_policy, "connection service started");
        Ok(())
    }

    /// Drains all connections at the same time, within `within`.
    ///
    /// Messages whose acknowledgement is still missing then are `pending`.
    async fn stop(&self, within: Duration) -> Result<StopReport> {
        let (report, failure) = self.close_all(within).await;
        match failure {
            Some(error) => Err(error.in_operation("stop")),
            None => Ok(report),
        }
    }

    /// Asks the default server, and looks at the other connections.
    async fn health(&self) -> Health {
        let check = match self.health_check(&ServerRef::Default).await {
            Ok(check) => check,
            Err(error) => return Health::unhealthy(error.to_string()),
        };
        let broken: Vec<String> = self
            .pool
            .ready()
            .iter()
            .filter(|connection| connection.state() != ConnectionState::Connected)
            .map(|connection| format!("{}: {}", connection.url(), connection.state()))
            .collect();
        let health = if broken.is_empty() {
            Health::healthy().with_detail(format!("nats-server {}", check.server.version))
        } else {
            Health::degraded(broken.join("; "))
        };
        health.with_latency(check.round_trip)
    }
}

impl Provide for ConnectionService {
    const NAME: &'static str = "connection";
    type Deps = (Vec<Arc<dyn Connector>>,);
    type Config = ConnectionConfig;

    fn interfaces() -> Interfaces<Self> {
        Interfaces::new().with::<dyn ConnectionProvider>(|service| service)
    }

    fn build((connectors,): Self::Deps, config: ConnectionConfig) -> Result<Self> {
        let service = Self::new(connectors, config);
        // A scheme that nobody connects is a mistake of the configuration, known before the start.
        let servers =
            std::iter::once(&service.config.server).chain(service.config.servers.values());
        for server in servers {
            service.connector(server.url.expose())?;
        }
        Ok(service)
    }
}
