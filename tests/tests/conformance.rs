//! The conformance suite of the JetStream port.
//!
//! On nats-server first, and naq-memory follows. On the latest server and in
//! memory each behaviour is a test; on the older servers, and in memory behind a
//! box and an arc, the suite is one test that names each behaviour that fails.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::Future;
use std::sync::Arc;

use naq_core::jetstream::JetStream;
use naq_memory::MemoryJetStream;
use naq_tests::conformance::{run_all, run_one};
use naq_tests::server::{NatsServer, Version, shared};
use naq_tests::{backend, for_each_behaviour};

macro_rules! on_the_latest_server {
    ($($theme:ident { $($name:ident),* $(,)? })*) => {
        mod server_2_15 {
            $($(#[test] fn $name() {
                super::block_on(super::on_the_shared_server(stringify!($name)));
            })*)*
        }
    };
}

macro_rules! in_memory {
    ($($theme:ident { $($name:ident),* $(,)? })*) => {
        mod memory {
            $($(#[test] fn $name() {
                super::block_on(super::run_one(stringify!($name), &super::memory()));
            })*)*
        }
    };
}

for_each_behaviour!(on_the_latest_server);
for_each_behaviour!(in_memory);

fn block_on(future: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(future);
}

async fn on_the_shared_server(name: &str) {
    let server = shared().await;
    run_one(name, &backend::connect(&server.url()).await).await;
}

fn on_a_server(version: Version) {
    block_on(async {
        let server = NatsServer::builder().version(version).start().await;
        run_all(&backend::connect(&server.url()).await).await;
    });
}

fn memory() -> Arc<dyn JetStream> {
    Arc::new(MemoryJetStream::new())
}

#[test]
fn server_2_14_holds_every_behaviour() {
    on_a_server(Version::V2_14);
}

#[test]
fn server_2_12_holds_every_behaviour() {
    on_a_server(Version::V2_12);
}

#[test]
fn server_2_11_holds_every_behaviour() {
    on_a_server(Version::V2_11);
}

#[test]
fn server_2_10_holds_every_behaviour() {
    on_a_server(Version::V2_10);
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
