//! Several filters of one consumer.

use naq_core::jetstream::{check_filter, filters_overlap};
use naq_core::{Error, Result};

/// Whether one filter is the beginning of another one, as `a.b` is of `a.b.>`.
///
/// Servers before 2.11 begin a consumer of such filters at the first message of
/// the longer one, and leave out what the shorter one has before it.
pub(super) fn are_nested(subjects: &[String]) -> bool {
    subjects.iter().any(|longer| {
        subjects
            .iter()
            .filter_map(|shorter| longer.strip_prefix(shorter.as_str()))
            .any(|rest| rest.starts_with('.'))
    })
}

/// Checks filters, which must not overlap: a message would match twice.
pub(super) fn check_filters(operation: &'static str, subjects: &[String]) -> Result<()> {
    for (i, subject) in subjects.iter().enumerate() {
        check_filter(operation, subject)?;
        if let Some(other) = subjects[..i].iter().find(|other| filters_overlap(other, subject)) {
            return Err(Error::invalid(operation, "subjects", "must not overlap")
                .with("one", other)
                .with("other", subject));
        }
    }
    Ok(())
}
