//! One key: put, read, compared and set, removed.

use std::time::{Duration, SystemTime};

use naq_core::jetstream::Consistency;
use naq_core::kv::{
    GetOptions, KeySelection, KvBucket, KvBucketExt, KvOperation, MAX_KEY_BYTES, PutOptions,
    RemoveOptions,
};
use naq_core::{ErrorKind, Timestamp};

use super::support::{Subject, refused};

pub async fn revisions_rise_across_keys(on: Subject) {
    let own = on.bucket(1).await;
    for (key, revision) in [("a", 1), ("b", 2), ("a", 3), ("c.d", 4)] {
        assert_eq!(own.bucket.put(key, "x").await.unwrap(), revision);
    }
}

pub async fn a_value_is_read_with_revision_time_and_operation(on: Subject) {
    let own = on.bucket(1).await;
    own.put_all([("a.b", "one")]).await;
    let entry = own.bucket.get("a.b").await.unwrap().unwrap();
    assert_eq!((entry.key.as_str(), &entry.value[..], entry.revision), ("a.b", &b"one"[..], 1));
    assert_eq!(entry.operation, KvOperation::Put);
    let now = Timestamp::from(SystemTime::now());
    assert!(now.since(entry.created) < Duration::from_secs(60), "{} {now}", entry.created);
    let any = GetOptions::default().with_consistency(Consistency::Any);
    assert_eq!(own.bucket.get_opts("a.b", any).await.unwrap(), Some(entry));
}

pub async fn any_bytes_are_a_value_and_none_are_too(on: Subject) {
    let own = on.bucket(1).await;
    let all: Vec<u8> = (0..=255).collect();
    own.bucket.put("bytes", all.clone()).await.unwrap();
    own.bucket.put("empty", "").await.unwrap();
    assert_eq!(own.bucket.get("bytes").await.unwrap().unwrap().value, all);
    assert_eq!(own.value("empty").await.as_deref(), Some(""));
}

pub async fn a_key_that_never_was_has_no_value(on: Subject) {
    let own = on.bucket(1).await;
    assert_eq!(own.bucket.get("a").await.unwrap(), None);
    assert_eq!(own.bucket.get_opts("a", GetOptions::default()).await.unwrap(), None);
    assert_eq!(own.bucket.get_revision("a", 5).await.unwrap(), None);
    assert!(own.history("a").await.is_empty());
    own.put_all([("a.b", "1")]).await;
    assert_eq!(own.bucket.get("a").await.unwrap(), None, "a key is no folder");
}

pub async fn keys_of_every_allowed_form_are_kept_apart(on: Subject) {
    let own = on.bucket(1).await;
    let long = "k".repeat(MAX_KEY_BYTES - 200);
    for key in ["a", "A", "a.b", "a/b", "a-b_c=d", "=", "/", "0.1.2", "x._kv", &long] {
        own.bucket.put(key, key.to_owned()).await.unwrap();
        assert_eq!(own.value(key).await.as_deref(), Some(key));
    }
    assert_eq!(own.value("a").await.as_deref(), Some("a"));
}

pub async fn keys_outside_the_rules_are_refused_and_nothing_is_stored(on: Subject) {
    let own = on.bucket(1).await;
    let broken = [
        "",
        ".",
        ".a",
        "a.",
        "a..b",
        "a b",
        "*",
        ">",
        "a.*",
        "ä",
        "a\r\nPUB x 0\r\n",
        "a\0",
        "_kv",
    ];
    for key in broken {
        for result in [
            own.bucket.put(key, "1").await,
            own.bucket.create(key, "1").await,
            own.bucket.delete(key).await,
        ] {
            let error = refused(result, ErrorKind::InvalidArgument);
            assert_eq!(error.get("field"), Some("key"), "{key:?}");
        }
        refused(own.bucket.get(key).await, ErrorKind::InvalidArgument);
        refused(own.bucket.history(key).await, ErrorKind::InvalidArgument);
    }
    assert!(own.messages().await.is_empty());
}

