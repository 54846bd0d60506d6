//! Fetching messages by what is known of them.

use super::StreamInfo;
use crate::{Error, ErrorKind};

/// The server's code for a message that isn't there.
///
/// Every JetStream gives it as `error_code` in the context of such an error,
/// so that [`is_no_message`] can tell it from a stream that isn't there.
pub const NO_MESSAGE: u32 = 10_037;

/// Whether an error says that the message isn't there, while its stream is.
#[must_use]
pub fn is_no_message(error: &Error) -> bool {
    error.is(ErrorKind::NotFound)
        && error.get("error_code").is_some_and(|code| code.parse() == Ok(NO_MESSAGE))
}

/// Who may answer for a stored message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Consistency {
    /// The stream's leader: sees every acknowledged message. Compare and set needs it.
    #[default]
    Leader,
    /// Any replica, where the stream allows it: quicker, may lag behind an ack.
    Any,
}

/// Which one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The one with this sequence.
    Sequence(u64),
    /// The last one on a subject (or on a filter's subjects).
    LastBySubject(String),
    /// The first one on a filter's subjects from a sequence on.
    NextBySubject {
        /// The subject or filter.
        subject: String,
        /// The lowest sequence that will do.
        sequence: u64,
    },
}

/// A request for one message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetMessage {
    /// Which one.
    pub which: Which,
    /// Who may answer.
    pub consistency: Consistency,
}

impl GetMessage {
    /// A request that the leader answers.
    #[must_use]
    pub const fn new(which: Which) -> Self {
        Self { which, consistency: Consistency::Leader }
    }

    /// Sets who may answer.
    #[must_use]
    pub const fn with_consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = consistency;
        self
    }
}

/// Which messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhichMany {
    /// Those with these sequences, answered in this order.
    Sequences(Vec<u64>),
    /// The last one on each of these subjects (no wildcards), answered in this order.
    LastBySubjects(Vec<String>),
    /// The first `limit` ones from a sequence on, in the stream's order.
    From {
        /// The lowest sequence that will do.
        sequence: u64,
        /// Only subjects that match this filter; `None` for all.
        subject: Option<String>,
        /// How many at most, at least 1.
        limit: u64,
    },
}

/// A request for many messages.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetMessages {
    /// Which ones.
    pub which: WhichMany,
    /// Who may answer.
    pub consistency: Consistency,
}

impl GetMessages {
    /// A request that the leader answers.
    #[must_use]
    pub const fn new(which: WhichMany) -> Self {
        Self { which, consistency: Consistency::Leader }
    }

    /// Sets who may answer.
    #[must_use]
    pub const fn with_consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = consistency;
        self
    }
}

/// One page of how many messages each subject has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectCounts {
    /// The stream as it stood just before they were counted.
    pub info: StreamInfo,
    /// Subjects and their messages, in no particular order.
    pub counts: Vec<(String, u64)>,
    /// How many subjects match in all.
    pub total: u64,
    /// Where the next page begins; `None` after the last.
    pub next_offset: Option<u64>,
}
