//! The stream that a case begins with.

use naq_core::jetstream::{Discard, StreamConfig};
use proptest::option;
use proptest::prelude::{Strategy, any as anything};

/// Small limits, so that they are reached.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    max_messages: Option<u64>,
    max_messages_per_subject: Option<u64>,
    max_bytes: Option<u64>,
    max_message_size: Option<u64>,
    first_sequence: Option<u64>,
    discard_new: bool,
    discard_new_per_subject: bool,
    flags: Flags,
}

#[derive(Debug, Clone)]
struct Flags {
    direct: bool,
    rollup: bool,
    atomic: bool,
    deny_delete: bool,
    deny_purge: bool,
}

/// Any setup; what denies is rare.
pub(crate) fn any() -> impl Strategy<Value = Setup> {
    let limits = (
        option::of(1..12_u64),
        option::of(1..4_u64),
        option::weighted(0.3, 300..2_000_u64),
        option::weighted(0.3, 50..300_u64),
        option::weighted(0.2, 1..100_u64),
    );
    let discard = (anything::<bool>(), anything::<bool>());
    let flags = (
        anything::<bool>(),
        anything::<bool>(),
        anything::<bool>(),
        proptest::bool::weighted(0.1),
        proptest::bool::weighted(0.1),
    );
    (limits, discard, flags).prop_map(|(limits, discard, flags)| Setup {
        max_messages: limits.0,
        max_messages_per_subject: limits.1,
        max_bytes: limits.2,
        max_message_size: limits.3,
        first_sequence: limits.4,
        discard_new: discard.0,
        discard_new_per_subject: discard.1,
        flags: Flags {
            direct: flags.0,
            rollup: flags.1,
            atomic: flags.2,
            deny_delete: flags.3,
            deny_purge: flags.4,
        },
    })
}

impl Setup {
    /// As a configuration; it may be one that the server refuses, and then both must.
    pub(crate) fn config(&self, name: &str) -> StreamConfig {
        let mut config = StreamConfig::new(name, [format!("{name}.>")])
            .with_allow_direct(self.flags.direct)
            .with_allow_rollup(self.flags.rollup)
            .with_allow_atomic_publish(self.flags.atomic)
            .with_deny_delete(self.flags.deny_delete)
            .with_deny_purge(self.flags.deny_purge);
        config.max_messages = self.max_messages;
        config.max_messages_per_subject = self.max_messages_per_subject;
        config.max_bytes = self.max_bytes;
        config.max_message_size = self.max_message_size;
        config.first_sequence = self.first_sequence;
        if self.discard_new {
            config.discard = Some(Discard::New);
            config.discard_new_per_subject = Some(self.discard_new_per_subject);
        }
        config
    }
}
