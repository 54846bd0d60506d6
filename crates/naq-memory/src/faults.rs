//! Faults on demand: what a network and a server do at 3 a.m., in a test at noon.

use std::fmt;
use std::sync::Arc;

use naq_core::{Error, ErrorKind};

use crate::shared::{Shared, State};

/// Injects faults into a [`MemoryJetStream`](crate::MemoryJetStream); clones act on the same one.
///
/// All take effect for every handle and every connection of that JetStream,
/// at once, in the order of the calls.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use naq_core::ErrorKind;
/// use naq_core::jetstream::{JetStream, PublishMessage, StreamConfig};
/// use naq_memory::MemoryJetStream;
///
/// let js = MemoryJetStream::new();
/// js.create_stream(StreamConfig::new("events", ["events.>"])).await?;
///
/// js.faults().lose_acks(1);
/// let message = PublishMessage::new("events.log", "x").with_message_id("1");
/// let error = js.publish(message.clone()).await.unwrap_err();
/// assert!(error.is(ErrorKind::OutcomeUnknown));
/// assert!(js.publish(message).await?.duplicate, "it was stored all the same");
/// # Ok::<(), naq_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

/// The faults that are in force.
#[derive(Debug, Default)]
pub(crate) struct FaultState {
    down: bool,
    blocked: bool,
    /// How many times the connection came back.
    reconnects: u64,
    /// How many times all reads were broken, and how the last time.
    breaks: u64,
    broken_kind: Option<ErrorKind>,
    failing: u64,
    failing_kind: Option<ErrorKind>,
    losing: u64,
}

/// Whether operations get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Up,
    Down,
    Blocked,
}

/// What becomes of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PublishFault {
    None,
    /// It is refused and not stored.
    Fail(ErrorKind),
    /// It is stored and its acknowledgement lost.
    LoseAck,
}

impl FaultState {
    pub(crate) fn link(&self) -> Link {
        if self.down {
            Link::Down
        } else if self.blocked {
            Link::Blocked
        } else {
            Link::Up
        }
    }

    pub(crate) fn reconnects(&self) -> u64 {
        self.reconnects
    }

    pub(crate) fn breaks(&self) -> u64 {
        self.breaks
    }

    /// How reads were broken that were open after so many times.
    pub(crate) fn broken_since(&self, breaks: u64) -> Option<ErrorKind> {
        self.broken_kind.filter(|_| self.breaks > breaks)
    }

    /// The fault of the next publish, which is used up by asking.
    pub(crate) fn next_publish(&mut self) -> PublishFault {
        if self.failing > 0
            && let Some(kind) = self.failing_kind
        {
            self.failing -= 1;
            return PublishFault::Fail(kind);
        }
        if self.losing > 0 {
            self.losing -= 1;
            return PublishFault::LoseAck;
        }
        PublishFault::None
    }
}

/// The error of what was made to fail.
pub(crate) fn injected(operation: &'static str, kind: ErrorKind) -> Error {
    Error::new(kind, operation, "a test made it fail")
}

impl fmt::Debug for Faults {
    /// The faults that are in force.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.state().faults.fmt(f)
    }
}

impl Faults {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn change(&self, fault: &'static str, change: impl FnOnce(&mut FaultState)) {
        tracing::debug!(fault, "a test changes the faults");
        let mut guard = self.shared.state();
        let state: &mut State = &mut guard;
        change(&mut state.faults);
        self.shared.tell_gates(state);
    }

    /// Refuses the next `count` publishes with an error of this kind; nothing of them is stored.
    ///
    /// Each message of `publish_many` counts for one, an atomic batch for one
    /// as a whole. A later call replaces an earlier one; 0 ends it.
    pub fn fail_publishes(&self, count: u64, kind: ErrorKind) {
        self.change("fail_publishes", |faults| {
            faults.failing = count;
            faults.failing_kind = Some(kind);
        });
    }

    /// Stores the next `count` publishes and answers `OutcomeUnknown`, as when
    /// an acknowledgement is lost; a publish that would be refused counts for
    /// one and loses its refusal.
    ///
    /// Publishes that are made to fail come before. 0 ends it.
    pub fn lose_acks(&self, count: u64) {
        self.change("lose_acks", |faults| faults.losing = count);
    }

    /// Ends each read that is open now with an error of this kind, behind what
    /// it has fetched already.
    pub fn break_reads(&self, kind: ErrorKind) {
        self.change("break_reads", |faults| {
            faults.breaks += 1;
            faults.broken_kind = Some(kind);
        });
    }

    /// Breaks the connection: operations are `Unavailable`, reads stand still.
    pub fn disconnect(&self) {
        self.change("disconnect", |faults| faults.down = true);
    }

    /// Makes the connection anew: reads go on behind a `Resumed`.
    ///
    /// Without a [`disconnect`](Self::disconnect) before it is a connection
    /// that broke and came back unseen.
    pub fn reconnect(&self) {
        self.change("reconnect", |faults| {
            faults.down = false;
            faults.reconnects += 1;
        });
    }

    /// Holds everything back: operations wait, reads stand still.
    ///
    /// An operation whose deadline passes meanwhile was not carried out and
    /// answers `Timeout`, a change `OutcomeUnknown`.
    pub fn block(&self) {
        self.change("block", |faults| faults.blocked = true);
    }

    /// Lets everything through again.
    pub fn unblock(&self) {
        self.change("unblock", |faults| faults.blocked = false);
    }
}
