//! The client's options out of the configuration.

use std::sync::Arc;
use std::time::Duration;

use async_nats::ConnectOptions;
use naq_core::config::{ConnectPolicy, ConnectionConfig, ServerConfig};
use naq_core::connection::ConnectionState;
use naq_core::{Error, ErrorKind, Result};

use super::address::Addresses;
use super::auth::Credentials;
use super::backoff::Backoff;
use super::link::Link;

/// How many messages one subscription holds for its reader; what comes over it
/// is bounded by pulls and by messages in flight, both far below.
const SUBSCRIPTION_CAPACITY: usize = 65_536;

/// Longer than any process runs.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// The options of one connection; its events go to `link`.
///
/// # Errors
/// `Config` for credentials that would travel in the clear.
pub(crate) fn connect_options(
    config: &ConnectionConfig,
    server: &ServerConfig,
    addresses: &Addresses,
    link: &Arc<Link>,
) -> Result<ConnectOptions> {
    let tls = server.tls_required || server.tls_first || addresses.tls();
    let credentials = Credentials::choose(server, addresses.credentials.clone());
    let bound_to_this_machine =
        credentials.is_some() && !tls && !server.allow_plaintext_credentials;
    if bound_to_this_machine {
        refuse_plaintext(addresses)?;
    }

    let mut options = match credentials {
        Some(credentials) => ConnectOptions::with_auth_callback(move |nonce| {
            let credentials = credentials.clone();
            async move { credentials.prove(nonce).await.map_err(async_nats::AuthError::new) }
        }),
        None => ConnectOptions::new(),
    };
    let backoff = Backoff { min: config.reconnect_backoff_min, max: config.reconnect_backoff_max };
    let events = Arc::clone(link);
    let closing = Arc::clone(link);
    options = options
        .name(&config.name)
        .custom_inbox_prefix(&server.inbox_prefix)
        .ping_interval(config.ping_interval)
        .connection_timeout(share(config.connect_timeout, addresses.servers.len()))
        .request_timeout(Some(config.request_timeout))
        .subscription_capacity(SUBSCRIPTION_CAPACITY.max(config.max_in_flight))
        .reconnect_delay_callback(move |attempt| {
            // The client knows no way to give up a reconnect: let it sleep.
            if closing.state() == ConnectionState::Closed { FOREVER } else { backoff.wait(attempt) }
        })
        .event_callback(move |event| {
            events.on_event(&event);
            std::future::ready(())
        })
        .require_tls(tls);
    if bound_to_this_machine {
        // What the server tells of its cluster may lie on other machines.
        options = options.ignore_discovered_servers();
    }
    if server.tls_first {
        options = options.tls_first();
    }
    if let Some(path) = &server.tls_ca_file {
        options = options.add_root_certificates(path.clone());
    }
    if let (Some(certificate), Some(key)) = (&server.tls_cert_file, &server.tls_key_file) {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    if config.connect_policy == ConnectPolicy::Lazy {
        options = options.retry_on_initial_connect();
    }
    Ok(options)
}

/// One server's part of the connect timeout: a silent one must leave time for the next.
fn share(timeout: Duration, servers: usize) -> Duration {
    timeout / u32::try_from(servers).unwrap_or(u32::MAX).max(1)
}

fn refuse_plaintext(addresses: &Addresses) -> Result<()> {
    let Some(remote) = addresses.remote() else { return Ok(()) };
    Err(Error::new(
        ErrorKind::Config,
        "connect",
        "credentials would travel unencrypted to another machine",
    )
    .with("host", remote.host())
    .with_hint(
        "use tls://, set tls_required, or, in a network you trust, allow_plaintext_credentials",
    ))
}

#[cfg(test)]
mod tests {
    use naq_core::secret::Secret;

    use super::*;

    fn options_for(url: &str, server: &ServerConfig) -> Result<ConnectOptions> {
        let addresses = Addresses::parse(url).unwrap();
        let link = Link::new(addresses.shown.clone());
        connect_options(&ConnectionConfig::default(), server, &addresses, &link)
    }

    #[test]
    fn credentials_go_in_the_clear_only_to_this_machine_or_when_allowed() {
        let token = ServerConfig::default().with_token(Secret::from("t"));
        options_for("nats://127.0.0.1", &token).unwrap();
        options_for("tls://db.example", &token).unwrap();
        options_for("nats://db.example", &ServerConfig::default()).unwrap();
        options_for("nats://db.example", &token.clone().with_tls_required(true)).unwrap();
        options_for("nats://db.example", &token.clone().with_allow_plaintext_credentials(true))
            .unwrap();
        let error = options_for("nats://127.0.0.1,nats://db.example", &token).unwrap_err();
        assert_eq!((error.kind(), error.get("host")), (ErrorKind::Config, Some("db.example")));
        assert!(options_for("nats://u:p@db.example", &ServerConfig::default()).is_err());
    }
}
