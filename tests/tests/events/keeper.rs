//! Services that keep the log: alone, several, and one whose lease is torn
//! from its hands again and again.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use naq_core::clock::SystemClock;
use naq_core::config::{EventsConfig, KeeperMode, RetentionAges, Size};
use naq_core::connection::SingleJetStream;
use naq_core::events::{CleanupRequest, Event, EventQuery, EventQueryExt, EventStats};
use naq_core::jetstream::{JetStream, PublishMessage, PurgeKeep, PurgeOptions};
use naq_core::kv::{KvBucketExt, KvStore};
use naq_core::service::Service;
use naq_events::EventService;
use naq_kv::KvStoreService;
use naq_streams::StreamService;
use naq_tests::backend::connect;
use naq_tests::behaviours::block_on;
use naq_tests::server::shared;
use naq_tests::{names, wait};

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

/// A log of one's own.
struct Own {
    js: Arc<dyn JetStream>,
    config: EventsConfig,
}

impl Own {
    fn new(js: Arc<dyn JetStream>) -> Self {
        let name = names::unique("keeper");
        let config = EventsConfig::default()
            .with_stream_name(name.as_str())
            .with_subject_root(name.as_str())
            .with_max_bytes(Size::from_mib(64))
            .with_keeper_lease(Duration::from_millis(200));
        Self { js, config }
    }

    async fn service(&self, keeper: KeeperMode) -> EventService {
        let connections = SingleJetStream::provider(Arc::clone(&self.js));
        let streams = Arc::new(StreamService::new(Arc::clone(&connections)));
        let config = self.config.clone().with_keeper(keeper);
        let clock = Arc::new(SystemClock::new());
        let service = EventService::new(connections, streams, clock, config).unwrap();
        let service = service.with_digests(self.kv());
        service.start().await.unwrap();
        service
    }

    fn kv(&self) -> Arc<dyn KvStore> {
        Arc::new(KvStoreService::new(SingleJetStream::provider(Arc::clone(&self.js))))
    }

    /// Stores jobs with heartbeats between them, three events each.
    async fn store(&self, jobs: std::ops::Range<u64>) {
        let root = self.config.subject_root.clone();
        let messages = jobs.flat_map(move |job| {
            let id = format!("j{job}");
            [
                ("job_started", Event::job_started(id.as_str(), "w", "q")),
                ("worker_heartbeat", Event::worker_heartbeat("w")),
                ("job_completed", Event::job_completed(id.as_str(), 0.5, true)),
            ]
            .map(|(kind, event)| {
                let at = naq_core::Timestamp::from_nanos(1_700_000_000_000_000_000);
                let payload = serde_json::to_vec(&event.with_timestamp(at)).unwrap();
                PublishMessage::new(format!("{root}.{kind}.{id}"), payload)
            })
        });
        let messages: Vec<_> = messages.collect();
        let published = self.js.publish_many(stream::iter(messages).boxed(), Default::default());
        published.try_for_each(async |_| Ok(())).await.unwrap();
    }

    async fn messages(&self) -> u64 {
        self.js.stream_info(&self.config.stream_name).await.unwrap().state.messages
    }
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
    let mut own = Own::new(js);
    let ages = RetentionAges::default().with_age("worker_heartbeat", Duration::from_secs(1));
    own.config = own.config.with_retention(ages);
    let reader = own.service(KeeperMode::Off).await;
    own.store(0..OLD).await;
    // Old when the keeper looks first: it looks again after a minute.
    let old = CleanupRequest::new(Duration::from_secs(1)).with_dry_run(true);
    wait::until("the events to be a second old", DEADLINE, async || {
        reader.cleanup(old.clone()).await.unwrap().removed == 3 * OLD
    })
    .await;
    let keeper = own.service(KeeperMode::On).await;
    let digested = async |sequence| {
        wait::some("the keeper to have digested all", DEADLINE, async || {
            let shown = keeper.keeper().await.unwrap();
            shown.filter(|shown| shown.through == sequence && shown.behind == 0)
        })
        .await
    };
    digested(3 * OLD).await;
    assert!(keeper.is_keeper());
    own.store(OLD..JOBS).await;
    let shown = digested(3 * JOBS).await;
    assert_eq!((shown.trouble, shown.digested), (None, 3 * JOBS));

