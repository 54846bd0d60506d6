//! Leases, and when a service is ready to be the keeper.

use std::sync::Arc;
use std::time::Duration;

use naq_core::Timestamp;
use naq_core::clock::{Clock, ManualClock};
use naq_core::config::{EventsConfig, KeeperMode, StreamMode};
use naq_core::connection::SingleJetStream;
use naq_core::events::EventSubjects;
use naq_core::jetstream::{JetStream, PublishMessage};
use naq_core::kv::{KvBucketExt, KvStore};
use naq_core::service::Service;
use naq_kv::KvStoreService;
use naq_memory::MemoryJetStream;
use naq_streams::StreamService;

use super::card::KeeperStatus;
use super::lease::{BUCKET, Lease, Leases, Renewal};
use crate::made_up;
use crate::read::{Limits, Log};
use crate::service::EventService;

const TTL: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(20);

fn kv(js: &MemoryJetStream) -> Arc<dyn KvStore> {
    Arc::new(KvStoreService::new(SingleJetStream::provider(Arc::new(js.clone()))))
}

/// One who wants the lease.
struct One {
    leases: Leases,
    lease: Lease,
    status: KeeperStatus,
}

impl One {
    fn new(name: &str, js: &MemoryJetStream, clock: &ManualClock) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let connections = SingleJetStream::provider(Arc::new(js.clone()));
        let subjects = EventSubjects::default();
        let log = Log::new(
            connections,
            Arc::clone(&clock),
            "events",
            subjects,
            Limits::of(&EventsConfig::default()),
        );
        let leases = Leases::new(kv(js), log, Arc::clone(&clock), TTL);
        let status = KeeperStatus::new(name.to_owned(), clock.now(), TTL);
        Self { leases, lease: Lease::default(), status }
    }

    async fn takes(&mut self) -> bool {
        self.leases.take(&mut self.lease, &self.status).await.unwrap().is_some()
    }

    /// The server's time, as it makes it out.
    async fn server_time(&self) -> Timestamp {
        let sign = self.lease.sign().unwrap();
        self.leases.server_time(sign).await.unwrap().unwrap()
    }

    async fn leaves(&mut self) {
        self.leases.leave(&mut self.lease, &self.status.keeper).await.unwrap();
    }

    async fn renews(&mut self) -> bool {
        self.renewal().await == Renewal::Renewed
    }

    async fn renewal(&mut self) -> Renewal {
        self.leases.renew(&mut self.lease, &self.status).await.unwrap()
    }
}

#[tokio::test]
async fn a_lease_is_one_s_until_it_was_not_renewed_for_its_time() {
    let js = MemoryJetStream::new();
    // Clocks of two machines agree about nothing but how fast time goes by.
    let (clock, other) = (ManualClock::new(), ManualClock::starting_at(Timestamp::from_nanos(7)));
    let pass = |span| [&clock, &other].map(|clock| clock.advance(span));
    let (mut a, mut b) = (One::new("a", &js, &clock), One::new("b", &js, &other));
    assert!(a.takes().await && !b.takes().await);
    pass(TTL / 2);
    assert!(a.renews().await);
    pass(TTL / 2);
    assert!(!b.takes().await, "it was renewed meanwhile");
    pass(TTL - Duration::from_millis(1));
    assert!(!b.takes().await);
    pass(Duration::from_millis(1));
    a.status.through = 7;
    assert!(b.takes().await, "b has seen no sign of life for the whole time");
    // The one before learns of it, and is patient in turn.
    assert_eq!(a.renewal().await, Renewal::Taken);
    assert!(!a.takes().await);
    assert!(b.renews().await);
    assert_eq!(a.leases.shown().await.unwrap().unwrap().keeper, "b");
    b.leaves().await;
    assert!(a.takes().await, "what was given up is free at once");
    let shown = a.leases.shown().await.unwrap().unwrap();
    assert_eq!((shown.keeper.as_str(), shown.through), ("a", 7));
}

