//! "What is failing, since when, and is it getting worse?": errors by fingerprint.

use serde::{Deserialize, Serialize};

use super::question::{check_question, question_setters};
use crate::events::{AnswerBasis, Filter, ScanLimits, TimeRange};
use crate::{Error, Result, Timestamp};

/// "What is failing": the errors of a range of time that occurred most.
///
/// Errors are told apart by their fingerprint and their `error_type`, and
/// counted by whole minutes of the events' own timestamps: a range that begins
/// or ends within a minute takes all of it, and the answer says so.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TopErrorsRequest {
    /// From the minute of this time on; `None` for the log's beginning.
    pub start: Option<Timestamp>,
    /// Up to the minute of this time, included.
    pub end: Option<Timestamp>,
    /// Only errors that no event told of before this time.
    pub new_since: Option<Timestamp>,
    /// Only events that pass it are looked at. Any condition costs a reading
    /// of the log.
    pub filter: Filter,
    /// How many errors are listed, 1 to [`MAX_LIMIT`](Self::MAX_LIMIT); 20 by default.
    pub limit: usize,
    /// How much it may read.
    pub scan: ScanLimits,
}

impl TopErrorsRequest {
    /// The most errors that are listed.
    pub const MAX_LIMIT: usize = 1_000;

    /// Leaves out errors that were there before this time.
    #[must_use]
    pub fn with_new_since(mut self, time: Timestamp) -> Self {
        self.new_since = Some(time);
        self
    }

    /// Sets how many errors are listed.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Checks range, filter and limits.
    ///
    /// # Errors
    /// `InvalidArgument` for an end before the start, a filter that is wrong,
    /// or a limit of 0 or above [`MAX_LIMIT`](Self::MAX_LIMIT).
    pub fn validate(&self) -> Result<()> {
        const TOP_ERRORS: &str = "top_errors";
        if self.limit == 0 || self.limit > Self::MAX_LIMIT {
            return Err(Error::invalid(TOP_ERRORS, "limit", "must be 1 to 1000")
                .with("limit", self.limit.to_string()));
        }
        check_question(TOP_ERRORS, (self.start, self.end), &self.filter, self.scan)
    }
}

question_setters! {
    TopErrorsRequest,
    range: "Sets the range; an open end is the log's.",
    filter: "Sets which events are looked at."
}

impl Default for TopErrorsRequest {
    fn default() -> Self {
        Self {
            start: None,
            end: None,
            new_since: None,
            filter: Filter::new(),
            limit: 20,
            scan: ScanLimits::default(),
        }
    }
}

/// The errors of a range of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TopErrors {
    /// The range that was counted: whole minutes.
    pub time_range: TimeRange,
    /// The range of the same length before it; `None` where the asked one has no start.
    pub before: Option<TimeRange>,
    /// Occurrences in the range, of all its errors that are told apart, listed or not.
    pub total: u64,
    /// How many different errors occurred in the range.
    pub different: u64,
    /// Those that occurred most, in this order.
    pub errors: Vec<ErrorGroup>,
    /// Occurrences that are in no group: those in the range of errors beyond the
    /// [`MAX_GROUPS`](Self::MAX_GROUPS) that occurred most in it, and those of
    /// which there were too many in one digest of events that are gone, where
    /// it has any of the range or of the one before.
    pub unlisted: u64,
    /// Occurrences of which there were too many in one digest that has nothing of
    /// the range or of the one before. An error that is listed may be among them:
    /// above 0, its first and last time are those that are known.
    #[serde(default)]
    pub unlisted_elsewhere: u64,
    /// How often any error that is in no group occurred in the range at most: what
    /// is listed with more has its place for certain.
    #[serde(default)]
    pub unlisted_at_most: u64,
    /// What it was made from.
    pub basis: AnswerBasis,
}

impl TopErrors {
    /// How many different errors of the range are told apart, however many
    /// there are in the whole log. Where those are more, the log's digests, or
    /// with a filter the log, are gone through twice: each time up to the limits
    /// of messages and of bytes, and both within the limit of time.
    pub const MAX_GROUPS: usize = 10_000;

    /// No error in a range.
    #[must_use]
    pub fn new(time_range: TimeRange, before: Option<TimeRange>) -> Self {
        Self {
            time_range,
            before,
            total: 0,
            different: 0,
            errors: Vec::new(),
            unlisted: 0,
            unlisted_elsewhere: 0,
            unlisted_at_most: 0,
            basis: AnswerBasis::default(),
        }
    }
}

/// One error: events whose messages differ in numbers, ids and the like alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErrorGroup {
    /// The message without what varies: `#` for a number, `<id>`, `<path>`, `<text>`.
    pub fingerprint: String,
    /// The `error_type` of its events.
    pub error_type: Option<String>,
    /// How often it occurred in the range.
    pub count: u64,
    /// How often in the range before; `None` where there is none.
    pub count_before: Option<u64>,
    /// When it occurred first, at any time that is known.
    pub first_seen: Timestamp,
    /// When it occurred last, at any time.
    pub last_seen: Timestamp,
    /// The jobs that had it last, at most three, the newest first.
    pub jobs: Vec<String>,
}

impl ErrorGroup {
    /// An error that occurred so often in a range.
    #[must_use]
    pub fn new(
        fingerprint: impl Into<String>,
        error_type: Option<String>,
        count: u64,
        (first_seen, last_seen): (Timestamp, Timestamp),
    ) -> Self {
        Self {
            fingerprint: fingerprint.into(),
            error_type,
            count,
            count_before: None,
            first_seen,
            last_seen,
            jobs: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_ranges_are_checked() {
        let at = |nanos| Some(Timestamp::from_nanos(nanos));
        let request = TopErrorsRequest::default;
        request().with_range(at(1), at(1)).with_limit(1_000).validate().unwrap();
        let wrong = [
            (request().with_limit(0), "limit"),
            (request().with_limit(1_001), "limit"),
            (request().with_range(at(2), at(1)), "end_time"),
            (request().with_scan(ScanLimits::default().with_max_messages(0)), "max_messages"),
        ];
        for (request, field) in wrong {
            assert_eq!(request.validate().unwrap_err().get("field"), Some(field));
        }
    }
}
