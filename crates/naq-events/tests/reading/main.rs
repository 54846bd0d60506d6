//! The asking side of the service against a JetStream whose every answer the test gives.

// Helpers of tests are tests, wherever they stand.
#![allow(clippy::unwrap_used, clippy::panic)]

mod backward;
mod cleanup;
mod entity;
mod forward;
mod limits;
mod scans;
mod support;
mod until_time;
