//! What all sessions of one JetStream share: the model behind a lock, its clock, who waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use naq_core::clock::Clock;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::fast_batches::FastBatches;
use crate::faults::FaultState;
use crate::model::{Model, Moment};

#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) clock: Arc<dyn Clock>,
    /// How long an operation waits for an answer that a fault holds back.
    pub(crate) deadline: Duration,
    /// Told when a fault begins or ends, or a session closes.
    gates_changed: Arc<Notify>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) model: Model,
    pub(crate) faults: FaultState,
    pub(crate) batches: FastBatches,
    /// Who waits for a stream to change; a stream nobody waits for has none.
    waiting: HashMap<String, Arc<Notify>>,
}

impl Shared {
    pub(crate) fn new(model: Model, clock: Arc<dyn Clock>, deadline: Duration) -> Self {
        let state = State {
            model,
            faults: FaultState::default(),
            batches: FastBatches::default(),
            waiting: HashMap::new(),
        };
        Self { state: Mutex::new(state), clock, deadline, gates_changed: Arc::new(Notify::new()) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // No operation of the model panics; should one, then what it had changed so far is
        // still a whole structure, and better told than hidden behind a second panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment { wall: self.clock.now(), monotonic: self.clock.monotonic() }
    }

    /// A wait for the next change of faults or sessions; it counts from now,
    /// whenever it is polled.
    pub(crate) fn gates_changed(&self) -> OwnedNotified {
        Arc::clone(&self.gates_changed).notified_owned()
    }

    /// Wakes everybody who waits, for whatever, to look at the gates again.
    pub(crate) fn tell_gates(&self, state: &mut State) {
        self.gates_changed.notify_waiters();
        for (_, waiting) in state.waiting.drain() {
            waiting.notify_waiters();
        }
    }
}

impl State {
    /// Wakes those who wait for a stream to change.
    pub(crate) fn tell(&mut self, stream: &str) {
        if !self.waiting.is_empty()
            && let Some(waiting) = self.waiting.remove(stream)
        {
            waiting.notify_waiters();
        }
    }

    /// A wait for the next change of a stream; it counts from now, whenever it
    /// is polled.
    pub(crate) fn changed(&mut self, stream: &str) -> OwnedNotified {
        let waiting = match self.waiting.get(stream) {
            Some(waiting) => waiting,
            None => self.waiting.entry(stream.to_owned()).or_default(),
        };
        Arc::clone(waiting).notified_owned()
    }
}
