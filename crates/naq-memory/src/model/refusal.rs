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
    /// Over a limit of message, headers or payload.
    TooLarge {
        what: &'static str,
        bytes: u64,
        limit: u64,
    },
    /// A limit of a stream that discards new messages.
    StreamFull(&'static str),
    /// The cap of this JetStream as a whole.
    MemoryFull,
    TooManyStreams {
        limit: u64,
    },
    TooManyConsumers {
        limit: u64,
    },
    Sealed(String),
    DeleteDenied(String),
    PurgeDenied(String),
    RollupDenied,
    TtlDisabled,
    AtomicDisabled,
    BatchedDisabled,
    /// The batch isn't known, or not to the stream that takes the subject.
    UnknownBatch(String),
    BatchDuplicate {
        id: String,
    },
    /// A message of the batch was refused before the last one came.
    BatchIncomplete,
    /// A header that no message of a batch may have.
    BatchHeader(&'static str),
    /// A rollup in a batch must be this one.
    BatchRollup(&'static str),
    /// A work queue's rules for its consumers.
    WorkQueue {
        code: u32,
        rule: &'static str,
    },
    /// A work queue gives its messages to consumers alone.
    ReadOfWorkQueue(String),
    /// The version that is pretended cannot do this.
    Version {
        option: &'static str,
        needs: &'static str,
        version: String,
    },
    /// The stream read, or meant by its creation time, was made anew.
    MadeAnew(String),
}

/// What an error is made of.
struct Told {
    kind: ErrorKind,
    code: Option<u32>,
    message: Cow<'static, str>,
    context: Vec<(&'static str, String)>,
    hint: Option<&'static str>,
}

impl Told {
    fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, code: None, message: message.into(), context: Vec::new(), hint: None }
    }

    /// The server's number of the error.
    fn code(mut self, code: u32) -> Self {
        self.code = Some(code);
        self
    }

    fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.context.push((key, value.into()));
        self
    }

    fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }
}

impl Refusal {
    pub(crate) fn invalid(field: &'static str, rule: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid { field, rule: rule.into() }
    }

    pub(crate) fn stream(field: &'static str, rule: impl Into<Cow<'static, str>>) -> Self {
        Self::InvalidStream { field, rule: rule.into() }
    }

    /// The refusal as the error of an operation.
    pub(crate) fn error(self, operation: &'static str) -> Error {
        let told = self.told();
        let mut error = Error::new(told.kind, operation, told.message);
        for (key, value) in told.context {
            error = error.with(key, value);
        }
        if let Some(hint) = told.hint {
            error = error.with_hint(hint);
        }
        match told.code {
            Some(code) => error.with("error_code", code.to_string()),
            None => error,
        }
    }

