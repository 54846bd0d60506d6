//! What befalls an event log in the wild, on real servers: kills, missing
//! rights, wrong credentials, slow readers, other programs.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "scenarios/killed.rs"]
mod killed;
#[path = "scenarios/network.rs"]
mod network;
#[path = "scenarios/others.rs"]
mod others;
#[path = "scenarios/rights.rs"]
mod rights;
#[path = "scenarios/slow.rs"]
mod slow;
#[path = "scenarios/spooled.rs"]
mod spooled;
#[path = "scenarios/types.rs"]
mod types;
#[path = "scenarios/unreachable.rs"]
mod unreachable;

use naq_tests::faults::{PATIENCE, Program, quick};
