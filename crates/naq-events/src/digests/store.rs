//! Where digests are kept: a bucket of naq's own, a key for each.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use naq_core::jetstream::{Compression, Consistency};
use naq_core::kv::{BucketConfig, KvEntry, KvStore, PutOptions};
use naq_core::{Error, ErrorKind, Result, Timestamp, token};

use super::decode::decode;
use super::digest::{BLOCK, Digest, block_end};
use crate::own_bucket::OwnBucket;

/// Holds the digests of all logs of an account.
pub(crate) const BUCKET: &str = "naq_digests";

/// Ends each key. What stands under a key says its own version, and each version
/// reads the one before: digests outlive an update.
const LAYOUT: &str = "v2";

/// A revision that no entry ever has, and which every server can read.
const NO_REVISION: u64 = 1 << 52;

/// That there is a digest, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// When the stream of its log was made.
    pub(crate) created: Timestamp,
    /// Its block.
    pub(crate) block: u64,
    /// Which of those that have been there it is.
    pub(crate) revision: u64,
    /// When the server stored it.
    pub(crate) at: Timestamp,
    key: String,
}

/// What became of a digest that was to be kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Saved {
    /// The store has it.
    Kept,
    /// The store has this one, which has seen as much or is better.
    Better(Box<Digest>),
    /// The store doesn't have it: one is there that another version of naq has
    /// made and this one can't read, which may have counted more; or the
    /// credentials don't allow it.
    NotKept,
}

/// The digests of one log.
#[derive(Debug)]
pub(crate) struct DigestStore {
    bucket: OwnBucket,
    /// Whether the credentials let any replica be asked, as far as is known.
    may_ask_any: AtomicBool,
    /// The log's stream, as the first part of each key.
    stream: String,
}

impl DigestStore {
    /// The digests of a stream.
    pub(crate) fn new(kv: Arc<dyn KvStore>, stream: &str) -> Self {
        let config = BucketConfig::new(BUCKET)
            .with_description("what blocks of naq's logs come to")
            .with_compression(Compression::S2);
        let (bucket, may_ask_any) = (OwnBucket::new(kv, config), AtomicBool::new(true));
        Self { bucket, may_ask_any, stream: token::encode(stream).into_owned() }
    }

    /// A stream made anew has keys of its own.
    fn key(&self, created: Timestamp, block: u64) -> String {
        format!("{}.{}.{block:010}.{LAYOUT}", self.stream, created.as_nanos())
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
        let entries = self.bucket.get_many(keys, consistency).await?;
        let found = entries.into_iter().zip(blocks);
        Ok(found.map(|(entry, block)| readable(&entry?, created, *block)).collect())
    }

