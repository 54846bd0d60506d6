//! Who gets what: dependencies read off the types, and everything that can be wrong with them.

use std::sync::Arc;

use naq_core::ErrorKind;
use naq_core::clock::{Clock, ManualClock};
use naq_services::{CheckReport, ServiceManager};

use crate::support::{Base, Floor, Journal, Middle, Rock, Roof, Top, toy};

toy!(Cellar = "cellar", (), |offers| offers.with::<dyn Floor>(|s| s));
toy!(Collector = "collector", (Vec<Arc<dyn Floor>>,), |offers| offers);
toy!(Modest = "modest", (Option<Arc<dyn Floor>>,), |offers| offers);
toy!(Timed = "timed", (Arc<dyn Clock>,), |offers| offers);
toy!(Impostor = "base", (), |offers| offers);

pub(crate) trait Left: Send + Sync + std::fmt::Debug {}
pub(crate) trait Right: Send + Sync + std::fmt::Debug {}
toy!(LeftToy = "left", (Arc<dyn Right>,), |offers| offers.with::<dyn Left>(|s| s));
toy!(RightToy = "right", (Arc<dyn Left>,), |offers| offers.with::<dyn Right>(|s| s));
impl Left for LeftToy {}
impl Right for RightToy {}

impl Floor for Cellar {
    fn level(&self) -> u8 {
        2
    }
}

fn told(report: &CheckReport) -> Vec<String> {
    assert!(report.problems.iter().all(|problem| problem.hint().is_some()), "{report}");
    report.problems.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn services_start_in_the_order_of_their_dependencies_however_they_were_registered() {
    let journal = Journal::default();
    let services = ServiceManager::builder()
        .register_with::<Top>(journal.life("top"))
        .register_with::<Middle>(journal.life("middle"))
        .register_with::<Base>(journal.life("base"))
        .start()
        .await
        .unwrap();
    services.stop().await.unwrap();
    let order = ["start base", "start middle", "start top", "stop top", "stop middle", "stop base"];
    assert_eq!(journal.entries(), order);
}

#[tokio::test]
async fn a_service_is_had_by_type_by_trait_and_by_name() {
    let services = ServiceManager::builder().register::<Base>().start().await.unwrap();
    let base = services.get::<Base>().unwrap();
    let floor = services.get::<dyn Floor>().unwrap();
    assert!(std::ptr::addr_eq(Arc::as_ptr(&base), Arc::as_ptr(&floor)));
    assert!(services.get_by_name("base").is_ok());

    let error = services.get::<dyn Roof>().unwrap_err();
    assert_eq!((error.kind(), error.get("interface")), (ErrorKind::NotFound, Some("dyn Roof")));
    let error = services.get_by_name("bass").unwrap_err();
    assert_eq!((error.kind(), error.hint()), (ErrorKind::NotFound, Some("there are: base")));
    services.stop().await.unwrap();
}

#[test]
fn everything_missing_is_named_with_who_wants_it() {
    let report = ServiceManager::builder().register::<Top>().register::<Middle>().check();
    let problems = told(&report);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("(interface: dyn Floor, wanted_by: top)"), "{problems:?}");
    assert!(problems[1].contains("(interface: dyn Floor, wanted_by: middle)"), "{problems:?}");
}

#[test]
fn a_circle_is_told_in_full() {
    let report = ServiceManager::builder().register::<LeftToy>().register::<RightToy>().check();
    assert_eq!(told(&report).len(), 1);
    assert_eq!(report.problems[0].get("cycle"), Some("left → right → left"));
}

#[test]
fn a_name_used_twice_is_told_with_both_services() {
    let report = ServiceManager::builder().register::<Base>().register::<Impostor>().check();
    assert_eq!(report.problems[0].get("services"), Some("Base, Impostor"));
    let report = ServiceManager::builder().register::<Base>().register::<Base>().check();
    assert_eq!(report.problems[0].hint(), Some("register each service once"));
}

#[test]
fn two_providers_are_an_error_only_where_one_is_wanted() {
    let both = || ServiceManager::builder().register::<Base>().register::<Cellar>();
    assert!(both().register::<Collector>().check().is_ok());
    for report in [both().register::<Middle>().check(), both().register::<Modest>().check()] {
        assert_eq!(told(&report).len(), 1);
        assert_eq!(report.problems[0].get("offered_by"), Some("base (Base), cellar (Cellar)"));
    }
}

