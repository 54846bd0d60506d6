//! Who may what: producers, readers, and those who may nothing.

use std::time::Duration;

use futures::StreamExt;
use naq_core::ErrorKind;
use naq_core::config::{
    EventsConfig, KeeperMode, NaqConfig, RetentionAges, ServerConfig, StreamMode,
};
use naq_core::events::{
    CleanupRequest, Event, EventQuery, EventQueryExt, EventSink, EventSinkExt, ReadEvents,
};
use naq_core::kv::{BucketConfig, KeySelection, KvBucket, KvBucketExt, KvStore};
use naq_core::service::HealthState;
use naq_events::retention::CleanupSteps;
use naq_tests::server::{NatsServer, User};
use naq_tests::wait;

use crate::{Program, quick};

/// "Within seconds", with room for a busy machine; a missing right that is not
/// told takes the timeouts of a call, a retry and a start together.
const SECONDS: Duration = Duration::from_secs(8);

/// What the chapter on operating gives a reader.
const READER_API: [&str; 6] = [
    "$JS.API.STREAM.INFO.events",
    "$JS.API.CONSUMER.CREATE.events.>",
    "$JS.API.CONSUMER.MSG.NEXT.events.*",
    "$JS.API.CONSUMER.DELETE.events.*",
    "$JS.API.DIRECT.GET.events",
    "$JS.API.DIRECT.GET.events.>",
];

/// What it gives besides to who makes and cleans the stream.
const KEEPER_API: [&str; 4] = [
    "$JS.API.STREAM.CREATE.events",
    "$JS.API.STREAM.UPDATE.events",
    "$JS.API.STREAM.PURGE.events",
    "$JS.API.INFO",
];

/// What it gives besides the reader's to who digests the log and removes what is too old.
const DIGESTER_API: [&str; 10] = [
    "$JS.API.STREAM.MSG.GET.events",
    "$JS.API.STREAM.PURGE.events",
    "$JS.API.STREAM.INFO.KV_naq_digests",
    "$JS.API.STREAM.CREATE.KV_naq_digests",
    "$JS.API.STREAM.MSG.GET.KV_naq_digests",
    "$KV.naq_digests.>",
    "$JS.API.STREAM.INFO.KV_naq_keepers",
    "$JS.API.STREAM.CREATE.KV_naq_keepers",
    "$JS.API.STREAM.MSG.GET.KV_naq_keepers",
    "$KV.naq_keepers.>",
];

/// What it gives to a keeper by whom digests get too old.
const AGEING_API: [&str; 4] = [
    "$JS.API.CONSUMER.CREATE.KV_naq_digests.>",
    "$JS.API.CONSUMER.MSG.NEXT.KV_naq_digests.*",
    "$JS.API.CONSUMER.DELETE.KV_naq_digests.*",
    "$JS.API.DIRECT.GET.KV_naq_digests.>",
];

/// What it gives besides, so that nothing is left of them.
const ERASING_API: [&str; 1] = ["$JS.API.STREAM.PURGE.KV_naq_digests"];

/// What it gives besides the reader's to who runs `naq cleanup`.
const CLEANER_API: [&str; 6] = [
    "$JS.API.STREAM.PURGE.events",
    "$JS.API.STREAM.MSG.GET.events",
    "$JS.API.STREAM.INFO.KV_naq_digests",
    "$JS.API.STREAM.MSG.GET.KV_naq_digests",
    "$KV.naq_digests.>",
    "$JS.API.STREAM.CREATE.KV_naq_digests",
];

/// What of that it needs without digests, and of all types.
const PURGER_API: [&str; 1] = ["$JS.API.STREAM.PURGE.events"];

/// A server with one who may everything, one who may log, and one who may read.
async fn server() -> NatsServer {
    NatsServer::builder()
        .user(User::new("admin", "a"))
        .user(User::new("producer", "p").may_publish(["events.>"]).may_subscribe(["_INBOX.>"]))
        .user(User::new("own", "o").may_publish(["events.>"]).may_subscribe(["_INBOX_own.>"]))
        .user(
            User::new("keeper", "k")
                .may_publish(READER_API)
                .may_publish(KEEPER_API)
                .may_subscribe(["_INBOX.>"]),
        )
        .user(
            User::new("digester", "d")
                .may_publish(READER_API)
                .may_publish(DIGESTER_API)
                .may_subscribe(["_INBOX.>"]),
        )
        .user(
            User::new("ageing", "g")
                .may_publish(READER_API)
                .may_publish(DIGESTER_API)
                .may_publish(AGEING_API)
                .may_subscribe(["_INBOX.>"]),
        )
        .user(
            User::new("eraser", "e")
                .may_publish(READER_API)
                .may_publish(DIGESTER_API)
                .may_publish(AGEING_API)
                .may_publish(ERASING_API)
                .may_subscribe(["_INBOX.>"]),
        )
        .user(
            User::new("cleaner", "c")
                .may_publish(READER_API)
                .may_publish(CLEANER_API)
                .may_subscribe(["_INBOX.>"]),
        )
        .user(
            User::new("purger", "u")
                .may_publish(READER_API)
                .may_publish(PURGER_API)
                .may_subscribe(["_INBOX.>"]),
        )
        .user(User::new("reader", "r").may_publish(READER_API).may_subscribe(["_INBOX.>"]))
        .start()
        .await
}

