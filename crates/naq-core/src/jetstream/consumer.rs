//! Durable consumers: a position that the server keeps, with acknowledgements.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Timestamp;

use super::{ReadStart, StoredMessage};

/// A durable pull consumer with explicit acknowledgements.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerConfig {
    /// Its name: no space, `.`, `*`, `>`, `/` or `\`.
    pub name: String,
    /// A text for people.
    pub description: Option<String>,
    /// Where it begins when it is made.
    pub start: ReadStart,
    /// Only messages on subjects that match one of these filters; empty for all.
    pub subjects: Vec<String>,
    /// After how long without an answer a message is delivered again; 30 s by default.
    pub ack_wait: Duration,
    /// How often a message is delivered at most; 0 is without limit.
    pub max_deliver: u64,
    /// How many messages may be delivered and unanswered; 0 is the server's default.
    pub max_ack_pending: u64,
    /// Waits before the 1st, 2nd, … redelivery in place of `ack_wait`; empty for none.
    pub backoff: Vec<Duration>,
    /// After how long without use it is removed; zero is never.
    pub inactive_threshold: Duration,
    /// How many servers keep its state; 0 is as many as the stream has.
    pub replicas: u32,
    /// Facts of the user's own.
    pub metadata: BTreeMap<String, String>,
}

impl ConsumerConfig {
    /// A consumer of all messages from the beginning.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: None,
            start: ReadStart::Beginning,
            subjects: Vec::new(),
            ack_wait: Duration::from_secs(30),
            max_deliver: 0,
            max_ack_pending: 0,
            backoff: Vec::new(),
            inactive_threshold: Duration::ZERO,
            replicas: 0,
            metadata: BTreeMap::new(),
        }
    }

    /// Sets where it begins.
    #[must_use]
    pub fn with_start(mut self, start: ReadStart) -> Self {
        self.start = start;
        self
    }

    /// Adds a subject filter.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.subjects.push(subject.into());
        self
    }

    /// Sets after how long without an answer a message is delivered again.
    #[must_use]
    pub fn with_ack_wait(mut self, ack_wait: Duration) -> Self {
        self.ack_wait = ack_wait;
        self
    }

    /// Sets how often a message is delivered at most.
    #[must_use]
    pub fn with_max_deliver(mut self, max_deliver: u64) -> Self {
        self.max_deliver = max_deliver;
        self
    }

    /// Sets how many messages may be delivered and unanswered.
    #[must_use]
    pub fn with_max_ack_pending(mut self, max_ack_pending: u64) -> Self {
        self.max_ack_pending = max_ack_pending;
        self
    }
}

/// A consumer as the server tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerInfo {
    /// The stream it reads.
    pub stream: String,
    /// Its configuration.
    pub config: ConsumerConfig,
    /// When it was created.
    pub created: Timestamp,
    /// The stream sequence of the newest message delivered.
    pub delivered: u64,
    /// All messages up to this stream sequence are acknowledged.
    pub ack_floor: u64,
    /// How many messages are delivered and unanswered.
    pub ack_pending: u64,
    /// How many messages are waiting to be delivered more than once.
    pub redelivered: u64,
    /// How many messages that match have not been delivered yet.
    pub pending: u64,
    /// How messages are to be acknowledged, as the server names it: `explicit`
    /// unless somebody else made it otherwise.
    pub ack_policy: String,
    /// Whether somebody else made it push what others are to fetch.
    pub is_push: bool,
}

impl ConsumerInfo {
    /// An info of a consumer that has delivered nothing.
    #[must_use]
    pub fn new(stream: impl Into<String>, config: ConsumerConfig, created: Timestamp) -> Self {
        Self {
            stream: stream.into(),
            config,
            created,
            delivered: 0,
            ack_floor: 0,
            ack_pending: 0,
            redelivered: 0,
            pending: 0,
            ack_policy: "explicit".to_owned(),
            is_push: false,
        }
    }
}

/// How much to fetch from a consumer, and how long to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchOptions {
    /// How many messages at most, at least 1.
    pub max_messages: usize,
    /// How many bytes at most; 0 is without limit.
    pub max_bytes: u64,
    /// How long to wait for the first message; zero takes only what is there.
    pub wait: Duration,
}

impl FetchOptions {
    /// Up to this many messages, waiting up to 5 s for the first.
    #[must_use]
    pub const fn new(max_messages: usize) -> Self {
        Self { max_messages, max_bytes: 0, wait: Duration::from_secs(5) }
    }

    /// Sets how many bytes at most.
    #[must_use]
    pub const fn with_max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// Sets how long to wait for the first message.
    #[must_use]
    pub const fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

/// Which delivery an acknowledgement answers; made by the JetStream that delivered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AckToken(String);

impl AckToken {
    /// Wraps what an implementation needs to find the delivery again.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// What the implementation put in.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A message that a consumer delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerMessage {
    /// The message.
    pub message: StoredMessage,
    /// How often it has been delivered, this time included: 1 at first.
    pub deliveries: u64,
    /// How many messages that match were still to be delivered behind it.
    pub pending: u64,
    /// With which to answer.
    pub token: AckToken,
}

/// The answer to a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledge {
    /// Done. Sent, not confirmed: if it is lost, the message comes again.
    Done,
    /// Done, and wait for the server to confirm it.
    DoneConfirmed,
    /// Not done: deliver it again, after a delay (zero: at once).
    Retry {
        /// How long to wait.
        after: Duration,
    },
    /// Still at work: start `ack_wait` anew.
    InProgress,
    /// Never deliver it again.
    Terminate {
        /// Why, for the server's advisories; servers from 2.11 pass it on.
        reason: Option<String>,
    },
}
