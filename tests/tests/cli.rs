//! The command `naq` as a user meets it: what each command prints, and how it ends.
//!
//! Screens are snapshots beside the tests (`cli/snapshots/`); after a change
//! that is meant, `INSTA_UPDATE=always cargo test -p naq-tests --test cli` writes
//! them anew.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "cli/demo.rs"]
mod demo;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/endings.rs"]
mod endings;
#[path = "cli/indexes.rs"]
mod indexes;
#[path = "cli/live.rs"]
mod live;
#[path = "cli/logging.rs"]
mod logging;
#[path = "cli/reading.rs"]
mod reading;
#[path = "cli/refused.rs"]
mod refused;
#[path = "cli/retention.rs"]
mod retention;
#[path = "cli/screens.rs"]
mod screens;
#[path = "cli/spool.rs"]
mod spool;
#[path = "cli/stores.rs"]
mod stores;
#[path = "cli/support.rs"]
mod support;
