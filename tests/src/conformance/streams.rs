//! Creating, finding and deleting streams, and what they tell of themselves.

use std::sync::Arc;
use std::time::Duration;

use naq_core::ErrorKind;
use naq_core::jetstream::{
    Compression, ConsumerConfig, Discard, JetStream, JetStreamExt, ListStreams, PurgeOptions,
    Retention, Storage, StreamConfig,
};

use super::support::{Own, PATIENCE, collect, invalid, own_config, refused};
use crate::{names, wait};

pub async fn an_unset_field_takes_the_servers_default(js: Arc<dyn JetStream>) {
    let (name, config) = own_config();
    let info = js.create_stream(config.clone()).await.unwrap();
    let told = &info.config;
    assert_eq!((&told.name, &told.subjects), (&name, &config.subjects));
    assert_eq!(told.retention, Some(Retention::Limits));
    assert_eq!(told.storage, Some(Storage::File));
    assert_eq!(told.discard, Some(Discard::Old));
    assert_eq!(told.max_messages, Some(0));
    assert_eq!(told.max_messages_per_subject, Some(0));
    assert_eq!(told.max_bytes, Some(0));
    assert_eq!(told.max_age, Some(Duration::ZERO));
    assert_eq!(told.max_message_size, Some(0));
    assert_eq!(told.max_consumers, Some(0));
    assert_eq!(told.duplicate_window, Some(Duration::from_secs(120)));
    assert_eq!(told.replicas, Some(1));
    assert_eq!(told.compression, Some(Compression::None));
    for (field, value) in [
        ("discard_new_per_subject", told.discard_new_per_subject),
        ("allow_rollup", told.allow_rollup),
        ("deny_delete", told.deny_delete),
        ("deny_purge", told.deny_purge),
        ("allow_direct", told.allow_direct),
        ("sealed", told.sealed),
    ] {
        assert_eq!(value, Some(false), "{field}");
    }
    assert_eq!(info.config, js.stream_info(&name).await.unwrap().config);
}

pub async fn every_field_that_is_set_is_told_again(js: Arc<dyn JetStream>) {
    let (name, config) = own_config();
    let mut config = config
        .with_description("for people".to_owned())
        .with_retention(Retention::Interest)
        .with_storage(Storage::Memory)
        .with_discard(Discard::New)
        .with_discard_new_per_subject(true)
        .with_max_messages(1_000)
        .with_max_messages_per_subject(10)
        .with_max_bytes(1 << 20)
        .with_max_age(Duration::from_secs(3_600))
        .with_max_message_size(4_096)
        .with_max_consumers(7)
        .with_duplicate_window(Duration::from_secs(10))
        .with_replicas(1)
        .with_compression(Compression::None)
        .with_first_sequence(42)
        .with_allow_direct(true)
        .with_allow_rollup(true)
        .with_deny_delete(true)
        .with_deny_purge(false)
        .with_metadata("owner", "tests");
    let can = js.capabilities();
    if can.message_ttl {
        config = config
            .with_allow_message_ttl(true)
            .with_subject_delete_marker_ttl(Duration::from_secs(60));
    }
    if can.atomic_publish {
        config = config.with_allow_atomic_publish(true);
    }
    if can.fast_ingest {
        config = config.with_allow_batched_publish(true);
    }
    js.create_stream(config.clone()).await.unwrap();

    let mut told = js.stream_info(&name).await.unwrap().config;
    told.metadata.retain(|key, _| !key.starts_with("_nats."));
    for (set, told) in [
        (config.allow_message_ttl, &mut told.allow_message_ttl),
        (config.allow_atomic_publish, &mut told.allow_atomic_publish),
        (config.allow_batched_publish, &mut told.allow_batched_publish),
    ] {
        // What this server doesn't know may be unset or false, but not true.
        assert_eq!(set.unwrap_or(false), told.unwrap_or(false));
        *told = set;
    }
    if config.subject_delete_marker_ttl.is_none() {
        assert_eq!(told.subject_delete_marker_ttl.unwrap_or_default(), Duration::ZERO);
        told.subject_delete_marker_ttl = None;
    }
    assert_eq!(told.sealed, Some(false));
    told.sealed = None;
    assert_eq!(told, config);
}

pub async fn fast_ingest_is_allowed_where_the_server_can(js: Arc<dyn JetStream>) {
    let (name, config) = own_config();
    let created = js.create_stream(config.with_allow_batched_publish(true)).await;
    if js.capabilities().fast_ingest {
        assert_eq!(created.unwrap().config.allow_batched_publish, Some(true));
    } else {
        refused(created, ErrorKind::Unsupported);
        refused(js.stream_info(&name).await, ErrorKind::NotFound);
    }
}

pub async fn a_stream_is_told_with_the_server_s_time(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store("a", "x").await;
    let stored = own.info().await;
    own.store("a", "x").await;
    let again = own.info().await;
    let (first, second) = (stored.told_at.unwrap(), again.told_at.unwrap());
    assert!(stored.state.last_time.unwrap() <= first, "{stored:?}");
    assert!(first <= again.state.last_time.unwrap() && first <= second, "{again:?}");
}

