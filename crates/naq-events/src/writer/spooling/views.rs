//! What was known of the stream, and when: behind what an event must stand, if it arrived.

use std::collections::VecDeque;
use std::time::Duration;

use naq_core::Timestamp;
use naq_core::jetstream::StreamInfo;

use crate::spool::SentContext;

/// How many views are kept.
const MAX_VIEWS: usize = 32;

/// The stream as it was seen once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::writer) struct StreamView {
    /// When it was created.
    pub(super) created: Timestamp,
    /// Its first sequence.
    pub(super) first_sequence: u64,
    /// Its last sequence; whatever is sent later stands behind it.
    pub(super) last_sequence: u64,
    /// How long it recognises a message id.
    pub(super) duplicate_window: Option<Duration>,
    /// The monotonic time before it was asked.
    pub(super) seen: Duration,
}

impl StreamView {
    /// What an answer of the server says, that was asked at this time.
    pub(in crate::writer) fn new(info: &StreamInfo, seen: Duration) -> Self {
        Self {
            created: info.created,
            first_sequence: info.state.first_sequence,
            last_sequence: info.state.last_sequence,
            duplicate_window: info.config.duplicate_window,
            seen,
        }
    }

    /// What is to be kept of an event that is sent from now on.
    pub(super) const fn context(&self, sent_at: Timestamp) -> SentContext {
        SentContext { stream_created: self.created, last_sequence: self.last_sequence, sent_at }
    }
}

/// The views so far, the first one and the latest ones among them.
#[derive(Debug, Default)]
pub(super) struct Views(VecDeque<StreamView>);

impl Views {
    pub(super) fn push(&mut self, view: StreamView) {
        if self.0.len() == MAX_VIEWS {
            // The first one is before all that was sent, and the latest ones are exact.
            let mut at = 0;
            self.0.retain(|_| {
                at += 1;
                at % 2 == 1 || at > MAX_VIEWS / 2
            });
        }
        self.0.push_back(view);
    }

    pub(super) fn latest(&self) -> Option<StreamView> {
        self.0.back().copied()
    }

    /// A view before an event was sent that was accepted at this time.
    ///
    /// Nothing is sent before the first view, so that one is before any.
    pub(super) fn before(&self, accepted: Duration) -> Option<StreamView> {
        let earlier = self.0.partition_point(|view| view.seen <= accepted);
        self.0.get(earlier.saturating_sub(1)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn view(seconds: u32) -> StreamView {
        StreamView {
            created: Timestamp::default(),
            first_sequence: 1,
            last_sequence: u64::from(seconds) * 10,
            duplicate_window: None,
            seen: seconds * SECOND,
        }
    }

    #[test]
    fn an_event_stands_behind_the_latest_view_before_it() {
        let mut views = Views::default();
        assert_eq!(views.before(SECOND), None);
        for seconds in [10, 20, 30] {
            views.push(view(seconds));
        }
        let before = |seconds: u32| views.before(seconds * SECOND).map(|view| view.last_sequence);
        assert_eq!([5, 10, 19, 20, 90].map(before), [100, 100, 100, 200, 300].map(Some));
    }

    #[test]
    fn the_views_are_bounded_and_the_first_one_stays() {
        let mut views = Views::default();
        for seconds in 1..1_000 {
            views.push(view(seconds));
            assert!(views.0.len() <= MAX_VIEWS);
            assert_eq!(views.before(Duration::ZERO), Some(view(1)));
            assert_eq!(views.latest(), Some(view(seconds)));
        }
    }
}
