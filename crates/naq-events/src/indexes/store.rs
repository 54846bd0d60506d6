//! Where indexes are kept: a bucket of naq's own, a key for each block, and
//! one for the list of a log's indexes.

use std::sync::Arc;

use bytes::Bytes;
use naq_core::jetstream::{Compression, Consistency};
use naq_core::kv::{BucketConfig, KvEntry, KvStore, PutOptions};
use naq_core::{Error, ErrorKind, Result, Timestamp, token};
use uuid::Uuid;

use super::block::{IndexBlock, VERSION};
use super::definition::{Definition, from_bytes, to_bytes};
use crate::own_bucket::{OwnBucket, TRIES, is_lost_race};

/// Holds the indexes of all logs of an account.
pub(crate) const BUCKET: &str = "naq_indexes";

/// The indexes of one log.
#[derive(Debug, Clone)]
pub(crate) struct IndexStore {
    bucket: OwnBucket,
    /// The log's stream, as the first part of each key.
    stream: String,
}

impl IndexStore {
    /// The indexes of a stream.
    pub(crate) fn new(kv: Arc<dyn KvStore>, stream: &str) -> Self {
        let config = BucketConfig::new(BUCKET)
            .with_description("which events of naq's logs have which values")
            .with_compression(Compression::S2);
        let bucket = OwnBucket::new(kv, config);
        Self { bucket, stream: token::encode(stream).into_owned() }
    }

    fn list_key(&self) -> String {
        format!("{}.indexes", self.stream)
    }

    /// A stream made anew, an index made anew, and another version of the
    /// format have keys of their own.
    fn key(&self, created: Timestamp, id: Uuid, block: u64) -> String {
        let created = created.as_nanos();
        format!("{}.{created}.{}.{block:010}.v{VERSION}", self.stream, id.simple())
    }

    /// The log's indexes.
    pub(crate) async fn definitions(&self) -> Result<Vec<Definition>> {
        Ok(self.listed().await?.0)
    }

    async fn listed(&self) -> Result<(Vec<Definition>, Option<u64>)> {
        match self.bucket.get(&self.list_key()).await? {
            Some(entry) => Ok((from_bytes(&entry.value)?, Some(entry.revision))),
            None => Ok((Vec::new(), None)),
        }
    }

