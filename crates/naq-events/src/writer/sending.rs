//! What the sender gets, and when: the steps of a session's sending end.

use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use naq_core::config::Guarantee;
use naq_core::events::EventId;

use super::gate::Permit;
use super::sender::Flow;
use super::state::{Effects, State};
use super::verdict::Verdict;
use super::way::Way;

/// A fast batch ends after so long without events: the server holds something
/// for each, and forgets it after ten seconds without a sign.
const IDLE: Duration = Duration::from_secs(2);

/// An event as the sender takes it along.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Its message id, where it is to have one.
    pub(super) id: Option<EventId>,
    pub(super) subject: ByteString,
    pub(super) payload: Bytes,
}

/// What the sender gets when it asks for more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Something to send.
    Batch,
    /// Nothing until it is woken.
    Nothing,
    /// Nothing until it is woken, or until then.
    NothingUntil(Duration),
    /// Nothing any more: the session is over.
    Over,
}

impl State {
    /// Hurries the senders on: somebody waits for what they would gather.
    pub(super) fn hurry(&mut self, effects: &mut Effects) {
        self.hurry = true;
        for way in Way::BOTH {
            if self.schedule.ready(way) > 0 {
                effects.wake.add(way, self.senders.of_mut(way).waker.take());
            }
        }
    }

    /// Moves up to a batch into `batch`, for the source of this number.
    pub(super) fn take(
        &mut self,
        way: Way,
        number: u64,
        now: Duration,
        waker: &Waker,
        batch: &mut Vec<Outgoing>,
        effects: &mut Effects,
    ) -> Taken {
        let may_forget = self.has_some_of_the_spool();
        let sender = self.senders.of_mut(way);
        if number != sender.number || self.broken {
            return Taken::Over;
        }
        let most = match self.gate.permit(now) {
            Permit::All => self.limits.batch,
            Permit::One => 1,
            Permit::None => 0,
        };
        let ready = self.schedule.ready(way);
        if most == 0 || ready == 0 {
            return self.nothing_to_take(way, now, waker);
        }
        if let Flow::Gathering { until } = sender.flow
            && now < until
            && !self.hurry
            && !self.schedule.is_overdue(way)
            && ready < self.limits.batch
        {
            sender.waker = Some(waker.clone());
            return Taken::NothingUntil(until);
        }
        let guarantee = self.way.map_or(Guarantee::MessageId, |(_, guarantee)| guarantee);
        // Under `read_back` a batch leaves it away where it isn't needed.
        let with_id = guarantee != Guarantee::AtLeastOnce;
        let each_has_id = match way {
            Way::Fast => guarantee == Guarantee::MessageId,
            Way::Pipeline => with_id,
        };
        let (mut retried, mut doubtful) = (0, 0);
        while batch.len() < most {
            if may_forget && self.schedule.next(way).is_some_and(|slot| slot.is_forgotten(now)) {
                if batch.is_empty() {
                    self.read_again(now, effects);
                    return Taken::Over;
                }
                break;
            }
            let Some(slot) = self.schedule.send_next(way) else { break };
            retried += u64::from(slot.tries > 1 || slot.was_sent);
            let event = &slot.item.event;
            let accepted = slot.deadline.saturating_sub(self.limits.delivery_timeout);
            let is_recognised = each_has_id
                && !slot.is_nameless
                && now < accepted.saturating_add(self.recognised_for);
            let was_in_doubt = slot.is_uncertain && slot.tries == 1;
            doubtful += u64::from(was_in_doubt || slot.in_doubt && !is_recognised);
            sender.taken += 1;
            // The bytes are shared: nothing is copied under the lock.
            batch.push(Outgoing {
                id: with_id.then(|| event.id().clone()),
                subject: event.shared_subject(),
                payload: event.payload().clone(),
            });
        }
        self.gate.sent();
        self.ledger.sent_batch(retried);
        self.ledger.possible_duplicates(doubtful);
        sender.flow = Flow::Flowing;
        sender.idle_until = None;
        Taken::Batch
    }

    fn nothing_to_take(&mut self, way: Way, now: Duration, waker: &Waker) -> Taken {
        if Way::BOTH.iter().all(|&way| self.schedule.ready(way) == 0) {
            self.hurry = false;
        }
        let sender = self.senders.of_mut(way);
        sender.waker = Some(waker.clone());
        match sender.flow {
            Flow::Flowing if !self.limits.gather.is_zero() => {
                let until = now.saturating_add(self.limits.gather);
                sender.flow = Flow::Gathering { until };
                return Taken::NothingUntil(until);
            }
            Flow::Gathering { until } if now < until => return Taken::NothingUntil(until),
            _ => sender.flow = Flow::Asleep,
        }
        if way == Way::Pipeline {
            return Taken::Nothing;
        }
        let until = *sender.idle_until.get_or_insert(now.saturating_add(IDLE));
        if now < until {
            return Taken::NothingUntil(until);
        }
        // Whoever asks is answered himself.
        drop(sender.close());
        Taken::Over
    }

    /// Whether a session makes sense now: there is something to send, and no
    /// reason to wait with it.
    pub(super) fn wants_a_session(&self, now: Duration) -> bool {
        let is_ready = Way::BOTH.iter().any(|&way| self.schedule.ready(way) > 0);
        (is_ready || self.has_more_on_disk()) && self.gate.permit(now) != Permit::None
    }

    /// Begins a session in which new events go this way.
    pub(super) fn begin_session(&mut self, way: Way, guarantee: Guarantee) {
        self.session += 1;
        self.way = Some((way, guarantee));
        self.schedule.go_by(way);
        self.broken = false;
    }

    /// Ends the session: nothing else is sent in it.
    pub(super) fn end_session(&mut self) {
        self.session += 1;
        self.broken = true;
    }

    /// Whether the session is of use though it has nothing to send at the moment.
    pub(super) fn awaits_more(&self) -> bool {
        !self.broken && self.has_more_on_disk()
    }

    /// Begins a source for this way, if there is something for it to send, and
    /// says its number and the id of its batch.
    pub(super) fn open(&mut self, way: Way, now: Duration) -> Option<(u64, String)> {
        let sender = self.senders.of_mut(way);
        let wanted = !self.broken
            && !sender.is_open
            && self.schedule.ready(way) > 0
            && self.gate.permit(now) != Permit::None;
        if !wanted {
            return None;
        }
        Some((sender.open(), sender.batch.clone()))
    }

    /// There are no more answers by this way.
    pub(super) fn closed(&mut self, way: Way, now: Duration, jitter: f64, effects: &mut Effects) {
        let lost = self.schedule.under_way_by(way) > 0;
        if lost || (self.senders.of(way).is_open && !self.broken) {
            // It ended by itself: not the moment to begin the next one in a tight loop.
            let verdict = if lost { Verdict::InDoubt } else { Verdict::Unsent };
            self.gate.blocked(verdict, now, jitter);
            self.broken = true;
        }
        self.note_doubt(way);
        effects.wake.add(way, self.senders.of_mut(way).close());
        self.schedule.recall(way);
    }
}

#[cfg(test)]
#[path = "sending_tests.rs"]
mod tests;
