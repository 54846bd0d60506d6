//! How a stream looks.

use std::collections::BTreeMap;
use std::time::Duration;

use naq_core::Timestamp;
use naq_core::config::format_duration;
use naq_core::jetstream::{Compression, Discard, Retention, Storage, StreamInfo};
use naq_core::streams::holds_for;
use serde::Serialize;

use crate::output::{Grid, View, human};

/// A stream as JSON: what it is called, what it holds, how it is configured.
#[derive(Debug, Serialize)]
pub(crate) struct StreamShape {
    name: String,
    subjects: Vec<String>,
    messages: u64,
    bytes: u64,
    first_sequence: u64,
    last_sequence: u64,
    first_time: Option<Timestamp>,
    last_time: Option<Timestamp>,
    num_subjects: u64,
    num_deleted: u64,
    consumers: u64,
    created: Timestamp,
    leader: Option<String>,
    /// Seconds that it holds at the present rate.
    holds_seconds: Option<f64>,
    config: ConfigShape,
}

/// Its configuration; a limit of 0 is none, times are in seconds.
#[derive(Debug, Serialize)]
struct ConfigShape {
    description: Option<String>,
    retention: Option<Retention>,
    storage: Option<Storage>,
    discard: Option<Discard>,
    compression: Option<Compression>,
    max_messages: Option<u64>,
    max_messages_per_subject: Option<u64>,
    max_bytes: Option<u64>,
    max_age: Option<f64>,
    max_message_size: Option<u64>,
    duplicate_window: Option<f64>,
    replicas: Option<u32>,
    allow_direct: Option<bool>,
    allow_message_ttl: Option<bool>,
    allow_atomic_publish: Option<bool>,
    allow_batched_publish: Option<bool>,
    deny_delete: Option<bool>,
    deny_purge: Option<bool>,
    sealed: Option<bool>,
    metadata: BTreeMap<String, String>,
}

impl StreamShape {
    /// The shape of what the server tells.
    pub(crate) fn of(info: &StreamInfo) -> Self {
        let (config, state) = (&info.config, &info.state);
        let seconds = |duration: Option<Duration>| duration.map(|d| d.as_secs_f64());
        Self {
            name: config.name.clone(),
            subjects: config.subjects.clone(),
            messages: state.messages,
            bytes: state.bytes,
            first_sequence: state.first_sequence,
            last_sequence: state.last_sequence,
            first_time: state.first_time,
            last_time: state.last_time,
            num_subjects: state.num_subjects,
            num_deleted: state.num_deleted,
            consumers: state.consumers,
            created: info.created,
            leader: info.leader.clone(),
            holds_seconds: seconds(holds_for(info)),
            config: ConfigShape {
                description: config.description.clone(),
                retention: config.retention,
                storage: config.storage,
                discard: config.discard,
                compression: config.compression,
                max_messages: config.max_messages,
                max_messages_per_subject: config.max_messages_per_subject,
                max_bytes: config.max_bytes,
                max_age: seconds(config.max_age),
                max_message_size: config.max_message_size,
                duplicate_window: seconds(config.duplicate_window),
                replicas: config.replicas,
                allow_direct: config.allow_direct,
                allow_message_ttl: config.allow_message_ttl,
                allow_atomic_publish: config.allow_atomic_publish,
                allow_batched_publish: config.allow_batched_publish,
                deny_delete: config.deny_delete,
                deny_purge: config.deny_purge,
                sealed: config.sealed,
                metadata: config.metadata.clone(),
            },
        }
    }
}

/// A row for each stream.
pub(crate) fn table(streams: &[StreamShape], view: &View) -> String {
    let headings = ["Stream", "Messages", "Size", "Last", "Subjects"];
    let mut grid = Grid::new(view, &headings).right(&[1, 2]);
    for stream in streams {
        grid.row([
            stream.name.as_str(),
            &human::count(stream.messages),
            &human::size(stream.bytes),
            &stream.last_time.map_or_else(|| "-".to_owned(), |time| view.zone.full(time)),
            &stream.subjects.join(", "),
        ]);
    }
    if grid.is_empty() { "no streams\n".to_owned() } else { grid.text() }
}

