//! The events that go in a fast batch: in line, as they were accepted.
//!
//! The server stores a batch as a prefix of what was sent, so order needs no
//! bookkeeping: what is stored leaves at the front, and what a break leaves in
//! doubt stands at the front again.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use naq_core::events::EventId;

use super::room::Room;
use super::slot::Slot;

/// A queue of which a part is on its way.
#[derive(Debug)]
pub(super) struct Line {
    /// Sent at least once: those on their way, and behind them those to be sent again.
    sent: VecDeque<Slot>,
    /// How many of them are on their way.
    under_way: usize,
    /// Never sent. Where one was dropped its place stays empty.
    fresh: VecDeque<Option<Slot>>,
    /// How many of these places are empty.
    empty: usize,
    /// What those take at these places that may be dropped.
    droppable: Room,
    /// At so many of the first of these places nothing may be dropped.
    kept: usize,
    /// The number of the last event that was taken in.
    last: u64,
    /// Whether one was taken in behind another with a greater number: what was
    /// on disk may come back so.
    is_mixed: bool,
}

impl Line {
    pub(super) const fn new() -> Self {
        Self {
            sent: VecDeque::new(),
            under_way: 0,
            fresh: VecDeque::new(),
            empty: 0,
            droppable: Room::NONE,
            kept: 0,
            last: 0,
            is_mixed: false,
        }
    }

    /// Takes an event in, behind all others.
    pub(super) fn accept(&mut self, slot: Slot) {
        self.is_mixed = !self.is_empty() && (self.is_mixed || slot.number < self.last);
        self.last = slot.number;
        self.droppable += Room::by_dropping(&slot);
        self.fresh.push_back(Some(slot));
    }

    /// The next event to send, which is then on its way.
    pub(super) fn send_next(&mut self) -> Option<&Slot> {
        if self.under_way == self.sent.len() {
            let slot = self.pop_fresh()?;
            self.sent.push_back(slot);
        }
        let slot = self.sent.get_mut(self.under_way)?;
        self.under_way += 1;
        slot.tries = slot.tries.saturating_add(1);
        Some(slot)
    }

    /// The event that the next answer of the server is about.
    pub(super) fn first_sent(&self) -> Option<&Slot> {
        if self.under_way == 0 { None } else { self.sent.front() }
    }

    /// The first one on its way has its outcome: it leaves.
    pub(super) fn settle_first(&mut self) -> Option<Slot> {
        if self.under_way == 0 {
            return None;
        }
        self.under_way -= 1;
        self.sent.pop_front()
    }

    /// Those on their way will not be answered any more: each is to be sent
    /// again, in the same order, and may be stored where that is `in_doubt`.
    pub(super) fn recall(&mut self, in_doubt: bool) {
        if in_doubt {
            for slot in self.sent.iter_mut().take(self.under_way) {
                slot.in_doubt = true;
            }
        }
        self.under_way = 0;
    }

    /// Takes the first event out, and all others of its entity. None is on its way.
    pub(super) fn step_aside(&mut self) -> Vec<Slot> {
        let Some(first) = self.pop() else { return Vec::new() };
        let entity = first.item.entity;
        let mut aside = vec![first];
        if entity.is_none() {
            return aside;
        }
        for slot in std::mem::take(&mut self.sent) {
            if slot.item.entity == entity { aside.push(slot) } else { self.sent.push_back(slot) }
        }
        for place in &mut self.fresh {
            if place.as_ref().is_some_and(|slot| slot.item.entity == entity) {
                self.droppable -= place.as_ref().map_or(Room::NONE, Room::by_dropping);
                aside.extend(place.take());
                self.empty += 1;
            }
        }
        self.forget_empty();
        aside
    }

    /// The numbers of those on their way.
    pub(super) fn sent_numbers(&self) -> Vec<u64> {
        self.sent.iter().take(self.under_way).map(|slot| slot.number).collect()
    }

    /// The subject of the first one on its way.
    pub(super) fn sent_subject(&self) -> Option<&str> {
        self.first_sent().map(|slot| slot.item.event.subject())
    }

    /// The ids of those that may be stored.
    pub(super) fn doubtful(&self) -> HashSet<EventId> {
        let doubtful = self.sent.iter().filter(|slot| slot.in_doubt);
        doubtful.map(|slot| slot.item.event.id().clone()).collect()
    }

    /// Whether there is one that may be stored.
    pub(super) fn has_doubtful(&self) -> bool {
        self.sent.iter().any(|slot| slot.in_doubt)
    }

