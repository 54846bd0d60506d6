//! What questions have in common: a range, a filter, and how much may be read.

use crate::events::{Filter, ScanLimits};
use crate::{Error, Result, Timestamp};

/// The setters that questions have in common, in the words of each.
macro_rules! question_setters {
    ($question:ty, range: $range:literal, filter: $filter:literal) => {
        impl $question {
            #[doc = $range]
            #[must_use]
            pub fn with_range(mut self, start: Option<Timestamp>, end: Option<Timestamp>) -> Self {
                (self.start, self.end) = (start, end);
                self
            }

            #[doc = $filter]
            #[must_use]
            pub fn with_filter(mut self, filter: Filter) -> Self {
                self.filter = filter;
                self
            }

            /// Sets how much it may read.
            #[must_use]
            pub fn with_scan(mut self, scan: ScanLimits) -> Self {
                self.scan = scan;
                self
            }
        }
    };
}
pub(super) use question_setters;

/// Checks what questions have in common.
///
/// # Errors
/// `InvalidArgument` for an end before the start, a filter that is wrong, or a
/// scan limit of 0.
pub(super) fn check_question(
    operation: &'static str,
    (start, end): (Option<Timestamp>, Option<Timestamp>),
    filter: &Filter,
    scan: ScanLimits,
) -> Result<()> {
    if let (Some(start), Some(end)) = (start, end)
        && end < start
    {
        return Err(Error::invalid(operation, "end_time", "must not lie before start_time")
            .with("start_time", start.to_string())
            .with("end_time", end.to_string()));
    }
    filter.validate().map_err(|error| error.in_operation(operation))?;
    scan.validate(operation)
}
