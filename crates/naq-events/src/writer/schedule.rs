//! Which event is sent next: the order of the writer, without locks or async.
//!
//! The rule that everything here serves: no event of an entity is sent while
//! an earlier one of the same entity is on its way or waits to be sent again.
//! So neither a refusal nor a reconnect can put a job's events out of order,
//! and events of other entities flow on. Its price: one entity has one event
//! under way, so its events follow each other at the pace of a round trip.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use naq_core::Error;
use slab::Slab;

use super::chain::Chain;
use super::slot::{AGE, Item, Place, READY, Slot, UNSENT};

/// The number of the first event that is accepted: 0 is for what an earlier
/// process left in the spool.
pub(super) const FIRST_NUMBER: u64 = 1;

/// The events of one entity that are in hand: a list through their followers.
#[derive(Debug, Clone, Copy)]
struct Queue {
    /// The one whose turn it is.
    head: usize,
    tail: usize,
}

/// Keys that are hashes already.
#[derive(Debug, Default)]
struct Hashed(u64);

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

/// All events in hand, from acceptance until their outcome is known.
#[derive(Debug)]
pub(super) struct Schedule {
    slots: Slab<Slot>,
    entities: HashMap<u64, Queue, BuildHasherDefault<Hashed>>,
    age: Chain<AGE>,
    unsent: Chain<UNSENT>,
    again: Chain<READY>,
    fresh: Chain<READY>,
    resting: BTreeSet<(Duration, usize)>,
    /// On their way, in the order in which they were sent and will be answered.
    sent: VecDeque<usize>,
    accepted: u64,
}

impl Schedule {
    pub(super) fn new() -> Self {
        Self {
            slots: Slab::new(),
            entities: HashMap::default(),
            age: Chain::new(),
            unsent: Chain::new(),
            again: Chain::new(),
            fresh: Chain::new(),
            resting: BTreeSet::new(),
            sent: VecDeque::new(),
            accepted: FIRST_NUMBER,
        }
    }

    /// Takes an event in, behind all others of its entity.
    pub(super) fn accept(&mut self, item: Item, deadline: Duration) {
        let number = self.next_number();
        self.admit(Slot::new(item, number, deadline, Place::Fresh));
    }

    /// Gives an event that is accepted its number.
    pub(super) fn next_number(&mut self) -> u64 {
        let number = self.accepted;
        self.accepted += 1;
        number
    }

    /// Takes an event in that has its number already, behind all others of its entity.
    pub(super) fn admit(&mut self, mut slot: Slot) {
        let entity = slot.item.entity;
        slot.place = Place::Fresh;
        slot.follower = None;
        let is_unsent = slot.tries == 0;
        let key = self.slots.insert(slot);
        self.age.push_back(&mut self.slots, key);
        if is_unsent && self.slots[key].item.may_drop {
            self.unsent.push_back(&mut self.slots, key);
        }
        let queue = entity.and_then(|entity| self.entities.get_mut(&entity));
        if let Some(queue) = queue {
            self.slots[queue.tail].follower = Some(key);
            queue.tail = key;
            self.slots[key].place = Place::Held;
            return;
        }
        if let Some(entity) = entity {
            self.entities.insert(entity, Queue { head: key, tail: key });
        }
        self.fresh.push_back(&mut self.slots, key);
    }

    /// The next event to send, which is then on its way.
    pub(super) fn send_next(&mut self) -> Option<&Slot> {
        let key = match self.again.pop_front(&mut self.slots) {
            Some(key) => key,
            None => self.fresh.pop_front(&mut self.slots)?,
        };
        self.leave_unsent(key);
        self.sent.push_back(key);
        let slot = &mut self.slots[key];
        slot.place = Place::Sent;
        slot.tries = slot.tries.saturating_add(1);
        Some(slot)
    }

    /// The event that the next answer of the server is about.
    pub(super) fn first_sent(&self) -> Option<&Slot> {
        self.sent.front().map(|&key| &self.slots[key])
    }

    /// The first one on its way has its outcome: it leaves, and its follower's turn comes.
    pub(super) fn settle_first(&mut self) -> Option<Slot> {
        let key = self.sent.pop_front()?;
        Some(self.release(key))
    }

    /// The first one on its way didn't pass: it rests until then.
    pub(super) fn rest_first(&mut self, until: Duration, in_doubt: bool, trouble: Error) {
        let Some(key) = self.sent.pop_front() else { return };
        let slot = &mut self.slots[key];
        // Not past its deadline, or giving it up would wait for the rest.
        let until = until.min(slot.deadline);
        slot.place = Place::Resting { until };
        slot.in_doubt |= in_doubt;
        slot.trouble = Some(trouble);
        self.resting.insert((until, key));
    }

