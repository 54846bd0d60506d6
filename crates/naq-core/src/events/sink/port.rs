//! The port to log events through.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::Result;
use crate::events::{EventAccount, EventCounters, EventInput, EventReceipt, FlushReport};

/// Takes events and sees to it that they are stored.
///
/// Accepted is not stored: an accepted event is in a bounded buffer and is
/// lost if the process dies before it is sent, unless the sink has a spool on
/// disk and the event is in it. [`log_acked`](Self::log_acked)
/// and [`flush`](Self::flush) wait for the store. One sink stores the events
/// of one entity (job, worker or schedule) in the order in which it accepted
/// them, and each once within the stream's duplicate window. Its account,
/// [`counters`](Self::counters), has every event that it was given.
///
/// A worker is given a sink alone: `Arc<dyn EventLog>` coerces to
/// `Arc<dyn EventSink>`. The helpers for each kind of event are in
/// [`EventSinkExt`](crate::events::EventSinkExt).
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait EventSink: Debug + Send + Sync + 'static {
    /// Accepts an event into the buffer.
    ///
    /// Waits for room as the sink's overflow policy says, at most until that
    /// policy's deadline. Dropping the future before it is ready leaves the
    /// event unaccepted.
    ///
    /// # Errors
    /// `InvalidArgument` for a malformed event and `TooLarge` for one over the
    /// server's limit, both before anything is sent; `LimitReached` where
    /// there was no room; `Closed` after the sink was stopped.
    async fn log(&self, event: EventInput) -> Result<()>;

    /// Accepts an event into the buffer if there is room at once; never waits.
    ///
    /// For code that isn't async, and for drop guards. Where the policy of the
    /// event's type is to wait, it fails here as the policy `fail` does; what
    /// drops drops here too, and is `Ok`.
    ///
    /// # Errors
    /// As [`log`](Self::log).
    fn try_log(&self, event: EventInput) -> Result<()>;

    /// Accepts an event and waits until it is stored, or in the spool because
    /// the server doesn't take it; the receipt says which.
    ///
    /// Dropping the future after acceptance doesn't take the event back.
    ///
    /// # Errors
    /// As [`log`](Self::log); further the server's own refusal, and
    /// `OutcomeUnknown` where it was not confirmed within the delivery timeout.
    async fn log_acked(&self, event: EventInput) -> Result<EventReceipt>;

    /// Accepts events in order, with a result for each, in the same order.
    ///
    /// A bad one doesn't stop the rest; the batch is not atomic.
    ///
    /// # Errors
    /// Each as [`log`](Self::log).
    async fn log_batch(&self, events: Vec<EventInput>) -> Vec<Result<()>>;

    /// Sends what is pending now and waits until it is settled, at most `within`.
    ///
    /// It ends early where all that is left is in the spool and the server takes
    /// nothing at the moment. Events that are accepted meanwhile are not waited for. The report
    /// accounts for each event that was pending; those that aren't settled in
    /// time go on.
    ///
    /// # Errors
    /// `Closed` after the sink was stopped with nothing left to report.
    async fn flush(&self, within: Duration) -> Result<FlushReport>;

    /// The account of every event so far, one consistent snapshot.
    fn counters(&self) -> EventCounters;

    /// The counters, what was dropped by type and reason, and how long events
    /// take until they are stored: one consistent snapshot.
    ///
    /// It costs more than the counters alone: for reports and metrics, not for
    /// each event.
    fn account(&self) -> EventAccount;
}

forward_port! { EventSink {
    plain {
        try_log(event: EventInput) -> Result<()>;
        counters() -> EventCounters;
        account() -> EventAccount;
    }
    boxed {
        log[](event: EventInput) -> Result<()>;
        log_acked[](event: EventInput) -> Result<EventReceipt>;
        log_batch[](events: Vec<EventInput>) -> Vec<Result<()>>;
        flush[](within: Duration) -> Result<FlushReport>;
    }
} }
