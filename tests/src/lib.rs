//! The harness of naq's tests: real servers, faults, and waiting without sleeping.
//!
//! Each binary under `tests/tests/` is one theme. What several of them need is
//! here:
//!
//! - [`server`]: nats-server processes of the pinned versions, each with its own
//!   store and port, that cannot outlive the test;
//! - [`proxy`]: a TCP proxy that cuts, holds, slows and resets connections;
//! - [`command`], [`cargo`] and [`cli`]: running a program to its end, `naq` above all;
//! - [`backend`]: naq on such a server;
//! - [`conformance`]: what every JetStream does, one behaviour a function;
//! - [`kv_conformance`]: what every key-value store does, the same way;
//! - [`events_conformance`]: what every event log does, the same way;
//! - [`ledger`]: what was offered and answered, held against what is stored;
//! - [`faults`]: programs that log under a ledger while something breaks;
//! - [`driving`]: running the behaviours of a suite;
//! - [`timeless`]: a server that doesn't say what time it is;
//! - [`wait`]: polling a condition with a deadline;
//! - [`passing`]: a JetStream with something between, among these [`counting`],
//!   which counts what it hands out, and [`mortal`], which stops answering;
//! - [`own_log`]: an event log of one test alone, and who is asked about it;
//! - [`names`]: stream names nobody else takes;
//! - [`certs`] and [`accounts`]: what TLS and JWT servers want to see;
//! - [`markdown`]: the code blocks and links of README and docs.
//!
//! The harness fails a test by panicking, with what was waited for and, from a
//! server, the end of its log.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a harness fails its test by panicking")]

pub mod accounts;
pub mod backend;
pub mod behaviours;
pub mod cargo;
pub mod certs;
pub mod cli;
pub mod command;
pub mod conformance;
pub mod counting;
pub mod driving;
pub mod events_conformance;
pub mod faults;
pub mod kv_conformance;
pub mod ledger;
pub mod markdown;
pub mod mortal;
pub mod names;
pub mod own_log;
pub mod passing;
pub mod proxy;
pub mod server;
pub mod timeless;
pub mod wait;
