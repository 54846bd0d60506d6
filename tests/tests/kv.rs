//! The conformance suite of key-value stores, and what only a real server shows.
//!
//! On nats-server first, and naq-memory follows. On the latest server and in
//! memory each behaviour is a test; on the older servers, as older servers can,
//! and behind a box and an arc, the suite is one test that names each behaviour
//! that fails.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use naq_core::connection::SingleJetStream;
use naq_core::jetstream::{JetStream, ServerVersion};
use naq_core::kv::KvStore;
use naq_kv::KvStoreService;
use naq_memory::MemoryJetStream;
use naq_tests::behaviours::block_on;
use naq_tests::kv_conformance::{Subject, run_all, run_one};
use naq_tests::{backend, for_each_kv_behaviour, suite_tests};

#[path = "kv/interop.rs"]
mod interop;
#[path = "kv/restart.rs"]
mod restart;

for_each_kv_behaviour!(suite_tests);

fn store_on(js: &Arc<dyn JetStream>) -> KvStoreService {
    KvStoreService::new(SingleJetStream::provider(Arc::clone(js)))
}

/// A store on a connection of one's own to a server.
async fn connect(url: &str) -> Subject {
    let js = backend::connect(url).await;
    Subject::new(Arc::new(store_on(&js)), js)
}

fn memory() -> Subject {
    memory_as(naq_memory::VERSION)
}

fn memory_as(version: ServerVersion) -> Subject {
    let js: Arc<dyn JetStream> = Arc::new(MemoryJetStream::builder().version(version).build());
    Subject::new(Arc::new(store_on(&js)), js)
}

#[test]
fn memory_as_2_10_can_holds_every_behaviour() {
    block_on(async { run_all(&memory_as(ServerVersion::new(2, 10, 26))).await });
}

#[test]
fn memory_as_2_11_can_holds_every_behaviour() {
    block_on(async { run_all(&memory_as(ServerVersion::new(2, 11, 11))).await });
}

#[test]
fn a_store_in_a_box_in_an_arc_holds_every_behaviour() {
    let js: Arc<dyn JetStream> = Arc::new(MemoryJetStream::new());
    let boxed: Box<dyn KvStore> = Box::new(Arc::new(store_on(&js)));
    block_on(async { run_all(&Subject::new(Arc::new(boxed), js)).await });
}
