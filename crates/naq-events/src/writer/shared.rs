//! What the writer's handle, its task and its sessions share.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use naq_core::clock::Clock;
use naq_core::config::Guarantee;
use naq_core::events::EventId;
use naq_core::jetstream::{JetStream, Published, StreamInfo};
use naq_core::{Error, Result, Timestamp};
use tokio::sync::Notify;

use super::doubt::Doubt;
use super::read_back::Found;
use super::sender::PerWay;
use super::sending::{Outgoing, Taken};
use super::slot::Slot;
use super::state::{Effects, Intake, Limits, State};
use super::steady::Steady;
use super::telling_losses::LossEvents;
use super::verdict::Verdict;
use super::way::Way;
use crate::spool::Spool;
use crate::stream_setup::StreamFacts;

/// The stream is seen again after so many events, where doubts are read back.
const MARK_EVERY: u64 = 20_000;

/// The writer's state behind its lock, and who is to be told of changes.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stream: String,
    pub(super) loss_events: LossEvents,
    state: Mutex<State>,
    /// The numbers of the sources that may send, to be read without the lock.
    current: PerWay<AtomicU64>,
    /// The largest message that the server takes; 0 until one was reached.
    max_payload: AtomicU64,
    /// The largest message that the stream takes; 0 where there is no such limit.
    max_message: AtomicU64,
    /// Told when events got their outcome, where somebody watches.
    pub(super) settled: Notify,
    /// Told when the driver, which sleeps, has something to do.
    pub(super) nudge: Notify,
    /// Told when the spool's keeper, which is idle, has something to do.
    pub(super) keeper_nudge: Notify,
    /// The spool, from the start to the stop.
    spool: Mutex<Option<Arc<Spool>>>,
}

