//! From a delivery to its answer: one try, and what follows from its outcome.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures::FutureExt;
use naq_core::Result;
use naq_core::clock::{Clock, ClockExt};
use naq_core::events::Filter;
use naq_core::jetstream::{Acknowledge, GetMessage, JetStream, PublishMessage, Which};

use super::dead::{DeadCause, DeadStreams};
use super::handler::{Handler, MalformedReaction, Outcome, Reaction};
use super::options::ReactOptions;
use super::tally::{Tally, count};
use super::work::Hand;
pub(super) use super::work::Work;

/// How a try ended.
enum Ending {
    /// The handler answered.
    Answered(Outcome),
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
    pub(super) tally: Tally,
    pub(super) hand: Hand,
}

impl Dispatcher {
    /// Handles a delivery and answers it.
    pub(super) async fn handle(&self, work: Work) {
        if work.deliveries > self.options.max_tries {
            let reason = "it was handed over as often as the group allows, and no outcome came";
            self.bury(work, DeadCause::NoOutcome, reason).await;
        } else {
            self.attempt(work).await;
        }
    }

    async fn attempt(&self, work: Work) {
        let (ending, rejected) = match work.decode() {
            Ok(recorded) => {
                if work.replay.is_none() && !self.filter.matches_recorded(&recorded) {
                    count(&self.tally.passed_over);
                    return self.answer(&work, Acknowledge::Done).await;
                }
                let reaction = Reaction {
                    group: work.group.to_string(),
                    recorded,
                    tries: work.deliveries,
                    is_replay: work.replay.is_some(),
                };
                (self.limit(self.handler.handle(reaction)).await, DeadCause::Rejected)
            }
            Err(malformed) => {
                count(&self.tally.malformed);
                let group = work.group.to_string();
                let reaction = MalformedReaction { group, malformed, tries: work.deliveries };
                (self.limit(self.handler.on_malformed(reaction)).await, DeadCause::Malformed)
            }
        };
        match ending {
            Ending::Answered(Outcome::Done) => {
                count(&self.tally.done);
                self.answer(&work, Acknowledge::Done).await;
            }
            Ending::Answered(Outcome::Reject(reason)) => self.bury(work, rejected, &reason).await,
            Ending::Answered(Outcome::Retry(after)) => {
                self.retry(work, after, "the handler asked for another try").await;
            }
            Ending::Panicked(words) => {
                count(&self.tally.panicked);
                tracing::error!(group = &*work.group, position = %work.position, "the handler panicked: {words}");
                self.retry(work, None, &format!("the handler panicked: {words}")).await;
            }
            Ending::TimedOut => {
                count(&self.tally.timed_out);
                let reason = format!("no outcome within {:?}", self.options.deadline);
                tracing::warn!(group = &*work.group, position = %work.position, "{reason}");
                self.retry(work, None, &reason).await;
            }
        }
    }

    /// Runs a try within its deadline; a panic ends the try alone.
    async fn limit(&self, attempt: impl Future<Output = Outcome> + Send) -> Ending {
        let deadline = self.clock.deadline(self.options.deadline);
        let mut attempt = pin!(AssertUnwindSafe(attempt).catch_unwind());
        // A handler that is done at once needs no timer.
        let ended = match futures::poll!(&mut attempt) {
            Poll::Ready(ended) => Some(ended),
            Poll::Pending => self.clock.until(deadline, attempt).await,
        };
        match ended {
            Some(Ok(outcome)) => Ending::Answered(outcome),
            Some(Err(panic)) => Ending::Panicked(words(&*panic)),
            None => Ending::TimedOut,
        }
    }

    async fn retry(&self, work: Work, after: Option<std::time::Duration>, reason: &str) {
        if work.deliveries >= self.options.max_tries {
            return self.bury(work, DeadCause::TriesExhausted, reason).await;
        }
        count(&self.tally.retried);
        let after = after.unwrap_or_else(|| self.options.backoff(work.deliveries, fastrand::f64()));
        self.answer(&work, Acknowledge::Retry { after }).await;
    }

    /// Makes a dead letter of it. Answered only once that is stored.
    async fn bury(&self, work: Work, cause: DeadCause, reason: &str) {
        let letter = self.dead.letter(&work, cause, reason, self.clock.now());
        match self.keep(letter).await {
            Ok(()) => {
                count(&self.tally.dead);
                tracing::warn!(
                    group = &*work.group,
                    position = %work.position,
                    %cause,
                    tries = work.deliveries,
                    "an event became a dead letter: {reason}"
                );
                self.answer(&work, Acknowledge::Done).await;
            }
            Err(error) => {
                count(&self.tally.unburied);
                tracing::error!(
                    group = &*work.group,
                    position = %work.position,
                    %error,
                    "a dead letter can't be stored: the event comes again"
                );
                let after = self.options.backoff_max;
                self.answer(&work, Acknowledge::Retry { after }).await;
            }
        }
    }

    /// Stores a dead letter, once however often its event comes.
    async fn keep(&self, mut letter: PublishMessage) -> Result<()> {
        loop {
            let ack = self.jetstream.publish(letter.clone()).await?;
            let kept = GetMessage::new(Which::Sequence(ack.sequence));
            let is_there =
                !ack.duplicate || self.jetstream.get_message(&self.dead.dead, kept).await.is_ok();
            if is_there {
                return Ok(());
            }
            // Somebody has dropped it or had it replayed, and the group was
            // moved back: the next letter's id tells of the one that is gone.
            // Rather two letters than none, where nobody may look.
            let id = letter.message_id.unwrap_or_default();
            letter.message_id = Some(format!("{id}:{}", ack.sequence));
        }
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
