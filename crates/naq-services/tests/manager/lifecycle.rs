//! Starting, failing to, stopping, hanging, being cancelled, and telling one's health.

use std::sync::Arc;
use std::time::Duration;

use naq_core::ErrorKind;
use naq_core::clock::{Clock, ManualClock};
use naq_core::service::{Health, HealthState, MockService, StopReport};
use naq_services::{ServiceManager, ServiceManagerBuilder, ShutdownReport};

use crate::support::{Base, Journal, Life, Middle, Stuck, StuckConfig, Top};

const SOON: Duration = Duration::from_secs(10);

fn with_clock(clock: &ManualClock) -> ServiceManagerBuilder {
    ServiceManager::builder().provide::<dyn Clock>(Arc::new(clock.clone()))
}

/// Polls until the journal says so, or ten seconds have passed.
async fn until_written(journal: &Journal, entries: &[&str]) {
    let written = async {
        while journal.entries() != entries {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(SOON, written).await;
    assert!(waited.is_ok(), "written is {:?}", journal.entries());
}

#[tokio::test]
async fn a_failed_start_stops_what_had_started_in_reverse() {
    let journal = Journal::default();
    let error = ServiceManager::builder()
        .register_with::<Base>(journal.life("base"))
        .register_with::<Middle>(journal.life("middle"))
        .register_with::<Top>(journal.failing("top"))
        .start()
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.get("service")), (ErrorKind::Unavailable, Some("top")));
    assert_eq!(
        journal.entries(),
        ["start base", "start middle", "fail top", "stop middle", "stop base"]
    );
}

#[tokio::test]
async fn a_rollback_goes_on_past_what_does_not_stop_and_names_it() {
    let journal = Journal::default();
    let error = ServiceManager::builder()
        .register_with::<Base>(journal.life("base"))
        .register_with::<Middle>(journal.failing_to_stop("middle"))
        .register_with::<Top>(journal.failing("top"))
        .start()
        .await
        .unwrap_err();
    assert_eq!(error.get("not_stopped"), Some("middle"));
    assert_eq!(journal.entries().last().map(String::as_str), Some("stop base"));
}

#[tokio::test]
async fn a_start_that_is_dropped_half_way_is_undone() {
    let journal = Journal::default();
    let start = ServiceManager::builder()
        .register_with::<Base>(journal.life("base"))
        .register_with::<Stuck>(StuckConfig(Stuck { in_start: true }))
        .start();
    let mut start = Box::pin(start);
    assert!(futures::poll!(&mut start).is_pending());
    assert_eq!(journal.entries(), ["start base"]);
    drop(start);
    until_written(&journal, &["start base", "stop base"]).await;
}

#[test]
fn a_start_that_is_dropped_outside_of_a_runtime_lets_go_of_what_had_started() {
    let journal = Journal::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let start = ServiceManager::builder()
        .register_with::<Base>(journal.life("base"))
        .register_with::<Stuck>(StuckConfig(Stuck { in_start: true }))
        .start();
    let mut start = Box::pin(start);
    assert!(runtime.block_on(async { futures::poll!(&mut start) }).is_pending());
    drop(runtime);
    drop(start);
    assert_eq!(journal.entries(), ["start base"]);
}

#[tokio::test]
async fn a_start_that_hangs_ends_with_the_time_it_is_given() {
    let (journal, clock) = (Journal::default(), ManualClock::new());
    let start = with_clock(&clock)
        .register_with::<Base>(journal.life("base"))
        .register_with::<Stuck>(StuckConfig(Stuck { in_start: true }))
        .start_timeout(Duration::from_secs(5))
        .start();
    let start = tokio::spawn(start);
    until_written(&journal, &["start base"]).await;
    clock.wait_for_sleepers(1, SOON).await.unwrap();
    clock.advance(Duration::from_secs(5));
    let error = start.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.get("service")), (ErrorKind::Timeout, Some("stuck")));
    assert_eq!(journal.entries(), ["start base", "stop base"]);
}

#[tokio::test]
async fn a_stop_that_hangs_does_not_keep_the_others_from_stopping() {
    let (journal, clock) = (Journal::default(), ManualClock::new());
    let services = with_clock(&clock)
        .register_with::<Base>(journal.life("base"))
        .register_with::<Stuck>(StuckConfig(Stuck { in_start: false }))
        .start()
        .await
        .unwrap();
    let stop = async {
        clock.wait_for_sleepers(1, SOON).await.unwrap();
        // All but the tenth that is kept for `base`.
        clock.advance(Duration::from_secs(27));
    };
    let (stopped, ()) = tokio::join!(services.stop(), stop);
    let error = stopped.unwrap_err();
    assert_eq!((error.kind(), error.get("services")), (ErrorKind::Timeout, Some("stuck")));
    assert_eq!(journal.entries(), ["start base", "stop base"]);

    let report = error.source_as::<ShutdownReport>();
    let report = report.expect("the source of a failed stop is its report");
    let names: Vec<&str> = report.services.iter().map(|stop| stop.name).collect();
    assert_eq!(names, ["stuck", "base"]);
    assert_eq!(report.services[0].took, Duration::from_secs(27));
}

