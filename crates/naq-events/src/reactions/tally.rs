//! What became of the events that a member was given.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// What a member of a group has done since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ReactionCounters {
    /// Events that the handler has finished.
    pub done: u64,
    /// Tries that failed and are to be repeated.
    pub retried: u64,
    /// Events that became dead letters.
    pub dead: u64,
    /// Events that the filter doesn't mean: passed over without the handler.
    pub passed_over: u64,
    /// Messages that are no events, whatever became of them.
    pub malformed: u64,
    /// Tries that panicked.
    pub panicked: u64,
    /// Tries that took longer than the deadline.
    pub timed_out: u64,
    /// Events given back because the group was paused: they come again.
    pub put_off: u64,
    /// Answers that could not be sent: these events come again.
    pub unanswered: u64,
    /// Dead letters that could not be stored: these events come again.
    pub unburied: u64,
}

impl ReactionCounters {
    /// How many tries did not end well.
    #[must_use]
    pub const fn failures(&self) -> u64 {
        self.retried + self.dead
    }
}

/// The counters as they grow.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) done: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) dead: AtomicU64,
    pub(super) passed_over: AtomicU64,
    pub(super) malformed: AtomicU64,
    pub(super) panicked: AtomicU64,
    pub(super) timed_out: AtomicU64,
    pub(super) put_off: AtomicU64,
    pub(super) unanswered: AtomicU64,
    pub(super) unburied: AtomicU64,
}

/// Counts one more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Tally {
    pub(super) fn counters(&self) -> ReactionCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ReactionCounters {
            done: read(&self.done),
            retried: read(&self.retried),
            dead: read(&self.dead),
            passed_over: read(&self.passed_over),
            malformed: read(&self.malformed),
            panicked: read(&self.panicked),
            timed_out: read(&self.timed_out),
            put_off: read(&self.put_off),
            unanswered: read(&self.unanswered),
            unburied: read(&self.unburied),
        }
    }

    /// How many events have been dealt with, so that they don't come again.
    pub(super) fn finished(&self) -> u64 {
        let counters = self.counters();
        counters.done + counters.dead + counters.passed_over
    }

    /// How many deliveries have been answered in some way.
    pub(super) fn answered(&self) -> u64 {
        self.finished() + self.counters().retried
    }
}
