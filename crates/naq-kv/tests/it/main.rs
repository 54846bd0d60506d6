//! The key-value service on a mock, for the order of calls and for failure, and on naq-memory.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod mocked;
mod mocked_many;
mod ports;
mod revisions;
mod service;