pub async fn a_create_needs_a_key_without_a_value(on: Subject) {
    let own = on.bucket(3).await;
    assert_eq!(own.bucket.create("a", "1").await.unwrap(), 1);
    let error = refused(own.bucket.create("a", "2").await, ErrorKind::AlreadyExists);
    assert_eq!((error.get("key"), error.get("found")), (Some("a"), Some("1")));
    own.bucket.delete("a").await.unwrap();
    assert_eq!(own.bucket.create("a", "3").await.unwrap(), 3);
    own.bucket.purge("a").await.unwrap();
    assert_eq!(own.bucket.create("a", "4").await.unwrap(), 5);
    refused(own.bucket.create("a", "5").await, ErrorKind::AlreadyExists);
}

pub async fn an_update_needs_the_latest_revision(on: Subject) {
    let own = on.bucket(3).await;
    let first = own.bucket.put("a", "1").await.unwrap();
    own.put_all([("b", "other")]).await;
    let second = own.bucket.update("a", "2", first).await.unwrap();
    let error = refused(own.bucket.update("a", "3", first).await, ErrorKind::Conflict);
    assert_eq!((error.get("expected"), error.get("found")), (Some("1"), Some("3")));
    assert_eq!(own.value("a").await.as_deref(), Some("2"));
    let marker = own.bucket.delete("a").await.unwrap();
    refused(own.bucket.update("a", "4", second).await, ErrorKind::Conflict);
    own.bucket.update("a", "5", marker).await.unwrap();
    own.bucket.update("new", "1", 0).await.unwrap();
    refused(own.bucket.update("new", "2", 0).await, ErrorKind::Conflict);
}

pub async fn only_one_of_many_updates_of_one_revision_wins(on: Subject) {
    let own = on.bucket(1).await;
    let first = own.bucket.put("a", "0").await.unwrap();
    let updates = (0..10).map(|n| own.bucket.update("a", n.to_string(), first));
    let results = futures::future::join_all(updates).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for lost in results.into_iter().filter(|result| result.is_err()) {
        refused(lost, ErrorKind::Conflict);
    }
}

pub async fn a_delete_leaves_a_marker_and_the_history(on: Subject) {
    let own = on.bucket(5).await;
    own.put_all([("a", "1"), ("a", "2")]).await;
    assert_eq!(own.bucket.delete("a").await.unwrap(), 3);
    assert_eq!(own.bucket.get("a").await.unwrap(), None);
    let marker = own.bucket.get_opts("a", GetOptions::default()).await.unwrap().unwrap();
    assert_eq!((marker.operation, marker.revision), (KvOperation::Delete, 3));
    assert!(marker.value.is_empty());
    assert_eq!(own.history("a").await, ["1 a=1", "2 a=2", "3 delete a"]);
}

pub async fn a_purge_leaves_a_marker_alone(on: Subject) {
    let own = on.bucket(5).await;
    own.put_all([("a", "1"), ("b", "other"), ("a", "2")]).await;
    assert_eq!(own.bucket.purge("a").await.unwrap(), 4);
    assert_eq!(own.bucket.get("a").await.unwrap(), None);
    assert_eq!(own.history("a").await, ["4 purge a"]);
    assert_eq!(own.value("b").await.as_deref(), Some("other"));
}

pub async fn a_key_that_never_was_can_be_removed(on: Subject) {
    let own = on.bucket(5).await;
    own.bucket.delete("a").await.unwrap();
    own.bucket.purge("b").await.unwrap();
    assert_eq!(own.history("a").await, ["1 delete a"]);
    assert_eq!(own.history("b").await, ["2 purge b"]);
}

pub async fn a_removal_can_expect_a_revision(on: Subject) {
    let own = on.bucket(5).await;
    own.put_all([("a", "1"), ("a", "2")]).await;
    for mode in [RemoveOptions::default(), RemoveOptions::purge()] {
        let refusal = own.bucket.remove("a", mode.with_expected(1)).await;
        let error = refused(refusal, ErrorKind::Conflict);
        assert_eq!((error.get("expected"), error.get("found")), (Some("1"), Some("2")));
    }
    let deleted = own.bucket.remove("a", RemoveOptions::default().with_expected(2)).await.unwrap();
    own.bucket.remove("a", RemoveOptions::purge().with_expected(deleted)).await.unwrap();
    assert_eq!(own.history("a").await, ["4 purge a"]);
}

