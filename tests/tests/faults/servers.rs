//! Servers that die, are down for long, or were never there.

use std::time::Instant;

use naq_core::ErrorKind;
use naq_core::config::{ConnectPolicy, OverflowPolicy};
use naq_core::events::EventSink;
use naq_core::service::HealthState;
use naq_tests::faults::{Load, PATIENCE, Program, Round, Scene, quick, rounds};
use naq_tests::server::{NatsServer, ServerBuilder, Version};
use naq_tests::wait;

use crate::{events, ms, secs};

/// Kills the server under load, at any instant, and brings it back.
async fn kill_and_restart(server: ServerBuilder, round: &mut Round) {
    let mut scene = Scene::on(server).await;
    let (program, producer) = scene.program("p1", quick(&scene.server.url())).await;
    let logging = producer.load(&Load::steady(round.seed));
    round.sometime(round.choose(ms(500), secs(2))).await;
    scene.server.kill();
    wait::until("the outage to be seen", PATIENCE, async || {
        program.services.health().await.state() != HealthState::Healthy
    })
    .await;
    round.rest(ms(300), secs(2)).await;
    scene.server.restart().await;
    round.sometime(round.choose(ms(300), secs(2))).await;
    logging.end().await;
    scene.ends_well(program, &producer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_that_comes_back_costs_no_event() {
    rounds("server killed", async |mut round| {
        kill_and_restart(NatsServer::builder(), &mut round).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_that_syncs_always_costs_no_event() {
    rounds("server killed, sync always", async |mut round| {
        kill_and_restart(NatsServer::builder().sync_always(), &mut round).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_supported_server_keeps_the_same_promises() {
    rounds("server killed, each version", async |mut round| {
        let some = [Version::V2_10, Version::V2_14];
        let versions = round.choose(&some[..], &Version::ALL[..]);
        for version in versions {
            kill_and_restart(NatsServer::builder().version(*version), &mut round).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_beyond_the_delivery_timeout_is_told_for_each_event() {
    rounds("server down for long", async |mut round| {
        let mut scene = Scene::new().await;
        let config = events(quick(&scene.server.url()), |events| {
            events
                .with_delivery_timeout(ms(800))
                .with_buffer_max_events(400_usize)
                .with_overflow(OverflowPolicy::Fail)
        });
        let (program, producer) = scene.program("p1", config).await;
        let logging = producer.load(&Load::steady(round.seed).all_told());
        round.sometime(ms(400)).await;
        scene.server.kill();
        round.rest(ms(2_000), secs(6)).await;
        logging.end().await;
        wait::until("each event to have an outcome", PATIENCE, async || {
            producer.events.counters().pending == 0
        })
        .await;
        let counters = producer.events.counters();
        assert!(counters.unknown + counters.failed > 0, "{counters:?}");
        scene.server.restart().await;
        let mut n = 0;
        wait::until("events to flow again", PATIENCE, async || {
            n += 1;
            producer.log_acked("after", n, 10).await.is_ok()
        })
        .await;
        producer.count();
        scene.judge().await;
        program.services.stop().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_a_program_fails_in_time_or_begins_lazily() {
    rounds("server never up", async |mut round| {
        let mut scene = Scene::new().await;
        scene.server.kill();
        let mut config = quick(&scene.server.url());
        config.connection = config.connection.with_connect_timeout(secs(2));
        let start = Instant::now();
        let error = Program::refused(config.clone()).await;
        assert!([ErrorKind::Unavailable, ErrorKind::Timeout].contains(&error.kind()), "{error:?}");
        assert!(start.elapsed() < secs(2 + 1), "refused after {:?}", start.elapsed());

        config.connection = config.connection.with_connect_policy(ConnectPolicy::Lazy);
        let config = events(config, |events| {
            events.with_buffer_max_events(300_usize).with_overflow(OverflowPolicy::Fail)
        });
        let (program, producer) = scene.program("p1", config).await;
        let load = Load::steady(round.seed).all_told().at_once().ending_after(100);
        let logging = producer.load(&load);
        wait::until("the buffer to be full", PATIENCE, async || {
            let counters = producer.events.counters();
            counters.pending == 300 && counters.offered == 600
        })
        .await;
        round.sometime(ms(500)).await;
        scene.server.restart().await;
        logging.done().await;
        producer.settle(PATIENCE).await;
        assert_eq!(producer.events.counters().acked, 300);
        assert_eq!(producer.log_acked("after", 0, 10).await.unwrap().sequence, Some(301));
        producer.count();
        scene.judge().await;
        program.stop().await;
    })
    .await;
}
