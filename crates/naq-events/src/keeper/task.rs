//! The task of a service that is ready to be the keeper: it waits for the
//! lease, holds it, and lets it go.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use naq_core::clock::{Clock, ClockExt};
use naq_core::config::{EventsConfig, RetentionAges};
use naq_core::{Error, ErrorKind, Result, Timestamp};
use tokio::sync::watch;

use super::card::KeeperStatus;
use super::duty::{Duty, Removal};
use super::lease::{Lease, Leases, Renewal, Sign};
use super::turn::WITHOUT_RIGHT;
use super::{KeeperStanding, OPERATION};
use crate::digests::{BLOCK, Digests, Tiers};
use crate::indexes::Indexes;
use crate::read::Log;

/// A lease is renewed so often in its time.
const SIGNS: u32 = 3;

/// When a new keeper tells at the latest how far it is.
const SOON: Duration = Duration::from_secs(1);

/// How often the program's log is told that the keeper is behind, at most.
const TELL: Duration = Duration::from_secs(60);

/// What a keeper works with, and how it stands.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) log: Log,
    pub(super) digests: Arc<Digests>,
    /// The log's indexes, where the service has a store for them.
    pub(super) indexes: OnceLock<Arc<Indexes>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) leases: Leases,
    pub(super) ages: RetentionAges,
    /// How old digests get of which the log has nothing any more.
    pub(super) digest_max_age: Option<Duration>,
    /// After how long they get coarser before that.
    pub(super) tiers: Tiers,
    name: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What it tells of itself, while it is the keeper.
    status: Option<KeeperStatus>,
    sign: Option<Sign>,
    /// The log's end, as far as is known.
    last: u64,
    trouble: Option<String>,
}

/// Why somebody is the keeper no longer.
enum End {
    Stopped,
    /// Another one has taken the lease.
    Taken,
    /// The lease is over, as no sign of life came through.
    Silent,
    Denied(Error),
}

