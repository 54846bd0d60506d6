//! Why the model refuses something, as the server would, and how that reads as an error.

use std::borrow::Cow;

use naq_core::{Error, ErrorKind};

/// A refusal; each stands for one of the server's error codes, or for a rule of the port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No stream takes this subject.
    NoStreamFor(String),
    NoStream(String),
    NoMessage,
    NoConsumer {
        stream: String,
        consumer: String,
    },
    StreamExists(String),
    ConsumerExists(String),
    SubjectsOverlap {
        subject: String,
        stream: String,
    },
    /// The stream's configuration breaks a rule of the server.
    InvalidStream {
        field: &'static str,
        rule: Cow<'static, str>,
    },
    /// The consumer's configuration breaks a rule of the server.
    InvalidConsumer {
        field: &'static str,
        rule: Cow<'static, str>,
    },
    /// What the caller gave breaks a rule of the port.
    Invalid {
        field: &'static str,
        rule: Cow<'static, str>,
    },
    /// An expectation of another stream.
    WrongStream {
        expected: String,
        actual: String,
    },
    WrongLastSequence {
        actual: u64,
    },
    WrongLastMessageId {
        actual: String,
    },
    MessageTooLarge {
        bytes: u64,
        limit: u64,
    },
    PayloadTooLarge {
        bytes: u64,
        limit: u64,
    },
    /// A limit of a stream that discards new messages.
    StreamFull(&'static str),
    /// The cap of this JetStream as a whole.
    MemoryFull {
        limit: u64,
    },
    TooManyStreams {
        limit: u64,
    },
    TooManyConsumers {
        limit: u64,
    },
    Sealed(String),
    DeleteDenied(String),
    PurgeDenied(String),
    RollupRefused(Cow<'static, str>),
    TtlDisabled,
    TtlInvalid,
    AtomicDisabled,
    BatchTooLarge {
        messages: usize,
    },
    BatchEmpty,
    BatchDuplicate {
        id: String,
    },
    BatchUnsupported(&'static str),
    /// The version that is pretended cannot do this.
    Version {
        option: &'static str,
        needs: &'static str,
        version: String,
    },
    /// The stream read or meant by its creation time was made anew.
    MadeAnew(String),
}

impl Refusal {
    pub(crate) fn invalid(field: &'static str, rule: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid { field, rule: rule.into() }
    }

    pub(crate) fn stream(field: &'static str, rule: impl Into<Cow<'static, str>>) -> Self {
        Self::InvalidStream { field, rule: rule.into() }
    }

    pub(crate) fn consumer(field: &'static str, rule: impl Into<Cow<'static, str>>) -> Self {
        Self::InvalidConsumer { field, rule: rule.into() }
    }

    /// The server's error code, where it has one.
    pub(crate) fn code(&self) -> Option<u32> {
        Some(match self {
            Self::NoStream(_) => 10059,
            Self::NoMessage => 10037,
            Self::NoConsumer { .. } => 10014,
            Self::StreamExists(_) => 10058,
            Self::ConsumerExists(_) => 10148,
            Self::SubjectsOverlap { .. } => 10065,
            Self::InvalidStream { .. } => 10052,
            Self::WrongStream { .. } => 10060,
            Self::WrongLastSequence { .. } => 10071,
            Self::WrongLastMessageId { .. } => 10070,
            Self::MessageTooLarge { .. } => 10054,
            Self::StreamFull(_) => 10077,
            Self::MemoryFull { .. } => 10002,
            Self::TooManyStreams { .. } => 10027,
            Self::TooManyConsumers { .. } => 10026,
            Self::Sealed(_) => 10109,
            Self::RollupRefused(_) => 10111,
            Self::TtlDisabled => 10166,
            Self::TtlInvalid => 10165,
            Self::AtomicDisabled => 10174,
            Self::BatchTooLarge { .. } => 10199,
            Self::BatchDuplicate { .. } => 10201,
            Self::BatchUnsupported(_) => 10177,
            _ => return None,
        })
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoStreamFor(_)
            | Self::NoStream(_)
            | Self::NoMessage
            | Self::NoConsumer { .. } => ErrorKind::NotFound,
            Self::StreamExists(_) | Self::ConsumerExists(_) => ErrorKind::AlreadyExists,
            Self::SubjectsOverlap { .. }
            | Self::WrongStream { .. }
            | Self::WrongLastSequence { .. }
            | Self::WrongLastMessageId { .. }
            | Self::BatchDuplicate { .. }
            | Self::MadeAnew(_) => ErrorKind::Conflict,
            Self::InvalidStream { .. }
            | Self::InvalidConsumer { .. }
            | Self::Invalid { .. }
            | Self::TtlInvalid
            | Self::BatchTooLarge { .. }
            | Self::BatchEmpty => ErrorKind::InvalidArgument,
            Self::MessageTooLarge { .. } | Self::PayloadTooLarge { .. } => ErrorKind::TooLarge,
            Self::StreamFull(_)
            | Self::MemoryFull { .. }
            | Self::TooManyStreams { .. }
            | Self::TooManyConsumers { .. } => ErrorKind::LimitReached,
            Self::Sealed(_) | Self::DeleteDenied(_) | Self::PurgeDenied(_) => {
                ErrorKind::PermissionDenied
            }
            Self::RollupRefused(_)
            | Self::TtlDisabled
            | Self::AtomicDisabled
            | Self::BatchUnsupported(_)
            | Self::Version { .. } => ErrorKind::Unsupported,
        }
    }

    /// The refusal as the error of an operation.
    pub(crate) fn error(self, operation: &'static str) -> Error {
        let (kind, code) = (self.kind(), self.code());
        let new = |message: Cow<'static, str>| Error::new(kind, operation, message);
        let error = match self {
            Self::NoStreamFor(subject) => new("no stream takes the subject".into())
                .with("subject", subject)
                .with_hint("create a stream with a subject that matches"),
            Self::NoStream(stream) => new("there is no such stream".into())
                .with("stream", stream)
                .with_hint("create it first"),
            Self::NoMessage => new("there is no such message".into()),
            Self::NoConsumer { stream, consumer } => new("there is no such consumer".into())
                .with("stream", stream)
                .with("consumer", consumer)
                .with_hint("create it first"),
            Self::StreamExists(stream) => {
                new("a stream of this name with another configuration exists".into())
                    .with("stream", stream)
                    .with_hint("update it, or choose another name")
            }
            Self::ConsumerExists(consumer) => {
                new("a consumer of this name with another configuration exists".into())
                    .with("consumer", consumer)
                    .with_hint("delete it first, or choose another name")
            }
            Self::SubjectsOverlap { subject, stream } => {
                new("the subject overlaps with one of another stream".into())
                    .with("subject", subject)
                    .with("other", stream)
                    .with_hint("choose subjects that no other stream takes")
            }
            Self::InvalidStream { field, rule }
            | Self::InvalidConsumer { field, rule }
            | Self::Invalid { field, rule } => new(rule).with("field", field),
            Self::WrongStream { expected, actual } => {
                new("another stream takes the subject".into())
                    .with("expected", expected)
                    .with("stream", actual)
            }
            Self::WrongLastSequence { actual } => {
                new(format!("wrong last sequence: {actual}").into())
                    .with("actual", actual.to_string())
            }
            Self::WrongLastMessageId { actual } => {
                new(format!("wrong last msg ID: {actual}").into()).with("actual", actual)
            }
            Self::MessageTooLarge { bytes, limit } => {
                new("the message is larger than the stream takes".into())
                    .with("bytes", bytes.to_string())
                    .with("limit", limit.to_string())
                    .with_hint("send less, or raise the stream's max_message_size")
            }
            Self::PayloadTooLarge { bytes, limit } => {
                new("the message is larger than the server takes".into())
                    .with("bytes", bytes.to_string())
                    .with("limit", limit.to_string())
                    .with_hint("send less, or raise the server's max_payload")
            }
            Self::StreamFull(limit) => new(format!("maximum {limit} exceeded").into())
                .with("limit", limit)
                .with_hint("make room in the stream, or raise its limit"),
            Self::MemoryFull { limit } => {
                new("the memory that this JetStream may take is used up".into())
                    .with("limit", limit.to_string())
                    .with_hint("limit the streams, or raise max_bytes of MemoryLimits")
            }
            Self::TooManyStreams { limit } => {
                new("there are as many streams as this JetStream takes".into())
                    .with("limit", limit.to_string())
                    .with_hint("delete streams, or raise max_streams of MemoryLimits")
            }
            Self::TooManyConsumers { limit } => {
                new("the stream has as many consumers as it takes".into())
                    .with("limit", limit.to_string())
                    .with_hint("delete consumers, or raise the stream's max_consumers")
            }
            Self::Sealed(stream) => {
                new("the stream is sealed: it is read only for good".into()).with("stream", stream)
            }
            Self::DeleteDenied(stream) => {
                new("the stream does not let single messages be deleted".into())
                    .with("stream", stream)
            }
            Self::PurgeDenied(stream) => {
                new("the stream does not let itself be purged".into()).with("stream", stream)
            }
            Self::RollupRefused(why) => {
                new(why).with_hint("create the stream with allow_rollup and without deny_purge")
            }
            Self::TtlDisabled => new("the stream takes no TTL of a message".into())
                .with_hint("create the stream with allow_message_ttl"),
            Self::TtlInvalid => {
                new("must be whole seconds, at least one".into()).with("field", "ttl")
            }
            Self::AtomicDisabled => new("the stream takes no atomic batches".into())
                .with_hint("create the stream with allow_atomic_publish"),
            Self::BatchTooLarge { messages } => new("must have at most 1000 messages".into())
                .with("field", "messages")
                .with("messages", messages.to_string()),
            Self::BatchEmpty => {
                new("must have at least one message".into()).with("field", "messages")
            }
            Self::BatchDuplicate { id } => {
                new("the batch has a message id that is known already".into())
                    .with("message_id", id)
            }
            Self::BatchUnsupported(what) => new(what.into()),
            Self::Version { option, needs, version } => {
                new(format!("{option} needs a server from {needs} on").into())
                    .with("option", option)
                    .with("version", version)
                    .with_hint("use a newer server, or leave the option out")
            }
            Self::MadeAnew(stream) => {
                new("the stream was deleted and made anew".into()).with("stream", stream)
            }
        };
        match code {
            Some(code) => error.with("error_code", code.to_string()),
            None => error,
        }
    }
}
