//! The section `connection`: where the servers are and how to reach them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::ConfigProblem;
use super::ServerUrl;
use super::section::section;
use super::setting::choice;
use crate::secret::Secret;

choice! {
    /// What starting without a reachable server does.
    pub enum ConnectPolicy = "`fail` or `lazy`" {
        /// Starting fails once the connect timeout has passed.
        #[default]
        Fail = "fail",
        /// Starting succeeds, and the connection is made in the background and on demand.
        Lazy = "lazy",
    }
}

section! {
    /// The section `connection`: the default server, named ones, and what holds for all.
    ///
    /// The keys of the default server ([`ServerConfig`]) stand in the section
    /// itself, those of a named one in `[connection.servers.NAME]`.
    pub struct ConnectionConfig {
        /// The name that the server shows for these connections.
        name (with_name): String = "naq".to_owned();
        /// Whether starting needs a reachable server.
        connect_policy (with_connect_policy): ConnectPolicy = ConnectPolicy::Fail;
        /// How long a first connection may take, from name lookup to the server's greeting.
        connect_timeout (with_connect_timeout): Duration = Duration::from_secs(5),
            Duration::from_millis(10)..=Duration::from_secs(3_600);
        /// How long the server may take to answer one question.
        request_timeout (with_request_timeout): Duration = Duration::from_secs(10),
            Duration::from_millis(10)..=Duration::from_secs(3_600);
        /// How long the server may take to acknowledge one published message.
        ack_timeout (with_ack_timeout): Duration = Duration::from_secs(5),
            Duration::from_millis(10)..=Duration::from_secs(3_600);
        /// How many published messages may wait for their acknowledgement at a time: single ones of a connection together, and those of each stream that is published.
        max_in_flight (with_max_in_flight): usize = 4_096, 1..=1_000_000;
        /// How often a connection is probed; two unanswered probes break it.
        ping_interval (with_ping_interval): Duration = Duration::from_secs(10),
            Duration::from_millis(100)..=Duration::from_secs(600);
        /// The shortest wait before a reconnect; it doubles with each failure, with jitter.
        reconnect_backoff_min (with_reconnect_backoff_min): Duration = Duration::from_millis(100),
            Duration::from_millis(1)..=Duration::from_secs(600);
        /// The longest wait before a reconnect.
        reconnect_backoff_max (with_reconnect_backoff_max): Duration = Duration::from_secs(5),
            Duration::from_millis(1)..=Duration::from_secs(600);
        /// Further servers by name, each with the keys of the default one.
        servers (with_servers): BTreeMap<String, ServerConfig> = BTreeMap::new();
        ..server (with_server): ServerConfig = "The default server.";
    }
    check = backoff_is_a_range
}

section! {
    /// One server or cluster: its URL, who we are to it, and how the connection is secured.
    ///
    /// At most one way to authenticate: a credentials file, an NKey seed (with
    /// a JWT or without), user and password, or a token. Where a secret can
    /// come from a file, the file is read at each connect, so that a rotated
    /// secret needs no restart.
    pub struct ServerConfig {
        /// Where the server is: `nats://host:4222`, `tls://host:4222`, or `memory://` for one in this process.
        url (with_url): ServerUrl = ServerUrl::from("nats://127.0.0.1:4222");
        /// A credentials file as `nsc` writes it: a JWT and its NKey seed.
        creds_file (with_creds_file): Option<PathBuf> = None;
        /// An NKey seed.
        nkey_seed (with_nkey_seed): Option<Secret> = None;
        /// A file that holds an NKey seed.
        nkey_seed_file (with_nkey_seed_file): Option<PathBuf> = None;
        /// A user JWT, to go with an NKey seed.
        jwt (with_jwt): Option<Secret> = None;
        /// A file that holds a user JWT, to go with an NKey seed.
        jwt_file (with_jwt_file): Option<PathBuf> = None;
        /// The user, to go with a password.
        user (with_user): Option<String> = None;
        /// The user's password.
        password (with_password): Option<Secret> = None;
        /// A file that holds the user's password.
        password_file (with_password_file): Option<PathBuf> = None;
        /// A token.
        token (with_token): Option<Secret> = None;
        /// A file that holds a token.
        token_file (with_token_file): Option<PathBuf> = None;
        /// Whether the connection must be encrypted; always so for `tls://`.
        tls_required (with_tls_required): bool = false;
        /// Whether TLS comes before the server's greeting, as servers with `handshake_first` want it.
        tls_first (with_tls_first): bool = false;
        /// A file of PEM certificates to trust beside the system's.
        tls_ca_file (with_tls_ca_file): Option<PathBuf> = None;
        /// The client's certificate chain, PEM.
        tls_cert_file (with_tls_cert_file): Option<PathBuf> = None;
        /// The client certificate's private key, PEM.
        tls_key_file (with_tls_key_file): Option<PathBuf> = None;
        /// Whether credentials may travel unencrypted to a host that is not this machine.
        allow_plaintext_credentials (with_allow_plaintext_credentials): bool = false;
        /// The prefix of reply subjects, where the user's rights want another than the usual.
        inbox_prefix (with_inbox_prefix): String = "_INBOX".to_owned();
    }
    check = credentials_do_not_contradict
}

