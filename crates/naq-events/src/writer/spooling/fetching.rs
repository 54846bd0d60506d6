//! From disk into the schedule: the steps under the lock.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use naq_core::Timestamp;
use naq_core::events::{EventReceipt, LossReason};
use naq_core::jetstream::JetStream;

use super::doubts::Recognition;
use super::numbers::RECOVERED;
use super::state::Held;
use super::views::StreamView;
use crate::spool::{PositionSet, ReadLimit, SpoolOutcome, SpoolPosition, SpoolState, SpooledEvent};
use crate::writer::gate::Permit;
use crate::writer::ledger::Outcome;
use crate::writer::refusals;
use crate::writer::shared::Shared;
use crate::writer::slot::{Item, Slot};
use crate::writer::state::{Effects, State};
use crate::writer::way::Way;

/// More is read while less than this is in hand.
const LOW_EVENTS: u64 = 8_000;
const LOW_BYTES: u64 = 8 << 20;

/// A view of the stream that is older is refreshed.
const VIEW_AGE: Duration = Duration::from_secs(10);

/// What is to be read from the spool, and for whom.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) from: SpoolPosition,
    pub(super) limit: ReadLimit,
    /// The session that will send it.
    pub(super) session: u64,
    pub(super) jetstream: Arc<dyn JetStream>,
    pub(super) view: Option<StreamView>,
    /// Whether that view has to be seen anew first.
    pub(super) is_stale: bool,
    pub(super) recognition: Recognition,
}

/// What was read from the spool, and is to be sent.
#[derive(Debug)]
pub(super) struct Fetched {
    /// The session that it was read for.
    pub(super) session: u64,
    pub(super) events: Vec<SpooledEvent>,
    /// Where to read on.
    pub(super) next: SpoolPosition,
    /// What the stream recognised of them when that was settled.
    pub(super) recognition: Recognition,
    /// Those that may be in the stream, where they can't be found.
    pub(super) uncertain: HashSet<SpoolPosition>,
}

impl Shared {
    /// These events were read; those that were `found` in the stream, at these
    /// sequences, are settled. Hands out the rest.
    pub(super) fn found(
        &self,
        events: Vec<SpooledEvent>,
        found: &HashMap<SpoolPosition, u64>,
    ) -> Vec<SpooledEvent> {
        let (mut rest, mut effects) = (Vec::with_capacity(events.len()), Effects::default());
        let mut state = self.lock();
        for event in events {
            match found.get(&event.position) {
                Some(&sequence) => state.found(&event, sequence, &mut effects),
                None => rest.push(event),
            }
        }
        self.carry_out(state, effects);
        rest
    }

    /// The spool passed over these events, which are damaged.
    pub(super) fn damaged(&self, positions: &PositionSet) {
        let now = self.now();
        let mut effects = Effects { are_settled: true, ..Effects::default() };
        let mut state = self.lock();
        state.damaged(positions, now, &mut effects);
        self.carry_out(state, effects);
    }

    /// Hands what was read to its session.
    pub(super) fn fetched(&self, fetched: Fetched, hasher: &RandomState) {
        let now = self.now();
        let mut effects = Effects::default();
        let mut state = self.lock();
        state.fetched(fetched, now, self.clock.now(), hasher, &mut effects);
        state.consider_going_past(now, &mut effects);
        self.carry_out(state, effects);
    }

    /// What became of events is noted in the spool.
    pub(super) fn noted(&self) {
        let now = self.now();
        let mut state = self.lock();
        if let Some(spooling) = &mut state.spooling {
            spooling.is_noting = false;
        }
        let mut effects = Effects { are_settled: true, ..Effects::default() };
        state.consider_going_past(now, &mut effects);
        self.carry_out(state, effects);
    }
}

impl State {
    /// What to read next, if there is a session that could send it.
    pub(super) fn next_fetch(&self, now: Duration, wall: Timestamp) -> Option<Fetch> {
        let spooling = self.spooling.as_ref()?;
        let jetstream = Arc::clone(spooling.jetstream.as_ref()?);
        let is_over = self.broken || spooling.turning_since.is_some();
        // What has its outcome comes out again until that is noted.
        if is_over || !self.has_more_on_disk() || !spooling.notes.is_empty() {
            return None;
        }
        let limit = match self.gate.permit(now) {
            Permit::All => ReadLimit::default(),
            Permit::One if self.schedule.is_empty() => ReadLimit::new(1, 1),
            Permit::One | Permit::None => return None,
        };
        if spooling.in_hand >= LOW_EVENTS || spooling.in_hand_bytes >= LOW_BYTES {
            return None;
        }
        let view = spooling.views.latest();
        Some(Fetch {
            from: spooling.next,
            limit,
            session: self.session,
            jetstream,
            view,
            is_stale: view.is_some_and(|view| view.seen.saturating_add(VIEW_AGE) <= now),
            recognition: Recognition {
                recognised_for: self.recognised_for,
                at: now,
                now: wall,
                steady_now: self.steady.at(now),
            },
        })
    }

    /// Whether the publishing that has this number is the one under way, and can send more.
    pub(super) fn is_wanted(&self, session: u64) -> bool {
        session == self.session && !self.broken
    }

