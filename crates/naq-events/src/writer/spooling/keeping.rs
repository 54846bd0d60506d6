//! From memory to disk: the steps under the lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use naq_core::config::SpoolMode;
use naq_core::events::{EventReceipt, LossReason};
use naq_core::{Error, Result, Timestamp};
use tokio::sync::oneshot;

use super::state::Held;
use crate::spool::{Appended, SentContext, Spool, SpoolEntry, SpoolPosition};
use crate::writer::ledger::Outcome;
use crate::writer::refusals;
use crate::writer::room::Room;
use crate::writer::shared::Shared;
use crate::writer::slot::Slot;
use crate::writer::state::{Effects, State};

/// So many events are written at once.
const MAX_EVENTS: usize = 1_000;
/// Writing stops with the event that reaches so many bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The shortest and the longest wait before a spool in trouble is asked again.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Somebody who waits until an event is on disk.
#[derive(Debug)]
pub(in crate::writer) struct OnDisk {
    /// Told that it is, or why not.
    pub(in crate::writer) told: oneshot::Sender<Result<()>>,
    /// Whether it is being written, so that nobody can take it back.
    pub(in crate::writer) begun: Arc<AtomicBool>,
    /// What becomes of it where the spool takes nothing.
    pub(in crate::writer) otherwise: Otherwise,
}

/// What becomes of an event that the spool doesn't take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::writer) enum Otherwise {
    /// It waits, as long as somebody waits for it.
    Wait,
    /// It is refused.
    Reject,
    /// It is dropped.
    Drop,
}

/// What became of the wish to take back an event that is to be on disk.
#[derive(Debug)]
pub(in crate::writer) enum Withdrawal {
    /// It is taken back; with it, why the spool takes nothing, where that is so.
    Done(Option<Error>),
    /// The disk has it, or is about to.
    TooLate,
    /// It has its outcome.
    Settled,
}

impl Shared {
    /// Takes back the event that waits for the disk, known by whether writing it has `begun`.
    pub(in crate::writer) fn withdraw(&self, begun: &Arc<AtomicBool>) -> Withdrawal {
        let now = self.now();
        let mut effects = Effects::default();
        let mut state = self.lock();
        let withdrawal = state.withdraw(begun, now, &mut effects);
        self.carry_out(state, effects);
        withdrawal
    }

    /// The spool has answered about these events: how many it has, or why none.
    pub(super) fn written(&self, mut batch: Vec<Slot>, appended: Result<Appended>) {
        let now = self.now();
        let mut effects = Effects::default();
        let mut state = self.lock();
        let was_in_trouble = state.spooling.as_ref().is_some_and(|s| s.trouble.is_some());
        let refused = match appended {
            Ok(appended) => {
                let count = usize::try_from(appended.count()).unwrap_or(usize::MAX);
                let Appended { positions, refused, .. } = appended;
                let rest = batch.split_off(count.min(batch.len()));
                state.kept(batch, *positions.start(), now, &mut effects);
                batch = rest;
                refused
            }
            Err(error) => Some(error),
        };
        match &refused {
            Some(error) => state.not_kept(batch, error, now, &mut effects),
            None => state.spool_is_well(),
        }
        state.consider_going_past(now, &mut effects);
        self.carry_out(state, effects);
        match refused {
            Some(error) if !was_in_trouble => tracing::error!(%error, "the spool takes no events"),
            None if was_in_trouble => tracing::info!("the spool takes events again"),
            _ => {}
        }
    }

    /// Nobody waits for the answer about these events any more, because the service ends.
    pub(super) fn not_waited_for(&self, batch: Vec<Slot>, is_handed_over: bool) {
        let mut effects = Effects { are_settled: true, ..Effects::default() };
        let mut state = self.lock();
        if is_handed_over {
            batch.into_iter().for_each(|slot| state.leave_to_the_disk(slot, &mut effects));
            if let Some(spooling) = &mut state.spooling {
                spooling.writing = 0;
            }
        } else {
            state.put_back(batch);
        }
        self.carry_out(state, effects);
    }
}

