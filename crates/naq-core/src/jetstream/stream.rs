//! Streams: configuration, state, listing, purging.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// When a stream lets messages go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Retention {
    /// By the limits alone.
    #[default]
    Limits,
    /// When each consumer that is interested has acknowledged.
    Interest,
    /// When one consumer has acknowledged.
    WorkQueue,
}

/// Where a stream's messages are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// On disk.
    #[default]
    File,
    /// In memory: gone when the server stops.
    Memory,
}

/// What happens when a limit is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Discard {
    /// The oldest messages go.
    #[default]
    Old,
    /// New messages are refused with `LimitReached`.
    New,
}

/// How a stream's blocks lie on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// Compressed with S2.
    S2,
}

/// A stream's configuration, for creation and update, and as the server tells it.
///
/// `None` is *unset*: creation takes the server's default, an update leaves
/// what the server has. In what the server tells, every field that it knows is
/// set. For limits `Some(0)` (or a zero duration) is *unlimited*.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamConfig {
    /// The stream's name: no space, `.`, `*`, `>`, `/` or `\`.
    pub name: String,
    /// The subjects that it takes; empty is unset.
    pub subjects: Vec<String>,
    /// A text for people.
    pub description: Option<String>,
    /// When messages go.
    pub retention: Option<Retention>,
    /// Where messages are kept; can't be changed later.
    pub storage: Option<Storage>,
    /// What happens at a limit.
    pub discard: Option<Discard>,
    /// With [`Discard::New`]: whether `max_messages_per_subject` refuses too.
    pub discard_new_per_subject: Option<bool>,
    /// The most messages; 0 is unlimited.
    pub max_messages: Option<u64>,
    /// The most messages on one subject; 0 is unlimited.
    pub max_messages_per_subject: Option<u64>,
    /// The most bytes, headers and subjects included; 0 is unlimited.
    pub max_bytes: Option<u64>,
    /// The age at which messages go; zero is unlimited.
    pub max_age: Option<Duration>,
    /// The largest message in bytes, headers included; 0 is unlimited.
    pub max_message_size: Option<u64>,
    /// The most consumers; 0 is unlimited.
    pub max_consumers: Option<u64>,
    /// How long a message id is remembered; at most `max_age`.
    pub duplicate_window: Option<Duration>,
    /// How many servers hold it.
    pub replicas: Option<u32>,
    /// How blocks lie on disk.
    pub compression: Option<Compression>,
    /// The first sequence of a new stream.
    pub first_sequence: Option<u64>,
    /// Whether any replica answers for single messages, not the leader alone.
    pub allow_direct: Option<bool>,
    /// Whether a message may carry a rollup header.
    pub allow_rollup: Option<bool>,
    /// Whether single messages can't be deleted; can't be taken back.
    pub deny_delete: Option<bool>,
    /// Whether the stream can't be purged; can't be taken back.
    pub deny_purge: Option<bool>,
    /// Whether a message may carry a TTL (servers from 2.11).
    pub allow_message_ttl: Option<bool>,
    /// How long a marker stays where a subject's last message aged away (from 2.11); zero is off.
    pub subject_delete_marker_ttl: Option<Duration>,
    /// Whether atomic batches are taken (from 2.12).
    pub allow_atomic_publish: Option<bool>,
    /// Whether fast ingest is taken (from 2.14).
    pub allow_batched_publish: Option<bool>,
    /// Whether the stream is read only for good; set by an update alone.
    pub sealed: Option<bool>,
    /// Facts of the user's own. Keys beginning with `_nats.` are the server's;
    /// an update merges, it does not remove.
    pub metadata: BTreeMap<String, String>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $with:ident => $field:ident: $type:ty),* $(,)?) => {
        $($(#[$doc])* #[must_use] pub fn $with(mut self, value: $type) -> Self {
            self.$field = Some(value);
            self
        })*
    };
}

