//! Where digests are kept: a bucket of naq's own, a key for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::StreamExt;
use naq_core::jetstream::{Compression, Consistency};
use naq_core::kv::{
    BucketConfig, KeySelection, KvBucketExt, KvEntry, KvStore, KvUpdate, PutOptions, RemoveOptions,
    WatchOptions,
};
use naq_core::{ErrorKind, Result, Timestamp, token};

use super::decode::decode;
use super::digest::{BLOCK, Digest, block_end};
use super::encode::VERSION;

/// Holds the digests of all logs of an account.
pub(crate) const BUCKET: &str = "naq_digests";

/// How often a lost race is run again.
const TRIES: usize = 4;

/// That there is a digest, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// When the stream of its log was made.
    pub(crate) created: Timestamp,
    /// Its block.
    pub(crate) block: u64,
    /// When the server stored it.
    pub(crate) at: Timestamp,
    key: String,
    revision: u64,
}

/// The digests of one log.
#[derive(Debug)]
pub(crate) struct DigestStore {
    kv: Arc<dyn KvStore>,
    /// Whether the credentials let any replica be asked, as far as is known.
    may_ask_any: AtomicBool,
    /// The log's stream, as the first part of each key.
    stream: String,
}

impl DigestStore {
    /// The digests of a stream.
    pub(crate) fn new(kv: Arc<dyn KvStore>, stream: &str) -> Self {
        let may_ask_any = AtomicBool::new(true);
        Self { kv, may_ask_any, stream: token::encode(stream).into_owned() }
    }

    /// A stream made anew, and another version of the format, have keys of their own.
    fn key(&self, created: Timestamp, block: u64) -> String {
        format!("{}.{}.{block:010}.v{VERSION}", self.stream, created.as_nanos())
    }

    /// The digests of these blocks; `None` where there is none, or a damaged one.
    pub(crate) async fn get(
        &self,
        created: Timestamp,
        blocks: &[u64],
    ) -> Result<Vec<Option<Digest>>> {
        // Any replica is asked first: its answer is the bytes as they are, and
        // the leader's is text. One that is behind may have none yet, or one
        // that was replaced.
        if !self.may_ask_any.load(Ordering::Relaxed) {
            return self.get_from(created, blocks, Consistency::Leader).await;
        }
        let mut digests = match self.get_from(created, blocks, Consistency::Any).await {
            Err(error) if error.is(ErrorKind::PermissionDenied) => {
                // That is a right of its own, which nobody needs to have.
                self.may_ask_any.store(false, Ordering::Relaxed);
                return self.get_from(created, blocks, Consistency::Leader).await;
            }
            digests => digests?,
        };
        let is_final = |digest: &Option<Digest>| {
            digest.as_ref().is_some_and(|it| it.through >= block_end(it.block) && it.holes() == 0)
        };
        let doubtful = blocks.iter().zip(&mut digests).filter(|(_, digest)| !is_final(digest));
        let (again, places): (Vec<u64>, Vec<_>) = doubtful.map(|(block, it)| (*block, it)).unzip();
        if !again.is_empty() {
            let leaders = self.get_from(created, &again, Consistency::Leader).await?;
            places.into_iter().zip(leaders).for_each(|(place, digest)| *place = digest);
        }
        Ok(digests)
    }

    async fn get_from(
        &self,
        created: Timestamp,
        blocks: &[u64],
        consistency: Consistency,
    ) -> Result<Vec<Option<Digest>>> {
        let keys = blocks.iter().map(|block| self.key(created, *block)).collect();
        let mut results = self.kv.bucket(BUCKET)?.get_many(keys, consistency);
        let mut digests = Vec::with_capacity(blocks.len());
        for block in blocks {
            let entry = match results.next().await {
                Some(result) => match result.result {
                    // Nobody has kept one yet.
                    Err(error) if error.is(ErrorKind::NotFound) => None,
                    result => result?,
                },
                None => None,
            };
            let entry = entry.filter(KvEntry::is_live);
            digests.push(entry.and_then(|entry| readable(&entry, created, *block)));
        }
        Ok(digests)
    }

