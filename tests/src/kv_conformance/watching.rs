//! Keys listed and watched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use naq_core::ErrorKind;
use naq_core::kv::{
    BucketConfig, KeySelection, KvBucket, KvBucketExt, KvOperation, KvUpdate, PutOptions,
    WatchFrom, WatchOptions,
};

use super::support::{PATIENCE, Subject, refused, text, told};
use crate::wait;

fn everything() -> WatchOptions {
    WatchOptions::default()
}

pub async fn keys_are_those_that_have_a_value(on: Subject) {
    let own = on.bucket(3).await;
    assert!(own.keys(KeySelection::All).await.is_empty());
    own.put_all([("b", "1"), ("a.b", "2"), ("a", "3"), ("a", "4"), ("gone", "5"), ("e", "")]).await;
    own.bucket.delete("gone").await.unwrap();
    own.bucket.purge("never").await.unwrap();
    assert_eq!(own.keys(KeySelection::All).await, ["a", "a.b", "b", "e"]);
}

pub async fn keys_by_prefix_begin_with_it_at_a_dot_or_not(on: Subject) {
    let own = on.bucket(1).await;
    own.put_all([("jobs", "1"), ("jobs.1", "1"), ("jobs.12.a", "1"), ("jobs2", "1"), ("job", "1")])
        .await;
    for (prefix, expected) in [
        ("", &["job", "jobs", "jobs.1", "jobs.12.a", "jobs2"][..]),
        ("jobs", &["jobs", "jobs.1", "jobs.12.a", "jobs2"]),
        ("jobs.", &["jobs.1", "jobs.12.a"]),
        ("jobs.1", &["jobs.1", "jobs.12.a"]),
        ("jobs.12.", &["jobs.12.a"]),
        ("x", &[]),
    ] {
        assert_eq!(own.keys(KeySelection::prefix(prefix)).await, expected, "{prefix:?}");
    }
    assert_eq!(own.keys(KeySelection::key("jobs")).await, ["jobs"]);
    let mut broken = own.bucket.keys(KeySelection::prefix("jobs*"));
    let broken = broken.next().await.unwrap();
    refused(broken, ErrorKind::InvalidArgument);
}

pub async fn no_key_is_missed_while_all_are_written_anew(on: Subject) {
    let own = on.bucket(1).await;
    let keys: Vec<String> = (0..500).map(|n| format!("k{n:03}")).collect();
    let write = async |value: &str| {
        let entries = keys.iter().map(|key| (key.clone(), value.to_owned()));
        for put in own.bucket.bulk_put(entries).await {
            put.result.unwrap();
        }
    };
    write("first").await;
    for round in 0..5 {
        let value = round.to_string();
        let (listed, ()) = tokio::join!(own.keys(KeySelection::All), write(&value));
        assert_eq!(listed, keys, "round {round}");
    }
}

pub async fn no_key_is_missed_while_others_are_erased(on: Subject) {
    let own = on.bucket(1).await;
    let keys: Vec<String> = (0..300).map(|n| format!("k{n:03}")).collect();
    for round in 0..3 {
        // Values that go and markers that go, between those that stay.
        let mut goes = Vec::new();
        for key in &keys {
            own.bucket.put(key, "stays").await.unwrap();
            let value = format!("v.{key}");
            goes.push((own.bucket.put(&value, "goes").await.unwrap(), value));
            let marker = format!("m.{key}");
            goes.push((own.bucket.purge(&marker).await.unwrap(), marker));
        }
        let erase = async {
            for (revision, key) in &goes {
                assert_eq!(own.bucket.erase(key, Some(*revision)).await.unwrap(), 1);
            }
        };
        let watch = async {
            let (mut watch, mut seen) = (own.bucket.watch(everything()), BTreeSet::new());
            loop {
                match watch.next().await.unwrap().unwrap() {
                    KvUpdate::Entry(entry) => drop(seen.insert(entry.key)),
                    KvUpdate::CaughtUp { .. } => break seen,
                    _ => {}
                }
            }
        };
        let watch = wait::within("a watch", PATIENCE, watch);
        let (listed, seen, ()) = tokio::join!(own.keys(KeySelection::prefix("k")), watch, erase);
        assert_eq!(listed, keys, "round {round}");
        assert!(keys.iter().all(|key| seen.contains(key)), "round {round}: {seen:?}");
        assert_eq!(own.keys(KeySelection::All).await, keys);
        assert_eq!(own.messages().await.len(), keys.len());
    }
}