#[tokio::test]
async fn a_lease_is_given_up_though_its_last_sign_of_life_was_under_way() {
    let js = MemoryJetStream::new();
    let clock = ManualClock::new();
    let [mut a, mut same, mut b] = ["a", "a", "b"].map(|name| One::new(name, &js, &clock));
    assert!(a.takes().await && same.takes().await);
    // What the one has stored, the other has no answer of.
    assert!(a.renews().await);
    same.leaves().await;
    assert_eq!(same.leases.shown().await.unwrap(), None);
    // The lease of another one stays.
    assert!(b.takes().await);
    a.leaves().await;
    assert_eq!(b.leases.shown().await.unwrap().unwrap().keeper, "b");
}

#[tokio::test]
async fn the_server_s_time_is_never_ahead_however_long_a_sign_of_life_was_under_way() {
    const UNDER_WAY: Duration = Duration::from_secs(4);
    let clock = ManualClock::new();
    let js = MemoryJetStream::builder().clock(Arc::new(clock.clone())).build();
    let mut a = One::new("a", &js, &clock);
    assert!(a.takes().await);
    assert_eq!(a.server_time().await, clock.now());

    // The server stores it long after it was sent.
    js.faults().block();
    {
        let mut renewing = std::pin::pin!(a.renews());
        assert!(futures::poll!(&mut renewing).is_pending());
        clock.advance(UNDER_WAY);
        js.faults().unblock();
        assert!(renewing.await);
    }
    assert_eq!(a.server_time().await, clock.now());
    clock.advance(UNDER_WAY);
    assert_eq!(a.server_time().await, clock.now());

    // The answer of one is lost, and it is found later.
    let mut same = One::new("a", &js, &clock);
    assert!(same.takes().await);
    clock.advance(UNDER_WAY);
    assert!(same.renews().await && a.renews().await);
    assert_eq!(a.server_time().await, clock.now());
    assert!(same.renews().await);
    clock.advance(UNDER_WAY);
    assert!(a.renews().await);
    let late = a.server_time().await;
    assert!(late <= clock.now() && clock.now().since(late) <= UNDER_WAY, "{late}");
}

#[tokio::test]
async fn whoever_takes_over_learns_what_the_one_before_has_told() {
    let js = MemoryJetStream::new();
    let clock = ManualClock::new();
    let (mut a, mut b) = (One::new("a", &js, &clock), One::new("b", &js, &clock));
    a.status.last_removal = Some(Timestamp::from_nanos(9_000));
    assert!(a.takes().await && !b.takes().await);
    clock.advance(TTL);
    let before = b.leases.take(&mut b.lease, &b.status).await.unwrap().unwrap().unwrap();
    assert_eq!((before.keeper.as_str(), before.last_removal), ("a", a.status.last_removal));
    // What a stranger put there is waited for as long, and then replaced.
    kv(&js).bucket(BUCKET).unwrap().put("events", "no card").await.unwrap();
    assert!(!b.renews().await && !b.takes().await);
    clock.advance(TTL);
    assert!(b.takes().await);
}

#[tokio::test]
async fn a_lease_that_is_over_because_the_server_was_away_is_nobody_s() {
    let js = MemoryJetStream::new();
    let clock = ManualClock::new();
    let mut a = One::new("a", &js, &clock);
    assert!(a.takes().await);
    js.faults().disconnect();
    clock.advance(TTL - Duration::from_millis(1));
    a.leases.renew(&mut a.lease, &a.status).await.unwrap_err();
    clock.advance(Duration::from_millis(1));
    assert_eq!(a.renewal().await, Renewal::Silent);
    js.faults().reconnect();
    assert!(a.takes().await, "its own card is there still");
}

#[tokio::test]
async fn the_bucket_of_leases_is_made_with_the_log_s_replicas() {
    let (kv, asked) = made_up::no_store();
    let clock = Arc::new(ManualClock::new());
    let leases = Leases::new(kv, made_up::log_of_three(), clock, TTL);
    let status = KeeperStatus::new("a".to_owned(), Timestamp::from_nanos(1), TTL);
    leases.take(&mut Lease::default(), &status).await.unwrap_err();
    assert_eq!(*asked.lock().unwrap(), Some(3));
}

