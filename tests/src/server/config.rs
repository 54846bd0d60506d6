//! What a test can ask of its server.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::binary::Version;
use super::cluster::name;
use super::process::NatsServer;
use crate::accounts::Operator;
use crate::certs::Certificates;

/// How a server is to be; made by [`NatsServer::builder`].
#[derive(Debug, Clone)]
pub struct ServerBuilder {
    pub(super) version: Version,
    jetstream: bool,
    max_memory: u64,
    max_file: u64,
    sync_always: bool,
    batch_timeout: Option<Duration>,
    max_payload: Option<u64>,
    users: Vec<User>,
    token: Option<String>,
    tls: Option<Tls>,
    member: Option<Member>,
    extra: String,
}

/// One server of a cluster: what it is called, and on which ports the others listen.
#[derive(Debug, Clone)]
struct Member {
    name: String,
    port: u16,
    routes: Vec<u16>,
}

#[derive(Debug, Clone)]
struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    authority: PathBuf,
    verify_clients: bool,
}

/// Somebody who may log in, and what they may do (everything, until the first
/// `may_` or `may_not_` of a kind).
#[derive(Debug, Clone)]
pub struct User {
    identity: Identity,
    publish: Rights,
    subscribe: Rights,
}

#[derive(Debug, Clone)]
enum Identity {
    Password { name: String, password: String },
    NKey { public: String },
}

#[derive(Debug, Clone, Default)]
struct Rights {
    allow: Vec<String>,
    deny: Vec<String>,
}

impl User {
    /// A user with a password.
    pub fn new(name: &str, password: &str) -> Self {
        Self::of(Identity::Password { name: name.to_owned(), password: password.to_owned() })
    }

    /// A user with an NKey; `public` starts with `U`.
    pub fn nkey(public: &str) -> Self {
        Self::of(Identity::NKey { public: public.to_owned() })
    }

    fn of(identity: Identity) -> Self {
        Self { identity, publish: Rights::default(), subscribe: Rights::default() }
    }

    /// May publish to these subjects, and, from now on, to no others.
    #[must_use]
    pub fn may_publish<const N: usize>(mut self, subjects: [&str; N]) -> Self {
        self.publish.allow.extend(subjects.map(str::to_owned));
        self
    }

    /// May not publish to these subjects.
    #[must_use]
    pub fn may_not_publish<const N: usize>(mut self, subjects: [&str; N]) -> Self {
        self.publish.deny.extend(subjects.map(str::to_owned));
        self
    }

    /// May subscribe to these subjects, and, from now on, to no others.
    #[must_use]
    pub fn may_subscribe<const N: usize>(mut self, subjects: [&str; N]) -> Self {
        self.subscribe.allow.extend(subjects.map(str::to_owned));
        self
    }

    /// May not subscribe to these subjects.
    #[must_use]
    pub fn may_not_subscribe<const N: usize>(mut self, subjects: [&str; N]) -> Self {
        self.subscribe.deny.extend(subjects.map(str::to_owned));
        self
    }

    fn to_value(&self) -> Value {
        let mut user = match &self.identity {
            Identity::Password { name, password } => {
                serde_json::json!({ "user": name, "password": password })
            }
            Identity::NKey { public } => serde_json::json!({ "nkey": public }),
        };
        let mut permissions = serde_json::Map::new();
        for (verb, rights) in [("publish", &self.publish), ("subscribe", &self.subscribe)] {
            if let Some(rights) = rights.to_value() {
                permissions.insert(verb.to_owned(), rights);
            }
        }
        if !permissions.is_empty() {
            user["permissions"] = Value::Object(permissions);
        }
        user
    }
}

impl Rights {
    fn to_value(&self) -> Option<Value> {
        let mut rights = serde_json::Map::new();
        for (verdict, subjects) in [("allow", &self.allow), ("deny", &self.deny)] {
            if !subjects.is_empty() {
                rights.insert(verdict.to_owned(), subjects.clone().into());
            }
        }
        (!rights.is_empty()).then_some(Value::Object(rights))
    }
}

impl Default for ServerBuilder {
    fn default() -> Self {
        Self {
            version: Version::LATEST,
            jetstream: true,
            max_memory: 1 << 30,
            max_file: 8 << 30,
            sync_always: false,
            batch_timeout: None,
            max_payload: None,
            users: Vec::new(),
            token: None,
            tls: None,
            member: None,
            extra: String::new(),
        }
    }
}

impl ServerBuilder {
    /// Starts a server that is so, and waits until it takes connections.
    ///
    /// # Panics
    /// As [`NatsServer::start`].
    pub async fn start(self) -> NatsServer {
        NatsServer::start_with(self).await
    }

    /// Runs this version; without it, the latest.
    #[must_use]
    pub const fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// Without JetStream.
    #[must_use]
    pub const fn without_jetstream(mut self) -> Self {
        self.jetstream = false;
        self
    }

    /// What JetStream may store, in bytes: in memory and on disk.
    #[must_use]
    pub const fn jetstream_limits(mut self, memory: u64, file: u64) -> Self {
        self.max_memory = memory;
        self.max_file = file;
        self
    }

