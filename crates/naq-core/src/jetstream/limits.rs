//! Telling limits apart that are not the stream's: a subject's, and that of batches.

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

/// The value of `limit` in the context of the error (`LimitReached`) of a fast
/// batch that could not begin because the server has as many under way as it
/// takes. Messages that go one by one may be stored meanwhile.
pub const FAST_BATCHES: &str = "fast batches";

/// Whether an error says that the server has no room for one more fast batch.
#[must_use]
pub fn is_out_of_batches(error: &Error) -> bool {
    error.is(ErrorKind::LimitReached) && error.get("limit") == Some(FAST_BATCHES)
}
