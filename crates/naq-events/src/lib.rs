//! The event log of naq: write, stream, look up, count.

mod analytics;
mod cleanup;
mod history;
mod query;
mod read;
mod redact;
mod service;
mod sink;
mod stats;
mod stream_setup;
mod writer;

pub use redact::{Redact, RedactFn};
pub use service::EventService;

pub mod prelude;
