//! What a keeper does: it digests and indexes what has come, and removes what
//! is too old.

use std::sync::Arc;
use std::time::Duration;

use naq_core::clock::ClockExt;
use naq_core::{Error, ErrorKind, Result, Timestamp};

use super::OPERATION;
use super::task::Post;
use crate::digests::{Coarsening, MOST_COARSER, block_of};
use crate::indexes::Following;
use crate::retention::Retention;

/// How often it looks for what has come.
const LOOK: Duration = Duration::from_secs(1);

/// Where more than this has come since the last look, it looks at once.
const MUCH: u64 = 10_000;

/// How long it waits when something is in its way.
const AGAIN: Duration = Duration::from_secs(5);

/// Between two steps of removing, so that ingest can breathe.
const PACE: Duration = Duration::from_secs(60);

/// How often it looks for digests that are too old, at least.
const HOUR: Duration = Duration::from_secs(3_600);

/// The work of a keeper, from when it has the lease on.
pub(super) struct Duty<'a> {
    post: &'a Post,
    retention: Retention,
    following: Following,
    /// When the log was made, and the turn in which it was looked at.
    of: (Timestamp, u64),
    through: u64,
    /// How many events it has digested.
    digested: u64,
    /// When it looks next for what is too old.
    next_look: Duration,
    /// When it looks next for digests that are too old.
    next_digests: Duration,
    coarsening: Coarsening,
    /// When something was removed last, by the server's clock.
    last_removal: Option<Timestamp>,
}

impl<'a> Duty<'a> {
    /// Goes on where the keeper before has removed something last.
    pub(super) fn new(post: &'a Post, last_removal: Option<Timestamp>) -> Self {
        let (log, digests) = (post.log.clone(), Arc::clone(&post.digests));
        Self {
            post,
            retention: Retention::new(log, digests, post.ages.clone()),
            following: Following::default(),
            of: Default::default(),
            through: 0,
            digested: 0,
            next_look: Duration::ZERO,
            next_digests: Duration::ZERO,
            coarsening: Coarsening::default(),
            last_removal,
        }
    }

    /// Works until it is dropped, or finds that it has no right to.
    pub(super) async fn run(mut self) -> Error {
        loop {
            let rest = match self.round().await {
                Ok(is_much) => {
                    self.post.is_well();
                    if is_much { Duration::ZERO } else { LOOK }
                }
                Err(error) if error.is(ErrorKind::PermissionDenied) => return error,
                Err(error) => {
                    self.post.is_in_trouble(&error);
                    AGAIN
                }
            };
            self.post.clock.sleep(rest).await;
        }
    }

    /// Answers whether there is more to do at once.
    async fn round(&mut self) -> Result<bool> {
        let read = self.digest().await?;
        // What an index is in trouble with keeps nothing else from being done.
        let indexed = self.index().await;
        if !self.post.ages.is_empty() {
            self.remove().await?;
        }
        self.age_digests().await?;
        Ok(indexed? || read > MUCH)
    }

    /// Digests what has come, and answers how much that was.
    async fn digest(&mut self) -> Result<u64> {
        let Post { log, digests, .. } = self.post;
        let open = log.open(OPERATION).await?;
        let last = open.info.state.last_sequence;
        let of = (open.info.created, open.turn());
        if self.of != of || last < self.through {
            // Another log, or one that may have lost its end.
            (self.of, self.through) = (of, 0);
        }
        self.post.ends_at(last);
        if self.through >= last {
            self.post.has_reached(last, self.digested);
            return Ok(0);
        }
        let from = block_of(self.through + 1);
        let (before, digested) = (self.digested, &mut self.digested);
        let reached = |sequence, read| {
            *digested = before + read;
            self.post.has_reached(sequence, *digested);
        };
        let read = digests.fold(OPERATION, log, &open, from, reached).await?;
        if !digests.may_keep() {
            let text = "the digests can't be kept with these credentials";
            return Err(Error::new(ErrorKind::PermissionDenied, OPERATION, text));
        }
        self.through = last;
        Ok(read)
    }

    /// Lets the log's indexes follow it, and answers whether there is more to do.
    async fn index(&mut self) -> Result<bool> {
        let Some(indexes) = self.post.indexes.get().filter(|indexes| indexes.may_write()) else {
            return Ok(false);
        };
        let open = self.post.log.open(OPERATION).await?;
        match self.following.look(indexes, &self.post.log, &open).await {
            // Digests are kept all the same.
            Err(error) if error.is(ErrorKind::PermissionDenied) => {
                indexes.cannot_write(&error);
                Ok(false)
            }
            looked => looked,
        }
    }

    /// Removes some of what is too old, where that is due.
    async fn remove(&mut self) -> Result<()> {
        let Post { clock, digests, log, .. } = self.post;
        if clock.monotonic() < self.next_look {
            return Ok(());
        }
        let Some(now) = self.server_time().await? else { return Ok(()) };
        let is_due = |last: Timestamp| now >= last.saturating_add(PACE);
        if !self.last_removal.is_none_or(is_due) {
            return Ok(());
        }
        self.next_look = clock.deadline(PACE);
        if !self.retention.has_more() && self.retention.plan(now).await? {
            // What is too old is in the digest that grows, and kept with it.
            let open = log.open(OPERATION).await?;
            let replicas = open.info.config.replicas.unwrap_or(1);
            digests.checkpoint(open.info.created, replicas).await?;
            if self.retention.plan(now).await? {
                // A digest that was there is gone, or damaged: what the log
                // has of it still is digested again.
                self.through = 0;
            }
        }
        if let Some(step) = self.retention.step().await? {
            self.last_removal = Some(now);
            self.post.has_removed(&step, now);
        }
        Ok(())
    }

    /// Removes digests that are too old, and makes those coarser that are old
    /// enough for that, where either is due.
    async fn age_digests(&mut self) -> Result<()> {
        let Post { clock, digests, log, digest_max_age: most, tiers, .. } = self.post;
        let Some(age) = most.iter().copied().chain(tiers.shortest()).min() else { return Ok(()) };
        if clock.monotonic() < self.next_digests {
            return Ok(());
        }
        let Some(now) = self.server_time().await? else { return Ok(()) };
        self.next_digests = clock.deadline((age / 10).clamp(LOOK, HOUR));
        let info = log.open(OPERATION).await?.info;
        let (created, first) = (info.created, info.state.first_sequence);
        if let Some(age) = most {
            let removed = digests.remove_old(created, first, now.saturating_sub(*age)).await?;
            self.post.has_removed_digests(removed);
        }
        if tiers.shortest().is_some() {
            let place = (created, first);
            let (looked_at, made) = self.coarsening.step(digests, place, now, *tiers).await?;
            self.post.has_coarsened(made);
            if looked_at >= MOST_COARSER {
                self.next_digests = clock.deadline(LOOK);
            }
        }
        Ok(())
    }

    /// The server's time; `None` while a sign of life is just being renewed.
    async fn server_time(&self) -> Result<Option<Timestamp>> {
        match self.post.sign() {
            Some(sign) => self.post.leases.server_time(sign).await,
            None => Ok(None),
        }
    }
}
