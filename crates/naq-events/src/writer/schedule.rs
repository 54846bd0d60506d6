//! Which event is sent next, and by which way: the order of the writer,
//! without locks or async.
//!
//! Where the server has fast ingest, events stand in one line and go in
//! batches. In the queues beside it are the events that somebody wants a
//! receipt for, because a batch doesn't tell where an event is stored, and the
//! later ones of their entities. Where the server has no fast ingest all
//! events are in the queues.
//!
//! An event of an entity that has earlier ones in line waits in its queue
//! until they are stored, and while the queues have one of an entity no later
//! one goes in line: so an entity's events keep their order across both.

use std::time::Duration;

use naq_core::{Error, Timestamp};

use super::line::Line;
use super::queues::Queues;
use super::room::Room;
use super::slot::{Item, Slot};
use super::way::Way;

/// The number of the first event that is accepted: 0 is for what an earlier
/// process left in the spool.
pub(super) const FIRST_NUMBER: u64 = 1;

/// All events in hand, from acceptance until their outcome is known.
#[derive(Debug)]
pub(super) struct Schedule {
    line: Line,
    queues: Queues,
    /// Where new events go that nothing keeps from it.
    way: Way,
    accepted: u64,
}

impl Schedule {
    pub(super) fn new() -> Self {
        Self { line: Line::new(), queues: Queues::new(), way: Way::Fast, accepted: FIRST_NUMBER }
    }

    /// Takes an event in, behind all others of its entity, and says by which way it will go.
    pub(super) fn accept(&mut self, item: Item, accepted: Timestamp, deadline: Duration) -> Way {
        let number = self.next_number();
        self.admit(Slot::new(item, number, accepted, deadline))
    }

    /// Gives an event that is accepted its number.
    pub(super) fn next_number(&mut self) -> u64 {
        let number = self.accepted;
        self.accepted += 1;
        number
    }

    /// Takes an event in that has its number already, behind all others of
    /// its entity, and says by which way it will go.
    pub(super) fn admit(&mut self, slot: Slot) -> Way {
        let by_line = self.way == Way::Fast
            && slot.item.receipt.is_none()
            && !self.queues.holds(slot.item.entity);
        if by_line {
            self.line.accept(slot);
            Way::Fast
        } else {
            let barred = slot.item.entity.is_some() && !self.line.is_empty();
            self.queues.accept(slot, barred);
            Way::Pipeline
        }
    }

    /// Sends new events by this way. Nothing is on its way when that changes.
    pub(super) fn go_by(&mut self, way: Way) {
        if way == Way::Pipeline && !self.line.is_empty() {
            // An entity's events that stand in line were accepted before those in its queue.
            let mut all = self.take_all();
            all.sort_by_key(|slot| slot.number);
            for slot in all {
                self.queues.accept(slot, false);
            }
        }
        self.way = way;
    }

    /// The next event to send by this way.
    pub(super) fn next(&self, way: Way) -> Option<&Slot> {
        match way {
            Way::Fast => self.line.next(),
            Way::Pipeline => self.queues.next(),
        }
    }

    /// The next event to send by this way, which is then on its way.
    pub(super) fn send_next(&mut self, way: Way) -> Option<&Slot> {
        match way {
            Way::Fast => self.line.send_next(),
            Way::Pipeline => self.queues.send_next(),
        }
    }

    /// The event that the next answer of the server is about.
    pub(super) fn first_sent(&self, way: Way) -> Option<&Slot> {
        match way {
            Way::Fast => self.line.first_sent(),
            Way::Pipeline => self.queues.first_sent(),
        }
    }

    /// The first one on its way has its outcome: it leaves.
    pub(super) fn settle_first(&mut self, way: Way) -> Option<Slot> {
        match way {
            Way::Fast => self.line.settle_first(),
            Way::Pipeline => self.queues.settle_first(),
        }
    }

    /// The first one on its way in the pipeline didn't pass: it rests until then.
    pub(super) fn rest_first(&mut self, until: Duration, in_doubt: bool, trouble: Error) {
        self.queues.rest_first(until, in_doubt, trouble);
    }

    /// Those on their way by this way will not be answered any more: each may
    /// be stored, and each is to be sent again.
    pub(super) fn recall(&mut self, way: Way) {
        match way {
            Way::Fast => self.line.recall(true),
            Way::Pipeline => self.queues.recall_sent(),
        }
    }

