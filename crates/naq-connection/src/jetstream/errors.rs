//! The one mapping from what a JetStream server answers to the kinds of naq.

use std::fmt;

use naq_core::jetstream::{FAST_BATCHES, MESSAGES_PER_SUBJECT};
use naq_core::{Error, ErrorKind, RetryClass};
use serde::Deserialize;

/// An error as the server words it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct ApiError {
    /// Like a status of HTTP.
    pub(super) code: u16,
    /// Which error it is; 0 from very old answers.
    #[serde(default)]
    pub(super) err_code: u32,
    /// For people.
    #[serde(default)]
    pub(super) description: String,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (error code {})", self.description, self.err_code)
    }
}

impl std::error::Error for ApiError {}

/// An expected last sequence did not hold (with and without the sequence in its text).
pub(super) const WRONG_LAST_SEQUENCE: [u32; 2] = [10_071, 10_164];
/// There is no such stream.
pub(super) const STREAM_NOT_FOUND: u32 = 10_059;

impl ApiError {
    /// What kind of naq it is.
    pub(super) fn kind(&self) -> ErrorKind {
        match self.err_code {
            // Consumer, message, stream not found; a consumer to update that isn't there.
            10_014 | 10_037 | 10_059 | 10_149 => ErrorKind::NotFound,
            10_043 => ErrorKind::NotFound,
            // A message to delete: the text alone says why not.
            10_057 if ["not found", "no message", "eof"].iter().any(|w| self.says(w)) => {
                ErrorKind::NotFound
            }
            10_057 if self.says("not permitted") => ErrorKind::PermissionDenied,
            // A consumer's or a stream's name in use; a consumer that is there and differs.
            10_013 | 10_058 | 10_105 | 10_148 => ErrorKind::AlreadyExists,
            // Expectations: stream, last message id, last sequences; overlapping subjects;
            // a copy of the message, or another batch, still on its way.
            10_060 | 10_065 | 10_070 | 10_071 | 10_164 | 10_201 => ErrorKind::Conflict,
            10_158 | 10_163 => ErrorKind::Unavailable,
            // A batch of which the server lost a part: it stored nothing.
            10_176 => ErrorKind::Unavailable,
            // Over the message size, the header size, the batch size.
            10_054 | 10_097 | 10_199 => ErrorKind::TooLarge,
            // Resources of the account or server; streams, consumers, storage, memory; a full
            // stream; too many requests or batches at a time.
            10_002 | 10_023 | 10_026 | 10_027 | 10_028 | 10_047 | 10_077 | 10_120 | 10_122
            | 10_167 | 10_210 | 10_211 => ErrorKind::LimitReached,
            // JetStream is off, for all or for this account; what needs a cluster; TTL, counters,
            // batches that the stream doesn't allow; too low an API level.
            10_010 | 10_036 | 10_039 | 10_074 | 10_076 | 10_166 | 10_168 | 10_174 | 10_185
            | 10_188 | 10_205 => ErrorKind::Unsupported,
            // A work queue's rules for consumers.
            10_098..=10_101 => ErrorKind::Unsupported,
            // Sealed; a purge or a delete that the stream denies.
            10_109 => ErrorKind::PermissionDenied,
            10_110 if self.says("not permitted") => ErrorKind::PermissionDenied,
            // A rollup that the stream doesn't allow.
            10_111 if self.says("not permitted") => ErrorKind::Unsupported,
            // The cluster has no leader at the moment, or the stream is offline.
            10_004..=10_009 | 10_041 | 10_118 | 10_119 | 10_194 | 10_195 => ErrorKind::Unavailable,
            // The server's disk, or the folder of a stream that is still being removed.
            10_049 if self.says("creating store") => ErrorKind::Unavailable,
            10_084 | 10_085 => ErrorKind::InvalidArgument,
            _ => self.kind_by_status(),
        }
    }

    fn kind_by_status(&self) -> ErrorKind {
        match self.code {
            400 => ErrorKind::InvalidArgument,
            404 => ErrorKind::NotFound,
            408 => ErrorKind::Timeout,
            429 => ErrorKind::LimitReached,
            503 => ErrorKind::Unavailable,
            // Most of what a configuration can have wrong comes as a 500.
            500 if self.err_code == 10_052 || self.says("invalid") => ErrorKind::InvalidArgument,
            500 if matches!(self.err_code, 10_012 | 10_049 | 10_069) => ErrorKind::InvalidArgument,
            _ => ErrorKind::Unexpected,
        }
    }

    fn says(&self, words: &str) -> bool {
        self.description.to_ascii_lowercase().contains(words)
    }

    /// The error that a caller sees.
    pub(super) fn into_error(self, operation: &'static str) -> Error {
        let kind = self.kind();
        let error = Error::new(kind, operation, self.description.clone())
            .with("error_code", self.err_code.to_string());
        let error = match self.limit() {
            Some(limit) => error.with("limit", limit),
            None => error,
        };
        let error = match self.hint() {
            Some(hint) => error.with_hint(hint),
            None => error,
        };
        // What the server refused was not carried out.
        let error = match kind {
            ErrorKind::Unavailable | ErrorKind::Timeout => error.with_retry(RetryClass::Safe),
            _ => error,
        };
        error.with_source(self)
    }

