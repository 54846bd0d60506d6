//! Messages on their way into a stream, and as a stream holds them.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;

use crate::Timestamp;

/// The headers of a message: names with values, in order, a name possibly more than once.
///
/// Names compare byte for byte, as the server does. Header names beginning
/// with `Nats-` are the server's own; publishing takes those it needs from the
/// fields of [`PublishMessage`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Cow<'static, str>, String)>);

impl Headers {
    /// No headers.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a header behind the others.
    pub fn append(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// Adds a header and returns the whole.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.append(name, value);
        self
    }

    /// The first value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// All headers in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_str()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl<N: Into<Cow<'static, str>>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        Self(headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// How long the server keeps one message, whatever the stream's limits say.
///
/// Needs a server from 2.11 on and a stream that allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageTtl {
    /// This long, in whole seconds, at least one; a fraction is refused.
    After(Duration),
    /// Not subject to the stream's `max_age`.
    Never,
}

/// What the stream must look like for the message to be stored; otherwise `Conflict`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expected {
    /// The stream that must take it.
    pub stream: Option<String>,
    /// The stream's last sequence; 0 for an empty stream.
    pub last_sequence: Option<u64>,
    /// The last sequence on the message's subject; 0 for none.
    pub last_subject_sequence: Option<u64>,
    /// The message id of the stream's last message.
    pub last_message_id: Option<String>,
}

impl Expected {
    /// The stream that must take it.
    #[must_use]
    pub fn with_stream(mut self, stream: impl Into<String>) -> Self {
        self.stream = Some(stream.into());
        self
    }

    /// The stream's last sequence; 0 for an empty stream.
    #[must_use]
    pub fn with_last_sequence(mut self, sequence: u64) -> Self {
        self.last_sequence = Some(sequence);
        self
    }

    /// The last sequence on the message's subject; 0 for none.
    #[must_use]
    pub fn with_last_subject_sequence(mut self, sequence: u64) -> Self {
        self.last_subject_sequence = Some(sequence);
        self
    }

    /// The message id of the stream's last message.
    #[must_use]
    pub fn with_last_message_id(mut self, id: impl Into<String>) -> Self {
        self.last_message_id = Some(id.into());
        self
    }

    /// Whether nothing is expected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One message to be stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishMessage {
    /// Where it goes: a subject without wildcards that some stream takes.
    pub subject: ByteString,
    /// Its bytes.
    pub payload: Bytes,
    /// Headers of the caller's own.
    pub headers: Headers,
    /// The same id within the stream's duplicate window is stored once.
    pub message_id: Option<String>,
    /// Conditions under which it is stored.
    pub expected: Expected,
    /// How long it is kept.
    pub ttl: Option<MessageTtl>,
}

impl PublishMessage {
    /// A message without headers and conditions.
    pub fn new(subject: impl Into<ByteString>, payload: impl Into<Bytes>) -> Self {
        Self { subject: subject.into(), payload: payload.into(), ..Self::default() }
    }

    /// Sets the headers of the caller's own.
    #[must_use]
    pub fn with_headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// Sets the id by which the stream tells a repeated message.
    #[must_use]
    pub fn with_message_id(mut self, id: impl Into<String>) -> Self {
        self.message_id = Some(id.into());
        self
    }

    /// Sets the conditions under which it is stored.
    #[must_use]
    pub fn with_expected(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }

    /// Sets how long it is kept.
    #[must_use]
    pub fn with_ttl(mut self, ttl: MessageTtl) -> Self {
        self.ttl = Some(ttl);
        self
    }
}

/// The server's word that a message is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishAck {
    /// The stream that took it.
    pub stream: String,
    /// Its sequence there; for a duplicate that of the message stored first.
    pub sequence: u64,
    /// Whether a message of this id was stored before, so that this one was not.
    pub duplicate: bool,
}

/// The server's word that all messages of an atomic batch are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchAck {
    /// The stream that took them.
    pub stream: String,
    /// The sequence of the last one; the others lie right before it.
    pub sequence: u64,
    /// How many were stored.
    pub count: u64,
}

/// A message as a stream holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its subject.
    pub subject: String,
    /// Its sequence in the stream.
    pub sequence: u64,
    /// When the server stored it.
    pub stored_at: Timestamp,
    /// Its headers, the server's own among them.
    pub headers: Headers,
    /// Its bytes; empty for a read with headers only.
    pub payload: Bytes,
}
