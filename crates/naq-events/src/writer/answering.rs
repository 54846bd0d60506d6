//! What becomes of what was sent, and of what was not sent in time.

use std::time::Duration;

use naq_core::events::{EventReceipt, LossReason};
use naq_core::jetstream::{PublishAck, Published, is_out_of_batches};
use naq_core::{Error, ErrorKind, Result};

use super::gate::Permit;
use super::ledger::Outcome;
use super::refusals;
use super::sender::Flow;
use super::slot::Slot;
use super::state::{Effects, State};
use super::verdict::Verdict;
use super::way::Way;

/// For how long events go without fast ingest where the server had no room for
/// one more batch: as long as it remembers one that nobody goes on with.
const BATCHES_AGAIN: Duration = Duration::from_secs(10);

impl State {
    /// The server's answer about what is first on its way.
    pub(super) fn answer(
        &mut self,
        way: Way,
        answer: Result<Published>,
        now: Duration,
        jitter: f64,
        effects: &mut Effects,
    ) {
        match (way, answer) {
            (_, Ok(Published::One(ack))) => self.acked(way, Some(ack), now, effects),
            (_, Ok(Published::Next(count))) => {
                let under_way = self.schedule.under_way_by(way) as u64;
                for _ in 0..count.min(under_way) {
                    self.acked(way, None, now, effects);
                }
            }
            (Way::Pipeline, Err(error)) => self.refuse(error, now, jitter, effects),
            (Way::Fast, Err(error)) => self.end_batch(error, now, jitter, effects),
        }
    }

    fn acked(&mut self, way: Way, ack: Option<PublishAck>, now: Duration, effects: &mut Effects) {
        let Some(slot) = self.schedule.settle_first(way) else { return };
        if self.gate.passed() {
            effects.recovered = true;
            self.losses.stream_returns(now);
        }
        self.losses.stream_flows();
        self.latencies.record(self.steady.at(now).since(slot.accepted), 1, now);
        let duplicate = ack.as_ref().is_some_and(|ack| ack.duplicate);
        let receipt = slot.item.receipt.is_some().then(|| {
            let sequence = ack.map_or(0, |ack| ack.sequence);
            let receipt = EventReceipt::new(slot.item.event.id().clone(), sequence, duplicate);
            Ok(receipt.with_stream_created(self.facts.and_then(|facts| facts.created)))
        });
        self.settle(slot, Outcome::Acked { duplicate }, receipt, effects);
    }

    /// The first event on its way in the pipeline was not stored, as far as is known.
    fn refuse(&mut self, error: Error, now: Duration, jitter: f64, effects: &mut Effects) {
        let verdict = Verdict::of(&error);
        let Some(slot) = self.schedule.first_sent(Way::Pipeline) else { return };
        let (tries, expired) = (slot.tries, slot.deadline <= now);
        self.forget_the_stream(&error);
        self.trouble = Some(error.clone());
        if matches!(verdict, Verdict::Refused | Verdict::SubjectFull) {
            self.gate.passed();
        } else {
            self.gate.blocked(verdict, now, jitter);
            if verdict.breaks_the_session() {
                self.break_session(effects);
            }
        }
        if verdict != Verdict::Refused && !expired {
            let answered = matches!(verdict, Verdict::NotNow | Verdict::SubjectFull);
            let wait = self.limits.backoff.wait(tries, answered, jitter);
            self.tell_retry(error.clone());
            let in_doubt = verdict == Verdict::InDoubt;
            self.schedule.rest_first(now.saturating_add(wait), in_doubt, error);
            return;
        }
        self.give_up_first(Way::Pipeline, verdict == Verdict::InDoubt, error, effects);
    }

    /// The fast batch ended at the first event on its way; nothing behind it
    /// is stored unless it is in doubt.
    fn end_batch(&mut self, error: Error, now: Duration, jitter: f64, effects: &mut Effects) {
        let verdict = Verdict::of(&error);
        if verdict.breaks_the_session() {
            self.note_doubt(Way::Fast);
        }
        effects.wake.add(Way::Fast, self.senders.of_mut(Way::Fast).close());
        if error.is(ErrorKind::Unsupported) || is_out_of_batches(&error) {
            // The stream, or its server after all, takes no batches, or no more of them.
            self.no_batch_before = if error.is(ErrorKind::Unsupported) {
                Duration::MAX
            } else {
                now.saturating_add(BATCHES_AGAIN)
            };
            // It may have been the one that was let out to see.
            self.gate.passed();
            self.schedule.line().recall(false);
            self.break_session(effects);
            return;
        }
        self.forget_the_stream(&error);
        self.trouble = Some(error.clone());
        if verdict == Verdict::Refused {
            self.gate.passed();
            self.give_up_first(Way::Fast, false, error, effects);
            self.schedule.line().recall(false);
            return;
        }
        if verdict == Verdict::SubjectFull {
            self.gate.passed();
            self.step_aside(error, now, jitter, effects);
            return;
        }
        self.gate.shut(verdict, now, jitter);
        let lost = verdict.breaks_the_session();
        if lost {
            self.break_session(effects);
        }
        let expired = self.schedule.first_sent(Way::Fast).is_some_and(|slot| slot.deadline <= now);
        if expired && !lost {
            self.give_up_first(Way::Fast, false, error, effects);
        } else {
            self.tell_retry(error);
        }
        self.schedule.line().recall(lost);
    }

