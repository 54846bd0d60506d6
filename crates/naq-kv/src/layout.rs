//! A bucket's configuration as that of its stream, and back.

use std::time::Duration;

use naq_core::jetstream::{Capabilities, Discard, StreamConfig, StreamInfo};
use naq_core::kv::{BucketConfig, BucketStatus, MAX_HISTORY};
use naq_core::{Error, Result};

use crate::wire::Names;

/// The server's window for message ids unless told otherwise; it may not exceed `max_age`.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// Checks what the server would refuse with less to go by.
pub(crate) fn validate(operation: &'static str, config: &BucketConfig) -> Result<()> {
    let invalid = |field: &str, rule: &'static str| Err(Error::invalid(operation, field, rule));
    match config.history {
        Some(history) if !(1..=MAX_HISTORY).contains(&history) => {
            return invalid("history", "must be between 1 and 64");
        }
        _ => {}
    }
    match config.max_age {
        Some(age) if !age.is_zero() && age < Duration::from_millis(100) => {
            return invalid("max_age", "must be at least 100 ms, or zero for none");
        }
        _ => {}
    }
    match config.marker_ttl {
        Some(ttl) if ttl.subsec_nanos() != 0 => {
            return invalid("marker_ttl", "must be whole seconds, or zero for none");
        }
        _ => {}
    }
    for (field, limit) in
        [("max_bytes", config.max_bytes), ("max_value_size", config.max_value_size)]
    {
        if limit.is_some_and(|limit| i64::try_from(limit).is_err()) {
            return invalid(field, "must be below 2^63");
        }
    }
    if config.max_value_size.is_some_and(|limit| i32::try_from(limit).is_err()) {
        return invalid("max_value_size", "must be below 2^31");
    }
    if config.replicas.is_some_and(|replicas| !(1..=5).contains(&replicas)) {
        return invalid("replicas", "must be between 1 and 5");
    }
    Ok(())
}

/// The stream of a new bucket.
pub(crate) fn new_stream(
    names: &Names,
    config: &BucketConfig,
    server: Capabilities,
) -> StreamConfig {
    let mut stream = StreamConfig::new(&names.stream, [names.all_keys()])
        .with_discard(Discard::New)
        .with_allow_rollup(true)
        .with_deny_delete(true)
        .with_deny_purge(false)
        .with_allow_direct(true);
    apply(config, &mut stream);
    stream.max_messages_per_subject = Some(config.history.unwrap_or(1));
    if server.atomic_publish {
        stream.allow_atomic_publish = Some(config.transactions.unwrap_or(true));
    }
    if let Some(age) = config.max_age.filter(|age| !age.is_zero() && *age < DUPLICATE_WINDOW) {
        stream.duplicate_window = Some(age);
    }
    stream
}

/// What is wanted of a stream that is there already: what the configuration sets, no more.
pub(crate) fn wanted_stream(
    names: &Names,
    config: &BucketConfig,
    had: &StreamInfo,
) -> StreamConfig {
    let mut stream = StreamConfig::new(&names.stream, [""; 0]);
    apply(config, &mut stream);
    stream.max_messages_per_subject = config.history;
    // Off is asked for only where it is on: an older server doesn't know the field.
    if config.transactions == Some(false) && had.config.allow_atomic_publish == Some(true) {
        stream.allow_atomic_publish = Some(false);
    }
    let off = config.marker_ttl.is_some_and(|ttl| ttl.is_zero());
    if off && had.config.allow_message_ttl == Some(true) {
        stream.allow_message_ttl = Some(false);
    }
    let window = had.config.duplicate_window.unwrap_or(DUPLICATE_WINDOW);
    if let Some(age) = config.max_age.filter(|age| !age.is_zero() && *age < window) {
        stream.duplicate_window = Some(age);
    }
    stream
}

/// Sets what a new stream and one that is there have alike.
fn apply(config: &BucketConfig, stream: &mut StreamConfig) {
    stream.description.clone_from(&config.description);
    stream.max_age = config.max_age;
    stream.max_bytes = config.max_bytes;
    stream.max_message_size = config.max_value_size;
    stream.storage = config.storage;
    stream.replicas = config.replicas;
    stream.compression = config.compression;
    stream.allow_atomic_publish = config.transactions.filter(|wanted| *wanted);
    match config.marker_ttl {
        Some(ttl) if !ttl.is_zero() => {
            stream.allow_message_ttl = Some(true);
            stream.subject_delete_marker_ttl = Some(ttl);
        }
        _ => {}
    }
}

