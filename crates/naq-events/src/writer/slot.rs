//! One accepted event, and where it stands.

use std::time::Duration;

use naq_core::events::{EncodedEvent, EventReceipt};
use naq_core::{Error, Result};
use tokio::sync::oneshot;

use super::chain::{Link, Linked};
use super::spooling::OnDisk;
use crate::spool::SpoolPosition;

/// The role of the list by age: every event in hand, as accepted.
pub(super) const AGE: usize = 0;
/// The role of the list of what was never sent and may be dropped, as accepted.
pub(super) const UNSENT: usize = 1;
/// The role of the two lists of what may be sent next.
pub(super) const READY: usize = 2;

/// An event that is to be stored, and who waits for that.
#[derive(Debug)]
pub(super) struct Item {
    /// What is stored.
    pub(super) event: EncodedEvent,
    /// Which events must stay in order with it, as a hash of their entity. Two
    /// entities that share one wait for each other, which does no harm.
    pub(super) entity: Option<u64>,
    /// Whether it may be given up for another one while it is unsent.
    pub(super) may_drop: bool,
    /// Where the outcome goes, if somebody waits for it.
    pub(super) receipt: Option<oneshot::Sender<Result<EventReceipt>>>,
    /// Where it stands in the spool, if it came from there.
    pub(super) position: Option<SpoolPosition>,
    /// Who waits until it is on disk.
    pub(super) on_disk: Option<OnDisk>,
}

impl Item {
    /// What it takes of the buffer, in bytes: event, bookkeeping, and the room
    /// that the allocator rounds up to.
    pub(super) fn charge(&self) -> u64 {
        const OVERHEAD: usize = size_of::<Slot>() + 48;
        (self.event.size() + OVERHEAD) as u64
    }
}

/// Where an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// May be sent for the first time.
    Fresh,
    /// May be sent before the fresh ones: it was sent before, or waited for its entity.
    Again,
    /// Waits for an earlier event of its entity.
    Held,
    /// Is on its way.
    Sent,
    /// Waits until then before it is sent again.
    Resting {
        /// When that is over.
        until: Duration,
    },
}

/// An event in hand.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) item: Item,
    /// How many were accepted before it.
    pub(super) number: u64,
    /// When it is given up.
    pub(super) deadline: Duration,
    pub(super) place: Place,
    /// The next event of its entity.
    pub(super) follower: Option<usize>,
    /// How often it was sent.
    pub(super) tries: u32,
    /// Whether a try of it may have been stored though nobody said so.
    pub(super) in_doubt: bool,
    /// What kept it from being stored the last time.
    pub(super) trouble: Option<Error>,
    links: [Link; 3],
}

impl Slot {
    pub(super) const fn new(item: Item, number: u64, deadline: Duration, place: Place) -> Self {
        Self {
            item,
            number,
            deadline,
            place,
            follower: None,
            tries: 0,
            in_doubt: false,
            trouble: None,
            links: [Link::LOOSE; 3],
        }
    }
}

impl Linked for Slot {
    fn link(&mut self, role: usize) -> &mut Link {
        &mut self.links[role]
    }

    fn link_ref(&self, role: usize) -> Link {
        self.links[role]
    }
}
