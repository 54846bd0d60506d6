//! What the reply subject of a delivery tells of it.

use naq_core::Timestamp;

/// The facts in `$JS.ACK.…`, the reply subject of every delivery of a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AckSubject {
    /// How often it has been delivered, 1 at first.
    pub(super) deliveries: u64,
    /// The message's sequence in the stream.
    pub(super) stream_sequence: u64,
    /// The delivery's number in the consumer, from 1.
    pub(super) consumer_sequence: u64,
    /// When the message was stored.
    pub(super) stored_at: Timestamp,
    /// How many that match are still to be delivered.
    pub(super) pending: u64,
}

impl AckSubject {
    /// Whether a subject has one of the two forms, its numbers apart.
    pub(super) fn is_one(subject: &str) -> bool {
        Self::outline(subject).is_some()
    }

    /// What follows the prefix, and how many tokens come before the numbers.
    fn outline(subject: &str) -> Option<(&str, usize)> {
        let rest = subject.strip_prefix("$JS.ACK.")?;
        let tokens = rest.bytes().filter(|byte| *byte == b'.').count() + 1;
        match tokens {
            7 => Some((rest, 2)),
            9.. => Some((rest, 4)),
            _ => None,
        }
    }

    /// Reads the short form, `$JS.ACK.<stream>.<consumer>.` and five numbers,
    /// and the long one, which puts domain and account before the stream and
    /// may append more.
    pub(super) fn parse(subject: &str) -> Option<Self> {
        let (rest, skipped) = Self::outline(subject)?;
        let mut tokens = rest.split('.').skip(skipped);
        let mut number = || tokens.next()?.parse::<u64>().ok();
        Some(Self {
            deliveries: number()?,
            stream_sequence: number()?,
            consumer_sequence: number()?,
            // Nanoseconds since 1970, as the server holds them: signed.
            stored_at: Timestamp::from_nanos(number()?.cast_signed()),
            pending: number()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANT: AckSubject = AckSubject {
        deliveries: 1,
        stream_sequence: 100,
        consumer_sequence: 7,
        stored_at: Timestamp::from_nanos(1_700_000_000_123_456_789),
        pending: 42,
    };

    #[test]
    fn both_forms_are_read() {
        for subject in [
            "$JS.ACK.S.c.1.100.7.1700000000123456789.42",
            "$JS.ACK.hub.ACCHASH.S.c.1.100.7.1700000000123456789.42",
            "$JS.ACK._.ACCHASH.S.c.1.100.7.1700000000123456789.42.rand0m",
        ] {
            assert_eq!(AckSubject::parse(subject), Some(WANT), "{subject}");
        }
    }

    #[test]
    fn other_subjects_are_none() {
        for subject in ["_INBOX.a.1", "$JS.ACK.S.c.1.2.3.4", "$JS.ACK.S.c.x.100.7.1.42"] {
            assert_eq!(AckSubject::parse(subject), None, "{subject}");
        }
    }
}
