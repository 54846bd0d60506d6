//! When events go through the spool, and when past it again.

use std::sync::Arc;
use std::time::Duration;

use naq_core::config::SpoolMode;
use naq_core::events::EventReceipt;
use naq_core::jetstream::JetStream;
use naq_core::{Error, ErrorKind};

use super::state::Held;
use crate::spool::{PositionSet, SpoolPosition};
use crate::writer::gate::Permit;
use crate::writer::slot::Slot;
use crate::writer::state::{Effects, State};

/// What the server hasn't confirmed for so long it doesn't take.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a session may take to end when it is asked to; then it is ended.
const TURN: Duration = Duration::from_secs(1);

impl State {
    /// Turns to the spool, if the server doesn't take what there is.
    pub(in crate::writer) fn consider_the_spool(&mut self, now: Duration, effects: &mut Effects) {
        let Some(spooling) = &self.spooling else { return };
        if spooling.is_through || !spooling.takes(now) {
            return;
        }
        let has_some = !self.schedule.is_empty();
        if has_some && (self.is_half_full() || self.is_late(now) || !self.gate.is_open()) {
            self.turn_to_the_spool(now, effects);
        }
    }

    /// Whether events that are accepted go through the spool.
    pub(in crate::writer) fn goes_to_disk(&self) -> bool {
        self.spooling.as_ref().is_some_and(|spooling| spooling.is_through)
    }

    /// Whether the spool takes events, so that the buffer gets room.
    pub(in crate::writer) fn spool_makes_room(&self) -> bool {
        self.spooling.as_ref().is_some_and(|spooling| spooling.trouble.is_none())
    }

    /// Whether half of the buffer is taken.
    pub(in crate::writer) const fn is_half_full(&self) -> bool {
        let counters = self.ledger.counters();
        counters.pending * 2 > self.limits.max_events
            || counters.pending_bytes * 2 > self.limits.max_bytes
    }

    fn is_late(&self, now: Duration) -> bool {
        self.late_at().is_some_and(|late| late <= now)
    }

    /// When the oldest event counts as not taken by the server.
    fn late_at(&self) -> Option<Duration> {
        let accepted =
            self.schedule.oldest_deadline()?.saturating_sub(self.limits.delivery_timeout);
        Some(accepted.saturating_add(PATIENCE.min(self.limits.delivery_timeout / 2)))
    }

    /// From now on each event goes through the spool, behind those in hand.
    pub(in crate::writer) fn turn_to_the_spool(&mut self, now: Duration, effects: &mut Effects) {
        let Some(spooling) = &mut self.spooling else { return };
        if spooling.is_through {
            return;
        }
        spooling.is_through = true;
        if !self.schedule.is_empty() {
            spooling.turning_since = Some(now);
            self.break_session(effects);
        }
        self.finish_turning(effects);
    }

    /// Takes everything out of the schedule, if no session has any of it: what is
    /// in the spool already is read again later, the rest goes there first.
    pub(in crate::writer) fn finish_turning(&mut self, effects: &mut Effects) {
        if self.spooling.as_ref().is_some_and(|spooling| spooling.turning_since.is_some())
            && self.broken
            && self.schedule.under_way() == 0
        {
            self.unload(effects);
        }
    }

    /// Empties the schedule.
    pub(super) fn unload(&mut self, effects: &mut Effects) {
        let Some(spooling) = &mut self.spooling else { return };
        spooling.turning_since = None;
        let mut first: Vec<Slot> = Vec::new();
        let mut sent = PositionSet::new();
        for mut slot in self.schedule.take_all() {
            if let Some(position) = slot.item.position {
                spooling.in_hand -= 1;
                spooling.next = SpoolPosition::START;
                if slot.tries > 0 || slot.was_sent {
                    sent.insert(position);
                }
                if let Some(receipt) = slot.item.receipt.take() {
                    let id = slot.item.event.id().clone();
                    spooling.held.insert(position, Held { receipt, id, deadline: slot.deadline });
                }
                effects.settled.push(slot);
            } else {
                first.push(slot);
            }
        }
        spooling.in_hand_bytes = 0;
        spooling.were_sent(&sent);
        // Those for which somebody waits went beside the line; the numbers tell how they came.
        first.sort_by_key(|slot| slot.number);
        spooling.queue.put_back(first);
        effects.nudges_keeper |= !spooling.queue.is_empty();
        if !self.gate.is_open() {
            self.tell_held(effects);
        }
    }

