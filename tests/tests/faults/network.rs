//! Networks that lose answers, break anywhere, stand still, or are slow.

use std::collections::HashSet;

use naq_core::config::{EventsConfig, Size};
use naq_core::events::{EventQueryExt, EventSink};
use naq_core::service::HealthState;
use naq_tests::faults::{Load, PATIENCE, Producer, Program, Round, Scene, quick, rounds};
use naq_tests::ledger::Repeats;
use naq_tests::proxy::{Direction, FaultProxy};
use naq_tests::wait;

use crate::{events, ms, secs};

/// A program that reaches its server through a proxy.
async fn behind_a_proxy(
    scene: &Scene,
    change: impl FnOnce(EventsConfig) -> EventsConfig,
) -> (FaultProxy, Program, Producer) {
    let proxy = FaultProxy::start(scene.server.address()).await;
    let (program, producer) = scene.program("p1", events(quick(&proxy.url()), change)).await;
    (proxy, program, producer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acks_that_a_reset_loses_cost_no_event_and_store_none_twice() {
    rounds("acks lost", async |mut round| {
        let scene = Scene::new().await;
        let (proxy, program, producer) = behind_a_proxy(&scene, |events| events).await;
        let logging = producer.load(&Load::steady(round.seed));
        round.sometime(ms(500)).await;
        proxy.black_hole(Direction::ToClient);
        round.rest(ms(1_000), secs(10)).await;
        proxy.reset();
        proxy.heal();
        round.sometime(ms(500)).await;
        logging.end().await;
        scene.ends_well(program, &producer).await;
        // What was sent again was there, and the server says so where it speaks of single events.
        let counters = producer.events.counters();
        assert!(counters.duplicates > 0, "{counters:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_duplicate_window_repeats_are_counted_and_readers_see_none() {
    rounds("acks lost beyond the window", async |mut round| {
        let mut scene = Scene::new().await;
        scene.repeats = Repeats::Counted;
        let window = secs(1);
        let (proxy, program, producer) =
            behind_a_proxy(&scene, |events| events.with_duplicate_window(window)).await;
        let logging = producer.load(&Load::steady(round.seed));
        round.sometime(ms(500)).await;
        proxy.black_hole(Direction::ToClient);
        tokio::time::sleep(2 * window).await;
        proxy.reset();
        proxy.heal();
        round.sometime(ms(500)).await;
        logging.end().await;
        producer.settle(PATIENCE).await;
        producer.count();
        let case = scene.judge().await;
        let counters = producer.events.counters();
        assert!(counters.possible_duplicates > 0, "{counters:?}");
        assert!(case.repeated() > 0, "nothing is stored twice: {counters:?}");
        let history = producer.events.get_event_history("job0", 100_000).await.unwrap();
        let ids: HashSet<_> =
            history.events.iter().map(|recorded| format!("{:?}", recorded.event.id)).collect();
        assert_eq!(history.events.len(), ids.len(), "a reader sees an event twice");
        program.stop().await;
    })
    .await;
}

/// Resets or closes the connection behind random bytes, one way or the other.
async fn cut_anywhere(round: &mut Round, proxy: &FaultProxy, cuts: usize) {
    for _ in 0..cuts {
        let way = if round.random.bool() { Direction::ToServer } else { Direction::ToClient };
        let bytes = round.random.u64(0..round.choose(4_000, 60_000));
        let connections = proxy.accepted();
        if round.random.bool() {
            proxy.reset_after(way, bytes);
        } else {
            proxy.cut_after(way, bytes);
        }
        wait::until("a new connection", PATIENCE, async || proxy.accepted() > connections).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_reset_at_any_byte_loses_tears_and_repeats_nothing() {
    rounds("reset at any byte", async |mut round| {
        let scene = Scene::new().await;
        // A slow machine stores little between two cuts: the last events wait through most of
        // them.
        let patient = |events: EventsConfig| {
            events.with_delivery_timeout(secs(300)).with_buffer_max_bytes(Size::from_mib(16))
        };
        let (proxy, program, producer) = behind_a_proxy(&scene, patient).await;
        let logging = producer.load(&Load::steady(round.seed));
        let cuts = round.choose(10, 60);
        cut_anywhere(&mut round, &proxy, cuts).await;
        logging.end().await;
        scene.ends_well(program, &producer).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_frozen_server_stores_beyond_the_delivery_timeout_is_late_and_nothing_else_is() {
    let mut stored = 0;
    rounds("server frozen beyond the delivery timeout", async |mut round| {
        let mut scene = Scene::new().await;
        scene.unknown_may_be_late = true;
        let short = |events: EventsConfig| events.with_delivery_timeout(secs(1));
        let mut config = events(quick(&scene.server.url()), short);
        config.connection = config.connection.with_ping_interval(secs(1));
        let (program, producer) = scene.program("p1", config).await;
        // What ended unknown is known by its name.
        let logging = producer.load(&Load::steady(round.seed).all_told());
        for _ in 0..round.choose(1, 3) {
            round.sometime(ms(500)).await;
            let unknown = producer.events.counters().unknown;
            scene.server.pause().await;
            wait::until("an event to end unknown", PATIENCE, async || {
                producer.events.counters().unknown > unknown
            })
            .await;
            round.rest(secs(1), secs(3)).await;
            scene.server.resume();
            let acked = producer.events.counters().acked;
            wait::until("events to flow again", PATIENCE, async || {
                producer.events.counters().acked > acked + 50
            })
            .await;
        }
        logging.end().await;
        producer.count();
        stored += scene.judge().await.unknown_and_stored();
        program.services.stop().await.unwrap();
    })
    .await;
    assert!(stored > 0, "the server stored nothing that had ended unknown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_noticed_and_costs_no_event_when_it_goes_on() {
    rounds("server frozen", async |mut round| {
        let scene = Scene::new().await;
        let mut config = quick(&scene.server.url());
        config.connection = config.connection.with_ping_interval(secs(1));
        let (program, producer) = scene.program("p1", config).await;
        let logging = producer.load(&Load::steady(round.seed));
        round.sometime(ms(500)).await;
        scene.server.pause().await;
        // Within three pings that nobody answers, and a moment to look.
        wait::until("the freeze to be noticed", secs(4), async || {
            program.services.health().await.state() != HealthState::Healthy
        })
        .await;
        round.rest(ms(300), secs(13)).await;
        scene.server.resume();
        round.sometime(ms(500)).await;
        logging.end().await;
        scene.ends_well(program, &producer).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_over_a_slow_line_waits_until_all_is_stored() {
    rounds("slow line", async |mut round| {
        let scene = Scene::new().await;
        let (proxy, program, producer) = behind_a_proxy(&scene, |events| events).await;
        proxy.throttle(Direction::ToServer, 64 << 10);
        let mut load = Load::steady(round.seed).at_once().ending_after(40);
        load.pad = 1_000;
        // By tasks that don't wait: the stop finds all of it pending.
        let logging = producer.load(&load);
        wait::until("all to be accepted", PATIENCE, async || {
            producer.events.counters().offered == 240
        })
        .await;
        round.sometime(secs(1)).await;
        let stop = program.services.stop_within(secs(30));
        let report = producer.book.timed("stop", secs(30), stop).await.unwrap();
        assert!(report.is_clean(), "{report:?}");
        logging.done().await;
        producer.all_acked();
        producer.count();
        scene.judge().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_has_too_little_time_says_what_it_leaves() {
    rounds("slow line and little time", async |mut round| {
        let scene = Scene::new().await;
        let (proxy, program, producer) = behind_a_proxy(&scene, |events| events).await;
        proxy.throttle(Direction::ToServer, 16 << 10);
        let mut load = Load::steady(round.seed).all_told().at_once().ending_after(100);
        load.pad = 1_000;
        let logging = producer.load(&load);
        wait::until("all to be accepted", PATIENCE, async || {
            producer.events.counters().offered == 600
        })
        .await;
        round.sometime(secs(1)).await;
        let stop = program.services.stop_within(secs(1));
        let stopped = producer.book.timed("stop", secs(1), stop).await;
        assert!(stopped.is_err(), "300 KiB passed 16 KiB/s in a second: {stopped:?}");
        logging.done().await;
        let counters = producer.events.counters();
        assert!(counters.unknown + counters.failed > 0, "{counters:?}");
        proxy.heal();
        producer.count();
        scene.judge().await;
    })
    .await;
}
