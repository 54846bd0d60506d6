//! What naq removes from buckets of its own leaves nothing there.

use std::sync::Arc;
use std::time::Duration;

use naq_core::config::KeeperMode;
use naq_core::events::EventSinkExt;
use naq_core::jetstream::JetStream;
use naq_core::kv::{BucketConfig, KvBucketExt};
use naq_core::service::Service;
use naq_tests::backend::connect;
use naq_tests::behaviours::{block_on, on_version};
use naq_tests::own_log::{DIGESTS, Keeps, OwnLog};
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

/// How many messages stand under keys of a bucket that begin like this.
async fn left(own: &OwnLog, prefix: &str) -> u64 {
    let filter = format!("$KV.{DIGESTS}.{prefix}.>");
    let page = own.js.subject_counts(&format!("KV_{DIGESTS}"), &filter, 0).await.unwrap();
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
    wait::until("all that is old to be gone", DEADLINE, async || left(&own, &name).await == 0)
        .await;
    let told = wait::some("a sign of life", DEADLINE, async || {
        keeper.keeper().await.unwrap().filter(|told| told.digests_removed > 0)
    })
    .await;
    assert_eq!((told.digests_removed, told.trouble), (OLD, None));
    // Another log is another log's business.
    assert_eq!(left(&own, &other).await, 2 * OLD);
    keeper.stop(DEADLINE).await.unwrap();
}
