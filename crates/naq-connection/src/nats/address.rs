//! A list of server URLs, taken apart: addresses without credentials, and the credentials.

use std::net::IpAddr;

use async_nats::ServerAddr;
use naq_core::connection::redact_url;
use naq_core::secret::Secret;
use naq_core::{Error, Result};

/// The schemes that this crate connects by itself.
pub(crate) const SCHEMES: [&str; 2] = ["nats", "tls"];

/// Who a URL says we are.
#[derive(Debug, Clone)]
pub(crate) enum UrlCredentials {
    /// `user:password@`.
    UserPassword(String, Secret),
    /// `token@`.
    Token(Secret),
}

/// One or more servers of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    /// The servers, without credentials: the client logs these.
    pub(crate) servers: Vec<ServerAddr>,
    /// What stood before the first `@`.
    pub(crate) credentials: Option<UrlCredentials>,
    /// The list as it may be shown.
    pub(crate) shown: String,
}

impl Addresses {
    /// Reads `nats://a:4222,tls://user:password@b`; without a scheme it is `nats`.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no URL of a server, for a scheme other
    /// than `nats` and `tls`, and for credentials that differ among the servers.
    pub(crate) fn parse(urls: &str) -> Result<Self> {
        let mut servers = Vec::new();
        let mut credentials: Option<UrlCredentials> = None;
        for url in urls.split(',').map(str::trim).filter(|url| !url.is_empty()) {
            let (server, found) = parse_one(url)?;
            servers.push(server);
            match (&credentials, found) {
                (None, found) => credentials = found,
                (Some(have), Some(found)) if !have.same(&found) => {
                    return Err(refused(url, "must have the same credentials as the others"));
                }
                _ => {}
            }
        }
        if servers.is_empty() {
            return Err(refused(urls, "must name a server, such as nats://localhost:4222"));
        }
        let shown = servers.iter().map(ServerAddr::as_url_str).collect::<Vec<_>>().join(",");
        Ok(Self { servers, credentials, shown })
    }

    /// Whether any of them is to be reached by TLS: then all are.
    pub(crate) fn tls(&self) -> bool {
        self.servers.iter().any(ServerAddr::tls_required)
    }

    /// The first server that isn't this machine.
    pub(crate) fn remote(&self) -> Option<&ServerAddr> {
        self.servers.iter().find(|server| !is_loopback(server.host()))
    }
}

impl UrlCredentials {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::UserPassword(a, x), Self::UserPassword(b, y)) => {
                a == b && x.expose() == y.expose()
            }
            (Self::Token(x), Self::Token(y)) => x.expose() == y.expose(),
            _ => false,
        }
    }
}

fn parse_one(url: &str) -> Result<(ServerAddr, Option<UrlCredentials>)> {
    // The parser's own error may quote what it was given, password and all.
    let parsed: ServerAddr =
        url.parse().map_err(|_| refused(url, "must be a URL such as nats://localhost:4222"))?;
    if !SCHEMES.contains(&parsed.scheme()) {
        return Err(refused(url, "must have the scheme nats or tls"));
    }
    if parsed.host().is_empty() {
        return Err(refused(url, "must name a host"));
    }
    let credentials = match (parsed.username(), parsed.password()) {
        (None, None) => None,
        (user, Some(password)) => Some(UrlCredentials::UserPassword(
            percent_decoded(url, user.unwrap_or_default())?,
            Secret::from(percent_decoded(url, password)?),
        )),
        (Some(token), None) => Some(UrlCredentials::Token(percent_decoded(url, token)?.into())),
    };
    let host = parsed.host();
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let bare = format!("{}://{host}:{}", parsed.scheme(), parsed.port());
    let server = bare.parse().map_err(|_| refused(url, "must name a valid host"))?;
    Ok((server, credentials))
}

fn refused(url: &str, rule: &'static str) -> Error {
    Error::invalid("connect", "url", rule)
        .with("url", redact_url(url))
        .with_hint("write nats://HOST:4222 or tls://HOST:4222, several with commas")
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Undoes `%40`, as a URL writes what it can't hold in user and password.
fn percent_decoded(url: &str, text: &str) -> Result<String> {
    let broken = || refused(url, "must have user and password in percent-encoded UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2).ok_or_else(broken)?;
        let digits = std::str::from_utf8(digits).map_err(|_| broken())?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| broken())?);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use naq_core::ErrorKind;

    use super::*;

    #[test]
    fn credentials_are_taken_out_of_the_urls() {
        let addresses =
            Addresses::parse("nats://ann:p%40ss@h1, tls://ann:p%40ss@[::1]:4333").unwrap();
        assert_eq!(addresses.shown, "nats://h1:4222,tls://[::1]:4333");
        assert!(addresses.tls());
        match addresses.credentials {
            Some(UrlCredentials::UserPassword(user, password)) => {
                assert_eq!((user.as_str(), password.expose()), ("ann", "p@ss"));
            }
            other => panic!("{other:?}"),
        }
        assert!(!format!("{:?}", addresses.servers).contains("p%40ss"));
    }

    #[test]
    fn a_lone_user_is_a_token() {
        let addresses = Addresses::parse("s3cret@host").unwrap();
        assert!(
            matches!(addresses.credentials, Some(UrlCredentials::Token(t)) if t.expose() == "s3cret")
        );
        assert_eq!(addresses.shown, "nats://host:4222");
    }

    #[test]
    fn what_is_no_server_is_refused_without_showing_a_password() {
        for url in [
            "",
            "http://u:hunter2@h",
            "nats://u:hunter2@",
            "ws://h",
            "nats://u:hunter2@h,nats://h2:x",
            "nats://u:%zzhunter2@h",
        ] {
            let error = Addresses::parse(url).unwrap_err();
            assert!(error.is(ErrorKind::InvalidArgument), "{url}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        assert!(Addresses::parse("nats://a:b@h1,nats://a:c@h2").is_err());
    }

    #[test]
    fn loopback_is_told_from_remote() {
        let remote = |urls| Addresses::parse(urls).unwrap().remote().map(|s| s.host().to_owned());
        assert_eq!(remote("nats://localhost,nats://127.0.0.9,nats://[::1]"), None);
        assert_eq!(remote("nats://localhost,nats://10.0.0.1").as_deref(), Some("10.0.0.1"));
        assert_eq!(
            remote("nats://localhost.evil.example").as_deref(),
            Some("localhost.evil.example")
        );
    }
}
