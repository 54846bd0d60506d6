//! Fetching: how a member comes by its deliveries, and not by more than it can handle.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use naq_core::clock::{Clock, ClockExt};
use naq_core::jetstream::{Acknowledge, FetchOptions, JetStream};
use naq_core::{Error, ErrorKind, Result};
use tokio::sync::{Notify, mpsc, watch};

use super::REACT;
use super::dispatch::Dispatcher;
use super::work::{Source, Work};

/// How long one fetch waits for an event.
const WAIT: Duration = Duration::from_secs(5);

/// How many events a member fetches ahead at most.
const MAX_AHEAD: usize = 2_000;

/// So far ahead, in time, a member fetches: what it handles in that time.
const AHEAD: Duration = Duration::from_millis(100);

/// How long a consumer may be missing: moving a group's position makes it anew.
const MISSING: Duration = Duration::from_secs(10);

/// Between two looks for what is missing, and after the first failure.
const PAUSE: Duration = Duration::from_millis(200);

/// The longest wait after a failure.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Fetched events on their way to the workers.
#[derive(Debug)]
pub(super) struct Queue {
    sender: mpsc::UnboundedSender<Work>,
    receiver: tokio::sync::Mutex<mpsc::UnboundedReceiver<Work>>,
    /// How many lie there; what bounds it.
    waiting: AtomicUsize,
    taken: Notify,
}

impl Queue {
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let receiver = tokio::sync::Mutex::new(receiver);
        Self { sender, receiver, waiting: AtomicUsize::new(0), taken: Notify::new() }
    }

    fn push(&self, work: Work) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // The receiver lives as long as this does.
        let _ = self.sender.send(work);
    }

    /// The next one, as soon as there is one.
    pub(super) async fn next(&self) -> Option<Work> {
        let work = self.receiver.lock().await.recv().await?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.taken.notify_one();
        Some(work)
    }

    /// Waits until no more than so many lie there, and says how many do.
    async fn drained_to(&self, most: usize) -> usize {
        loop {
            let waiting = self.waiting.load(Ordering::Relaxed);
            if waiting <= most {
                return waiting;
            }
            self.taken.notified().await;
        }
    }
}

/// What one source of deliveries needs to be fetched from.
pub(super) struct Feed {
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) queue: Arc<Queue>,
    pub(super) group: Arc<str>,
    pub(super) stream: String,
    pub(super) source: Source,
    /// How many events the consumer hands out without an answer. A fetch of
    /// more would wait for the rest to its end.
    pub(super) in_hand: usize,
    /// Whether the group is paused.
    pub(super) paused: watch::Receiver<bool>,
    /// Whether the member stops, so that nothing more is to be fetched.
    pub(super) stopping: watch::Receiver<bool>,
}

impl Feed {
    /// Fetches until something is wrong for good, and says what.
    pub(super) async fn run(mut self) -> Error {
        let clock = Arc::clone(&self.dispatcher.clock);
        let mut ahead = self.dispatcher.options.concurrency;
        let mut failures = 0;
        let mut since = clock.monotonic();
        let mut answered = self.dispatcher.tally.answered();
        loop {
            // Whoever pauses a group drops the sender never before the feed.
            if self.paused.wait_for(|paused| !paused).await.is_err() {
                return Error::new(ErrorKind::Closed, REACT, "the member has stopped");
            }
            let waiting = self.queue.drained_to(ahead / 2).await;
            if *self.stopping.borrow() {
                return Error::new(ErrorKind::Closed, REACT, "the member stops");
            }
            let most = (ahead - waiting).clamp(1, self.in_hand);
            match self.fetch(most).await {
                Ok(()) => failures = 0,
                Err(error) => match self.judge(error).await {
                    Ok(()) => {
                        failures += 1;
                        let pause = PAUSE.saturating_mul(1 << failures.min(6)).min(MAX_PAUSE);
                        clock.sleep(pause.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
                    }
                    Err(error) => return error,
                },
            }
            // What has been handled meanwhile says how much to fetch ahead:
            // slow handlers leave the rest to the other members.
            let (now, total) = (clock.monotonic(), self.dispatcher.tally.answered());
            let span = now.saturating_sub(since);
            if span >= Duration::from_millis(1) {
                let rate = (total - answered) as f64 / span.as_secs_f64();
                let wanted = (rate * AHEAD.as_secs_f64()) as usize;
                ahead = wanted.clamp(self.dispatcher.options.concurrency, MAX_AHEAD);
                (since, answered) = (now, total);
            }
        }
    }

    async fn fetch(&self, most: usize) -> Result<()> {
        let Dispatcher { jetstream, clock, hand, .. } = &*self.dispatcher;
        let options = FetchOptions::new(most).with_wait(WAIT);
        let deliveries = jetstream.fetch(&self.stream, &self.group, options).await?;
        let now = clock.monotonic();
        for delivery in deliveries {
            match Work::new(&self.group, self.source, delivery, hand, now) {
                Ok(work) => self.queue.push(work),
                Err(token) => {
                    tracing::warn!(
                        group = &*self.group,
                        stream = self.stream,
                        "passed over a message that is no replay of naq's"
                    );
                    let reason = Some("not a replay of naq's".to_owned());
                    jetstream.acknowledge(&token, Acknowledge::Terminate { reason }).await?;
                }
            }
        }
        Ok(())
    }

    /// Whether it makes sense to try again after this.
    async fn judge(&self, error: Error) -> Result<()> {
        match error.kind() {
            ErrorKind::NotFound => self.found_again(error).await,
            ErrorKind::Unavailable
            | ErrorKind::Timeout
            | ErrorKind::OutcomeUnknown
            | ErrorKind::LimitReached => {
                tracing::debug!(group = &*self.group, %error, "fetching failed: trying again");
                Ok(())
            }
            _ => Err(error.in_operation(REACT)),
        }
    }

    /// Waits for a consumer that is being made anew, and checks that its log is the same.
    async fn found_again(&self, error: Error) -> Result<()> {
        let Dispatcher { jetstream, clock, .. } = &*self.dispatcher;
        let deadline = clock.deadline(MISSING);
        loop {
            match jetstream.consumer_info(&self.stream, &self.group).await {
                Ok(_) => return check_log(&**jetstream, &self.stream, self.source).await,
                Err(again) if !again.is(ErrorKind::NotFound) => return Ok(()),
                Err(_) if clock.monotonic() < deadline => clock.sleep(PAUSE).await,
                Err(_) => {
                    check_log(&**jetstream, &self.stream, self.source).await?;
                    return Err(error
                        .in_operation(REACT)
                        .with("group", &*self.group)
                        .with_hint("the group's consumer was deleted: start the group anew"));
                }
            }
        }
    }
}

/// Whether the log is still the one that the group began with.
///
/// # Errors
/// `Conflict` for one that was made anew.
pub(super) async fn check_log(
    jetstream: &dyn JetStream,
    stream: &str,
    source: Source,
) -> Result<()> {
    let Source::Log { created } = source else { return Ok(()) };
    match jetstream.stream_info(stream).await {
        Ok(info) if info.created != created => {
            Err(Error::new(ErrorKind::Conflict, REACT, "the log was made anew under the group")
                .with("stream", stream)
                .with("had", created.to_string())
                .with("found", info.created.to_string())
                .with_hint("what the group had handled says nothing of the new log: react again"))
        }
        Err(error) if error.is(ErrorKind::NotFound) => Err(error.in_operation(REACT)),
        _ => Ok(()),
    }
}
