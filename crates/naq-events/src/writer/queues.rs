//! The events that go in a pipeline: one of an entity at a time.
//!
//! The rule that everything here serves: no event of an entity is sent while
//! an earlier one of the same entity is on its way or waits to be sent again.
//! So neither a refusal nor a reconnect can put a job's events out of order,
//! and events of other entities flow on. Its price: one entity has one event
//! under way, so its events follow each other at the pace of a round trip.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::time::Duration;

use naq_core::Error;
use slab::Slab;

use super::chain::{Chain, Link};
use super::queued::{Hashed, Place, Queue, Queued};
use super::room::Room;
use super::slot::Slot;

/// The role of the list by age: every event here, as accepted.
const AGE: usize = 0;
/// The role of the list of what was never sent and may be dropped, as accepted.
const UNSENT: usize = 1;
/// The role of the two lists of what may be sent next.
const READY: usize = 2;

/// What one event takes here, in bytes, beside what is its own.
pub(super) const SLOT_BYTES: usize = size_of::<Queued>();

/// The queues of all entities, from acceptance until an event's outcome is known.
#[derive(Debug)]
pub(super) struct Queues {
    slots: Slab<Queued>,
    entities: HashMap<u64, Queue, BuildHasherDefault<Hashed>>,
    age: Chain<AGE>,
    unsent: Chain<UNSENT>,
    /// What those in it take.
    droppable: Room,
    again: Chain<READY>,
    fresh: Chain<READY>,
    resting: BTreeSet<(Duration, usize)>,
    /// Those that wait for the line, by number.
    barred: BTreeMap<u64, usize>,
    /// On their way, in the order in which they were sent and will be answered.
    sent: VecDeque<usize>,
}

impl Queues {
    pub(super) fn new() -> Self {
        Self {
            slots: Slab::new(),
            entities: HashMap::default(),
            age: Chain::new(),
            unsent: Chain::new(),
            droppable: Room::NONE,
            again: Chain::new(),
            fresh: Chain::new(),
            resting: BTreeSet::new(),
            barred: BTreeMap::new(),
            sent: VecDeque::new(),
        }
    }

    /// Takes an event in, behind all others of its entity. One that is
    /// `barred` waits until [`unbar`](Self::unbar) has come past its number.
    pub(super) fn accept(&mut self, slot: Slot, barred: bool) {
        self.admit(slot, barred, None);
    }

    /// Takes an event in, and gives its key; `older` is one of the events that are older.
    fn admit(&mut self, slot: Slot, barred: bool, older: Option<usize>) -> usize {
        let (entity, number, tried) = (slot.item.entity, slot.number, slot.tries > 0);
        let droppable = Room::by_dropping(&slot);
        let place = if tried { Place::Again } else { Place::Fresh };
        let key = self.slots.insert(Queued {
            slot,
            place,
            leader: None,
            follower: None,
            links: [Link::LOOSE; 3],
        });
        let behind = older_neighbour(&self.age, &self.slots, number, older);
        self.age.insert(&mut self.slots, behind, key);
        if droppable.events > 0 {
            self.droppable += droppable;
            let behind = older_neighbour(&self.unsent, &self.slots, number, None);
            self.unsent.insert(&mut self.slots, behind, key);
        }
        let queue = entity.and_then(|entity| self.entities.get_mut(&entity));
        if let Some(queue) = queue {
            self.slots[queue.tail].follower = Some(key);
            self.slots[key].leader = Some(queue.tail);
            queue.tail = key;
            self.slots[key].place = Place::Held;
            return key;
        }
        if let Some(entity) = entity {
            self.entities.insert(entity, Queue { head: key, tail: key });
        }
        if barred {
            self.slots[key].place = Place::Barred;
            self.barred.insert(number, key);
        } else if tried {
            self.again.push_back(&mut self.slots, key);
        } else {
            self.fresh.push_back(&mut self.slots, key);
        }
        key
    }

