//! How long a program's calls may take, by its own configuration.

use std::time::Duration;

use naq_core::config::{EventsConfig, OverflowPolicy, SpoolMode};

/// How long the policy `spool` waits for a place on the disk.
const FOR_THE_DISK: Duration = Duration::from_secs(1);

/// The deadlines of calls that log the ledger's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadlines {
    /// Of a call that waits for acceptance.
    pub(super) accepting: Duration,
    /// Of a call that waits for the outcome.
    pub(super) telling: Duration,
}

impl Deadlines {
    /// Those of a service with this configuration, whose policy is one for all types.
    pub(super) fn of(config: &EventsConfig) -> Self {
        let spools_first = config.spool.dir.is_some() && config.spool.mode == SpoolMode::Always;
        let for_room = match config.overflow {
            OverflowPolicy::Wait => config.overflow_wait,
            OverflowPolicy::Spool => FOR_THE_DISK.min(config.overflow_wait),
            // Those that fail or drop do so at once.
            _ => Duration::ZERO,
        };
        Self {
            accepting: if spools_first { config.overflow_wait } else { for_room },
            telling: for_room + config.delivery_timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use naq_core::config::SpoolConfig;

    use super::*;

    #[test]
    fn who_does_not_wait_for_room_has_no_time_to_accept() {
        let of = |config: &EventsConfig| {
            let deadlines = Deadlines::of(config);
            (deadlines.accepting.as_secs(), deadlines.telling.as_secs())
        };
        let config = EventsConfig::default()
            .with_overflow_wait(Duration::from_secs(7))
            .with_delivery_timeout(Duration::from_secs(100));
        assert_eq!(of(&config), (7, 107));
        let mut config = config.with_overflow(OverflowPolicy::Fail);
        assert_eq!(of(&config), (0, 100));
        config.spool = SpoolConfig::in_folder("spool").with_mode(SpoolMode::Always);
        assert_eq!(of(&config), (7, 100));
    }
}