    /// A session begins, on this JetStream. Says whether there is something in
    /// the spool for it.
    pub(in crate::writer) fn session_begins(&mut self, jetstream: &Arc<dyn JetStream>) -> bool {
        let Some(spooling) = &mut self.spooling else { return false };
        spooling.jetstream = Some(Arc::clone(jetstream));
        self.has_more_on_disk()
    }

    /// A session has ended: what it had goes through the spool.
    pub(in crate::writer) fn session_ended(&mut self, now: Duration, effects: &mut Effects) {
        let Some(spooling) = &mut self.spooling else { return };
        spooling.jetstream = None;
        if spooling.is_through {
            self.unload(effects);
        } else if spooling.takes(now) && !self.schedule.is_empty() {
            self.turn_to_the_spool(now, effects);
        }
    }

    /// Tells those who wait for an outcome that the spool has their events.
    pub(super) fn tell_held(&mut self, effects: &mut Effects) {
        let Some(spooling) = &mut self.spooling else { return };
        for held in std::mem::take(&mut spooling.held).into_values() {
            effects.receipts.push((held.receipt, Ok(EventReceipt::spooled(held.id))));
        }
    }

    /// Lets new events go past the spool again, if all of it is in hand and the
    /// server takes events.
    pub(super) fn consider_going_past(&mut self, now: Duration, effects: &mut Effects) {
        self.consider_doing_without(effects);
        // What isn't answered for so long may never be: it would soon turn back.
        let is_late = self.is_late(now);
        let on_disk = self.ledger.on_disk();
        let Some(spooling) = &mut self.spooling else { return };
        if on_disk == 0 {
            spooling.numbers.clear();
            spooling.sent = PositionSet::new();
        }
        let is_drained = spooling.queue.is_empty()
            && spooling.writing == 0
            && spooling.turning_since.is_none()
            && on_disk == spooling.in_hand;
        if spooling.is_through
            && is_drained
            && spooling.mode != SpoolMode::Always
            && !spooling.is_rescuing
            && self.gate.is_open()
            && !is_late
        {
            spooling.is_through = false;
            spooling.trouble = None;
            spooling.failures = 0;
        }
    }

    /// Whether the session has to be ended now, because it was asked to end and didn't.
    pub(in crate::writer) fn is_turning_late(&self, now: Duration) -> bool {
        self.spooling.as_ref().is_some_and(|spooling| {
            let since = spooling.turning_since;
            since.is_some_and(|since| spooling.is_rescuing || since.saturating_add(TURN) <= now)
        })
    }

    /// When something is due for the spool's sake.
    pub(in crate::writer) fn next_turn(&self, now: Duration) -> Option<Duration> {
        let spooling = self.spooling.as_ref()?;
        let due = if spooling.is_through {
            spooling.turning_since.map(|since| since.saturating_add(TURN))
        } else {
            // In trouble it is not asked before it is tried again.
            self.late_at().map(|late| match &spooling.trouble {
                Some(_) => late.max(spooling.retry_at),
                None => late,
            })
        };
        let held = spooling.held.first_key_value().map(|(_, held)| held.deadline);
        let probe = self.gate.opens_at().filter(|&at| at > now && self.has_more_on_disk());
        [due, held, probe].into_iter().flatten().min()
    }

    /// Does what is due for the spool's sake.
    pub(in crate::writer) fn tick_the_spool(&mut self, now: Duration, effects: &mut Effects) {
        if self.spooling.is_none() {
            return;
        }
        self.consider_the_spool(now, effects);
        self.restart_late_session(now, effects);
        self.finish_turning(effects);
        if !self.gate.is_open() {
            self.tell_held(effects);
        }
        let can_probe = self.gate.permit(now) != Permit::None && self.has_more_on_disk();
        let Some(spooling) = &mut self.spooling else { return };
        while let Some(first) = spooling.held.first_entry() {
            if first.get().deadline > now {
                break;
            }
            let held = first.remove();
            effects.receipts.push((held.receipt, Ok(EventReceipt::spooled(held.id))));
        }
        effects.nudges_keeper |= can_probe && spooling.jetstream.is_some();
        self.expire_queue(now, effects);
    }

