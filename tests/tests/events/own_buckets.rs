//! What naq removes from buckets of its own leaves nothing there.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use naq_core::clock::SystemClock;
use naq_core::config::KeeperMode;
use naq_core::connection::SingleJetStream;
use naq_core::events::{EventSink, EventSinkExt};
use naq_core::jetstream::JetStream;
use naq_core::kv::{BucketConfig, KvBucketExt};
use naq_core::service::Service;
use naq_events::EventService;
use naq_events::cursors::{CursorService, CursorStart};
use naq_tests::backend::connect;
use naq_tests::behaviours::{block_on, on_version};
use naq_tests::own_log::{DIGESTS, INDEXES, Keeps, OwnLog};
use naq_tests::server::Version;
use naq_tests::wait;

const DEADLINE: Duration = Duration::from_secs(60);

/// So many digests are old: more than go at a time.
const OLD: u64 = 600;

#[test]
fn digests_that_are_too_old_leave_nothing_in_memory() {
    block_on(leave_nothing(super::memory()));
}

#[test]
fn digests_that_are_too_old_leave_nothing_on_any_server() {
    for version in [Version::V2_10, Version::V2_11, Version::LATEST] {
        on_version(version, async |url| leave_nothing(connect(&url).await).await);
    }
}

#[test]
fn indexes_and_cursors_that_are_removed_leave_nothing_in_memory() {
    block_on(others_leave_nothing(super::memory()));
}

#[test]
fn indexes_and_cursors_that_are_removed_leave_nothing_on_any_server() {
    for version in [Version::V2_10, Version::V2_11, Version::LATEST] {
        on_version(version, async |url| others_leave_nothing(connect(&url).await).await);
    }
}

/// How many messages stand under keys of a bucket that begin like this.
async fn left(own: &OwnLog, bucket: &str, prefix: &str) -> u64 {
    let filter = format!("$KV.{bucket}.{prefix}.>");
    let page = own.js.subject_counts(&format!("KV_{bucket}"), &filter, 0).await.unwrap();
    page.counts.iter().map(|(_, count)| count).sum()
}

async fn leave_nothing(js: Arc<dyn JetStream>) {
    let mut own = OwnLog::new(js, "buckets");
    let bucket = own.kv().ensure_bucket(BucketConfig::new(DIGESTS)).await.unwrap();
    // Those of a log that was made anew under its name since, and markers of such
    // that an older naq has removed; and the same of another log.
    let name = own.config.stream_name.clone();
    let other = format!("{name}-of-another");
    for log in [&name, &other] {
        for block in 0..OLD {
            let key = format!("{log}.1.{block:010}.v2");
            bucket.put(&key, "a digest").await.unwrap();
            bucket.purge(&format!("{log}.0.{block:010}.v2")).await.unwrap();
        }
    }
    own.config = own.config.with_keeper(KeeperMode::On);
    own.config.digest_max_age = Some(Duration::from_secs(1));
    let keeper = own.service(Keeps::Digests).await;
    keeper.log_job_paused("job").await.unwrap();
    wait::until("all that is old to be gone", DEADLINE, async || {
        left(&own, DIGESTS, &name).await == 0
    })
    .await;
    // What is told comes behind what is done.
    wait::until("all of them to be told", DEADLINE, async || {
        let told = keeper.keeper().await.unwrap().unwrap();
        assert_eq!(told.trouble, None);
        told.digests_removed == OLD
    })
    .await;
    // Another log is another log's business.
    assert_eq!(left(&own, DIGESTS, &other).await, 2 * OLD);
    keeper.stop(DEADLINE).await.unwrap();
}

async fn others_leave_nothing(js: Arc<dyn JetStream>) {
    const BLOCK: u64 = 65_536;
    let own = OwnLog::new(js, "buckets");
    let name = own.config.stream_name.as_str();
    // Two blocks, of which the first is nearly empty.
    let stream = EventService::stream_config(&own.config).unwrap();
    own.js.create_stream(stream.with_first_sequence(BLOCK - 4)).await.unwrap();
    let service = own.service(Keeps::Indexes).await;
    for job in 0..20 {
        service.log_job_paused(&format!("job-{job}")).await.unwrap();
    }
    service.flush(DEADLINE).await.unwrap();
    service.create_event_index("jobs", &["job_id"]).await.unwrap();
    service.build_event_index("jobs").try_for_each(async |_| Ok(())).await.unwrap();
    // The list of the indexes, and a part of the index for each block.
    assert_eq!(left(&own, INDEXES, name).await, 3);
    own.purge_below(BLOCK + 1).await;
    service.rebuild_event_index("jobs").try_for_each(async |_| Ok(())).await.unwrap();
    assert_eq!(left(&own, INDEXES, name).await, 2);
    service.drop_event_index("jobs").await.unwrap();
    assert_eq!(left(&own, INDEXES, name).await, 1);

    let connections = SingleJetStream::provider(Arc::clone(&own.js));
    let clock = Arc::new(SystemClock::new());
    let cursors = CursorService::new(connections, own.kv(), clock, own.config.clone()).unwrap();
    for cursor in ["one", "two"] {
        cursors.set(cursor, CursorStart::Beginning).await.unwrap();
    }
    cursors.remove("one").await.unwrap();
    assert_eq!(left(&own, "naq_cursors", name).await, 1);
    service.stop(DEADLINE).await.unwrap();
}
