//! From an accepted event to its outcome: a bounded buffer, written by one task.
//!
//! | file | concept |
//! |---|---|
//! | `schedule.rs` | which event is sent next, and what waits for what |
//! | `ledger.rs` | the account of every event, and the room left |
//! | `gate.rs`, `backoff.rs`, `verdict.rs` | what a failure means, and when to try again |
//! | `state.rs`, `sending.rs`, `answering.rs` | these together: each step under the lock |
//! | `shared.rs` | the lock, and what is done after it is released |
//! | `source.rs`, `driver.rs` | messages out, answers in: the publish session |
//! | `offer.rs`, `policy.rs`, `waiting.rs` | whether an event is accepted, and who waits for room |
//! | `flushing.rs` | waiting for outcomes: flush, settle, stop |
//! | `notices.rs`, `refusals.rs` | what is told of failures: to the log, to the caller |
//! | `losses.rs`, `telling_losses.rs` | what was dropped, and how the stream is told |
//! | `latency.rs` | how long events take until they are stored |

mod alarm;
mod answering;
mod backoff;
mod chain;
mod driver;
mod flushing;
mod gate;
mod latency;
mod ledger;
mod losses;
mod notices;
mod offer;
mod policy;
mod refusals;
mod schedule;
mod sending;
mod shared;
mod slot;
mod source;
mod state;
mod telling_losses;
mod verdict;
mod waiting;

use std::hash::RandomState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use naq_core::clock::{Clock, ClockExt};
use naq_core::config::EventsConfig;
use naq_core::connection::ConnectionProvider;
use naq_core::events::{EncodedEvent, EventAccount, EventCounters, EventEncoder, EventReceipt};
use naq_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use self::backoff::Backoff;
use self::driver::DriverGuard;
use self::offer::Offer;
use self::policy::Policies;
use self::shared::Shared;
use self::state::{Intake, Limits};
use self::telling_losses::LossEvents;
use crate::stream_setup::StreamSetup;

/// Events are gathered no longer than this while they flow: waking the sender
/// for each would cost a logging thread more than all else together.
const GATHER: Duration = Duration::from_millis(1);

/// How long after its delivery timeout an event without an outcome is waited for.
const GRACE: Duration = Duration::from_secs(5);

/// The buffer, and the task that writes it to the stream.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    driver: Mutex<Option<DriverGuard>>,
    hasher: RandomState,
    policies: Policies,
    overflow_wait: Duration,
    delivery_timeout: Duration,
}

/// Where the outcome of an event goes.
type Receipt = oneshot::Sender<Result<EventReceipt>>;

/// How the writer is doing.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Whether events are accepted.
    pub(crate) is_open: bool,
    /// Whether nothing gets through at the moment.
    pub(crate) is_blocked: bool,
    /// How full the buffer is, from 0 to 1.
    pub(crate) fill: f64,
    /// The account.
    pub(crate) counters: EventCounters,
    /// Why something was not stored the last time.
    pub(crate) trouble: Option<Error>,
}

impl Writer {
    /// A writer that accepts nothing yet.
    pub(crate) fn new(
        config: &EventsConfig,
        clock: Arc<dyn Clock>,
        encoder: Arc<EventEncoder>,
    ) -> Self {
        let limits = Limits {
            max_events: config.buffer_max_events as u64,
            max_bytes: config.buffer_max_bytes.bytes(),
            batch: config.buffer_size,
            gather: config.flush_interval.min(GATHER),
            delivery_timeout: config.delivery_timeout,
            backoff: Backoff::new(config.retry_backoff_min, config.retry_backoff_max),
        };
        let loss_events = LossEvents::new(config, encoder, Arc::clone(&clock));
        let stream = config.stream_name.clone();
        Self {
            shared: Arc::new(Shared::new(clock, stream, limits, loss_events)),
            driver: Mutex::new(None),
            hasher: RandomState::new(),
            policies: Policies::new(config),
            overflow_wait: config.overflow_wait,
            delivery_timeout: config.delivery_timeout,
        }
    }

