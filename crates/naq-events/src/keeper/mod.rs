//! The log's keeper: digests and indexes what comes, and removes what is too old.
//!
//! Any [`EventService`] with digests can be it (`keeper` in the section
//! `events`), and of those that are ready one is: the one that holds a lease
//! in the bucket `naq_keepers`. The others wait until it is over.
//!
//! # Guarantees
//! - The lease saves work, and nothing hangs on it: digests are created or
//!   made better, and only what is older than its age and in kept digests is
//!   removed. Two keepers at once, or one that was late, do no harm.
//! - Without a keeper every answer is right; it may have to read more.
//! - Killed at any instant it leaves nothing that another one would have to
//!   mend: that one goes on behind the last digest that is kept.
//! - It holds one block of the log in memory, whatever its length, and the
//!   digests that the service's questions have.
//! - Its task ends with the service, by a stop or by a drop.
//!
//! Leases are timed by each service's own monotonic clock, ages by the
//! server's: clocks that differ make nothing go early.
//!
//! | file | concept |
//! |---|---|
//! | `card.rs` | what a keeper tells of itself |
//! | `lease.rs` | one of many: by compare and set, with an end |
//! | `duty.rs` | what the one does |
//! | `turn.rs` | what it does now and then, and may have no right to |
//! | `task.rs` | waiting, holding, and letting go |

mod card;
mod duty;
mod lease;
mod task;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_trouble;
mod turn;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use naq_core::clock::{Clock, ClockExt};
use naq_core::config::{EventsConfig, KeeperMode, StreamMode};
use naq_core::kv::KvStore;
use naq_core::{Error, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::digests::Digests;
use crate::indexes::Indexes;
use crate::read::Log;
use crate::service::EventService;

pub use card::KeeperStatus;
use lease::Leases;
use task::Post;

/// The operation that errors name.
const OPERATION: &str = "keeper";

/// How long a service runs before `auto` makes it ready to be the keeper.
const SETTLED: Duration = Duration::from_secs(60);

/// How long keeping what it has, and giving up the lease, may take at a stop.
const FAREWELL: Duration = Duration::from_secs(2);

impl EventService {
    /// Who keeps the log, and how far it is; `None` where nobody does, or the
    /// one who did has ended in order.
    ///
    /// One that was killed is told until another one takes over:
    /// [`silent`](KeeperStatus::silent) says how long ago it gave a sign of
    /// life, [`has_died`](KeeperStatus::has_died) whether that is too long. The
    /// one that is this service itself is told as it stands at this moment, any
    /// other one as it told last, but for how far it is
    /// [`behind`](KeeperStatus::behind): that goes by the log's end as it is now.
    ///
    /// # Errors
    /// `Unsupported` for a service without digests; those of the connection.
    pub async fn keeper(&self) -> Result<Option<KeeperStatus>> {
        let keeper = self.keeper.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, OPERATION, "there is no keeper without digests")
                .with_hint("give the service a key-value store (`with_digests`)")
        })?;
        keeper.post.shown().await.map_err(|error| error.in_operation(OPERATION))
    }

    /// Whether this service is the log's keeper.
    #[must_use]
    pub fn is_keeper(&self) -> bool {
        self.keeper.as_ref().is_some_and(|keeper| keeper.standing().holds)
    }

    /// What stands in its way as the log's keeper, or of becoming it.
    #[must_use]
    pub fn keeper_trouble(&self) -> Option<String> {
        self.keeper.as_ref().and_then(|keeper| keeper.standing().trouble)
    }
}

/// How a service stands as a keeper.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeeperStanding {
    /// Whether it is the one.
    pub(crate) holds: bool,
    /// How many sequences of the log it has not digested yet.
    pub(crate) behind: u64,
    /// What stands in its way.
    pub(crate) trouble: Option<String>,
}

/// A service's readiness to be the keeper.
#[derive(Debug)]
pub(crate) struct Keeper {
    post: Arc<Post>,
    mode: KeeperMode,
    stream: StreamMode,
    stopping: watch::Sender<bool>,
    task: Mutex<Option<Guard>>,
}

/// The task; dropping it ends it.
#[derive(Debug)]
struct Guard(JoinHandle<()>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Keeper {
    /// Nothing is begun by it.
    pub(crate) fn new(
        log: Log,
        digests: Arc<Digests>,
        kv: Arc<dyn KvStore>,
        clock: Arc<dyn Clock>,
        config: &EventsConfig,
    ) -> Self {
        let leases = Leases::new(kv, log.clone(), Arc::clone(&clock), config.keeper_lease);
        Self {
            post: Arc::new(Post::new(log, digests, clock, leases, config)),
            mode: config.keeper,
            stream: config.stream,
            stopping: watch::Sender::new(false),
            task: Mutex::new(None),
        }
    }

    /// Begins to be ready, unless the configuration says otherwise; these
    /// indexes follow the log too.
    pub(crate) fn start(&self, indexes: Option<&Arc<Indexes>>) {
        if let Some(indexes) = indexes {
            self.post.indexes.get_or_init(|| Arc::clone(indexes));
        }
        let patience = match (self.mode, self.stream) {
            (KeeperMode::On, _) => Duration::ZERO,
            (KeeperMode::Auto, StreamMode::Ensure | StreamMode::Verify) => SETTLED,
            _ => return,
        };
        // The writer, which started before, says so where there is no runtime.
        let Ok(runtime) = Handle::try_current() else { return };
        self.stopping.send_replace(false);
        let (post, stopping) = (Arc::clone(&self.post), self.stopping.subscribe());
        let gives_up = self.mode == KeeperMode::Auto;
        let task = runtime.spawn(task::run(post, stopping, patience, gives_up));
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(Guard(task));
    }

    /// Keeps what it has, gives up the lease, and ends, within `within`, at
    /// most two seconds. Without any time it ends where it is, and the lease
    /// when its time is over.
    pub(crate) async fn stop(&self, within: Duration) {
        let guard = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut guard) = guard else { return };
        self.stopping.send_replace(true);
        if within.is_zero() {
            // Nobody is kept waiting: the events before had all the time there was.
            return self.post.resign();
        }
        let clock = &self.post.clock;
        let deadline = clock.deadline(within.min(FAREWELL));
        // One that takes longer ends where it is; another one goes on from there.
        if clock.until(deadline, &mut guard.0).await.is_none() {
            tracing::debug!("the keeper was ended before it had kept all that it had");
        }
        self.post.resign();
    }

    /// How it stands.
    pub(crate) fn standing(&self) -> KeeperStanding {
        self.post.standing()
    }
}
