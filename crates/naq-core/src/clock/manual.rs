//! A clock that stands still until a test moves it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, oneshot};

use super::Clock;
use crate::{Error, ErrorKind, Result, Timestamp};

/// A clock that only [`advance`](ManualClock::advance) moves. Clones share its time.
///
/// A test first waits until the code under test sleeps, then advances: with
/// [`wait_for_sleepers`](ManualClock::wait_for_sleepers) no wake-up is missed
/// and nobody sleeps in real time.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::time::Duration;
/// use naq_core::clock::{ClockExt, ManualClock};
///
/// let clock = ManualClock::new();
/// let task = tokio::spawn({
///     let clock = clock.clone();
///     async move { clock.sleep(Duration::from_secs(3600)).await }
/// });
/// clock.wait_for_sleepers(1, Duration::from_secs(5)).await.unwrap();
/// clock.advance(Duration::from_secs(3600));
/// task.await.unwrap();
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    slept: Notify,
}

#[derive(Debug)]
struct State {
    monotonic: Duration,
    wall: Timestamp,
    next_id: u64,
    /// By deadline, then by who came first: the order in which they wake.
    sleepers: BTreeMap<(Duration, u64), oneshot::Sender<()>>,
}

impl ManualClock {
    /// A clock at monotonic zero whose wall time is 2026-01-01T00:00:00Z.
    #[must_use]
    pub fn new() -> Self {
        Self::starting_at(Timestamp::from_nanos(1_767_225_600_000_000_000))
    }

    /// A clock at monotonic zero with this wall time.
    #[must_use]
    pub fn starting_at(wall: Timestamp) -> Self {
        let state =
            State { monotonic: Duration::ZERO, wall, next_id: 0, sleepers: BTreeMap::new() };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), slept: Notify::new() }) }
    }

    /// Moves both times by `span` and wakes, in the order of their deadlines,
    /// all whose deadline is reached.
    pub fn advance(&self, span: Duration) {
        let mut guard = self.state();
        let state = &mut *guard;
        state.monotonic = state.monotonic.saturating_add(span);
        state.wall = state.wall.saturating_add(span);
        while let Some(first) = state.sleepers.first_entry() {
            if first.key().0 > state.monotonic {
                break;
            }
            // A sleeper that has just gone away has no use for the news.
            let _ = first.remove().send(());
        }
    }

    /// Sets the wall time alone, as when somebody sets the system's clock:
    /// monotonic time and sleepers don't notice.
    pub fn set_wall(&self, wall: Timestamp) {
        self.state().wall = wall;
    }

    /// How many futures sleep on this clock now.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.state().sleepers.len()
    }

    /// The earliest deadline somebody sleeps for.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.state().sleepers.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// Waits until at least `count` futures sleep on this clock.
    ///
    /// # Errors
    /// `Timeout` when they don't within `within` of real time.
    pub async fn wait_for_sleepers(&self, count: usize, within: Duration) -> Result<()> {
        let enough = async {
            loop {
                // Registered before looking, or a sleeper in between goes unnoticed.
                let slept = self.shared.slept.notified();
                tokio::pin!(slept);
                slept.as_mut().enable();
                if self.sleepers() >= count {
                    return;
                }
                slept.await;
            }
        };
        tokio::time::timeout(within, enough).await.map_err(|_| {
            Error::new(ErrorKind::Timeout, "wait_for_sleepers", "too few sleep on the clock")
                .with("wanted", count.to_string())
                .with("sleeping", self.sleepers().to_string())
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code of ours panics while it holds the lock.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.state().wall
    }

    fn monotonic(&self) -> Duration {
        self.state().monotonic
    }

    async fn sleep_until(&self, deadline: Duration) {
        let (wake, woken) = oneshot::channel();
        let key = {
            let mut state = self.state();
            if state.monotonic >= deadline {
                return;
            }
            let key = (deadline, state.next_id);
            state.next_id += 1;
            state.sleepers.insert(key, wake);
            key
        };
        let _asleep = Asleep { clock: self, key };
        self.shared.slept.notify_waiters();
        // An error would mean that the sender was dropped unused, and only
        // `Asleep`, which outlives this wait, does that.
        let _ = woken.await;
    }
}

/// Takes a sleeper off the list when its future ends or is dropped.
struct Asleep<'a> {
    clock: &'a ManualClock,
    key: (Duration, u64),
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        self.clock.state().sleepers.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ClockExt;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn nobody_wakes_before_the_deadline() {
        let clock = ManualClock::new();
        let mut sleep = Box::pin(clock.sleep(2 * SECOND));
        assert!(futures::poll!(&mut sleep).is_pending());
        clock.advance(SECOND);
        assert!(futures::poll!(&mut sleep).is_pending());
        clock.advance(SECOND);
        assert!(futures::poll!(&mut sleep).is_ready());
    }

    #[tokio::test]
    async fn a_dropped_sleep_is_no_sleeper() {
        let clock = ManualClock::new();
        let mut sleep = Box::pin(clock.sleep(SECOND));
        assert!(futures::poll!(&mut sleep).is_pending());
        assert_eq!((clock.sleepers(), clock.next_deadline()), (1, Some(SECOND)));
        drop(sleep);
        assert_eq!((clock.sleepers(), clock.next_deadline()), (0, None));
    }

    #[tokio::test]
    async fn setting_the_wall_leaves_monotonic_time_alone() {
        let clock = ManualClock::new();
        clock.set_wall(Timestamp::from_nanos(5));
        assert_eq!((clock.now(), clock.monotonic()), (Timestamp::from_nanos(5), Duration::ZERO));
        clock.advance(SECOND);
        assert_eq!(clock.now(), Timestamp::from_nanos(1_000_000_005));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_sleeper_that_never_comes_times_out() {
        let clock = ManualClock::new();
        let error = clock.wait_for_sleepers(1, SECOND).await.unwrap_err();
        assert_eq!((error.kind(), error.get("wanted")), (ErrorKind::Timeout, Some("1")));
    }

    #[tokio::test]
    async fn a_sleeper_that_comes_later_ends_the_wait() {
        let clock = ManualClock::new();
        let mut sleep = Box::pin(clock.sleep(SECOND));
        let (waited, asleep) = tokio::join!(clock.wait_for_sleepers(1, 10 * SECOND), async {
            futures::poll!(&mut sleep).is_pending()
        });
        assert!(asleep && waited.is_ok());
    }
}
