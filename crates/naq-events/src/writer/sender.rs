//! The sending end of each way: whether somebody takes events there, and whether to wake him.

use std::task::Waker;
use std::time::Duration;

use super::way::Way;

/// Whether the sender has to be woken for a new event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// It waits until it is woken.
    Asleep,
    /// It looks again by itself at that time, at the latest.
    Gathering {
        /// When it looks again.
        until: Duration,
    },
    /// It comes back for more by itself.
    Flowing,
}

/// Who takes the events that go one way.
#[derive(Debug)]
pub(super) struct Sender {
    /// Which source may send; an older one finds out here that it is over.
    pub(super) number: u64,
    /// Whether there is one.
    pub(super) is_open: bool,
    /// The id of its batch.
    pub(super) batch: String,
    /// How many events it took.
    pub(super) taken: u64,
    /// Whether it comes back by itself.
    pub(super) flow: Flow,
    /// Until when it waits for something to send, once it has nothing.
    pub(super) idle_until: Option<Duration>,
    /// The source, where it waits.
    pub(super) waker: Option<Waker>,
}

impl Sender {
    const fn new() -> Self {
        Self {
            number: 0,
            is_open: false,
            batch: String::new(),
            taken: 0,
            flow: Flow::Asleep,
            idle_until: None,
            waker: None,
        }
    }

    /// Begins a source's time, with a batch of its own, and says its number.
    pub(super) fn open(&mut self) -> u64 {
        self.number += 1;
        self.is_open = true;
        self.batch = format!("{:032x}", fastrand::u128(..));
        self.taken = 0;
        self.flow = Flow::Flowing;
        self.idle_until = None;
        self.number
    }

    /// Ends the source's time. Hands out whom to wake, so that nobody goes on
    /// holding a source that is over.
    pub(super) fn close(&mut self) -> Option<Waker> {
        self.number += 1;
        self.is_open = false;
        self.flow = Flow::Asleep;
        self.waker.take()
    }
}

/// Something for each way.
#[derive(Debug, Default)]
pub(super) struct PerWay<T> {
    fast: T,
    pipeline: T,
}

impl<T> PerWay<T> {
    pub(super) const fn of(&self, way: Way) -> &T {
        match way {
            Way::Fast => &self.fast,
            Way::Pipeline => &self.pipeline,
        }
    }

    pub(super) const fn of_mut(&mut self, way: Way) -> &mut T {
        match way {
            Way::Fast => &mut self.fast,
            Way::Pipeline => &mut self.pipeline,
        }
    }
}

impl PerWay<Sender> {
    pub(super) const fn senders() -> Self {
        Self { fast: Sender::new(), pipeline: Sender::new() }
    }
}

/// Whom to wake when the lock is released.
pub(super) type Wakes = PerWay<Option<Waker>>;

impl Wakes {
    /// Wakes him too.
    pub(super) fn add(&mut self, way: Way, waker: Option<Waker>) {
        if waker.is_some() {
            *self.of_mut(way) = waker;
        }
    }

    /// Wakes them.
    pub(super) fn wake(self) {
        for waker in [self.fast, self.pipeline].into_iter().flatten() {
            waker.wake();
        }
    }
}