    /// Which limit it is, where something else passes all the same.
    fn limit(&self) -> Option<&'static str> {
        match self.err_code {
            10_077 if self.says(MESSAGES_PER_SUBJECT) => Some(MESSAGES_PER_SUBJECT),
            10_211 => Some(FAST_BATCHES),
            _ => None,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        Some(match self.err_code {
            10_059 => "create the stream first, or check its name",
            10_076 => "start nats-server with -js, or set jetstream in its configuration",
            10_039 => "enable JetStream for the account on the server",
            10_023 | 10_028 | 10_047 => {
                "the account's or server's storage is used up: raise its limits, or remove messages"
            }
            10_026 => {
                "the stream takes no more consumers: raise max_consumers, or delete unused ones"
            }
            10_065 => "another stream takes such subjects: choose others, or delete that stream",
            10_071 | 10_164 => "somebody wrote in between: read the newest state and decide anew",
            10_111 => "set allow_rollup on the stream, and don't set deny_purge",
            10_077 => {
                "the stream is full: raise its limits, purge it, or let it discard old messages"
            }
            10_054 => "send less, or raise the stream's max_message_size",
            10_109 => "the stream is sealed for good",
            10_166 => "set allow_message_ttl on the stream",
            10_176 => "all messages must be for one stream; if they are, publish the batch again",
            10_174 => "set allow_atomic_publish on the stream",
            10_205 => "set allow_batched_publish on the stream",
            10_211 => "too many fast batches are under way: wait until others have ended",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use naq_core::jetstream::{is_out_of_batches, is_subject_full};

    use super::*;

    fn kind(code: u16, err_code: u32, description: &str) -> ErrorKind {
        ApiError { code, err_code, description: description.into() }.kind()
    }

    #[test]
    fn codes_become_kinds() {
        for (code, err_code, description, want) in [
            (404, 10_059, "stream not found", ErrorKind::NotFound),
            (404, 10_014, "consumer not found", ErrorKind::NotFound),
            (404, 10_037, "no message found", ErrorKind::NotFound),
            (500, 10_057, "stream sequence not found", ErrorKind::NotFound),
            (500, 10_057, "stream store EOF", ErrorKind::NotFound),
            (500, 10_111, "rollup not permitted", ErrorKind::Unsupported),
            (400, 10_058, "stream name already in use", ErrorKind::AlreadyExists),
            (400, 10_071, "wrong last sequence: 5", ErrorKind::Conflict),
            (400, 10_164, "wrong last sequence", ErrorKind::Conflict),
            (400, 10_065, "subjects overlap with an existing stream", ErrorKind::Conflict),
            (400, 10_060, "expected stream does not match", ErrorKind::Conflict),
            (503, 10_077, "maximum bytes exceeded", ErrorKind::LimitReached),
            (503, 10_023, "insufficient resources", ErrorKind::LimitReached),
            (429, 10_167, "too many requests", ErrorKind::LimitReached),
            (400, 10_054, "message size exceeds maximum allowed", ErrorKind::TooLarge),
            (500, 10_052, "duplicates window can not be larger", ErrorKind::InvalidArgument),
            (503, 10_076, "JetStream not enabled", ErrorKind::Unsupported),
            (503, 10_039, "JetStream not enabled for account", ErrorKind::Unsupported),
            (400, 10_109, "invalid operation on sealed stream", ErrorKind::PermissionDenied),
            (503, 10_008, "JetStream system temporarily unavailable", ErrorKind::Unavailable),
            (400, 99_999, "one of the future", ErrorKind::InvalidArgument),
        ] {
            assert_eq!(kind(code, err_code, description), want, "{err_code} {description}");
        }
    }

    #[test]
    fn a_full_subject_is_told_from_a_full_stream() {
        let full = |what: &str| {
            let description = format!("maximum {what} exceeded");
            ApiError { code: 503, err_code: 10_077, description }.into_error("publish")
        };
        assert!(is_subject_full(&full("messages per subject")));
        assert!(!is_subject_full(&full("messages")) && !is_subject_full(&full("bytes")));
    }

    #[test]
    fn too_many_fast_batches_are_told_from_other_limits() {
        let refused = |err_code| {
            let description = "too many inflight".into();
            ApiError { code: 429, err_code, description }.into_error("publish_many")
        };
        assert!(is_out_of_batches(&refused(10_211)));
        assert!(!is_out_of_batches(&refused(10_210)) && !is_out_of_batches(&refused(10_167)));
    }

    #[test]
    fn a_full_stream_may_be_tried_again_and_a_conflict_not() {
        let error = |err_code| ApiError { code: 503, err_code, description: String::new() };
        assert_eq!(error(10_077).into_error("publish").retry(), RetryClass::Safe);
        assert_eq!(error(10_071).into_error("publish").retry(), RetryClass::Never);
    }
}
