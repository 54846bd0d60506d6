//! From an accepted event to its outcome: a bounded buffer, written by one task.
//!
//! | file | concept |
//! |---|---|
//! | `schedule.rs` | which event is sent next, and by which way |
//! | `line.rs`, `queues.rs`, `queued.rs` | the events that go in batches, and those that go one by one |
//! | `doubt.rs`, `read_back.rs` | what a broken batch left in doubt, and how that is settled without ids |
//! | `recognition.rs` | for how long the stream recognises what is sent again |
//! | `way.rs`, `sender.rs` | the two ways to the server, and who takes events there |
//! | `ledger.rs` | the account of every event, and the room left |
//! | `gate.rs`, `backoff.rs`, `verdict.rs` | what a failure means, and when to try again |
//! | `state.rs`, `sending.rs`, `answering.rs` | these together: each step under the lock |
//! | `shared.rs` | the lock, and what is done after it is released |
//! | `source.rs`, `driver.rs` | messages out, answers in: the publish session |
//! | `offer.rs`, `policy.rs`, `waiting.rs`, `room.rs` | whether an event is accepted, and who waits for room |
//! | `spooling/` | what goes to disk and comes back, where there is a spool |
//! | `flushing.rs` | waiting for outcomes: flush, settle, stop |
//! | `notices.rs`, `refusals.rs` | what is told of failures: to the log, to the caller |
//! | `losses.rs`, `telling_losses.rs` | what was dropped, and how the stream is told |
//! | `latency.rs` | how long events take until they are stored |

mod alarm;
mod answering;
mod backoff;
mod chain;
mod doubt;
mod driver;
mod flushing;
mod gate;
mod latency;
mod ledger;
mod line;
mod losses;
mod notices;
mod offer;
mod policy;
mod queued;
mod queues;
mod read_back;
mod recognition;
mod refusals;
mod room;
mod schedule;
mod sender;
mod sending;
mod shared;
mod slot;
mod source;
mod spooling;
mod state;
mod steady;
mod telling_losses;
mod verdict;
mod waiting;
mod way;

