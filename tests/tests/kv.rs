//! The conformance suite of key-value stores, and what only a real server shows.
//!
//! On nats-server first, and naq-memory follows. On the latest server and in
//! memory each behaviour is a test; on the older servers, as older servers can,
//! and behind a box and an arc, the suite is one test that names each behaviour
//! that fails.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::Future;
use std::sync::Arc;

use naq_core::connection::SingleJetStream;
use naq_core::jetstream::{JetStream, ServerVersion};
use naq_core::kv::KvStore;
use naq_kv::KvStoreService;
use naq_memory::MemoryJetStream;
use naq_tests::kv_conformance::{Subject, run_all, run_one};
use naq_tests::server::{NatsServer, Version, shared};
use naq_tests::{backend, for_each_kv_behaviour};

#[path = "kv/interop.rs"]
mod interop;
#[path = "kv/restart.rs"]
mod restart;

macro_rules! on_the_latest_server {
    ($($theme:ident { $($name:ident),* $(,)? })*) => {
        mod server {
            $($(#[test] fn $name() {
                super::block_on(async {
                    let server = super::shared().await;
                    let store = super::connect(&server).await;
                    super::run_one(stringify!($name), &store).await;
                });
            })*)*
        }
    };
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

for_each_kv_behaviour!(on_the_latest_server);
for_each_kv_behaviour!(in_memory);

fn block_on(future: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(future);
}

fn store_on(js: &Arc<dyn JetStream>) -> KvStoreService {
    KvStoreService::new(SingleJetStream::provider(Arc::clone(js)))
}

/// A store on a connection of one's own to a server.
async fn connect(server: &NatsServer) -> Subject {
    let js = backend::connect(&server.url()).await;
    Subject::new(Arc::new(store_on(&js)), js)
}

fn memory(version: ServerVersion) -> Subject {
    let js: Arc<dyn JetStream> = Arc::new(MemoryJetStream::builder().version(version).build());
    Subject::new(Arc::new(store_on(&js)), js)
}

fn on_version(version: Version) {
    block_on(async {
        let server = NatsServer::builder().version(version).start().await;
        run_all(&connect(&server).await).await;
    });
}

#[test]
fn server_2_10_holds_every_behaviour() {
    on_version(Version::V2_10);
}

#[test]
fn server_2_11_holds_every_behaviour() {
    on_version(Version::V2_11);
}

#[test]
fn server_2_12_holds_every_behaviour() {
    on_version(Version::V2_12);
}

#[test]
fn server_2_14_holds_every_behaviour() {
    on_version(Version::V2_14);
}

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
