//! Who asks the keeper of a log while that digests what comes.

use std::sync::Arc;
use std::time::Duration;

use naq_core::events::{EventQueryExt, EventStats};
use naq_core::jetstream::JetStream;
use naq_core::service::Service;
use naq_events::EventService;
use naq_tests::backend::connect;
use naq_tests::behaviours::block_on;
use naq_tests::own_log::{Keeps, OwnLog};
use naq_tests::server::shared;
use naq_tests::wait;

const PATIENCE: Duration = Duration::from_secs(120);
const BUDGET: Duration = Duration::from_secs(10);
const BLOCK: u64 = 65_536;

/// The log begins so far before the end of a block.
const BEFORE: u64 = 400;

/// So many events come each time.
const SOME: u64 = 30;

#[test]
fn what_was_counted_beside_the_keeper_stays_counted_in_memory() {
    block_on(wait::within("the questions", PATIENCE, stays_counted(super::memory())));
}

#[test]
fn what_was_counted_beside_the_keeper_stays_counted_on_a_server() {
    block_on(wait::within("the questions", PATIENCE, async {
        stays_counted(connect(&shared().await.url()).await).await;
    }));
}

async fn ask(service: &EventService) -> EventStats {
    service.get_event_stats(None, None).await.unwrap()
}

/// A keeper begins to digest while questions are asked of its service, from two
/// sides, and is stopped amid that. What they have counted is removed behind them.
async fn stays_counted(js: Arc<dyn JetStream>) {
    let own = OwnLog::new(js, "beside");
    let stream = EventService::stream_config(&own.config).unwrap();
    own.js.create_stream(stream.with_first_sequence(BLOCK - BEFORE + 1)).await.unwrap();
    let (mut stored, mut digested) = (0, 0);
    for round in 0..40_u64 {
        let event = || ("log", br#"{"type":"log"}"#.to_vec());
        own.store((0..SOME).map(|_| event()).collect()).await;
        stored += SOME;
        let keeper = own.keeper().await;
        let kept = async |through| {
            wait::some("it to keep the log", PATIENCE, async || {
                let shown = keeper.keeper().await.unwrap();
                shown.filter(|shown| keeper.is_keeper() && shown.through >= through)
            })
            .await
        };
        if round % 8 == 0 {
            // For once it is the first.
            kept(BLOCK - BEFORE + stored).await;
        } else {
            tokio::time::sleep(Duration::from_micros(fastrand::u64(..20_000))).await;
        }
        let (one, other) = tokio::join!(ask(&keeper), ask(&keeper));
        for stats in [one, other] {
            let basis = stats.basis;
            assert_eq!(stats.total_events, stored, "{round}: {basis:?}");
            assert_eq!(basis.holes, BLOCK - BEFORE, "{round}: {basis:?}");
            assert_eq!(basis.from_digests + basis.read, stored, "{round}: {basis:?}");
        }
        if round % 3 > 0 {
            own.purge_below(BLOCK - BEFORE + 1 + stored).await;
        }
        digested += kept(0).await.digested;
        keeper.stop(BUDGET).await.unwrap();
        // What it leaves behind has all that was counted.
        let fresh = own.service(Keeps::Digests).await;
        let stats = ask(&fresh).await;
        assert_eq!((stats.total_events, stats.basis.holes), (stored, BLOCK - BEFORE), "{round}");
        fresh.stop(BUDGET).await.unwrap();
    }
    assert!(digested > 0 && digested <= stored, "{digested} of {stored}");
}