impl Shared {
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        stream: String,
        limits: Limits,
        loss_events: LossEvents,
    ) -> Self {
        let steady = Steady::new(&*clock);
        Self {
            clock,
            stream,
            loss_events,
            state: Mutex::new(State::new(limits, steady)),
            current: PerWay::default(),
            max_payload: AtomicU64::new(0),
            max_message: AtomicU64::new(0),
            settled: Notify::new(),
            nudge: Notify::new(),
            keeper_nudge: Notify::new(),
            spool: Mutex::new(None),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // No step under the lock panics, and each leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The spool, if there is one.
    pub(super) fn spool(&self) -> Option<Arc<Spool>> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the spool, or takes it away.
    pub(super) fn set_spool(&self, spool: Option<Arc<Spool>>) -> Option<Arc<Spool>> {
        let mut held = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *held, spool)
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// The largest message that is taken, headers included, where that is known.
    pub(super) fn max_message(&self) -> Option<u64> {
        [&self.max_payload, &self.max_message]
            .into_iter()
            .map(|limit| limit.load(Ordering::Relaxed))
            .filter(|&bytes| bytes > 0)
            .min()
    }

    /// What the server takes at most; 0 where that isn't known.
    pub(super) fn set_max_payload(&self, bytes: u64) {
        self.max_payload.store(bytes, Ordering::Relaxed);
    }

    /// What the stream takes at most; 0 where it has no such limit.
    fn set_max_message(&self, bytes: u64) {
        self.max_message.store(bytes, Ordering::Relaxed);
    }

    /// Notes what is known of the stream.
    pub(super) fn know_stream(&self, facts: StreamFacts) {
        self.set_max_message(facts.max_message);
        let mut state = self.lock();
        state.stream_recognises_for(facts.duplicate_window);
        state.facts = Some(facts);
    }

    pub(super) fn is_current(&self, way: Way, number: u64) -> bool {
        self.current.of(way).load(Ordering::Relaxed) == number
    }

    pub(super) fn take(
        &self,
        way: Way,
        number: u64,
        waker: &Waker,
        batch: &mut Vec<Outgoing>,
    ) -> Taken {
        let now = self.now();
        let mut effects = Effects::default();
        let mut state = self.lock();
        let taken = state.take(way, number, now, waker, batch, &mut effects);
        self.carry_out(state, effects);
        taken
    }

    /// Whether the session is of use though it has nothing to send at the moment.
    pub(super) fn awaits_more(&self) -> bool {
        self.lock().awaits_more()
    }

    /// Whether the stream takes fast batches now, as far as is known.
    pub(super) fn takes_batches(&self) -> bool {
        let now = self.now();
        let state = self.lock();
        state.may_send_batches(now) && state.facts.is_none_or(|facts| facts.takes_batches)
    }

    /// Hurries the senders on: somebody waits for what they would gather.
    pub(super) fn hurry(&self) {
        let mut effects = Effects::default();
        let mut state = self.lock();
        state.hurry(&mut effects);
        self.carry_out(state, effects);
    }

    pub(super) fn begin_session(
        &self,
        way: Way,
        guarantee: Guarantee,
        jetstream: &Arc<dyn JetStream>,
    ) {
        let mut state = self.lock();
        state.begin_session(way, guarantee);
        if state.session_begins(jetstream) {
            self.keeper_nudge.notify_one();
        }
    }

    /// Begins a source for this way if there is something to send, and says
    /// its number and the id of its batch.
    pub(super) fn open(&self, way: Way) -> Option<(u64, String)> {
        let now = self.now();
        let mut state = self.lock();
        let opened = state.open(way, now);
        self.publish_numbers(&state);
        opened
    }

    /// There are no more answers by this way.
    pub(super) fn closed(&self, way: Way) {
        let now = self.now();
        let mut effects = Effects::default();
        let mut state = self.lock();
        state.closed(way, now, fastrand::f64(), &mut effects);
        self.publish_numbers(&state);
        self.carry_out(state, effects);
    }

    /// Whatever is sent from now on is another session's.
    pub(super) fn end_session(&self) {
        let now = self.now();
        let mut effects = Effects { are_settled: true, ..Effects::default() };
        let mut state = self.lock();
        state.end_session();
        state.session_ended(now, &mut effects);
        self.carry_out(state, effects);
    }

    /// Whether the session can't send any more and has got all its answers.
    pub(super) fn is_spent(&self) -> bool {
        let state = self.lock();
        state.broken && state.schedule.under_way() == 0
    }

    /// Tells what may be read without the lock which sources may send.
    fn publish_numbers(&self, state: &State) {
        for way in Way::BOTH {
            self.current.of(way).store(state.senders.of(way).number, Ordering::Relaxed);
        }
    }

    /// Whether each event with a smaller number has its outcome.
    /// The service's own events don't count where there are no others.
    pub(super) fn is_settled(&self, below: u64) -> bool {
        let state = self.lock();
        state.ledger.has_notices_alone()
            || state.oldest_number().is_none_or(|oldest| oldest >= below)
    }

    /// Whether each event with a smaller number has its outcome, or is in the
    /// spool and will be there for a while.
    pub(super) fn is_settled_or_safe(&self, below: u64) -> bool {
        self.is_settled(below) || self.lock().is_safe(below)
    }

    /// The server's answers, in the order of the messages.
    ///
    /// `settled` is room for what they settle, kept from one call to the next
    /// of a session: it is too large to be allocated each time.
    pub(super) fn answer(
        &self,
        way: Way,
        answers: &mut Vec<Result<Published>>,
        settled: &mut Vec<Slot>,
    ) {
        let now = self.now();
        let mut effects = Effects { settled: std::mem::take(settled), ..Effects::default() };
        let mut state = self.lock();
        for answer in answers.drain(..) {
            state.answer(way, answer, now, fastrand::f64(), &mut effects);
        }
        state.after_answers(now, &mut effects);
        self.publish_numbers(&state);
        *settled = self.carry_out(state, effects);
        settled.clear();
    }

    /// What is to keep events from being stored twice.
    pub(super) fn guarantee(&self) -> Guarantee {
        self.lock().limits.guarantee
    }

    /// Whether so much was sent since the stream was last seen that reading
    /// back would take long.
    pub(super) fn wants_a_mark(&self) -> bool {
        let state = self.lock();
        state.marks.distance(state.schedule.next_in_line()) >= MARK_EVERY
    }

    /// The stream was seen: what is sent from now on stands behind its last
    /// message. A `new` session needs no earlier marks.
    pub(super) fn mark(&self, info: &StreamInfo, new: bool) {
        let mut state = self.lock();
        if let Some(facts) = &mut state.facts {
            facts.created = Some(info.created);
        }
        state.stream_recognises_for(info.config.duplicate_window);
        let (next, sequence) = (state.schedule.next_in_line(), info.state.last_sequence);
        if new {
            state.marks.begin(next, sequence);
        } else {
            let oldest = state.schedule.oldest_number().unwrap_or(next);
            state.marks.push(next, sequence);
            state.marks.trim(oldest);
        }
        state.marked_stream = Some(info.created);
    }

    /// Whether an event of the batch in doubt is still in hand.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.lock().schedule.line().has_doubtful()
    }

    /// Where to look for what is in doubt: in the stream made at this time,
    /// behind this sequence, for these events.
    pub(super) fn to_look_up(
        &self,
        doubt: &Doubt,
    ) -> Option<(Option<Timestamp>, u64, HashSet<EventId>)> {
        let mut state = self.lock();
        let behind = state.marks.before(*doubt.numbers.first()?)?;
        let wanted = state.schedule.line().doubtful();
        if wanted.is_empty() {
            return None;
        }
        Some((state.marked_stream, behind, wanted))
    }

    /// The batch in doubt was fenced off, and so many of its first events are stored.
    pub(super) fn batch_was_stored(&self, count: u64) {
        let now = self.now();
        let mut effects = Effects::default();
        let mut state = self.lock();
        state.batch_was_stored(count, now, &mut effects);
        self.carry_out(state, effects);
    }

    /// What was found of the events in doubt.
    pub(super) fn were_found(&self, found: &Found) {
        let now = self.now();
        let mut effects = Effects::default();
        let mut state = self.lock();
        state.were_found(&found.ids, found.is_certain, now, &mut effects);
        self.carry_out(state, effects);
    }

    /// There is no JetStream to send to.
    pub(super) fn connecting_failed(&self, error: Error) {
        let now = self.now();
        let mut state = self.lock();
        state.gate.blocked(Verdict::Unsent, now, fastrand::f64());
        let notice = state.notices.gather();
        notice.retrying += 1;
        notice.cause = Some(error.clone());
        state.trouble = Some(error);
        let mut effects = Effects { are_settled: true, ..Effects::default() };
        state.tick_the_spool(now, &mut effects);
        self.carry_out(state, effects);
    }

    /// Does what is due. Answers when something is due next, and whether the session is stuck.
    pub(super) fn tick(&self) -> (Option<Duration>, bool) {
        self.tell_losses(false);
        let now = self.now();
        let mut effects = Effects::default();
        let mut state = self.lock();
        let stuck = state.tick(now, &mut effects);
        let notice = state.notices.take(now);
        let next = state.next_tick(now);
        state.driver_waits = true;
        let pending = state.ledger.counters().pending;
        self.carry_out(state, effects);
        if let Some(notice) = notice {
            notice.tell(&self.stream, pending);
        }
        (next, stuck)
    }

    /// Accepts nothing any more, and sends those away who wait for room.
    pub(super) fn close_intake(&self) {
        let mut state = self.lock();
        state.intake = Intake::Stopped;
        state.waiting.close();
    }

    /// Lets all that has no outcome go to the spool.
    pub(super) fn begin_rescue(&self, now: Duration) {
        let mut effects =
            Effects { nudges_driver: true, nudges_keeper: true, ..Effects::default() };
        let mut state = self.lock();
        state.begin_rescue(now, &mut effects);
        self.carry_out(state, effects);
    }

    /// The end: whatever has no outcome gets one.
    pub(super) fn end(&self) {
        let now = self.now();
        let mut effects = Effects::default();
        let mut state = self.lock();
        state.intake = Intake::Stopped;
        state.is_over = true;
        state.waiting.close();
        state.abandon_session(&mut effects);
        if let Some(spool) = self.spool() {
            state.hand_over(&spool, now, self.clock.now(), &mut effects);
        }
        state.give_up_all(&mut effects);
        self.publish_numbers(&state);
        let notice = state.notices.take_rest();
        let untold = state.losses.untold();
        self.carry_out(state, effects);
        if untold > 0 {
            let stream = self.stream.as_str();
            tracing::warn!(stream, untold, "events were lost, and the stream doesn't tell");
        }
        if let Some(notice) = notice {
            notice.tell(&self.stream, 0);
        }
    }

    /// Releases the lock, and does what had to wait for that. What is left are
    /// the events that were settled, to be freed.
    pub(super) fn carry_out(&self, state: MutexGuard<'_, State>, effects: Effects) -> Vec<Slot> {
        let watched = state.watchers > 0 && (effects.are_settled || !effects.settled.is_empty());
        let nudges_keeper = effects.nudges_keeper && state.keeper_is_idle();
        drop(state);
        effects.wake.wake();
        if effects.nudges_driver {
            self.nudge.notify_one();
        }
        if nudges_keeper {
            self.keeper_nudge.notify_one();
        }
        for (sender, receipt) in effects.receipts {
            // Whoever doesn't wait any more has no use for it.
            let _ = sender.send(receipt);
        }
        for (sender, told) in effects.on_disk {
            let _ = sender.send(told);
        }
        if watched {
            self.settled.notify_waiters();
        }
        if effects.recovered {
            tracing::info!(stream = %self.stream, "events are stored again");
        }
        effects.settled
    }
}
