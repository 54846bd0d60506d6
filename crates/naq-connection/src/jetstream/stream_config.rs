//! A stream's configuration and state as the server writes them.

use std::collections::BTreeMap;
use std::time::Duration;

use std::collections::HashMap;

use naq_core::Result;
use naq_core::jetstream::{
    Capabilities, Compression, Discard, Retention, Storage, StreamConfig, StreamInfo, StreamState,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::time::{duration, nanos, required, time};

/// A stream as the server tells it; the configuration raw, so that what naq
/// doesn't know of survives an update.
#[derive(Debug, Deserialize)]
pub(super) struct RawInfo {
    pub(super) config: Map<String, Value>,
    created: String,
    state: RawState,
    #[serde(default)]
    ts: String,
    #[serde(default)]
    cluster: Option<RawCluster>,
    /// How many subjects match, where that was asked.
    #[serde(default)]
    pub(super) total: u64,
}

#[derive(Debug, Deserialize)]
struct RawState {
    messages: u64,
    bytes: u64,
    first_seq: u64,
    first_ts: String,
    last_seq: u64,
    last_ts: String,
    #[serde(default)]
    num_subjects: u64,
    #[serde(default)]
    num_deleted: u64,
    #[serde(default)]
    consumer_count: u64,
    #[serde(default)]
    subjects: Option<HashMap<String, u64>>,
}

#[derive(Debug, Deserialize)]
struct RawCluster {
    #[serde(default)]
    name: String,
    #[serde(default)]
    leader: String,
    #[serde(default)]
    replicas: Option<Vec<RawPeer>>,
}

#[derive(Debug, Deserialize)]
struct RawPeer {
    #[serde(default)]
    current: bool,
    #[serde(default)]
    offline: bool,
}

impl RawInfo {
    /// The messages of each subject that matches, where that was asked.
    pub(super) fn take_subjects(&mut self) -> HashMap<String, u64> {
        self.state.subjects.take().unwrap_or_default()
    }

    pub(super) fn into_info(
        self,
        operation: &'static str,
        can: Capabilities,
    ) -> Result<StreamInfo> {
        let created = required(operation, &self.created)?;
        let mut info = StreamInfo::new(read(&self.config, can), self.state.into_state(), created);
        info.told_at = time(&self.ts);
        info.acks_before_writing = text(&self.config, "persist_mode") == Some("async");
        // A lone server tells itself as the leader of a cluster without a name.
        if let Some(cluster) = self.cluster.filter(|cluster| !cluster.name.is_empty()) {
            let current = cluster.replicas.iter().flatten().filter(|p| p.current && !p.offline);
            let led = u32::from(!cluster.leader.is_empty());
            let current = u32::try_from(current.count()).unwrap_or(u32::MAX);
            info.replicas_current = Some(current.saturating_add(led));
            info.leader = Some(cluster.leader).filter(|leader| !leader.is_empty());
        }
        Ok(info)
    }
}

impl RawState {
    fn into_state(self) -> StreamState {
        let empty = self.messages == 0;
        let mut state = StreamState::default();
        state.messages = self.messages;
        state.bytes = self.bytes;
        state.last_sequence = self.last_seq;
        // An empty stream tells 0 or one behind the last, by version and history.
        state.first_sequence = if empty { self.last_seq.saturating_add(1) } else { self.first_seq };
        state.first_time = if empty { None } else { time(&self.first_ts) };
        state.last_time = time(&self.last_ts);
        state.num_subjects = self.num_subjects;
        state.num_deleted = self.num_deleted;
        state.consumers = self.consumer_count;
        state
    }
}

/// The fields that are set, as the server takes them.
pub(super) fn write(config: &StreamConfig, can: Capabilities) -> Map<String, Value> {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| {
        map.insert(key.to_owned(), value);
    };
    put("name", config.name.clone().into());
    if !config.subjects.is_empty() {
        put("subjects", config.subjects.clone().into());
    }
    if let Some(text) = &config.description {
        put("description", text.clone().into());
    }
    let words = [
        ("retention", config.retention.map(retention_word)),
        ("storage", config.storage.map(storage_word)),
        ("discard", config.discard.map(discard_word)),
        ("compression", config.compression.map(compression_word)),
    ];
    for (key, word) in words {
        if let Some(word) = word {
            put(key, word.into());
        }
    }
    let limits = [
        ("max_msgs", config.max_messages),
        ("max_msgs_per_subject", config.max_messages_per_subject),
        ("max_bytes", config.max_bytes),
        ("max_msg_size", config.max_message_size),
        ("max_consumers", config.max_consumers),
    ];
    for (key, limit) in limits {
        if let Some(limit) = limit {
            put(key, unlimited_or(limit).into());
        }
    }
    let durations = [("max_age", config.max_age), ("duplicate_window", config.duplicate_window)];
    for (key, span) in durations {
        if let Some(span) = span {
            put(key, nanos(span).into());
        }
    }
    if let Some(replicas) = config.replicas {
        put("num_replicas", replicas.into());
    }
    if let Some(sequence) = config.first_sequence {
        put("first_seq", sequence.into());
    }
    let flags = [
        ("discard_new_per_subject", config.discard_new_per_subject),
        ("allow_direct", config.allow_direct),
        ("allow_rollup_hdrs", config.allow_rollup),
        ("deny_delete", config.deny_delete),
        ("deny_purge", config.deny_purge),
        ("sealed", config.sealed),
        // A server that doesn't know a field refuses it, or ignores it.
        ("allow_msg_ttl", config.allow_message_ttl.filter(|_| can.message_ttl)),
        ("allow_atomic", config.allow_atomic_publish.filter(|_| can.atomic_publish)),
        ("allow_batched", config.allow_batched_publish.filter(|_| can.fast_ingest)),
    ];
    for (key, flag) in flags {
        if let Some(flag) = flag {
            put(key, flag.into());
        }
    }
    if let Some(ttl) = config.subject_delete_marker_ttl.filter(|_| can.message_ttl) {
        put("subject_delete_marker_ttl", nanos(ttl).into());
    }
    if !config.metadata.is_empty() {
        let metadata = config.metadata.iter().map(|(k, v)| (k.clone(), v.clone().into()));
        put("metadata", Value::Object(metadata.collect()));
    }
    map
}

/// What a configuration wants and these capabilities lack: the field, and the version that has it.
pub(super) fn missing(
    config: &StreamConfig,
    can: Capabilities,
) -> Option<(&'static str, &'static str)> {
    let wants = |flag: Option<bool>| flag == Some(true);
    let marker = config.subject_delete_marker_ttl.is_some_and(|ttl| ttl > Duration::ZERO);
    [
        (wants(config.allow_message_ttl) && !can.message_ttl, ("allow_message_ttl", "2.11")),
        (marker && !can.message_ttl, ("subject_delete_marker_ttl", "2.11")),
        (
            wants(config.allow_atomic_publish) && !can.atomic_publish,
            ("allow_atomic_publish", "2.12"),
        ),
        (
            wants(config.allow_batched_publish) && !can.fast_ingest,
            ("allow_batched_publish", "2.14"),
        ),
    ]
    .into_iter()
    .find_map(|(lacks, what)| lacks.then_some(what))
}

/// Puts the fields that are set over those that the server has; metadata is merged.
pub(super) fn overlay(onto: &mut Map<String, Value>, set: Map<String, Value>) {
    for (key, value) in set {
        match (onto.get_mut(&key), value) {
            (Some(Value::Object(have)), Value::Object(more)) if key == "metadata" => {
                have.extend(more);
            }
            (_, value) => {
                onto.insert(key, value);
            }
        }
    }
}

/// A configuration out of the server's; what these capabilities know of is set.
pub(super) fn read(raw: &Map<String, Value>, can: Capabilities) -> StreamConfig {
    let mut config = StreamConfig::default();
    config.name = field(raw, "name").unwrap_or_default();
    config.subjects = field(raw, "subjects").unwrap_or_default();
    config.description = field(raw, "description");
    config.retention = Some(match text(raw, "retention") {
        Some("interest") => Retention::Interest,
        Some("workqueue") => Retention::WorkQueue,
        _ => Retention::Limits,
    });
    config.storage = Some(match text(raw, "storage") {
        Some("memory") => Storage::Memory,
        _ => Storage::File,
    });
    config.discard = Some(match text(raw, "discard") {
        Some("new") => Discard::New,
        _ => Discard::Old,
    });
    config.compression = Some(match text(raw, "compression") {
        Some("s2") => Compression::S2,
        _ => Compression::None,
    });
    let limit = |key| Some(u64::try_from(field::<i64>(raw, key).unwrap_or(-1)).unwrap_or(0));
    config.max_messages = limit("max_msgs");
    config.max_messages_per_subject = limit("max_msgs_per_subject");
    config.max_bytes = limit("max_bytes");
    config.max_message_size = limit("max_msg_size");
    config.max_consumers = limit("max_consumers");
    let span = |key| Some(duration(field(raw, key).unwrap_or(0)));
    config.max_age = span("max_age");
    config.duplicate_window = span("duplicate_window");
    config.replicas = Some(field(raw, "num_replicas").unwrap_or(1));
    config.first_sequence = Some(field(raw, "first_seq").unwrap_or(1).max(1));
    let flag = |key| Some(field(raw, key).unwrap_or(false));
    config.discard_new_per_subject = flag("discard_new_per_subject");
    config.allow_direct = flag("allow_direct");
    config.allow_rollup = flag("allow_rollup_hdrs");
    config.deny_delete = flag("deny_delete");
    config.deny_purge = flag("deny_purge");
    config.sealed = flag("sealed");
    config.allow_message_ttl = flag("allow_msg_ttl").filter(|_| can.message_ttl);
    config.subject_delete_marker_ttl =
        span("subject_delete_marker_ttl").filter(|_| can.message_ttl);
    config.allow_atomic_publish = flag("allow_atomic").filter(|_| can.atomic_publish);
    config.allow_batched_publish = flag("allow_batched").filter(|_| can.fast_ingest);
    config.metadata = field::<BTreeMap<String, String>>(raw, "metadata").unwrap_or_default();
    config
}

fn field<T: DeserializeOwned>(raw: &Map<String, Value>, key: &str) -> Option<T> {
    serde_json::from_value(raw.get(key)?.clone()).ok()
}

fn text<'a>(raw: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    raw.get(key)?.as_str()
}

