//! The conformance suite of key-value stores.
//!
//! On nats-server first, and naq-memory follows; behind a box and an arc, and as
//! older servers can, the suite is one test that names each behaviour that fails.

use std::future::Future;
use std::sync::Arc;

use naq_core::connection::SingleJetStream;
use naq_core::jetstream::{JetStream, ServerVersion};
use naq_core::kv::KvStore;
use naq_kv::KvStoreService;
use naq_memory::MemoryJetStream;
use naq_tests::for_each_kv_behaviour;
use naq_tests::kv_conformance::{Subject, run_all, run_one};

fn block_on(future: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(future);
}

fn store_on(js: &Arc<dyn JetStream>) -> KvStoreService {
    KvStoreService::new(SingleJetStream::provider(Arc::clone(js)))
}

fn memory(version: ServerVersion) -> Subject {
    let js: Arc<dyn JetStream> = Arc::new(MemoryJetStream::builder().version(version).build());
    Subject::new(Arc::new(store_on(&js)), js)
}

macro_rules! in_memory {
    ($($theme:ident { $($name:ident),* $(,)? })*) => {
        mod memory {
            $($(#[test] fn $name() {
                super::block_on(async {
                    super::run_one(stringify!($name), &super::memory(naq_memory::VERSION)).await;
                });
            })*)*
        }
    };
}

for_each_kv_behaviour!(in_memory);

#[test]
fn memory_as_2_10_can_holds_every_behaviour() {
    block_on(async { run_all(&memory(ServerVersion::new(2, 10, 26))).await });
}

#[test]
fn memory_as_2_11_can_holds_every_behaviour() {
    block_on(async { run_all(&memory(ServerVersion::new(2, 11, 11))).await });
}

#[test]
fn a_store_in_a_box_in_an_arc_holds_every_behaviour() {
    let js: Arc<dyn JetStream> = Arc::new(MemoryJetStream::new());
    let boxed: Box<dyn KvStore> = Box::new(Arc::new(store_on(&js)));
    block_on(async { run_all(&Subject::new(Arc::new(boxed), js)).await });
}