pub async fn a_watch_from_now_has_the_latest_then_every_change(on: Subject) {
    let own = on.bucket(5).await;
    own.put_all([("a", "1"), ("b", "1"), ("a", "2")]).await;
    own.bucket.delete("b").await.unwrap();
    let mut watch = own.watch(everything());
    watch.tells(["3 a=2", "4 delete b", "caught up at 4"]).await;
    own.put_all([("a", "3"), ("c", "1"), ("c", "2")]).await;
    watch.tells(["5 a=3", "6 c=1", "7 c=2"]).await;
    own.bucket.purge("a").await.unwrap();
    watch.tells(["8 purge a"]).await;
}

pub async fn a_watch_with_history_has_all_that_is_kept(on: Subject) {
    let own = on.bucket(2).await;
    own.put_all([("a", "1"), ("a", "2"), ("b", "1"), ("a", "3")]).await;
    let mut watch = own.watch(everything().with_from(WatchFrom::History));
    watch.tells(["2 a=2", "3 b=1", "4 a=3", "caught up at 4"]).await;
    own.put_all([("b", "2")]).await;
    watch.tells(["5 b=2"]).await;
}

pub async fn a_watch_of_updates_has_what_comes_after_it_opened(on: Subject) {
    let own = on.bucket(2).await;
    own.put_all([("a", "1"), ("b", "1")]).await;
    let mut watch = own.watch(everything().with_from(WatchFrom::Updates));
    watch.tells(["caught up at 2"]).await;
    own.put_all([("b", "2")]).await;
    watch.tells(["3 b=2"]).await;
}

pub async fn a_watch_of_an_empty_bucket_is_caught_up(on: Subject) {
    let own = on.bucket(1).await;
    for from in [WatchFrom::Now, WatchFrom::History, WatchFrom::Updates] {
        own.watch(everything().with_from(from)).tells(["caught up at 0"]).await;
    }
    own.put_all([("a", "1")]).await;
    let nobody = WatchOptions::new(KeySelection::key("b"));
    own.watch(nobody).tells(["caught up at 1"]).await;
}

pub async fn a_watch_of_some_keys_has_no_others(on: Subject) {
    let own = on.bucket(1).await;
    own.put_all([("jobs.1", "1"), ("jobs", "1"), ("jobs.12", "1"), ("other", "1")]).await;
    let mut prefix = own.watch(WatchOptions::new(KeySelection::prefix("jobs.1")));
    prefix.tells(["1 jobs.1=1", "3 jobs.12=1", "caught up at 4"]).await;
    let mut one = own.watch(WatchOptions::new(KeySelection::key("jobs")));
    one.tells(["2 jobs=1", "caught up at 4"]).await;
    own.put_all([("jobs.2", "2"), ("jobs.1.x", "2"), ("jobs", "2")]).await;
    prefix.tells(["6 jobs.1.x=2"]).await;
    one.tells(["7 jobs=2"]).await;
}

pub async fn a_watch_of_something_that_is_no_key_is_refused(on: Subject) {
    let own = on.bucket(1).await;
    for keys in [KeySelection::key("a.*"), KeySelection::prefix(">"), KeySelection::key("")] {
        let mut watch = own.watch(WatchOptions::new(keys));
        refused(watch.next().await, ErrorKind::InvalidArgument);
    }
}