    /// Which digests there are of all streams that had the log's name, of
    /// every version: those that are wanted, `most` of them.
    pub(crate) async fn list(
        &self,
        most: usize,
        mut wanted: impl FnMut(&Kept) -> bool + Send,
    ) -> Result<Vec<Kept>> {
        let mut found = Vec::new();
        let look = |kept: Kept| {
            found.extend(Some(kept).filter(|kept| wanted(kept)));
            if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        self.each(&format!("{}.", self.stream), look).await?;
        Ok(found)
    }

    /// The first block of the stream made at that time that has a digest, of
    /// any version; `None` where none has.
    pub(crate) async fn first(&self, created: Timestamp) -> Result<Option<u64>> {
        let mut first = None;
        let look = |kept: Kept| {
            first = Some(first.map_or(kept.block, |first: u64| first.min(kept.block)));
            ControlFlow::Continue(())
        };
        self.each(&format!("{}.{}.", self.stream, created.as_nanos()), look).await?;
        Ok(first)
    }

    /// Shows which digests there are whose keys begin like this, until it is enough.
    async fn each(
        &self,
        prefix: &str,
        mut look: impl FnMut(Kept) -> ControlFlow<()> + Send,
    ) -> Result<()> {
        let of_stream = format!("{}.", self.stream);
        let look = |entry: KvEntry| match kept(&of_stream, entry) {
            Some(kept) => look(kept),
            None => ControlFlow::Continue(()),
        };
        self.bucket.each(prefix, look).await
    }

    /// A digest that was listed, and how many bytes it takes; `None` where it
    /// was replaced since, has another layout, or can't be read.
    pub(crate) async fn get_kept(&self, kept: &Kept) -> Result<Option<(Digest, usize)>> {
        if kept.key != self.key(kept.created, kept.block) {
            return Ok(None);
        }
        let entry = self.bucket.get(&kept.key).await?;
        let entry = entry.filter(|entry| entry.revision == kept.revision);
        Ok(entry.and_then(|entry| {
            let digest = readable(&entry, kept.created, kept.block)?;
            Some((digest, entry.value.len()))
        }))
    }

    /// Puts other bytes in the place of a digest, unless it was replaced or
    /// removed since it was listed; answers the revision if it did.
    pub(crate) async fn replace(&self, kept: &Kept, bytes: Vec<u8>) -> Result<Option<u64>> {
        let options = PutOptions::update(kept.revision);
        match self.bucket.bucket()?.put_opts(&kept.key, bytes.into(), options).await {
            Err(error) if error.is(ErrorKind::Conflict) => Ok(None),
            put => put.map(Some),
        }
    }

    /// Removes a digest that was got, unless it was replaced meanwhile.
    pub(crate) async fn discard(&self, digest: &Digest) -> Result<()> {
        let key = self.key(digest.created, digest.block);
        let Some(entry) = self.bucket.get(&key).await? else { return Ok(()) };
        if decode(&entry.value).is_ok_and(|it| it.mark != digest.mark) {
            return Ok(());
        }
        self.bucket.erase(&key, Some(entry.revision)).await.map(drop)
    }

    /// Removes a digest, unless it was replaced since it was listed; answers
    /// whether it did.
    pub(crate) async fn remove(&self, kept: &Kept) -> Result<bool> {
        self.bucket.erase(&kept.key, Some(kept.revision)).await
    }

    /// Erases some of the markers that those without the right to erase digests
    /// have left of them; answers whether there may be more.
    pub(crate) async fn sweep(&self) -> Result<bool> {
        self.bucket.sweep(&format!("{}.", self.stream)).await
    }

    /// Asks for a change that no server makes, to learn what else is in the way
    /// of one. A bucket that has to be made gets so many replicas.
    pub(crate) async fn put_in_vain(&self, created: Timestamp, replicas: u32) -> Result<()> {
        let options = PutOptions::update(NO_REVISION);
        let replicas = std::future::ready(Ok(replicas));
        self.bucket.put(&self.key(created, 0), Bytes::new(), options, replicas).await.map(drop)
    }

    /// Keeps a digest, unless one is there that has seen as much, or that has
    /// seen what this one found gone, or may have. `base` is the
    /// extent of the one that it was made from, `gone` the log's first sequence
    /// and how many are gone behind it. A bucket that has to be made gets so
    /// many replicas.
    pub(crate) async fn save(
        &self,
        digest: &Digest,
        bytes: Vec<u8>,
        (base, gone): ((u64, u64), (u64, u64)),
        replicas: u32,
    ) -> Result<Saved> {
        let key = self.key(digest.created, digest.block);
        let is_better = |theirs: &Digest| {
            !theirs.mark.contradicts(&digest.mark)
                && (theirs.extent() == digest.extent() || theirs.is_better_than(digest, base, gone))
        };
        let stays = |entry: &KvEntry| match read(entry, digest.created, digest.block) {
            Ok(theirs) => is_better(&theirs).then(|| Saved::Better(Box::new(theirs))),
            // Nobody knows what a newer version has counted, but for who has seen
            // the whole block.
            Err(error) if error.is(ErrorKind::Unsupported) && digest.seen < BLOCK => {
                Some(Saved::NotKept)
            }
            Err(_) => None,
        };
        let stayed = self.bucket.put_unless(&key, bytes.into(), Some(replicas), stays).await?;
        Ok(stayed.unwrap_or(Saved::Kept))
    }
}

/// Of which digest an entry is; `None` for what is none, or was removed.
fn kept(prefix: &str, entry: KvEntry) -> Option<Kept> {
    let entry = Some(entry).filter(KvEntry::is_live)?;
    let mut parts = entry.key.strip_prefix(prefix)?.split('.');
    let created = Timestamp::from_nanos(parts.next()?.parse().ok()?);
    let block = parts.next()?.parse().ok().filter(|block| *block < u64::MAX / BLOCK)?;
    let is_digest = parts.next()?.starts_with('v') && parts.next().is_none();
    let KvEntry { key, revision, created: at, .. } = entry;
    is_digest.then_some(Kept { created, block, at, key, revision })
}

/// The digest in an entry; what can't be read is as good as not there.
fn readable(entry: &KvEntry, created: Timestamp, block: u64) -> Option<Digest> {
    read(entry, created, block).ok()
}

/// The digest in an entry, or what is wrong with it, which is told in the
/// program's log.
fn read(entry: &KvEntry, created: Timestamp, block: u64) -> Result<Digest> {
    let digest = decode(&entry.value).and_then(|digest| {
        if (digest.created, digest.block) == (created, block) {
            return Ok(digest);
        }
        let text = "a digest is of another block than its key says";
        Err(Error::new(ErrorKind::Corrupt, "read_digest", text))
    });
    digest.inspect_err(|error| {
        tracing::warn!(key = entry.key, %error, "a digest can't be read, and is as good as none");
    })
}

#[cfg(test)]
mod tests {
    use naq_core::connection::SingleJetStream;
    use naq_kv::KvStoreService;
    use naq_memory::MemoryJetStream;

    use super::super::draft::Draft;
    use super::*;
    use crate::made_up::of_a_newer_version;

    #[tokio::test]
    async fn what_a_newer_version_has_counted_is_replaced_by_a_whole_digest_alone() {
        let provider = SingleJetStream::provider(Arc::new(MemoryJetStream::new()));
        let store = DigestStore::new(Arc::new(KvStoreService::new(provider)), "events");
        let created = Timestamp::from_nanos(1);
        let draft = |seen| {
            let mut draft = Draft::new(created, 0);
            (1..=seen).for_each(|sequence| draft.malformed(sequence));
            draft.seal()
        };
        let (digest, bytes) = draft(9);
        let newer = of_a_newer_version(&bytes);
        store.save(&digest, newer, ((0, 0), (0, 0)), 1).await.unwrap();
        for seen in [10, BLOCK - 1, BLOCK] {
            let (digest, bytes) = draft(seen);
            let saved = store.save(&digest, bytes, ((0, 0), (0, 0)), 1).await.unwrap();
            let stored = store.get(created, &[0]).await.unwrap();
            // Nothing is taken for kept that isn't.
            let expected = if seen == BLOCK { Saved::Kept } else { Saved::NotKept };
            assert_eq!((saved, stored[0].is_some()), (expected, seen == BLOCK), "{seen}");
        }
    }
}
