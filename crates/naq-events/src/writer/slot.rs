//! One accepted event, and where it stands.

use std::time::Duration;

use naq_core::events::{EncodedEvent, EventReceipt};
use naq_core::{Error, Result, Timestamp};
use tokio::sync::oneshot;

use super::spooling::OnDisk;
use crate::spool::SpoolPosition;

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
    /// An event for whose outcome nobody waits, and that isn't in the spool.
    pub(super) fn new(event: EncodedEvent, entity: Option<u64>, may_drop: bool) -> Self {
        Self { event, entity, may_drop, receipt: None, position: None, on_disk: None }
    }

    /// What it takes of the buffer, in bytes: event, bookkeeping, and the room
    /// that the allocator rounds up to.
    pub(super) fn charge(&self) -> u64 {
        const OVERHEAD: usize = super::queues::SLOT_BYTES + 64;
        (self.event.size() + OVERHEAD) as u64
    }
}

/// An event in hand.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) item: Item,
    /// How many were accepted before it.
    pub(super) number: u64,
    /// When it was accepted, in steady time: maybe by a program before this one.
    pub(super) accepted: Timestamp,
    /// When it is given up.
    pub(super) deadline: Duration,
    /// How often it was sent since it is in hand.
    pub(super) tries: u32,
    /// Whether it was sent before it was read from the spool.
    pub(super) was_sent: bool,
    /// Whether it may be in the stream since then, where it can't be found.
    pub(super) is_uncertain: bool,
    /// Until when the stream recognises it by its id, where it may have been sent
    /// before it was read from the spool. Later it has to be looked up.
    pub(super) recognised_until: Option<Duration>,
    /// Whether a try of it may have been stored though nobody said so.
    pub(super) in_doubt: bool,
    /// Whether such a try may have gone without the message id, so that a
    /// repeat isn't recognised.
    pub(super) is_nameless: bool,
    /// What kept it from being stored the last time.
    pub(super) trouble: Option<Error>,
}

impl Slot {
    pub(super) const fn new(
        item: Item,
        number: u64,
        accepted: Timestamp,
        deadline: Duration,
    ) -> Self {
        Self {
            item,
            number,
            accepted,
            deadline,
            tries: 0,
            was_sent: false,
            is_uncertain: false,
            recognised_until: None,
            in_doubt: false,
            is_nameless: false,
            trouble: None,
        }
    }

    /// Whether it may be given up for another one: it was never sent.
    pub(super) const fn may_be_dropped(&self) -> bool {
        self.item.may_drop && self.tries == 0
    }

    /// Whether the stream may have it and doesn't recognise it any more.
    pub(super) fn is_forgotten(&self, now: Duration) -> bool {
        self.recognised_until.is_some_and(|until| until <= now)
    }
}
