//! Fetching: how a member comes by its deliveries, and not by more than it can handle.

use std::sync::Arc;
use std::time::Duration;

use naq_core::clock::{Clock, ClockExt};
use naq_core::jetstream::{Acknowledge, FetchOptions, JetStream};
use naq_core::{Error, ErrorKind, Result};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::REACT;
use super::dispatch::Dispatcher;
use super::queue::Queue;
use super::tally::count;
use super::work::{Source, Work};

/// How long one fetch waits for an event.
const WAIT: Duration = Duration::from_secs(5);

/// How many events a member fetches ahead at most.
const MAX_AHEAD: usize = 2_000;

/// What a member has asked for is at most this part of what the consumer hands
/// out without an answer, and a smaller one where there are more members. The
/// server parts events among all fetches that wait, and a fetch ends when it has
/// all: were everything out on fetches that lack something still, nothing would
/// be handled until they give up.
const SHARE: usize = 4;

/// So far ahead, in time, a member fetches: what it handles in that time.
const AHEAD: Duration = Duration::from_millis(100);

/// No rate is measured over less.
const SHORTEST: Duration = Duration::from_millis(1);

/// How long a consumer may be missing: moving a group's position makes it anew.
const MISSING: Duration = Duration::from_secs(10);

/// Between two looks for what is missing, and after the first failure.
const PAUSE: Duration = Duration::from_millis(200);

/// The longest wait after a failure.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// How many fetches a member has under way at most while much comes: one is on
/// its way while another is being handled.
const FETCHES: usize = 4;

/// One source of deliveries of a group.
pub(super) struct Origin {
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) group: Arc<str>,
    pub(super) stream: String,
    pub(super) source: Source,
    /// How many events the consumer hands out without an answer.
    pub(super) in_hand: usize,
}

/// What a member needs to be fed from one source.
pub(super) struct Feed {
    pub(super) origin: Origin,
    pub(super) queue: Arc<Queue>,
    /// Whether the group is paused.
    pub(super) paused: watch::Receiver<bool>,
    /// Whether the member stops, so that nothing more is to be fetched.
    pub(super) stopping: watch::Receiver<bool>,
    /// How many members the group has, as far as is known.
    pub(super) members: watch::Receiver<usize>,
}

impl Feed {
    /// Fetches until something is wrong for good, and says what. When the
    /// member stops, it waits for what is being fetched.
    pub(super) async fn run(self) -> Error {
        let Self { origin, queue, mut paused, mut stopping, members } = self;
        let clock = Arc::clone(&origin.dispatcher.clock);
        let origin = Arc::new(origin);
        let mut pace = Pace::new(&origin);
        // Tasks, so that what comes in wakes its own fetch alone.
        let mut fetches = JoinSet::new();
        let (mut asked, mut failures, mut is_troubled) = (0, 0_u32, false);
        loop {
            let stops = *stopping.borrow_and_update();
            if stops && fetches.is_empty() {
                return Error::new(ErrorKind::Closed, REACT, "the member stops");
            }
            if is_troubled && fetches.is_empty() {
                let pause = PAUSE.saturating_mul(1 << failures.min(6)).min(MAX_PAUSE);
                clock.sleep(pause.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
                is_troubled = false;
            }
            let is_wanted = !stops && !*paused.borrow_and_update();
            let may_ask = is_wanted && !is_troubled && fetches.len() < pace.fetches();
            let room = pace.room(asked).filter(|_| may_ask);
            let fetched = tokio::select! {
                biased;
                () = queue.drained_to(room.unwrap_or(0)), if room.is_some() => {
                    let most = pace.most();
                    asked += most;
                    let (origin, queue) = (Arc::clone(&origin), Arc::clone(&queue));
                    let paused = paused.clone();
                    fetches.spawn(async move { (most, origin.fill(&queue, &paused, most).await) });
                    continue;
                }
                Some(fetched) = fetches.join_next(), if !fetches.is_empty() => fetched,
                changed = paused.changed() => match changed {
                    Ok(()) => continue,
                    // Whoever pauses a group drops the sender never before the feed.
                    Err(_) => return Error::new(ErrorKind::Closed, REACT, "the member has stopped"),
                },
                _ = stopping.changed(), if !stops => continue,
            };
            let (most, fetched) = match fetched {
                Ok(fetched) => fetched,
                Err(error) => {
                    let text = "a fetch ended by itself";
                    return Error::new(ErrorKind::Unexpected, REACT, text).with_source(error);
                }
            };
            asked -= most;
            match fetched {
                Ok(()) if is_troubled => {}
                Ok(()) => failures = 0,
                Err(error) => match origin.judge(error).await {
                    // A break fails all that are under way: it counts once.
                    Ok(()) if is_troubled => {}
                    Ok(()) => (failures, is_troubled) = (failures + 1, true),
                    Err(error) => return error,
                },
            }
            pace.bound(&origin, *members.borrow());
            pace.look(&origin);
        }
    }
}

/// How far ahead a member fetches: what it handled lately says it, so that slow
/// handlers leave the rest to the other members.
struct Pace {
    least: usize,
    greatest: usize,
    ahead: usize,
    since: Duration,
    answered: u64,
}

impl Pace {
    fn new(origin: &Origin) -> Self {
        let Dispatcher { options, clock, tally, .. } = &*origin.dispatcher;
        let (since, answered) = (clock.monotonic(), tally.answered());
        let ahead = options.concurrency;
        let mut pace = Self { least: ahead, greatest: ahead, ahead, since, answered };
        pace.bound(origin, 1);
        pace
    }