    /// Begins to accept and to write, `setup` first. Does nothing where that has begun already.
    ///
    /// # Errors
    /// `Closed` after the end; `Unsupported` outside a tokio runtime.
    pub(crate) fn start(
        &self,
        connections: Arc<dyn ConnectionProvider>,
        setup: Option<StreamSetup>,
    ) -> Result<()> {
        let mut driver = self.driver();
        match self.shared.lock().intake {
            Intake::Stopped => {
                return Err(refusals::not_open(Intake::Stopped).in_operation("start"));
            }
            Intake::Open => return Ok(()),
            Intake::NotStarted => {}
        }
        *driver = Some(driver::spawn(Arc::clone(&self.shared), connections, setup)?);
        self.shared.lock().intake = Intake::Open;
        Ok(())
    }

    /// Fails unless events are accepted.
    ///
    /// # Errors
    /// `Closed` before the start and after the stop.
    pub(crate) fn check_open(&self, operation: &'static str) -> Result<()> {
        match self.shared.lock().intake {
            Intake::Open => Ok(()),
            intake => Err(refusals::not_open(intake).in_operation(operation)),
        }
    }

    /// What server and stream take at most, in bytes; 0 where that isn't known.
    pub(crate) fn set_limits(&self, max_payload: u64, max_message: u64) {
        self.shared.set_max_payload(max_payload);
        self.shared.set_max_message(max_message);
    }

    /// Counts an event that was refused before it could be offered.
    pub(crate) fn reject(&self) {
        self.shared.lock().ledger.reject();
    }

    /// Accepts an event if there is room at once.
    ///
    /// # Errors
    /// `TooLarge`, `Closed`; `LimitReached` where there is no room.
    pub(crate) fn try_submit(&self, event: EncodedEvent) -> Result<()> {
        match self.offer(self.item(event, None), true)? {
            Offer::Accepted => Ok(()),
            Offer::Full(_) => Err(self.rejected_full(None)),
        }
    }

    /// Until when a call that begins now may wait for room.
    pub(crate) fn room_deadline(&self) -> Duration {
        self.shared.clock.deadline(self.overflow_wait)
    }

    /// Accepts an event, waiting for room where the policy says so, at most
    /// until [`room_deadline`](Self::room_deadline) of when the call began.
    ///
    /// # Errors
    /// As [`try_submit`](Self::try_submit).
    pub(crate) async fn submit(
        &self,
        event: EncodedEvent,
        receipt: Option<Receipt>,
        deadline: Duration,
    ) -> Result<()> {
        match self.offer(self.item(event, receipt), false)? {
            Offer::Accepted => Ok(()),
            // Boxed, so that the common case doesn't carry the room for it.
            Offer::Full(item) => Box::pin(self.wait_for_room(item, deadline)).await,
        }
    }

    /// Accepts an event and waits for its outcome.
    ///
    /// # Errors
    /// As [`try_submit`](Self::try_submit), and those of the outcome.
    pub(crate) async fn submit_acked(&self, event: EncodedEvent) -> Result<EventReceipt> {
        let (receipt, outcome) = oneshot::channel();
        self.submit(event, Some(receipt), self.room_deadline()).await?;
        let clock = &self.shared.clock;
        let deadline = clock.deadline(self.delivery_timeout.saturating_add(GRACE));
        match clock.until(deadline, outcome).await {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) | None => Err(Error::new(
                ErrorKind::OutcomeUnknown,
                refusals::LOG,
                "the event's outcome was not told in time",
            )),
        }
    }

    fn driver(&self) -> MutexGuard<'_, Option<DriverGuard>> {
        // Nothing panics while it is held.
        self.driver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_driver(&self) -> Option<DriverGuard> {
        self.driver().take()
    }

    /// The account of every event so far.
    pub(crate) fn counters(&self) -> EventCounters {
        self.shared.lock().ledger.counters()
    }

    /// The counters, losses and latencies in one snapshot.
    pub(crate) fn account(&self) -> EventAccount {
        let now = self.shared.now();
        let state = self.shared.lock();
        let mut account = EventAccount::default();
        account.counters = state.ledger.counters();
        account.losses = state.losses.account();
        account.ack_latency = state.latencies.summary(now);
        account
    }

    /// How the writer is doing.
    pub(crate) fn standing(&self) -> Standing {
        let state = self.shared.lock();
        let counters = state.ledger.counters();
        let share = |used: u64, of: u64| used as f64 / of.max(1) as f64;
        Standing {
            is_open: state.intake == Intake::Open,
            is_blocked: !state.gate.is_open(),
            fill: share(counters.pending, state.limits.max_events)
                .max(share(counters.pending_bytes, state.limits.max_bytes)),
            counters,
            trouble: state.trouble.clone(),
        }
    }
}