fn service(js: &MemoryJetStream, clock: &ManualClock, config: EventsConfig) -> EventService {
    let connections = SingleJetStream::provider(Arc::new(js.clone()));
    let streams = Arc::new(StreamService::new(Arc::clone(&connections)));
    let clock = Arc::new(clock.clone());
    EventService::new(connections, streams, clock, config).unwrap().with_digests(kv(js))
}

#[tokio::test]
async fn left_to_itself_a_service_is_ready_after_a_minute_and_not_before() {
    let js = MemoryJetStream::new();
    let clock = ManualClock::new();
    let service = service(&js, &clock, EventsConfig::default());
    service.start().await.unwrap();
    clock.wait_for_sleepers(1, PATIENCE).await.unwrap();
    clock.advance(Duration::from_millis(59_999));
    let buckets = kv(&js);
    assert!(buckets.bucket(BUCKET).unwrap().status().await.is_err(), "nobody wanted a lease");
    clock.advance(Duration::from_millis(1));
    let taken = async {
        while !service.is_keeper() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, taken).await.unwrap();
    service.stop(Duration::from_secs(5)).await.unwrap();
    assert!(!service.is_keeper());
    assert_eq!(service.keeper().await.unwrap(), None);
}

#[tokio::test]
async fn a_keeper_that_has_died_is_told_with_what_came_since() {
    let clock = ManualClock::new();
    let js = MemoryJetStream::builder().clock(Arc::new(clock.clone())).build();
    let keeper = service(&js, &clock, EventsConfig::default().with_keeper(KeeperMode::On));
    keeper.start().await.unwrap();
    let taken = async {
        while !keeper.is_keeper() {
            clock.advance(Duration::from_millis(100));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, taken).await.unwrap();
    drop(keeper);
    for n in 0..3 {
        let message = PublishMessage::new("events.log", format!(r#"{{"type":"log","n":{n}}}"#));
        js.publish(message).await.unwrap();
    }
    let asking = service(&js, &clock, EventsConfig::default().with_keeper(KeeperMode::Off));
    let told = asking.keeper().await.unwrap().unwrap();
    assert_eq!((told.through, told.behind, told.has_died()), (0, 3, false));
    clock.advance(Duration::from_secs(3_600));
    let told = asking.keeper().await.unwrap().unwrap();
    assert_eq!((told.behind, told.has_died()), (3, true));
    assert!(told.silent >= 3_600.0, "{told:?}");
}

#[tokio::test]
async fn who_may_only_publish_and_who_is_told_not_to_never_is() {
    for config in [
        EventsConfig::default().with_stream(StreamMode::Assume),
        EventsConfig::default().with_keeper(KeeperMode::Off),
        EventsConfig::default().with_digests(false),
    ] {
        let clock = ManualClock::new();
        let service = service(&MemoryJetStream::new(), &clock, config);
        service.start().await.unwrap();
        let before = clock.sleepers();
        service.stop(Duration::from_secs(5)).await.unwrap();
        assert_eq!((before, service.is_keeper()), (0, false), "nobody waits for its time");
    }
}

#[tokio::test]
async fn a_service_that_is_dropped_takes_its_keeper_with_it() {
    let js = MemoryJetStream::new();
    let clock = ManualClock::new();
    let service = service(&js, &clock, EventsConfig::default().with_keeper(KeeperMode::On));
    service.start().await.unwrap();
    clock.wait_for_sleepers(1, PATIENCE).await.unwrap();
    drop(service);
    let ended = async {
        while clock.sleepers() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
}

#[tokio::test]
async fn a_stop_that_has_no_time_left_waits_for_no_keeper() {
    let js = MemoryJetStream::new();
    let connections = SingleJetStream::provider(Arc::new(js.clone()));
    let streams = Arc::new(StreamService::new(Arc::clone(&connections)));
    let config = EventsConfig::default().with_keeper(KeeperMode::On);
    let clock = Arc::new(naq_core::clock::SystemClock::new());
    let service =
        EventService::new(connections, streams, clock, config).unwrap().with_digests(kv(&js));
    service.start().await.unwrap();
    // Whoever gives it a moment more than that hears its report, however long the writer took.
    assert!(futures::poll!(std::pin::pin!(service.stop(Duration::ZERO))).is_ready());
}
