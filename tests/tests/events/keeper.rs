//! Services that keep the log: alone, several, and one whose lease is torn
//! from its hands again and again.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use naq_core::config::{RetentionAges, StreamMode};
use naq_core::events::{CleanupRequest, Event, EventQuery, EventQueryExt, EventStats};
use naq_core::jetstream::{JetStream, PublishMessage};
use naq_core::kv::KvBucketExt;
use naq_core::service::Service;
use naq_events::EventService;
use naq_tests::backend::connect;
use naq_tests::behaviours::block_on;
use naq_tests::own_log::{Keeps, OwnLog};
use naq_tests::server::shared;
use naq_tests::wait;

const DEADLINE: Duration = Duration::from_secs(120);
const BUDGET: Duration = Duration::from_secs(10);

#[test]
fn a_keeper_digests_what_comes_and_removes_what_is_too_old_in_memory() {
    block_on(wait::within("the keeper", DEADLINE, keeps(super::memory())));
}

#[test]
fn a_keeper_digests_what_comes_and_removes_what_is_too_old_on_a_server() {
    block_on(wait::within("the keeper", DEADLINE, async {
        keeps(connect(&shared().await.url()).await).await;
    }));
}

#[test]
fn keepers_that_lose_their_lease_again_and_again_do_no_harm_in_memory() {
    block_on(wait::within("the keepers", DEADLINE, are_disturbed(super::memory(), 5)));
}

#[test]
fn keepers_that_lose_their_lease_again_and_again_do_no_harm_on_a_server() {
    block_on(wait::within("the keepers", DEADLINE, async {
        are_disturbed(connect(&shared().await.url()).await, 5).await;
    }));
}

#[test]
fn digests_of_what_is_gone_go_when_they_are_too_old_in_memory() {
    block_on(wait::within("the digests", DEADLINE, digests_age(super::memory())));
}

#[test]
fn digests_of_what_is_gone_go_when_they_are_too_old_on_a_server() {
    block_on(wait::within("the digests", DEADLINE, async {
        digests_age(connect(&shared().await.url()).await).await;
    }));
}

#[test]
fn a_keeper_passes_over_blocks_of_which_nothing_was_left_to_digest_in_memory() {
    block_on(wait::within("the keeper", DEADLINE, passes_over(super::memory())));
}

#[test]
fn a_keeper_passes_over_blocks_of_which_nothing_was_left_to_digest_on_a_server() {
    block_on(wait::within("the keeper", DEADLINE, async {
        passes_over(connect(&shared().await.url()).await).await;
    }));
}

/// Stores jobs with heartbeats between them, three events each, in twenty minutes.
async fn store(own: &OwnLog, jobs: std::ops::Range<u64>) {
    let root = &own.config.subject_root;
    let messages = jobs.flat_map(|job| {
        let id = format!("j{job}");
        [
            ("job_started", Event::job_started(id.as_str(), "w", "q")),
            ("worker_heartbeat", Event::worker_heartbeat("w")),
            ("job_completed", Event::job_completed(id.as_str(), 0.5, true)),
        ]
        .map(|(kind, event)| {
            let begun = naq_core::Timestamp::from_nanos(1_700_000_000_000_000_000);
            let at = begun.saturating_add(Duration::from_secs(60 * (job % 20)));
            let payload = serde_json::to_vec(&event.with_timestamp(at)).unwrap();
            PublishMessage::new(format!("{root}.{kind}.{id}"), payload)
        })
    });
    own.publish(messages.collect()).await;
}

async fn messages(own: &OwnLog) -> u64 {
    own.info().await.state.messages
}

async fn stats(service: &EventService) -> EventStats {
    service.get_event_stats(None, None).await.unwrap()
}

/// Asserts that each of the events is counted, whether or not it is there still.
#[track_caller]
fn assert_counted(stats: &EventStats, jobs: u64) {
    assert_eq!((stats.basis.holes, stats.basis.undecided, stats.malformed), (0, 0, 0), "{stats:?}");
    for kind in ["job_started", "worker_heartbeat", "job_completed"] {
        assert_eq!(stats.event_types.get(kind), Some(&jobs), "{kind} in {stats:?}");
    }
}

