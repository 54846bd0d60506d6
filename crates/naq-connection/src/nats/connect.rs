//! Making a connection, by the policy of the configuration.

use std::sync::Arc;

use async_nats::{ConnectError, ConnectErrorKind, ServerError};
use naq_core::config::{ConnectPolicy, ConnectionConfig, ServerConfig};
use naq_core::jetstream::ServerVersion;
use naq_core::{Error, ErrorKind, Result};

use super::address::Addresses;
use super::auth::Credentials;
use super::connection::NatsConnection;
use super::link::Link;
use super::options::connect_options;
use super::wire::Wire;
use crate::jetstream::Parts;

/// Connects to the servers of `url`.
///
/// With the policy `fail` it is connected on return; with `lazy` it may not be yet.
///
/// # Errors
/// `InvalidArgument` and `Config` for what can't be tried; with the policy
/// `fail` `Unavailable`, `Timeout`, `AuthFailed`, and `Unsupported` for a
/// server older than 2.10, all within the connect timeout.
pub(crate) async fn connect(
    config: &ConnectionConfig,
    server: &ServerConfig,
    url: &str,
    parts: Arc<Parts>,
) -> Result<Arc<NatsConnection>> {
    let addresses = Addresses::parse(url)?;
    let link = Link::new(addresses.shown.clone());
    let options = connect_options(config, server, &addresses, &link)?;
    if let Some(credentials) = Credentials::choose(server, addresses.credentials.clone()) {
        check(&credentials, &addresses.shown).await?;
    }
    let attempt = options.connect(addresses.servers.clone());
    let client = match tokio::time::timeout(config.connect_timeout, attempt).await {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return Err(refused(&addresses.shown, error)),
        Err(_) => return Err(too_late(&addresses.shown)),
    };
    link.attach(&client);
    if config.connect_policy == ConnectPolicy::Fail {
        check_version("connect", &client.server_info().version, &addresses.shown)?;
    }
    let wire = Wire::new(client, link, config.into()).await?;
    Ok(Arc::new(NatsConnection::new(wire, parts)))
}

/// Proves who we are to nobody: what can't be read or is no key is a mistake of the
/// configuration, and told before anybody is asked.
async fn check(credentials: &Credentials, url: &str) -> Result<()> {
    match credentials.prove(b"nobody's challenge".to_vec()).await {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(Error::new(ErrorKind::Config, "connect", "the credentials can't be used")
                .with("url", url)
                .with_hint("check the credentials file or key that the cause names")
                .with_source(error))
        }
    }
}

/// Refuses a server that is too old by its name.
pub(crate) fn check_version(
    operation: &'static str,
    version: &str,
    url: &str,
) -> Result<ServerVersion> {
    let unsupported = |message: String| {
        Error::new(ErrorKind::Unsupported, operation, message)
            .with("url", url)
            .with("version", version)
            .with_hint(format!("naq needs nats-server {} or later", ServerVersion::OLDEST))
    };
    let parsed: ServerVersion = version.parse().map_err(|error| {
        unsupported("the server's version can't be read".into()).with_source(error)
    })?;
    if parsed < ServerVersion::OLDEST {
        return Err(unsupported(format!("nats-server {parsed} is too old")));
    }
    Ok(parsed)
}

fn too_late(url: &str) -> Error {
    Error::new(ErrorKind::Timeout, "connect", "no server answered in time")
        .with("url", url)
        .with_hint("check the address and that nothing between drops packets")
}

fn refused(url: &str, error: ConnectError) -> Error {
    let (kind, message, hint) = match error.kind() {
        ConnectErrorKind::AuthorizationViolation => (
            ErrorKind::AuthFailed,
            "the server doesn't accept the credentials",
            "check user, password, token or credentials file",
        ),
        ConnectErrorKind::Authentication => (
            ErrorKind::AuthFailed,
            "the credentials can't be used",
            "check the credentials file or key that the cause names",
        ),
        ConnectErrorKind::Io if tells_of_credentials(&error) => (
            ErrorKind::AuthFailed,
            "the server doesn't accept the credentials",
            "the cause says why: they may have expired",
        ),
        ConnectErrorKind::Io if answers_without_tls(&error) => (
            ErrorKind::Unavailable,
            "the server doesn't speak TLS at this address",
            "name it by nats://, or set TLS up on the server",
        ),
        ConnectErrorKind::TimedOut => return too_late(url).with_source(error),
        ConnectErrorKind::Dns => {
            (ErrorKind::Unavailable, "the host's name has no address", "check the host's name")
        }
        ConnectErrorKind::Tls => (
            ErrorKind::Unavailable,
            "TLS can't be set up",
            "check tls_ca_file, tls_cert_file and tls_key_file",
        ),
        ConnectErrorKind::ServerParse => (
            ErrorKind::InvalidArgument,
            "the server told an address that is none",
            "check connect_urls on the server",
        ),
        ConnectErrorKind::Io | ConnectErrorKind::MaxReconnects => (
            ErrorKind::Unavailable,
            "no server can be reached",
            "start one with `nats-server -js`, or check the address",
        ),
    };
    Error::new(kind, "connect", message).with("url", url).with_hint(hint).with_source(error)
}

/// What answers a TLS greeting in the clear reads as a message that is none.
fn answers_without_tls(error: &ConnectError) -> bool {
    error.to_string().contains("InvalidContentType")
}

/// An expired or revoked JWT comes as an error text of the server's.
fn tells_of_credentials(error: &ConnectError) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(ServerError::Other(text)) = cause.downcast_ref() {
            let text = text.to_ascii_lowercase();
            return text.contains("authentication") || text.contains("authorization");
        }
        source = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_refused_by_their_version() {
        check_version("connect", "2.10.0", "nats://h").unwrap();
        check_version("connect", "2.15.1-beta.2", "nats://h").unwrap();
        for version in ["2.9.25", "1.4.0", ""] {
            let error = check_version("connect", version, "nats://h").unwrap_err();
            assert_eq!(error.get("version"), Some(version));
            assert!(error.is(ErrorKind::Unsupported));
        }
    }

    #[test]
    fn failures_to_connect_keep_their_kind() {
        let kind = |error| refused("nats://h", error).kind();
        let expired = ServerError::Other("User Authentication Expired".into());
        assert_eq!(
            kind(ConnectError::with_source(ConnectErrorKind::Io, expired)),
            ErrorKind::AuthFailed
        );
        assert_eq!(
            kind(ConnectError::new(ConnectErrorKind::Authentication)),
            ErrorKind::AuthFailed
        );
        assert_eq!(kind(ConnectError::new(ConnectErrorKind::TimedOut)), ErrorKind::Timeout);
        assert_eq!(
            kind(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into()),
            ErrorKind::Unavailable
        );
    }
}
