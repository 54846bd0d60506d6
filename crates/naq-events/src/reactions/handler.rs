//! What a user writes: a handler, what it is given, and what it answers.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use naq_core::events::{MalformedEvent, RecordedEvent};
use naq_core::{Error, RetryClass};

/// The longest wait that a handler may ask for.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_secs(30 * 86_400);

/// One event, handed to a handler of a group.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Reaction {
    /// The group that it is for.
    pub group: String,
    /// The event, with its place in the log and the time at which it was stored.
    ///
    /// Its [`id`](naq_core::events::Event::id) is the same however often it is
    /// handed over: by it a handler can tell that it has done the work already.
    pub recorded: RecordedEvent,
    /// How often it has been handed to a member of the group, this time
    /// included: 1 at first. A member that stopped or died before it began with
    /// it counts too.
    pub tries: u64,
    /// Whether it comes from the dead letters, because somebody asked for that.
    pub is_replay: bool,
}

/// A message on the log's subjects that is no event, handed to a handler.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MalformedReaction {
    /// The group that it is for.
    pub group: String,
    /// The message, and what is wrong with it.
    pub malformed: MalformedEvent,
    /// How often it has been handed to a member of the group, this time included.
    pub tries: u64,
}

/// What a handler answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done, and is not handed over again.
    Done,
    /// It failed for now: hand it over again after this time (at most 30 days),
    /// or, with `None`, after the group's backoff. Once the group's `max_tries` is reached it
    /// becomes a dead letter instead.
    Retry(Option<Duration>),
    /// It fails for good: it becomes a dead letter, with this reason.
    Reject(String),
}

impl Outcome {
    /// Failed for now: try again after the group's backoff.
    #[must_use]
    pub const fn retry() -> Self {
        Self::Retry(None)
    }

    /// Failed for good.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject(reason.into())
    }
}

impl From<Result<(), Error>> for Outcome {
    /// `Ok` is done. An error that may be tried again is a retry; one that
    /// never gets better is a rejection with its words.
    fn from(result: Result<(), Error>) -> Self {
        match result {
            Ok(()) => Self::Done,
            Err(error) if error.retry() != RetryClass::Never => Self::retry(),
            Err(error) => Self::Reject(error.to_string()),
        }
    }
}

/// The code that runs when something happened.
///
/// It is called at least once for every event of its group, and more than once
/// where a try failed, took longer than the deadline, or where the process
/// died or lost its connection before the event was acknowledged: what it does
/// should do no harm when done twice ([`Once`](super::Once) helps with that).
///
/// A closure that takes a [`Reaction`] and returns a future of an [`Outcome`]
/// is a handler. A handler that panics has failed for now, as with
/// [`Outcome::retry`]; its other events go on.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Handles an event. Dropped when the deadline of the try passes: then the
    /// try has failed.
    async fn handle(&self, reaction: Reaction) -> Outcome;

    /// Handles a message that is no event: by default it becomes a dead letter.
    async fn on_malformed(&self, malformed: MalformedReaction) -> Outcome {
        Outcome::Reject(malformed.malformed.reason.to_string())
    }
}

#[async_trait]
impl<F, Fut> Handler for F
where
    F: Fn(Reaction) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    async fn handle(&self, reaction: Reaction) -> Outcome {
        self(reaction).await
    }
}
