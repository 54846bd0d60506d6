//! Everything behind the writer's lock, and each step that is taken under it.
//!
//! No step waits, does I/O, or calls code of others. What has to be done
//! without the lock (waking, telling receipts, freeing) is handed out as
//! [`Effects`].

use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use naq_core::events::{EventId, EventReceipt};
use naq_core::jetstream::PublishAck;
use naq_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use super::backoff::Backoff;
use super::gate::{Gate, Permit};
use super::ledger::{Ledger, Outcome};
use super::notices::Notices;
use super::refusals;
use super::schedule::Schedule;
use super::slot::{Item, Slot};
use super::verdict::Verdict;
use super::waiting::WaitingRoom;

/// Whether the sender has to be woken for a new event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// It waits until it is woken.
    Asleep,
    /// It looks again by itself at that time, at the latest.
    Gathering {
        /// When it looks again.
        until: Duration,
    },
    /// It comes back for more by itself.
    Flowing,
}

/// An event as the sender takes it along.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) id: EventId,
    pub(super) subject: String,
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

/// What is to be done when the lock is released.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) wake: Option<Waker>,
    pub(super) receipts: Vec<(oneshot::Sender<Result<EventReceipt>>, Result<EventReceipt>)>,
    /// Kept until the lock is released, because freeing takes time too.
    pub(super) settled: Vec<Slot>,
    /// Whether something was stored after a time in which nothing was.
    pub(super) recovered: bool,
}

/// Whether events are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intake {
    /// Not yet.
    NotStarted,
    /// They are.
    Open,
    /// Not any more.
    Stopped,
}

/// The bounds and times that the writer keeps to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_events: u64,
    pub(super) max_bytes: u64,
    /// How many events make a batch.
    pub(super) batch: usize,
    /// How long events are gathered while they flow.
    pub(super) gather: Duration,
    pub(super) delivery_timeout: Duration,
    pub(super) backoff: Backoff,
}

/// Everything behind the writer's lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) limits: Limits,
    pub(super) schedule: Schedule,
    pub(super) ledger: Ledger,
    pub(super) gate: Gate,
    pub(super) waiting: WaitingRoom,
    pub(super) notices: Notices,
    pub(super) intake: Intake,
    /// Which session may send; an older one finds out here that it is over.
    pub(super) session: u64,
    /// Whether that session is of no use any more.
    pub(super) broken: bool,
    /// Whether somebody waits for an outcome, so that nothing is gathered.
    pub(super) hurry: bool,
    /// Whether the driver sleeps without a timer.
    pub(super) driver_sleeps: bool,
    /// How many wait for others' outcomes.
    pub(super) watchers: usize,
    /// The latest reason why something was not stored.
    pub(super) trouble: Option<Error>,
    flow: Flow,
    sender: Option<Waker>,
}