    /// The first one in line can't pass: it goes on in its queue, with all of its
    /// entity behind it, after a rest. None in line is on its way.
    pub(super) fn step_aside(&mut self, until: Duration, trouble: Error) {
        let mut aside = self.line.step_aside();
        if let Some(first) = aside.first_mut() {
            first.trouble = Some(trouble);
        }
        self.queues.step_in(aside, until);
    }

    /// Ends the rest of those whose time has come, and the wait of those that
    /// waited for what stood in line before them.
    pub(super) fn wake(&mut self, now: Duration) {
        self.queues.wake(now);
        self.queues.unbar(self.line.oldest_number().unwrap_or(u64::MAX));
    }

    /// Gives up the oldest event if its time is over. One that is on its way
    /// stays: its session has to be ended first.
    pub(super) fn expire(&mut self, now: Duration) -> Option<Slot> {
        self.line.expire(now).or_else(|| self.queues.expire(now))
    }

    /// Whether an event is on its way though its time is over.
    pub(super) fn is_stuck(&self, now: Duration) -> bool {
        self.line.is_stuck(now) || self.queues.is_stuck(now)
    }

    /// Gives up the oldest event that was never sent and may be dropped.
    pub(super) fn drop_oldest(&mut self) -> Option<Slot> {
        let (in_line, in_queue) = (self.line.oldest_droppable(), self.queues.oldest_droppable());
        match (in_line, in_queue) {
            (Some(line), Some(queue)) if line < queue => self.line.drop_oldest(),
            (Some(_), None) => self.line.drop_oldest(),
            _ => self.queues.drop_oldest(),
        }
    }

    /// What those take that were never sent and may be dropped.
    pub(super) fn droppable(&self) -> Room {
        self.line.droppable() + self.queues.droppable()
    }

    /// Gives up an event, wherever it stands.
    pub(super) fn give_up(&mut self) -> Option<Slot> {
        self.line.recall(true);
        self.line.pop().or_else(|| self.queues.give_up())
    }

    /// Takes everything out, an entity's events in order. Nothing is on its way.
    pub(super) fn take_all(&mut self) -> Vec<Slot> {
        let in_line = std::iter::from_fn(|| self.line.pop());
        in_line.chain(self.queues.take_all()).collect()
    }

    /// The line, for the end of a batch and what it left in doubt.
    pub(super) const fn line(&mut self) -> &mut Line {
        &mut self.line
    }

    /// The number of the next event to send in line.
    pub(super) fn next_in_line(&self) -> u64 {
        self.line.next().map_or(self.accepted, |slot| slot.number)
    }

    /// When the oldest event is given up.
    pub(super) fn oldest_deadline(&self) -> Option<Duration> {
        earliest(self.line.oldest_deadline(), self.queues.oldest_deadline())
    }

    /// When the next rest is over.
    pub(super) fn next_wake(&self) -> Option<Duration> {
        self.queues.next_wake()
    }

    /// The number of the oldest event in hand; each smaller one is settled.
    pub(super) fn oldest_number(&self) -> Option<u64> {
        earliest(self.line.oldest_number(), self.queues.oldest_number())
    }

    /// The number of the event that is accepted next.
    pub(super) const fn accepted(&self) -> u64 {
        self.accepted
    }

    /// How many may be sent now by this way.
    pub(super) fn ready(&self, way: Way) -> usize {
        match way {
            Way::Fast => self.line.ready(),
            Way::Pipeline => self.queues.ready(),
        }
    }

    /// Whether something may be sent by this way that has waited already.
    pub(super) fn is_overdue(&self, way: Way) -> bool {
        match way {
            Way::Fast => self.line.is_overdue(),
            Way::Pipeline => self.queues.is_overdue(),
        }
    }

    /// How many are on their way by this way.
    pub(super) fn under_way_by(&self, way: Way) -> usize {
        match way {
            Way::Fast => self.line.under_way(),
            Way::Pipeline => self.queues.under_way(),
        }
    }

    /// How many are on their way.
    pub(super) fn under_way(&self) -> usize {
        self.line.under_way() + self.queues.under_way()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty() && self.queues.is_empty()
    }
}

/// The smaller of those that there are.
fn earliest<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
