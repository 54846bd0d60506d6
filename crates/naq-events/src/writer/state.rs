//! Everything behind the writer's lock, and each step that is taken under it.
//!
//! No step waits, does I/O, or calls code of others. What has to be done
//! without the lock (waking, telling receipts, freeing) is handed out as
//! [`Effects`].

use std::time::Duration;

use naq_core::config::Guarantee;
use naq_core::events::{EncodedEvent, EventReceipt, LossReason};
use naq_core::{Error, Result, Timestamp};
use tokio::sync::oneshot;

use super::backoff::Backoff;
use super::doubt::{Doubt, Marks};
use super::gate::{Gate, Permit};
use super::latency::Latencies;
use super::ledger::{Ledger, Outcome};
use super::losses::Losses;
use super::notices::Notices;
use super::recognition::recognised_for;
use super::refusals;
use super::room::Room;
use super::schedule::Schedule;
use super::sender::{Flow, PerWay, Sender, Wakes};
use super::slot::{Item, Slot};
use super::spooling::Spooling;
use super::steady::Steady;
use super::waiting::WaitingRoom;
use super::way::Way;
use crate::stream_setup::StreamFacts;

/// What is to be done when the lock is released.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) wake: Wakes,
    /// Whether the driver is to look.
    pub(super) nudges_driver: bool,
    pub(super) receipts: Vec<(oneshot::Sender<Result<EventReceipt>>, Result<EventReceipt>)>,
    /// Kept until the lock is released, because freeing takes time too.
    pub(super) settled: Vec<Slot>,
    /// Whether something was stored after a time in which nothing was.
    pub(super) recovered: bool,
    /// Told whether their events are on disk.
    pub(super) on_disk: Vec<(oneshot::Sender<Result<()>>, Result<()>)>,
    /// Whether something else was settled, or went to the spool.
    pub(super) are_settled: bool,
    /// Whether the spool's keeper has something to do.
    pub(super) nudges_keeper: bool,
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
    pub(super) guarantee: Guarantee,
    /// How long a stream recognises a message id that doesn't say it.
    pub(super) duplicate_window: Duration,
    pub(super) backoff: Backoff,
}

/// Everything behind the writer's lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) limits: Limits,
    pub(super) steady: Steady,
    pub(super) schedule: Schedule,
    pub(super) ledger: Ledger,
    pub(super) losses: Losses,
    pub(super) latencies: Latencies,
    pub(super) gate: Gate,
    pub(super) waiting: WaitingRoom,
    pub(super) notices: Notices,
    pub(super) intake: Intake,
    /// Whether nobody sends anything any more.
    pub(super) is_over: bool,
    /// What goes to disk and comes back, if there is a spool.
    pub(super) spooling: Option<Box<Spooling>>,
    /// Which session it is, counted up at its beginning and at its end.
    pub(super) session: u64,
    /// Whether the session at hand is of no use any more, or there is none.
    pub(super) broken: bool,
    /// The way that events go, and what keeps them from being stored twice.
    pub(super) way: Option<(Way, Guarantee)>,
    /// What a batch without ids left in doubt.
    pub(super) doubt: Option<Doubt>,
    /// Behind what in the stream events stand.
    pub(super) marks: Marks,
    /// When the stream was made that they are of.
    pub(super) marked_stream: Option<Timestamp>,
    /// What is known of the stream.
    pub(super) facts: Option<StreamFacts>,
    /// For how long after it was sent the stream surely recognises an event by its id.
    pub(super) recognised_for: Duration,
    /// Until when events have to do without fast ingest, because a try of it was refused.
    pub(super) no_batch_before: Duration,
    /// Whether somebody waits for an outcome, so that nothing is gathered.
    pub(super) hurry: bool,
    /// Whether the driver wants to be told, once, of what no sender would take.
    pub(super) driver_waits: bool,
    /// How many wait for others' outcomes.
    pub(super) watchers: usize,
    /// The latest reason why something was not stored.
    pub(super) trouble: Option<Error>,
    pub(super) senders: PerWay<Sender>,
}

impl State {
    pub(super) fn new(limits: Limits, steady: Steady) -> Self {
        Self {
            steady,
            schedule: Schedule::new(),
            ledger: Ledger::new(limits.max_events, limits.max_bytes),
            losses: Losses::default(),
            latencies: Latencies::new(),
            gate: Gate::new(limits.backoff),
            waiting: WaitingRoom::default(),
            notices: Notices::default(),
            intake: Intake::NotStarted,
            is_over: false,
            spooling: None,
            session: 0,
            broken: true,
            way: None,
            doubt: None,
            marks: Marks::default(),
            marked_stream: None,
            facts: None,
            recognised_for: recognised_for(limits.duplicate_window),
            no_batch_before: Duration::ZERO,
            hurry: false,
            driver_waits: false,
            watchers: 0,
            trouble: None,
            senders: PerWay::senders(),
            limits,
        }
    }