fn unlimited_or(limit: u64) -> i64 {
    if limit == 0 { -1 } else { i64::try_from(limit).unwrap_or(i64::MAX) }
}

fn retention_word(retention: Retention) -> &'static str {
    match retention {
        Retention::Limits => "limits",
        Retention::Interest => "interest",
        Retention::WorkQueue => "workqueue",
    }
}

fn storage_word(storage: Storage) -> &'static str {
    match storage {
        Storage::File => "file",
        Storage::Memory => "memory",
    }
}

fn discard_word(discard: Discard) -> &'static str {
    match discard {
        Discard::Old => "old",
        Discard::New => "new",
    }
}

fn compression_word(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "none",
        Compression::S2 => "s2",
    }
}

#[cfg(test)]
mod tests {
    use naq_core::jetstream::ServerVersion;
    use serde_json::json;

    use super::*;

    fn can(minor: u32) -> Capabilities {
        Capabilities::of(ServerVersion::new(2, minor, 0))
    }

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn what_is_set_is_written_and_read_back() {
        let config = StreamConfig::new("s", ["a.>"])
            .with_max_messages(0)
            .with_max_bytes(1 << 30)
            .with_max_age(Duration::from_secs(3_600))
            .with_discard(Discard::New)
            .with_allow_message_ttl(true)
            .with_metadata("k", "v");
        let map = write(&config, can(11));
        assert_eq!(map["max_msgs"], -1);
        assert_eq!(map["max_age"], 3_600_000_000_000_u64);
        assert!(!map.contains_key("retention") && !map.contains_key("allow_atomic"));
        let back = read(&map, can(11));
        assert_eq!(back.max_messages, Some(0));
        assert_eq!((back.max_bytes, back.discard), (config.max_bytes, config.discard));
        assert_eq!((back.allow_message_ttl, back.allow_atomic_publish), (Some(true), None));
        assert_eq!(back.metadata, config.metadata);
    }

