//! One event of a small cell: when it happened, and its values.

use std::num::NonZeroU64;

use naq_core::Timestamp;
use naq_core::events::Event;

use super::distribution::{Distribution, nanos};

/// What is kept of one event of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    /// When it happened.
    pub(crate) at: Timestamp,
    /// Its `duration`, if it has one.
    pub(crate) duration: Option<Nanos>,
    /// Its `queue_wait`, if it has one.
    pub(crate) wait: Option<Nanos>,
}

/// Nanoseconds of up to 584 years, kept as one more than they are, so that
/// having none takes no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Nanos(NonZeroU64);

impl Nanos {
    /// So many; `None` for too many.
    pub(crate) fn new(nanos: u128) -> Option<Self> {
        let kept = u64::try_from(nanos).ok()?.checked_add(1)?;
        NonZeroU64::new(kept).map(Self)
    }

    /// How many.
    pub(crate) const fn get(self) -> u64 {
        self.0.get() - 1
    }
}

impl Moment {
    /// What is kept of an event; `None` where a value of it is too great for that.
    pub(super) fn of(event: &Event, at: Timestamp) -> Option<Self> {
        let kept = |seconds: Option<f64>| match seconds {
            None => Some(None),
            Some(seconds) => Nanos::new(nanos(seconds)).map(Some),
        };
        Some(Self { at, duration: kept(event.duration)?, wait: kept(event.queue_wait)? })
    }

    /// Adds its values to those of others.
    pub(super) fn add_values(&self, durations: &mut Distribution, waits: &mut Distribution) {
        for (all, value) in [(durations, self.duration), (waits, self.wait)] {
            value.into_iter().for_each(|value| all.add(u128::from(value.get())));
        }
    }
}
