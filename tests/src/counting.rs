//! A JetStream that counts the messages which it hands out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use naq_core::jetstream::JetStream;

use crate::passing::{Between, Passing, Way};

/// Another one with counters.
pub type Counting = Passing<Counter>;

/// Counts what is handed out of one stream.
#[derive(Debug)]
pub struct Counter {
    stream: String,
    /// Messages that readings delivered.
    read: AtomicU64,
    /// Messages that were asked for by their sequences, among others.
    by_sequence: AtomicU64,
    /// Sequences that were asked for, whether there was a message or not.
    asked: AtomicU64,
    /// Messages that were got in another way.
    otherwise: AtomicU64,
}

/// How many messages were handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// By readings.
    pub read: u64,
    /// By their sequences, many at a time.
    pub by_sequence: u64,
    /// How many were asked for so, whether they were there or not.
    pub asked: u64,
    /// One by one, or by their subjects.
    pub otherwise: u64,
}

impl Counting {
    /// Counts what is read of a stream; what is read of others isn't counted.
    pub fn of(inner: Arc<dyn JetStream>, stream: &str) -> Self {
        let (read, by_sequence, asked, otherwise) = Default::default();
        Self::new(inner, Counter { stream: stream.to_owned(), read, by_sequence, asked, otherwise })
    }

    /// What was handed out since it was asked last.
    pub fn take(&self) -> Count {
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        let Counter { read, by_sequence, asked, otherwise, .. } = &**self.between();
        Count {
            read: take(read),
            by_sequence: take(by_sequence),
            asked: take(asked),
            otherwise: take(otherwise),
        }
    }
}

impl Between for Counter {
    fn hands_out(&self, stream: &str, way: Way) {
        if stream != self.stream {
            return;
        }
        let counter = match way {
            Way::Read => &self.read,
            Way::BySequence => &self.by_sequence,
            Way::Otherwise => &self.otherwise,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn asks_for(&self, stream: &str, sequences: usize) {
        if stream == self.stream {
            self.asked.fetch_add(sequences as u64, Ordering::Relaxed);
        }
    }
}