    /// The stream has this duplicate window, where it says so.
    pub(super) fn stream_recognises_for(&mut self, window: Option<Duration>) {
        if let Some(window) = window {
            self.recognised_for = recognised_for(window);
        }
    }

    /// Whether there is room for one more of this charge.
    pub(super) const fn fits(&self, charge: u64) -> bool {
        self.ledger.fits(charge)
    }

    /// Takes an event in. Seldom is anybody to be woken for it: while events
    /// flow the sender comes back by itself.
    pub(super) fn accept(&mut self, item: Item, charge: u64, now: Duration, effects: &mut Effects) {
        self.ledger.accept(charge);
        let accepted = self.steady.at(now);
        let deadline = now.saturating_add(self.limits.delivery_timeout);
        if self.goes_to_disk() {
            let number = self.schedule.next_number();
            effects.nudges_keeper |=
                self.queue_for_disk(Slot::new(item, number, accepted, deadline));
            return;
        }
        self.hurry |= item.receipt.is_some();
        let way = self.schedule.accept(item, accepted, deadline);
        // Looked at by itself at the latest when the oldest event is late.
        effects.nudges_driver |= self.spooling.is_some() && self.is_half_full();
        self.send_by(way, now, effects);
    }

    /// There is something to send by this way.
    pub(super) fn send_by(&mut self, way: Way, now: Duration, effects: &mut Effects) {
        let sender = self.senders.of_mut(way);
        let wanted = match sender.flow {
            Flow::Asleep => true,
            Flow::Gathering { .. } => self.hurry || self.schedule.ready(way) >= self.limits.batch,
            Flow::Flowing => false,
        };
        if !wanted || self.gate.permit(now) == Permit::None {
            return;
        }
        if sender.is_open {
            effects.wake.add(way, sender.waker.take());
        } else {
            effects.nudges_driver |= std::mem::take(&mut self.driver_waits);
        }
    }

    /// Takes the events in of those who wait for room, as far as there is some.
    pub(super) fn grant_room(&mut self, now: Duration, effects: &mut Effects) {
        if self.intake != Intake::Open {
            return;
        }
        while let Some((item, accepted)) = self.waiting.next(|charge| self.ledger.fits(charge)) {
            let charge = item.charge();
            // The buffer is full: nothing that it could be gathered with will come before it.
            self.hurry = true;
            self.accept(item, charge, now, effects);
            // Whoever goes away at this moment has an accepted event.
            let _ = accepted.send(());
        }
    }

    /// An event that was logged at this time was dropped instead of being accepted.
    pub(super) fn lose_newest(&mut self, event: &EncodedEvent, logged: Timestamp) {
        self.losses.add(None, event, LossReason::DropNewest, logged);
        self.notices.gather().dropped.add(event.event_type(), logged);
    }

    /// An event in hand was dropped.
    pub(super) fn lose(&mut self, slot: &Slot, reason: LossReason) {
        let event = &slot.item.event;
        self.losses.add(Some(slot.number), event, reason, slot.accepted);
        self.notices.gather().dropped.add(event.event_type(), slot.accepted);
    }

    /// What dropping all unsent events whose policy allows it would make.
    fn droppable(&self) -> Room {
        self.schedule.droppable() + self.droppable_in_queue()
    }

    /// Drops unsent events whose policy allows it, oldest first, until there is
    /// room for this charge behind all that wait for room: these are taken in
    /// first. Says whether there is. Nothing is dropped that lets nobody in.
    pub(super) fn make_room(&mut self, charge: u64, now: Duration, effects: &mut Effects) -> bool {
        loop {
            self.grant_room(now, effects);
            if self.waiting.is_empty() && self.fits(charge) {
                return true;
            }
            // A drop is worth it where it lets somebody in.
            let next = self.waiting.next_charge().unwrap_or(charge);
            if !self.ledger.would_fit(next, self.droppable()) {
                return false;
            }
            let oldest = self.schedule.drop_oldest().or_else(|| self.drop_queued());
            let Some(slot) = oldest else { return false };
            self.lose(&slot, LossReason::DropOldest);
            let receipt = slot.item.receipt.is_some().then(|| Err(refusals::dropped()));
            self.settle(slot, Outcome::Dropped, receipt, effects);
        }
    }
}