    /// Changes the list of the log's indexes, and answers it. A bucket that
    /// has to be made gets so many replicas.
    pub(crate) async fn change(
        &self,
        replicas: u32,
        change: impl Fn(&mut Vec<Definition>) -> Result<()> + Send + Sync,
    ) -> Result<Vec<Definition>> {
        let mut lost = None;
        for _ in 0..TRIES {
            let (before, revision) = self.listed().await?;
            let mut after = before.clone();
            change(&mut after)?;
            if after == before {
                return Ok(after);
            }
            let options = revision.map_or_else(PutOptions::create, PutOptions::update);
            let value = Bytes::from(to_bytes(&after)?);
            let replicas = std::future::ready(Ok(replicas));
            match self.bucket.put(&self.list_key(), value, options, replicas).await {
                Ok(_) => return Ok(after),
                Err(error) if is_lost_race(error.kind()) => lost = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(kept_changing(lost))
    }

    /// Replaces the list by an empty one, whether it can be read or not.
    pub(crate) async fn clear(&self) -> Result<()> {
        let mut lost = None;
        for _ in 0..TRIES {
            let Some(entry) = self.bucket.get(&self.list_key()).await? else { return Ok(()) };
            let (value, options) = (to_bytes(&[])?, PutOptions::update(entry.revision));
            match self.bucket.bucket()?.put_opts(&self.list_key(), value.into(), options).await {
                Ok(_) => return Ok(()),
                Err(error) if is_lost_race(error.kind()) => lost = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(kept_changing(lost))
    }

    /// The index of these blocks; `None` where there is none, or a damaged one.
    pub(crate) async fn get(
        &self,
        created: Timestamp,
        id: Uuid,
        blocks: &[u64],
    ) -> Result<Vec<Option<IndexBlock>>> {
        let keys = blocks.iter().map(|block| self.key(created, id, *block)).collect();
        // A replica that is behind costs a reading, and a save that finds better.
        let entries = self.bucket.get_many(keys, Consistency::Any).await?;
        let found = entries.into_iter().zip(blocks);
        Ok(found.map(|(entry, block)| readable(&entry?, created, id, *block)).collect())
    }

    /// Keeps the index of a block, unless one is there that has come further, or
    /// as far and names no more, of a log that ends here: then that is the answer.
    pub(crate) async fn save(&self, block: &IndexBlock, end: u64) -> Result<Option<IndexBlock>> {
        let IndexBlock { created, id, block: number, mark, .. } = *block;
        let key = self.key(created, id, number);
        // Of two that have come as far, the one that names less knows more of
        // what has left the log.
        let come = |it: &IndexBlock| (it.through, std::cmp::Reverse(it.there.len()));
        let is_better = |theirs: &IndexBlock| {
            theirs.through <= end && come(theirs) >= come(block) && !theirs.mark.contradicts(&mark)
        };
        let stays = |entry: &KvEntry| readable(entry, created, id, number).filter(is_better);
        self.bucket.put_unless(&key, block.bytes(), None, stays).await
    }

    /// Removes the index of a block, unless it was replaced meanwhile.
    pub(crate) async fn discard(&self, block: &IndexBlock) -> Result<()> {
        let key = self.key(block.created, block.id, block.block);
        let Some(entry) = self.bucket.get(&key).await? else { return Ok(()) };
        if IndexBlock::decode(entry.value).is_ok_and(|it| it.mark != block.mark) {
            return Ok(());
        }
        self.bucket.erase(&key, Some(entry.revision)).await.map(drop)
    }

    /// Removes what belongs to no index of this stream, or to a block before
    /// this one, or is of an older version: so many objects at most. Answers
    /// whether there may be more.
    pub(crate) async fn sweep(
        &self,
        created: Timestamp,
        first_block: u64,
        most: usize,
    ) -> Result<bool> {
        let prefix = format!("{}.", self.stream);
        let keys = self.bucket.keys(&prefix).await?;
        // Read behind the keys: an index is in the list before it has objects.
        let definitions = self.definitions().await?;
        let is_used = |(at, id, block, version): &(i64, Uuid, u64, u8)| {
            *version == VERSION
                && *at == created.as_nanos()
                && *block >= first_block
                && definitions.iter().any(|it| it.id == *id)
        };
        let is_over = |key: &String| {
            let object = key.strip_prefix(&prefix).and_then(object);
            object.is_some_and(|object| !is_used(&object))
        };
        let over: Vec<String> = keys.into_iter().filter(is_over).take(most).collect();
        for key in &over {
            self.bucket.erase(key, None).await?;
        }
        // Some of them by such as may erase none.
        self.bucket.sweep(&prefix).await?;
        Ok(over.len() >= most)
    }
}

fn kept_changing(lost: Option<Error>) -> Error {
    let text = "others kept changing the indexes";
    let error = Error::new(ErrorKind::Conflict, "change_indexes", text);
    match lost {
        Some(lost) => error.with_source(lost),
        None => error,
    }
}

/// The creation time, index, block and version in what follows the stream in
/// a key; `None` for one of another kind or of a version that is newer.
fn object(key: &str) -> Option<(i64, Uuid, u64, u8)> {
    let mut parts = key.split('.');
    let created = parts.next()?.parse().ok()?;
    let id = Uuid::parse_str(parts.next()?).ok()?;
    let block = parts.next()?.parse().ok()?;
    let version = parts.next()?.strip_prefix('v')?.parse().ok()?;
    (version <= VERSION && parts.next().is_none()).then_some((created, id, block, version))
}

/// The index in an entry; what can't be read is told in the program's log,
/// and is as good as not there.
fn readable(entry: &KvEntry, created: Timestamp, id: Uuid, number: u64) -> Option<IndexBlock> {
    match IndexBlock::decode(entry.value.clone()) {
        Ok(block) if (block.created, block.id, block.block) == (created, id, number) => Some(block),
        Ok(_) => {
            tracing::warn!(key = entry.key, "an index is of another block than its key says");
            None
        }
        Err(error) => {
            tracing::warn!(key = entry.key, %error, "an index can't be read, and is made anew");
            None
        }
    }
}
