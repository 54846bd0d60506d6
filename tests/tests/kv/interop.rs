//! The same bucket through naq and through async-nats's own key-value client.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{self, kv};
use futures::{StreamExt, TryStreamExt};
use naq_core::ErrorKind;
use naq_core::kv::{
    BucketConfig, KeySelection, KvBucketExt, KvOperation, KvStore, KvUpdate, WatchOptions,
};
use naq_tests::names::unique;
use naq_tests::server::{SharedServer, shared};
use naq_tests::wait;

use crate::{block_on, connect};

const PATIENCE: Duration = Duration::from_secs(20);

/// Both sides on one server, with the name of a bucket nobody else takes.
async fn sides() -> (SharedServer, Arc<dyn KvStore>, jetstream::Context, String) {
    let server = shared().await;
    let ours = connect(&server.url()).await.store;
    let theirs = jetstream::new(server.client().await);
    (server, ours, theirs, unique("interop"))
}

#[test]
fn another_client_reads_what_naq_wrote() {
    block_on(async {
        let (_server, ours, theirs, name) = sides().await;
        let config = BucketConfig::new(&name).with_history(5).with_description("ours");
        let bucket = ours.create_bucket(config).await.unwrap();
        bucket.put("jobs.1", "one").await.unwrap();
        bucket.put("jobs.1", "two").await.unwrap();
        bucket.create("jobs/2", "=").await.unwrap();
        bucket.delete("jobs.1").await.unwrap();
        bucket.put("gone", "x").await.unwrap();
        bucket.purge("gone").await.unwrap();

        let theirs = theirs.get_key_value(&name).await.unwrap();
        let entry = theirs.entry("jobs/2").await.unwrap().unwrap();
        assert_eq!((entry.revision, &entry.value[..]), (3, &b"="[..]));
        assert_eq!(theirs.get("jobs.1").await.unwrap(), None);
        let history: Vec<_> =
            theirs.history("jobs.1").await.unwrap().try_collect::<Vec<_>>().await.unwrap();
        let operations: Vec<_> = history.iter().map(|entry| entry.operation).collect();
        use kv::Operation::{Delete, Purge, Put};
        assert_eq!(operations, [Put, Put, Delete]);
        let gone: Vec<_> =
            theirs.history("gone").await.unwrap().try_collect::<Vec<_>>().await.unwrap();
        assert_eq!(gone.iter().map(|entry| entry.operation).collect::<Vec<_>>(), [Purge]);
        let keys: Vec<_> = theirs.keys().await.unwrap().try_collect().await.unwrap();
        assert_eq!(keys, ["jobs/2"]);
        let status = theirs.status().await.unwrap();
        assert_eq!(status.history(), 5);

        // Compare and set across the two.
        theirs.update("jobs/2", "theirs".into(), 3).await.unwrap();
        let lost = bucket.update("jobs/2", "ours", 3).await.unwrap_err();
        assert_eq!((lost.kind(), lost.get("found")), (ErrorKind::Conflict, Some("7")));
    });
}

#[test]
fn naq_reads_what_another_client_wrote() {
    block_on(async {
        let (_server, ours, theirs, name) = sides().await;
        let config = kv::Config { bucket: name.clone(), history: 5, ..kv::Config::default() };
        let theirs = theirs.create_key_value(config).await.unwrap();
        theirs.put("jobs.1", "one".into()).await.unwrap();
        theirs.put("jobs.1", "two".into()).await.unwrap();
        theirs.create("jobs/2", "=".into()).await.unwrap();
        theirs.delete("jobs.1").await.unwrap();
        theirs.put("gone", "x".into()).await.unwrap();
        theirs.purge("gone").await.unwrap();

        let bucket = ours.bucket(&name).unwrap();
        let entry = bucket.get("jobs/2").await.unwrap().unwrap();
        assert_eq!((entry.revision, &entry.value[..]), (3, &b"="[..]));
        assert_eq!(bucket.get("jobs.1").await.unwrap(), None);
        let operations = async |key: &str| {
            let history = bucket.history(key).await.unwrap();
            history.iter().map(|entry| entry.operation).collect::<Vec<_>>()
        };
        use KvOperation::{Delete, Purge, Put};
        assert_eq!(operations("jobs.1").await, [Put, Put, Delete]);
        assert_eq!(operations("gone").await, [Purge]);
        let keys: Vec<_> = bucket.keys(KeySelection::All).try_collect().await.unwrap();
        assert_eq!(keys, ["jobs/2"]);
        assert_eq!(bucket.status().await.unwrap().config.history, Some(5));

        // Over their marker, and with their revision.
        bucket.create("jobs.1", "ours").await.unwrap();
        assert_eq!(theirs.get("jobs.1").await.unwrap().as_deref(), Some(&b"ours"[..]));
        bucket.update("jobs/2", "ours", 3).await.unwrap();
        assert!(theirs.update("jobs/2", "theirs".into(), 3).await.is_err());
    });
}

#[test]
fn each_side_watches_what_the_other_does() {
    block_on(async {
        let (_server, ours, theirs, name) = sides().await;
        let bucket = ours.create_bucket(BucketConfig::new(&name).with_history(5)).await.unwrap();
        let theirs = theirs.get_key_value(&name).await.unwrap();
        let mut their_watch = theirs.watch_all().await.unwrap();
        let mut our_watch = bucket.watch(WatchOptions::default());
        let opened = our_watch.next().await.unwrap().unwrap();
        assert_eq!(opened, KvUpdate::CaughtUp { revision: 0 });

        bucket.put("a", "ours").await.unwrap();
        theirs.put("b", "theirs".into()).await.unwrap();
        theirs.delete("a").await.unwrap();
        let mut seen = Vec::new();
        while seen.len() < 3 {
            let update = wait::within("our update", PATIENCE, our_watch.next()).await;
            if let KvUpdate::Entry(entry) = update.unwrap().unwrap() {
                seen.push((entry.key, entry.revision, entry.operation.to_string()));
            }
        }
        let mut their_seen = Vec::new();
        while their_seen.len() < 3 {
            let entry = wait::within("their update", PATIENCE, their_watch.next()).await;
            let entry = entry.unwrap().unwrap();
            let operation = match entry.operation {
                kv::Operation::Put => "put",
                kv::Operation::Delete => "delete",
                kv::Operation::Purge => "purge",
            };
            their_seen.push((entry.key, entry.revision, operation.to_owned()));
        }
        assert_eq!(seen, their_seen);
    });
}