/// An event that was not sent, as the spool takes it; both times are of the same instant.
pub(super) fn plain_entry(slot: &Slot, steady_now: Timestamp, wall: Timestamp) -> SpoolEntry {
    // As far as it can be told from the time that has passed since.
    let accepted_at = wall.saturating_sub(steady_now.since(slot.accepted));
    SpoolEntry::new(slot.item.event.clone(), accepted_at)
}

impl State {
    /// Takes an accepted event in, for the spool.
    pub(in crate::writer) fn queue_for_disk(&mut self, slot: Slot) -> bool {
        let Some(spooling) = &mut self.spooling else { return false };
        spooling.queue.push(slot);
        spooling.is_idle && spooling.turning_since.is_none()
    }

    /// The next events to write, and those that nobody wants written any more.
    pub(super) fn take_for_disk(&mut self, now: Duration, effects: &mut Effects) -> Vec<Slot> {
        let mut batch = Vec::new();
        let Some(spooling) = &mut self.spooling else { return batch };
        if !spooling.is_through || spooling.turning_since.is_some() || !spooling.takes(now) {
            return batch;
        }
        let (mut bytes, mut withdrawn) = (0, Vec::new());
        while batch.len() < MAX_EVENTS && bytes < MAX_BYTES {
            let Some(slot) = spooling.queue.pop() else { break };
            if let Some(on_disk) = &slot.item.on_disk {
                if on_disk.told.is_closed() {
                    withdrawn.push(slot);
                    continue;
                }
                on_disk.begun.store(true, Ordering::Relaxed);
            }
            bytes += slot.item.event.size() as u64;
            batch.push(slot);
        }
        spooling.writing = batch.len();
        for slot in withdrawn {
            self.ledger.withdraw(slot.number, slot.item.charge());
            effects.settled.push(slot);
        }
        if !effects.settled.is_empty() {
            self.grant_room(now, effects);
        }
        batch
    }

    fn withdraw(
        &mut self,
        begun: &Arc<AtomicBool>,
        now: Duration,
        effects: &mut Effects,
    ) -> Withdrawal {
        if begun.load(Ordering::Relaxed) {
            return Withdrawal::TooLate;
        }
        let is_it = |slot: &Slot| {
            slot.item.on_disk.as_ref().is_some_and(|on_disk| Arc::ptr_eq(&on_disk.begun, begun))
        };
        let slot = self.spooling.as_mut().and_then(|spooling| spooling.queue.remove(is_it));
        let Some(slot) = slot else { return Withdrawal::Settled };
        self.ledger.withdraw(slot.number, slot.item.charge());
        effects.settled.push(slot);
        self.grant_room(now, effects);
        Withdrawal::Done(self.spooling.as_ref().and_then(|spooling| spooling.trouble().cloned()))
    }

    /// An event as the spool takes it; `now` and `wall` are the same instant.
    pub(super) fn spool_entry(&self, slot: &Slot, now: Duration, wall: Timestamp) -> SpoolEntry {
        let steady_now = self.steady.at(now);
        let entry = plain_entry(slot, steady_now, wall);
        if !slot.in_doubt {
            return entry;
        }
        let accepted_at = entry.accepted_at;
        let accepted = now.saturating_sub(steady_now.since(slot.accepted));
        let view = self.spooling.as_ref().and_then(|spooling| spooling.views.before(accepted));
        let lost = SentContext::lost(accepted_at);
        entry.in_doubt(view.map_or(lost, |view| view.context(accepted_at)))
    }

    /// Puts events back that were not written, in front of all others.
    pub(super) fn put_back(&mut self, batch: Vec<Slot>) {
        let Some(spooling) = &mut self.spooling else { return };
        spooling.writing = 0;
        for on_disk in batch.iter().filter_map(|slot| slot.item.on_disk.as_ref()) {
            on_disk.begun.store(false, Ordering::Relaxed);
        }
        spooling.queue.put_back(batch);
    }

