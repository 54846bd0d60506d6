//! What becomes of what was sent, and of what was not sent in time.

use std::time::Duration;

use naq_core::events::EventReceipt;
use naq_core::jetstream::PublishAck;
use naq_core::{Error, ErrorKind, Result};

use super::gate::Permit;
use super::ledger::Outcome;
use super::refusals;
use super::slot::Slot;
use super::state::{Effects, State};
use super::verdict::Verdict;

impl State {
    /// The server's answer about the first event on its way.
    pub(super) fn answer(
        &mut self,
        answer: Result<PublishAck>,
        now: Duration,
        jitter: f64,
        effects: &mut Effects,
    ) {
        match answer {
            Ok(ack) => {
                let Some(slot) = self.schedule.settle_first() else { return };
                effects.recovered |= self.gate.passed();
                self.losses.stream_flows();
                let accepted = slot.deadline.saturating_sub(self.limits.delivery_timeout);
                self.latencies.record(now.saturating_sub(accepted), 1, now);
                let outcome = Outcome::Acked { duplicate: ack.duplicate };
                let id = slot.item.event.id();
                let receipt = slot
                    .item
                    .receipt
                    .is_some()
                    .then(|| Ok(EventReceipt::new(id.clone(), ack.sequence, ack.duplicate)));
                self.settle(slot, outcome, receipt, effects);
            }
            Err(error) => self.refuse(error, now, jitter, effects),
        }
    }

    fn refuse(&mut self, error: Error, now: Duration, jitter: f64, effects: &mut Effects) {
        let verdict = Verdict::of(&error);
        let Some(slot) = self.schedule.first_sent() else { return };
        let (tries, expired) = (slot.tries, slot.deadline <= now);
        self.trouble = Some(error.clone());
        if verdict == Verdict::Refused {
            self.gate.passed();
        } else {
            self.gate.blocked(verdict, now, jitter);
            if verdict.breaks_the_session() {
                self.broken = true;
                effects.wake = self.sender.take();
            }
            if !expired {
                let answered = verdict == Verdict::NotNow;
                let wait = self.limits.backoff.wait(tries, answered, jitter);
                let notice = self.notices.gather();
                notice.retrying += 1;
                notice.cause = Some(error.clone());
                let in_doubt = verdict == Verdict::InDoubt;
                self.schedule.rest_first(now.saturating_add(wait), in_doubt, error);
                return;
            }
        }
        let Some(mut slot) = self.schedule.settle_first() else { return };
        slot.in_doubt |= verdict == Verdict::InDoubt;
        slot.trouble = Some(error);
        self.give_up(slot, refusals::refused, effects);
    }

    /// What to do after the server's answers: wake the sender for what they
    /// made ready, and give away the room that they made.
    pub(super) fn after_answers(&mut self, now: Duration, effects: &mut Effects) {
        if self.schedule.is_overdue() && self.gate.permit(now) != Permit::None {
            effects.wake = self.sender.take().or(effects.wake.take());
        }
        self.finish_turning(effects);
        self.grant_room();
    }

    /// Does what is due at this time. Says whether the session is stuck: an
    /// event on its way has not been answered until the end of its time.
    pub(super) fn tick(&mut self, now: Duration, effects: &mut Effects) -> bool {
        self.schedule.wake(now);
        self.tick_the_spool(now, effects);
        if !self.is_rescued(now) {
            while let Some(slot) = self.schedule.expire(now) {
                self.give_up(slot, refusals::expired, effects);
            }
        }
        if self.schedule.ready() > 0 && self.gate.permit(now) != Permit::None {
            effects.wake = self.sender.take().or(effects.wake.take());
        }
        if !effects.settled.is_empty() {
            self.grant_room();
        }
        self.schedule.is_stuck(now) || self.is_turning_late(now)
    }

    /// When something is due next.
    pub(super) fn next_tick(&self, now: Duration) -> Option<Duration> {
        let shut_until = self.gate.opens_at().filter(|&at| at > now && !self.schedule.is_empty());
        [
            self.schedule.oldest_deadline(),
            self.schedule.next_wake(),
            shut_until,
            self.notices.due(),
            self.losses.due(self.schedule.is_empty()),
            self.next_turn(now),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Ends the session, whatever is under way.
    pub(super) fn abandon_session(&mut self, effects: &mut Effects) {
        self.session += 1;
        self.broken = true;
        effects.wake = self.sender.take();
    }

    /// Gives up everything that is left, when nobody will send it any more.
    pub(super) fn give_up_all(&mut self, effects: &mut Effects) {
        while let Some(slot) = self.take_queued() {
            self.give_up(slot, refusals::stopped, effects);
        }
        while let Some(slot) = self.schedule.give_up() {
            self.give_up(slot, refusals::stopped, effects);
        }
    }

    /// Ends an event without its having been stored for certain.
    pub(super) fn give_up(
        &mut self,
        slot: Slot,
        reason: fn(&Slot, Option<&Error>) -> Error,
        effects: &mut Effects,
    ) {
        let error = reason(&slot, self.trouble.as_ref());
        let outcome =
            if error.is(ErrorKind::OutcomeUnknown) { Outcome::Unknown } else { Outcome::Failed };
        let notice = self.notices.gather();
        match outcome {
            Outcome::Unknown => notice.unknown += 1,
            _ => notice.failed += 1,
        }
        // The server's own words rather than those that sum them up.
        notice.cause = slot.trouble.clone().or_else(|| self.trouble.clone());
        self.settle(slot, outcome, Some(Err(error)), effects);
    }

    pub(super) fn settle(
        &mut self,
        mut slot: Slot,
        outcome: Outcome,
        receipt: Option<Result<EventReceipt>>,
        effects: &mut Effects,
    ) {
        match slot.item.position {
            Some(position) => self.settle_spooled(position, &slot, outcome, effects),
            None => {
                let bytes = slot.item.event.size() as u64;
                self.ledger.settle(slot.number, outcome, slot.item.charge(), bytes);
            }
        }
        let item = &mut slot.item;
        self.losses.settled(slot.number, matches!(outcome, Outcome::Acked { .. }));
        if let (Some(sender), Some(receipt)) = (item.receipt.take(), receipt) {
            effects.receipts.push((sender, receipt));
        }
        effects.settled.push(slot);
    }
}
