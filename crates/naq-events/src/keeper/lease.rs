//! One of many: a key that its holder renews, taken by compare and set.
//!
//! A lease is over when it wasn't renewed for its time, as the one who wants
//! it has measured with its own monotonic clock: no two clocks have to agree.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use naq_core::clock::{Clock, ClockExt};
use naq_core::kv::{BucketConfig, KvEntry, KvStore, PutOptions};
use naq_core::{Error, ErrorKind, Result, Timestamp, token};

use super::OPERATION;
use super::card::KeeperStatus;
use crate::own_bucket::{OwnBucket, is_lost_race};
use crate::read::Log;

/// Holds the leases of the keepers of all logs of an account.
pub(super) const BUCKET: &str = "naq_keepers";

/// The leases of the keeper of one log.
#[derive(Debug, Clone)]
pub(super) struct Leases {
    bucket: OwnBucket,
    log: Log,
    clock: Arc<dyn Clock>,
    key: String,
    ttl: Duration,
}

/// What one of those who want it knows of the lease.
#[derive(Debug, Default)]
pub(super) struct Lease {
    /// The revision that was seen last, and since when.
    seen: Option<(u64, Duration)>,
    /// Its own last sign of life.
    mine: Option<Sign>,
}

/// A sign of life: its revision, and when that was, by the clock of who gave it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sign {
    revision: u64,
    /// An instant before it was stored: from then on others wait.
    begun: Duration,
    /// One behind that.
    known: Duration,
}

/// What came of a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Renewal {
    /// It was given.
    Renewed,
    /// Another one has taken the lease.
    Taken,
    /// None could be given for as long as the lease is.
    Silent,
}

impl Lease {
    /// The last sign of life of its holder, if this is the holder.
    pub(super) const fn sign(&self) -> Option<Sign> {
        self.mine
    }
}

impl Leases {
    /// The leases of a log's keeper, for those who hold one for so long.
    pub(super) fn new(
        kv: Arc<dyn KvStore>,
        log: Log,
        clock: Arc<dyn Clock>,
        ttl: Duration,
    ) -> Self {
        let key = token::encode(log.stream()).into_owned();
        let config = BucketConfig::new(BUCKET).with_description("who keeps naq's logs");
        Self { bucket: OwnBucket::new(kv, config), log, clock, key, ttl }
    }

    /// How long a lease is.
    pub(super) const fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Who has it, as it told last.
    pub(super) async fn shown(&self) -> Result<Option<KeeperStatus>> {
        self.entry().await?.map(|entry| card(&entry)).transpose()
    }

    /// The server's time now, from the sign of life that is told here: when
    /// the server stored it, and how long ago that was; `None` where another
    /// one has come since.
    pub(super) async fn server_time(&self, sign: Sign) -> Result<Option<Timestamp>> {
        let Sign { revision: mine, known, .. } = sign;
        let entry = self.entry().await?.filter(|entry| entry.revision == mine);
        // By an instant before it was stored that time would be ahead.
        let since = self.clock.elapsed_since(known);
        Ok(entry.map(|entry| entry.created.saturating_add(since)))
    }

    /// Takes the lease if nobody has it, or whoever has it is silent for too
    /// long; answers what the one before had told, and `None` where it is not taken.
    pub(super) async fn take(
        &self,
        lease: &mut Lease,
        status: &KeeperStatus,
    ) -> Result<Option<Option<KeeperStatus>>> {
        let Some(entry) = self.entry().await? else {
            return self
                .put(lease, status, PutOptions::create())
                .await
                .map(|taken| taken.then_some(None));
        };
        let before = card(&entry).ok();
        if before.as_ref().is_some_and(|before| before.keeper == status.keeper) {
            // An answer got lost: it has it already.
            let now = self.clock.monotonic();
            lease.mine = Some(Sign { revision: entry.revision, begun: now, known: now });
            return Ok(Some(before));
        }
        let now = self.clock.monotonic();
        let (_, since) = match lease.seen {
            Some(seen) if seen.0 == entry.revision => seen,
            _ => *lease.seen.insert((entry.revision, now)),
        };
        // What can't be read is waited for as long as one's own.
        let patience = before.as_ref().map_or(self.ttl, KeeperStatus::patience);
        if now.saturating_sub(since) < patience {
            return Ok(None);
        }
        let taken = self.put(lease, status, PutOptions::update(entry.revision)).await?;
        Ok(taken.then_some(before))
    }

    /// Gives a sign of life.
    ///
    /// # Errors
    /// As long as they don't last longer than the lease, those of the bucket:
    /// it may be its own still.
    pub(super) async fn renew(&self, lease: &mut Lease, status: &KeeperStatus) -> Result<Renewal> {
        let Some(Sign { revision, begun, .. }) = lease.mine else { return Ok(Renewal::Taken) };
        match self.put(lease, status, PutOptions::update(revision)).await {
            Ok(true) => Ok(Renewal::Renewed),
            Ok(false) => {
                // Its own last sign may be what is there: its answer got lost.
                let entry = self.entry().await?;
                let known = self.clock.monotonic();
                let is_own =
                    |entry: &KvEntry| card(entry).is_ok_and(|card| card.keeper == status.keeper);
                let sign = |entry: KvEntry| Sign { revision: entry.revision, begun, known };
                lease.mine = entry.filter(is_own).map(sign);
                Ok(if lease.mine.is_some() { Renewal::Renewed } else { Renewal::Taken })
            }
            Err(_) if self.clock.elapsed_since(begun) >= self.ttl => {
                lease.mine = None;
                Ok(Renewal::Silent)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives it up, if it is still that of the keeper of this name.
    pub(super) async fn leave(&self, lease: &mut Lease, keeper: &str) -> Result<()> {
        let Some(sign) = lease.mine.take() else { return Ok(()) };
        if self.bucket.remove(&self.key, Some(sign.revision)).await? {
            return Ok(());
        }
        // A sign of life that was under way may have come behind the last one.
        let is_own = |entry: &KvEntry| card(entry).is_ok_and(|card| card.keeper == keeper);
        let Some(entry) = self.entry().await?.filter(is_own) else { return Ok(()) };
        self.bucket.remove(&self.key, Some(entry.revision)).await.map(drop)
    }

    async fn entry(&self) -> Result<Option<KvEntry>> {
        self.bucket.get(&self.key).await
    }

    async fn put(
        &self,
        lease: &mut Lease,
        status: &KeeperStatus,
        options: PutOptions,
    ) -> Result<bool> {
        let value = serde_json::to_vec(status).map(Bytes::from).map_err(|error| {
            Error::new(ErrorKind::Unexpected, OPERATION, "can't be written").with_source(error)
        })?;
        let begun = self.clock.monotonic();
        let replicas = async {
            match self.log.open(OPERATION).await {
                Ok(open) => Ok(open.replicas()),
                // It isn't made yet.
                Err(error) if error.is(ErrorKind::NotFound) => Ok(1),
                Err(error) => Err(error),
            }
        };
        let put = self.bucket.put(&self.key, value, options, replicas).await;
        match put {
            Ok(revision) => {
                let known = self.clock.monotonic();
                lease.mine = Some(Sign { revision, begun, known });
                Ok(true)
            }
            Err(error) if is_lost_race(error.kind()) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// What is told in an entry, and when that was stored.
fn card(entry: &KvEntry) -> Result<KeeperStatus> {
    let card: KeeperStatus = entry.json()?;
    Ok(KeeperStatus { renewed_at: entry.created, ..card })
}