impl State {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            schedule: Schedule::new(),
            ledger: Ledger::new(limits.max_events, limits.max_bytes),
            gate: Gate::new(limits.backoff),
            waiting: WaitingRoom::default(),
            notices: Notices::default(),
            intake: Intake::NotStarted,
            session: 0,
            broken: true,
            hurry: false,
            driver_sleeps: false,
            watchers: 0,
            trouble: None,
            flow: Flow::Asleep,
            sender: None,
            limits,
        }
    }

    /// Whether there is room for one more of this charge that nobody was promised.
    pub(super) fn fits(&self, charge: u64) -> bool {
        let (events, bytes) = self.waiting.reserved();
        self.ledger.fits(events, bytes + charge)
    }

    /// Takes an event in. Hands out whom to wake, which is seldom anybody:
    /// while events flow the sender comes back by itself.
    pub(super) fn accept(&mut self, item: Item, charge: u64, now: Duration) -> Option<Waker> {
        self.hurry |= item.receipt.is_some();
        self.ledger.accept(charge);
        self.schedule.accept(item, now.saturating_add(self.limits.delivery_timeout));
        let wanted = match self.flow {
            Flow::Asleep => true,
            Flow::Gathering { .. } => self.hurry || self.schedule.ready() >= self.limits.batch,
            Flow::Flowing => false,
        };
        if wanted && self.gate.is_open() { self.sender.take() } else { None }
    }

    /// Hurries the sender on: somebody waits for what it would gather.
    pub(super) fn hurry(&mut self) -> Option<Waker> {
        self.hurry = true;
        if self.schedule.ready() > 0 { self.sender.take() } else { None }
    }

    /// Moves up to a batch into `batch`, for the session of this number.
    pub(super) fn take(
        &mut self,
        session: u64,
        now: Duration,
        sender: &Waker,
        batch: &mut Vec<Outgoing>,
    ) -> Taken {
        if session != self.session || self.broken {
            return Taken::Over;
        }
        let most = match self.gate.permit(now) {
            Permit::All => self.limits.batch,
            Permit::One => 1,
            Permit::None => 0,
        };
        if most == 0 || self.schedule.ready() == 0 {
            return self.nothing_to_take(now, sender);
        }
        if let Flow::Gathering { until } = self.flow
            && now < until
            && !self.hurry
            && !self.schedule.is_overdue()
            && self.schedule.ready() < self.limits.batch
        {
            self.sender = Some(sender.clone());
            return Taken::NothingUntil(until);
        }
        let mut retried = 0;
        while batch.len() < most {
            let Some(slot) = self.schedule.send_next() else { break };
            retried += u64::from(slot.tries > 1);
            let event = &slot.item.event;
            batch.push(Outgoing {
                id: event.id().clone(),
                subject: event.subject().to_owned(),
                payload: event.payload().clone(),
            });
        }
        self.gate.sent();
        self.ledger.sent_batch(retried);
        self.flow = Flow::Flowing;
        Taken::Batch
    }

    fn nothing_to_take(&mut self, now: Duration, sender: &Waker) -> Taken {
        self.sender = Some(sender.clone());
        if self.schedule.ready() == 0 {
            self.hurry = false;
        }
        match self.flow {
            Flow::Flowing if !self.limits.gather.is_zero() => {
                let until = now.saturating_add(self.limits.gather);
                self.flow = Flow::Gathering { until };
                Taken::NothingUntil(until)
            }
            Flow::Gathering { until } if now < until => Taken::NothingUntil(until),
            _ => {
                self.flow = Flow::Asleep;
                Taken::Nothing
            }
        }
    }

    /// Whether a session makes sense now: there is something to send, and no
    /// reason to wait with it.
    pub(super) fn wants_a_session(&self, now: Duration) -> bool {
        !self.schedule.is_empty() && self.gate.permit(now) != Permit::None
    }

    /// Begins a session and says its number.
    pub(super) fn begin_session(&mut self) -> u64 {
        self.session += 1;
        self.broken = false;
        self.flow = Flow::Flowing;
        self.session
    }

    /// Ends the session: what is on its way is sent again by the next one.
    /// Hands out whom to wake, so that nobody goes on holding a source that is over.
    pub(super) fn end_session(&mut self, now: Duration, jitter: f64) -> Option<Waker> {
        self.session += 1;
        let lost = self.schedule.under_way() > 0;
        self.schedule.recall_sent();
        if lost || !self.broken {
            // It ended by itself: not the moment to begin the next one in a tight loop.
            let verdict = if lost { Verdict::InDoubt } else { Verdict::Unsent };
            self.gate.blocked(verdict, now, jitter);
        }
        self.broken = true;
        self.flow = Flow::Asleep;
        self.sender.take()
    }

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
        self.grant_room();
    }

    /// Does what is due at this time. Says whether the session is stuck: an
    /// event on its way has not been answered until the end of its time.
    pub(super) fn tick(&mut self, now: Duration, effects: &mut Effects) -> bool {
        self.schedule.wake(now);
        while let Some(slot) = self.schedule.expire(now) {
            self.give_up(slot, refusals::expired, effects);
        }
        if self.schedule.ready() > 0 && self.gate.permit(now) != Permit::None {
            effects.wake = self.sender.take();
        }
        if !effects.settled.is_empty() {
            self.grant_room();
        }
        self.schedule.is_stuck(now)
    }

    /// When something is due next.
    pub(super) fn next_tick(&self, now: Duration) -> Option<Duration> {
        let shut_until = self.gate.opens_at().filter(|&at| at > now && !self.schedule.is_empty());
        [self.schedule.oldest_deadline(), self.schedule.next_wake(), shut_until, self.notices.due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Ends the wait of those who wait for room, as far as there is some.
    pub(super) fn grant_room(&mut self) {
        if self.intake == Intake::Open && !self.waiting.is_empty() {
            let ledger = &self.ledger;
            self.waiting.grant(|events, bytes| ledger.fits(events - 1, bytes));
        }
    }

    /// Drops unsent events, oldest first, until there is room for this charge.
    /// Says whether there is.
    pub(super) fn make_room(&mut self, charge: u64, effects: &mut Effects) -> bool {
        while !self.fits(charge) {
            let Some(slot) = self.schedule.drop_oldest() else { return false };
            self.notices.gather().dropped += 1;
            let receipt = slot.item.receipt.is_some().then(|| Err(refusals::dropped()));
            self.settle(slot, Outcome::Dropped, receipt, effects);
        }
        true
    }

    /// Gives up everything that is left, when nobody will send it any more.
    pub(super) fn give_up_all(&mut self, effects: &mut Effects) {
        self.session += 1;
        self.broken = true;
        effects.wake = self.sender.take();
        while let Some(slot) = self.schedule.give_up() {
            self.give_up(slot, refusals::stopped, effects);
        }
    }

    /// Ends an event without its having been stored for certain.
    fn give_up(
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

    fn settle(
        &mut self,
        mut slot: Slot,
        outcome: Outcome,
        receipt: Option<Result<EventReceipt>>,
        effects: &mut Effects,
    ) {
        let item = &mut slot.item;
        self.ledger.settle(slot.number, outcome, item.charge(), item.event.size() as u64);
        if let (Some(sender), Some(receipt)) = (item.receipt.take(), receipt) {
            effects.receipts.push((sender, receipt));
        }
        effects.settled.push(slot);
    }
}
