//! Which events were shown already.

use std::collections::HashSet;

use crate::events::{Event, EventId};

/// Remembers ids, so that an event that is stored twice is shown once.
///
/// Beyond the server's duplicate window a repeated publish is stored again;
/// its id gives it away. Events without an id are all different. Takes memory
/// for each id it has seen: meant for one entity's history, not for a log.
#[derive(Debug, Clone, Default)]
pub struct SeenIds {
    seen: HashSet<EventId>,
}

impl SeenIds {
    /// Nothing seen.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the event was not seen before; from now on it was.
    pub fn is_first(&mut self, event: &Event) -> bool {
        event.id.as_ref().is_none_or(|id| self.seen.insert(id.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_first_once_and_no_id_always() {
        let mut seen = SeenIds::new();
        let event = Event::log("x").with_id("a");
        assert!(seen.is_first(&event));
        assert!(!seen.is_first(&event));
        assert!(seen.is_first(&Event::log("x").with_id("b")));
        assert!(seen.is_first(&Event::log("x")) && seen.is_first(&Event::log("x")));
    }
}
