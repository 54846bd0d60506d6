//! Reading a stream in order, from the past into the present.

use crate::Timestamp;

use super::StoredMessage;

/// Where a read begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReadStart {
    /// At the stream's first message.
    #[default]
    Beginning,
    /// At this sequence. Messages from it on that are gone are told as a gap.
    Sequence(u64),
    /// At the first message stored at or after this time.
    Time(Timestamp),
    /// Behind the stream's last message at the moment of opening.
    New,
    /// At the last message of each subject that matches, then live.
    LastPerSubject,
}

/// Where a read ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReadUntil {
    /// Never: it goes on live.
    #[default]
    Never,
    /// Behind the stream's last message as it stood when the read was opened.
    Head,
    /// Behind this sequence.
    Sequence(u64),
}

/// How to read a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Where to begin.
    pub start: ReadStart,
    /// Where to end.
    pub until: ReadUntil,
    /// Only messages on subjects that match one of these filters, which must
    /// not overlap; empty for all.
    pub subjects: Vec<String>,
    /// Whether to leave the payloads away.
    pub headers_only: bool,
    /// How many messages at most.
    pub limit: Option<u64>,
    /// The creation time of the stream that is meant; another one is a `Conflict`.
    pub created: Option<Timestamp>,
}

impl ReadOptions {
    /// Sets where to begin.
    #[must_use]
    pub fn with_start(mut self, start: ReadStart) -> Self {
        self.start = start;
        self
    }

    /// Sets where to end.
    #[must_use]
    pub fn with_until(mut self, until: ReadUntil) -> Self {
        self.until = until;
        self
    }

    /// Adds a subject filter.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.subjects.push(subject.into());
        self
    }

    /// Sets all subject filters.
    #[must_use]
    pub fn with_subjects(mut self, subjects: Vec<String>) -> Self {
        self.subjects = subjects;
        self
    }

    /// Sets whether to leave the payloads away.
    #[must_use]
    pub fn with_headers_only(mut self, headers_only: bool) -> Self {
        self.headers_only = headers_only;
        self
    }

    /// Sets how many messages at most.
    #[must_use]
    pub fn with_limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Names the stream that is meant by its creation time.
    #[must_use]
    pub fn with_created(mut self, created: Timestamp) -> Self {
        self.created = Some(created);
        self
    }
}

/// What a read yields. Recovery is part of it, so that nobody can overlook it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// A message; sequences rise strictly within one read.
    Message(StoredMessage),
    /// All that was there when the read opened, or resumed, has been delivered.
    ///
    /// Comes once, and once after each [`Delivery::Resumed`]; also on an empty
    /// stream and on one that never falls quiet.
    CaughtUp {
        /// The stream's last sequence at that moment.
        sequence: u64,
    },
    /// The stream let these sequences go before they were read, whether or not
    /// they matched. Holes behind the stream's first sequence are no gap.
    Gap {
        /// The first sequence that is gone.
        from: u64,
        /// The last sequence that is gone.
        to: u64,
    },
    /// The connection or the consumer broke and was made anew; reading goes on
    /// behind `sequence` without gap or repeat.
    Resumed {
        /// The highest sequence known to be examined.
        sequence: u64,
    },
}
