//! One connection's hold on a JetStream: its operations, its gate, its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use naq_core::clock::{Clock, ClockExt};
use naq_core::connection::ConnectionState;
use naq_core::{Error, ErrorKind, Result};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::faults::Link;
use crate::model::{Moment, Refusal};
use crate::shared::{Shared, State};

/// Whether an operation that gets no answer has changed something perhaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It only asks.
    None,
    /// It changes something.
    Change,
}

/// What to wait for: a change, or a monotonic instant if there is one.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) changed: OwnedNotified,
    pub(crate) until: Option<Duration>,
}

/// One connection, or the handle that a [`MemoryJetStream`](crate::MemoryJetStream) is.
#[derive(Debug)]
pub(crate) struct Session {
    shared: Arc<Shared>,
    life: Mutex<Life>,
    /// Told when the last change that waits for its answer has it.
    idle: Notify,
}

#[derive(Debug, Default)]
struct Life {
    phase: Phase,
    /// How many changes wait for their answer.
    working: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    Draining,
    Closed,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, life: Mutex::default(), idle: Notify::new() }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.shared.clock
    }

    pub(crate) fn moment(&self) -> Moment {
        self.shared.moment()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        // Nothing panics while it holds the lock.
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
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
        work(&mut self.state(), now).map_err(|refusal| refusal.error(operation))
    }

    /// Waits until no fault stands in the way of an operation, at most its deadline.
    pub(crate) async fn pass(&self, operation: &'static str, effect: Effect) -> Result<()> {
        share_the_thread().await;
        if self.life().phase != Phase::Open {
            return Err(closed(operation));
        }
        self.pass_within(operation, effect, self.shared.deadline).await
    }

    async fn pass_within(
        &self,
        operation: &'static str,
        effect: Effect,
        within: Duration,
    ) -> Result<()> {
        let mut work = None;
        let deadline = self.clock().deadline(within);
        loop {
            // Before looking, or a change in between goes unnoticed.
            let changed = self.shared.gates_changed();
            if self.is_closed() {
                return Err(closed(operation));
            }
            let link = self.state().faults.link();
            match link {
                Link::Up => return Ok(()),
                Link::Down => return Err(disconnected(operation)),
                Link::Blocked => {}
            }
            if effect == Effect::Change && work.is_none() {
                work = Some(Work::begin(self));
            }
            if self.clock().until(deadline, changed).await.is_none() {
                return Err(unanswered(operation, effect));
            }
        }
    }

    /// Whether reads get anything now.
    pub(crate) fn is_open(&self, state: &State) -> bool {
        state.faults.link() == Link::Up
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.life().phase == Phase::Closed
    }

    pub(crate) async fn wait(&self, Waiting { changed, until }: Waiting) {
        match until {
            Some(until) => {
                self.clock().until(until, changed).await;
            }
            None => changed.await,
        }
    }

    /// How the connection stands.
    pub(crate) fn connection_state(&self) -> ConnectionState {
        match self.life().phase {
            Phase::Closed => return ConnectionState::Closed,
            Phase::Draining => return ConnectionState::Draining,
            Phase::Open => {}
        }
        match self.state().faults.link() {
            Link::Down => ConnectionState::Disconnected,
            Link::Up | Link::Blocked => ConnectionState::Connected,
        }
    }

    /// Asks and waits for the answer.
    pub(crate) async fn round_trip(&self, within: Duration) -> Result<Duration> {
        let start = self.clock().monotonic();
        if self.life().phase != Phase::Open {
            return Err(closed("round_trip"));
        }
        self.pass_within("round_trip", Effect::None, within).await?;
        Ok(self.clock().elapsed_since(start))
    }

    /// Takes no more work, waits for the answers that are missing, then closes.
    pub(crate) async fn close(&self, within: Duration) -> Result<()> {
        let deadline = self.clock().deadline(within);
        self.enter(Phase::Draining);
        let missing = loop {
            let idle = self.idle.notified();
            let working = self.life().working;
            if working == 0 || self.clock().until(deadline, idle).await.is_none() {
                break self.life().working;
            }
        };
        self.enter(Phase::Closed);
        if missing == 0 {
            return Ok(());
        }
        Err(Error::new(ErrorKind::OutcomeUnknown, "close", "answers were missing at the deadline")
            .with("missing", missing.to_string())
            .with_hint("look whether the changes were carried out"))
    }

    /// Enters a phase, unless a later one has begun, and lets everybody look at it.
    fn enter(&self, phase: Phase) {
        {
            let mut life = self.life();
            if life.phase == Phase::Closed {
                return;
            }
            life.phase = phase;
        }
        self.shared.tell_gates(&mut self.state());
    }
}

/// Lets other tasks run now and then: a server's answer would take its time,
/// and one that is always there would keep the thread for whoever asks.
pub(crate) async fn share_the_thread() {
    tokio::task::coop::consume_budget().await;
}

/// A change that waits for its answer.
struct Work<'a>(&'a Session);

impl<'a> Work<'a> {
    fn begin(session: &'a Session) -> Self {
        session.life().working += 1;
        Self(session)
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.0.life().working -= 1;
        self.0.idle.notify_waiters();
    }
}

pub(crate) fn closed(operation: &'static str) -> Error {
    Error::new(ErrorKind::Closed, operation, "the connection is closed").with_hint("connect anew")
}

fn disconnected(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, operation, "the connection is down")
        .with_hint("wait until it is back, then try again")
}

fn unanswered(operation: &'static str, effect: Effect) -> Error {
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
