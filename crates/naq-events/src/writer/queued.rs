//! One event in a queue, and the queue of one entity.

use std::hash::Hasher;
use std::time::Duration;

use super::chain::{Link, Linked};
use super::slot::Slot;

/// Where an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// May be sent for the first time.
    Fresh,
    /// May be sent before the fresh ones: it was sent before, or waited for its entity.
    Again,
    /// Waits for an earlier event of its entity.
    Held,
    /// Waits for those in line that were accepted before it.
    Barred,
    /// Is on its way.
    Sent,
    /// Waits until then before it is sent again.
    Resting {
        /// When that is over.
        until: Duration,
    },
}

/// An event in a queue.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) slot: Slot,
    pub(super) place: Place,
    /// The event of its entity before it.
    pub(super) leader: Option<usize>,
    /// The next event of its entity.
    pub(super) follower: Option<usize>,
    pub(super) links: [Link; 3],
}

impl Linked for Queued {
    fn link(&mut self, role: usize) -> &mut Link {
        &mut self.links[role]
    }

    fn link_ref(&self, role: usize) -> Link {
        self.links[role]
    }
}

/// The events of one entity that are in hand: a list through their followers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queue {
    /// The one whose turn it is.
    pub(super) head: usize,
    pub(super) tail: usize,
}

/// Keys that are hashes already.
#[derive(Debug, Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