async fn keeps(js: Arc<dyn JetStream>) {
    const OLD: u64 = 22_500;
    const JOBS: u64 = OLD + 500;
    let mut own = OwnLog::new(js, "keeper");
    let ages = RetentionAges::default().with_age("worker_heartbeat", Duration::from_secs(1));
    own.config = own.config.with_retention(ages);
    let reader = own.service(Keeps::Digests).await;
    store(&own, 0..OLD).await;
    // Old when the keeper looks first: it looks again after a minute.
    let old = CleanupRequest::new(Duration::from_secs(1)).with_dry_run(true);
    wait::until("the events to be a second old", DEADLINE, async || {
        reader.cleanup(old.clone()).await.unwrap().removed == 3 * OLD
    })
    .await;
    let keeper = own.keeper().await;
    let digested = async |sequence| {
        wait::some("the keeper to have digested all", DEADLINE, async || {
            let shown = keeper.keeper().await.unwrap();
            shown.filter(|shown| shown.through == sequence && shown.behind == 0)
        })
        .await
    };
    digested(3 * OLD).await;
    assert!(keeper.is_keeper());
    store(&own, OLD..JOBS).await;
    let shown = digested(3 * JOBS).await;
    assert_eq!((shown.trouble, shown.digested), (None, 3 * JOBS));

    // Whoever waits beside it learns who it is, and takes over when it ends.
    let other = own.keeper().await;
    wait::until("heartbeats to be removed", DEADLINE, async || {
        let shown = other.keeper().await.unwrap().unwrap();
        shown.removed > 0 && shown.last_removal_took.is_some() && messages(&own).await < 3 * JOBS
    })
    .await;
    assert!(!other.is_keeper());
    assert_counted(&stats(&other).await, JOBS);
    assert!(keeper.health().await.detail.contains("keeps the log"), "{:?}", keeper.health().await);
    keeper.stop(BUDGET).await.unwrap();
    wait::until("the other one to take over", DEADLINE, async || other.is_keeper()).await;

    // What the first one had is kept: a reader that keeps nothing finds all of it.
    let answer = stats(&*own.service(Keeps::Digests).await).await;
    assert_counted(&answer, JOBS);
    assert_eq!((answer.basis.from_digests, answer.basis.read), (3 * JOBS, 0));
    other.stop(BUDGET).await.unwrap();
    assert_eq!(reader.keeper().await.unwrap(), None, "both have ended in order");
    reader.stop(BUDGET).await.unwrap();
}

/// One whole block and a bit, of which the log has a part of the bit alone.
async fn digests_age(js: Arc<dyn JetStream>) {
    const BLOCK: u64 = 65_536;
    const JOBS: u64 = 22_000;
    const ALL: u64 = 3 * JOBS;
    let mut own = OwnLog::new(js, "keeper");
    let first = own.keeper().await;
    store(&own, 0..JOBS).await;
    let told = async |keeper: &EventService| keeper.keeper().await.unwrap();
    let has_digested = async |keeper: &EventService| {
        told(keeper).await.is_some_and(|told| (told.through, told.behind) == (ALL, 0))
    };
    let removed =
        async |keeper: &EventService| told(keeper).await.map_or(0, |told| told.digests_removed);

    // Who has no limit, or a long one, removes nothing; at its end it keeps all that it has.
    wait::until("all to be digested", DEADLINE, async || has_digested(&first).await).await;
    first.stop(BUDGET).await.unwrap();
    own.purge_below(ALL - 9).await;
    own.config.digest_max_age = Some(Duration::from_secs(3_600));
    let patient = own.keeper().await;
    wait::until("all to be digested", DEADLINE, async || has_digested(&patient).await).await;
    let mut signs = 0;
    let mut last = None;
    wait::until("signs of life", DEADLINE, async || {
        let sign = told(&patient).await.map(|told| told.renewed_at);
        signs += u32::from(std::mem::replace(&mut last, sign) != sign);
        signs > 2
    })
    .await;
    assert_eq!(removed(&patient).await, 0);
    patient.stop(BUDGET).await.unwrap();
    assert_counted(&stats(&*own.service(Keeps::Digests).await).await, JOBS);

    // Coarser it counts as much.
    own.config.digest_max_age = None;
    own.config.digest_hours_after = Some(Duration::from_secs(1));
    let coarsening = own.keeper().await;
    wait::until("the old digest to get coarser", DEADLINE, async || {
        told(&coarsening).await.is_some_and(|told| told.digests_coarsened == 1)
    })
    .await;
    coarsening.stop(BUDGET).await.unwrap();
    assert_counted(&stats(&*own.service(Keeps::Digests).await).await, JOBS);

    // Others have it in memory: for a tenth of the age that they know of.
    own.config.digest_max_age = Some(Duration::from_secs(3_600));
    own.config.digest_hours_after = None;
    let believes_long = own.service(Keeps::Digests).await;
    own.config.digest_max_age = Some(Duration::from_secs(1));
    let beside = own.service(Keeps::Digests).await;
    for service in [&believes_long, &beside] {
        assert_counted(&stats(service).await, JOBS);
    }
    let keeper = own.keeper().await;
    wait::until("the old digest to go", DEADLINE, async || removed(&keeper).await == 1).await;
    let fresh = own.service(Keeps::Digests).await;
    for service in [&fresh, &keeper] {
        let answer = stats(service).await;
        assert_eq!((answer.total_events, answer.basis.holes), (ALL - BLOCK, BLOCK), "{answer:?}");
        // What the log lacks of the block that grows is in its digest still.
        assert_eq!(answer.basis.from_digests, ALL - BLOCK);
    }
    wait::until("the one beside to look again", DEADLINE, async || {
        let answer = stats(&beside).await;
        (answer.total_events, answer.basis.holes) == (ALL - BLOCK, BLOCK)
    })
    .await;
    assert_counted(&stats(&believes_long).await, JOBS);
    for service in [fresh, beside, believes_long, keeper] {
        service.stop(BUDGET).await.unwrap();
    }
}

