//! Every figure is that of a model which remembers all that was ever stored,
//! whatever becomes of the log, of its digests and of those who keep them.
//!
//! A log grows by several producers at once, and loses events by purges, by
//! age and by its own limits. It is asked through three services: one that has
//! just been started, and knows what digests are kept; one that was asked
//! before each loss, and has counted everything; and the log's keeper, where
//! there is one. Digests are damaged and deleted on the way. The model knows
//! what each of them can know, and computes its answers anew from the events.
//!
//! | file | concept |
//! |---|---|
//! | `log.rs` | random events, and what is none |
//! | `model.rs` | what was stored, and its figures by plain loops |
//! | `questions.rs` | random questions, and their answers side by side |
//! | `story.rs` | what happens to one log, and who is asked meanwhile |

mod log;
mod model;
mod questions;
mod story;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use naq_core::jetstream::JetStream;
use naq_tests::behaviours::block_on;
use naq_tests::server::shared;
use naq_tests::{backend, wait};

use self::story::{Story, large};

const DEADLINE: Duration = Duration::from_secs(170);

#[test]
fn figures_are_those_of_a_model_that_remembers_everything_in_memory() {
    block_on(told(8, async || super::memory()));
}

#[test]
fn figures_are_those_of_a_model_that_remembers_everything_on_a_server() {
    block_on(told(3, async || backend::connect(&shared().await.url()).await));
}

#[test]
fn figures_of_several_blocks_are_those_of_a_model_in_memory() {
    let random = fastrand::Rng::with_seed(seed());
    block_on(wait::within("the log", DEADLINE, large(super::memory(), random)));
}

/// What all that is random comes from; told, so that it can be set again.
#[allow(clippy::print_stderr, reason = "a seed is for people")]
fn seed() -> u64 {
    let set = std::env::var("NAQ_EQUALITY_SEED").ok();
    let seed = set.map_or_else(|| fastrand::u64(..1_000_000_000), |seed| seed.parse().unwrap());
    eprintln!("NAQ_EQUALITY_SEED={seed}");
    seed
}

/// Tells so many stories at once: each waits now and then.
async fn told(stories: u64, connect: impl AsyncFn() -> Arc<dyn JetStream>) {
    let first = seed();
    let mut all = Vec::new();
    for seed in first..first + stories {
        all.push(Story::new(connect().await, seed).play());
    }
    wait::within("the stories", DEADLINE, join_all(all)).await;
}