pub async fn an_erased_key_leaves_nothing(on: Subject) {
    let own = on.bucket(5).await;
    own.put_all([("a", "1"), ("b", "other"), ("a", "2"), ("a.b", "3")]).await;
    assert_eq!(own.bucket.erase("a", Some(3)).await.unwrap(), 2);
    assert_eq!(own.history("a").await, [""; 0]);
    assert_eq!(own.keys(KeySelection::All).await, ["a.b", "b"]);
    // A marker goes like a value, and what isn't there can be erased.
    assert_eq!(own.bucket.purge("b").await.unwrap(), 5);
    assert_eq!(own.bucket.erase("b", Some(5)).await.unwrap(), 1);
    for _ in 0..2 {
        assert_eq!(own.bucket.erase("a", None).await.unwrap(), 0);
    }
    assert_eq!(own.messages().await.len(), 1);
    // It is as if it had never been there.
    assert_eq!(own.bucket.create("a", "4").await.unwrap(), 6);
    assert_eq!(own.bucket.update("b", "5", 0).await.unwrap(), 7);
    // Whatever there is.
    assert_eq!(own.bucket.erase("a", None).await.unwrap(), 1);
    assert_eq!(own.keys(KeySelection::All).await, ["a.b", "b"]);

    refused(own.bucket.erase("a", Some(0)).await, ErrorKind::InvalidArgument);
    refused(own.bucket.erase("a.", Some(1)).await, ErrorKind::InvalidArgument);
    let nowhere = own.on.store.bucket("nowhere").unwrap();
    refused(nowhere.erase("a", Some(1)).await, ErrorKind::NotFound);
}

pub async fn an_erasure_leaves_what_was_put_since(on: Subject) {
    let own = on.bucket(1).await;
    own.put_all([("a", "1"), ("a", "2")]).await;
    assert_eq!(own.bucket.erase("a", Some(1)).await.unwrap(), 0);
    assert_eq!(own.value("a").await.as_deref(), Some("2"));
    // Whatever the order in which both come to the server.
    for round in 0..50 {
        let revision = own.bucket.get("a").await.unwrap().unwrap().revision;
        let put = own.bucket.put("a", round.to_string());
        let (put, erased) = tokio::join!(put, own.bucket.erase("a", Some(revision)));
        let left = own.bucket.get("a").await.unwrap().unwrap();
        assert_eq!((left.revision, &left.value[..]), (put.unwrap(), round.to_string().as_bytes()));
        assert!(erased.unwrap() <= 1);
    }
}

pub async fn a_revision_is_read_as_long_as_it_is_kept(on: Subject) {
    let own = on.bucket(2).await;
    own.put_all([("a", "1"), ("a", "2"), ("b", "other"), ("a", "3")]).await;
    let at = async |key: &str, revision| {
        own.bucket
            .get_revision(key, revision)
            .await
            .unwrap()
            .map(|entry| super::support::text(&entry))
    };
    assert_eq!(at("a", 1).await, None, "two are kept");
    assert_eq!(at("a", 2).await.as_deref(), Some("2"));
    assert_eq!(at("a", 4).await.as_deref(), Some("3"));
    assert_eq!(at("a", 3).await, None, "that is another key's");
    assert_eq!(at("b", 3).await.as_deref(), Some("other"));
    refused(own.bucket.get_revision("a", 0).await, ErrorKind::InvalidArgument);
}

pub async fn history_is_what_the_bucket_keeps_oldest_first(on: Subject) {
    let own = on.bucket(3).await;
    own.put_all([("a", "1"), ("a", "2"), ("a.b", "x"), ("a", "3"), ("a", "4")]).await;
    assert_eq!(own.history("a").await, ["2 a=2", "4 a=3", "5 a=4"]);
}

pub async fn a_history_of_64_is_kept_whole(on: Subject) {
    let own = on.bucket(64).await;
    for n in 0..70 {
        own.bucket.put("a", n.to_string()).await.unwrap();
    }
    let history = own.bucket.history("a").await.unwrap();
    assert_eq!((history.len(), history[0].revision), (64, 7));
}

