//! How far the digests in the store reach without one that is missing.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};

use naq_core::jetstream::{GetMessage, Which, is_no_message};
use naq_core::{ErrorKind, Result, Timestamp};

use super::cell::Name;
use super::digest::{Digest, block_end, block_of, block_start};
use super::kept::Digests;
use crate::read::OpenLog;

/// How many blocks are looked at together.
const CHUNK: usize = 32;

/// How many types of event are known at most.
const MOST_TYPES: usize = 10_000;

/// The part of a log that is in digests which the store has, as far as it was
/// looked at.
#[derive(Debug, Default)]
pub(crate) struct Digested {
    /// When the log was made, and the turn in which it was looked at.
    of: (Timestamp, u64),
    /// The blocks below it that have events are in whole digests.
    below: u64,
    types: BTreeSet<String>,
}

impl Digests {
    /// Whether the store has digests now of all that the log has between these
    /// sequences, the last one not included.
    pub(crate) async fn has(&self, open: &OpenLog, sequences: Range<u64>) -> Result<bool> {
        let Some(last) = sequences.end.checked_sub(1).filter(|last| *last >= sequences.start)
        else {
            return Ok(true);
        };
        let mut gap = Gap::default();
        let blocks: Vec<u64> = (block_of(sequences.start)..=block_of(last)).collect();
        for blocks in blocks.chunks(CHUNK) {
            for (block, digest) in blocks.iter().zip(self.stored(open.info.created, blocks).await?)
            {
                let reach = last.min(block_end(*block));
                let has = match digest {
                    Some(digest) => digest.through >= reach,
                    None => gap.has(open, sequences.start.max(block_start(*block))..=reach).await?,
                };
                if !has {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

impl Digested {
    /// Looks on, and answers the last sequence up to which every event that is
    /// in the log is in a digest of the store too; 0 where none is.
    ///
    /// A whole digest is looked at once, and then taken to stay.
    pub(crate) async fn look(&mut self, digests: &Digests, open: &OpenLog) -> Result<u64> {
        let (created, state) = (open.info.created, &open.info.state);
        digests.look(open).await?;
        let of = (created, open.turn());
        if self.of != of {
            *self = Self { of, ..Self::default() };
        }
        if state.last_sequence == 0 {
            return Ok(0);
        }
        // What lies before the log's first event needs no digest any more.
        self.below = self.below.max(block_of(state.first_sequence));
        let end = block_of(state.last_sequence) + 1;
        let mut gap = Gap::default();
        while self.below < end {
            let blocks: Vec<u64> = (self.below..end).take(CHUNK).collect();
            let stored = digests.stored(created, &blocks).await?;
            for (block, digest) in blocks.into_iter().zip(stored) {
                // One that goes beyond the log's end is of what a server has lost.
                let digest = digest.filter(|digest| digest.through <= state.last_sequence);
                let end = block_end(block);
                match digest {
                    Some(digest) => {
                        self.learn(&digest);
                        if digest.through < end {
                            return Ok(digest.through);
                        }
                    }
                    // Who finds nothing in a block keeps no digest of it.
                    None if end <= state.last_sequence
                        && gap.has(open, block_start(block)..=end).await? => {}
                    None => return Ok(block_start(block) - 1),
                }
                self.below = block + 1;
            }
        }
        Ok(state.last_sequence)
    }

    /// The types of the events in those digests, the first 10,000 of them.
    pub(crate) fn types(&self) -> impl Iterator<Item = &str> {
        self.types.iter().map(String::as_str)
    }

    fn learn(&mut self, digest: &Digest) {
        let mut known: BTreeSet<Name> = BTreeSet::new();
        for (key, _) in &digest.cells {
            if known.insert(key.event_type)
                && let Some(name) = digest.name(key.event_type)
                && !self.types.contains(name)
                && self.types.len() < MOST_TYPES
            {
                self.types.insert(name.to_owned());
            }
        }
    }
}

/// A part of the log that has no messages: what it was asked for last.
#[derive(Debug, Default)]
struct Gap(Range<u64>);

impl Gap {
    /// Whether the log has no message between these sequences; no, where the
    /// credentials don't let that be asked. Asks once for a part without any,
    /// however many blocks that reaches over.
    async fn has(&mut self, open: &OpenLog, sequences: RangeInclusive<u64>) -> Result<bool> {
        let (start, end) = sequences.into_inner();
        if !self.0.contains(&start) || !self.0.contains(&end) {
            let which = Which::NextBySubject { subject: ">".to_owned(), sequence: start };
            let stream = &open.info.config.name;
            let next = match open.jetstream.get_message(stream, GetMessage::new(which)).await {
                Ok(next) => next.sequence,
                // What comes later comes behind the end that the log had.
                Err(error) if is_no_message(&error) => u64::MAX,
                Err(error) if error.is(ErrorKind::PermissionDenied) => return Ok(false),
                Err(error) => return Err(error),
            };
            self.0 = start..next;
        }
        Ok(self.0.contains(&end))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use naq_core::Error;
    use naq_core::jetstream::{MockJetStream, StreamConfig, StreamInfo, StreamState};

    use super::*;
    use crate::made_up::{CREATED, memory_store, message};

    #[tokio::test]
    async fn a_long_empty_part_of_the_log_is_asked_for_once() {
        const BLOCKS: u64 = 100;
        let end = block_start(BLOCKS);
        // One event at the log's end, or none any more.
        for next in [Some(end), None] {
            let asked = Arc::new(AtomicU64::new(0));
            let (mut js, asks) = (MockJetStream::new(), Arc::clone(&asked));
            js.expect_get_message().returning(move |_, _| {
                asks.fetch_add(1, Ordering::Relaxed);
                let none =
                    || Error::new(ErrorKind::NotFound, "get", "").with("error_code", "10037");
                next.map(message).ok_or_else(none)
            });
            let mut state = StreamState::default();
            (state.first_sequence, state.last_sequence) = (1, end);
            let info = StreamInfo::new(StreamConfig::new("events", ["events.>"]), state, CREATED);
            let open = OpenLog::of(Arc::new(js), info, CREATED).in_turn(1);
            let digests = Digests::new(memory_store(), "events");
            let looked = Digested::default().look(&digests, &open).await.unwrap();
            assert_eq!((looked, asked.swap(0, Ordering::Relaxed)), (end - 1, 1));
            assert!(digests.has(&open, 7..end).await.unwrap());
            assert_eq!(asked.swap(0, Ordering::Relaxed), 1);
            let has_all = digests.has(&open, 7..end + 1).await.unwrap();
            assert_eq!(has_all, next.is_none(), "what is there is in no digest");
        }
    }
}