impl StreamConfig {
    /// A stream of a name that takes these subjects, all else unset.
    pub fn new<S: Into<String>>(
        name: impl Into<String>,
        subjects: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            name: name.into(),
            subjects: subjects.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    setters! {
        /// Sets the text for people.
        with_description => description: String,
        /// Sets when messages go.
        with_retention => retention: Retention,
        /// Sets where messages are kept.
        with_storage => storage: Storage,
        /// Sets what happens at a limit.
        with_discard => discard: Discard,
        /// Sets whether a full subject refuses.
        with_discard_new_per_subject => discard_new_per_subject: bool,
        /// Sets the most messages; 0 is unlimited.
        with_max_messages => max_messages: u64,
        /// Sets the most messages on one subject; 0 is unlimited.
        with_max_messages_per_subject => max_messages_per_subject: u64,
        /// Sets the most bytes; 0 is unlimited.
        with_max_bytes => max_bytes: u64,
        /// Sets the age at which messages go; zero is unlimited.
        with_max_age => max_age: Duration,
        /// Sets the largest message in bytes; 0 is unlimited.
        with_max_message_size => max_message_size: u64,
        /// Sets the most consumers; 0 is unlimited.
        with_max_consumers => max_consumers: u64,
        /// Sets how long a message id is remembered.
        with_duplicate_window => duplicate_window: Duration,
        /// Sets how many servers hold it.
        with_replicas => replicas: u32,
        /// Sets how blocks lie on disk.
        with_compression => compression: Compression,
        /// Sets the first sequence of a new stream.
        with_first_sequence => first_sequence: u64,
        /// Sets whether any replica answers for single messages.
        with_allow_direct => allow_direct: bool,
        /// Sets whether a message may carry a rollup header.
        with_allow_rollup => allow_rollup: bool,
        /// Sets whether single messages can't be deleted.
        with_deny_delete => deny_delete: bool,
        /// Sets whether the stream can't be purged.
        with_deny_purge => deny_purge: bool,
        /// Sets whether a message may carry a TTL.
        with_allow_message_ttl => allow_message_ttl: bool,
        /// Sets how long a delete marker stays.
        with_subject_delete_marker_ttl => subject_delete_marker_ttl: Duration,
        /// Sets whether atomic batches are taken.
        with_allow_atomic_publish => allow_atomic_publish: bool,
        /// Sets whether fast ingest is taken.
        with_allow_batched_publish => allow_batched_publish: bool,
        /// Sets whether the stream is read only for good.
        with_sealed => sealed: bool,
    }

    /// Adds a fact of the user's own.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }
}

/// What a stream holds at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamState {
    /// How many messages.
    pub messages: u64,
    /// How many bytes, headers, subjects and the server's own overhead included.
    pub bytes: u64,
    /// The first sequence; in an empty stream one behind `last_sequence`.
    pub first_sequence: u64,
    /// When the first message was stored; `None` in an empty stream.
    pub first_time: Option<Timestamp>,
    /// The last sequence ever given out; 0 in a new stream.
    pub last_sequence: u64,
    /// When the last message was stored; `None` where none ever was.
    pub last_time: Option<Timestamp>,
    /// How many different subjects.
    pub num_subjects: u64,
    /// How many sequences between the first and the last are gone.
    pub num_deleted: u64,
    /// How many consumers.
    pub consumers: u64,
}

/// A stream as the server tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamInfo {
    /// Its configuration.
    pub config: StreamConfig,
    /// What it holds.
    pub state: StreamState,
    /// When it was created: a stream made anew under the same name differs here.
    pub created: Timestamp,
    /// When this was told, by the server's clock; `None` where it doesn't say.
    pub told_at: Option<Timestamp>,
    /// The server that leads it, in a cluster.
    pub leader: Option<String>,
    /// How many of its replicas (the leader included) are there and up to date, in a cluster.
    pub replicas_current: Option<u32>,
    /// Whether messages are acknowledged before they are written (the server's
    /// `persist_mode: async`): a server that dies loses what it acknowledged last.
    pub acks_before_writing: bool,
}

impl StreamInfo {
    /// An info of its necessary parts, not in a cluster.
    #[must_use]
    pub fn new(config: StreamConfig, state: StreamState, created: Timestamp) -> Self {
        Self {
            config,
            state,
            created,
            told_at: None,
            leader: None,
            replicas_current: None,
            acks_before_writing: false,
        }
    }
}

/// Which streams to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListStreams {
    /// Only streams with a subject that overlaps this filter.
    pub subject: Option<String>,
}

impl ListStreams {
    /// Only streams with a subject that overlaps this filter.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }
}

/// How much of what matches a purge leaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PurgeKeep {
    /// Nothing.
    #[default]
    Nothing,
    /// The newest this many.
    Newest(u64),
    /// What has this sequence or a higher one.
    ///
    /// Below 0 or 1 nothing is sent and 0 is the answer: servers before 2.14 take 1,
    /// and all of them take 0, for "keep nothing".
    FromSequence(u64),
}

/// What to purge from a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PurgeOptions {
    /// Only messages on subjects that match this filter.
    pub subject: Option<String>,
    /// What to leave of them.
    pub keep: PurgeKeep,
}

impl PurgeOptions {
    /// Only messages on subjects that match this filter.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// What to leave of them.
    #[must_use]
    pub fn with_keep(mut self, keep: PurgeKeep) -> Self {
        self.keep = keep;
        self
    }
}
