//! Those who wait for room, first come first served.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::slot::Item;

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    item: Item,
    /// Told that its event is accepted; dropped when nothing is accepted any more.
    accepted: oneshot::Sender<()>,
}

/// The queue in front of a full buffer.
///
/// Who makes room takes the first events in, so that they are accepted in the
/// order in which their calls began to wait, whenever these run on. A caller
/// who goes away before takes its event along.
#[derive(Debug, Default)]
pub(super) struct WaitingRoom {
    waiters: VecDeque<Waiter>,
    next_ticket: u64,
}

impl WaitingRoom {
    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// The charge of the event that is taken in next.
    pub(super) fn next_charge(&self) -> Option<u64> {
        self.waiters.front().map(|waiter| waiter.item.charge())
    }

    /// Joins the queue with an event.
    pub(super) fn join(&mut self, item: Item) -> (u64, oneshot::Receiver<()>) {
        let (accepted, told) = oneshot::channel();
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiters.push_back(Waiter { ticket, item, accepted });
        (ticket, told)
    }

    /// The first one's event, if there is room for its charge, and its caller to be told.
    pub(super) fn next(
        &mut self,
        fits: impl FnOnce(u64) -> bool,
    ) -> Option<(Item, oneshot::Sender<()>)> {
        if !fits(self.next_charge()?) {
            return None;
        }
        let waiter = self.waiters.pop_front()?;
        Some((waiter.item, waiter.accepted))
    }

    /// Leaves the queue with its event, unless that was accepted.
    pub(super) fn leave(&mut self, ticket: u64) -> Option<Item> {
        let at = self.waiters.binary_search_by_key(&ticket, |waiter| waiter.ticket).ok()?;
        self.waiters.remove(at).map(|waiter| waiter.item)
    }

    /// Sends everybody away who still waits.
    pub(super) fn close(&mut self) {
        // Dropping what they wait for tells them.
        self.waiters.clear();
    }
}

#[cfg(test)]
mod tests {
    use naq_core::Timestamp;
    use naq_core::events::{Event, EventEncoder, EventSubjects};

    use super::*;

    fn item(bytes: usize) -> Item {
        let event = Event::log("x".repeat(bytes));
        let event = EventEncoder::new(EventSubjects::default())
            .encode(&event, Timestamp::default())
            .unwrap();
        Item::new(event, None, false)
    }

    #[test]
    fn room_goes_to_the_first_and_a_small_one_does_not_overtake_a_large_one() {
        let mut room = WaitingRoom::default();
        let (large, small) = (item(800), item(10));
        let charges = [large.charge(), small.charge()];
        let (_, mut large_told) = room.join(large);
        let (_, mut small_told) = room.join(small);
        assert!(room.next(|charge| charge < charges[0]).is_none());
        for charge in charges {
            assert_eq!(room.next_charge(), Some(charge));
            let (item, accepted) = room.next(|charge| charge <= charges[0]).unwrap();
            assert_eq!(item.charge(), charge);
            accepted.send(()).unwrap();
        }
        assert!(large_told.try_recv().is_ok() && small_told.try_recv().is_ok());
        assert!(room.is_empty() && room.next(|_| true).is_none());
    }

    #[test]
    fn who_leaves_before_the_turn_takes_the_event_along() {
        let mut room = WaitingRoom::default();
        let (first, _told) = room.join(item(1));
        let (second, _told) = room.join(item(2));
        assert!(room.leave(second).is_some());
        assert!(room.leave(second).is_none());
        assert!(room.next(|_| true).is_some());
        assert!(room.leave(first).is_none(), "it is accepted");
    }

    #[test]
    fn closing_tells_those_who_wait() {
        let mut room = WaitingRoom::default();
        let (_, mut told) = room.join(item(1));
        room.close();
        assert_eq!(told.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
