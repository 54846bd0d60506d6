//! Following the log's end while somebody asks, so that the next question finds
//! what came instead of reading it.
//!
//! The first question that is answered from digests begins it; a minute after
//! the last one it ends, and with its service. What came is read as a question
//! would read it: by the same limits, in its turn with questions, folded and
//! kept as its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use naq_core::clock::{Clock, ClockExt};
use naq_core::events::{Filter, ScanLimits};
use naq_core::{Result, Timestamp};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::choose::CellFilter;
use super::digest::block_of;
use super::gather::Ask;
use super::kept::Digests;
use super::range::MinuteRange;
use crate::keeper::Keeper;
use crate::read::Log;

/// The operation that errors name.
const OPERATION: &str = "follow";

/// How often it looks for what has come: a question has to read no more than
/// comes in so long, at the cost of one round trip.
const LOOK: Duration = Duration::from_secs(1);

/// How long it waits when something is in its way.
const AGAIN: Duration = Duration::from_secs(5);

/// How long it goes on after the last question: who looks at figures now and
/// then asks more often than that.
const LINGER: Duration = Duration::from_secs(60);

/// Follows one log for the questions of one service.
#[derive(Debug)]
pub(crate) struct Follower {
    site: Arc<Site>,
    task: Mutex<Option<Guard>>,
}

/// What it works with.
#[derive(Debug)]
struct Site {
    log: Log,
    digests: Arc<Digests>,
    clock: Arc<dyn Clock>,
    keeper: Arc<Keeper>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the service runs.
    is_open: bool,
    /// Whether the task goes on.
    follows: bool,
    /// When it ends if nobody asks any more.
    ends: Duration,
    /// How far the answers went that came since the last look.
    through: u64,
}

