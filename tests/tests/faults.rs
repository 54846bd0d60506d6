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
#[path = "faults/indexing.rs"]
mod indexing;
#[path = "faults/keeper.rs"]
mod keeper;
#[path = "faults/network.rs"]
mod network;
#[path = "faults/processes.rs"]
mod processes;
#[path = "faults/replicas.rs"]
mod replicas;
#[path = "faults/replicated_log.rs"]
mod replicated_log;
#[path = "faults/servers.rs"]
mod servers;
#[path = "faults/spool.rs"]
mod spool;
#[path = "faults/spooling.rs"]
mod spooling;
#[path = "faults/streams.rs"]
mod streams;
#[path = "faults/together.rs"]
mod together;
#[path = "faults/words.rs"]
mod words;

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, DiscardPolicy};
use naq_core::config::{NaqConfig, StreamMode};
use naq_tests::faults::{Scene, quick};

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

/// The stream as another program makes it, with fast ingest or without.
fn foreign(takes_batches: bool) -> Config {
    Config {
        name: "events".to_owned(),
        subjects: vec!["events.>".to_owned()],
        discard: DiscardPolicy::New,
        allow_direct: true,
        allow_batch_publish: takes_batches,
        ..Config::default()
    }
}

/// The server as a program without naq sees it.
async fn js(scene: &Scene) -> jetstream::Context {
    jetstream::new(scene.server.client().await)
}

/// A program that takes the stream as it is, and asks nothing about it.
fn assuming(url: &str) -> NaqConfig {
    events(quick(url), |events| events.with_stream(StreamMode::Assume))
}
