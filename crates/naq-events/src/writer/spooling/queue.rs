//! What was accepted and is not in the spool yet.

use std::collections::VecDeque;

use crate::writer::room::Room;
use crate::writer::slot::Slot;

/// Events that wait for the disk, in the order in which they were accepted.
#[derive(Debug)]
pub(in crate::writer) struct Queue {
    slots: VecDeque<Slot>,
    /// So many at the front may not be dropped; looking for one that may begins behind them.
    kept: usize,
    /// What those take that may be dropped.
    droppable: Room,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Self { slots: VecDeque::new(), kept: 0, droppable: Room::NONE }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn front(&self) -> Option<&Slot> {
        self.slots.front()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    /// What those take that may be dropped.
    pub(super) const fn droppable(&self) -> Room {
        self.droppable
    }

    pub(super) fn push(&mut self, slot: Slot) {
        self.droppable += Room::by_dropping(&slot);
        self.slots.push_back(slot);
    }

    pub(super) fn pop(&mut self) -> Option<Slot> {
        self.kept = self.kept.saturating_sub(1);
        let slot = self.slots.pop_front();
        self.took(slot)
    }

    /// Puts events in front of all others, in their order.
    pub(super) fn put_back(&mut self, slots: Vec<Slot>) {
        if !slots.is_empty() {
            self.kept = 0;
        }
        for slot in slots.into_iter().rev() {
            self.droppable += Room::by_dropping(&slot);
            self.slots.push_front(slot);
        }
    }

    /// Takes out the oldest event that may be dropped: it was never sent.
    pub(super) fn drop_oldest(&mut self) -> Option<Slot> {
        let behind = self.slots.iter().skip(self.kept);
        let ahead = behind.take_while(|slot| !slot.may_be_dropped()).count();
        self.kept += ahead;
        let slot = self.slots.remove(self.kept);
        self.took(slot)
    }

    /// Takes out the first event of which this is so.
    pub(super) fn remove(&mut self, is_it: impl Fn(&Slot) -> bool) -> Option<Slot> {
        let at = self.slots.iter().position(is_it)?;
        if at < self.kept {
            self.kept -= 1;
        }
        let slot = self.slots.remove(at);
        self.took(slot)
    }

    /// Takes out all.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Slot> {
        std::mem::replace(self, Self::new()).slots.into_iter()
    }

    fn took(&mut self, slot: Option<Slot>) -> Option<Slot> {
        self.droppable -= slot.as_ref().map_or(Room::NONE, Room::by_dropping);
        slot
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use naq_core::Timestamp;
    use naq_core::events::{Event, EventEncoder, EventSubjects};
    use proptest::prelude::*;

    use super::*;
    use crate::writer::slot::Item;

    fn slot(number: u64, may_drop: bool) -> Slot {
        let encoder = EventEncoder::new(EventSubjects::default());
        let event = encoder.encode(&Event::log("x"), Timestamp::default()).unwrap();
        let item = Item::new(event, None, may_drop);
        Slot::new(item, number, Timestamp::default(), Duration::ZERO)
    }

    proptest! {
        #[test]
        fn the_oldest_that_may_be_dropped_is_that_of_a_plain_search(
            steps in prop::collection::vec((0_u8..5, any::<bool>()), 0..60),
        ) {
            let (mut queue, mut model) = (Queue::new(), VecDeque::new());
            for (number, (step, may_drop)) in (0..).zip(steps) {
                match step {
                    0 => {
                        prop_assert_eq!(queue.pop().map(|s| s.number), model.pop_front().map(|(n, _)| n));
                    }
                    1 => {
                        let at = model.iter().position(|(_, may_drop)| *may_drop);
                        let expected = at.and_then(|at| model.remove(at)).map(|(number, _)| number);
                        prop_assert_eq!(queue.drop_oldest().map(|slot| slot.number), expected);
                    }
                    2 => {
                        queue.put_back(vec![slot(number, may_drop)]);
                        model.push_front((number, may_drop));
                    }
                    3 => {
                        let is_it = |number: u64| number.is_multiple_of(3);
                        let at = model.iter().position(|(number, _)| is_it(*number));
                        let expected = at.and_then(|at| model.remove(at)).map(|(number, _)| number);
                        let removed = queue.remove(|slot| is_it(slot.number));
                        prop_assert_eq!(removed.map(|slot| slot.number), expected);
                    }
                    _ => {
                        queue.push(slot(number, may_drop));
                        model.push_back((number, may_drop));
                    }
                }
                prop_assert_eq!(queue.iter().count(), model.len());
                let droppable = model.iter().filter(|(_, may_drop)| *may_drop).count() as u64;
                prop_assert_eq!(queue.droppable().events, droppable);
            }
        }
    }
}
