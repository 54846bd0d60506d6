//! Every figure is that of a model which remembers all that was ever stored,
//! whatever becomes of the log, of its digests and of those who keep them.
//!
//! A log grows by several producers at once, and loses events by purges, by
//! age and by its own limits. It is asked through three services: one that has
//! just been started, and knows what digests are kept; one that was asked
//! before each loss, and has counted everything; and the log's keeper, where
//! there is one, also while it digests what comes. Keepers are stopped in order
//! or anywhere, and killed. Digests and indexes are damaged and deleted on the
//! way, and old digests get coarser. The model knows what each of them can
//! know, and so what is missing, and computes its answers anew from the events.
//!
//! | file | concept |
//! |---|---|
//! | `log.rs` | random events, and what is none |
//! | `model.rs` | what was stored, is there, and is in kept digests |
//! | `figures.rs` | the figures of events by plain loops |
//! | `cases.rs`, `expressions.rs` | filters, given and random ones, and ranges of time |
//! | `questions.rs` | random questions, and their answers side by side |
//! | `readings.rs` | random readings and histories, by an index or not |
//! | `story.rs` | what happens to one log, and who is asked meanwhile |
//! | `keeping.rs` | who keeps it, and how that ends |
//! | `losses.rs` | what it loses, and what becomes of digests and indexes |
//! | `killed.rs` | a keeper killed behind each number of words |
//! | `large.rs` | a log of more than a block |

mod cases;
mod expressions;
mod figures;
mod keeping;
mod killed;
mod large;
mod log;
mod losses;
mod model;
mod questions;
mod readings;
mod story;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use naq_core::config::EventsConfig;
use naq_core::jetstream::JetStream;
use naq_tests::behaviours::block_on;
use naq_tests::faults::{Keepers, Order, Told};
use naq_tests::server::shared;
use naq_tests::{backend, wait};

use self::killed::killed_anywhere;
use self::large::large;
use self::story::Story;

const DEADLINE: Duration = Duration::from_secs(170);

#[test]
fn figures_are_those_of_a_model_that_remembers_everything_in_memory() {
    block_on(told(8, async || super::memory()));
}

#[test]
fn figures_are_those_of_a_model_that_remembers_everything_on_a_server() {
    block_on(told(4, async || backend::connect(&shared().await.url()).await));
}

#[test]
fn figures_beside_keepers_whose_processes_are_killed_are_those_of_a_model() {
    let folder = tempfile::tempdir().unwrap();
    block_on(wait::within("the story", DEADLINE, async {
        let server = shared().await;
        // One of the kinds whose digests stay as they are.
        let seed = seed() / 4 * 4;
        let stories = [seed, seed + 2].map(async |seed| {
            let story = Story::new(backend::connect(&server.url()).await, seed);
            let order = order(&server.url(), story.config(), folder.path());
            let program = Path::new(env!("CARGO_BIN_EXE_producer"));
            story.kept_by(Keepers::new(program, order)).play().await;
        });
        join_all(stories).await;
    }));
}

/// An order to keep a log, and to log nothing.
fn order(url: &str, events: &EventsConfig, folder: &Path) -> Order {
    let EventsConfig { stream_name: name, keeper_lease: lease, .. } = events;
    let config = format!(
        "[connection]\nurl = \"{url}\"\n[events]\nstream = \"assume\"\nstream_name = \"{name}\"\n\
         subject_root = \"{name}\"\nkeeper = \"on\"\nkeeper_lease = \"{}ms\"\n",
        lease.as_millis()
    );
    Order {
        config,
        ledger: folder.join(name),
        producer: "keeper".to_owned(),
        jobs: 0,
        told: Told::None,
        pad: 0,
        rest: Duration::ZERO,
        at_most: 0,
        seed: 0,
        file_limit: None,
    }
}

#[test]
fn a_keeper_that_is_killed_anywhere_removes_nothing_that_is_not_counted_in_memory() {
    block_on(wait::within("the keepers", DEADLINE, killed_anywhere(seed())));
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
