//! Marks: what is noted of a segment's events beside them.

use naq_core::{Result, Timestamp};

use super::frame;
use super::header::Fields;
use super::positions::PositionSet;
use super::sent::SentContext;

/// What became of an event in the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpoolOutcome {
    /// The stream has it.
    Acked,
    /// It was refused for good, or given up.
    Failed,
    /// A policy dropped it to make room.
    Dropped,
    /// Its record was damaged on the disk.
    Corrupt,
}

impl SpoolOutcome {
    const fn code(self) -> u8 {
        match self {
            Self::Acked => 1,
            Self::Failed => 2,
            Self::Dropped => 3,
            Self::Corrupt => 4,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Acked),
            2 => Some(Self::Failed),
            3 => Some(Self::Dropped),
            4 => Some(Self::Corrupt),
            _ => None,
        }
    }
}

/// One mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    /// These are about to be sent.
    Sent { first: u64, last: u64, context: SentContext },
    /// These have their outcome.
    Settled { outcome: SpoolOutcome, positions: PositionSet },
    /// Nothing is added to the segment any more: its last event stands before `next`,
    /// and its file has so many bytes.
    Sealed { next: u64, bytes: u64 },
}

const SENT: u8 = 1;
const SETTLED: u8 = 2;
const SEALED: u8 = 3;

impl Mark {
    /// Adds the mark's frame to `out`.
    ///
    /// # Errors
    /// `TooLarge` for a set of more runs than a frame can hold; some eight millions.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        frame::write(out, 0, |out| {
            let mut number = |number: u64| out.extend_from_slice(&number.to_le_bytes());
            match self {
                Self::Sent { first, last, context } => {
                    number(*first);
                    number(*last);
                    number(context.last_sequence);
                    out.extend_from_slice(&context.stream_created.as_nanos().to_le_bytes());
                    out.extend_from_slice(&context.sent_at.as_nanos().to_le_bytes());
                    out.push(SENT);
                }
                Self::Settled { outcome, positions } => {
                    for (first, last) in positions.pairs() {
                        number(first);
                        number(last);
                    }
                    out.extend_from_slice(&[outcome.code(), SETTLED]);
                }
                Self::Sealed { next, bytes } => {
                    number(*next);
                    number(*bytes);
                    out.push(SEALED);
                }
            }
            Ok(())
        })
    }

    /// Reads the body of a mark's frame; `None` for one that is not known here.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let (kind, body) = body.split_last()?;
        match *kind {
            SENT => {
                let mut fields = Fields(body);
                let (first, last, last_sequence) = (fields.u64()?, fields.u64()?, fields.u64()?);
                let stream_created = Timestamp::from_nanos(fields.i64()?);
                let sent_at = Timestamp::from_nanos(fields.i64()?);
                let context = SentContext { stream_created, last_sequence, sent_at };
                (first <= last).then_some(Self::Sent { first, last, context })
            }
            SETTLED => {
                let (code, runs) = body.split_last()?;
                let outcome = SpoolOutcome::from_code(*code)?;
                let mut fields = Fields(runs);
                let mut positions = PositionSet::new();
                while let (Some(first), Some(last)) = (fields.u64(), fields.u64()) {
                    positions.insert_run(first, last);
                }
                Some(Self::Settled { outcome, positions })
            }
            SEALED => {
                let mut fields = Fields(body);
                Some(Self::Sealed { next: fields.u64()?, bytes: fields.u64()? })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::HEAD_BYTES;
    use super::*;

    #[test]
    fn each_mark_is_read_back() {
        let at = Timestamp::from_nanos;
        let context = SentContext { stream_created: at(5), last_sequence: 9, sent_at: at(-1) };
        let positions: PositionSet =
            [1, 2, 3, 9].map(super::super::SpoolPosition).into_iter().collect();
        for mark in [
            Mark::Sent { first: 3, last: 8, context },
            Mark::Settled { outcome: SpoolOutcome::Acked, positions: positions.clone() },
            Mark::Settled { outcome: SpoolOutcome::Corrupt, positions },
            Mark::Sealed { next: 10, bytes: 4_096 },
        ] {
            let mut out = Vec::new();
            mark.write(&mut out).unwrap();
            assert_eq!(Mark::read(&out[HEAD_BYTES..]), Some(mark));
        }
    }

    #[test]
    fn what_is_no_mark_is_none() {
        for body in [&[] as &[u8], &[SENT], &[7, 9], &[9, SETTLED], &[1, 2, 3, SEALED]] {
            assert_eq!(Mark::read(body), None, "{body:?}");
        }
    }
}
