//! The writing side of the service against a server that the test plays.

// Helpers of tests are tests, wherever they stand.
#![allow(clippy::unwrap_used, clippy::panic)]

mod account;
mod batching;
mod fast;
mod life;
mod losses;
mod order;
mod outcomes;
mod overflow;
mod read_back;
mod spooled;
mod support;
mod telling;
