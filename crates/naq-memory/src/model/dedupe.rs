//! Which message ids were stored within the duplicate window, and where.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use naq_core::Timestamp;

/// What one id costs beside its text, in bytes: an estimate of map, queue and counters.
const ENTRY_BYTES: u64 = 96;

/// The ids of a stream's duplicate window.
#[derive(Debug, Default)]
pub(crate) struct Dedupe {
    ids: HashMap<Arc<str>, u64>,
    /// In the order of storing, which is the order of forgetting.
    order: VecDeque<(Timestamp, Arc<str>)>,
    bytes: u64,
}

impl Dedupe {
    /// The sequence of the message that was stored with an id.
    pub(crate) fn find(&self, id: &str) -> Option<u64> {
        self.ids.get(id).copied()
    }

    /// Remembers an id that isn't known.
    pub(crate) fn remember(&mut self, id: &str, sequence: u64, now: Timestamp) {
        let id: Arc<str> = id.into();
        self.bytes += id.len() as u64 + ENTRY_BYTES;
        self.ids.insert(Arc::clone(&id), sequence);
        self.order.push_back((now, id));
    }

    /// Forgets what is as old as the window or older.
    pub(crate) fn forget(&mut self, window: Duration, now: Timestamp) {
        while let Some((at, id)) = self.order.front() {
            if now.since(*at) < window {
                break;
            }
            self.bytes -= id.len() as u64 + ENTRY_BYTES;
            self.ids.remove(id);
            self.order.pop_front();
        }
        if self.ids.capacity() > 1024 && self.ids.capacity() / 8 > self.ids.len() {
            self.ids.shrink_to_fit();
            self.order.shrink_to_fit();
        }
    }

    /// About how much memory the ids take.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_until_the_window_has_passed() {
        let window = Duration::from_nanos(10);
        let mut dedupe = Dedupe::default();
        dedupe.remember("a", 1, Timestamp::from_nanos(100));
        dedupe.forget(window, Timestamp::from_nanos(109));
        assert_eq!(dedupe.find("a"), Some(1));
        dedupe.forget(window, Timestamp::from_nanos(110));
        assert_eq!((dedupe.find("a"), dedupe.bytes()), (None, 0));
    }
}