/// Is ready to be the keeper, after some patience, until it is stopped.
///
/// One that `gives_up` ends where it has no right to be.
pub(super) async fn run(
    post: Arc<Post>,
    mut stopping: watch::Receiver<bool>,
    patience: Duration,
    gives_up: bool,
) {
    let mut lease = Lease::default();
    let mut rest = patience;
    loop {
        tokio::select! {
            () = stopped(&mut stopping) => return,
            () = post.clock.sleep(rest) => {}
        }
        // Those who wait don't all look at the same time.
        let ttl = post.leases.ttl();
        rest = ttl / 2 + ttl.mul_f64(fastrand::f64() / 4.0);
        let status = KeeperStatus::new(post.name.clone(), post.clock.now(), ttl);
        let denied = match post.leases.take(&mut lease, &status).await {
            Ok(None) => {
                post.is_well();
                continue;
            }
            Ok(Some(before)) => match post.hold(&mut lease, status, before, &mut stopping).await {
                End::Stopped => return,
                End::Taken | End::Silent => continue,
                End::Denied(error) => error,
            },
            Err(error) if error.is(ErrorKind::PermissionDenied) => error,
            Err(error) => {
                post.is_in_trouble(&error);
                continue;
            }
        };
        if gives_up {
            tracing::info!(stream = post.log.stream(), error = %denied, "may not be the log's keeper");
            return;
        }
        post.is_in_trouble(&denied);
        rest = WITHOUT_RIGHT;
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // Without a sender the service is gone, and so is this task.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

impl Post {
    pub(super) fn new(
        log: Log,
        digests: Arc<Digests>,
        clock: Arc<dyn Clock>,
        leases: Leases,
        config: &EventsConfig,
    ) -> Self {
        let name = format!("{}-{:08x}", std::process::id(), fastrand::u32(..));
        Self {
            log,
            digests,
            indexes: OnceLock::new(),
            clock,
            leases,
            ages: config.retention.clone(),
            digest_max_age: config.digest_max_age,
            tiers: Tiers::of(config),
            name,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is the keeper until it is stopped, or is it no more.
    async fn hold(
        &self,
        lease: &mut Lease,
        status: KeeperStatus,
        before: Option<KeeperStatus>,
        stopping: &mut watch::Receiver<bool>,
    ) -> End {
        let stream = self.log.stream();
        let last_removal = before.and_then(|before| before.last_removal);
        tracing::info!(stream, keeper = self.name, "keeps the log's digests");
        {
            let mut state = self.state();
            state.status = Some(KeeperStatus { last_removal, ..status });
            (state.sign, state.trouble) = (lease.sign(), None);
        }
        let end = tokio::select! {
            biased;
            () = stopped(stopping) => End::Stopped,
            end = self.renewing(lease) => end,
            error = Duty::new(self, last_removal).run() => End::Denied(error),
        };
        let reached = self.state().status.take().map(|status| status.through);
        match &end {
            End::Taken => {
                tracing::info!(stream, through = reached, "another one keeps the log now");
            }
            End::Silent => tracing::warn!(
                stream,
                through = reached,
                "keeps the log no longer: the lease is over, and the server didn't answer"
            ),
            End::Stopped | End::Denied(_) => {
                if let Err(error) = self.let_go(lease).await {
                    // Another one waits for the lease's end then.
                    tracing::debug!(stream, %error, "the keeper's lease was not given up");
                }
            }
        }
        end
    }

    async fn let_go(&self, lease: &mut Lease) -> Result<()> {
        let kept = match self.log.open(OPERATION).await {
            Ok(open) => {
                let replicas = open.info.config.replicas.unwrap_or(1);
                self.digests.checkpoint(open.info.created, replicas).await
            }
            Err(error) => Err(error),
        };
        self.leases.leave(lease, &self.name).await?;
        kept
    }

    /// Gives signs of life, until the lease is another one's or over.
    async fn renewing(&self, lease: &mut Lease) -> End {
        let mut told: Option<Duration> = None;
        let usual = self.leases.ttl() / SIGNS;
        let mut rest = usual.min(SOON);
        loop {
            self.clock.sleep(rest).await;
            rest = usual;
            // A long log is read for long: where it ends is looked at meanwhile.
            if let Ok(open) = self.log.open(OPERATION).await {
                self.ends_at(open.info.state.last_sequence);
            }
            let Some(status) = self.told() else { return End::Stopped };
            let now = self.clock.monotonic();
            if status.behind > BLOCK && told.is_none_or(|told| now >= told + TELL) {
                told = Some(now);
                let (stream, through) = (self.log.stream(), status.through);
                tracing::warn!(stream, behind = status.behind, through, "the keeper is behind");
            }
            match self.leases.renew(lease, &status).await {
                Ok(Renewal::Renewed) => self.state().sign = lease.sign(),
                Ok(Renewal::Taken) => return End::Taken,
                Ok(Renewal::Silent) => return End::Silent,
                Err(error) => self.is_in_trouble(&error),
            }
        }
    }

    /// What it tells of itself at this moment, if it is the keeper.
    fn told(&self) -> Option<KeeperStatus> {
        let state = self.state();
        let mut status = state.status.clone()?;
        status.behind = state.last.saturating_sub(status.through);
        status.trouble.clone_from(&state.trouble);
        Some(status)
    }

    /// Who has the lease: this one as it stands now, another one as it told
    /// last, and either beside the log as it is now.
    pub(super) async fn shown(&self) -> Result<Option<KeeperStatus>> {
        let Some(told) = self.leases.shown().await? else { return Ok(None) };
        let told = match self.told().filter(|now| now.keeper == told.keeper) {
            Some(now) => KeeperStatus { renewed_at: told.renewed_at, ..now },
            None => told,
        };
        let (now, last) = match self.log.open(OPERATION).await {
            Ok(open) => {
                (open.info.told_at.unwrap_or(open.opened_at), open.info.state.last_sequence)
            }
            // Whoever keeps it waits for it.
            Err(error) if error.is(ErrorKind::NotFound) => (self.clock.now(), 0),
            Err(error) => return Err(error),
        };
        Ok(Some(told.seen(now, last)))
    }

    pub(super) fn standing(&self) -> KeeperStanding {
        let status = self.told();
        KeeperStanding {
            holds: status.is_some(),
            behind: status.map_or(0, |status| status.behind),
            trouble: self.state().trouble.clone(),
        }
    }

    /// The task was ended wherever it was.
    pub(super) fn resign(&self) {
        *self.state() = State::default();
    }

    pub(super) fn sign(&self) -> Option<Sign> {
        self.state().sign
    }

    pub(super) fn ends_at(&self, last: u64) {
        self.state().last = last;
    }

    fn change(&self, change: impl FnOnce(&mut KeeperStatus)) {
        if let Some(status) = &mut self.state().status {
            change(status);
        }
    }

    pub(super) fn has_reached(&self, sequence: u64, digested: u64) {
        self.change(|status| (status.through, status.digested) = (sequence, digested));
    }

    pub(super) fn has_indexed(&self, behind: u64) {
        self.change(|status| status.index_behind = behind);
    }

    /// Events were removed, by one of several steps of which none took the server longer.
    pub(super) fn has_removed(&self, removed: u64, longest: f64, at: Timestamp) {
        self.change(|status| {
            status.removed += removed;
            status.last_removal_took = Some(longest);
            status.last_removal = Some(at);
        });
    }

    /// Tells what went at a time.
    pub(super) fn tell_removal(&self, removal: &Removal) {
        let Removal { steps, removed, took, longest } = removal;
        if *steps > 0 {
            let stream = self.log.stream();
            tracing::info!(
                stream,
                steps,
                removed,
                took,
                longest,
                "removed events that were too old"
            );
        }
    }

    pub(super) fn has_removed_digests(&self, removed: u64) {
        if removed > 0 {
            tracing::info!(
                stream = self.log.stream(),
                removed,
                "removed digests that were too old"
            );
            self.change(|status| status.digests_removed += removed);
        }
    }

    pub(super) fn has_coarsened(&self, made: u64) {
        if made > 0 {
            tracing::info!(stream = self.log.stream(), made, "made old digests coarser");
            self.change(|status| status.digests_coarsened += made);
        }
    }

    pub(super) fn is_well(&self) {
        self.state().trouble = None;
    }

    /// Tells what is in the way, once as long as it is the same.
    pub(super) fn is_in_trouble(&self, error: &Error) {
        let text = error.to_string();
        let mut state = self.state();
        if state.trouble.as_ref() != Some(&text) {
            tracing::warn!(stream = self.log.stream(), error = %text, "something is in the keeper's way");
            state.trouble = Some(text);
        }
    }
}
