//! What was accepted and is not in the spool yet.

use std::collections::VecDeque;

use crate::writer::slot::Slot;

/// Events that wait for the disk, in the order in which they were accepted.
#[derive(Debug, Default)]
pub(in crate::writer) struct Queue {
    slots: VecDeque<Slot>,
    /// So many at the front may not be dropped; looking for one that may begins behind them.
    kept: usize,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn front(&self) -> Option<&Slot> {
        self.slots.front()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    pub(super) fn push(&mut self, slot: Slot) {
        self.slots.push_back(slot);
    }

    pub(super) fn pop(&mut self) -> Option<Slot> {
        self.kept = self.kept.saturating_sub(1);
        self.slots.pop_front()
    }

    /// Puts events in front of all others, in their order.
    pub(super) fn put_back(&mut self, slots: Vec<Slot>) {
        if !slots.is_empty() {
            self.kept = 0;
        }
        for slot in slots.into_iter().rev() {
            self.slots.push_front(slot);
        }
    }

    /// Takes out the oldest event that may be dropped: it was never sent.
    pub(super) fn drop_oldest(&mut self) -> Option<Slot> {
        let behind = self.slots.iter().skip(self.kept);
        let ahead = behind.take_while(|slot| !slot.item.may_drop || slot.tries > 0).count();
        self.kept += ahead;
        self.slots.remove(self.kept)
    }

    /// Takes out the first event of which this is so.
    pub(super) fn remove(&mut self, is_it: impl Fn(&Slot) -> bool) -> Option<Slot> {
        let at = self.slots.iter().position(is_it)?;
        if at < self.kept {
            self.kept -= 1;
        }
        self.slots.remove(at)
    }

    /// Takes out all.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Slot> {
        self.kept = 0;
        std::mem::take(&mut self.slots).into_iter()
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
            let (mut queue, mut model) = (Queue::default(), VecDeque::new());
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
            }
        }
    }
}