use std::hash::RandomState;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use naq_core::clock::{Clock, ClockExt};
use naq_core::config::{EventsConfig, Guarantee, OverflowPolicy, SpoolMode};
use naq_core::connection::ConnectionProvider;
use naq_core::events::{
    AckLatency, EncodedEvent, EventAccount, EventCounters, EventEncoder, EventReceipt,
};
use naq_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use self::backoff::Backoff;
use self::driver::DriverGuard;
use self::offer::Offer;
use self::policy::Policies;
pub use self::recognition::recognised_for;
use self::shared::Shared;
use self::slot::Item;
pub(crate) use self::spooling::OpenedSpool;
use self::spooling::{KeeperGuard, OnDisk, Otherwise, Withdrawal};
use self::state::{Intake, Limits};
use self::telling_losses::LossEvents;
pub use self::way::Sending;
pub(crate) use self::way::Way;
use crate::stream_setup::{StreamFacts, StreamSetup};

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
    keeper: Mutex<Option<KeeperGuard>>,
    hasher: RandomState,
    policies: Policies,
    overflow_wait: Duration,
    delivery_timeout: Duration,
    /// Whether accepted means on disk.
    spools_first: bool,
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
    /// How long acknowledgements take.
    pub(crate) ack_latency: AckLatency,
    /// Events that were lost, or may be, and that the stream doesn't tell of yet.
    pub(crate) untold: u64,
    /// The way that events go, and what keeps them from being stored twice.
    pub(crate) way: Option<(Way, Guarantee)>,
    /// Why something was not stored the last time.
    pub(crate) trouble: Option<Error>,
    /// Why the spool takes nothing, where that is so.
    pub(crate) spool_trouble: Option<Error>,
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
            guarantee: way::wanted_guarantee(config),
            duplicate_window: config.duplicate_window,
            backoff: Backoff::new(config.retry_backoff_min, config.retry_backoff_max),
        };
        let loss_events = LossEvents::new(config, encoder, Arc::clone(&clock));
        let stream = config.stream_name.clone();
        Self {
            shared: Arc::new(Shared::new(clock, stream, limits, loss_events)),
            driver: Mutex::new(None),
            keeper: Mutex::new(None),
            hasher: RandomState::new(),
            policies: Policies::new(config),
            overflow_wait: config.overflow_wait,
            delivery_timeout: config.delivery_timeout,
            spools_first: config.spool.dir.is_some() && config.spool.mode == SpoolMode::Always,
        }
    }

    /// Whether events are accepted.
    pub(crate) fn is_open(&self) -> bool {
        self.shared.lock().intake == Intake::Open
    }

    /// Begins to accept and to write, `setup` first. Does nothing where that has begun already.
    ///
    /// # Errors
    /// `Closed` after the end; `Unsupported` outside a tokio runtime.
    pub(crate) fn start(
        &self,
        connections: Arc<dyn ConnectionProvider>,
        setup: Option<StreamSetup>,
        spool: Option<OpenedSpool>,
    ) -> Result<()> {
        let mut driver = self.driver();
        match self.shared.lock().intake {
            Intake::Stopped => {
                return Err(refusals::not_open(Intake::Stopped).in_operation("start"));
            }
            Intake::Open => return Ok(()),
            Intake::NotStarted => {}
        }
        if let Some(opened) = spool {
            *self.keeper() = Some(self.use_spool(opened)?);
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

    /// What server and stream are like: the largest message of the server, in
    /// bytes, and what is known of the stream.
    pub(crate) fn know(&self, max_payload: u64, stream: Option<StreamFacts>) {
        self.shared.set_max_payload(max_payload);
        if let Some(facts) = stream {
            self.shared.know_stream(facts);
        }
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
            Offer::Waits(_) => Err(self.rejected_full(None)),
        }
    }

    /// Accepts an event at once, or answers what is to be awaited until it is:
    /// room, where the policy says to wait for some, or the disk.
    ///
    /// That lasts until `deadline` at most, which is set by the first of a
    /// call's events that has to wait.
    ///
    /// # Errors
    /// As [`try_submit`](Self::try_submit).
    pub(crate) fn submit(
        &self,
        event: EncodedEvent,
        receipt: Option<Receipt>,
        deadline: &mut Option<Duration>,
    ) -> Result<Option<BoxFuture<'_, Result<()>>>> {
        let mut deadline =
            || *deadline.get_or_insert_with(|| self.shared.clock.deadline(self.overflow_wait));
        let item = self.item(event, receipt);
        if self.spools_first && item.receipt.is_none() {
            return Ok(Some(self.submit_to_disk(item, deadline()).boxed()));
        }
        match self.offer(item, false)? {
            Offer::Accepted => Ok(None),
            // Boxed, so that the common case doesn't carry the room for it.
            Offer::Waits(turn) => Ok(Some(self.wait_for_room(turn, deadline()).boxed())),
        }
    }

    /// Accepts an event and waits until it is on disk.
    async fn submit_to_disk(&self, mut item: Item, deadline: Duration) -> Result<()> {
        let (told, mut kept) = oneshot::channel();
        let begun = Arc::new(AtomicBool::new(false));
        let otherwise = match self.policies.of(item.event.event_type()) {
            OverflowPolicy::Wait => Otherwise::Wait,
            OverflowPolicy::DropNewest | OverflowPolicy::DropOldest => Otherwise::Drop,
            // `fail`, `spool`, and what is new to this: what can't be kept is refused.
            _ => Otherwise::Reject,
        };
        item.on_disk = Some(OnDisk { told, begun: Arc::clone(&begun), otherwise });
        if let Offer::Waits(turn) = self.offer(item, false)? {
            self.wait_for_room(turn, deadline).await?;
        }
        match self.shared.clock.until(deadline, &mut kept).await {
            Some(Ok(kept)) => kept,
            // The disk has it, and the service that would hear the answer has ended.
            Some(Err(_)) => Err(refusals::being_kept()),
            None => match self.shared.withdraw(&begun) {
                Withdrawal::Done(trouble) => Err(refusals::not_kept(trouble.as_ref())),
                Withdrawal::TooLate => {
                    kept.close();
                    kept.try_recv().unwrap_or_else(|_| Err(refusals::being_kept()))
                }
                // Its end is known already, and told as soon as the lock is released.
                Withdrawal::Settled => kept.await.unwrap_or_else(|_| Err(refusals::being_kept())),
            },
        }
    }

    /// Accepts an event and waits for its outcome.
    ///
    /// # Errors
    /// As [`try_submit`](Self::try_submit), and those of the outcome.
    pub(crate) async fn submit_acked(&self, event: EncodedEvent) -> Result<EventReceipt> {
        let (receipt, outcome) = oneshot::channel();
        if let Some(accepted) = self.submit(event, Some(receipt), &mut None)? {
            accepted.await?;
        }
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

    fn keeper(&self) -> MutexGuard<'_, Option<KeeperGuard>> {
        // Nothing panics while it is held.
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_keeper(&self) -> Option<KeeperGuard> {
        self.keeper().take()
    }

    fn take_driver(&self) -> Option<DriverGuard> {
        self.driver().take()
    }

    /// The account of every event so far.
    pub(crate) fn counters(&self) -> EventCounters {
        let counters = self.shared.lock().ledger.counters();
        self.with_spool(counters)
    }

    /// Adds what the spool says of itself.
    fn with_spool(&self, mut counters: EventCounters) -> EventCounters {
        if let Some(spool) = self.shared.spool() {
            let status = spool.status();
            counters.spool_bytes = status.bytes;
            let oldest = status.oldest.filter(|_| counters.spooled > 0);
            counters.spool_age =
                oldest.map_or(Duration::ZERO, |oldest| self.shared.clock.now().since(oldest));
        }
        counters
    }

    /// The counters, losses and latencies in one snapshot.
    pub(crate) fn account(&self) -> EventAccount {
        let now = self.shared.now();
        let state = self.shared.lock();
        let mut account = EventAccount::default();
        account.counters = state.ledger.counters();
        account.losses = state.losses.account();
        account.untold = state.losses.untold();
        account.ack_latency = state.latencies.summary(now);
        drop(state);
        account.counters = self.with_spool(account.counters);
        account
    }

    /// How the writer is doing.
    pub(crate) fn standing(&self) -> Standing {
        let now = self.shared.now();
        let state = self.shared.lock();
        let counters = state.ledger.counters();
        let share = |used: u64, of: u64| used as f64 / of.max(1) as f64;
        Standing {
            is_open: state.intake == Intake::Open,
            is_blocked: !state.gate.is_open(),
            fill: share(counters.pending, state.limits.max_events)
                .max(share(counters.pending_bytes, state.limits.max_bytes)),
            counters,
            ack_latency: state.latencies.summary(now),
            untold: state.losses.untold(),
            way: state.way,
            trouble: state.trouble.clone(),
            spool_trouble: state.spooling.as_ref().and_then(|spooling| spooling.trouble().cloned()),
        }
    }
}
