//! Which events were shown already.

use std::collections::{HashSet, VecDeque};

use crate::events::{Event, EventId};

/// Remembers ids, so that an event that is stored twice is shown once.
///
/// Beyond the server's duplicate window a repeated publish is stored again;
/// its id gives it away. Events without an id are all different.
///
/// Memory is bounded: the newest ids are remembered, as many as the window has,
/// and those that were [kept](Self::keep). A repeat comes as late as a producer
/// tries again, a minute or so; for one that comes after more events than the
/// window has it would count as another event.
#[derive(Debug, Clone)]
pub struct SeenIds {
    window: usize,
    seen: HashSet<EventId>,
    /// In the order in which they came; those that are kept are not among them.
    recent: VecDeque<EventId>,
}

impl SeenIds {
    /// How many ids are remembered by default.
    pub const WINDOW: usize = 65_536;

    /// Nothing seen, with the default window.
    #[must_use]
    pub fn new() -> Self {
        Self::with_window(Self::WINDOW)
    }

    /// Nothing seen, with a window of so many ids, at least one.
    #[must_use]
    pub fn with_window(ids: usize) -> Self {
        Self { window: ids.max(1), seen: HashSet::new(), recent: VecDeque::new() }
    }

    /// Whether the event was not seen before, as far as is remembered; from now
    /// on it was.
    pub fn is_first(&mut self, event: &Event) -> bool {
        let Some(id) = &event.id else { return true };
        if !self.seen.insert(id.clone()) {
            return false;
        }
        self.recent.push_back(id.clone());
        if self.recent.len() > self.window
            && let Some(oldest) = self.recent.pop_front()
        {
            self.seen.remove(&oldest);
        }
        true
    }

    /// Remembers the event that was asked about last for good.
    pub fn keep(&mut self, event: &Event) {
        if event.id.is_some() && event.id.as_ref() == self.recent.back() {
            self.recent.pop_back();
        }
    }
}

impl Default for SeenIds {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str) -> Event {
        Event::log("x").with_id(id)
    }

    #[test]
    fn an_id_is_first_once_and_no_id_always() {
        let mut seen = SeenIds::new();
        assert!(seen.is_first(&event("a")));
        assert!(!seen.is_first(&event("a")));
        assert!(seen.is_first(&event("b")));
        assert!(seen.is_first(&Event::log("x")) && seen.is_first(&Event::log("x")));
    }

    #[test]
    fn the_newest_ids_are_remembered_and_those_that_are_kept() {
        let mut seen = SeenIds::with_window(2);
        assert!(seen.is_first(&event("kept")));
        seen.keep(&event("kept"));
        for id in ["a", "b", "c"] {
            assert!(seen.is_first(&event(id)));
        }
        assert!(!seen.is_first(&event("kept")) && !seen.is_first(&event("b")));
        assert!(seen.is_first(&event("a")), "three came behind it");
        assert!(seen.recent.len() <= 2 && seen.seen.len() <= 3);
    }
}
