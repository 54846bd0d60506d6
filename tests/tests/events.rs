//! The conformance suite of event logs.
//!
//! On nats-server first, and naq-memory follows. On the latest server and in
//! memory each behaviour is a test; on the older servers the suite is one test
//! that names each behaviour that fails.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "events/bases.rs"]
mod bases;
#[path = "events/beside_keeper.rs"]
mod beside_keeper;
#[path = "events/digests.rs"]
mod digests;
#[path = "events/equality/mod.rs"]
mod equality;
#[path = "events/explained.rs"]
mod explained;
#[path = "events/following.rs"]
mod following;
#[path = "events/histories.rs"]
mod histories;
#[path = "events/index_gone.rs"]
mod index_gone;
#[path = "events/indexed_figures.rs"]
mod indexed_figures;
#[path = "events/indexes.rs"]
mod indexes;
#[path = "events/keeper.rs"]
mod keeper;
#[path = "events/lost_ends.rs"]
mod lost_ends;
#[path = "events/own_buckets.rs"]
mod own_buckets;
#[path = "events/sizes.rs"]
mod sizes;
#[path = "events/worn.rs"]
mod worn;

use std::sync::Arc;

use naq_core::jetstream::JetStream;
use naq_memory::MemoryJetStream;
use naq_tests::backend::connect;
use naq_tests::events_conformance::{run_all, run_one};
use naq_tests::{for_each_events_behaviour, suite_tests};

for_each_events_behaviour!(suite_tests);

fn memory() -> Arc<dyn JetStream> {
    Arc::new(MemoryJetStream::new())
}