    /// Takes the events of an entity in that stood in line, oldest first, before
    /// those of it that are here and waited for them. The first one rests until then.
    pub(super) fn step_in(&mut self, aside: Vec<Slot>, until: Duration) {
        let entity = aside.first().and_then(|slot| slot.item.entity);
        let behind = entity.map(|entity| self.take_entity(entity)).unwrap_or_default();
        let (mut first, mut older) = (true, None);
        for slot in aside.into_iter().chain(behind) {
            let key = self.admit(slot, false, older);
            if std::mem::take(&mut first) {
                self.take_out(key);
                self.rest(key, until);
            }
            older = Some(key);
        }
    }

    /// Takes an entity's events out, oldest first. None is on its way.
    fn take_entity(&mut self, entity: u64) -> Vec<Slot> {
        let mut slots = Vec::new();
        let mut next = self.entities.remove(&entity).map(|queue| queue.head);
        while let Some(key) = next {
            self.take_out(key);
            self.age.remove(&mut self.slots, key);
            self.leave_unsent(key);
            let Queued { slot, follower, .. } = self.slots.remove(key);
            slots.push(slot);
            next = follower;
        }
        slots
    }

    /// Whether an event of this entity is here.
    pub(super) fn holds(&self, entity: Option<u64>) -> bool {
        !self.entities.is_empty()
            && entity.is_some_and(|entity| self.entities.contains_key(&entity))
    }

    /// Ends the wait of those with a smaller number for the line.
    pub(super) fn unbar(&mut self, below: u64) {
        while let Some(first) = self.barred.first_entry()
            && *first.key() < below
        {
            let key = first.remove();
            self.make_ready(key);
        }
    }

    /// Takes all events out, oldest first. None is on its way.
    pub(super) fn take_all(&mut self) -> Vec<Slot> {
        std::iter::from_fn(|| self.give_up()).collect()
    }

    /// The next event to send.
    pub(super) fn next(&self) -> Option<&Slot> {
        let next = self.again.first().or_else(|| self.fresh.first());
        next.map(|key| &self.slots[key].slot)
    }

    /// The next event to send, which is then on its way.
    pub(super) fn send_next(&mut self) -> Option<&Slot> {
        let key = match self.again.pop_front(&mut self.slots) {
            Some(key) => key,
            None => self.fresh.pop_front(&mut self.slots)?,
        };
        self.leave_unsent(key);
        self.sent.push_back(key);
        let queued = &mut self.slots[key];
        queued.place = Place::Sent;
        let slot = &mut queued.slot;
        slot.tries = slot.tries.saturating_add(1);
        Some(slot)
    }

    /// The event that the next answer of the server is about.
    pub(super) fn first_sent(&self) -> Option<&Slot> {
        self.sent.front().map(|&key| &self.slots[key].slot)
    }

    /// The first one on its way has its outcome: it leaves, and its follower's turn comes.
    pub(super) fn settle_first(&mut self) -> Option<Slot> {
        let key = self.sent.pop_front()?;
        Some(self.release(key))
    }

    /// The first one on its way didn't pass: it rests until then.
    pub(super) fn rest_first(&mut self, until: Duration, in_doubt: bool, trouble: Error) {
        let Some(key) = self.sent.pop_front() else { return };
        let slot = &mut self.slots[key].slot;
        slot.in_doubt |= in_doubt;
        slot.trouble = Some(trouble);
        self.rest(key, until);
    }

    /// Lets an event rest that waits nowhere.
    fn rest(&mut self, key: usize, until: Duration) {
        let queued = &mut self.slots[key];
        // Not past its deadline, or giving it up would wait for the rest.
        let until = until.min(queued.slot.deadline);
        queued.place = Place::Resting { until };
        self.resting.insert((until, key));
    }

