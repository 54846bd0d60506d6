//! Which overflow policy an event has.

use std::collections::HashMap;

use naq_core::config::{EventsConfig, OverflowPolicy};
use naq_core::events::EventType;

/// The policies of all types.
#[derive(Debug)]
pub(super) struct Policies {
    of_others: OverflowPolicy,
    by_type: HashMap<EventType, OverflowPolicy>,
}

impl Policies {
    pub(super) fn new(config: &EventsConfig) -> Self {
        let by_type = &config.overflow_by_type;
        Self {
            of_others: config.overflow,
            by_type: by_type.iter().map(|(name, policy)| (name.into(), *policy)).collect(),
        }
    }

    /// What is done with an event of this type where there is no room.
    pub(super) fn of(&self, event_type: &EventType) -> OverflowPolicy {
        // Most programs have one policy, and asking for it is on the way of each event.
        if self.by_type.is_empty() {
            return self.of_others;
        }
        self.by_type.get(event_type).copied().unwrap_or(self.of_others)
    }

    /// Whether an accepted event of this type may be given up for another one.
    ///
    /// Only where its own policy drops: an event whose type waits or fails is
    /// not lost for the sake of a type that doesn't.
    pub(super) fn may_drop(&self, event_type: &EventType) -> bool {
        matches!(self.of(event_type), OverflowPolicy::DropNewest | OverflowPolicy::DropOldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_without_a_policy_of_its_own_has_that_of_all_others() {
        let config = EventsConfig::default()
            .with_overflow(OverflowPolicy::DropOldest)
            .with_overflow_by_type([("job_failed".to_owned(), OverflowPolicy::Wait)]);
        let policies = Policies::new(&config);
        assert_eq!(policies.of(&EventType::JobFailed), OverflowPolicy::Wait);
        assert!(!policies.may_drop(&EventType::JobFailed));
        assert_eq!(policies.of(&"invoice".into()), OverflowPolicy::DropOldest);
        assert!(policies.may_drop(&"invoice".into()));
    }
}
