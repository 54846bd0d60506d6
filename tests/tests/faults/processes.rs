//! Programs that are killed or told to end; each is a real child process.

use std::path::Path;

use naq_core::config::SpoolMode;
use naq_services::DEFAULT_STOP_BUDGET;
use naq_tests::faults::{Child, Order, PATIENCE, Round, Scene, Stopped, Told, rounds};
use naq_tests::ledger::Line;
use naq_tests::proxy::{Direction, FaultProxy};
use naq_tests::wait;

use crate::spooling::{all_accepted_are_safe, all_spooled_are_safe, spooling, taken_over};
use crate::{ms, secs};

const BUFFER: u64 = 8 << 20;

/// How often acks are lost in a round.
const CYCLES: usize = 5;

/// What all cycles but the first may add to the memory that a program has when nothing
/// has to wait, in bytes: the allocator keeps more or less of what it was given back.
/// What the buffer held, left behind by each, would be more.
const MORE_IN_ALL: u64 = 3 * BUFFER;

pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_producer"))
}

/// An order to log on and on to the server at `url`.
pub(crate) fn order(scene: &Scene, round: &Round, url: &str) -> Order {
    order_with(scene, round, url, BUFFER)
}

/// The same with a buffer of so many bytes.
fn order_with(scene: &Scene, round: &Round, url: &str, buffer: u64) -> Order {
    let config = format!(
        "[connection]\nurl = \"{url}\"\nack_timeout = \"2s\"\nreconnect_backoff_max = \"200ms\"\n\
         [events]\nbuffer_max_bytes = \"{}MiB\"\nretry_backoff_max = \"200ms\"\n",
        buffer >> 20
    );
    Order {
        config,
        ledger: scene.book.path().to_owned(),
        producer: "p1".to_owned(),
        jobs: 6,
        told: Told::Half,
        pad: 300,
        rest: round.choose(ms(10), ms(4)),
        at_most: u64::MAX,
        seed: round.seed,
        file_limit: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_program_loses_at_most_the_end_of_what_nobody_acked() {
    rounds("program killed", async |mut round| {
        let scene = Scene::new().await;
        let mut child = Child::start(program(), &order(&scene, &round, &scene.server.url()));
        round.sometime(round.choose(ms(1_000), secs(3))).await;
        child.kill();
        scene.judge().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_spool_first_a_killed_program_loses_nothing_that_it_accepted() {
    rounds("program with spool killed", async |mut round| {
        let mut scene = Scene::new().await;
        let (order, spool) = spooling(&scene, &round, SpoolMode::Always);
        let mut child = Child::start(program(), &order);
        round.sometime(ms(1_000)).await;
        if round.random.bool() {
            scene.server.kill();
            round.sometime(ms(500)).await;
        }
        child.kill();
        if !scene.server.is_running() {
            scene.server.restart().await;
        }
        let (next, _) = taken_over(&scene, &spool).await;
        all_accepted_are_safe(&scene);
        scene.judge().await;
        next.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_spool_behind_a_killed_program_loses_nothing_that_it_said_is_on_disk() {
    rounds("program with spool killed in an outage", async |mut round| {
        let mut scene = Scene::new().await;
        let (order, spool) = spooling(&scene, &round, SpoolMode::Overflow);
        let mut child = Child::start(program(), &order);
        round.sometime(ms(500)).await;
        scene.server.kill();
        let some = round.random.u64(20..200);
        wait::until("receipts of the disk", PATIENCE, async || {
            scene.book.history().count(|fate| fate.spooled) > some
        })
        .await;
        round.sometime(ms(300)).await;
        if round.random.bool() {
            // While what was on disk goes to the server, as likely as not.
            scene.server.restart().await;
            round.sometime(ms(100)).await;
        }
        child.kill();
        if !scene.server.is_running() {
            scene.server.restart().await;
        }
        let (next, _) = taken_over(&scene, &spool).await;
        all_spooled_are_safe(&scene);
        scene.judge().await;
        next.stop().await;
    })
    .await;
}

/// How many events wait when a program is told to end, at least.
const PENDING: u64 = 10_000;

/// An order to log what will wait, and some events that may get through before.
fn waiting(scene: &Scene, round: &Round, url: &str) -> Order {
    let mut order = order_with(scene, round, url, 4 * BUFFER);
    // One job, whose events nobody waits for.
    (order.jobs, order.at_most) = (1, PENDING + 2_000);
    (order.pad, order.rest) = (10, ms(0));
    order
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_told_to_end_stores_all_it_has_before_it_does() {
    rounds("SIGTERM, server alive", async |mut round| {
        let scene = Scene::new().await;
        let proxy = FaultProxy::start(scene.server.address()).await;
        let order = waiting(&scene, &round, &proxy.url());
        let mut child = Child::start(program(), &order);
        proxy.black_hole(Direction::ToServer);
        assert_eq!(child.next_line().trim(), "done");
        round.sometime(ms(500)).await;
        child.terminate();
        round.sometime(ms(500)).await;
        proxy.heal();
        let (code, said) = child.ended(PATIENCE).await;
        assert_eq!(code, Some(0), "{said}");
        let stopped = Stopped::read(&said);
        assert!(stopped.acked >= PENDING, "{stopped:?}");
        assert_eq!(stopped.pending + stopped.failed, 0, "{stopped:?}");
        all_accepted_are_safe(&scene);
        let case = scene.judge().await;
        assert_eq!(case.history.events.len() as u64, order.at_most);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_told_to_end_without_a_server_says_what_it_leaves_and_ends() {
    rounds("SIGTERM, server dead", async |mut round| {
        // Once, it takes what time a stop has: too long for every day.
        for twice in round.choose(&[true][..], &[true, false][..]) {
            let mut scene = Scene::new().await;
            let proxy = FaultProxy::start(scene.server.address()).await;
            // So slowly that most still wait when the server dies, whenever that is.
            proxy.throttle(Direction::ToServer, 64 << 10);
            let order = waiting(&scene, &round, &proxy.url());
            let mut child = Child::start(program(), &order);
            round.sometime(ms(50)).await;
            scene.server.kill();
            assert_eq!(child.next_line().trim(), "done");
            round.sometime(ms(500)).await;
            child.terminate();
            if *twice {
                // Two signals at once are one.
                wait::until("the program's end at once", secs(3), async || {
                    child.terminate();
                    child.is_over()
                })
                .await;
            }
            let (code, said) = child.ended(DEFAULT_STOP_BUDGET + secs(1)).await;
            assert_eq!(code, Some(2), "{said}");
            if !*twice {
                let stopped = Stopped::read(&said);
                assert!(stopped.pending + stopped.failed >= PENDING, "{said}");
            }
            scene.server.restart().await;
            scene.judge().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_acks_and_outages_fill_no_more_memory_than_the_buffer() {
    rounds("acks lost again and again", async |mut round| {
        let mut scene = Scene::new().await;
        let proxy = FaultProxy::start(scene.server.address()).await;
        let mut order = order(&scene, &round, &proxy.url());
        // Who waits for outcomes takes a round trip for each event. Without them what had to wait
        // is stored soon, and the buffer holds the same again in the next outage.
        (order.jobs, order.told, order.rest) = (12, Told::None, 4 * order.rest);
        // An event waits through an outage, and as long as a slow machine takes for the others.
        order.config.push_str("overflow = \"fail\"\ndelivery_timeout = \"110s\"\n");
        let mut child = Child::start(program(), &order);
        round.rest(ms(700), secs(2)).await;
        let (baseline, _) = child.memory();
        let mut held = Vec::new();
        for _ in 0..CYCLES {
            proxy.black_hole(Direction::ToClient);
            // At full length the buffer is full before that is over.
            round.rest(ms(700), secs(15)).await;
            proxy.reset();
            proxy.heal();
            scene.caught_up(order.jobs).await;
            round.sometime(ms(500)).await;
            held.push(child.memory().0);
        }
        // What a cycle takes is given back before the next one takes as much.
        assert!(held[CYCLES - 1] <= held[0] + MORE_IN_ALL, "{held:?}");
        scene.server.kill();
        round.rest(ms(500), secs(10)).await;
        scene.server.restart().await;
        let (_, peak) = child.memory();
        scene.book.write(&Line::Memory { baseline, peak, buffer: BUFFER });
        child.terminate();
        let (code, said) = child.ended(PATIENCE).await;
        assert_eq!(code, Some(0), "{said}");
        let case = scene.judge().await;
        let counters = &case.history.counters["p1"];
        let unsettled = counters.failed + counters.unknown;
        assert_eq!(unsettled, 0, "the delivery timeout was never over");
    })
    .await;
}
