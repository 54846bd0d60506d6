//! From a delivery to its answer: one try, and what follows from its outcome.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use naq_core::clock::{Clock, ClockExt};
use naq_core::events::Filter;
use naq_core::jetstream::{Acknowledge, JetStream};

use super::burial::Unburied;
use super::dead::{DeadCause, DeadStreams};
use super::handler::{Handler, MAX_RETRY_AFTER, MalformedReaction, Outcome, Reaction};
use super::last_try::{Begun, LastTries};
use super::options::ReactOptions;
use super::tally::{Tally, count};
use super::work::Hand;
pub(super) use super::work::Work;

/// Why a try wasn't the last one, or is one for the dead letters.
enum Failure {
    /// The handler doesn't want the event, for this reason.
    Rejected(String),
    /// The handler asks for another try, after this long if it says so.
    Again(Option<Duration>),
    /// The handler panicked, with these words.
    Panicked(String),
    /// The deadline passed.
    TimedOut,
}

/// What handling one delivery needs.
pub(super) struct Dispatcher {
    pub(super) jetstream: Arc<dyn JetStream>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) filter: Filter,
    pub(super) options: ReactOptions,
    pub(super) dead: DeadStreams,
    pub(super) last_tries: LastTries,
    pub(super) unburied: Unburied,
    pub(super) tally: Tally,
    pub(super) hand: Hand,
}

/// Events that a worker is done with, to be acknowledged together.
#[derive(Debug, Default)]
pub(super) struct Finished(Vec<Work>);

impl Finished {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Dispatcher {
    /// Handles a delivery and answers it; what is done is `finished`, and to be
    /// acknowledged by the caller. Before anything is waited for, all that was
    /// finished earlier is acknowledged.
    pub(super) async fn handle(&self, work: Work, finished: &mut Finished) {
        if let Some((cause, reason)) = self.unburied.take(&work) {
            self.acknowledge(finished).await;
            return self.bury(work, cause, &reason).await;
        }
        // What comes for the first time can't have been begun with.
        if work.deliveries < self.options.max_tries.max(2) {
            return self.attempt(work, finished).await;
        }
        self.acknowledge(finished).await;
        let mark = self.last_tries.key(&work);
        if self.was_begun(&work, &mark).await {
            let reason = "it was handed over as often as the group allows, and no outcome came";
            self.bury(work, DeadCause::NoOutcome, reason).await;
        } else {
            self.attempt(work, finished).await;
            // The mark of a last try goes after its event.
            self.acknowledge(finished).await;
        }
        if let Err(error) = self.last_tries.end(&mark).await {
            tracing::debug!(%error, mark, "the mark of a last try can't be removed: it goes by itself");
        }
    }

    /// Whether somebody began with the last try of an event. Where that can't
    /// be known it is handed over twice as often.
    async fn was_begun(&self, work: &Work, mark: &str) -> bool {
        match self.last_tries.begin(mark).await {
            Ok(begun) => begun == Begun::Before,
            Err(error) => {
                tracing::debug!(%error, mark, "whether an event's last try was begun can't be known");
                work.deliveries > 2 * self.options.max_tries
            }
        }
    }

    /// Acknowledges what is finished.
    pub(super) async fn acknowledge(&self, finished: &mut Finished) {
        for work in finished.0.drain(..) {
            self.answer(&work, Acknowledge::Done).await;
        }
    }

    async fn attempt(&self, work: Work, finished: &mut Finished) {
        let (ended, rejected) = match work.decode() {
            Ok(recorded) => {
                if work.replay.is_none() && !self.filter.matches_recorded(&recorded) {
                    count(&self.tally.passed_over);
                    return finished.0.push(work);
                }
                let reaction = Reaction {
                    group: work.group.to_string(),
                    recorded,
                    tries: work.deliveries,
                    is_replay: work.replay.is_some(),
                };
                (self.limit(self.handler.handle(reaction), finished).await, DeadCause::Rejected)
            }
            Err(malformed) => {
                count(&self.tally.malformed);
                let group = work.group.to_string();
                let reaction = MalformedReaction { group, malformed, tries: work.deliveries };
                let attempt = self.handler.on_malformed(reaction);
                (self.limit(attempt, finished).await, DeadCause::Malformed)
            }
        };
        match ended {
            Ok(()) => {
                count(&self.tally.done);
                finished.0.push(work);
            }
            Err(failure) => {
                self.acknowledge(finished).await;
                self.failed(work, failure, rejected).await;
            }
        }
    }