pub async fn a_watch_can_leave_removals_and_values_away(on: Subject) {
    let own = on.bucket(5).await;
    own.put_all([("a", "1"), ("b", "1")]).await;
    own.bucket.delete("a").await.unwrap();
    let mut watch = own.watch(everything().with_ignore_removals(true));
    watch.tells(["2 b=1", "caught up at 3"]).await;
    let mut keys = own.watch(everything().with_without_values(true));
    keys.tells(["2 b=", "3 delete a", "caught up at 3"]).await;
    own.bucket.purge("b").await.unwrap();
    own.put_all([("c", "x")]).await;
    watch.tells(["5 c=x"]).await;
    keys.tells(["4 purge b", "5 c="]).await;
}

pub async fn a_watch_under_load_has_every_keys_latest_in_order(on: Subject) {
    let own = on.bucket(1).await;
    let bucket = Arc::clone(&own.bucket);
    own.put_all([("k0", "before")]).await;
    let mut watch = own.watch(everything());
    watch.caught_up().await;
    let writer = tokio::spawn(async move {
        for n in 0..3_000_u32 {
            bucket.put(&format!("k{}", n % 20), n.to_string()).await.unwrap();
        }
        bucket.put("last", "written").await.unwrap();
    });
    let (mut revision, mut latest) = (1, BTreeMap::new());
    loop {
        match watch.next().await.unwrap() {
            KvUpdate::Entry(entry) => {
                assert!(entry.revision > revision, "revisions rise strictly");
                revision = entry.revision;
                if entry.key == "last" {
                    break;
                }
                latest.insert(entry.key.clone(), text(&entry));
            }
            KvUpdate::Gap { to, .. } => assert!(to > revision),
            other => panic!("{other:?} without a break"),
        }
    }
    writer.await.unwrap();
    for n in 2_980..3_000_u32 {
        assert_eq!(latest[&format!("k{}", n % 20)], n.to_string());
    }
}

pub async fn a_watch_tells_what_aged_away_where_the_server_can(on: Subject) {
    if !on.can().message_ttl {
        return;
    }
    let own = on.bucket_with(|config| config.with_marker_ttl(Duration::from_secs(60))).await;
    let mut watch = own.watch(everything());
    watch.tells(["caught up at 0"]).await;
    let ttl = PutOptions::default().with_ttl(Duration::from_secs(1));
    own.bucket.put_opts("a", "1".into(), ttl).await.unwrap();
    watch.tells(["1 a=1"]).await;
    loop {
        // The server drops the value and then leaves its marker.
        match watch.next().await.unwrap() {
            KvUpdate::Entry(entry) => {
                assert_eq!(
                    (entry.operation, told(&entry).as_str()),
                    (KvOperation::Expire, "2 expire a")
                );
                break;
            }
            KvUpdate::Gap { from: 1, to: 1 } => {}
            other => panic!("{other:?}"),
        }
    }
}

pub async fn a_watch_ends_where_the_bucket_is_deleted(on: Subject) {
    let own = on.bucket(1).await;
    let mut watch = own.watch(everything());
    watch.tells(["caught up at 0"]).await;
    on.store.delete_bucket(&own.name).await.unwrap();
    let error = watch.fails().await;
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    assert_eq!(error.get("bucket"), Some(own.name.as_str()));
}

pub async fn a_watch_ends_where_the_bucket_is_made_anew(on: Subject) {
    let own = on.bucket(1).await;
    own.put_all([("a", "1"), ("b", "2")]).await;
    let mut watch = own.watch(everything().with_from(WatchFrom::Updates));
    watch.tells(["caught up at 2"]).await;
    on.store.delete_bucket(&own.name).await.unwrap();
    let anew = on.store.create_bucket(BucketConfig::new(&own.name)).await.unwrap();
    anew.put("a", "other").await.unwrap();
    let error = watch.fails().await;
    assert!(matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound), "{error:?}");
}

pub async fn a_dropped_watch_leaves_nothing_on_the_server(on: Subject) {
    let own = on.bucket(1).await;
    own.put_all([("a", "1")]).await;
    let mut watch = own.watch(everything());
    watch.caught_up().await;
    drop(watch);
    assert_eq!(own.keys(KeySelection::All).await, ["a"]);
    let consumers = async || on.js.stream_info(&own.stream()).await.unwrap().state.consumers == 0;
    wait::until("the consumers to go", PATIENCE, consumers).await;
}
