//! The vocabulary of naq: the event model, the ports between its crates, their
//! options, and the one error type.
//!
//! This crate does no I/O and knows no NATS client. Each port is an
//! object-safe trait; implementations live in the crates above
//! (`naq-connection`, `naq-memory`, `naq-streams`, `naq-kv`, `naq-events`)
//! and meet only as `Arc<dyn Trait>`. With the feature `mock` each port has a
//! mock made by mockall.

#[macro_use]
mod forward;

pub mod clock;
pub mod config;
pub mod connection;
mod error;
pub mod events;
pub mod jetstream;
pub mod kv;
pub mod prelude;
pub mod secret;
pub mod service;
pub mod streams;
mod time;
pub mod token;

pub use error::{Error, ErrorKind, Result, RetryClass};
pub use time::Timestamp;

/// A boxed stream that owns all it needs, as ports return it.
pub type BoxStream<'a, T> = futures::stream::BoxStream<'a, T>;
