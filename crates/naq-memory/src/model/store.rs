//! What a stream holds: messages by sequence, an index by subject, the counts.

use std::collections::{BTreeMap, BTreeSet};

use naq_core::Timestamp;
use naq_core::jetstream::{StoredMessage, StreamState};

use super::subjects::SubjectIndex;

/// How long a message may stay, beside the stream's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// As long as the stream's limits let it.
    Limits,
    /// Until this time, by a TTL of its own.
    Until(Timestamp),
    /// The stream's `max_age` doesn't count for it.
    Forever,
}

/// A stored message with what the stream knows of it.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) message: StoredMessage,
    /// Its share of the stream's bytes.
    pub(crate) size: u64,
    pub(crate) life: Life,
}

/// The messages of a stream.
#[derive(Debug)]
pub(crate) struct Store {
    records: BTreeMap<u64, Record>,
    subjects: SubjectIndex,
    bytes: u64,
    last: u64,
    last_time: Option<Timestamp>,
    /// The ends of messages that have one of their own.
    ends: BTreeSet<(Timestamp, u64)>,
}

impl Store {
    /// An empty store whose first message will have `first` as its sequence.
    pub(crate) fn new(first: u64) -> Self {
        Self {
            records: BTreeMap::new(),
            subjects: SubjectIndex::default(),
            bytes: 0,
            last: first.max(1) - 1,
            last_time: None,
            ends: BTreeSet::new(),
        }
    }

    /// Adds a message under the next sequence, which it is given, and tells it.
    pub(crate) fn append(&mut self, mut message: StoredMessage, size: u64, life: Life) -> u64 {
        self.last += 1;
        message.sequence = self.last;
        self.last_time = Some(message.stored_at);
        self.bytes += size;
        self.subjects.push(&message.subject, self.last);
        if let Life::Until(end) = life {
            self.ends.insert((end, self.last));
        }
        self.records.insert(self.last, Record { message, size, life });
        self.last
    }

    /// Gives out a sequence that no message has.
    pub(crate) fn skip(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Takes a message out.
    pub(crate) fn remove(&mut self, sequence: u64) -> Option<Record> {
        let record = self.records.remove(&sequence)?;
        self.bytes -= record.size;
        self.subjects.remove(&record.message.subject, sequence);
        if let Life::Until(end) = record.life {
            self.ends.remove(&(end, sequence));
        }
        Some(record)
    }

    pub(crate) fn get(&self, sequence: u64) -> Option<&Record> {
        self.records.get(&sequence)
    }

    /// The messages from a sequence on.
    pub(crate) fn from(&self, sequence: u64) -> impl Iterator<Item = (u64, &Record)> {
        self.records.range(sequence..).map(|(sequence, record)| (*sequence, record))
    }

    /// The first message from a sequence on that age can end, and when it was stored.
    pub(crate) fn first_ageing(&self, from: u64) -> Option<(u64, Timestamp)> {
        self.from(from)
            .find(|(_, record)| record.life != Life::Forever)
            .map(|(sequence, record)| (sequence, record.message.stored_at))
    }

    pub(crate) fn subjects(&self) -> &SubjectIndex {
        &self.subjects
    }

    /// The next message whose own time is over, if there is one, and otherwise nothing.
    pub(crate) fn next_ended(&self, now: Timestamp) -> Option<u64> {
        self.ends.first().filter(|(end, _)| *end <= now).map(|(_, sequence)| *sequence)
    }

    /// When the next message ends by a TTL of its own.
    pub(crate) fn next_end(&self) -> Option<Timestamp> {
        self.ends.first().map(|(end, _)| *end)
    }

    pub(crate) fn messages(&self) -> u64 {
        self.records.len() as u64
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The first sequence; in an empty store one behind the last.
    pub(crate) fn first(&self) -> u64 {
        self.records.first_key_value().map_or(self.last + 1, |(sequence, _)| *sequence)
    }

    /// The last sequence ever given out.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// The first sequence of a message stored at or after a time; one behind
    /// the last where there is none.
    pub(crate) fn first_since(&self, time: Timestamp) -> u64 {
        let (mut low, mut high) = (self.first(), self.last + 1);
        // The answer lies in low..=high; every message below `low` is older.
        while low < high {
            let middle = low + (high - low) / 2;
            match self.records.range(middle..high).next() {
                Some((sequence, record)) if record.message.stored_at < time => low = sequence + 1,
                _ => high = middle,
            }
        }
        self.records.range(low..).next().map_or(self.last + 1, |(sequence, _)| *sequence)
    }

    /// How the store stands; it knows of no consumers.
    pub(crate) fn state(&self) -> StreamState {
        let mut state = StreamState::default();
        state.messages = self.messages();
        state.bytes = self.bytes;
        state.first_sequence = self.first();
        state.first_time =
            self.records.first_key_value().map(|(_, record)| record.message.stored_at);
        state.last_sequence = self.last;
        state.last_time = self.last_time;
        state.num_subjects = self.subjects.len();
        state.num_deleted = (self.last + 1 - self.first()) - self.messages();
        state
    }
}
