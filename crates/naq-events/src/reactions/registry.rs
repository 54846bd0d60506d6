//! What the members of the groups tell one another through key-value buckets:
//! whether a group is paused, and who is at work.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use naq_core::kv::{
    BucketConfig, KeySelection, KvBucket, KvBucketExt, KvEntry, KvStore, KvUpdate, WatchOptions,
};
use naq_core::{Error, Result, Timestamp, token};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::tally::ReactionCounters;

/// Holds what is wanted of the groups.
const GROUPS: &str = "naq_groups";

/// Holds who is at work; what isn't renewed goes.
const MEMBERS: &str = "naq_group_members";

/// How often a member shows that it is at work.
pub(super) const RENEW: Duration = Duration::from_secs(5);

/// After how long without a sign a member is not listed any more.
const FORGET: Duration = Duration::from_secs(20);

/// A member of a group, as it tells of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupMember {
    /// Its name: process id and a random part.
    pub member: String,
    /// Since when it is at work, by its clock.
    pub since: Timestamp,
    /// How many events it handles at a time at most.
    pub concurrency: usize,
    /// How many events it finished a second in the last 5 s: done, dead or not
    /// meant by the filter; those to be tried again are not finished.
    pub rate: f64,
    /// How many events it has in hand.
    pub in_hand: usize,
    /// What it has done since then.
    pub counters: ReactionCounters,
}

impl GroupMember {
    pub(super) fn new(member: String, since: Timestamp, concurrency: usize) -> Self {
        let counters = ReactionCounters::default();
        Self { member, since, concurrency, rate: 0.0, in_hand: 0, counters }
    }
}

/// What is wanted of a group.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Wanted {
    #[serde(default)]
    paused: bool,
}

/// The two buckets.
#[derive(Debug, Clone)]
pub(super) struct Registry {
    kv: Arc<dyn KvStore>,
    /// The log's stream, as the first part of each key.
    stream: String,
}

impl Registry {
    pub(super) fn new(kv: Arc<dyn KvStore>, stream: &str) -> Self {
        Self { kv, stream: token::encode(stream).into_owned() }
    }

    fn key(&self, group: &str) -> String {
        format!("{}.{group}", self.stream)
    }

    async fn groups(&self) -> Result<Arc<dyn KvBucket>> {
        let config = BucketConfig::new(GROUPS).with_description("what is wanted of naq's groups");
        self.kv.ensure_bucket(config).await
    }

    async fn members(&self) -> Result<Arc<dyn KvBucket>> {
        let config = BucketConfig::new(MEMBERS)
            .with_description("the members of naq's groups that are at work")
            .with_max_age(FORGET);
        self.kv.ensure_bucket(config).await
    }

    /// Pauses a group, or ends its pause.
    pub(super) async fn set_paused(&self, group: &str, paused: bool) -> Result<()> {
        self.groups().await?.put_json(&self.key(group), &Wanted { paused }).await.map(drop)
    }

    /// Whether a group is paused.
    pub(super) async fn is_paused(&self, group: &str) -> Result<bool> {
        let bucket = self.kv.bucket(GROUPS)?;
        match bucket.get_json::<Wanted>(&self.key(group)).await {
            Ok(wanted) => Ok(wanted.is_some_and(|wanted| wanted.paused)),
            Err(error) if error.is(naq_core::ErrorKind::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Forgets what was wanted of a group.
    pub(super) async fn forget(&self, group: &str) -> Result<()> {
        let bucket = self.kv.bucket(GROUPS)?;
        match bucket.purge(&self.key(group)).await {
            Err(error) if !error.is(naq_core::ErrorKind::NotFound) => Err(error),
            _ => Ok(()),
        }
    }

    /// Follows whether a group is paused, until something is wrong.
    pub(super) async fn follow(&self, group: &str, paused: &watch::Sender<bool>) -> Result<()> {
        let bucket = self.groups().await?;
        let key = KeySelection::Key(self.key(group));
        let mut updates = bucket.watch(WatchOptions::new(key));
        while let Some(update) = updates.next().await {
            if let KvUpdate::Entry(entry) = update? {
                let wanted = is_paused(&entry)?;
                paused.send_if_modified(|is| std::mem::replace(is, wanted) != wanted);
            }
        }
        Ok(())
    }

    /// Shows that a member is at work.
    pub(super) async fn renew(&self, group: &str, member: &GroupMember) -> Result<()> {
        let key = format!("{}.{}", self.key(group), member.member);
        self.members().await?.put_json(&key, member).await.map(drop)
    }

    /// Shows that a member has stopped.
    pub(super) async fn leave(&self, group: &str, member: &str) -> Result<()> {
        let key = format!("{}.{member}", self.key(group));
        self.kv.bucket(MEMBERS)?.purge(&key).await.map(drop)
    }

    /// How many members of a group are at work.
    pub(super) async fn count(&self, group: &str) -> Result<usize> {
        let keys = self.kv.bucket(MEMBERS)?.keys(KeySelection::Prefix(self.key(group) + "."));
        keys.try_fold(0, |count, _| std::future::ready(Ok(count + 1))).await
    }

    /// The members of a group that are at work, by name.
    pub(super) async fn list(&self, group: &str) -> Result<Vec<GroupMember>> {
        let bucket = self.kv.bucket(MEMBERS)?;
        let prefix = format!("{}.", self.key(group));
        let mut keys = Vec::new();
        let mut found = bucket.keys(KeySelection::Prefix(prefix));
        while let Some(key) = found.next().await {
            match key {
                Ok(key) => keys.push(key),
                Err(error) if error.is(naq_core::ErrorKind::NotFound) => return Ok(Vec::new()),
                Err(error) => return Err(error),
            }
        }
        let mut members = Vec::with_capacity(keys.len());
        for result in bucket.bulk_get(keys).await {
            if let Some(entry) = result.result? {
                members.push(entry.json::<GroupMember>()?);
            }
        }
        members.sort_by(|a, b| a.member.cmp(&b.member));
        Ok(members)
    }
}

fn is_paused(entry: &KvEntry) -> Result<bool, Error> {
    if !entry.is_live() {
        return Ok(false);
    }
    entry.json::<Wanted>().map(|wanted| wanted.paused)
}
