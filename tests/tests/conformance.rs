//! The conformance suite of the JetStream port.
//!
//! On nats-server first, and naq-memory follows. On the latest server and in
//! memory each behaviour is a test; on the older servers, and in memory behind a
//! box and an arc, the suite is one test that names each behaviour that fails.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use naq_core::jetstream::JetStream;
use naq_memory::MemoryJetStream;
use naq_tests::backend::connect;
use naq_tests::behaviours::block_on;
use naq_tests::conformance::{run_all, run_one};
use naq_tests::{for_each_behaviour, suite_tests};

for_each_behaviour!(suite_tests);

fn memory() -> Arc<dyn JetStream> {
    Arc::new(MemoryJetStream::new())
}

#[test]
fn memory_in_a_box_holds_every_behaviour() {
    let boxed: Box<dyn JetStream> = Box::new(MemoryJetStream::new());
    let js: Arc<dyn JetStream> = Arc::new(boxed);
    block_on(run_all(&js));
}

#[test]
fn memory_in_two_arcs_holds_every_behaviour() {
    let js: Arc<dyn JetStream> = Arc::new(memory());
    block_on(run_all(&js));
}