    /// Which digests there are of all streams that had the log's name, of
    /// every version: those that are wanted, `most` of them.
    pub(crate) async fn list(
        &self,
        most: usize,
        wanted: impl Fn(&Kept) -> bool + Send,
    ) -> Result<Vec<Kept>> {
        let prefix = format!("{}.", self.stream);
        let options = WatchOptions::new(KeySelection::prefix(prefix.as_str()))
            .with_ignore_removals(true)
            .with_without_values(true);
        let mut updates = self.kv.bucket(BUCKET)?.watch(options);
        let mut found = Vec::new();
        while let Some(update) = updates.next().await.filter(|_| found.len() < most) {
            match update {
                Ok(KvUpdate::Entry(entry)) => {
                    found.extend(kept(&prefix, entry).filter(|kept| wanted(kept)));
                }
                Ok(KvUpdate::CaughtUp { .. }) => break,
                Ok(_) => {}
                // Nobody has kept one yet.
                Err(error) if error.is(ErrorKind::NotFound) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Removes a digest, unless it was replaced since it was listed; answers
    /// whether it did.
    pub(crate) async fn remove(&self, kept: &Kept) -> Result<bool> {
        let options = RemoveOptions::purge().with_expected(kept.revision);
        match self.kv.bucket(BUCKET)?.remove(&kept.key, options).await {
            Err(error) if error.is(ErrorKind::Conflict) => Ok(false),
            removed => removed.map(|_| true),
        }
    }

    /// Keeps a digest, unless one is there that has seen as much, or that has
    /// seen what this one found gone: then that is the answer. `base` is the
    /// extent of the one that it was made from. A bucket that has to be made
    /// gets so many replicas.
    pub(crate) async fn save(
        &self,
        digest: &Digest,
        bytes: Vec<u8>,
        base: (u64, u64),
        replicas: u32,
    ) -> Result<Option<Digest>> {
        let key = self.key(digest.created, digest.block);
        let value = Bytes::from(bytes);
        let mut bucket = self.kv.bucket(BUCKET)?;
        let mut options = PutOptions::create();
        let mut lost = None;
        for _ in 0..TRIES {
            let error = match bucket.put_opts(&key, value.clone(), options).await {
                Ok(_) => return Ok(None),
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::NotFound => bucket = self.kv.ensure_bucket(config(replicas)).await?,
                ErrorKind::AlreadyExists | ErrorKind::Conflict => {
                    options = match bucket.get(&key).await? {
                        Some(entry) => {
                            let theirs = readable(&entry, digest.created, digest.block);
                            let is_better = |theirs: &Digest| {
                                theirs.extent() == digest.extent()
                                    || theirs.has_more_than(digest, base)
                            };
                            if let Some(theirs) = theirs.filter(is_better) {
                                return Ok(Some(theirs));
                            }
                            PutOptions::update(entry.revision)
                        }
                        None => PutOptions::create(),
                    };
                }
                _ => return Err(error),
            }
            lost = Some(error);
        }
        lost.map_or(Ok(None), Err)
    }
}

fn config(replicas: u32) -> BucketConfig {
    BucketConfig::new(BUCKET)
        .with_replicas(replicas)
        .with_description("what blocks of naq's logs come to")
        .with_compression(Compression::S2)
}

/// Of which digest an entry is; `None` for what is none.
fn kept(prefix: &str, entry: KvEntry) -> Option<Kept> {
    let mut parts = entry.key.strip_prefix(prefix)?.split('.');
    let created = Timestamp::from_nanos(parts.next()?.parse().ok()?);
    let block = parts.next()?.parse().ok().filter(|block| *block < u64::MAX / BLOCK)?;
    let is_digest = parts.next()?.starts_with('v') && parts.next().is_none();
    let KvEntry { key, revision, created: at, .. } = entry;
    is_digest.then_some(Kept { created, block, at, key, revision })
}

/// The digest in an entry; what can't be read is told in the program's log,
/// and is as good as not there.
fn readable(entry: &KvEntry, created: Timestamp, block: u64) -> Option<Digest> {
    match decode(&entry.value) {
        Ok(digest) if (digest.created, digest.block) == (created, block) => Some(digest),
        Ok(_) => {
            tracing::warn!(key = entry.key, "a digest is of another block than its key says");
            None
        }
        Err(error) => {
            tracing::warn!(key = entry.key, %error, "a digest can't be read, and is made anew");
            None
        }
    }
}
