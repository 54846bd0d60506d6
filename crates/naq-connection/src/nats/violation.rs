//! What a server refuses a client on permissions, as it says so.

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Publishing to a subject.
    Publish,
    /// Subscribing to a subject.
    Subscribe,
}

/// A refusal for want of permission, out of the text of the server's `-ERR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// What was refused.
    pub(crate) act: Act,
    /// Which subject.
    pub(crate) subject: String,
}

impl Violation {
    /// Reads `Permissions Violation for Publish to "a.b"`; `None` for any other text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("ermissions Violation for ")?;
        let (act, rest) = match rest.split_once(" to \"")? {
            ("Publish", rest) => (Act::Publish, rest),
            ("Subscription", rest) => (Act::Subscribe, rest),
            _ => return None,
        };
        let (subject, _) = rest.split_once('"')?;
        Some(Self { act, subject: subject.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subject_is_read_out_of_the_servers_text() {
        let read = |text| Violation::parse(text).map(|v| (v.act, v.subject));
        assert_eq!(
            read("Permissions Violation for Publish to \"events.a\""),
            Some((Act::Publish, "events.a".to_owned()))
        );
        assert_eq!(
            read("Permissions Violation for Subscription to \"_INBOX.x.*\" using queue \"q\""),
            Some((Act::Subscribe, "_INBOX.x.*".to_owned()))
        );
        assert_eq!(read("Permissions Violation for Publish with Reply of \"a\""), None);
        assert_eq!(read("Authorization Violation"), None);
    }
}
