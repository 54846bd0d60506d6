//! What a keeper does: it digests and indexes what has come, and removes what
//! is too old.

use std::sync::Arc;
use std::time::Duration;

use naq_core::clock::ClockExt;
use naq_core::{Error, ErrorKind, Result, Timestamp};

use super::OPERATION;
use super::task::Post;
use super::turn::Turn;
use crate::digests::{Coarsening, MOST_COARSER, block_of};
use crate::indexes::Following;
use crate::retention::{Retention, RetentionStep, stays_behind};

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
    /// Behind which sequence digests were missing when it began anew for that
    /// last, and when it does so again if they are still.
    missing: Option<(u64, Duration)>,
    /// Where they are still: that what is too old there stays.
    stays: Option<Error>,
    /// Whether it may keep what it digests, as far as is known.
    may_keep: bool,
    /// How many events it has digested.
    digested: u64,
    /// Looking for what is too old.
    removing: Turn,
    /// Looking for digests that are too old.
    ageing: Turn,
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
            missing: None,
            stays: None,
            may_keep: false,
            digested: 0,
            removing: Turn::default(),
            ageing: Turn::default(),
            coarsening: Coarsening::default(),
            last_removal,
        }
    }

    /// Works until it is dropped, or finds that it has no right to keep digests.
    pub(super) async fn run(mut self) -> Error {
        loop {
            let rest = match self.round().await {
                Ok(is_much) => {
                    match self.trouble() {
                        Some(trouble) => self.post.is_in_trouble(trouble),
                        None => self.post.is_well(),
                    }
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

    /// What could not be done of what is done now and then.
    fn trouble(&self) -> Option<&Error> {
        self.removing.denied().or(self.ageing.denied()).or(self.stays.as_ref())
    }

    /// Answers whether there is more to do at once.
    ///
    /// # Errors
    /// The first one, with which all is done that doesn't hang on it: what is
    /// in digests may go where no more can be digested, and makes room.
    async fn round(&mut self) -> Result<bool> {
        let digested = self.digest().await;
        if let Err(error) = &digested
            && error.is(ErrorKind::PermissionDenied)
        {
            return digested.map(|_| false);
        }
        let indexed = self.index().await;
        let removed = self.remove().await;
        let aged = self.age_digests().await;
        let read = digested?;
        removed.and(aged)?;
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
            (self.of, self.through, self.missing, self.stays) = (of, 0, None, None);
        }
        self.post.ends_at(last);
        if self.through >= last {
            self.post.has_reached(last, self.digested);
            return Ok(0);
        }
        if !self.may_keep {
            // Else all that there is would be read for nothing.
            digests.check_right(&open).await?;
            self.may_keep = true;
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
        let looked = self.following.look(indexes, &self.post.log, &open).await;
        self.post.has_indexed(self.following.behind());
        match looked {
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
        let Post { clock, ages, .. } = self.post;
        if ages.is_empty() || !self.removing.is_due(&**clock) {
            return Ok(());
        }
        let Some(now) = self.server_time().await? else { return Ok(()) };
        let is_due = |last: Timestamp| now >= last.saturating_add(PACE);
        if !self.last_removal.is_none_or(is_due) {
            return Ok(());
        }
        self.removing.put_off(clock.deadline(PACE));
        let planned = match self.retention.has_more() {
            true => Ok(true),
            false => self.plan(now).await,
        };
        if matches!(planned, Ok(false)) {
            return Ok(());
        }
        // What was found before more could not be kept goes all the same.
        let removed = self.remove_some(now).await;
        self.removing.allowed(&**clock, removed)?;
        planned.map(drop)
    }

    /// Removes what was found too old, as much as ingest can bear at a time.
    async fn remove_some(&mut self, now: Timestamp) -> Result<()> {
        self.retention.has_paused();
        let mut sum = Removal::default();
        let end = loop {
            match self.retention.step().await {
                Ok(Some(step)) => {
                    self.last_removal = Some(now);
                    sum.add(&step);
                    self.post.has_removed(step.removed, sum.longest, now);
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            if self.retention.wants_pause() {
                break Ok(());
            }
        };
        self.post.tell_removal(&sum);
        end
    }

    /// Finds what is too old at this time, and in digests that are kept; answers
    /// whether it may.
    async fn plan(&mut self, now: Timestamp) -> Result<bool> {
        let Post { clock, digests, log, .. } = self.post;
        let planned = self.retention.plan(now).await;
        if self.removing.allowed(&**clock, planned)?.is_none() {
            return Ok(false);
        }
        if self.retention.digested_through().is_some() {
            // What is too old is in the digest that grows, and kept with it.
            let open = log.open(OPERATION).await?;
            digests.checkpoint(open.info.created, open.replicas()).await?;
            let planned = self.retention.plan(now).await;
            if self.removing.allowed(&**clock, planned)?.is_none() {
                return Ok(false);
            }
        }
        let Some(through) = self.retention.digested_through() else {
            (self.missing, self.stays) = (None, None);
            return Ok(true);
        };
        let has_tried =
            |(missing, again): (u64, Duration)| missing == through && clock.monotonic() < again;
        if self.missing.is_some_and(has_tried) {
            self.stays = Some(stays_behind(through, OPERATION));
        } else {
            // A digest that was there is gone, or damaged: what the log has of it
            // still is digested again. That of another version of naq may be in
            // the way of keeping it.
            self.missing = Some((through, clock.deadline(HOUR)));
            self.through = 0;
        }
        Ok(true)
    }

    /// Removes digests that are too old, and makes those coarser that are old
    /// enough for that, where either is due.
    async fn age_digests(&mut self) -> Result<()> {
        let Post { clock, digest_max_age: most, tiers, .. } = self.post;
        let Some(age) = most.iter().copied().chain(tiers.shortest()).min() else { return Ok(()) };
        if !self.ageing.is_due(&**clock) {
            return Ok(());
        }
        let Some(now) = self.server_time().await? else { return Ok(()) };
        self.ageing.put_off(clock.deadline((age / 10).clamp(LOOK, HOUR)));
        let aged = self.age_some(now).await;
        if self.ageing.allowed(&**clock, aged)? == Some(true) {
            self.ageing.put_off(clock.deadline(LOOK));
        }
        Ok(())
    }

    /// Answers whether there may be more.
    async fn age_some(&mut self, now: Timestamp) -> Result<bool> {
        let Post { digests, log, digest_max_age: most, tiers, .. } = self.post;
        let info = log.open(OPERATION).await?.info;
        let (created, first) = (info.created, info.state.first_sequence);
        let mut may_be_more = false;
        if let Some(age) = most {
            let before = now.saturating_sub(*age);
            let (removed, more) = digests.remove_old(created, first, before).await?;
            self.post.has_removed_digests(removed);
            may_be_more = more;
        }
        if tiers.shortest().is_some() {
            let place = (created, first);
            let (looked_at, made) = self.coarsening.step(digests, place, now, *tiers).await?;
            self.post.has_coarsened(made);
            may_be_more |= looked_at >= MOST_COARSER;
        }
        Ok(may_be_more)
    }

    /// The server's time; `None` while a sign of life is just being renewed.
    async fn server_time(&self) -> Result<Option<Timestamp>> {
        match self.post.sign() {
            Some(sign) => self.post.leases.server_time(sign).await,
            None => Ok(None),
        }
    }
}

/// What went at a time.
#[derive(Debug, Default)]
pub(super) struct Removal {
    pub(super) steps: u64,
    pub(super) removed: u64,
    /// How long the server took for all steps, and for the longest one, in seconds.
    pub(super) took: f64,
    pub(super) longest: f64,
}

impl Removal {
    fn add(&mut self, step: &RetentionStep) {
        self.steps += 1;
        self.removed += step.removed;
        self.took += step.took;
        self.longest = self.longest.max(step.took);
    }
}

#[cfg(test)]
mod tests {
    use naq_core::clock::{Clock, ManualClock};
    use naq_core::config::{EventsConfig, RetentionAges};
    use naq_core::connection::SingleJetStream;
    use naq_core::events::EventSubjects;
    use naq_core::jetstream::{JetStream, PublishMessage};
    use naq_core::kv::{KvBucketExt, KvStore};
    use naq_kv::KvStoreService;
    use naq_memory::MemoryJetStream;

    use super::super::lease::Leases;
    use super::*;
    use crate::digests::{BLOCK, Digests};
    use crate::read::{Limits, Log};
    use crate::{EventService, made_up};

    #[tokio::test]
    async fn a_block_that_another_version_has_digested_is_not_read_each_minute() {
        let age = Duration::from_secs(5);
        let ages = RetentionAges::default().with_age("log", age);
        let config = EventsConfig::default().with_retention(ages);
        let clock = ManualClock::new();
        let at: Arc<dyn Clock> = Arc::new(clock.clone());
        let js = MemoryJetStream::builder().clock(Arc::clone(&at)).build();
        let js: Arc<dyn JetStream> = Arc::new(js);
        // Nobody has seen all of the first block.
        let stream = EventService::stream_config(&config).unwrap().with_first_sequence(BLOCK - 9);
        let created = js.create_stream(stream).await.unwrap().created;
        for _ in 0..20 {
            let message = PublishMessage::new("events.log", r#"{"type":"log"}"#);
            js.publish(message).await.unwrap();
        }
        let connections = || SingleJetStream::provider(Arc::clone(&js));
        let kv: Arc<dyn KvStore> = Arc::new(KvStoreService::new(connections()));
        let (subjects, limits) = (EventSubjects::default(), Limits::of(&config));
        let log = Log::new(connections(), Arc::clone(&at), "events", subjects, limits);
        let digests = || Arc::new(Digests::new(Arc::clone(&kv), "events"));
        let open = log.open("test").await.unwrap();
        digests().fold("test", &log, &open, 0, |_, _| {}).await.unwrap();
        let (bucket, key) = (
            kv.bucket("naq_digests").unwrap(),
            format!("events.{}.0000000000.v2", created.as_nanos()),
        );
        let own = bucket.get(&key).await.unwrap().unwrap().value;
        bucket.put(&key, made_up::of_a_newer_version(&own)).await.unwrap();

        let leases = Leases::new(Arc::clone(&kv), log.clone(), at, Duration::from_secs(10));
        let post = Post::new(log, digests(), Arc::new(clock.clone()), leases, &config);
        let mut duty = Duty::new(&post, None);
        duty.digest().await.unwrap();
        let minute = async |duty: &mut Duty<'_>, passed: Duration| {
            clock.advance(passed);
            assert!(duty.plan(clock.now()).await.unwrap());
            duty.digest().await.unwrap();
            duty.digested
        };
        let mut digested = vec![duty.digested];
        assert!(duty.trouble().is_none());
        for passed in [PACE, PACE, PACE, HOUR] {
            digested.push(minute(&mut duty, passed).await);
        }
        assert_eq!(digested, [20, 30, 30, 30, 40]);
        assert!(!duty.retention.has_more(), "nothing goes that can't be looked up");
        assert!(duty.trouble().is_some_and(|stays| stays.is(ErrorKind::Conflict)));
        // It is tried now and then: the other one may have gone.
        bucket.delete(&key).await.unwrap();
        assert_eq!(minute(&mut duty, HOUR).await, 50);
        assert_eq!(minute(&mut duty, PACE).await, 50);
        assert!(duty.retention.has_more() && duty.trouble().is_none());
        assert_eq!(bucket.get(&key).await.unwrap().unwrap().value, own);
    }
}
