//! Which events of a block repeat one before them: the same event, stored again.

use std::collections::HashSet;
use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use naq_core::events::Event;

/// The ids of a block's events, as far as one process has counted them: at most
/// as many as a block has sequences.
///
/// Of each id 64 bits are kept. That two ids of a block agree in them happens
/// once in some billions of blocks: then an event counts as a repeat that is none.
#[derive(Debug, Clone, Default)]
pub(super) struct SeenInBlock {
    hasher: RandomState,
    seen: HashSet<u64, RandomState>,
}

impl SeenInBlock {
    /// Whether the event has the id of one that was asked about before. Events
    /// without an id are all different.
    pub(super) fn repeats(&mut self, event: &Event) -> bool {
        event.id.as_ref().is_some_and(|id| !self.seen.insert(self.hasher.hash_one(id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_repeats_one_with_its_id_and_none_without() {
        let mut seen = SeenInBlock::default();
        let ids = [Some("a"), Some("b"), None, Some("a"), None, Some("a")];
        let repeats = ids.map(|id| {
            let event = Event::log("x");
            seen.repeats(&id.into_iter().fold(event, |event, id| event.with_id(id)))
        });
        assert_eq!(repeats, [false, false, false, true, false, true]);
    }
}
