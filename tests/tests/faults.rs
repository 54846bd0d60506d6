//! Faults under a ledger: whatever breaks, each event is where naq says it is.
//!
//! Every scenario writes down what it offers and is told, and holds that
//! against the whole stream afterwards (`naq_tests::ledger`). Here each is
//! played once and short; `just test-faults` plays them at full length, several
//! times each, from seeds that it prints.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "faults/batches.rs"]
mod batches;
#[path = "faults/guarantees.rs"]
mod guarantees;
#[path = "faults/network.rs"]
mod network;
#[path = "faults/processes.rs"]
mod processes;
#[path = "faults/servers.rs"]
mod servers;
#[path = "faults/spool.rs"]
mod spool;
#[path = "faults/streams.rs"]
mod streams;
#[path = "faults/together.rs"]
mod together;
#[path = "faults/words.rs"]
mod words;

use std::time::Duration;

use naq_core::config::NaqConfig;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// The same with a change to the section `events`.
fn events(
    mut config: NaqConfig,
    change: impl FnOnce(naq_core::config::EventsConfig) -> naq_core::config::EventsConfig,
) -> NaqConfig {
    config.events = change(config.events);
    config
}
