//! Programs that are killed or told to end; each is a real child process.

use std::path::Path;

use naq_core::events::EventSink;
use naq_tests::faults::{Child, Order, PATIENCE, Round, Scene, quick, rounds};
use naq_tests::ledger::{Line, Outcome};
use naq_tests::proxy::{Direction, FaultProxy};
use naq_tests::wait;

use crate::{events, ms, secs};

const BUFFER: u64 = 8 << 20;

pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_producer"))
}

/// An order to log on and on to the server at `url`.
pub(crate) fn order(scene: &Scene, round: &Round, url: &str) -> Order {
    let config = format!(
        "[connection]\nurl = \"{url}\"\nack_timeout = \"2s\"\nreconnect_backoff_max = \"200ms\"\n\
         [events]\nbuffer_max_bytes = \"{}MiB\"\nretry_backoff_max = \"200ms\"\n",
        BUFFER >> 20
    );
    Order {
        config,
        ledger: scene.book.path().to_owned(),
        producer: "p1".to_owned(),
        jobs: 6,
        pad: 300,
        rest: round.choose(ms(10), ms(4)),
        at_most: u64::MAX,
        seed: round.seed,
        file_limit: None,
    }
}

/// Writes down that nothing may be missing of what the program was told to be
/// safe before it ended: of what its call for acceptance, or a receipt, came back for.
pub(crate) fn all_accepted_are_safe(scene: &Scene) {
    let history = scene.book.history();
    // The odd jobs wait for outcomes: that naq has got their events isn't its word yet.
    let waits_for_acceptance = |job: &str| ["job0", "job2", "job4"].contains(&job);
    for id in history.open() {
        let fate = &history.events[&id];
        if fate.spooled || waits_for_acceptance(fate.series.trim_start_matches("p1-")) {
            scene.book.write(&Line::Acked { id, sequence: None });
        }
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
        let spool = scene.folder().join("spool");
        let mut order = order(&scene, &round, &scene.server.url());
        order
            .config
            .push_str(&format!("spool.dir = \"{}\"\nspool.mode = \"always\"\n", spool.display()));
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
        let config = events(quick(&scene.server.url()), |mut events| {
            events.spool = events.spool.with_dir(spool.clone());
            events
        });
        let (next, producer) = scene.program("p2", config).await;
        producer.log_acked("after", 0, 10).await.unwrap();
        wait::until("the spool to be empty", PATIENCE, async || {
            producer.events.counters().spooled == 0
        })
        .await;
        all_accepted_are_safe(&scene);
        scene.judge().await;
        next.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_told_to_end_stores_all_it_has_before_it_does() {
    rounds("SIGTERM, server alive", async |round| {
        let scene = Scene::new().await;
        let mut order = order(&scene, &round, &scene.server.url());
        // One job, whose events nobody waits for.
        (order.jobs, order.rest) = (1, ms(0));
        order.at_most = round.choose(2_000, 10_000);
        let mut child = Child::start(program(), &order);
        assert_eq!(child.next_line().trim(), "done");
        child.terminate();
        let (code, said) = child.ended(PATIENCE).await;
        assert_eq!(code, Some(0), "{said}");
        all_accepted_are_safe(&scene);
        let case = scene.judge().await;
        assert_eq!(case.history.events.len() as u64, order.at_most);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_told_to_end_without_a_server_says_what_it_leaves_and_ends() {
    rounds("SIGTERM, server dead", async |round| {
        // Once, it takes what time a stop has: too long for every day.
        for twice in round.choose(&[true][..], &[true, false][..]) {
            let mut scene = Scene::new().await;
            let mut order = order(&scene, &round, &scene.server.url());
            (order.jobs, order.at_most) = (1, 3_000);
            (order.pad, order.rest) = (10, ms(0));
            order.config.push_str("settle_timeout = \"1s\"\n");
            let mut child = Child::start(program(), &order);
            scene.server.kill();
            assert_eq!(child.next_line().trim(), "done");
            child.terminate();
            if *twice {
                // Two signals at once are one.
                wait::until("the program's end at once", secs(10), async || {
                    child.terminate();
                    child.is_over()
                })
                .await;
            }
            let (code, said) = child.ended(secs(60)).await;
            scene.server.restart().await;
            let unsettled = scene.book.history().count(|fate| fate.outcomes.is_empty());
            if unsettled == 3_000 {
                // All of it was pending when the server died: it can't end well.
                assert_eq!(code, Some(2), "{said}");
            }
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
        // Beyond all outages together: where the moments between them are too short, one event
        // waits through all.
        order.config.push_str("overflow = \"fail\"\ndelivery_timeout = \"110s\"\n");
        let mut child = Child::start(program(), &order);
        round.rest(ms(700), secs(2)).await;
        let (baseline, _) = child.memory();
        for _ in 0..round.choose(1, 3) {
            proxy.black_hole(Direction::ToClient);
            round.rest(ms(700), secs(20)).await;
            proxy.reset();
            proxy.heal();
            round.sometime(ms(500)).await;
        }
        scene.server.kill();
        round.rest(ms(500), secs(10)).await;
        scene.server.restart().await;
        let (_, peak) = child.memory();
        scene.book.write(&Line::Memory { baseline, peak, buffer: BUFFER });
        child.terminate();
        let (code, said) = child.ended(PATIENCE).await;
        assert_eq!(code, Some(0), "{said}");
        let case = scene.judge().await;
        let unknown = |end: &Outcome| matches!(end, Outcome::Unknown | Outcome::Failed(_));
        let unsettled = case.history.count(|fate| fate.outcomes.iter().any(unknown));
        assert_eq!(unsettled, 0, "the delivery timeout was never over");
    })
    .await;
}
