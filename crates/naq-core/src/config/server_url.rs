//! The URL of a server, which may hold a password.

use std::fmt;

use serde_json::Value;

use super::setting::Setting;
use crate::connection::redact_url;

/// One server's URL, or several of one cluster with commas between them.
///
/// `Debug` and `Display` show it without user and password. It is only
/// carried here: whoever connects checks scheme and host.
///
/// ```
/// use naq_core::config::ServerUrl;
///
/// let url = ServerUrl::from("nats://ann:s3cret@db.example:4222");
/// assert_eq!(url.to_string(), "nats://db.example:4222");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ServerUrl(String);

impl ServerUrl {
    /// The whole text, user and password included.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ServerUrl {
    fn from(text: &str) -> Self {
        Self(text.trim().to_owned())
    }
}

impl From<String> for ServerUrl {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact_url(&self.0))
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Setting for ServerUrl {
    const KIND: &'static str = "URL, or several with commas";

    fn read(value: &Value) -> Result<Self, String> {
        match value.as_str().map(str::trim) {
            Some(text) if !text.is_empty() => Ok(Self::from(text)),
            _ => Err("must be a URL such as nats://localhost:4222".to_owned()),
        }
    }

    fn show(&self) -> String {
        format!("{self:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_it_shows_user_or_password() {
        for text in
            ["nats://u:p%40ss@h:1,tls://u:p@ss@h:2", "token@host", "nats://u:p@ss/w@h", "memory://"]
        {
            let url = ServerUrl::from(text);
            for shown in [format!("{url}"), format!("{url:?}"), url.show()] {
                assert!(!shown.contains("ss") && !shown.contains("token"), "{shown}");
            }
            assert_eq!(url.expose(), text);
        }
    }
}
