//! What all handles of one JetStream share: the model behind a lock, its clock, who waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use naq_core::clock::{Clock, ClockExt};
use naq_core::{Error, ErrorKind, Result};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::faults::{FaultState, Gate};
use crate::model::{Model, Moment, Refusal};

/// Whether an operation that gets no answer has changed something perhaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It only asks.
    None,
    /// It changes something.
    Change,
}

#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) clock: Arc<dyn Clock>,
    /// How long an operation waits for an answer that a fault holds back.
    pub(crate) deadline: Duration,
    /// Told when a fault begins or ends.
    pub(crate) faults_changed: Arc<Notify>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) model: Model,
    pub(crate) faults: FaultState,
    /// Who waits for a stream to change; a stream nobody waits for has none.
    waiting: HashMap<String, Arc<Notify>>,
}

impl Shared {
    pub(crate) fn new(model: Model, clock: Arc<dyn Clock>, deadline: Duration) -> Self {
        Self {
            state: Mutex::new(State {
                model,
                faults: FaultState::default(),
                waiting: HashMap::new(),
            }),
            clock,
            deadline,
            faults_changed: Arc::new(Notify::new()),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // The model's operations leave it whole even where one of them panics half-way: what
        // is lost then is a message, not the structure.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment { wall: self.clock.now(), monotonic: self.clock.monotonic() }
    }

    /// Carries out an operation once no fault stands in its way.
    pub(crate) async fn run<T>(
        &self,
        operation: &'static str,
        effect: Effect,
        work: impl FnOnce(&mut State, Moment) -> Result<T, Refusal> + Send,
    ) -> Result<T> {
        self.pass(operation, effect).await?;
        let now = self.moment();
        let mut state = self.state();
        work(&mut state, now).map_err(|refusal| refusal.error(operation))
    }

    /// Waits until no fault stands in the way of an operation, at most its deadline.
    pub(crate) async fn pass(&self, operation: &'static str, effect: Effect) -> Result<()> {
        let deadline = self.clock.deadline(self.deadline);
        loop {
            let changed = {
                let state = self.state();
                match state.faults.gate() {
                    Gate::Open => return Ok(()),
                    Gate::Disconnected => return Err(disconnected(operation)),
                    Gate::Blocked => Arc::clone(&self.faults_changed).notified_owned(),
                }
            };
            if self.clock.until(deadline, changed).await.is_none() {
                return Err(unanswered(operation, effect));
            }
        }
    }

    /// Tells everybody that faults have changed.
    pub(crate) fn tell_faults(&self, state: &mut State) {
        self.faults_changed.notify_waiters();
        for (_, waiting) in state.waiting.drain() {
            waiting.notify_waiters();
        }
    }

    /// Waits for a change, or until a monotonic instant if there is one.
    pub(crate) async fn wait(&self, changed: OwnedNotified, until: Option<Duration>) {
        match until {
            Some(until) => {
                self.clock.until(until, changed).await;
            }
            None => changed.await,
        }
    }
}

impl State {
    /// Tells those who wait for a stream that it has changed.
    pub(crate) fn tell(&mut self, stream: &str) {
        if !self.waiting.is_empty()
            && let Some(waiting) = self.waiting.remove(stream)
        {
            waiting.notify_waiters();
        }
    }

    /// A wait for the next change of a stream; it counts from now, whenever it is polled.
    pub(crate) fn changed(&mut self, stream: &str) -> OwnedNotified {
        let waiting = match self.waiting.get(stream) {
            Some(waiting) => waiting,
            None => self.waiting.entry(stream.to_owned()).or_default(),
        };
        Arc::clone(waiting).notified_owned()
    }
}

pub(crate) fn disconnected(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, operation, "the connection is down")
        .with_hint("wait until it is back, then try again")
}

pub(crate) fn unanswered(operation: &'static str, effect: Effect) -> Error {
    match effect {
        Effect::None => {
            Error::new(ErrorKind::Timeout, operation, "no answer in time").with_hint("try again")
        }
        Effect::Change => Error::new(ErrorKind::OutcomeUnknown, operation, "no answer in time")
            .with_hint("look whether it was carried out before trying again"),
    }
}

/// Adds a fact that the error doesn't tell already.
pub(crate) fn about(error: Error, key: &'static str, value: &str) -> Error {
    match error.get(key) {
        Some(_) => error,
        None => error.with(key, value),
    }
}