    /// Takes those out that turned out to be stored. None is on its way.
    pub(super) fn take_stored(&mut self, is_stored: impl Fn(&Slot) -> bool) -> Vec<Slot> {
        let (mut stored, mut rest) = (Vec::new(), VecDeque::new());
        for slot in self.sent.drain(..) {
            if is_stored(&slot) { stored.push(slot) } else { rest.push_back(slot) }
        }
        self.sent = rest;
        stored
    }

    /// Those that are left are not stored.
    pub(super) fn end_doubt(&mut self) {
        for slot in &mut self.sent {
            slot.in_doubt = false;
            slot.is_nameless = false;
        }
    }

    /// Those that are left may be stored, without their ids.
    pub(super) fn stay_in_doubt(&mut self) {
        for slot in self.sent.iter_mut().filter(|slot| slot.in_doubt) {
            slot.is_nameless = true;
        }
    }

    /// The next event to send.
    pub(super) fn next(&self) -> Option<&Slot> {
        self.sent.get(self.under_way).or_else(|| self.fresh.front()?.as_ref())
    }

    /// Gives up the oldest event if its time is over and it isn't on its way.
    pub(super) fn expire(&mut self, now: Duration) -> Option<Slot> {
        if self.under_way > 0 || self.first()?.deadline > now {
            return None;
        }
        self.pop()
    }

    /// Whether the oldest event is on its way though its time is over.
    pub(super) fn is_stuck(&self, now: Duration) -> bool {
        self.under_way > 0 && self.first().is_some_and(|slot| slot.deadline <= now)
    }

    /// Gives up the oldest event that was never sent and may be dropped.
    pub(super) fn drop_oldest(&mut self) -> Option<Slot> {
        self.oldest_droppable()?;
        let slot = self.fresh.get_mut(self.kept)?.take()?;
        self.droppable -= Room::by_dropping(&slot);
        self.empty += 1;
        self.forget_empty();
        Some(slot)
    }

    /// Takes out the oldest event that isn't on its way.
    pub(super) fn pop(&mut self) -> Option<Slot> {
        if self.under_way < self.sent.len() {
            return self.sent.remove(self.under_way);
        }
        self.pop_fresh()
    }

    /// When the oldest event is given up.
    pub(super) fn oldest_deadline(&self) -> Option<Duration> {
        self.first().map(|slot| slot.deadline)
    }

    /// The smallest number of an event.
    pub(super) fn oldest_number(&self) -> Option<u64> {
        if self.is_mixed {
            let all = self.sent.iter().chain(self.fresh.iter().flatten());
            return all.map(|slot| slot.number).min();
        }
        self.first().map(|slot| slot.number)
    }

    /// The number of the oldest event that was never sent and may be dropped.
    pub(super) fn oldest_droppable(&mut self) -> Option<u64> {
        while let Some(place) = self.fresh.get(self.kept) {
            match place {
                // What was on its way to a spool that took nothing may have been sent before.
                Some(slot) if slot.may_be_dropped() => return Some(slot.number),
                _ => self.kept += 1,
            }
        }
        None
    }

    /// What those take that may be dropped.
    pub(super) const fn droppable(&self) -> Room {
        self.droppable
    }

    /// All that it holds.
    #[cfg(test)]
    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.sent.iter().chain(self.fresh.iter().flatten())
    }

    /// How many may be sent now.
    pub(super) fn ready(&self) -> usize {
        self.sent.len() - self.under_way + self.fresh.len() - self.empty
    }

    /// Whether something may be sent that was sent before.
    pub(super) fn is_overdue(&self) -> bool {
        self.under_way < self.sent.len()
    }

    /// How many are on their way.
    pub(super) const fn under_way(&self) -> usize {
        self.under_way
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first().is_none()
    }

    fn first(&self) -> Option<&Slot> {
        self.sent.front().or_else(|| self.fresh.front()?.as_ref())
    }

    fn pop_fresh(&mut self) -> Option<Slot> {
        let slot = self.fresh.pop_front()?;
        self.droppable -= slot.as_ref().map_or(Room::NONE, Room::by_dropping);
        self.kept = self.kept.saturating_sub(1);
        self.forget_empty();
        slot
    }

    /// Sees to it that the first of the unsent events stands in the first place.
    fn forget_empty(&mut self) {
        while let Some(None) = self.fresh.front() {
            self.fresh.pop_front();
            self.empty -= 1;
            self.kept = self.kept.saturating_sub(1);
        }
    }
}
