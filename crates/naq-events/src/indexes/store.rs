//! Where indexes are kept: a bucket of naq's own, a key for each block, and
//! one for the list of a log's indexes.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use naq_core::jetstream::{Compression, Consistency};
use naq_core::kv::{
    BucketConfig, KeySelection, KvBucketExt, KvEntry, KvStore, PutOptions, RemoveOptions,
};
use naq_core::{Error, ErrorKind, Result, Timestamp, token};
use uuid::Uuid;

use super::block::{IndexBlock, VERSION};
use super::definition::{Definition, from_json, to_json};

/// Holds the indexes of all logs of an account.
pub(crate) const BUCKET: &str = "naq_indexes";

/// How often a lost race is run again.
const TRIES: usize = 4;

/// The indexes of one log.
#[derive(Debug, Clone)]
pub(crate) struct IndexStore {
    kv: Arc<dyn KvStore>,
    /// The log's stream, as the first part of each key.
    stream: String,
}

impl IndexStore {
    /// The indexes of a stream.
    pub(crate) fn new(kv: Arc<dyn KvStore>, stream: &str) -> Self {
        Self { kv, stream: token::encode(stream).into_owned() }
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
        match self.kv.bucket(BUCKET)?.get(&self.list_key()).await {
            Ok(Some(entry)) => Ok((from_json(&entry.value)?, Some(entry.revision))),
            Ok(None) => Ok((Vec::new(), None)),
            // Nobody has made one yet.
            Err(error) if error.is(ErrorKind::NotFound) => Ok((Vec::new(), None)),
            Err(error) => Err(error),
        }
    }

    /// Changes the list of the log's indexes, and answers it. A bucket that
    /// has to be made gets so many replicas.
    pub(crate) async fn change(
        &self,
        replicas: u32,
        change: impl Fn(&mut Vec<Definition>) -> Result<()> + Send + Sync,
    ) -> Result<Vec<Definition>> {
        let mut bucket = self.kv.bucket(BUCKET)?;
        let mut lost = None;
        for _ in 0..TRIES {
            let (before, revision) = self.listed().await?;
            let mut after = before.clone();
            change(&mut after)?;
            if after == before {
                return Ok(after);
            }
            let options = revision.map_or_else(PutOptions::create, PutOptions::update);
            let value = Bytes::from(to_json(&after)?);
            let error = match bucket.put_opts(&self.list_key(), value, options).await {
                Ok(_) => return Ok(after),
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::NotFound => bucket = self.kv.ensure_bucket(config(replicas)).await?,
                ErrorKind::AlreadyExists | ErrorKind::Conflict => {}
                _ => return Err(error),
            }
            lost = Some(error);
        }
        let text = "others kept changing the indexes";
        let error = Error::new(ErrorKind::Conflict, "change_indexes", text);
        Err(lost.map_or_else(|| error.clone(), |lost| error.clone().with_source(lost)))
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
        let mut results = self.kv.bucket(BUCKET)?.get_many(keys, Consistency::Any);
        let mut found = Vec::with_capacity(blocks.len());
        for block in blocks {
            let entry = match results.next().await {
                Some(result) => match result.result {
                    Err(error) if error.is(ErrorKind::NotFound) => None,
                    result => result?,
                },
                None => None,
            };
            let entry = entry.filter(KvEntry::is_live);
            found.push(entry.and_then(|entry| readable(&entry, created, id, *block)));
        }
        Ok(found)
    }

    /// Keeps the index of a block, unless one is there that has come as far,
    /// of a log that ends here: then that is the answer.
    pub(crate) async fn save(&self, block: &IndexBlock, end: u64) -> Result<Option<IndexBlock>> {
        let IndexBlock { created, id, block: number, mark, .. } = *block;
        let key = self.key(created, id, number);
        let bucket = self.kv.bucket(BUCKET)?;
        let is_better = |theirs: &IndexBlock| {
            (block.through..=end).contains(&theirs.through) && !theirs.mark.contradicts(&mark)
        };
        let mut options = PutOptions::create();
        let mut lost = None;
        for _ in 0..TRIES {
            let error = match bucket.put_opts(&key, block.bytes(), options).await {
                Ok(_) => return Ok(None),
                Err(error) => error,
            };
            if !matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::Conflict) {
                return Err(error);
            }
            options = match bucket.get(&key).await? {
                Some(entry) => {
                    let theirs = readable(&entry, created, id, number);
                    if let Some(theirs) = theirs.filter(is_better) {
                        return Ok(Some(theirs));
                    }
                    PutOptions::update(entry.revision)
                }
                None => PutOptions::create(),
            };
            lost = Some(error);
        }
        lost.map_or(Ok(None), Err)
    }

    /// Removes the index of a block, unless it was replaced meanwhile.
    pub(crate) async fn discard(&self, block: &IndexBlock) -> Result<()> {
        let key = self.key(block.created, block.id, block.block);
        let bucket = self.kv.bucket(BUCKET)?;
        let Some(entry) = bucket.get(&key).await? else { return Ok(()) };
        if IndexBlock::decode(entry.value).is_ok_and(|it| it.mark != block.mark) {
            return Ok(());
        }
        let options = RemoveOptions::purge().with_expected(entry.revision);
        match bucket.remove(&key, options).await {
            Err(error) if error.is(ErrorKind::Conflict) => Ok(()),
            removed => removed.map(drop),
        }
    }

    /// Removes what belongs to no index of this stream, or to a block before
    /// this one, or is of an older version; answers how many objects that were.
    pub(crate) async fn sweep(&self, created: Timestamp, first_block: u64) -> Result<u64> {
        let bucket = self.kv.bucket(BUCKET)?;
        let prefix = format!("{}.", self.stream);
        let mut listed = bucket.keys(KeySelection::prefix(prefix.as_str()));
        let mut keys = Vec::new();
        while let Some(key) = listed.next().await {
            match key {
                Ok(key) => keys.push(key),
                Err(error) if error.is(ErrorKind::NotFound) => return Ok(0),
                Err(error) => return Err(error),
            }
        }
        // Read behind the keys: an index is in the list before it has objects.
        let definitions = self.definitions().await?;
        let is_used = |(at, id, block, version): &(i64, Uuid, u64, u8)| {
            *version == VERSION
                && *at == created.as_nanos()
                && *block >= first_block
                && definitions.iter().any(|it| it.id == *id)
        };
        let mut removed = 0;
        for key in keys {
            let object = key.strip_prefix(&prefix).and_then(object);
            if object.is_some_and(|object| !is_used(&object)) {
                bucket.purge(&key).await?;
                removed += 1;
            }
        }
        Ok(removed)
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

fn config(replicas: u32) -> BucketConfig {
    BucketConfig::new(BUCKET)
        .with_replicas(replicas)
        .with_description("which events of naq's logs have which values")
        .with_compression(Compression::S2)
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
