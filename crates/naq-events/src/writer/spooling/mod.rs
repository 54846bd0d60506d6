//! What the server doesn't take goes to disk, and comes back in order.
//!
//! Events go past the spool as long as the server takes them. When it doesn't,
//! the session is ended, so that what it had comes first; then everything in
//! hand goes to the spool in the order of acceptance, and each later event
//! behind it. What is in the spool is read back, a bounded part at a time, and
//! sent. Once all of it is in hand, new events go past the spool again.
//!
//! ```text
//!  past:     log ──▶ schedule ──▶ session
//!  through:  log ──▶ queue ──▶ spool ──▶ schedule ──▶ session
//! ```
//!
//! | file | concept |
//! |---|---|
//! | `state.rs` | what the writer's lock has of it |
//! | `queue.rs` | what was accepted and is not in the spool yet |
//! | `turning.rs` | when events go through the spool, and when past it again |
//! | `keeping.rs` | from memory to disk: the steps under the lock |
//! | `fetching.rs` | from disk into the schedule: the steps under the lock |
//! | `keeper.rs` | the task that asks the disk, so that nobody else waits for it |
//! | `looking.rs` | what was read from the spool, until the stream said which of it it has |
//! | `doubts.rs` | whether an event that was sent before is in the stream |
//! | `views.rs` | what was known of the stream, and when |
//! | `opening.rs` | opening the spool at the start |
//! | `numbers.rs` | the account's numbers of events in the spool |

mod doubts;
mod fetching;
mod keeper;
mod keeping;
mod looking;
mod numbers;
mod opening;
mod queue;
mod state;
#[cfg(test)]
mod steps_tests;
mod turning;
mod views;

pub(super) use keeper::KeeperGuard;
pub(super) use keeping::{OnDisk, Otherwise, Withdrawal};
pub(crate) use opening::OpenedSpool;
pub(super) use state::Spooling;
pub(super) use views::StreamView;
