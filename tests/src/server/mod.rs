//! nats-server processes for tests.
//!
//! A server listens on 127.0.0.1, on a port the kernel chose, and keeps its
//! store in a temporary folder. It ends with the [`NatsServer`], on a panic too,
//! and when the test process itself is killed. [`shared`] is one server for all
//! tests of a process that only take stream names of their own. A [`Cluster`] is
//! three of them that replicate streams.

mod binary;
mod cluster;
mod config;
mod process;
mod shared;
mod watchdog;

pub use binary::Version;
pub use cluster::Cluster;
pub use config::{ServerBuilder, User};
pub use process::NatsServer;
pub use shared::{SharedServer, shared};
