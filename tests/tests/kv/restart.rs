//! A watch and its writer across a server that is killed and comes back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use naq_core::ErrorKind;
use naq_core::kv::{BucketConfig, KvBucket, KvBucketExt, KvUpdate, WatchFrom, WatchOptions};
use naq_tests::faults::{Round, rounds};
use naq_tests::server::NatsServer;
use naq_tests::wait;
use tokio::sync::mpsc;

use crate::{block_on, connect};

const PATIENCE: Duration = Duration::from_secs(60);
const KEYS: usize = 10;

/// Puts, as often as it takes: overwriting is safe to repeat.
async fn put(bucket: &dyn KvBucket, key: &str, value: &str) {
    let put = async || match bucket.put(key, value.to_owned()).await {
        Ok(_) => true,
        Err(error) => {
            use ErrorKind::{OutcomeUnknown, Timeout, Unavailable};
            let passing = [OutcomeUnknown, Timeout, Unavailable].contains(&error.kind());
            assert!(passing, "{error:?}");
            false
        }
    };
    wait::until("a put to be stored", PATIENCE, put).await;
}

/// What a watch has seen until the key `end` comes.
struct Seen {
    latest: BTreeMap<String, String>,
    revisions: Vec<u64>,
    resumed: usize,
}

async fn watch_to_the_end(bucket: Arc<dyn KvBucket>, from: WatchFrom) -> Seen {
    let mut watch = bucket.watch(WatchOptions::default().with_from(from));
    let mut seen = Seen { latest: BTreeMap::new(), revisions: Vec::new(), resumed: 0 };
    loop {
        let update = wait::within("an update", PATIENCE, watch.next()).await;
        match update.expect("a watch has no end but an error").unwrap() {
            KvUpdate::Entry(entry) => {
                seen.revisions.push(entry.revision);
                if entry.key == "end" {
                    return seen;
                }
                let value = String::from_utf8(entry.value.to_vec()).unwrap();
                seen.latest.insert(entry.key, value);
            }
            KvUpdate::Resumed { .. } => seen.resumed += 1,
            _ => {}
        }
    }
}

async fn across_kills(history: u64, from: WatchFrom) -> (Seen, Vec<u64>) {
    let mut server = NatsServer::start().await;
    let on = connect(&server.url()).await;
    let config = BucketConfig::new("jobs").with_history(history);
    let bucket = on.store.create_bucket(config).await.unwrap();
    let watching = tokio::spawn(watch_to_the_end(Arc::clone(&bucket), from));
    for round in 0..3 {
        for n in 0..200 {
            put(&*bucket, &format!("k{}", n % KEYS), &format!("{round}-{n}")).await;
        }
        server.kill();
        server.restart().await;
    }
    for n in 0..KEYS {
        put(&*bucket, &format!("k{n}"), "last").await;
    }
    put(&*bucket, "end", "").await;
    let seen = watching.await.unwrap();
    let mut stored = Vec::new();
    for n in 0..KEYS {
        let kept = bucket.history(&format!("k{n}")).await.unwrap();
        stored.extend(kept.iter().map(|entry| entry.revision));
    }
    (seen, stored)
}

#[test]
fn a_watch_survives_kills_with_every_keys_latest_and_nothing_twice() {
    block_on(async {
        let (seen, _) = across_kills(1, WatchFrom::Now).await;
        assert!(seen.resumed >= 3, "resumed {} times", seen.resumed);
        assert!(seen.revisions.is_sorted_by(|a, b| a < b), "none twice, all in order");
        assert_eq!(seen.latest.len(), KEYS);
        assert!(seen.latest.values().all(|value| value == "last"), "{:?}", seen.latest);
    });
}

#[test]
fn a_watch_with_history_survives_kills_with_every_revision_that_is_kept() {
    block_on(async {
        let (seen, stored) = across_kills(64, WatchFrom::History).await;
        assert!(seen.resumed >= 3, "resumed {} times", seen.resumed);
        assert!(seen.revisions.is_sorted_by(|a, b| a < b), "none twice, all in order");
        assert!(!stored.is_empty());
        for revision in stored {
            assert!(seen.revisions.binary_search(&revision).is_ok(), "{revision} is missing");
        }
    });
}

/// A watch of one key, whose server is killed before its value came or at some
/// instant behind it.
async fn killed_at_the_first_value(mut round: Round) {
    let mut server = NatsServer::start().await;
    let on = connect(&server.url()).await;
    let bucket = on.store.create_bucket(BucketConfig::new("jobs")).await.unwrap();
    put(&*bucket, "key", "before").await;
    let mut watch = bucket.watch(WatchOptions::default());
    let mut has_begun = false;
    let instant = round.instant(Duration::from_millis(6));
    // A third of the rounds kill it while the watch opens.
    if round.random.f64() < 0.7 {
        let first = wait::within("the value", PATIENCE, watch.next()).await.unwrap().unwrap();
        assert!(matches!(&first, KvUpdate::Entry(entry) if entry.value == "before"), "{first:?}");
        has_begun = true;
    }
    let (updates, mut seen) = mpsc::unbounded_channel();
    let watching = tokio::spawn(async move {
        while let Some(update) = watch.next().await {
            updates.send(update.unwrap()).unwrap();
        }
    });
    tokio::time::sleep(instant).await;
    server.kill();
    server.restart().await;
    put(&*bucket, "key", "after").await;
    let (mut has_resumed, mut has_come) = (!has_begun, false);
    while !(has_resumed && has_come) {
        match wait::within("word of the watch", PATIENCE, seen.recv()).await.unwrap() {
            KvUpdate::Resumed { .. } => has_resumed = true,
            KvUpdate::Entry(entry) => has_come |= entry.value == "after",
            _ => {}
        }
    }
    watching.abort();
}

#[test]
fn a_watch_whose_server_is_killed_at_its_first_value_says_that_it_resumed() {
    block_on(async {
        for _ in 0..8 {
            rounds("a watch at its first value", killed_at_the_first_value).await;
        }
    });
}

#[test]
fn a_change_that_meets_a_kill_is_made_once_or_known_to_be_unknown() {
    block_on(async {
        let mut server = NatsServer::start().await;
        let on = connect(&server.url()).await;
        let bucket = on.store.create_bucket(BucketConfig::new("jobs")).await.unwrap();
        bucket.put_json("count", &0_u64).await.unwrap();
        let counter = Arc::clone(&bucket);
        let counting = tokio::spawn(async move {
            let (mut made, mut unknown) = (0_u64, 0_u64);
            while made < 300 {
                let change = counter.update_json_with("count", |value: &mut Option<u64>| {
                    *value = value.map(|count| count + 1);
                    Ok(())
                });
                match change.await {
                    Ok(_) => made += 1,
                    Err(error) if error.is(ErrorKind::OutcomeUnknown) => unknown += 1,
                    Err(error) => {
                        use ErrorKind::{Timeout, Unavailable};
                        let passing = [Timeout, Unavailable].contains(&error.kind());
                        assert!(passing, "{error:?}");
                    }
                }
            }
            (made, unknown)
        });
        let count = async || bucket.get_json::<u64>("count").await.ok().flatten().unwrap_or(0);
        wait::until("some changes", PATIENCE, async || count().await > 50).await;
        server.kill();
        server.restart().await;
        let (made, unknown) = counting.await.unwrap();
        let stored = bucket.get_json::<u64>("count").await.unwrap().unwrap();
        assert!((made..=made + unknown).contains(&stored), "{made} + {unknown}? and {stored}");
    });
}