    /// The subject of the first event on its way in the batch is full: the
    /// others need not wait for it.
    fn step_aside(&mut self, error: Error, now: Duration, jitter: f64, effects: &mut Effects) {
        let Some(slot) = self.schedule.first_sent(Way::Fast) else { return };
        let (tries, expired) = (slot.tries, slot.deadline <= now);
        if expired {
            self.give_up_first(Way::Fast, false, error, effects);
            self.schedule.line().recall(false);
            return;
        }
        self.schedule.line().recall(false);
        let wait = self.limits.backoff.wait(tries, true, jitter);
        self.schedule.step_aside(now.saturating_add(wait), error.clone());
        self.tell_retry(error);
    }

    /// Whether fast ingest is worth a try.
    pub(super) fn may_send_batches(&self, now: Duration) -> bool {
        self.no_batch_before <= now
    }

    /// The session is of no use any more: nothing else is sent in it.
    pub(super) fn break_session(&mut self, effects: &mut Effects) {
        self.broken = true;
        for way in Way::BOTH {
            effects.wake.add(way, self.senders.of_mut(way).waker.take());
        }
    }

    /// A stream that is missing comes back as another one.
    fn forget_the_stream(&mut self, error: &Error) {
        if error.is(ErrorKind::NotFound)
            && let Some(facts) = &mut self.facts
        {
            facts.created = None;
        }
    }

    fn tell_retry(&mut self, error: Error) {
        let notice = self.notices.gather();
        notice.retrying += 1;
        notice.cause = Some(error);
    }

    fn give_up_first(&mut self, way: Way, in_doubt: bool, error: Error, effects: &mut Effects) {
        let Some(mut slot) = self.schedule.settle_first(way) else { return };
        slot.in_doubt |= in_doubt;
        slot.trouble = Some(error);
        self.give_up(slot, refusals::refused, effects);
    }

    /// What to do after the server's answers: wake the senders for what they
    /// made ready, and give away the room that they made.
    pub(super) fn after_answers(&mut self, now: Duration, effects: &mut Effects) {
        self.schedule.wake(now);
        if self.gate.permit(now) != Permit::None {
            for way in Way::BOTH {
                if self.schedule.is_overdue(way) {
                    effects.wake.add(way, self.senders.of_mut(way).waker.take());
                }
            }
        }
        self.finish_turning(effects);
        self.grant_room(now, effects);
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
        if self.gate.permit(now) != Permit::None {
            for way in Way::BOTH {
                let sender = self.senders.of_mut(way);
                if sender.flow == Flow::Asleep && self.schedule.ready(way) > 0 {
                    effects.wake.add(way, sender.waker.take());
                }
            }
        }
        if !effects.settled.is_empty() {
            self.grant_room(now, effects);
        }
        if self.no_batch_before > Duration::ZERO && self.may_send_batches(now) {
            // The next session tries it again.
            self.no_batch_before = Duration::ZERO;
            self.break_session(effects);
        }
        self.schedule.is_stuck(now) || self.is_turning_late(now)
    }

    /// When something is due next.
    pub(super) fn next_tick(&self, now: Duration) -> Option<Duration> {
        let shut_until = self.gate.opens_at().filter(|&at| at > now);
        // What comes next goes to the sender and wakes nobody here; its time is over then
        // at the earliest.
        let is_sending = Way::BOTH.iter().any(|&way| self.senders.of(way).is_open);
        let next_deadline = is_sending.then(|| now.saturating_add(self.limits.delivery_timeout));
        [
            self.schedule.oldest_deadline().or(next_deadline),
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

    /// Ends the session, and takes back whatever is under way.
    pub(super) fn abandon_session(&mut self, effects: &mut Effects) {
        self.end_session();
        for way in Way::BOTH {
            effects.wake.add(way, self.senders.of_mut(way).close());
            self.schedule.recall(way);
        }
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
        let why = match outcome {
            Outcome::Unknown => {
                notice.unknown += 1;
                LossReason::Unknown
            }
            _ => {
                notice.failed += 1;
                LossReason::Failed
            }
        };
        self.losses.add(Some(slot.number), &slot.item.event, why, slot.accepted);
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
        if let Some(on_disk) = item.on_disk.take() {
            let told = match &receipt {
                Some(Err(error)) if outcome != Outcome::Dropped => Err(error.clone()),
                _ => Ok(()),
            };
            effects.on_disk.push((on_disk.told, told));
        }
        self.losses.settled(slot.number, matches!(outcome, Outcome::Acked { .. }));
        if let (Some(sender), Some(receipt)) = (item.receipt.take(), receipt) {
            effects.receipts.push((sender, receipt));
        }
        effects.settled.push(slot);
    }
}
