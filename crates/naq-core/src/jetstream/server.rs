//! What a server is and can do.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// A server's version, without what follows the patch number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerVersion {
    /// Major.
    pub major: u32,
    /// Minor.
    pub minor: u32,
    /// Patch.
    pub patch: u32,
}

impl ServerVersion {
    /// The oldest version that naq works with.
    pub const OLDEST: Self = Self::new(2, 10, 0);

    /// A version of its three numbers.
    #[must_use]
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// Whether it is this minor version of major 2, or a later one.
    #[must_use]
    pub fn at_least(self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) >= (major, minor)
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for ServerVersion {
    type Err = Error;

    /// Reads `2.10.26` and `v2.15.1-dev`.
    ///
    /// # Errors
    /// `InvalidArgument` for anything else.
    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.trim_start_matches('v').split(['-', '+']).next().unwrap_or_default();
        let mut parts = numbers.split('.').map(str::parse::<u32>);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch)), None) => {
                Ok(Self { major, minor, patch })
            }
            _ => Err(Error::invalid("parse_version", "version", "must be like 2.15.1")
                .with("value", text)),
        }
    }
}

/// What a server tells of itself when a client connects.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerInfo {
    /// The server's name.
    pub name: String,
    /// The server's id, another one after each start.
    pub id: String,
    /// Its version.
    pub version: ServerVersion,
    /// Its cluster's name, if it is in one.
    pub cluster: Option<String>,
    /// The largest payload in bytes, headers included.
    pub max_payload: u64,
    /// The client's number on this server.
    pub client_id: u64,
}

impl ServerInfo {
    /// An info of its necessary parts: not in a cluster, 1 MiB of payload.
    pub fn new(name: impl Into<String>, id: impl Into<String>, version: ServerVersion) -> Self {
        Self {
            name: name.into(),
            id: id.into(),
            version,
            cluster: None,
            max_payload: 1024 * 1024,
            client_id: 0,
        }
    }
}

/// What a JetStream can do, read from the server's version.
///
/// Capabilities are data: they drive what a service picks, what the
/// conformance suite expects, and the tables of the docs. An option that needs
/// a capability that isn't there is `Unsupported`, never ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// A TTL per message, and markers where a subject's last message aged away (2.11).
    pub message_ttl: bool,
    /// Many messages by one direct get (2.11).
    pub batched_direct_get: bool,
    /// Durable consumers with a filter and another one for what lies below it,
    /// as `a` and `a.>` (2.11; before, they leave out messages of the first).
    pub nested_filters: bool,
    /// Several messages stored all or none (2.12).
    pub atomic_publish: bool,
    /// Fast ingest: acknowledgement by watermark (2.14).
    pub fast_ingest: bool,
}

impl Capabilities {
    /// What a server of this version can do.
    #[must_use]
    pub fn of(version: ServerVersion) -> Self {
        Self {
            message_ttl: version.at_least(2, 11),
            batched_direct_get: version.at_least(2, 11),
            nested_filters: version.at_least(2, 11),
            atomic_publish: version.at_least(2, 12),
            fast_ingest: version.at_least(2, 14),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        let version: ServerVersion = "v2.15.1-beta.1".parse().unwrap();
        assert_eq!(version, ServerVersion::new(2, 15, 1));
        assert!(version > ServerVersion::new(2, 9, 25));
        assert!("2.15".parse::<ServerVersion>().is_err());
        assert!("2.15.x".parse::<ServerVersion>().is_err());
    }

    #[test]
    fn capabilities_come_with_versions() {
        let of = |text: &str| Capabilities::of(text.parse().unwrap());
        assert_eq!(of("2.10.26"), Capabilities::default());
        assert!(of("2.11.11").message_ttl && !of("2.11.11").atomic_publish);
        assert!(of("2.12.8").atomic_publish && !of("2.12.8").fast_ingest);
        assert!(of("2.14.6").fast_ingest && of("3.0.0").fast_ingest);
    }
}
