//! The one error of naq: what kind, in which operation, about what, whether to try again, and why.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in terms a caller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The stream, bucket, key, message or consumer isn't there (any more).
    NotFound,
    /// Something of that name is there already, and differs.
    AlreadyExists,
    /// An expectation about the present state did not hold (compare and set, a stream made anew).
    Conflict,
    /// The caller's input breaks a rule; the context names the field and the rule.
    InvalidArgument,
    /// The server, or the stream's or bucket's configuration, cannot do this.
    Unsupported,
    /// No connection, or nobody answers for the stream at the moment.
    Unavailable,
    /// A question was not answered within its deadline; nothing was changed by it.
    Timeout,
    /// A change was sent and its answer lost: it may have been carried out or not.
    OutcomeUnknown,
    /// The message or value is over the limit of the server, stream or bucket.
    TooLarge,
    /// A quota is used up: a full stream, an account's storage, a buffer.
    LimitReached,
    /// The service, connection or stream handle was closed.
    Closed,
    /// Stored bytes are not what they should be.
    Corrupt,
    /// The server knows who asks and says no.
    PermissionDenied,
    /// The server doesn't accept the credentials.
    AuthFailed,
    /// The configuration is wrong.
    Config,
    /// None of the others: a bug, or an answer nobody foresaw.
    Unexpected,
}

impl ErrorKind {
    /// The kind in words, as [`Error`] displays it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::Conflict => "conflict",
            Self::InvalidArgument => "invalid argument",
            Self::Unsupported => "unsupported",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timed out",
            Self::OutcomeUnknown => "outcome unknown",
            Self::TooLarge => "too large",
            Self::LimitReached => "limit reached",
            Self::Closed => "closed",
            Self::Corrupt => "corrupt",
            Self::PermissionDenied => "permission denied",
            Self::AuthFailed => "authentication failed",
            Self::Config => "configuration error",
            Self::Unexpected => "unexpected",
        }
    }

    /// The retry class that an error of this kind has unless told otherwise.
    #[must_use]
    pub const fn retry(self) -> RetryClass {
        match self {
            Self::Unavailable | Self::Timeout | Self::LimitReached => RetryClass::Safe,
            Self::OutcomeUnknown => RetryClass::SafeWithMessageId,
            _ => RetryClass::Never,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether trying the same again can help, and whether it is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryClass {
    /// The same call will fail again.
    Never,
    /// The call changed nothing; it may be repeated.
    Safe,
    /// The call may have been carried out: repeat it only with the same message id.
    SafeWithMessageId,
}

type Source = Arc<dyn StdError + Send + Sync + 'static>;

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    message: Cow<'static, str>,
    context: Vec<(&'static str, String)>,
    hint: Option<Cow<'static, str>>,
    retry: RetryClass,
}

/// The error of every operation of naq.
///
/// [`Display`](fmt::Display) is one line and never prints the source; walk
/// [`source`](StdError::source) for that. [`Debug`](fmt::Debug) prints the
/// line, the hint and the chain of sources, so that `?` in a `main` is readable.
///
/// ```
/// use naq_core::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::NotFound, "get_stream_info", "no such stream")
///     .with("stream", "events");
/// assert_eq!(error.to_string(), "get_stream_info: not found: no such stream (stream: events)");
/// ```
#[derive(Clone, thiserror::Error)]
#[error("{}", Line(.inner))]
pub struct Error {
    inner: Box<Inner>,
    source: Option<Source>,
}

impl Error {
    /// An error of a kind in an operation; `message` says what happened in this case.
    pub fn new(
        kind: ErrorKind,
        operation: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let inner = Inner {
            kind,
            operation,
            message: message.into(),
            context: Vec::new(),
            hint: None,
            retry: kind.retry(),
        };
        Self { inner: Box::new(inner), source: None }
    }

    /// [`ErrorKind::InvalidArgument`]: `field` breaks `rule`.
    pub fn invalid(
        operation: &'static str,
        field: impl Into<String>,
        rule: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(ErrorKind::InvalidArgument, operation, rule).with("field", field)
    }

    /// Adds a fact: `with("stream", "events")`. Never give it a secret.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.inner.context.push((key, value.into()));
        self
    }

    /// Says what the caller can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.inner.hint = Some(hint.into());
        self
    }

    /// Overrides the kind's usual retry class.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryClass) -> Self {
        self.inner.retry = retry;
        self
    }

    /// Keeps the error behind this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// The same error, told by another operation.
    #[must_use]
    pub fn in_operation(mut self, operation: &'static str) -> Self {
        self.inner.operation = operation;
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The operation that failed.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.inner.operation
    }

    /// What happened in this case, without kind and context.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The facts, in the order in which they were added.
    #[must_use]
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.inner.context
    }

    /// One fact by its key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.inner.context.iter().find(|(k, _)| *k == key).map(|(_, v)| v.as_str())
    }

    /// What the caller can do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }

    /// The error behind this one, if it is a `T`.
    ///
    /// The source is shared by clones, so `source().downcast_ref::<T>()` finds
    /// the pointer and not what it points at; this looks through it.
    #[must_use]
    pub fn source_as<T: StdError + 'static>(&self) -> Option<&T> {
        self.source.as_deref()?.downcast_ref()
    }

    /// Whether trying the same again can help.
    #[must_use]
    pub fn retry(&self) -> RetryClass {
        self.inner.retry
    }

    /// Shorthand for `self.kind() == kind`.
    #[must_use]
    pub fn is(&self, kind: ErrorKind) -> bool {
        self.inner.kind == kind
    }
}

struct Line<'a>(&'a Inner);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, operation, message, context, .. } = self.0;
        write!(f, "{operation}: {kind}")?;
        if !message.is_empty() {
            write!(f, ": {message}")?;
        }
        for (i, (key, value)) in context.iter().enumerate() {
            write!(f, "{}{key}: {value}", if i == 0 { " (" } else { ", " })?;
        }
        if !context.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Line(&self.inner))?;
        if let Some(hint) = self.hint() {
            write!(f, "\n  try: {hint}")?;
        }
        let mut source = StdError::source(self);
        while let Some(error) = source {
            write!(f, "\n  caused by: {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Error {
        Error::new(ErrorKind::Unavailable, "connect", "connection refused")
            .with("url", "nats://127.0.0.1:4222")
            .with_hint("start a server")
            .with_source(std::io::Error::other("os error 111"))
    }

    #[test]
    fn display_is_one_line_without_the_source() {
        assert_eq!(
            refused().to_string(),
            "connect: unavailable: connection refused (url: nats://127.0.0.1:4222)"
        );
    }

    #[test]
    fn debug_shows_hint_and_chain() {
        let text = format!("{:?}", refused());
        assert!(text.contains("try: start a server"), "{text}");
        assert!(text.contains("caused by: os error 111"), "{text}");
    }

    #[test]
    fn the_source_survives_a_clone() {
        let original = refused();
        let copy = original.clone();
        drop(original);
        assert_eq!(
            StdError::source(&copy).map(ToString::to_string).as_deref(),
            Some("os error 111")
        );
        assert!(copy.source_as::<std::io::Error>().is_some());
        assert!(copy.source_as::<fmt::Error>().is_none());
    }

    #[test]
    fn a_lost_answer_is_safe_to_repeat_only_with_a_message_id() {
        assert_eq!(ErrorKind::OutcomeUnknown.retry(), RetryClass::SafeWithMessageId);
        assert_eq!(ErrorKind::Timeout.retry(), RetryClass::Safe);
        assert_eq!(ErrorKind::Conflict.retry(), RetryClass::Never);
    }
}
