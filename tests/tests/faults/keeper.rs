//! Keepers that are killed at any instant; each is a real child process.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use naq_core::clock::SystemClock;
use naq_core::config::{EventsConfig, KeeperMode, RetentionAges};
use naq_core::connection::SingleJetStream;
use naq_core::events::EventQueryExt;
use naq_core::service::Service;
use naq_events::EventService;
use naq_kv::KvStoreService;
use naq_streams::StreamService;
use naq_tests::backend;
use naq_tests::faults::{Child, PATIENCE, Scene, rounds};
use naq_tests::wait;

use crate::processes::{order, program};
use crate::{ms, secs};

/// A service that asks and removes, and is no keeper itself.
async fn asking(scene: &Scene) -> Arc<EventService> {
    let connections = SingleJetStream::provider(backend::connect(&scene.server.url()).await);
    let streams = Arc::new(StreamService::new(connections.clone()));
    let kv = Arc::new(KvStoreService::new(connections.clone()));
    let config = EventsConfig::default()
        .with_keeper(KeeperMode::Off)
        .with_retention(RetentionAges::default().with_age("*", Duration::from_secs(1)));
    let clock = Arc::new(SystemClock::new());
    let service = EventService::new(connections, streams, clock, config).unwrap();
    let service = service.with_digests(kv);
    service.start().await.unwrap();
    Arc::new(service)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_keeper_is_followed_by_another_and_no_event_is_counted_twice_or_not_at_all() {
    rounds("keeper killed", async |mut round| {
        let scene = Scene::new().await;
        let mut order = order(&scene, &round, &scene.server.url());
        order.config.push_str("keeper = \"on\"\nkeeper_lease = \"100ms\"\n");
        order.rest = ms(1);
        let long_lived = asking(&scene).await;
        let mut keepers = BTreeSet::new();
        let kills = round.choose(8, 50);
        for kill in 0..kills {
            order.producer = format!("p{kill}");
            let mut child = Child::start(program(), &order);
            let shown = wait::some("another keeper", PATIENCE, async || {
                let shown = long_lived.keeper().await.unwrap();
                shown.filter(|shown| !keepers.contains(&shown.keeper))
            })
            .await;
            keepers.insert(shown.keeper);
            round.sometime(round.choose(ms(700), secs(2))).await;
            child.kill();
            // What is old by now goes while digests are as the kill left them.
            let removed = long_lived.apply_retention(Duration::ZERO);
            removed.try_for_each(async |_| Ok(())).await.unwrap();
            for service in [&long_lived, &asking(&scene).await] {
                let stats = service.get_event_stats(None, None).await.unwrap();
                let basis = stats.basis;
                // Each sequence that the stream ever gave out is counted once.
                let counted = (stats.total_events + stats.malformed, basis.holes, basis.undecided);
                assert_eq!(counted, (basis.through, 0, 0), "kill {kill}: {stats:?}");
            }
        }
        assert_eq!(keepers.len(), kills);
        let client = scene.server.client().await;
        let jetstream = async_nats::jetstream::new(client);
        let state = jetstream.get_stream("events").await.unwrap().cached_info().state.clone();
        assert!(state.first_sequence > 1, "nothing was removed: {state:?}");
        assert!(state.last_sequence > 100, "too little was logged: {state:?}");
    })
    .await;
}