    async fn failed(&self, work: Work, failure: Failure, rejected: DeadCause) {
        match failure {
            Failure::Rejected(reason) => self.bury(work, rejected, &reason).await,
            Failure::Again(after) => {
                self.retry(work, after, "the handler asked for another try").await;
            }
            Failure::Panicked(words) => {
                count(&self.tally.panicked);
                tracing::error!(group = &*work.group, position = %work.position, "the handler panicked: {words}");
                self.retry(work, None, &format!("the handler panicked: {words}")).await;
            }
            Failure::TimedOut => {
                count(&self.tally.timed_out);
                let reason = format!("no outcome within {:?}", self.options.deadline);
                tracing::warn!(group = &*work.group, position = %work.position, "{reason}");
                self.retry(work, None, &reason).await;
            }
        }
    }

    /// Runs a try within its deadline; a panic ends the try alone.
    async fn limit(
        &self,
        attempt: impl Future<Output = Outcome> + Send,
        finished: &mut Finished,
    ) -> Result<(), Failure> {
        let mut attempt = pin!(AssertUnwindSafe(attempt).catch_unwind());
        // A handler that is done at once needs no timer.
        let ended = match futures::poll!(&mut attempt) {
            Poll::Ready(ended) => Some(ended),
            Poll::Pending => {
                let deadline = self.clock.deadline(self.options.deadline);
                self.acknowledge(finished).await;
                self.clock.until(deadline, attempt).await
            }
        };
        match ended {
            Some(Ok(Outcome::Done)) => Ok(()),
            Some(Ok(Outcome::Retry(after))) => Err(Failure::Again(after)),
            Some(Ok(Outcome::Reject(reason))) => Err(Failure::Rejected(reason)),
            Some(Err(panic)) => Err(Failure::Panicked(words(&*panic))),
            None => Err(Failure::TimedOut),
        }
    }

    async fn retry(&self, work: Work, after: Option<Duration>, reason: &str) {
        if work.deliveries >= self.options.max_tries {
            return self.bury(work, DeadCause::TriesExhausted, reason).await;
        }
        count(&self.tally.retried);
        let after = after.map(|after| after.min(MAX_RETRY_AFTER));
        let after = after.unwrap_or_else(|| self.options.backoff(work.deliveries, fastrand::f64()));
        self.answer(&work, Acknowledge::Retry { after }).await;
    }

    /// Answers a delivery, which is out of the hand then.
    pub(super) async fn answer(&self, work: &Work, answer: Acknowledge) {
        // What a stop has given back is answered already.
        let Some(token) = self.hand.release(work.held) else { return };
        if let Err(error) = self.jetstream.acknowledge(&token, answer).await {
            count(&self.tally.unanswered);
            tracing::warn!(
                group = &*work.group,
                position = %work.position,
                %error,
                "an event can't be answered: it comes again"
            );
        }
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without words")
        .to_owned()
}

#[cfg(test)]
impl Dispatcher {
    /// One that hands everything to this handler.
    pub(super) fn of_tests(
        jetstream: naq_core::jetstream::MockJetStream,
        handler: impl Handler + 'static,
    ) -> Self {
        let kv = Arc::new(naq_core::kv::MockKvStore::new());
        Self {
            jetstream: Arc::new(jetstream),
            clock: Arc::new(naq_core::clock::ManualClock::new()),
            handler: Arc::new(handler),
            filter: Filter::new(),
            options: ReactOptions::default(),
            dead: DeadStreams::of(&naq_core::config::EventsConfig::default()),
            last_tries: LastTries::new(kv, "events"),
            unburied: Unburied::default(),
            tally: Tally::default(),
            hand: Hand::default(),
        }
    }
}
