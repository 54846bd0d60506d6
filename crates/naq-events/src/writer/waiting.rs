//! Those who wait for room, first come first served.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

#[derive(Debug)]
struct Waiter {
    charge: u64,
    /// Told that its room is reserved; dropped when nothing is accepted any more.
    granted: oneshot::Sender<()>,
}

/// The queue in front of a full buffer.
///
/// It holds no events: each waits with its caller, so that a caller who goes
/// away takes it along. What is granted is reserved until it is claimed.
#[derive(Debug, Default)]
pub(super) struct WaitingRoom {
    waiters: BTreeMap<u64, Waiter>,
    next_ticket: u64,
    reserved_events: u64,
    reserved_bytes: u64,
}

impl WaitingRoom {
    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// How many events and bytes are promised and not claimed yet.
    pub(super) const fn reserved(&self) -> (u64, u64) {
        (self.reserved_events, self.reserved_bytes)
    }

    /// Joins the queue.
    pub(super) fn join(&mut self, charge: u64) -> (u64, oneshot::Receiver<()>) {
        let (granted, told) = oneshot::channel();
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiters.insert(ticket, Waiter { charge, granted });
        (ticket, told)
    }

    /// Reserves room for the first ones, as far as `fits` says so of
    /// everything that is reserved, theirs included.
    pub(super) fn grant(&mut self, fits: impl Fn(u64, u64) -> bool) {
        while let Some(first) = self.waiters.first_entry() {
            let (events, bytes) =
                (self.reserved_events + 1, self.reserved_bytes + first.get().charge);
            if !fits(events, bytes) {
                return;
            }
            let waiter = first.remove();
            // One that has just gone away gives it back by leaving.
            let _ = waiter.granted.send(());
            (self.reserved_events, self.reserved_bytes) = (events, bytes);
        }
    }

    /// Leaves the queue, or gives back what was granted. Says whether it was granted.
    pub(super) fn leave(&mut self, ticket: u64, charge: u64) -> bool {
        let granted = self.waiters.remove(&ticket).is_none();
        if granted {
            self.reserved_events -= 1;
            self.reserved_bytes -= charge;
        }
        granted
    }

    /// Sends everybody away who still waits.
    pub(super) fn close(&mut self) {
        // Each leaves by itself; dropping what they wait for tells them.
        for waiter in self.waiters.values_mut() {
            let (gone, _) = oneshot::channel();
            waiter.granted = gone;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_goes_to_the_first_and_a_small_one_does_not_overtake_a_large_one() {
        let mut room = WaitingRoom::default();
        let (large, mut large_told) = room.join(80);
        let (_, mut small_told) = room.join(10);
        room.grant(|_, bytes| bytes <= 50);
        assert!(large_told.try_recv().is_err() && small_told.try_recv().is_err());
        room.grant(|_, bytes| bytes <= 100);
        assert!(large_told.try_recv().is_ok() && small_told.try_recv().is_ok());
        assert_eq!(room.reserved(), (2, 90));
        assert!(room.leave(large, 80));
        assert_eq!(room.reserved(), (1, 10));
    }

    #[test]
    fn who_leaves_before_the_turn_reserves_nothing() {
        let mut room = WaitingRoom::default();
        let (ticket, _told) = room.join(80);
        assert!(!room.leave(ticket, 80));
        assert_eq!(room.reserved(), (0, 0));
        assert!(room.is_empty());
    }

    #[test]
    fn closing_tells_those_who_wait() {
        let mut room = WaitingRoom::default();
        let (_, mut told) = room.join(1);
        room.close();
        assert_eq!(told.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