/// A field of the stream by the name that a bucket has for it.
pub(crate) fn field_of_bucket(field: &'static str) -> &'static str {
    match field {
        "max_messages_per_subject" => "history",
        "max_message_size" => "max_value_size",
        "allow_message_ttl" | "subject_delete_marker_ttl" => "marker_ttl",
        "allow_atomic_publish" => "transactions",
        other => other,
    }
}

/// A bucket's status from its stream's info.
pub(crate) fn status(bucket: &str, info: StreamInfo) -> BucketStatus {
    let StreamInfo { config: stream, state, created, .. } = info;
    let mut config = BucketConfig::new(bucket);
    config.description = stream.description;
    config.history = Some(stream.max_messages_per_subject.unwrap_or_default());
    config.max_age = Some(stream.max_age.unwrap_or_default());
    config.max_bytes = Some(stream.max_bytes.unwrap_or_default());
    config.max_value_size = Some(stream.max_message_size.unwrap_or_default());
    config.storage = Some(stream.storage.unwrap_or_default());
    config.replicas = Some(stream.replicas.unwrap_or(1));
    config.compression = Some(stream.compression.unwrap_or_default());
    config.marker_ttl = Some(stream.subject_delete_marker_ttl.unwrap_or_default());
    config.transactions = Some(stream.allow_atomic_publish.unwrap_or_default());

    let mut status = BucketStatus::new(config, stream.name, created);
    status.values = state.messages;
    status.keys = state.num_subjects;
    status.bytes = state.bytes;
    status.last_revision = state.last_sequence;
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use naq_core::Timestamp;
    use naq_core::jetstream::{ServerVersion, StreamState};

    fn names() -> Names {
        Names::new("test", "jobs").unwrap()
    }

    fn server(minor: u32) -> Capabilities {
        Capabilities::of(ServerVersion::new(2, minor, 0))
    }

    #[test]
    fn a_new_bucket_is_the_stream_that_nats_has_for_it() {
        let stream = new_stream(&names(), &BucketConfig::new("jobs"), server(10));
        let expected = StreamConfig::new("KV_jobs", ["$KV.jobs.>"])
            .with_max_messages_per_subject(1)
            .with_discard(Discard::New)
            .with_allow_rollup(true)
            .with_deny_delete(true)
            .with_deny_purge(false)
            .with_allow_direct(true);
        assert_eq!(stream, expected, "nothing that an old server doesn't know");
        let stream = new_stream(&names(), &BucketConfig::new("jobs"), server(12));
        assert_eq!(stream.allow_atomic_publish, Some(true));
    }

    #[test]
    fn the_duplicate_window_never_exceeds_the_age() {
        let age = Duration::from_secs(30);
        let config = BucketConfig::new("jobs").with_max_age(age);
        assert_eq!(new_stream(&names(), &config, server(15)).duplicate_window, Some(age));
        let config = config.with_max_age(Duration::from_secs(3_600));
        assert_eq!(new_stream(&names(), &config, server(15)).duplicate_window, None);
    }

    #[test]
    fn what_is_wanted_of_a_bucket_that_is_there_is_what_is_set() {
        let had = StreamInfo::new(
            StreamConfig::new("KV_jobs", ["$KV.jobs.>"]),
            StreamState::default(),
            Timestamp::default(),
        );
        let wanted = wanted_stream(&names(), &BucketConfig::new("jobs"), &had);
        assert_eq!(wanted, StreamConfig::new("KV_jobs", [""; 0]));
        let config = BucketConfig::new("jobs")
            .with_history(3)
            .with_marker_ttl(Duration::from_secs(9))
            .with_max_age(Duration::from_secs(60));
        let wanted = wanted_stream(&names(), &config, &had);
        assert_eq!(wanted.max_messages_per_subject, Some(3));
        assert_eq!(wanted.allow_message_ttl, Some(true));
        assert_eq!(wanted.duplicate_window, Some(Duration::from_secs(60)));
    }

    #[test]
    fn values_out_of_their_range_are_refused_by_name() {
        let new = || BucketConfig::new("jobs");
        for (config, field) in [
            (new().with_history(0), "history"),
            (new().with_history(65), "history"),
            (new().with_max_age(Duration::from_millis(5)), "max_age"),
            (new().with_marker_ttl(Duration::from_millis(1_500)), "marker_ttl"),
            (new().with_max_bytes(u64::MAX), "max_bytes"),
            (new().with_max_value_size(1 << 31), "max_value_size"),
            (new().with_replicas(6), "replicas"),
        ] {
            let error = validate("create_bucket", &config).unwrap_err();
            assert_eq!(error.get("field"), Some(field));
        }
        validate("create_bucket", &new().with_history(64).with_replicas(1)).unwrap();
    }
}