#[tokio::test]
async fn a_stop_that_panics_does_not_keep_the_others_from_stopping() {
    let journal = Journal::default();
    let mut life = journal.starting("middle");
    life.expect_stop().returning(|_| panic!("a bug"));
    let services = ServiceManager::builder()
        .register_with::<Base>(journal.life("base"))
        .register_with::<Middle>(Life(life))
        .start()
        .await
        .unwrap();
    let error = services.stop().await.unwrap_err();
    assert_eq!((error.kind(), error.get("services")), (ErrorKind::Unexpected, Some("middle")));
    assert_eq!(journal.entries(), ["start base", "start middle", "stop base"]);
}

#[tokio::test]
async fn a_service_is_told_less_than_it_gets_so_that_its_own_report_comes_through() {
    let mut life = MockService::new();
    life.expect_start().returning(|| Ok(()));
    life.expect_stop()
        .withf(|within| *within == Duration::from_secs(28))
        .returning(|_| Ok(StopReport::default()));
    let services =
        with_clock(&ManualClock::new()).register_with::<Base>(Life(life)).start().await.unwrap();
    services.stop().await.unwrap();
}

#[tokio::test]
async fn work_left_undone_is_an_error_that_accounts_for_it() {
    let mut life = Journal::default().starting("base");
    life.expect_stop()
        .returning(|_| Ok(StopReport::default().with_acked(5).with_pending(3).with_failed(2)));
    let services =
        ServiceManager::builder().register_with::<Base>(Life(life)).start().await.unwrap();
    let error = services.stop().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    assert_eq!((error.get("pending"), error.get("refused")), (Some("3"), Some("2")));
}

#[tokio::test]
async fn stopping_twice_stops_once_and_tells_the_same() {
    let mut life = Journal::default().starting("base");
    life.expect_stop().times(1).returning(|_| Ok(StopReport::default().with_acked(5)));
    let services =
        ServiceManager::builder().register_with::<Base>(Life(life)).start().await.unwrap();
    let (first, second) = tokio::join!(services.stop(), services.stop());
    assert_eq!(first.unwrap().total(), StopReport::default().with_acked(5));
    assert_eq!(second.unwrap().total(), StopReport::default().with_acked(5));
}

#[tokio::test]
async fn a_stop_that_is_dropped_half_way_goes_on_with_the_next_call() {
    let (journal, clock) = (Journal::default(), ManualClock::new());
    let services = with_clock(&clock)
        .register_with::<Base>(journal.life("base"))
        .register_with::<Stuck>(StuckConfig(Stuck { in_start: false }))
        .start()
        .await
        .unwrap();
    let mut stop = Box::pin(services.stop());
    assert!(futures::poll!(&mut stop).is_pending());
    drop(stop);
    let stop = async {
        clock.wait_for_sleepers(1, SOON).await.unwrap();
        clock.advance(Duration::from_secs(27));
    };
    let (stopped, ()) = tokio::join!(services.stop(), stop);
    assert_eq!(stopped.unwrap_err().get("services"), Some("stuck"));
    assert_eq!(journal.entries(), ["start base", "stop base"]);
}

#[tokio::test]
async fn the_health_of_all_is_the_worst_and_names_the_slowest() {
    let mut slow = Journal::default().starting("base");
    slow.expect_health().returning(|| Health::healthy().with_latency(Duration::from_millis(80)));
    let mut ill = Journal::default().starting("middle");
    ill.expect_health().returning(|| Health::degraded("half of the buffer is full"));
    let services = ServiceManager::builder()
        .register_with::<Base>(Life(slow))
        .register_with::<Middle>(Life(ill))
        .start()
        .await
        .unwrap();
    let health = services.health().await;
    assert_eq!(health.state(), HealthState::Degraded);
    assert_eq!(health.slowest().map(|service| service.name), Some("base"));
    assert_eq!(
        health.to_string(),
        "degraded; middle is degraded: half of the buffer is full; slowest: base, 80ms"
    );
}

#[tokio::test]
async fn who_does_not_answer_is_unhealthy() {
    let clock = ManualClock::new();
    let services = with_clock(&clock).register::<Base>().register::<Stuck>().start().await.unwrap();
    let wait = async {
        clock.wait_for_sleepers(1, SOON).await.unwrap();
        clock.advance(Duration::from_secs(5));
    };
    let (health, ()) = tokio::join!(services.health(), wait);
    assert_eq!(health.get("base").map(|health| health.state), Some(HealthState::Healthy));
    assert_eq!(health.get("stuck").map(|health| health.state), Some(HealthState::Unhealthy));
}
