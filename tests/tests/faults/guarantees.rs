//! Each guarantee through breaks in the middle of what is under way.

use naq_core::config::Guarantee;
use naq_tests::faults::{Load, PATIENCE, Round, Scene, quick, rounds};
use naq_tests::ledger::{Case, Repeats};
use naq_tests::proxy::{Direction, FaultProxy};
use naq_tests::server::{NatsServer, Version};

use crate::{events, ms, secs};

/// Breaks connection and server under load, and holds the stream against the ledger.
async fn broken_within_batches(round: &mut Round, version: Version, guarantee: Guarantee) -> Case {
    let mut scene = Scene::on(NatsServer::builder().version(version)).await;
    if guarantee == Guarantee::AtLeastOnce {
        scene.repeats = Repeats::Counted;
    }
    let proxy = FaultProxy::start(scene.server.address()).await;
    let config = events(quick(&proxy.url()), |events| events.with_guarantee(guarantee));
    let (program, producer) = scene.program("p1", config).await;
    let logging = producer.load(&Load::steady(round.seed));
    for _ in 0..round.choose(2, 6) {
        round.sometime(ms(400)).await;
        // Stored, and nobody is told.
        proxy.black_hole(Direction::ToClient);
        round.sometime(ms(100)).await;
        proxy.reset();
        proxy.heal();
        round.sometime(ms(400)).await;
        scene.server.kill();
        round.rest(ms(100), secs(1)).await;
        scene.server.restart().await;
    }
    round.sometime(ms(400)).await;
    logging.end().await;
    producer.settle(PATIENCE).await;
    producer.count();
    let case = scene.judge().await;
    program.stop().await;
    case
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
async fn at_least_once_breaks_within_batches_lose_nothing_and_count_repeats() {
    rounds("at_least_once", async |mut round| {
        let case = broken_within_batches(&mut round, Version::V2_15, Guarantee::AtLeastOnce).await;
        let with = case.readings.by_get.iter().filter(|found| found.message_id.is_some()).count();
        assert_eq!(with, 0, "an event has a message id");
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
