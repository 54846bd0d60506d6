//! Who has begun with the last try of an event: so that none is given up unseen.
//!
//! The server counts how often it hands an event out, not how often a handler
//! begins with it: a member that stops or dies had more in hand than it had
//! begun with. Before the last try a mark is set, by compare and set; an event
//! that comes once more is dead only if its mark is there.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use naq_core::kv::{BucketConfig, KeySelection, KvBucketExt, KvStore};
use naq_core::{ErrorKind, Result, token};

use super::work::Work;

/// Holds the marks.
const MARKS: &str = "naq_group_last_tries";

/// A mark stands for a member that died; later the event is tried once more.
const KEPT: Duration = Duration::from_secs(86_400);

/// Where the marks of a log's groups are.
#[derive(Debug, Clone)]
pub(super) struct LastTries {
    kv: Arc<dyn KvStore>,
    /// The log's stream, as the first part of each key.
    stream: String,
}

/// Whether the last try of an event was begun with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    /// By this caller, now.
    Now,
    /// By somebody who has not been seen to end.
    Before,
}

impl LastTries {
    pub(super) fn new(kv: Arc<dyn KvStore>, stream: &str) -> Self {
        Self { kv, stream: token::encode(stream).into_owned() }
    }

    /// The key of an event's mark.
    pub(super) fn key(&self, work: &Work) -> String {
        let place = format!("{}:{}", work.position, work.replay_id());
        format!("{}.{}.{}", self.stream, work.group, token::encode(&place))
    }

    /// Sets a mark unless it is there.
    pub(super) async fn begin(&self, key: &str) -> Result<Begun> {
        let created = match self.kv.bucket(MARKS)?.create(key, "").await {
            Err(error) if error.is(ErrorKind::NotFound) => {
                let config = BucketConfig::new(MARKS)
                    .with_description("events that naq's groups try for the last time")
                    .with_max_age(KEPT);
                self.kv.ensure_bucket(config).await?.create(key, "").await
            }
            created => created,
        };
        match created {
            Ok(_) => Ok(Begun::Now),
            Err(error) if error.is(ErrorKind::AlreadyExists) => Ok(Begun::Before),
            Err(error) => Err(error),
        }
    }

    /// Removes a mark: the try has been seen to end.
    pub(super) async fn end(&self, key: &str) -> Result<()> {
        self.kv.bucket(MARKS)?.purge(key).await.map(drop)
    }

    /// Removes all marks of a group, whose events are to be tried anew.
    pub(super) async fn forget(&self, group: &str) -> Result<()> {
        let bucket = self.kv.bucket(MARKS)?;
        let mut keys = bucket.keys(KeySelection::Prefix(format!("{}.{group}.", self.stream)));
        while let Some(key) = keys.next().await {
            match key {
                Ok(key) => drop(bucket.purge(&key).await?),
                Err(error) if error.is(ErrorKind::NotFound) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