    fn told(self) -> Told {
        use ErrorKind as Kind;
        match self {
            Self::NoStreamFor(subject) => Told::new(Kind::NotFound, "no stream takes the subject")
                .with("subject", subject)
                .hint("create a stream with this subject, or check how it is spelt"),
            Self::NoStream(stream) => Told::new(Kind::NotFound, "stream not found")
                .code(10_059)
                .with("stream", stream)
                .hint("create the stream first, or check its name"),
            Self::NoMessage => Told::new(Kind::NotFound, "no message found").code(10_037),
            Self::NoConsumer { stream, consumer } => {
                Told::new(Kind::NotFound, "consumer not found")
                    .code(10_014)
                    .with("stream", stream)
                    .with("consumer", consumer)
                    .hint("create the consumer first, or check its name")
            }
            Self::StreamExists(stream) => {
                Told::new(Kind::AlreadyExists, "the stream exists with another configuration")
                    .code(10_058)
                    .with("stream", stream)
                    .hint("update it, or choose another name")
            }
            Self::ConsumerExists(consumer) => {
                Told::new(Kind::AlreadyExists, "the consumer exists with another configuration")
                    .code(10_148)
                    .with("consumer", consumer)
                    .hint("delete it first, or choose another name")
            }
            Self::SubjectsOverlap { subject, stream } => {
                Told::new(Kind::Conflict, "subjects overlap with an existing stream")
                    .code(10_065)
                    .with("subject", subject)
                    .with("other", stream)
                    .hint(
                        "another stream takes such subjects: choose others, or delete that stream",
                    )
            }
            Self::InvalidStream { field, rule } => {
                Told::new(Kind::InvalidArgument, rule).code(10_052).with("field", field)
            }
            Self::Invalid { field, rule } => {
                Told::new(Kind::InvalidArgument, rule).with("field", field)
            }
            Self::WrongStream { expected, actual } => {
                Told::new(Kind::Conflict, "expected stream does not match")
                    .code(10_060)
                    .with("expected", expected)
                    .with("stream", actual)
                    .hint("another stream takes the subject: check which one is meant")
            }
            Self::WrongLastSequence { actual } => {
                Told::new(Kind::Conflict, format!("wrong last sequence: {actual}"))
                    .code(10_071)
                    .with("actual", actual.to_string())
                    .hint("somebody wrote in between: read the newest state and decide anew")
            }
            Self::WrongLastMessageId { actual } => {
                Told::new(Kind::Conflict, format!("wrong last msg ID: {actual}"))
                    .code(10_070)
                    .with("actual", actual)
                    .hint("somebody wrote in between: read the newest state and decide anew")
            }
            Self::TooLarge { what, bytes, limit } => {
                let told = Told::new(Kind::TooLarge, format!("over the limit of {what}"))
                    .with("bytes", bytes.to_string())
                    .with("limit", limit.to_string())
                    .hint("send less, or raise the limit");
                match what {
                    "max_message_size" => told.code(10_054),
                    _ => told,
                }
            }
            Self::StreamFull(limit) => Told::new(
                Kind::LimitReached,
                format!("maximum {limit} exceeded"),
            )
            .code(10_077)
            .with("limit", limit.to_string())
            .hint("the stream is full: raise its limits, purge it, or let it discard old messages"),
            Self::MemoryFull => {
                Told::new(Kind::LimitReached, "the memory that this JetStream may take is used up")
                    .code(10_002)
                    .hint("limit the streams, or raise max_bytes of MemoryLimits")
            }
            Self::TooManyStreams { limit } => {
                Told::new(Kind::LimitReached, "maximum number of streams reached")
                    .code(10_027)
                    .with("limit", limit.to_string())
                    .hint("delete streams, or raise max_streams of MemoryLimits")
            }
            Self::TooManyConsumers { limit } => {
                Told::new(Kind::LimitReached, "maximum consumers limit reached")
                    .code(10_026)
                    .with("limit", limit.to_string())
                    .hint("raise the stream's max_consumers, or delete unused ones")
            }
            Self::Sealed(stream) => Told::new(Kind::PermissionDenied, "the stream is sealed")
                .code(10_109)
                .with("stream", stream)
                .hint("it is read only for good"),
            Self::DeleteDenied(stream) => {
                Told::new(Kind::PermissionDenied, "message delete not permitted")
                    .code(10_057)
                    .with("stream", stream)
                    .hint("the stream has deny_delete, for good")
            }
            Self::PurgeDenied(stream) => {
                Told::new(Kind::PermissionDenied, "stream purge not permitted")
                    .code(10_110)
                    .with("stream", stream)
                    .hint("the stream has deny_purge, for good")
            }
            Self::RollupDenied => Told::new(Kind::Unsupported, "rollup not permitted")
                .code(10_111)
                .hint("set allow_rollup on the stream"),
            Self::TtlDisabled => Told::new(Kind::Unsupported, "per-message TTL is disabled")
                .code(10_166)
                .hint("set allow_message_ttl on the stream"),
            Self::AtomicDisabled => Told::new(Kind::Unsupported, "atomic publish is disabled")
                .code(10_174)
                .hint("set allow_atomic_publish on the stream"),
            Self::BatchedDisabled => Told::new(Kind::Unsupported, "batch publish is disabled")
                .code(10_205)
                .hint("set allow_batched_publish on the stream"),
            Self::UnknownBatch(batch) => {
                Told::new(Kind::OutcomeUnknown, "the server doesn't know the batch any more")
                    .code(10_208)
                    .with("batch", batch)
                    .hint("what wasn't acknowledged may be stored: look, or repeat it by its ids")
            }
            Self::BatchDuplicate { id } => {
                Told::new(Kind::Conflict, "the batch has a message id that is known already")
                    .code(10_201)
                    .with("message_id", id)
                    .hint("read back whether an earlier try stored the batch")
            }
            Self::BatchIncomplete => {
                Told::new(Kind::Unavailable, "atomic publish batch is incomplete")
                    .code(10_176)
                    .hint("a message of the batch is over the stream's max_message_size")
            }
            Self::BatchHeader(header) => {
                Told::new(Kind::InvalidArgument, "no message of a batch may have this header")
                    .code(10_177)
                    .with("field", "messages")
                    .with("header", header)
            }
            Self::BatchRollup(which) => {
                Told::new(Kind::InvalidArgument, format!("a rollup in a batch must be {which}"))
                    .code(10_111)
                    .with("field", "messages")
            }
            Self::WorkQueue { code, rule } => Told::new(Kind::Unsupported, rule)
                .code(code)
                .hint("give each consumer of a work queue subjects of its own"),
            Self::ReadOfWorkQueue(stream) => {
                Told::new(Kind::InvalidArgument, "a work queue is read by its consumers alone")
                    .code(10_084)
                    .with("stream", stream)
                    .hint("create a consumer and fetch from it")
            }
            Self::Version { option, needs, version } => {
                Told::new(Kind::Unsupported, "the server is too old for it")
                    .with("needs", option)
                    .with("since", needs)
                    .with("server", version)
                    .hint("use a newer server, or do without")
            }
            Self::MadeAnew(stream) => {
                Told::new(Kind::Conflict, "the stream was deleted and made anew")
                    .with("stream", stream)
                    .hint("its sequences count from 1 again: start over")
            }
        }
    }
}
