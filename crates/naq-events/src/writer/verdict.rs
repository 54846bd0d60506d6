//! What a failed publish means for its event and for the others.

use naq_core::jetstream::is_subject_full;
use naq_core::{Error, ErrorKind, RetryClass};

/// What a failed publish means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Refused for good: trying again can't help. The event ends, its neighbours go on.
    Refused,
    /// Not stored: the stream is full or missing, or the server overloaded. It may pass later.
    NotNow,
    /// Not stored: its subject is full. It may pass later, and others pass meanwhile.
    SubjectFull,
    /// Not sent: there is no connection at the moment.
    Unsent,
    /// Sent, and no word whether it was stored.
    InDoubt,
}

impl Verdict {
    /// Reads an error of the JetStream port.
    ///
    /// A missing stream is `NotNow`: a server that has just started answers so
    /// until it has its streams, and an operator may put one back. It is never
    /// made anew from here. What nobody foresaw is in doubt, because a repeated
    /// publish with the same id does no harm and a given-up event does.
    pub(super) fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::LimitReached if is_subject_full(error) => Self::SubjectFull,
            ErrorKind::NotFound | ErrorKind::LimitReached => Self::NotNow,
            ErrorKind::Unavailable | ErrorKind::Closed | ErrorKind::AuthFailed => Self::Unsent,
            ErrorKind::OutcomeUnknown | ErrorKind::Timeout | ErrorKind::Unexpected => Self::InDoubt,
            _ => match error.retry() {
                RetryClass::Never => Self::Refused,
                RetryClass::Safe => Self::NotNow,
                RetryClass::SafeWithMessageId => Self::InDoubt,
            },
        }
    }

    /// Whether it tells of the connection, so that nothing else will pass either.
    pub(super) const fn breaks_the_session(self) -> bool {
        matches!(self, Self::Unsent | Self::InDoubt)
    }
}

#[cfg(test)]
mod tests {
    use naq_core::jetstream::MESSAGES_PER_SUBJECT;

    use super::*;

    fn of(kind: ErrorKind) -> Verdict {
        Verdict::of(&Error::new(kind, "publish", ""))
    }

    #[test]
    fn only_what_can_never_pass_is_refused_for_good() {
        for kind in [
            ErrorKind::TooLarge,
            ErrorKind::PermissionDenied,
            ErrorKind::InvalidArgument,
            ErrorKind::Conflict,
            ErrorKind::Unsupported,
        ] {
            assert_eq!(of(kind), Verdict::Refused, "{kind}");
        }
        assert_eq!(of(ErrorKind::LimitReached), Verdict::NotNow);
        assert_eq!(of(ErrorKind::NotFound), Verdict::NotNow);
        assert_eq!(of(ErrorKind::Unavailable), Verdict::Unsent);
        assert_eq!(of(ErrorKind::OutcomeUnknown), Verdict::InDoubt);
        assert_eq!(of(ErrorKind::Unexpected), Verdict::InDoubt);
    }

    #[test]
    fn a_full_subject_is_told_from_a_full_stream() {
        let full = Error::new(ErrorKind::LimitReached, "publish", "full");
        assert_eq!(Verdict::of(&full), Verdict::NotNow);
        let full = full.with("limit", MESSAGES_PER_SUBJECT);
        assert_eq!(Verdict::of(&full), Verdict::SubjectFull);
    }

    #[test]
    fn an_error_that_allows_a_retry_is_retried_whatever_its_kind() {
        let conflict = Error::new(ErrorKind::Conflict, "publish", "the first one is under way");
        let retried = conflict.with_retry(RetryClass::SafeWithMessageId);
        assert_eq!(Verdict::of(&retried), Verdict::InDoubt);
    }
}