pub async fn creating_an_equal_stream_again_changes_nothing(js: Arc<dyn JetStream>) {
    let (name, config) = own_config();
    let config = config.with_max_messages(10);
    let first = js.create_stream(config.clone()).await.unwrap();
    let own = Own { js, name };
    own.store("a", "x").await;
    let again = own.js.create_stream(config).await.unwrap();
    assert_eq!(again.created, first.created);
    assert_eq!(again.config, first.config);
    assert_eq!(own.sequences().await, [1]);
}

pub async fn creating_a_stream_that_differs_is_refused(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let before = own.info().await;
    let config = StreamConfig::new(&own.name, [own.subject(">")]).with_max_messages(10);
    let error = refused(own.js.create_stream(config).await, ErrorKind::AlreadyExists);
    assert_eq!(error.get("stream"), Some(own.name.as_str()), "{error:?}");
    assert_eq!(own.info().await.config, before.config);
}

pub async fn subjects_that_another_stream_takes_are_a_conflict(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let name = names::unique("conformance");
    for subject in [own.subject(">"), own.subject("a"), own.subject("*.b")] {
        let config = StreamConfig::new(&name, [subject]);
        refused(own.js.create_stream(config).await, ErrorKind::Conflict);
    }
    refused(own.js.stream_info(&name).await, ErrorKind::NotFound);
}

pub async fn subjects_of_one_stream_that_overlap_are_refused(js: Arc<dyn JetStream>) {
    let name = names::unique("conformance");
    for pair in [[format!("{name}.>"), format!("{name}.a")], [name.clone(), name.clone()]] {
        let config = StreamConfig::new(&name, pair);
        refused(js.create_stream(config).await, ErrorKind::InvalidArgument);
    }
    refused(js.stream_info(&name).await, ErrorKind::NotFound);
}

pub async fn a_stream_without_subjects_takes_its_name(js: Arc<dyn JetStream>) {
    let name = names::unique("conformance");
    let none: [&str; 0] = [];
    let info = js.create_stream(StreamConfig::new(&name, none)).await.unwrap();
    assert_eq!(info.config.subjects, [name]);
}

pub async fn names_and_subjects_that_no_stream_can_have_are_refused(js: Arc<dyn JetStream>) {
    for name in ["", "a.b", "a b", "a*", "a>", "a/b", "a\\b", "a\r\nb", &"x".repeat(256)] {
        let subject = names::unique("subject");
        invalid(js.create_stream(StreamConfig::new(name, [subject])).await, "stream");
        invalid(js.stream_info(name).await, "stream");
        invalid(js.delete_stream(name).await, "stream");
        invalid(js.purge_stream(name, PurgeOptions::default()).await, "stream");
    }
    let name = names::unique("conformance");
    for tail in ["a..b", "a b", "a.", ">.a", "a\0"] {
        let config = StreamConfig::new(&name, [format!("{name}.{tail}")]);
        invalid(js.create_stream(config).await, "subject");
    }
    refused(js.stream_info(&name).await, ErrorKind::NotFound);
}

pub async fn a_stream_that_is_not_there_is_not_found(js: Arc<dyn JetStream>) {
    let name = names::unique("nobody");
    let told = [
        refused(js.stream_info(&name).await, ErrorKind::NotFound),
        refused(js.delete_stream(&name).await, ErrorKind::NotFound),
        refused(js.purge_stream(&name, PurgeOptions::default()).await, ErrorKind::NotFound),
        refused(js.delete_message(&name, 1).await, ErrorKind::NotFound),
        refused(js.subject_counts(&name, ">", 0).await, ErrorKind::NotFound),
        refused(
            js.update_stream(StreamConfig::new(&name, [name.clone()])).await,
            ErrorKind::NotFound,
        ),
        refused(js.create_consumer(&name, ConsumerConfig::new("c")).await, ErrorKind::NotFound),
    ];
    for error in told {
        assert_eq!(error.get("stream"), Some(name.as_str()), "{error:?}");
    }
    assert_eq!(js.find_stream(&name).await.unwrap(), None);
}

pub async fn a_deleted_stream_is_gone_with_messages_and_consumers(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let created = own.info().await.created;
    own.store("a", "x").await;
    own.js.create_consumer(&own.name, ConsumerConfig::new("c")).await.unwrap();
    own.js.delete_stream(&own.name).await.unwrap();
    refused(own.js.stream_info(&own.name).await, ErrorKind::NotFound);
    refused(own.js.publish(own.message("a", "x")).await, ErrorKind::NotFound);

    let config = StreamConfig::new(&own.name, [own.subject(">")]);
    let anew = own.js.create_stream(config).await.unwrap();
    assert!(anew.created > created, "a stream made anew was created later");
    refused(own.js.consumer_info(&own.name, "c").await, ErrorKind::NotFound);
    assert_eq!(own.store("a", "x").await, 1);
}

