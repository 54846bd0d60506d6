//! Each guarantee through breaks in the middle of what is under way.

use naq_core::config::Guarantee;
use naq_core::events::EventSink;
use naq_tests::faults::{Load, PATIENCE, Round, Scene, Told, quick, rounds};
use naq_tests::ledger::{Case, Repeats};
use naq_tests::proxy::{Direction, FaultProxy};
use naq_tests::server::{NatsServer, Version};
use naq_tests::wait;

use crate::words::Words;
use crate::{events, ms, secs};

/// Breaks the connection behind what is stored then, and of which nobody is told.
async fn unanswered(round: &mut Round, proxy: &FaultProxy) {
    proxy.black_hole(Direction::ToClient);
    round.sometime(ms(100)).await;
    proxy.reset();
    proxy.heal();
}

/// Breaks connection and server under load, and holds the stream against the ledger.
async fn broken_within_batches(round: &mut Round, version: Version, guarantee: Guarantee) -> Case {
    let mut scene = Scene::on(NatsServer::builder().version(version)).await;
    if guarantee == Guarantee::AtLeastOnce {
        scene.repeats = Repeats::Counted;
    }
    let words = Words::listen(&scene).await;
    let proxy = FaultProxy::start(scene.server.address()).await;
    let config = events(quick(&proxy.url()), |events| events.with_guarantee(guarantee));
    let (program, producer) = scene.program("p1", config).await;
    // Nobody waits for outcomes: all of it goes in batches, where the server has any.
    let in_batches =
        Load { told: Told::None, job_prefix: "line".to_owned(), ..Load::steady(round.seed) };
    let logging = producer.load(&in_batches);
    let is_read_back = guarantee == Guarantee::ReadBack && version != Version::V2_12;
    wait::until("a break within a batch", PATIENCE, async || {
        round.sometime(ms(200)).await;
        unanswered(round, &proxy).await;
        match is_read_back {
            true => words.told().fenced > 0,
            false => producer.events.counters().retried > 0,
        }
    })
    .await;
    logging.end().await;
    let logging = producer.load(&Load::steady(round.seed));
    for _ in 0..round.choose(2, 6) {
        round.sometime(ms(400)).await;
        unanswered(round, &proxy).await;
        round.sometime(ms(400)).await;
        scene.server.kill();
        round.rest(ms(100), secs(1)).await;
        scene.server.restart().await;
    }
    round.sometime(ms(400)).await;
    logging.end().await;
    scene.ends_well(program, &producer).await
}

/// Servers with fast ingest: one of them, at full length all.
fn with_batches(round: &mut Round) -> Vec<Version> {
    let all = vec![Version::V2_15, Version::V2_14];
    let one = vec![all[round.random.usize(0..all.len())]];
    round.choose(one, all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_message_ids_breaks_within_batches_lose_and_repeat_nothing() {
    rounds("message_id", async |mut round| {
        for version in with_batches(&mut round) {
            let case = broken_within_batches(&mut round, version, Guarantee::MessageId).await;
            let all = case.readings.by_get.iter().all(|found| found.message_id.is_some());
            assert!(all, "an event has no message id");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_read_back_breaks_within_batches_lose_and_repeat_nothing() {
    rounds("read_back", async |mut round| {
        for version in with_batches(&mut round) {
            let case = broken_within_batches(&mut round, version, Guarantee::ReadBack).await;
            let without = case.readings.by_get.iter().filter(|found| found.message_id.is_none());
            assert!(without.count() > 0, "every event has a message id");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_read_back_a_fence_keeps_out_what_comes_late_over_the_old_connection() {
    rounds("read_back and late words", async |mut round| {
        let version = round.random.choice([Version::V2_15, Version::V2_14]).unwrap();
        // No batch ends because the server forgets it: the fence alone ends it.
        let server = NatsServer::builder().version(version).batch_timeout(10 * PATIENCE);
        let scene = Scene::on(server).await;
        let words = Words::listen(&scene).await;
        let proxy = FaultProxy::start(scene.server.address()).await;
        let mut config = events(quick(&proxy.url()), |events| {
            events.with_guarantee(Guarantee::ReadBack).with_buffer_max_events(1_000_usize)
        });
        config.connection = config.connection.with_ping_interval(secs(1));
        let (program, producer) = scene.program("p1", config).await;
        // As fast as there is room, so that there is a batch at any instant; and
        // receipts, which go beside it.
        let mut told = Load::steady(round.seed).all_told();
        (told.jobs, told.job_prefix, told.rest) = (1, "told".to_owned(), ms(50));
        let logging = [producer.load(&Load::flood(round.seed, "a")), producer.load(&told)];
        let mut strandings = 0;
        wait::until("late words, fenced off", PATIENCE, async || {
            round.sometime(ms(200)).await;
            let connections = proxy.accepted();
            proxy.strand();
            wait::until("another connection", PATIENCE, async || proxy.accepted() > connections)
                .await;
            let acked = producer.events.counters().acked;
            wait::until("what was in doubt to be stored", PATIENCE, async || {
                producer.events.counters().acked > acked + 500
            })
            .await;
            // Now the network comes back with what the old connection had sent.
            proxy.heal();
            strandings += 1;
            round.sometime(ms(200)).await;
            let heard = words.told();
            strandings >= round.choose(1, 3) && heard.late > 0 && heard.fenced > 0
        })
        .await;
        for logging in logging {
            logging.end().await;
        }
        scene.ends_well(program, &producer).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_least_once_breaks_within_batches_lose_nothing_and_count_repeats() {
    rounds("at_least_once", async |mut round| {
        for version in with_batches(&mut round) {
            let case = broken_within_batches(&mut round, version, Guarantee::AtLeastOnce).await;
            let with = case.readings.by_get.iter().filter(|found| found.message_id.is_some());
            assert_eq!(with.count(), 0, "an event has a message id");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_back_without_fast_ingest_uses_message_ids() {
    rounds("read_back on an old server", async |mut round| {
        let case = broken_within_batches(&mut round, Version::V2_12, Guarantee::ReadBack).await;
        assert!(case.readings.by_get.iter().all(|found| found.message_id.is_some()));
    })
    .await;
}
