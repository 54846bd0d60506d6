//! The account of every event that a sink was given.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::events::{EventId, Position};

/// What became of the events that a sink was given, since it was made.
///
/// At every instant `offered + recovered = acked + failed + unknown + dropped +
/// rejected + pending + spooled` ([`is_balanced`](Self::is_balanced)): nothing
/// is lost in silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct EventCounters {
    /// Handed in, whatever became of them.
    pub offered: u64,
    /// Found in the spool, where an earlier process had left them.
    pub recovered: u64,
    /// Stored, as the server confirmed; a duplicate of a stored one counts too.
    pub acked: u64,
    /// Accepted, and known not to be stored: refused by the server for good, or
    /// never sent within the delivery timeout.
    pub failed: u64,
    /// Sent, and not confirmed within the delivery timeout: stored or not.
    pub unknown: u64,
    /// Given up for want of room by an overflow policy that drops.
    pub dropped: u64,
    /// Refused before acceptance, which the caller was told: malformed, too
    /// large, no room, or the sink was closed.
    pub rejected: u64,
    /// Accepted, only in memory, and not settled yet.
    pub pending: u64,
    /// In the spool, and not settled yet: they survive the end of the process.
    pub spooled: u64,
    /// Stored `events_lost` events, by which the service itself tells the log of
    /// its holes. They are in no other counter but the bytes.
    pub notices: u64,
    /// Publishes that were sent again.
    pub retried: u64,
    /// Confirmations that said the event was stored before. Those of fast
    /// ingest don't say it.
    pub duplicates: u64,
    /// Sent again though they may have been stored before, and the stream
    /// could not be asked: each may be in it twice.
    pub possible_duplicates: u64,
    /// Batches that were sent.
    pub batches: u64,
    /// What the pending events take of the buffer, in bytes, bookkeeping included.
    pub pending_bytes: u64,
    /// Bytes of the events that were stored.
    pub acked_bytes: u64,
    /// How often the end of one of the spool's files was cut off, because
    /// writing it had not been finished: that was never accepted.
    pub torn: u64,
    /// Damaged records of the spool, set aside; those of events that had been
    /// accepted are `failed`.
    pub corrupt: u64,
    /// How many bytes of disk the spool takes.
    pub spool_bytes: u64,
    /// How long the oldest event in the spool has been there, by the wall
    /// clock; zero where there is none.
    pub spool_age: Duration,
}

impl EventCounters {
    /// Whether every offered event is accounted for.
    #[must_use]
    pub const fn is_balanced(&self) -> bool {
        self.offered + self.recovered
            == self.acked
                + self.failed
                + self.unknown
                + self.dropped
                + self.rejected
                + self.pending
                + self.spooled
    }

    /// How many events are known or feared not to be stored.
    #[must_use]
    pub const fn not_stored(&self) -> u64 {
        self.failed + self.unknown + self.dropped + self.rejected
    }
}

/// What became of the events that were pending when a flush began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FlushReport {
    /// Stored, as the server confirmed.
    pub acked: u64,
    /// Refused by the server for good.
    pub failed: u64,
    /// Not confirmed within the delivery timeout: stored or not.
    pub unknown: u64,
    /// Given up by the overflow policy.
    pub dropped: u64,
    /// Not settled when the flush was over, and in the spool: they go on, and
    /// survive the end of the process.
    pub spooled: u64,
    /// Not settled when the flush's time was over; they go on.
    pub pending: u64,
    /// How long the flush took.
    pub elapsed: Duration,
}

impl FlushReport {
    /// Adds a report that began where this one ended.
    pub fn add(&mut self, later: &Self) {
        self.acked += later.acked;
        self.failed += later.failed;
        self.unknown += later.unknown;
        self.dropped += later.dropped;
        (self.spooled, self.pending) = (later.spooled, later.pending);
        self.elapsed += later.elapsed;
    }

    /// Whether all of them are stored.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.is_safe() && self.spooled == 0
    }

    /// Whether all of them are stored, or in the spool to be stored later.
    #[must_use]
    pub const fn is_safe(&self) -> bool {
        self.failed + self.unknown + self.dropped + self.pending == 0
    }
}

/// The confirmation that one event is safe: stored, or in the spool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EventReceipt {
    /// The event's identity.
    pub id: EventId,
    /// Its sequence in the stream; of the first one, if it was stored before.
    /// `None` where the event is in the spool: the server didn't take it (yet),
    /// it survives the end of the process, and it will be stored later.
    pub sequence: Option<u64>,
    /// When that stream was made, where that is known; a stream made anew
    /// counts from 1 again.
    #[serde(default)]
    pub stream_created: Option<Timestamp>,
    /// Whether the stream had it already.
    pub duplicate: bool,
}

impl EventReceipt {
    /// The receipt of an event that was stored at `sequence`.
    #[must_use]
    pub fn new(id: EventId, sequence: u64, duplicate: bool) -> Self {
        Self { id, sequence: Some(sequence), stream_created: None, duplicate }
    }

    /// The receipt of an event that is in the spool.
    #[must_use]
    pub fn spooled(id: EventId) -> Self {
        Self { id, sequence: None, stream_created: None, duplicate: false }
    }

    /// Names the stream by when it was made.
    #[must_use]
    pub const fn with_stream_created(mut self, created: Option<Timestamp>) -> Self {
        self.stream_created = created;
        self
    }

    /// The place of the event, to read on from; `None` where the event is in
    /// the spool, or the service wasn't told when the stream was made
    /// (`stream = "assume"`).
    #[must_use]
    pub const fn position(&self) -> Option<Position> {
        match (self.stream_created, self.sequence) {
            (Some(created), Some(sequence)) => Some(Position::new(created, sequence)),
            _ => None,
        }
    }

    /// Whether the event is in the spool, and not known to be stored yet.
    #[must_use]
    pub const fn is_spooled(&self) -> bool {
        self.sequence.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_balanced_only_when_every_event_is_in_it() {
        let mut counters = EventCounters {
            offered: 6,
            recovered: 1,
            spooled: 1,
            acked: 1,
            failed: 1,
            unknown: 1,
            dropped: 1,
            rejected: 1,
            pending: 1,
            ..EventCounters::default()
        };
        assert!(counters.is_balanced());
        assert_eq!(counters.not_stored(), 4);
        counters.acked = 2;
        assert!(!counters.is_balanced());
    }
}