/// The end of a block, a block of one type, which goes before anybody digests
/// it, and the beginning of another one.
async fn passes_over(js: Arc<dyn JetStream>) {
    const BLOCK: u64 = 65_536;
    let mut own = OwnLog::new(js, "keeper");
    let ages = RetentionAges::default().with_age("worker_heartbeat", Duration::from_secs(1));
    own.config = own.config.with_retention(ages).with_stream(StreamMode::Assume);
    let stream = EventService::stream_config(&own.config).unwrap();
    own.js.create_stream(stream.with_first_sequence(BLOCK - 9)).await.unwrap();
    let events = |kind: &'static str, event: Event, count: u64| {
        vec![(kind, serde_json::to_vec(&event).unwrap()); count as usize]
    };
    own.store(events("job_started", Event::job_started("j", "w", "q"), 1)).await;
    own.store(events("worker_heartbeat", Event::worker_heartbeat("w"), 9)).await;
    own.store(events("noise", Event::new("noise"), BLOCK)).await;
    own.store(events("worker_heartbeat", Event::worker_heartbeat("w"), 5)).await;
    own.purge_type("noise").await;
    assert_eq!(messages(&own).await, 15);
    // Old when the keeper looks first: it looks again after a minute.
    let reader = own.service(Keeps::Digests).await;
    let old = CleanupRequest::new(Duration::from_secs(1)).with_dry_run(true);
    wait::until("the events to be a second old", DEADLINE, async || {
        reader.cleanup(old.clone()).await.unwrap().removed == 15
    })
    .await;
    let keeper = own.keeper().await;
    wait::until("heartbeats to go", DEADLINE, async || messages(&own).await == 1).await;
    assert_eq!(keeper.keeper_trouble(), None);
    let answer = stats(&reader).await;
    assert_eq!((answer.total_events, answer.basis.holes), (15, 2 * BLOCK - 10), "{answer:?}");
    keeper.stop(BUDGET).await.unwrap();
    reader.stop(BUDGET).await.unwrap();
}

/// Three that are ready, a lease that is deleted under them over and over,
/// so that several work at once, and one that removes what they digest.
async fn are_disturbed(js: Arc<dyn JetStream>, rounds: u64) {
    const JOBS: u64 = 5_000;
    let mut own = OwnLog::new(js, "keeper");
    own.config = own.config.with_retention(
        RetentionAges::default().with_age("worker_heartbeat", Duration::from_secs(1)),
    );
    let keepers = futures::future::join_all((0..3).map(|_| own.keeper())).await;
    let reader = own.service(Keeps::Digests).await;
    let leases = own.bucket("naq_keepers");
    let key = own.config.stream_name.clone();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let disturbing = async {
        let mut taken = 0;
        while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
            if leases.get(&key).await.unwrap_or_default().is_some() {
                leases.purge(&key).await.unwrap();
                taken += 1;
            }
            tokio::task::yield_now().await;
        }
        taken
    };
    let logging = async {
        for round in 0..rounds {
            store(&own, round * JOBS..(round + 1) * JOBS).await;
            wait::until("all heartbeats to be removed", DEADLINE, async || {
                let removed = reader.apply_retention(Duration::ZERO);
                removed.try_for_each(async |_| Ok(())).await.unwrap();
                messages(&own).await == 2 * JOBS * (round + 1)
            })
            .await;
            assert_counted(&stats(&reader).await, (round + 1) * JOBS);
            for keeper in &keepers {
                assert_counted(&stats(keeper).await, (round + 1) * JOBS);
            }
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    let (taken, ()) = tokio::join!(disturbing, logging);
    assert!(taken > 0, "nobody held a lease");
    for keeper in &keepers {
        keeper.stop(BUDGET).await.unwrap();
    }
    let another = own.service(Keeps::Digests).await;
    assert_counted(&stats(&another).await, rounds * JOBS);
}
