//! Several filters of one consumer.

use naq_core::jetstream::{check_filter, filters_overlap};
use naq_core::{Error, Result};

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
