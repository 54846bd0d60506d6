//! Doing something once per event, as far as that can be had.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use naq_core::kv::{KvBucket, KvBucketExt};
use naq_core::{Error, ErrorKind, Result, token};

use super::handler::{Outcome, Reaction};

const OPERATION: &str = "once";

const BEGUN: &[u8] = b"begun";
const DONE: &[u8] = b"done";

/// Remembers in a bucket which events have been handled, by compare and set.
///
/// What it promises: once the work for an event has ended as [`Outcome::Done`]
/// and that has been written down, it is not begun again, in no member of any
/// process that uses the same bucket and name, for as long as the bucket keeps
/// the key (its `max_age`).
///
/// What it doesn't promise: a process that dies between doing the work and
/// writing that down leaves the event marked as begun, and nobody can tell
/// whether the work was done. [`Doubt`] chooses: repeat it, or leave it and
/// make it a dead letter. Exactly once is had only where the work itself and
/// its mark are written together, such as in one transaction of a database.
#[derive(Debug, Clone)]
pub struct Once {
    bucket: Arc<dyn KvBucket>,
    name: String,
    doubt: Doubt,
}

/// What to do with an event whose work was begun and not seen to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Doubt {
    /// Do the work again: at least once.
    #[default]
    Repeat,
    /// Leave it, and make it a dead letter that somebody looks at: at most once.
    Leave,
}

impl Once {
    /// Keeps its marks in `bucket` under `name`, such as the group's.
    ///
    /// Give the bucket a `max_age` longer than any event may be retried or
    /// replayed: marks are not removed otherwise.
    pub fn new(bucket: Arc<dyn KvBucket>, name: impl Into<String>) -> Self {
        Self { bucket, name: name.into(), doubt: Doubt::default() }
    }

    /// Sets what to do with an event whose work was begun and not seen to end.
    #[must_use]
    pub const fn with_doubt(mut self, doubt: Doubt) -> Self {
        self.doubt = doubt;
        self
    }

    /// Does the work for an event unless it has been done.
    ///
    /// Where another member is at it at this moment (it began, and the event
    /// came again meanwhile), [`Doubt`] decides as it does for one that died.
    pub async fn run<F, Fut>(&self, reaction: &Reaction, work: F) -> Outcome
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Outcome> + Send,
    {
        let key = match self.key(reaction) {
            Ok(key) => key,
            Err(error) => return Outcome::reject(error.to_string()),
        };
        let revision = match self.begin(&key).await {
            Ok(Begun::Now(revision)) => revision,
            Ok(Begun::Done) => return Outcome::Done,
            Ok(Begun::InDoubt) => {
                return Outcome::reject("its work was begun before and not seen to end");
            }
            Err(_) => return Outcome::Retry(Some(Duration::from_secs(1))),
        };
        let outcome = work().await;
        let written = match &outcome {
            Outcome::Done => self.bucket.update(&key, DONE, revision).await.map(drop),
            // The work says itself that it did not do it.
            Outcome::Retry(_) | Outcome::Reject(_) => self.bucket.purge(&key).await.map(drop),
        };
        if let Err(error) = written {
            tracing::warn!(group = %reaction.group, %error, "what became of an event can't be written down");
        }
        outcome
    }

    /// By the event's id, or by its place where it has none.
    fn key(&self, reaction: &Reaction) -> Result<String> {
        let id = match &reaction.recorded.event.id {
            Some(id) => id.to_string(),
            None => reaction.recorded.position.to_string(),
        };
        if self.name.is_empty() {
            return Err(Error::invalid(OPERATION, "name", "must not be empty"));
        }
        Ok(format!("{}.{}", token::encode(&self.name), token::encode(&id)))
    }

    async fn begin(&self, key: &str) -> Result<Begun> {
        match self.bucket.create(key, BEGUN).await {
            Ok(revision) => return Ok(Begun::Now(revision)),
            Err(error) if error.is(ErrorKind::AlreadyExists) => {}
            Err(error) => return Err(error),
        }
        match self.bucket.get(key).await? {
            Some(entry) if entry.value == DONE => Ok(Begun::Done),
            Some(entry) if self.doubt == Doubt::Repeat => {
                // Only one of several that find it in doubt goes on.
                Ok(Begun::Now(self.bucket.update(key, BEGUN, entry.revision).await?))
            }
            Some(_) => Ok(Begun::InDoubt),
            None => Ok(Begun::Now(self.bucket.create(key, BEGUN).await?)),
        }
    }
}

/// How an event stands when its work is about to begin.
enum Begun {
    /// By this caller, at this revision of its mark.
    Now(u64),
    Done,
    InDoubt,
}
