//! Keepers that are killed at any instant; each is a real child process.

use std::time::Duration;

use futures::TryStreamExt;
use naq_core::config::{EventsConfig, KeeperMode, RetentionAges};
use naq_core::events::{
    AnswerBasis, CleanupRequest, Event, EventQuery, EventQueryExt, EventSinkExt,
};
use naq_core::kv::KvBucketExt;
use naq_events::EventService;
use naq_tests::backend;
use naq_tests::faults::{Keepers, PATIENCE, Scene, rounds};
use naq_tests::own_log::{Keeps, OwnLog};
use naq_tests::wait;

use crate::processes::{order, program};
use crate::{ms, secs};

/// A process that has just been started reads at most so many events that
/// digests had before, and those that came since.
const UNKEPT: u64 = 32_000;

/// How long events are kept.
const AGE: Duration = secs(1);

/// What keepers are told, so that each removes what the ones before it have logged.
const KEEPER: &str =
    "keeper = \"on\"\nkeeper_lease = \"100ms\"\n[events.retention]\n\"*\" = \"1s\"\n";

/// The log of a scene, to be asked about and to remove from; nobody keeps it.
async fn log(scene: &Scene) -> OwnLog {
    let config = EventsConfig::default()
        .with_keeper(KeeperMode::Off)
        .with_retention(RetentionAges::default().with_age("*", AGE));
    OwnLog { js: backend::connect(&scene.server.url()).await, config }
}

/// Each sequence that the stream ever gave out is counted once.
async fn counted(service: &EventService, about: &str) -> AnswerBasis {
    let stats = service.get_event_stats(None, None).await.unwrap();
    let basis = stats.basis;
    let counted = (stats.total_events + stats.malformed, basis.holes, basis.undecided);
    assert_eq!(counted, (basis.through, 0, 0), "{about}: {stats:?}");
    basis
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_keeper_is_followed_by_another_and_no_event_is_counted_twice_or_not_at_all() {
    rounds("keeper killed", async |mut round| {
        let scene = Scene::new().await;
        let mut order = order(&scene, &round, &scene.server.url());
        order.config.push_str(KEEPER);
        order.rest = ms(1);
        let own = log(&scene).await;
        let long_lived = own.service(Keeps::Digests).await;
        let mut keepers = Keepers::new(program(), order);
        let mut removed_by_keepers = 0;
        let kills = round.choose(8, 17);
        for kill in 0..kills {
            let about = format!("kill {kill}");
            keepers.order.producer = format!("p{kill}");
            // Every second one is killed behind a removal, the others wherever they are.
            let has_removed = kill % 2 == 1;
            if has_removed {
                long_lived.log_event(Event::log("old")).await.unwrap();
                let old = CleanupRequest::new(2 * AGE).with_dry_run(true);
                wait::until("something to be old", PATIENCE, async || {
                    long_lived.cleanup(old.clone()).await.unwrap().removed > 0
                })
                .await;
            }
            let (child, mut keeper) = keepers.next(&long_lived).await;
            if has_removed {
                let removing =
                    async || keepers.shown(&long_lived).await.filter(|shown| shown.removed > 0);
                keeper = wait::some("the keeper to remove something", PATIENCE, removing).await;
                removed_by_keepers += keeper.removed;
            }
            round.sometime(round.choose(ms(700), secs(2))).await;
            keepers.kill(child, &keeper);

            // Who knows nothing by itself has what keepers left, and no other.
            let basis = counted(&*own.service(Keeps::Digests).await, &about).await;
            if has_removed {
                assert!(basis.first_sequence > 1, "{about}: {basis:?}");
                assert!(basis.from_digests >= keeper.removed, "{about}: {basis:?} {keeper:?}");
            }
            let since = basis.through - keeper.through.min(basis.through);
            assert!(basis.read <= UNKEPT + since, "{about}: {basis:?} {keeper:?}");
            counted(&long_lived, &about).await;
            if round.random.bool() {
                // What is old by now goes while digests are as the kill left them.
                let removed = long_lived.apply_retention(Duration::ZERO);
                removed.try_for_each(async |_| Ok(())).await.unwrap();
                counted(&*own.service(Keeps::Digests).await, &about).await;
                counted(&long_lived, &about).await;
            }
            // Without it the next one doesn't know when something was removed
            // last, and removes at once.
            own.bucket("naq_keepers").purge(&own.config.stream_name).await.unwrap();
        }
        assert_eq!(keepers.killed(), kills);
        assert!(removed_by_keepers > 0, "no keeper has removed anything");
        let state = own.info().await.state;
        assert!(state.first_sequence > 1, "nothing was removed: {state:?}");
        assert!(state.last_sequence > 100, "too little was logged: {state:?}");
    })
    .await;
}
