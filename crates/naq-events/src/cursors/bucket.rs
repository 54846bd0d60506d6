//! The bucket of cursors: a key for each, with its position as JSON.

use std::sync::Arc;

use bytes::Bytes;
use naq_core::events::Position;
use naq_core::jetstream::Consistency;
use naq_core::kv::{BucketConfig, KvEntry, KvStore, PutOptions};
use naq_core::{Error, ErrorKind, Result, Timestamp, token};
use serde::{Deserialize, Serialize};

use super::place::CursorPlace;
use crate::fence::Mark;
use crate::own_bucket::OwnBucket;
use crate::read::Log;

/// Holds the cursors of all logs of an account.
const BUCKET: &str = "naq_cursors";

/// What is kept of a cursor.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    position: Position,
    /// When the message at the position was stored, in nanoseconds since 1970;
    /// left out where that isn't known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stored_at_nanos: Option<i64>,
}

/// A cursor as it is kept.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    /// Its name.
    pub(super) name: String,
    /// Where it stands.
    pub(super) position: Position,
    /// The message at that position, where it is known.
    pub(super) mark: Option<Mark>,
    /// When that was saved, by the server's clock.
    pub(super) saved_at: Timestamp,
    /// The revision of its key.
    pub(super) revision: u64,
}

/// A cursor of a list.
#[derive(Debug, Clone)]
pub(super) enum Listed {
    /// As it is kept.
    Saved(Saved),
    /// One of this name that naq didn't write, or that was damaged, and when
    /// it was written.
    Corrupt(String, Timestamp),
}

/// The cursors of one log.
#[derive(Debug, Clone)]
pub(super) struct CursorBucket {
    bucket: OwnBucket,
    log: Log,
    /// The log's stream, as the first part of each key.
    stream: String,
}

impl CursorBucket {
    /// The cursors of a log.
    pub(super) fn new(kv: Arc<dyn KvStore>, log: Log) -> Self {
        let stream = token::encode(log.stream()).into_owned();
        let config = BucketConfig::new(BUCKET)
            .with_description("how far the readers of naq's logs have come");
        Self { bucket: OwnBucket::new(kv, config), log, stream }
    }

    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.stream)
    }

    /// A cursor; `None` where there is none of that name.
    pub(super) async fn get(&self, name: &str) -> Result<Option<Saved>> {
        self.bucket.get(&self.key(name)).await?.map(|entry| saved(name, &entry)).transpose()
    }

    /// Whether there is one of that name, whatever is in it.
    pub(super) async fn has(&self, name: &str) -> Result<bool> {
        Ok(self.bucket.get(&self.key(name)).await?.is_some())
    }

    /// All of them, by name.
    pub(super) async fn list(&self) -> Result<Vec<Listed>> {
        let prefix = format!("{}.", self.stream);
        let mut keys = self.bucket.keys(&prefix).await?;
        keys.sort();
        let entries = self.bucket.get_many(keys, Consistency::Leader).await?;
        let listed = entries.into_iter().flatten().map(|entry| {
            let name = entry.key.strip_prefix(&prefix).unwrap_or_default();
            // One of many keeps nobody from the others.
            saved(name, &entry).map(Listed::Saved).unwrap_or_else(|error| {
                tracing::warn!(cursor = name, %error, "a cursor can't be read");
                Listed::Corrupt(name.to_owned(), entry.created)
            })
        });
        Ok(listed.collect())
    }

    /// Saves a position where the cursor's revision is still this one, `None`
    /// for a cursor that isn't there; answers the new revision.
    pub(super) async fn save(
        &self,
        name: &str,
        place: CursorPlace,
        revision: Option<u64>,
    ) -> Result<u64> {
        let options = revision.map_or_else(PutOptions::create, PutOptions::update);
        self.put(name, place, options).await
    }

    /// Saves a position whatever the cursor had.
    pub(super) async fn set(&self, name: &str, place: CursorPlace) -> Result<()> {
        self.put(name, place, PutOptions::default()).await.map(drop)
    }

    async fn put(&self, name: &str, place: CursorPlace, options: PutOptions) -> Result<u64> {
        let CursorPlace { position, stored_at } = place;
        let stored = Stored { position, stored_at_nanos: stored_at.map(Timestamp::as_nanos) };
        let value = serde_json::to_vec(&stored).map(Bytes::from).map_err(|error| {
            Error::new(ErrorKind::Unexpected, "save_cursor", "can't be written").with_source(error)
        })?;
        let replicas = async { Ok(self.log.open("save_cursor").await?.replicas()) };
        self.bucket.put(&self.key(name), value, options, replicas).await
    }

    /// Removes a cursor, wherever it stands.
    pub(super) async fn remove(&self, name: &str) -> Result<()> {
        self.bucket.erase(&self.key(name), None).await.map(drop)
    }
}

fn saved(name: &str, entry: &KvEntry) -> Result<Saved> {
    let Stored { position, stored_at_nanos } = entry.json()?;
    let mark = stored_at_nanos
        .map(|nanos| Mark { sequence: position.sequence, stored_at: Timestamp::from_nanos(nanos) });
    let (saved_at, revision) = (entry.created, entry.revision);
    Ok(Saved { name: name.to_owned(), position, mark, saved_at, revision })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made_up;

    #[tokio::test]
    async fn the_bucket_is_made_with_the_log_s_replicas() {
        let (kv, asked) = made_up::no_store();
        let bucket = CursorBucket::new(kv, made_up::log_of_three());
        bucket.set("c", Position::new(Timestamp::from_nanos(1), 1).into()).await.unwrap_err();
        assert_eq!(*asked.lock().unwrap(), Some(3));
    }
}