    /// Those on their way will not be answered any more: each may be stored,
    /// and each is to be sent again, in the same order.
    pub(super) fn recall_sent(&mut self) {
        while let Some(key) = self.sent.pop_front() {
            self.slots[key].slot.in_doubt = true;
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
        let queued = &self.slots[key];
        if queued.slot.deadline > now || queued.place == Place::Sent {
            return None;
        }
        self.take_out(key);
        Some(self.release(key))
    }

    /// Whether the oldest event is on its way though its time is over.
    pub(super) fn is_stuck(&self, now: Duration) -> bool {
        self.age.first().is_some_and(|key| {
            let queued = &self.slots[key];
            queued.place == Place::Sent && queued.slot.deadline <= now
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

    /// When the oldest event is given up.
    pub(super) fn oldest_deadline(&self) -> Option<Duration> {
        self.age.first().map(|key| self.slots[key].slot.deadline)
    }

    /// When the next rest is over.
    pub(super) fn next_wake(&self) -> Option<Duration> {
        self.resting.first().map(|&(until, _)| until)
    }

    /// The number of the oldest event in hand; each smaller one is settled.
    pub(super) fn oldest_number(&self) -> Option<u64> {
        self.age.first().map(|key| self.slots[key].slot.number)
    }

    /// The number of the oldest event that was never sent and may be dropped.
    pub(super) fn oldest_droppable(&self) -> Option<u64> {
        self.unsent.first().map(|key| self.slots[key].slot.number)
    }

    /// What those take that may be dropped.
    pub(super) const fn droppable(&self) -> Room {
        self.droppable
    }

    /// All that they hold.
    #[cfg(test)]
    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().map(|(_, queued)| &queued.slot)
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

    /// Takes an event that leaves for the first time out of what may be dropped.
    fn leave_unsent(&mut self, key: usize) {
        let slot = &self.slots[key].slot;
        if slot.may_be_dropped() {
            self.droppable -= Room::by_dropping(slot);
            self.unsent.remove(&mut self.slots, key);
        }
    }

    fn make_ready(&mut self, key: usize) {
        self.slots[key].place = Place::Again;
        self.again.push_back(&mut self.slots, key);
    }

    /// Takes an event that isn't on its way out of wherever it waits.
    fn take_out(&mut self, key: usize) {
        match self.slots[key].place {
            Place::Fresh => self.fresh.remove(&mut self.slots, key),
            Place::Again => self.again.remove(&mut self.slots, key),
            Place::Resting { until } => {
                self.resting.remove(&(until, key));
            }
            Place::Barred => {
                self.barred.remove(&self.slots[key].slot.number);
            }
            Place::Held | Place::Sent => {}
        }
    }

    /// Removes an event that waits nowhere any more, and gives the turn to its follower.
    fn release(&mut self, key: usize) -> Slot {
        self.age.remove(&mut self.slots, key);
        self.leave_unsent(key);
        let Queued { slot, place, leader, follower, .. } = self.slots.remove(key);
        let Some(entity) = slot.item.entity else { return slot };
        let Some(queue) = self.entities.get_mut(&entity) else { return slot };
        if let Some(next) = follower {
            self.slots[next].leader = leader;
        }
        if let Some(leader) = leader {
            self.slots[leader].follower = follower;
            if queue.tail == key {
                queue.tail = leader;
            }
            return slot;
        }
        match follower {
            // What the head waited for in line, its follower waits for too.
            Some(next) if place == Place::Barred => {
                queue.head = next;
                self.slots[next].place = Place::Barred;
                self.barred.insert(self.slots[next].slot.number, next);
            }
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

/// Behind which event one of this number stands: nearly always behind the last
/// one. `older` is one that is older, where one is known.
fn older_neighbour<const ROLE: usize>(
    chain: &Chain<ROLE>,
    slots: &Slab<Queued>,
    number: u64,
    older: Option<usize>,
) -> Option<usize> {
    let is_newer = |key: &usize| slots[*key].slot.number > number;
    let Some(mut at) = older else {
        let mut at = chain.last();
        while let Some(key) = at.filter(is_newer) {
            at = Chain::<ROLE>::before(slots, key);
        }
        return at;
    };
    while let Some(key) = Chain::<ROLE>::behind(slots, at).filter(|key| !is_newer(key)) {
        at = key;
    }
    Some(at)
}

#[cfg(test)]
#[path = "queues_tests.rs"]
mod tests;