    #[test]
    fn an_update_leaves_what_is_unset_and_what_is_unknown() {
        let mut have = object(json!({
            "name": "s", "subjects": ["a"], "max_msgs": 5, "of_the_future": {"x": 1},
            "metadata": {"mine": "1", "_nats.ver": "2.15.1"},
        }));
        let set = StreamConfig::new("s", [""; 0]).with_max_messages(7).with_metadata("new", "2");
        overlay(&mut have, write(&set, can(15)));
        assert_eq!(
            Value::Object(have),
            json!({
                "name": "s", "subjects": ["a"], "max_msgs": 7, "of_the_future": {"x": 1},
                "metadata": {"mine": "1", "_nats.ver": "2.15.1", "new": "2"},
            })
        );
    }

    #[test]
    fn what_a_server_lacks_is_named_and_what_is_off_is_left_away() {
        let config = StreamConfig::new("s", ["a"]).with_allow_atomic_publish(true);
        assert_eq!(missing(&config, can(11)), Some(("allow_atomic_publish", "2.12")));
        assert_eq!(missing(&config, can(12)), None);
        let off = StreamConfig::new("s", ["a"])
            .with_allow_batched_publish(false)
            .with_subject_delete_marker_ttl(Duration::ZERO);
        assert_eq!(missing(&off, can(10)), None);
        assert_eq!(write(&off, can(10)).len(), 2);
    }

    #[test]
    fn an_empty_stream_begins_behind_its_last_sequence() {
        let info = |first: u64, last: u64| {
            let raw: RawInfo = serde_json::from_value(json!({
                "config": {"name": "s"}, "created": "2026-01-02T03:04:05.123456789Z",
                "state": {"messages": 0, "bytes": 0, "first_seq": first, "last_seq": last,
                    "first_ts": "0001-01-01T00:00:00Z", "last_ts": "0001-01-01T00:00:00Z"},
                "cluster": {"leader": "N1"},
            }))
            .unwrap();
            raw.into_info("stream_info", can(15)).unwrap()
        };
        assert_eq!(info(0, 0).state.first_sequence, 1);
        assert_eq!(info(8, 7).state.first_sequence, 8);
        let info = info(0, 0);
        assert_eq!((info.state.first_time, info.state.last_time), (None, None));
        assert_eq!((info.leader, info.replicas_current), (None, None));
        assert_eq!(info.created.as_nanos() % 1_000, 789);
    }
}