    /// Whether the disk has to be asked for something.
    ///
    /// Nothing is to be read before `not_before`; where that is `None`, nothing at all.
    pub(super) fn has_work_for_the_disk(
        &self,
        now: Duration,
        not_before: Option<Duration>,
    ) -> bool {
        let Some(spooling) = &self.spooling else { return false };
        let has_queued = !spooling.queue.is_empty()
            && spooling.is_through
            && spooling.turning_since.is_none()
            && spooling.takes(now);
        let reads = not_before.is_some_and(|at| now >= at)
            && self.next_fetch(now, Timestamp::default()).is_some();
        has_queued || !spooling.notes.is_empty() || reads
    }

    /// The stream was seen.
    pub(in crate::writer) fn stream_seen(&mut self, view: StreamView) {
        self.stream_recognises_for(view.duplicate_window);
        if let Some(spooling) = &mut self.spooling {
            spooling.views.push(view);
        }
    }

    /// These events are damaged: each ends under its own number, and one that
    /// told of losses gives its sum back.
    fn damaged(&mut self, positions: &PositionSet, now: Duration, effects: &mut Effects) {
        let Some(spooling) = &mut self.spooling else { return };
        let mut lost = 0;
        for (mut position, last) in positions.runs() {
            while position <= last {
                let number = spooling.numbers.get(position);
                lost += u64::from(!self.ledger.is_notice(number));
                self.losses.settled(number, false);
                self.ledger.settle_spooled(number, Outcome::Failed, 0);
                if let Some(held) = spooling.held.remove(&position) {
                    effects.receipts.push((held.receipt, Err(refusals::damaged())));
                }
                position = position.next();
            }
        }
        self.losses.add_nameless(lost, LossReason::Corrupt, self.steady.at(now));
        self.ledger.corrupt(positions.len());
    }

    /// An event that was in doubt is in the stream.
    fn found(&mut self, event: &SpooledEvent, sequence: u64, effects: &mut Effects) {
        let Some(spooling) = &mut self.spooling else { return };
        let number = spooling.numbers.get(event.position);
        let bytes = event.event.size() as u64;
        self.losses.settled(number, true);
        self.ledger.settle_spooled(number, Outcome::Acked { duplicate: true }, bytes);
        if let Some(held) = spooling.held.remove(&event.position) {
            effects.receipts.push((held.receipt, Ok(EventReceipt::new(held.id, sequence, true))));
        }
        effects.are_settled = true;
    }

    /// Puts what was read behind all that is in hand, if the session still wants it.
    fn fetched(
        &mut self,
        fetched: Fetched,
        now: Duration,
        wall: Timestamp,
        hasher: &RandomState,
        effects: &mut Effects,
    ) {
        if !self.is_wanted(fetched.session) {
            return;
        }
        let steady_now = self.steady.at(now);
        let Some(spooling) = &mut self.spooling else { return };
        for event in fetched.events {
            let position = event.position;
            let receipt = spooling.held.remove(&position);
            let accepted = steady_now.saturating_sub(event.age(wall));
            let entity = event.event.entity().map(|entity| hasher.hash_one(entity));
            let item = Item {
                receipt: receipt.map(|Held { receipt, .. }| receipt),
                position: Some(position),
                ..Item::new(event.event, entity, false)
            };
            spooling.in_hand += 1;
            spooling.in_hand_bytes += item.event.size() as u64;
            let patience = now.saturating_add(self.limits.delivery_timeout);
            let number = spooling.numbers.get(position);
            let mut slot = Slot::new(item, number, accepted, patience);
            slot.was_sent = spooling.sent.contains(position);
            slot.is_uncertain = fetched.uncertain.contains(&position);
            if let SpoolState::InDoubt(sent) = event.state {
                // How far an earlier process came with what it noted nobody knows.
                slot.was_sent |= number == RECOVERED;
                slot.recognised_until = fetched.recognition.until(&sent);
            }
            self.schedule.admit(slot);
        }
        spooling.next = fetched.next;
        // Nobody waits for these: they are on disk, and gather as others do.
        for way in Way::BOTH {
            if self.schedule.ready(way) > 0 {
                self.send_by(way, now, effects);
            }
        }
        effects.nudges_driver = true;
    }

    /// The outcome of an event in the spool that was in hand.
    pub(in crate::writer) fn settle_spooled(
        &mut self,
        position: SpoolPosition,
        slot: &Slot,
        outcome: Outcome,
        effects: &mut Effects,
    ) {
        let bytes = slot.item.event.size() as u64;
        self.ledger.settle_spooled(slot.number, outcome, bytes);
        let Some(spooling) = &mut self.spooling else { return };
        spooling.in_hand -= 1;
        spooling.in_hand_bytes -= bytes;
        let noted = match outcome {
            Outcome::Acked { .. } => SpoolOutcome::Acked,
            Outcome::Dropped => SpoolOutcome::Dropped,
            Outcome::Failed | Outcome::Unknown => SpoolOutcome::Failed,
        };
        spooling.note(noted, position);
        effects.nudges_keeper = true;
    }

    /// What became of events, to be noted in the spool.
    pub(super) fn take_notes(&mut self) -> Vec<(SpoolOutcome, PositionSet)> {
        let Some(spooling) = &mut self.spooling else { return Vec::new() };
        let notes = std::mem::take(&mut spooling.notes);
        spooling.is_noting = !notes.is_empty();
        notes
    }
}