#[tokio::test]
async fn a_list_takes_every_provider_there_is() {
    let services = ServiceManager::builder()
        .register::<Collector>()
        .register::<Base>()
        .register::<Cellar>()
        .provide::<dyn Floor>(Arc::new(Rock))
        .start()
        .await
        .unwrap();
    let mut levels: Vec<u8> = levels(&services.get::<Collector>().unwrap().deps.0);
    levels.sort_unstable();
    assert_eq!(levels, [0, 1, 2]);
    assert_eq!(services.get_all::<dyn Floor>().len(), 3);
    services.stop().await.unwrap();
}

#[tokio::test]
async fn a_provided_instance_wins_over_a_recipe_and_over_two() {
    let services = ServiceManager::builder()
        .register::<Middle>()
        .register::<Base>()
        .register::<Cellar>()
        .provide::<dyn Floor>(Arc::new(Rock))
        .start()
        .await
        .unwrap();
    assert_eq!(services.get::<Middle>().unwrap().deps.0.level(), 0);
    assert_eq!(services.get::<dyn Floor>().unwrap().level(), 0);
    services.stop().await.unwrap();
}

#[tokio::test]
async fn two_recipes_of_one_trait_can_run_but_not_be_had_as_one() {
    let services =
        ServiceManager::builder().register::<Base>().register::<Cellar>().start().await.unwrap();
    assert_eq!(services.get::<dyn Floor>().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(services.get_all::<dyn Floor>().len(), 2);
    services.stop().await.unwrap();
}

#[tokio::test]
async fn an_option_is_filled_where_somebody_offers_it_and_empty_else() {
    let services = ServiceManager::builder().register::<Modest>().start().await.unwrap();
    assert!(services.get::<Modest>().unwrap().deps.0.is_none());
    services.stop().await.unwrap();
    let services =
        ServiceManager::builder().register::<Modest>().register::<Base>().start().await.unwrap();
    assert!(services.get::<Modest>().unwrap().deps.0.is_some());
    services.stop().await.unwrap();
}

#[tokio::test]
async fn the_clock_is_the_systems_unless_one_is_provided() {
    let services = ServiceManager::builder().register::<Timed>().start().await.unwrap();
    services.stop().await.unwrap();

    let clock = ManualClock::new();
    let services = ServiceManager::builder()
        .register::<Timed>()
        .provide::<dyn Clock>(Arc::new(clock.clone()))
        .start()
        .await
        .unwrap();
    assert_eq!(services.get::<Timed>().unwrap().deps.0.now(), clock.now());
    services.stop().await.unwrap();
}

#[tokio::test]
async fn a_start_with_problems_tells_them_all_and_calls_nobody() {
    let journal = Journal::default();
    let error = ServiceManager::builder()
        .register_with::<Base>(journal.life("base"))
        .register::<Impostor>()
        .register::<LeftToy>()
        .start()
        .await
        .unwrap_err();
    assert!(error.is(ErrorKind::Config));
    let text = format!("{error:?}");
    for part in ["2 problems", "(1)", "(2)", "dyn Right", "same name", "try: (1)"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert!(journal.entries().is_empty());
}

#[test]
#[cfg(not(feature = "standard"))]
fn without_the_standard_recipes_a_missing_port_of_naq_names_the_crate_that_has_it() {
    toy!(Reader = "reader", (Arc<dyn naq_core::streams::StreamManager>,), |offers| offers);

    let report = ServiceManager::builder().register::<Reader>().check();
    assert!(told(&report)[0].contains("(interface: dyn StreamManager, wanted_by: reader)"));
    assert_eq!(
        report.problems[0].hint(),
        Some(
            "register::<StreamService>() of naq-streams, provide::<dyn StreamManager>(…), or turn \
             on the feature `standard` of naq-services"
        )
    );
}

fn levels(floors: &[Arc<dyn Floor>]) -> Vec<u8> {
    floors.iter().map(|floor| floor.level()).collect()
}