    // Whoever waits beside it learns who it is, and takes over when it ends.
    let other = own.service(KeeperMode::On).await;
    wait::until("heartbeats to be removed", DEADLINE, async || {
        let shown = other.keeper().await.unwrap().unwrap();
        shown.removed > 0 && shown.last_removal_took.is_some() && own.messages().await < 3 * JOBS
    })
    .await;
    assert!(!other.is_keeper());
    assert_counted(&stats(&other).await, JOBS);
    assert!(keeper.health().await.detail.contains("keeps the log"), "{:?}", keeper.health().await);
    keeper.stop(BUDGET).await.unwrap();
    wait::until("the other one to take over", DEADLINE, async || other.is_keeper()).await;

    // What the first one had is kept: a reader that keeps nothing finds all of it.
    let answer = stats(&own.service(KeeperMode::Off).await).await;
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
    let mut own = Own::new(js);
    let first = own.service(KeeperMode::On).await;
    own.store(0..JOBS).await;
    let told = async |keeper: &EventService| keeper.keeper().await.unwrap();
    let has_digested = async |keeper: &EventService| {
        told(keeper).await.is_some_and(|told| (told.through, told.behind) == (ALL, 0))
    };
    let removed =
        async |keeper: &EventService| told(keeper).await.map_or(0, |told| told.digests_removed);

    // Who has no limit, or a long one, removes nothing; at its end it keeps all that it has.
    wait::until("all to be digested", DEADLINE, async || has_digested(&first).await).await;
    first.stop(BUDGET).await.unwrap();
    let keep = PurgeKeep::FromSequence(ALL - 9);
    let options = PurgeOptions::default().with_keep(keep);
    own.js.purge_stream(&own.config.stream_name, options).await.unwrap();
    own.config.digest_max_age = Some(Duration::from_secs(3_600));
    let patient = own.service(KeeperMode::On).await;
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
    assert_counted(&stats(&own.service(KeeperMode::Off).await).await, JOBS);

    own.config.digest_max_age = Some(Duration::from_secs(1));
    let keeper = own.service(KeeperMode::On).await;
    wait::until("the old digest to go", DEADLINE, async || removed(&keeper).await == 1).await;
    let fresh = own.service(KeeperMode::Off).await;
    for service in [&fresh, &keeper] {
        let answer = stats(service).await;
        assert_eq!((answer.total_events, answer.basis.holes), (ALL - BLOCK, BLOCK), "{answer:?}");
        // What the log lacks of the block that grows is in its digest still.
        assert_eq!(answer.basis.from_digests, ALL - BLOCK);
    }
    for service in [fresh, keeper] {
        service.stop(BUDGET).await.unwrap();
    }
}

/// Three that are ready, a lease that is deleted under them over and over,
/// so that several work at once, and one that removes what they digest.
async fn are_disturbed(js: Arc<dyn JetStream>, rounds: u64) {
    const JOBS: u64 = 5_000;
    let mut own = Own::new(js);
    own.config = own.config.with_retention(
        RetentionAges::default().with_age("worker_heartbeat", Duration::from_secs(1)),
    );
    let keepers = futures::future::join_all((0..3).map(|_| own.service(KeeperMode::On))).await;
    let reader = own.service(KeeperMode::Off).await;
    let leases = own.kv().bucket("naq_keepers").unwrap();
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
            own.store(round * JOBS..(round + 1) * JOBS).await;
            wait::until("all heartbeats to be removed", DEADLINE, async || {
                let removed = reader.apply_retention(Duration::ZERO);
                removed.try_for_each(async |_| Ok(())).await.unwrap();
                own.messages().await == 2 * JOBS * (round + 1)
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
    let another = own.service(KeeperMode::Off).await;
    assert_counted(&stats(&another).await, rounds * JOBS);
}