    /// Those on their way will not be answered any more: each may be stored,
    /// and each is to be sent again, in the same order.
    pub(super) fn recall_sent(&mut self) {
        while let Some(key) = self.sent.pop_front() {
            self.slots[key].in_doubt = true;
            self.make_ready(key);
        }
    }

    /// Ends the rest of those whose time has come.
    pub(super) fn wake(&mut self, now: Duration) {
        while let Some(&(until, key)) = self.resting.first() {
            if until > now {
                return;
            }
            self.resting.pop_first();
            self.make_ready(key);
        }
    }

    /// Gives up the oldest event if its time is over. One that is on its way
    /// stays: its session has to be ended first.
    pub(super) fn expire(&mut self, now: Duration) -> Option<Slot> {
        let key = self.age.first()?;
        let slot = &self.slots[key];
        if slot.deadline > now || slot.place == Place::Sent {
            return None;
        }
        self.take_out(key);
        Some(self.release(key))
    }

    /// Whether the oldest event is on its way though its time is over.
    pub(super) fn is_stuck(&self, now: Duration) -> bool {
        self.age.first().is_some_and(|key| {
            let slot = &self.slots[key];
            slot.place == Place::Sent && slot.deadline <= now
        })
    }

    /// Gives up the oldest event that was never sent and may be dropped.
    pub(super) fn drop_oldest(&mut self) -> Option<Slot> {
        let key = self.unsent.first()?;
        self.take_out(key);
        Some(self.release(key))
    }

    /// Gives up the oldest event, wherever it stands.
    pub(super) fn give_up(&mut self) -> Option<Slot> {
        self.recall_sent();
        let key = self.age.first()?;
        self.take_out(key);
        Some(self.release(key))
    }

    /// Takes everything out, oldest first. Nothing is on its way.
    pub(super) fn take_all(&mut self) -> Vec<Slot> {
        std::iter::from_fn(|| self.give_up()).collect()
    }

    /// When the oldest event is given up.
    pub(super) fn oldest_deadline(&self) -> Option<Duration> {
        self.age.first().map(|key| self.slots[key].deadline)
    }

    /// When the next rest is over.
    pub(super) fn next_wake(&self) -> Option<Duration> {
        self.resting.first().map(|&(until, _)| until)
    }

    /// The number of the oldest event in hand; each smaller one is settled.
    pub(super) fn oldest_number(&self) -> Option<u64> {
        self.age.first().map(|key| self.slots[key].number)
    }

    /// The number of the event that is accepted next.
    pub(super) const fn accepted(&self) -> u64 {
        self.accepted
    }

    /// How many may be sent now.
    pub(super) const fn ready(&self) -> usize {
        self.again.len() + self.fresh.len()
    }

    /// Whether something may be sent that has waited already.
    pub(super) const fn is_overdue(&self) -> bool {
        !self.again.is_empty()
    }

    /// How many are on their way.
    pub(super) fn under_way(&self) -> usize {
        self.sent.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.age.is_empty()
    }

    fn make_ready(&mut self, key: usize) {
        self.slots[key].place = Place::Again;
        self.again.push_back(&mut self.slots, key);
    }

    /// Takes an event that leaves for the first time out of what may be dropped.
    fn leave_unsent(&mut self, key: usize) {
        let slot = &self.slots[key];
        if slot.tries == 0 && slot.item.may_drop {
            self.unsent.remove(&mut self.slots, key);
        }
    }

    /// Takes an event that isn't on its way out of wherever it waits.
    fn take_out(&mut self, key: usize) {
        match self.slots[key].place {
            Place::Fresh => self.fresh.remove(&mut self.slots, key),
            Place::Again => self.again.remove(&mut self.slots, key),
            Place::Resting { until } => {
                self.resting.remove(&(until, key));
            }
            Place::Held | Place::Sent => {}
        }
    }

    /// Removes an event that waits nowhere any more, and gives the turn to its follower.
    fn release(&mut self, key: usize) -> Slot {
        self.age.remove(&mut self.slots, key);
        self.leave_unsent(key);
        let slot = self.slots.remove(key);
        let Some(entity) = slot.item.entity else { return slot };
        let Some(queue) = self.entities.get_mut(&entity) else { return slot };
        if queue.head != key {
            // Held ones leave oldest first, so it stood right behind the head.
            debug_assert_eq!(self.slots[queue.head].follower, Some(key));
            self.slots[queue.head].follower = slot.follower;
            if queue.tail == key {
                queue.tail = queue.head;
            }
            return slot;
        }
        match slot.follower {
            Some(next) => {
                queue.head = next;
                self.make_ready(next);
            }
            None => {
                self.entities.remove(&entity);
            }
        }
        slot
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
