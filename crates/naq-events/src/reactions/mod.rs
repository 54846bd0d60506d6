//! Reactions: code that runs when something happened.
//!
//! A *group* is a name with a filter. Every event that the filter means is
//! handed to one handler of one member of the group, in whichever process it
//! runs, once it is stored; a durable consumer of the group's name keeps the
//! position. What can't be handled becomes a *dead letter*, which somebody can
//! look at, have handled again by the group alone, or drop.
//!
//! ```
//! use std::sync::Arc;
//!
//! use naq_events::prelude::*;
//! use naq_events::reactions::{GroupStart, Outcome, ReactOptions, Reaction, ReactionService};
//! use naq_services::ServiceManager;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! # let config = naq_core::config::NaqConfig::from_vars([("NAQ_NATS_URL", "memory://reactions")])?;
//! let services = ServiceManager::builder()
//!     .config(config)
//!     .register::<EventService>()
//!     .register::<ReactionService>()
//!     .start()
//!     .await?;
//! let reactions = services.get::<ReactionService>()?;
//!
//! let (told, mut failures) = tokio::sync::mpsc::unbounded_channel();
//! let handler = move |reaction: Reaction| {
//!     let told = told.clone();
//!     async move {
//!         match told.send(reaction.recorded.event.job_id) {
//!             Ok(()) => Outcome::Done,
//!             Err(_) => Outcome::retry(),
//!         }
//!     }
//! };
//! let failed = Filter::new().event_type("job_failed");
//! let options = ReactOptions::default().with_start(GroupStart::Beginning);
//! reactions.react("pager", failed, handler, options).await?;
//!
//! let events = services.get::<EventService>()?;
//! events.log_job_failed("job-1", "no route", 0.1).await?;
//! assert_eq!(failures.recv().await, Some(Some("job-1".into())));
//! services.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//! - Every event that the filter means, and that is stored after the group's
//!   start and not removed from the log before it was fetched, is handed over
//!   at least once. It is acknowledged only when the handler is done with it or
//!   its dead letter is stored.
//! - Without a fault (a member that dies, a lost connection, a missed deadline)
//!   it is handed over exactly once.
//! - With [`GroupOrder::Entity`] the events of one job, worker or schedule are
//!   handled one after the other in stored order, retries included.
//! - A member that dies gives its events to another one within the group's
//!   ack wait; one that stops gives them back at once, but for what a fetch was
//!   bringing at that moment.
//!
//! | file | concept |
//! |---|---|
//! | `handler.rs` | what a user writes, is given, and answers |
//! | `options.rs` | how a group reacts |
//! | `group.rs` | the group's consumer, and what must not change about it |
//! | `service.rs` | the service: react, and its life |
//! | `member.rs` | a member's tasks |
//! | `feed.rs`, `feed_tests.rs` | fetching, and not more than can be handled |
//! | `queue.rs` | what was fetched and nobody has begun with |
//! | `work.rs` | one delivery, and those in hand |
//! | `worker.rs` | one event after the other, acknowledged together |
//! | `dispatch.rs` | one try, and what follows from its outcome |
//! | `last_try.rs` | what tells an event that was tried from one that was only handed over |
//! | `burial.rs` | storing what failed for good |
//! | `dead.rs`, `letters.rs` | dead letters: their form; list, replay, drop |
//! | `registry.rs` | what members tell one another |
//! | `groups.rs` | list, pause, resume, move, remove |
//! | `once.rs` | doing something once per event |
//! | `tally.rs` | counters |

mod burial;
mod dead;
mod dispatch;
mod feed;
mod group;
mod groups;
mod handler;
mod last_try;
mod letters;
mod member;
mod once;
mod options;
mod queue;
mod registry;
mod service;
mod tally;
mod work;
mod worker;

pub use dead::{DeadCause, DeadLetter};
pub use groups::{GroupStatus, SeekReport};
pub use handler::{Handler, MalformedReaction, Outcome, Reaction};
pub use letters::SelectLetters;
pub use once::{Doubt, Once};
pub use options::{GroupOrder, GroupSetup, GroupStart, ReactOptions};
pub use registry::GroupMember;
pub use service::{ReactionService, Reactor};
pub use tally::ReactionCounters;

/// The operation that errors of reacting name.
const REACT: &str = "react";