    /// Ends a session that has an event of the spool for too long: it is read
    /// again, and sent in another one.
    fn restart_late_session(&mut self, now: Duration, effects: &mut Effects) {
        let is_over = self.schedule.oldest_deadline().is_some_and(|deadline| deadline <= now);
        if is_over && self.goes_to_disk() {
            self.read_again(now, effects);
        }
    }

    /// Ends the session, so that what it has of the spool is read again and sent in
    /// another one.
    pub(in crate::writer) fn read_again(&mut self, now: Duration, effects: &mut Effects) {
        let Some(spooling) = &mut self.spooling else { return };
        if !spooling.is_through {
            self.turn_to_the_spool(now, effects);
        } else if spooling.turning_since.is_none() {
            spooling.turning_since = Some(now);
            self.break_session(effects);
        }
    }

    /// Whether the schedule has events of the spool.
    pub(in crate::writer) fn has_some_of_the_spool(&self) -> bool {
        self.spooling.as_ref().is_some_and(|spooling| spooling.in_hand > 0)
    }

    /// Whether what waits too long goes to the spool in place of being given up.
    pub(in crate::writer) fn is_rescued(&self, now: Duration) -> bool {
        self.spooling.as_ref().is_some_and(|spooling| spooling.is_through || spooling.takes(now))
    }

    /// Whether there is something in the spool that is not in the schedule.
    pub(in crate::writer) fn has_more_on_disk(&self) -> bool {
        self.spooling.as_ref().is_some_and(|spooling| self.ledger.on_disk() > spooling.in_hand)
    }

    /// Whether a session is to look at the stream before it sends.
    pub(in crate::writer) fn views_the_stream(&self) -> bool {
        self.spooling.as_ref().is_some_and(|spooling| spooling.may_view)
    }

    /// Whether no session is to begin after the stream could not be seen for
    /// this reason: the server isn't there. A right that is missing needn't be asked for again.
    pub(in crate::writer) fn is_needed(&mut self, error: &Error) -> bool {
        let Some(spooling) = &mut self.spooling else { return false };
        let is_away = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Closed);
        // Where nothing but publishing is allowed, silence may be how the server says so.
        let is_silent = error.kind() == ErrorKind::Timeout;
        spooling.may_view &=
            !(error.kind() == ErrorKind::PermissionDenied || is_silent && spooling.assumes);
        is_away || is_silent && !spooling.assumes
    }

    /// Whether the task that asks the disk waits to be told of work.
    pub(in crate::writer) fn keeper_is_idle(&self) -> bool {
        self.spooling.as_ref().is_some_and(|spooling| spooling.is_idle)
    }

    /// The number of the oldest event that has no outcome; each smaller one has.
    pub(in crate::writer) fn oldest_number(&self) -> Option<u64> {
        let on_disk = self.ledger.on_disk();
        let spooling = self.spooling.as_ref();
        let waiting = spooling.and_then(|spooling| spooling.oldest_number(on_disk));
        [self.schedule.oldest_number(), waiting].into_iter().flatten().min()
    }

    /// The service stops: what has no outcome goes to the spool.
    pub(in crate::writer) fn begin_rescue(&mut self, now: Duration, effects: &mut Effects) {
        let Some(spooling) = &mut self.spooling else { return };
        spooling.is_rescuing = true;
        self.turn_to_the_spool(now, effects);
    }

    /// Whether the spool has all that it takes, and knows what became of it.
    pub(in crate::writer) fn is_rescue_over(&self) -> bool {
        self.spooling.as_ref().is_none_or(|spooling| {
            let is_in = spooling.turning_since.is_none()
                && spooling.queue.is_empty()
                && spooling.writing == 0;
            let is_noted = spooling.notes.is_empty() && !spooling.is_noting;
            is_in && is_noted || spooling.trouble.is_some() && spooling.writing == 0
        })
    }

    /// Whether all that was accepted before this number is settled or in the
    /// spool, and the server takes nothing at the moment.
    pub(in crate::writer) fn is_safe(&self, below: u64) -> bool {
        let Some(spooling) = &self.spooling else { return false };
        let queued = spooling.queue.front().map(|slot| slot.number);
        spooling.is_through
            && spooling.writing == 0
            && spooling.turning_since.is_none()
            && queued.is_none_or(|number| number >= below)
            && self.gate.is_stuck()
    }
}