fn backoff_is_a_range(config: &ConnectionConfig) -> Option<ConfigProblem> {
    (config.reconnect_backoff_min > config.reconnect_backoff_max).then(|| {
        ConfigProblem::new("reconnect_backoff_min", "must not be above `reconnect_backoff_max`")
    })
}

fn credentials_do_not_contradict(config: &ServerConfig) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    let mut broken = |broken: bool, key: &str, rule: &str| {
        if broken {
            problems.push(ConfigProblem::new(key, rule));
        }
    };

    let seed = config.nkey_seed.is_some() || config.nkey_seed_file.is_some();
    let jwt = config.jwt.is_some() || config.jwt_file.is_some();
    let password = config.password.is_some() || config.password_file.is_some();
    let token = config.token.is_some() || config.token_file.is_some();

    let ways = [
        ("creds_file", config.creds_file.is_some()),
        ("nkey_seed", seed),
        ("user", config.user.is_some()),
        ("token", token),
    ];
    let chosen: Vec<&str> = ways.iter().filter(|(_, set)| *set).map(|(key, _)| *key).collect();
    if let [first, .., last] = chosen[..] {
        broken(true, first, &format!("must not be set together with `{last}`: choose one"));
    }

    let twice = "must not be set together with its file: choose one";
    broken(config.nkey_seed.is_some() && config.nkey_seed_file.is_some(), "nkey_seed", twice);
    broken(config.jwt.is_some() && config.jwt_file.is_some(), "jwt", twice);
    broken(config.password.is_some() && config.password_file.is_some(), "password", twice);
    broken(config.token.is_some() && config.token_file.is_some(), "token", twice);

    broken(jwt && !seed, "jwt", "needs `nkey_seed` or `nkey_seed_file` to prove who holds it");
    broken(config.user.is_some() && !password, "user", "needs `password` or `password_file`");
    broken(password && config.user.is_none(), "password", "needs `user`");
    let pair = (&config.tls_cert_file, &config.tls_key_file);
    broken(matches!(pair, (Some(_), None)), "tls_cert_file", "needs `tls_key_file`");
    broken(matches!(pair, (None, Some(_))), "tls_key_file", "needs `tls_cert_file`");

    let prefix = &config.inbox_prefix;
    let wild = prefix.is_empty()
        || prefix.split('.').any(str::is_empty)
        || prefix.contains(|c: char| c == '*' || c == '>' || c.is_whitespace() || c.is_control());
    broken(wild, "inbox_prefix", "must be a subject without wildcards");
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section::Section;

    fn broken_keys(config: &ServerConfig) -> Vec<String> {
        config.problems().into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn two_ways_to_authenticate_are_one_too_many() {
        let config = ServerConfig::default()
            .with_token(Secret::from("t"))
            .with_user("ann".to_owned())
            .with_password(Secret::from("p"));
        assert_eq!(broken_keys(&config), ["user"]);
    }

    #[test]
    fn half_a_pair_is_named() {
        let config = ServerConfig::default()
            .with_user("ann".to_owned())
            .with_tls_cert_file(PathBuf::from("c.pem"));
        assert_eq!(broken_keys(&config), ["user", "tls_cert_file"]);
    }

    #[test]
    fn a_password_shows_in_no_debug_form() {
        let server = ServerConfig::default()
            .with_url("nats://ann:hunter2@h")
            .with_password(Secret::from("hunter2"));
        let config = ConnectionConfig::default().with_server(server);
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