/// The task; dropping it ends it.
#[derive(Debug)]
struct Guard(JoinHandle<()>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How far it has come in which log.
#[derive(Debug, Default)]
struct Seen {
    created: Option<Timestamp>,
    through: u64,
}

impl Follower {
    /// Nothing is begun by it. Where the service's own keeper digests what
    /// comes, there is nothing to be done beside it.
    pub(crate) fn new(
        log: Log,
        digests: Arc<Digests>,
        clock: Arc<dyn Clock>,
        keeper: Arc<Keeper>,
    ) -> Self {
        let site = Site { log, digests, clock, keeper, state: Mutex::default() };
        Self { site: Arc::new(site), task: Mutex::default() }
    }

    /// The service runs: questions begin it from now on.
    pub(crate) fn open(&self) {
        self.site.state().is_open = true;
    }

    /// Ends it where it is; what it has counted goes on from there.
    pub(crate) fn close(&self) {
        *self.site.state() = State::default();
        self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Somebody has asked, and the answer went through this sequence.
    pub(crate) fn asked(&self, through: u64) {
        let Ok(runtime) = Handle::try_current() else { return };
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.site.state();
        if !state.is_open {
            return;
        }
        state.ends = self.site.clock.deadline(LINGER);
        state.through = state.through.max(through);
        // One that ended with its runtime has not said so.
        if !state.follows || task.as_ref().is_none_or(|task| task.0.is_finished()) {
            state.follows = true;
            // What an answer before told may have been of another log.
            state.through = through;
            *task = Some(Guard(runtime.spawn(run(Arc::clone(&self.site)))));
        }
    }
}

/// Follows the log until nobody has asked for a while.
async fn run(site: Arc<Site>) {
    let (mut seen, mut rest, mut is_in_trouble) = (Seen::default(), LOOK, false);
    while site.sleep(rest).await {
        if site.keeper.standing().holds {
            continue;
        }
        match site.look(&mut seen).await {
            Ok(()) => (rest, is_in_trouble) = (LOOK, false),
            Err(error) => {
                if !std::mem::replace(&mut is_in_trouble, true) {
                    let stream = site.log.stream();
                    tracing::warn!(stream, %error, "what comes can't be digested ahead of questions");
                }
                rest = AGAIN;
            }
        }
    }
}

impl Site {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps, and answers whether there is anything to be done afterwards.
    async fn sleep(&self, rest: Duration) -> bool {
        self.clock.sleep(rest).await;
        let mut state = self.state();
        state.follows = self.clock.monotonic() < state.ends;
        state.follows
    }

    /// Reads what has come, and folds it.
    async fn look(&self, seen: &mut Seen) -> Result<()> {
        let open = self.log.open(OPERATION).await?;
        let (created, last) = (open.info.created, open.info.state.last_sequence);
        if seen.created.replace(created).is_some_and(|before| before != created) {
            // The log was made anew.
            seen.through = 0;
        }
        // Beyond the end an answer went in another log, or after this look.
        let told = Some(std::mem::take(&mut self.state().through)).filter(|told| *told <= last);
        seen.through = seen.through.max(told.unwrap_or_default()).min(last);
        if seen.through == last {
            return Ok(());
        }
        let Some(filter) = CellFilter::of(&Filter::new()) else { return Ok(()) };
        let meter = self.log.meter(OPERATION, ScanLimits::default());
        let ask = Ask {
            operation: OPERATION,
            log: &self.log,
            open: &open,
            range: MinuteRange::NOTHING,
            filter: &filter,
            meter: &meter,
        };
        let following = self.digests.follow(&ask, block_of(seen.through + 1));
        seen.through = meter.within(following).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use naq_core::clock::ManualClock;
    use naq_core::config::EventsConfig;
    use naq_core::connection::SingleJetStream;
    use naq_core::events::EventSubjects;
    use naq_core::jetstream::{JetStream, PublishMessage, StreamConfig};
    use naq_core::kv::KvStore;
    use naq_kv::KvStoreService;
    use naq_memory::MemoryJetStream;

    use super::*;
    use crate::read::Limits;

    const PATIENCE: Duration = Duration::from_secs(30);

    async fn until(is_so: impl Fn() -> bool) {
        let wait = async {
            while !is_so() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap();
    }

    struct Own {
        js: Arc<MemoryJetStream>,
        clock: ManualClock,
        digests: Arc<Digests>,
        follower: Follower,
    }

    impl Own {
        fn new() -> Self {
            let (js, clock) = (Arc::new(MemoryJetStream::new()), ManualClock::new());
            let shared: Arc<dyn Clock> = Arc::new(clock.clone());
            let provider = || SingleJetStream::provider(Arc::clone(&js) as Arc<dyn JetStream>);
            let (config, subjects) = (EventsConfig::default(), EventSubjects::default());
            let limits = Limits::of(&config);
            let log = Log::new(provider(), Arc::clone(&shared), "events", subjects, limits);
            let kv: Arc<dyn KvStore> = Arc::new(KvStoreService::new(provider()));
            let digests = Arc::new(Digests::new(Arc::clone(&kv), "events"));
            let (its, clocks) = (Arc::clone(&digests), Arc::clone(&shared));
            let keeper = Arc::new(Keeper::new(log.clone(), its, kv, clocks, &config));
            let follower = Follower::new(log, Arc::clone(&digests), shared, keeper);
            follower.open();
            Self { js, clock, digests, follower }
        }

        /// Makes the log anew, with so many events.
        async fn make_anew(&self, events: u64) {
            let _ = self.js.delete_stream("events").await;
            self.js.create_stream(StreamConfig::new("events", ["events.>"])).await.unwrap();
            self.store(events).await;
        }

        async fn store(&self, events: u64) {
            for _ in 0..events {
                let message = PublishMessage::new("events.log", r#"{"type":"log"}"#);
                self.js.publish(message).await.unwrap();
            }
        }

        /// Lets a second pass, and answers how far the log has been digested by then.
        async fn followed_through(&self) -> Option<u64> {
            let rests = || self.clock.next_deadline() == Some(self.clock.monotonic() + LOOK);
            until(rests).await;
            self.clock.advance(LOOK);
            until(rests).await;
            self.digests.memory().open.as_ref().map(|open| open.draft.through())
        }
    }

    #[tokio::test]
    async fn a_log_that_is_made_anew_is_followed_whatever_was_told_of_the_one_before() {
        let own = Own::new();
        own.make_anew(700).await;
        own.follower.asked(700);
        own.store(100).await;
        assert_eq!(own.followed_through().await, Some(800));
        own.clock.advance(LINGER);
        until(|| own.clock.sleepers() == 0).await;
        // Nobody has asked for a while when the log is made anew.
        own.make_anew(100).await;
        own.follower.asked(100);
        own.store(50).await;
        assert_eq!(own.followed_through().await, Some(150));
        // An answer that was made from the log before comes late.
        own.follower.asked(800);
        own.store(50).await;
        assert_eq!(own.followed_through().await, Some(200));
    }
}