fn assume(url: &str) -> NaqConfig {
    let mut config = quick(url);
    config.events = config.events.with_stream(StreamMode::Assume);
    // A call that is refused is told so at once, and not when its time is over.
    config.connection = config
        .connection
        .with_request_timeout(Duration::from_secs(30))
        .with_ack_timeout(Duration::from_secs(30));
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_with_the_right_to_publish_alone_logs() {
    let server = server().await;
    let admin = Program::on(&server.url_as("admin", "a")).await;
    let producer = Program::start(assume(&server.url_as("producer", "p"))).await.unwrap();
    for n in 0..50 {
        producer.events.log_job_progress("j", &n.to_string()).await.unwrap();
    }
    let receipt = producer.events.log_event_acked(Event::job_paused("j")).await.unwrap();
    assert_eq!(receipt.sequence, Some(51));
    let health = producer.services.health().await;
    assert_eq!(health.state(), HealthState::Healthy, "{health:?}");
    let history = admin.events.get_event_history("j", 100).await.unwrap();
    assert_eq!(history.events.len(), 51);

    let question = producer.events.get_event_stats(None, None);
    let error = wait::within("a refusal", SECONDS, question).await.unwrap_err();
    assert!(error.is(ErrorKind::PermissionDenied), "{error:?}");
    let mut reading = producer.events.read_events(ReadEvents::default());
    let error = wait::within("a refusal", SECONDS, reading.next()).await.unwrap().unwrap_err();
    assert!(error.is(ErrorKind::PermissionDenied), "{error:?}");
    let buckets = admin.services.get::<dyn KvStore>().unwrap();
    assert!(buckets.list_buckets().next().await.is_none(), "logging needs no bucket");
    producer.stop().await;
    admin.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_keeps_the_stream_makes_changes_and_cleans_it() {
    let server = server().await;
    let mut config = assume(&server.url_as("keeper", "k"));
    config.events = config.events.with_stream(StreamMode::Ensure);
    let keeper = Program::start(config.clone()).await.unwrap();
    keeper.stop().await;
    config.events = config.events.with_max_msgs(2_000_000_u64);
    let keeper = Program::start(config).await.unwrap();
    let mut producer = assume(&server.url());
    let own = ServerConfig::default()
        .with_url(server.url_as("own", "o").as_str())
        .with_inbox_prefix("_INBOX_own");
    producer.connection = producer.connection.with_server(own);
    let producer = Program::start(producer).await.unwrap();
    producer.events.log_event_acked(Event::job_paused("j")).await.unwrap();
    assert_eq!(keeper.events.get_event_history("j", 9).await.unwrap().events.len(), 1);
    assert_eq!(keeper.events.cleanup_old_events(Duration::from_secs(60)).await.unwrap().removed, 0);
    assert_eq!(keeper.events.cleanup_old_events(Duration::ZERO).await.unwrap().removed, 1);
    producer.stop().await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_digests_the_log_and_removes_what_is_old_needs_no_more_than_is_told() {
    let server = server().await;
    let admin = Program::on(&server.url_as("admin", "a")).await;
    admin.events.log_event_acked(Event::worker_heartbeat("w")).await.unwrap();
    admin.events.log_event_acked(Event::job_paused("j")).await.unwrap();
    let mut config = assume(&server.url_as("digester", "d"));
    config.events = config
        .events
        .with_keeper(KeeperMode::On)
        .with_keeper_lease(Duration::from_millis(300))
        .with_retention(
            RetentionAges::default().with_age("worker_heartbeat", Duration::from_secs(1)),
        );
    // What is old before anything else is: the first look is a minute before the next.
    wait::until("the events to be a second old", SECONDS, async || {
        admin
            .events
            .cleanup(CleanupRequest::new(Duration::from_secs(1)).with_dry_run(true))
            .await
            .unwrap()
            .removed
            == 2
    })
    .await;
    let keeper = Program::start(config).await.unwrap();
    let shown = wait::some("an event to be removed", SECONDS, async || {
        let trouble = keeper.events.keeper_trouble();
        assert_eq!(trouble, None);
        keeper.events.keeper().await.unwrap().filter(|shown| shown.removed > 0)
    })
    .await;
    assert_eq!((shown.removed, shown.through), (1, 2));
    let stats = keeper.events.get_event_stats(None, None).await.unwrap();
    assert_eq!((stats.total_events, stats.basis.holes, stats.stream_messages), (2, 0, 1));
    keeper.stop().await;
    assert_eq!(admin.events.keeper().await.unwrap(), None);

    // A reader that is told to has no right to, and says so.
    let mut config = assume(&server.url_as("reader", "r"));
    config.events = config.events.with_keeper(KeeperMode::On);
    let reader = Program::start(config).await.unwrap();
    let trouble =
        wait::some("what is in its way", SECONDS, async || reader.events.keeper_trouble());
    assert!(trouble.await.contains("permission"));
    assert_eq!(reader.services.health().await.state(), HealthState::Degraded);
    reader.stop().await;
    admin.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cleans_up_in_steps_needs_no_more_than_is_told() {
    let server = server().await;
    let admin = Program::on(&server.url_as("admin", "a")).await;
    for kind in ["paused", "resumed", "paused"] {
        admin.events.log_event_acked(Event::new(kind)).await.unwrap();
    }
    let all = || CleanupRequest::new(Duration::ZERO);
    let cleaner = Program::start(assume(&server.url_as("cleaner", "c"))).await.unwrap();
    let purger = Program::start(assume(&server.url_as("purger", "u"))).await.unwrap();
    let steps = CleanupSteps::default();
    let refused = purger.events.cleanup_in_steps(all(), steps, |_| {});
    let error = wait::within("a refusal", SECONDS, refused).await.unwrap_err();
    assert!(error.is(ErrorKind::PermissionDenied), "{error:?}");
    let cleanup = cleaner.events.cleanup_in_steps(all().with_event_type("paused"), steps, |_| {});
    assert_eq!(wait::within("a cleanup", SECONDS, cleanup).await.unwrap().removed, 2);
    let stats = admin.events.get_event_stats(None, None).await.unwrap();
    assert_eq!((stats.total_events, stats.basis.holes, stats.stream_messages), (3, 0, 1));
    let undigested = steps.with_digest_first(false);
    let cleanup = purger.events.cleanup_in_steps(all(), undigested, |_| {});
    assert_eq!(wait::within("a cleanup", SECONDS, cleanup).await.unwrap().removed, 1);
    for program in [cleaner, purger, admin] {
        program.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_without_the_right_to_look_does_not_start_unless_told_to_assume() {
    let server = server().await;
    let mut config = assume(&server.url_as("producer", "p"));
    for mode in [StreamMode::Ensure, StreamMode::Verify] {
        config.events = config.events.with_stream(mode);
        let start = Program::refused(config.clone());
        let error = wait::within("a refusal", SECONDS, start).await;
        assert!(error.is(ErrorKind::PermissionDenied), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_without_the_right_to_purge_reads_all_and_removes_nothing() {
    let server = server().await;
    let admin = Program::on(&server.url_as("admin", "a")).await;
    for n in 0..20 {
        admin.events.log_job_completed("j", f64::from(n), true).await.unwrap();
    }
    assert!(admin.events.flush(SECONDS).await.unwrap().is_clean());
    let mut config = assume(&server.url_as("reader", "r"));
    config.events = config.events.with_stream(StreamMode::Verify);
    let reader = Program::start(config).await.unwrap();
    let items: Vec<_> = reader.events.read_events(ReadEvents::default()).collect().await;
    assert_eq!(items.iter().filter(|item| item.as_ref().unwrap().event().is_some()).count(), 20);
    assert_eq!(reader.events.get_event_history("j", 100).await.unwrap().events.len(), 20);
    assert_eq!(reader.events.get_event_stats(None, None).await.unwrap().total_events, 20);
    let analytics = reader.events.get_event_analytics("job_completed", None, None).await.unwrap();
    assert_eq!(analytics.measures.total_count, 20);

    let cleanup = reader.events.cleanup_old_events(Duration::ZERO);
    let error = wait::within("a refusal", SECONDS, cleanup).await.unwrap_err();
    assert!(error.is(ErrorKind::PermissionDenied), "{error:?}");
    let logging = reader.events.log_event_acked(Event::log("x"));
    let error = wait::within("a refusal", SECONDS, logging).await.unwrap_err();
    assert!(error.is(ErrorKind::PermissionDenied), "{error:?}");
    let counters = reader.events.counters();
    assert_eq!((counters.failed, counters.pending), (1, 0), "{counters:?}");
    assert_eq!(admin.events.get_event_stats(None, None).await.unwrap().total_events, 20);
    reader.services.stop().await.unwrap();
    admin.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_are_told_within_seconds_and_shown_to_nobody() {
    let server = server().await;
    for url in [server.url_as("admin", "hunter2"), server.url_as("nobody", "hunter2"), server.url()]
    {
        let mut config = quick(&url);
        config.connection = config.connection.with_connect_timeout(Duration::from_secs(30));
        let error = wait::within("a refusal", SECONDS, Program::refused(config)).await;
        assert!(error.is(ErrorKind::AuthFailed), "{error:?}");
        assert!(error.hint().is_some(), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_differs_is_a_conflict_for_who_verifies() {
    let server = NatsServer::start().await;
    let program = Program::on(&server.url()).await;
    let mut config = quick(&server.url());
    let other = EventsConfig::default().with_stream(StreamMode::Verify).with_max_msgs(7_u64);
    config.events = other;
    let error = Program::refused(config).await;
    assert!(error.is(ErrorKind::Conflict), "{error:?}");
    let mut missing = quick(&server.url());
    missing.connection =
        missing.connection.with_server(ServerConfig::default().with_url(server.url().as_str()));
    missing.events = EventsConfig::default().with_stream(StreamMode::Verify).with_stream_name("no");
    let error = Program::refused(missing).await;
    assert!(error.is(ErrorKind::NotFound), "{error:?}");
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_erase_digests_leaves_markers_for_one_who_may() {
    let server = server().await;
    let admin = Program::on(&server.url_as("admin", "a")).await;
    let stores = admin.services.get::<dyn KvStore>().unwrap();
    let bucket = stores.ensure_bucket(BucketConfig::new("naq_digests")).await.unwrap();
    // Of a log that was made anew under its name since.
    for block in 0..3 {
        bucket.put(&format!("events.1.{block:010}.v2"), "a digest").await.unwrap();
    }
    let has = async |keys: u64, markers: u64| {
        let status = bucket.status().await.unwrap();
        let all = bucket.keys(KeySelection::All).count().await as u64;
        (all, status.values) == (keys, keys + markers)
    };
    for (user, password, markers) in [("ageing", "g", 3), ("eraser", "e", 0)] {
        let mut config = assume(&server.url_as(user, password));
        config.events = config
            .events
            .with_keeper(KeeperMode::On)
            .with_keeper_lease(Duration::from_millis(300))
            .with_digest_max_age(Duration::from_secs(1));
        let keeper = Program::start(config).await.unwrap();
        wait::until("the digests to be gone", SECONDS, async || {
            assert_eq!(keeper.events.keeper_trouble(), None);
            has(0, markers).await
        })
        .await;
        keeper.stop().await;
    }
    admin.stop().await;
}

/// What the chapter on indexes gives besides to who reads by one.
const INDEX_API: [&str; 2] =
    ["$JS.API.STREAM.MSG.GET.KV_naq_indexes", "$JS.API.DIRECT.GET.KV_naq_indexes.>"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_read_an_index_reads_by_it_and_who_may_not_reads_the_log() {
    let server = NatsServer::builder()
        .user(User::new("admin", "a"))
        .user(User::new("reader", "r").may_publish(READER_API).may_subscribe(["_INBOX.>"]))
        .user(
            User::new("looker", "l")
                .may_publish(READER_API)
                .may_publish(INDEX_API)
                .may_subscribe(["_INBOX.>"]),
        )
        .start()
        .await;
    let admin = Program::on(&server.url_as("admin", "a")).await;
    for n in 0..20 {
        let event = Event::job_completed(format!("j{n}").as_str(), 1.0, true);
        admin.events.log_event(event.with_queue(format!("q{}", n % 5))).await.unwrap();
    }
    admin.events.create_event_index("queues", &["queue"]).await.unwrap();
    let built: Vec<_> = admin.events.build_event_index("queues").collect().await;
    assert_eq!(built.last().unwrap().as_ref().unwrap().through, 20);
    for (user, password, index) in [("looker", "l", Some("queues")), ("reader", "r", None)] {
        let reader = Program::start(assume(&server.url_as(user, password))).await.unwrap();
        let reading = ReadEvents::default().with_filter("queue = q3".try_into().unwrap());
        let explained = wait::within("an answer", SECONDS, reader.events.explain(reading.clone()));
        let used = explained.await.unwrap().index;
        assert_eq!(used.map(|used| used.name).as_deref(), index, "{user}");
        let items: Vec<_> = reader.events.read_events(reading).collect().await;
        let events = items.iter().filter(|item| item.as_ref().unwrap().event().is_some());
        assert_eq!(events.count(), 4, "{user}");
        let making = reader.events.create_event_index("others", &["queue"]);
        let error = wait::within("a refusal", SECONDS, making).await.unwrap_err();
        assert!(error.is(ErrorKind::PermissionDenied), "{user}: {error:?}");
        reader.services.stop().await.unwrap();
    }
    admin.stop().await;
}