/// Everything about one stream.
pub(crate) fn facts(stream: &StreamShape, view: &View) -> String {
    let time = |time: Option<Timestamp>| time.map(|time| view.zone.full(time));
    let mut grid = Grid::new(view, &[]);
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            grid.row([name, &value]);
        }
    };
    fact("Stream", Some(stream.name.clone()));
    fact("Description", stream.config.description.clone().filter(|text| !text.is_empty()));
    fact("Subjects", Some(stream.subjects.join(", ")));
    fact("Messages", Some(held(stream)));
    fact("Sequences", Some(sequences(stream)));
    fact("First", time(stream.first_time));
    fact("Last", time(stream.last_time));
    fact("Created", time(Some(stream.created)));
    fact("Consumers", Some(human::count(stream.consumers)));
    fact("Leader", stream.leader.clone());
    let config = &stream.config;
    let size = |bytes: u64| human::size(bytes);
    let span = |seconds: f64| {
        Duration::try_from_secs_f64(seconds).map_or_else(|_| "?".to_owned(), format_duration)
    };
    let limit = |limit: Option<u64>, shown: &dyn Fn(u64) -> String| {
        limit.map(|limit| if limit == 0 { "none".to_owned() } else { shown(limit) })
    };
    fact("Limit of messages", limit(config.max_messages, &human::count));
    fact("Limit of size", limit(config.max_bytes, &size));
    fact(
        "Limit of age",
        config.max_age.map(|age| if age == 0.0 { "none".to_owned() } else { span(age) }),
    );
    fact(
        "Holds",
        stream.holds_seconds.map(|s| format!("{} at the present rate", human::seconds(s))),
    );
    fact("When full", config.discard.map(|discard| word(&discard)).as_deref().map(when_full));
    fact("Storage", config.storage.map(|storage| word(&storage)));
    fact("Retention", config.retention.map(|retention| word(&retention)));
    fact("Replicas", config.replicas.map(|replicas| replicas.to_string()));
    fact("Duplicate window", config.duplicate_window.map(span));
    let flags = [
        ("direct gets", config.allow_direct),
        ("message TTL", config.allow_message_ttl),
        ("atomic batches", config.allow_atomic_publish),
        ("fast ingest", config.allow_batched_publish),
    ];
    let allowed: Vec<_> =
        flags.iter().filter(|(_, on)| *on == Some(true)).map(|(name, _)| *name).collect();
    fact("Allows", Some(allowed.join(", ")).filter(|text| !text.is_empty()));
    let flags = [
        ("deleting", config.deny_delete),
        ("purging", config.deny_purge),
        ("any change", config.sealed),
    ];
    let denied: Vec<_> =
        flags.iter().filter(|(_, on)| *on == Some(true)).map(|(name, _)| *name).collect();
    fact("Denies", Some(denied.join(", ")).filter(|text| !text.is_empty()));
    grid.text()
}

fn held(stream: &StreamShape) -> String {
    format!(
        "{} in {} on {}",
        human::count(stream.messages),
        human::size(stream.bytes),
        human::counted(stream.num_subjects, "subject")
    )
}

fn sequences(stream: &StreamShape) -> String {
    if stream.messages == 0 {
        return format!("none; the last one given out was {}", stream.last_sequence);
    }
    let gone = match stream.num_deleted {
        0 => String::new(),
        some => format!(", {} between are gone", human::count(some)),
    };
    format!("{} to {}{gone}", stream.first_sequence, stream.last_sequence)
}

fn when_full(discard: &str) -> String {
    match discard {
        "new" => "new messages are refused".to_owned(),
        _ => "the oldest messages go".to_owned(),
    }
}

/// The word that JSON has for it.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "?".to_owned(),
    }
}