    /// The events are in the spool, the first one at this position.
    fn kept(
        &mut self,
        batch: Vec<Slot>,
        first: SpoolPosition,
        now: Duration,
        effects: &mut Effects,
    ) {
        let waits = self.gate.is_open();
        let Some(spooling) = &mut self.spooling else { return };
        spooling.writing = 0;
        let mut position = first;
        for mut slot in batch {
            self.ledger.keep(slot.number, slot.item.charge());
            spooling.numbers.push(position, slot.number);
            if slot.tries > 0 {
                spooling.sent.insert(position);
            }
            if let Some(receipt) = slot.item.receipt.take() {
                let id = slot.item.event.id().clone();
                if waits {
                    spooling.held.insert(position, Held { receipt, id, deadline: slot.deadline });
                } else {
                    effects.receipts.push((receipt, Ok(EventReceipt::spooled(id))));
                }
            }
            if let Some(on_disk) = slot.item.on_disk.take() {
                effects.on_disk.push((on_disk.told, Ok(())));
            }
            effects.settled.push(slot);
            position = position.next();
        }
        self.grant_room(now, effects);
        effects.nudges_driver |= self.broken;
    }

    /// The spool took all that it was given.
    fn spool_is_well(&mut self) {
        if let Some(spooling) = &mut self.spooling {
            spooling.trouble = None;
            spooling.failures = 0;
        }
    }

    /// The disk has an event, and nobody hears its answer.
    fn leave_to_the_disk(&mut self, mut slot: Slot, effects: &mut Effects) {
        self.ledger.keep(slot.number, slot.item.charge());
        if let Some(on_disk) = &slot.item.on_disk {
            on_disk.begun.store(true, Ordering::Relaxed);
        }
        if let Some(receipt) = slot.item.receipt.take() {
            effects.receipts.push((receipt, Err(refusals::handed_over())));
        }
        effects.settled.push(slot);
    }

    /// The spool didn't take the events: the policy applies to those that somebody
    /// waits for, the others wait, or go past it where it is empty.
    fn not_kept(&mut self, batch: Vec<Slot>, error: &Error, now: Duration, effects: &mut Effects) {
        let mut stay = Vec::with_capacity(batch.len());
        for mut slot in batch {
            let otherwise = slot.item.on_disk.as_ref().map(|on_disk| on_disk.otherwise);
            match otherwise {
                None | Some(Otherwise::Wait) => {
                    stay.push(slot);
                    continue;
                }
                Some(Otherwise::Reject) => {
                    self.ledger.withdraw(slot.number, slot.item.charge());
                }
                Some(Otherwise::Drop) => {
                    let (charge, bytes) = (slot.item.charge(), slot.item.event.size() as u64);
                    self.ledger.settle(slot.number, Outcome::Dropped, charge, bytes);
                    self.lose(&slot, LossReason::DropNewest);
                }
            }
            if let Some(on_disk) = slot.item.on_disk.take() {
                let told = match on_disk.otherwise {
                    Otherwise::Drop => Ok(()),
                    _ => Err(refusals::full(None, Some(error))),
                };
                effects.on_disk.push((on_disk.told, told));
            }
            effects.settled.push(slot);
        }
        self.put_back(stay);
        self.grant_room(now, effects);
        let Some(spooling) = &mut self.spooling else { return };
        spooling.failures = spooling.failures.saturating_add(1);
        let wait = RETRY_MIN.saturating_mul(1 << (spooling.failures - 1).min(8)).min(RETRY_MAX);
        spooling.retry_at = now.saturating_add(wait);
        spooling.trouble = Some(error.clone());
    }

    /// Goes on as if there were no spool until it is tried again, where it takes
    /// nothing and has nothing.
    pub(super) fn consider_doing_without(&mut self, effects: &mut Effects) {
        let on_disk = self.ledger.on_disk();
        let Some(spooling) = &mut self.spooling else { return };
        if spooling.is_through
            && spooling.mode == SpoolMode::Overflow
            && spooling.trouble.is_some()
            && on_disk == 0
            && spooling.writing == 0
            && spooling.turning_since.is_none()
        {
            spooling.is_through = false;
            for slot in spooling.queue.take() {
                self.schedule.admit(slot);
            }
            effects.nudges_driver = true;
        }
    }

    /// Gives up what has waited for a spool in trouble until the end of its time.
    pub(super) fn expire_queue(&mut self, now: Duration, effects: &mut Effects) {
        loop {
            let Some(spooling) = &mut self.spooling else { return };
            if spooling.trouble.is_none()
                || spooling.queue.front().is_none_or(|slot| slot.deadline > now)
            {
                return;
            }
            let Some(slot) = spooling.queue.pop() else { return };
            self.give_up(slot, refusals::expired, effects);
        }
    }