pub async fn a_new_stream_is_empty(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let state = own.state().await;
    assert_eq!((state.messages, state.bytes), (0, 0));
    assert_eq!((state.first_sequence, state.last_sequence), (1, 0));
    assert_eq!((state.first_time, state.last_time), (None, None));
    assert_eq!((state.num_subjects, state.num_deleted, state.consumers), (0, 0, 0));
}

pub async fn the_state_counts_what_is_there(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.store_all(["a", "b", "a", "c"]).await;
    own.js.create_consumer(&own.name, ConsumerConfig::new("c")).await.unwrap();
    own.js.delete_message(&own.name, 2).await.unwrap();
    let stored = own.stored().await;
    let state = own.state().await;
    assert_eq!((state.messages, state.num_subjects, state.num_deleted), (3, 2, 1));
    assert_eq!((state.first_sequence, state.last_sequence), (1, 4));
    assert_eq!(state.first_time, Some(stored[0].stored_at));
    assert_eq!(state.last_time, Some(stored[2].stored_at));
    assert!(state.bytes > 0);
    wait::until("the readers' consumers to go", PATIENCE, async || {
        own.state().await.consumers == 1
    })
    .await;
}

pub async fn bytes_count_subject_headers_and_payload(js: Arc<dyn JetStream>) {
    let (small, large) = (Own::new(Arc::clone(&js)).await, Own::new(js).await);
    small.store("a", "").await;
    large.store("a", &"x".repeat(1_000)).await;
    let (small, large) = (small.state().await.bytes, large.state().await.bytes);
    let names_differ_by = 8;
    assert!((1_000 - names_differ_by..=1_000 + names_differ_by).contains(&(large - small)));
}

pub async fn a_stream_can_begin_at_a_sequence(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_first_sequence(100)).await;
    let state = own.state().await;
    assert_eq!((state.first_sequence, state.last_sequence), (100, 99));
    assert_eq!(own.store("a", "x").await, 100);
    assert_eq!(own.sequences().await, [100]);
}

pub async fn streams_are_listed_by_name_and_by_subject(js: Arc<dyn JetStream>) {
    let prefix = names::unique("listed");
    let streams = ["c", "a", "b"].map(|tail| format!("{prefix}_{tail}"));
    for (stream, subject) in streams.iter().zip(["x.1", "z.*", "y.1"]) {
        let config = StreamConfig::new(stream, [format!("{prefix}.{subject}")]);
        js.create_stream(config).await.unwrap();
    }
    let listed = async |filter: &str| {
        let options = ListStreams::default().with_subject(format!("{prefix}.{filter}"));
        let infos = collect(js.list_streams(options)).await;
        let names = infos.into_iter().map(|info| info.unwrap().config.name);
        names.map(|name| name[prefix.len() + 1..].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed(">").await, ["a", "b", "c"]);
    assert_eq!(listed("z.7").await, ["a"]);
    assert_eq!(listed("*.1").await, ["a", "b", "c"]);
    assert_eq!(listed("x.*").await, ["c"]);
    assert_eq!(listed("nothing").await, [""; 0]);

    let all = collect(js.list_streams(ListStreams::default())).await;
    let all: Vec<_> = all.into_iter().map(|info| info.unwrap().config.name).collect();
    assert!(all.is_sorted());
    assert!(streams.iter().all(|name| all.contains(name)));
    let filter = ListStreams::default().with_subject("a..b");
    let refusal = collect(js.list_streams(filter)).await.remove(0);
    invalid(refusal, "subject");
}

pub async fn a_listing_of_streams_has_more_than_one_page(js: Arc<dyn JetStream>) {
    let prefix = names::unique("paged");
    // A page of the server has 256.
    let count = 260;
    for n in 0..count {
        let config = StreamConfig::new(format!("{prefix}_{n:03}"), [format!("{prefix}.{n}")]);
        js.create_stream(config.with_storage(Storage::Memory)).await.unwrap();
    }
    let options = ListStreams::default().with_subject(format!("{prefix}.>"));
    let listed = collect(js.list_streams(options)).await;
    let names: Vec<_> = listed.into_iter().map(|info| info.unwrap().config.name).collect();
    let want: Vec<_> = (0..count).map(|n| format!("{prefix}_{n:03}")).collect();
    assert_eq!(names, want);
    for name in names {
        js.delete_stream(&name).await.unwrap();
    }
}

pub async fn a_stream_that_denies_them_refuses_purges_and_deletes(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| config.with_deny_purge(true).with_deny_delete(true)).await;
    own.store_all(["a", "b"]).await;
    let purged = own.js.purge_stream(&own.name, PurgeOptions::default()).await;
    refused(purged, ErrorKind::PermissionDenied);
    let deleted = own.js.delete_message(&own.name, 1).await;
    refused(deleted, ErrorKind::PermissionDenied);
    assert_eq!(own.sequences().await, [1, 2]);
}