    /// Keeps to this member's part, of so many.
    fn bound(&mut self, origin: &Origin, members: usize) {
        self.greatest = (origin.in_hand / SHARE.max(members)).clamp(1, MAX_AHEAD);
        self.least = origin.dispatcher.options.concurrency.min(self.greatest);
        self.ahead = self.ahead.clamp(self.least, self.greatest);
    }

    const fn is_fast(&self) -> bool {
        self.ahead > self.least
    }

    /// How many fetches may be under way: one that waits while another is brought in.
    const fn fetches(&self) -> usize {
        if self.is_fast() { FETCHES } else { 2 }
    }

    /// How many events one fetch asks for.
    fn most(&self) -> usize {
        (self.ahead / self.fetches()).max(1)
    }

    /// How many events may wait when the next fetch begins; `None` while what
    /// has been asked for is enough.
    fn room(&self, asked: usize) -> Option<usize> {
        self.ahead.checked_sub(asked + self.most())
    }

    /// Looks at what has been handled meanwhile. It grows at once and shrinks
    /// slowly: a moment in which no handler had its turn says little.
    fn look(&mut self, origin: &Origin) {
        let Dispatcher { clock, tally, .. } = &*origin.dispatcher;
        let (now, total) = (clock.monotonic(), tally.answered());
        let span = now.saturating_sub(self.since);
        if span < SHORTEST {
            return;
        }
        let rate = (total - self.answered) as f64 / span.as_secs_f64();
        let wanted = (rate * AHEAD.as_secs_f64()) as usize;
        if wanted < self.ahead && span < AHEAD {
            return;
        }
        self.ahead = wanted.max(self.ahead / 2).clamp(self.least, self.greatest);
        (self.since, self.answered) = (now, total);
    }
}

impl Origin {
    /// Fetches into the queue.
    async fn fill(&self, queue: &Queue, paused: &watch::Receiver<bool>, most: usize) -> Result<()> {
        let works = self.fetch(most).await?;
        if *paused.borrow() {
            self.put_off(works).await;
        } else {
            queue.push(works);
        }
        Ok(())
    }

    async fn fetch(&self, most: usize) -> Result<Vec<Work>> {
        let Dispatcher { jetstream, clock, hand, .. } = &*self.dispatcher;
        let options = FetchOptions::new(most).with_wait(WAIT);
        let deliveries = jetstream.fetch(&self.stream, &self.group, options).await?;
        let now = clock.monotonic();
        let mut works = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            match Work::new(&self.group, self.source, delivery, hand, now) {
                Ok(work) if work.is_in_log => works.extend(self.dispatcher.with_bytes(work).await),
                Ok(work) => works.push(work),
                Err(token) => {
                    tracing::warn!(
                        group = &*self.group,
                        stream = self.stream,
                        "passed over a message that is no replay of naq's"
                    );
                    let reason = Some("not a replay of naq's".to_owned());
                    let end = Acknowledge::Terminate { reason };
                    // What fails here comes again. To end the fetch for it would leave
                    // its other deliveries in hand, with nobody to handle them.
                    if let Err(error) = jetstream.acknowledge(&token, end).await {
                        tracing::debug!(group = &*self.group, %error, "it comes again");
                    }
                }
            }
        }
        Ok(works)
    }

    /// Gives back what a fetch brought that was under way when the group was
    /// paused. By the time it comes again no such fetch is under way any more.
    async fn put_off(&self, works: Vec<Work>) {
        for work in works {
            count(&self.dispatcher.tally.put_off);
            self.dispatcher.answer(&work, Acknowledge::Retry { after: WAIT }).await;
        }
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

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
