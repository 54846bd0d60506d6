//! Passwords, tokens and keys that no log line can show.

use std::fmt;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// A secret text: redacted in `Debug`, never serialized, wiped when dropped.
///
/// It has no `Display` and no equality on purpose. [`expose`](Secret::expose)
/// is the one way to the text, so that a search for it finds every use.
///
/// ```
/// use naq_core::secret::Secret;
///
/// let password = Secret::from("hunter2");
/// assert_eq!(format!("{password:?}"), "Secret(***)");
/// assert_eq!(password.expose(), "hunter2");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The secret as a file holds it: without the line end that editors append.
    #[must_use]
    pub fn from_file_text(text: String) -> Self {
        let text = Zeroizing::new(text);
        Self(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// The text itself. Hand it to whoever authenticates, and to nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the text is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_end_of_the_file_is_no_part_of_the_secret() {
        assert_eq!(Secret::from_file_text("s3cret \r\n".into()).expose(), "s3cret ");
    }

    #[test]
    fn debug_of_something_that_holds_it_does_not_show_it() {
        let text = format!("{:#?}", Some(Secret::from("hunter2")));
        assert!(!text.contains("hunter2"), "{text}");
    }
}