pub async fn json_is_written_and_read_by_type(on: Subject) {
    let own = on.bucket(1).await;
    let limits = vec![("per_second".to_owned(), 100_u64)];
    own.bucket.put_json("a", &limits).await.unwrap();
    assert_eq!(own.bucket.get_json::<Vec<(String, u64)>>("a").await.unwrap(), Some(limits));
    assert_eq!(own.bucket.get_json::<u64>("none").await.unwrap(), None);
    let error = refused(own.bucket.get_json::<u64>("a").await, ErrorKind::Corrupt);
    assert_eq!(error.get("key"), Some("a"));
}

pub async fn changes_by_many_are_all_counted(on: Subject) {
    let own = on.bucket(1).await;
    let count = |value: &mut Option<u64>| {
        *value = Some(value.unwrap_or(0) + 1);
        Ok(())
    };
    let changes = (0..8).map(|_| own.bucket.update_json_with("count", count));
    for change in futures::future::join_all(changes).await {
        let modified = change.unwrap();
        assert!(modified.revision.is_some() && modified.attempts >= 1);
    }
    assert_eq!(own.bucket.get_json::<u64>("count").await.unwrap(), Some(8));
}

pub async fn a_change_can_create_delete_and_keep(on: Subject) {
    let own = on.bucket(9).await;
    let set = |to: Option<u64>| {
        own.bucket.update_json_with("a", move |value: &mut Option<u64>| {
            *value = to;
            Ok(())
        })
    };
    assert_eq!(set(None).await.unwrap().revision, None, "there was nothing to delete");
    assert_eq!(set(Some(1)).await.unwrap().revision, Some(1));
    assert_eq!(set(None).await.unwrap().revision, Some(2));
    assert_eq!(set(Some(3)).await.unwrap().revision, Some(3));
    assert_eq!(own.history("a").await, ["1 a=1", "2 delete a", "3 a=3"]);
}

pub async fn a_key_goes_when_its_ttl_has_passed_where_the_server_can(on: Subject) {
    let markers = Duration::from_secs(60);
    let config = on.config().with_history(1).with_marker_ttl(markers);
    if !on.can().message_ttl {
        refused(on.store.create_bucket(config).await, ErrorKind::Unsupported);
        return;
    }
    let bucket = on.store.create_bucket(config).await.unwrap();
    let ttl = PutOptions::default().with_ttl(Duration::from_secs(1));
    bucket.put_opts("brief", "1".into(), ttl).await.unwrap();
    bucket.put("stays", "2").await.unwrap();
    assert!(bucket.get("brief").await.unwrap().is_some());
    let gone = async || bucket.get("brief").await.unwrap().is_none();
    crate::wait::until("the key to go", super::support::PATIENCE, gone).await;
    let marker = bucket.get_opts("brief", GetOptions::default()).await.unwrap().unwrap();
    assert_eq!(marker.operation, KvOperation::Expire);
    assert!(bucket.get("stays").await.unwrap().is_some());
    bucket.create("brief", "again").await.unwrap();
}

pub async fn a_purges_marker_goes_when_its_ttl_has_passed(on: Subject) {
    if !on.can().message_ttl {
        return a_ttl_in_a_bucket_without_markers_is_unsupported(on).await;
    }
    let own = on.bucket_with(|config| config.with_marker_ttl(Duration::from_secs(1))).await;
    own.put_all([("a", "1")]).await;
    let purge = RemoveOptions::purge().with_marker_ttl(Duration::from_secs(1));
    own.bucket.remove("a", purge).await.unwrap();
    let gone = async || own.bucket.history("a").await.unwrap().is_empty();
    crate::wait::until("the marker to go", super::support::PATIENCE, gone).await;
}

pub async fn a_ttl_in_a_bucket_without_markers_is_unsupported(on: Subject) {
    let own = on.bucket(1).await;
    let ttl = PutOptions::default().with_ttl(Duration::from_secs(1));
    let error = refused(own.bucket.put_opts("a", "1".into(), ttl).await, ErrorKind::Unsupported);
    assert!(error.hint().unwrap().contains("marker_ttl"), "{error:?}");
    assert!(own.messages().await.is_empty());
}
