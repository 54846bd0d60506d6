//! What went wrong, told at a bounded rate.

use std::time::Duration;

use naq_core::Error;

use super::losses::Sum;

/// At most one notice in this time.
const INTERVAL: Duration = Duration::from_secs(5);

/// What went wrong since the last notice.
#[derive(Debug, Default)]
pub(super) struct Notice {
    pub(super) failed: u64,
    pub(super) unknown: u64,
    pub(super) dropped: Sum,
    /// Publishes that didn't pass and will be tried again.
    pub(super) retrying: u64,
    /// The latest reason.
    pub(super) cause: Option<Error>,
}

impl Notice {
    fn is_empty(&self) -> bool {
        self.failed + self.unknown + self.dropped.count() + self.retrying == 0
    }
}

/// Gathers failures into notices, so that an outage can't flood a program's log.
#[derive(Debug, Default)]
pub(super) struct Notices {
    gathered: Notice,
    not_before: Duration,
}

impl Notices {
    pub(super) fn gather(&mut self) -> &mut Notice {
        &mut self.gathered
    }

    /// When there is something to tell.
    pub(super) fn due(&self) -> Option<Duration> {
        (!self.gathered.is_empty()).then_some(self.not_before)
    }

    /// What to tell now, if it is time.
    pub(super) fn take(&mut self, now: Duration) -> Option<Notice> {
        if self.due().is_none_or(|due| due > now) {
            return None;
        }
        self.not_before = now.saturating_add(INTERVAL);
        Some(std::mem::take(&mut self.gathered))
    }

    /// Whatever has not been told, whether it is time or not.
    pub(super) fn take_rest(&mut self) -> Option<Notice> {
        let rest = std::mem::take(&mut self.gathered);
        (!rest.is_empty()).then_some(rest)
    }
}

impl Notice {
    /// Writes it to the program's log: counts and the cause, never an event's content.
    pub(super) fn tell(&self, stream: &str, pending: u64) {
        let Self { failed, unknown, dropped, retrying, cause } = self;
        let types = dropped.types();
        let (dropped, types) = (dropped.count(), (!types.is_empty()).then_some(types));
        let cause = cause.as_ref().map(tracing::field::display);
        if failed + unknown + dropped > 0 {
            tracing::warn!(
                stream,
                failed,
                unknown,
                dropped,
                types,
                retrying,
                pending,
                cause,
                "events were lost, or may be",
            );
        } else {
            tracing::warn!(stream, retrying, pending, cause, "events are not stored yet, retrying");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_at_once_and_then_at_intervals_with_its_counts() {
        let mut notices = Notices::default();
        assert_eq!(notices.due(), None);
        notices.gather().retrying += 1;
        assert!(notices.take(Duration::ZERO).is_some());
        notices.gather().retrying += 7;
        assert!(notices.take(Duration::from_secs(4)).is_none());
        assert_eq!(notices.due(), Some(INTERVAL));
        assert_eq!(notices.take(INTERVAL).map(|notice| notice.retrying), Some(7));
        assert!(notices.take_rest().is_none());
    }
}