    /// Hands all that is in memory over to the spool without waiting, because
    /// the service ends here and now.
    pub(in crate::writer) fn hand_over(
        &mut self,
        spool: &Spool,
        now: Duration,
        wall: Timestamp,
        effects: &mut Effects,
    ) {
        self.unload(effects);
        self.tell_held(effects);
        loop {
            let Some(spooling) = self.spooling.as_ref().filter(|s| s.trouble.is_none()) else {
                return;
            };
            let next = spooling.queue.iter().take(MAX_EVENTS);
            let entries: Vec<_> = next.map(|slot| self.spool_entry(slot, now, wall)).collect();
            let count = entries.len();
            // It writes them even though nobody waits for the answer.
            if count == 0 || spool.try_append(entries).is_err() {
                return;
            }
            for _ in 0..count {
                let Some(slot) = self.take_queued() else { return };
                self.leave_to_the_disk(slot, effects);
            }
        }
    }

    /// Gives up the oldest event that waits for the spool and may be dropped.
    pub(in crate::writer) fn drop_queued(&mut self) -> Option<Slot> {
        self.spooling.as_mut()?.queue.drop_oldest()
    }

    /// What those take that wait for the spool and may be dropped.
    pub(in crate::writer) fn droppable_in_queue(&self) -> Room {
        self.spooling.as_ref().map_or(Room::NONE, |spooling| spooling.queue.droppable())
    }

    /// Takes out the oldest event that waits for the spool.
    pub(in crate::writer) fn take_queued(&mut self) -> Option<Slot> {
        self.spooling.as_mut()?.queue.pop()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use naq_core::ErrorKind;
    use naq_core::clock::ManualClock;
    use naq_core::config::EventsConfig;
    use naq_core::events::{Event, EventEncoder, EventSubjects};

    use super::*;
    use crate::writer::Writer;
    use crate::writer::spooling::Spooling;
    use crate::writer::state::Intake;

    fn full() -> Error {
        Error::new(ErrorKind::LimitReached, "spool_append", "full")
    }

    /// A writer of which ten events wait for the spool.
    fn waiting() -> Writer {
        let config = EventsConfig::default();
        let encoder = Arc::new(EventEncoder::new(EventSubjects::default()));
        let writer = Writer::new(&config, Arc::new(ManualClock::new()), Arc::clone(&encoder));
        {
            let mut state = writer.shared.lock();
            state.intake = Intake::Open;
            state.spooling = Some(Box::new(Spooling::new(&config, true)));
        }
        for _ in 0..10 {
            let event = encoder.encode(&Event::log("x"), Timestamp::default()).unwrap();
            writer.try_submit(event).unwrap();
        }
        writer
    }

    fn take(writer: &Writer) -> Vec<Slot> {
        writer.shared.lock().take_for_disk(Duration::ZERO, &mut Effects::default())
    }

    #[test]
    fn with_a_spool_that_is_full_and_drained_events_go_past_it() {
        let writer = waiting();
        let shared = &writer.shared;
        let batch = take(&writer);
        let appended = Appended::new(1, 4, Some(full()));
        shared.written(batch, Ok(appended));
        let counters = writer.counters();
        assert_eq!((counters.spooled, counters.pending), (4, 6));
        assert!(shared.lock().goes_to_disk(), "what is in the spool comes first");
        {
            let mut state = shared.lock();
            for number in 1..=4 {
                state.ledger.settle_spooled(number, Outcome::Acked { duplicate: false }, 1);
            }
            state.consider_going_past(Duration::ZERO, &mut Effects::default());
            assert!(!state.goes_to_disk() && !state.schedule.is_empty());
        }
        assert!(writer.counters().is_balanced());
    }

    #[test]
    fn what_the_disk_has_when_the_service_ends_is_left_to_it_once() {
        let writer = waiting();
        let batch = take(&writer);
        writer.shared.not_waited_for(batch, true);
        let counters = writer.counters();
        assert_eq!((counters.spooled, counters.pending), (10, 0));
        assert!(take(&writer).is_empty());
        let writer = waiting();
        let batch = take(&writer);
        writer.shared.not_waited_for(batch, false);
        assert_eq!(take(&writer).len(), 10, "what it doesn't have is still there");
    }
}
