//! Telling a full subject from a full stream.

use crate::{Error, ErrorKind};

/// The value of `limit` in the context of the error (`LimitReached`) of a
/// message whose subject has as many messages as it may have, in a stream that
/// refuses more ([`discard_new_per_subject`](super::StreamConfig)). Messages of
/// other subjects may be stored meanwhile.
pub const MESSAGES_PER_SUBJECT: &str = "messages per subject";

/// Whether an error says that a message's own subject is full, and not the stream.
#[must_use]
pub fn is_subject_full(error: &Error) -> bool {
    error.is(ErrorKind::LimitReached) && error.get("limit") == Some(MESSAGES_PER_SUBJECT)
}