    /// Syncs to disk before each ack (`sync_interval: always`).
    #[must_use]
    pub const fn sync_always(mut self) -> Self {
        self.sync_always = true;
        self
    }

    /// Forgets a batch that it heard nothing of for so long; 10 s without this
    /// (2.14 and later).
    #[must_use]
    pub const fn batch_timeout(mut self, timeout: Duration) -> Self {
        self.batch_timeout = Some(timeout);
        self
    }

    /// The largest payload, headers included, in bytes.
    #[must_use]
    pub const fn max_payload(mut self, bytes: u64) -> Self {
        self.max_payload = Some(bytes);
        self
    }

    /// One who may log in; whoever isn't named then can't.
    #[must_use]
    pub fn user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }

    /// Lets in who has this token.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Speaks TLS alone.
    #[must_use]
    pub fn tls(mut self, certificates: &Certificates) -> Self {
        self.tls = Some(Tls {
            certificate: certificates.server_certificate(),
            key: certificates.server_key(),
            authority: certificates.authority(),
            verify_clients: false,
        });
        self
    }

    /// Speaks TLS alone, with clients that show a certificate of the same authority.
    #[must_use]
    pub fn mutual_tls(mut self, certificates: &Certificates) -> Self {
        self = self.tls(certificates);
        if let Some(tls) = &mut self.tls {
            tls.verify_clients = true;
        }
        self
    }

    /// Trusts an operator's JWTs, and nothing else.
    #[must_use]
    pub fn operator(self, operator: &Operator) -> Self {
        self.config(&operator.server_config())
    }

    /// The server `number` of a cluster whose servers listen for one another on these ports.
    pub(super) fn member(mut self, number: usize, ports: &[u16]) -> Self {
        self.member =
            Some(Member { name: name(number), port: ports[number], routes: ports.to_vec() });
        self
    }

    /// Lines that go into the configuration as they are.
    #[must_use]
    pub fn config(mut self, lines: &str) -> Self {
        self.extra.push_str(lines);
        self.extra.push('\n');
        self
    }

    /// The configuration file for a server in `folder`; the kernel chooses the
    /// port when none is given.
    pub(super) fn to_text(&self, folder: &Path, port: Option<u16>) -> String {
        let mut text = String::new();
        let port = port.map_or_else(|| "-1".to_owned(), |port| port.to_string());
        line(&mut text, format_args!("listen: \"127.0.0.1:{port}\""));
        line(&mut text, format_args!("ports_file_dir: {}", quoted(&folder.join("ports"))));
        if let Some(bytes) = self.max_payload {
            line(&mut text, format_args!("max_payload: {bytes}"));
        }
        if self.jetstream {
            line(&mut text, format_args!("jetstream {{"));
            line(&mut text, format_args!("  store_dir: {}", quoted(&folder.join("store"))));
            line(&mut text, format_args!("  max_memory_store: {}", self.max_memory));
            line(&mut text, format_args!("  max_file_store: {}", self.max_file));
            if self.sync_always {
                line(&mut text, format_args!("  sync_interval: always"));
            }
            if let Some(timeout) = self.batch_timeout {
                let ms = timeout.as_millis();
                line(&mut text, format_args!("  limits {{ batch {{ timeout: \"{ms}ms\" }} }}"));
            }
            line(&mut text, format_args!("}}"));
        }
        if let Some(Member { name, port, routes }) = &self.member {
            let routes: Vec<_> =
                routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
            line(&mut text, format_args!("server_name: {name}"));
            line(&mut text, format_args!("cluster {{"));
            line(&mut text, format_args!("  name: naq-tests"));
            line(&mut text, format_args!("  listen: \"127.0.0.1:{port}\""));
            line(&mut text, format_args!("  routes: {}", Value::from(routes)));
            line(&mut text, format_args!("}}"));
        }
        if let Some(tls) = &self.tls {
            line(&mut text, format_args!("tls {{"));
            line(&mut text, format_args!("  cert_file: {}", quoted(&tls.certificate)));
            line(&mut text, format_args!("  key_file: {}", quoted(&tls.key)));
            line(&mut text, format_args!("  ca_file: {}", quoted(&tls.authority)));
            line(&mut text, format_args!("  verify: {}", tls.verify_clients));
            line(&mut text, format_args!("}}"));
        }
        if !self.users.is_empty() || self.token.is_some() {
            line(&mut text, format_args!("authorization {{"));
            if let Some(token) = &self.token {
                line(&mut text, format_args!("  token: {}", Value::from(token.as_str())));
            }
            if !self.users.is_empty() {
                let users: Vec<_> = self.users.iter().map(User::to_value).collect();
                line(&mut text, format_args!("  users: {}", Value::from(users)));
            }
            line(&mut text, format_args!("}}"));
        }
        text.push_str(&self.extra);
        text
    }
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(text, "{content}").expect("a String takes everything");
}

/// A JSON string is a string of nats-server's configuration as well.
fn quoted(path: &Path) -> Value {
    Value::from(path.to_str().expect("temporary folders have UTF-8 names"))
}
