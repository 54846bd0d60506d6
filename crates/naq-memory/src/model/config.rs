//! A stream's configuration with every field known, and the server's rules for it.

use std::collections::BTreeMap;
use std::time::Duration;

use naq_core::jetstream::{
    Capabilities, Compression, Discard, Retention, ServerVersion, Storage, StreamConfig,
    check_filter, check_name, filter_covers, filters_overlap,
};

use super::refusal::Refusal;

/// The duplicate window that the server takes where none is set.
const DEFAULT_WINDOW: Duration = Duration::from_secs(120);
/// The shortest age and window that the server takes.
const SHORTEST: Duration = Duration::from_millis(100);
const MAX_REPLICAS: u32 = 5;
const MAX_DESCRIPTION_BYTES: usize = 4 * 1024;
const MAX_METADATA_BYTES: usize = 128 * 1024;
/// What only streams without acknowledgements may take.
const SERVERS_OWN: [(&str, &str); 4] = [
    ("$JS.>", "$JS.EVENT.>"),
    ("$JSC.>", "$JS.EVENT.>"),
    ("$NRG.>", "$JS.EVENT.>"),
    ("$SYS.>", "$SYS.ACCOUNT.>"),
];

/// A stream's configuration; limits of 0 are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) name: String,
    pub(crate) subjects: Vec<String>,
    pub(crate) description: String,
    pub(crate) retention: Retention,
    pub(crate) storage: Storage,
    pub(crate) discard: Discard,
    pub(crate) discard_new_per_subject: bool,
    pub(crate) max_messages: u64,
    pub(crate) max_messages_per_subject: u64,
    pub(crate) max_bytes: u64,
    pub(crate) max_age: Duration,
    pub(crate) max_message_size: u64,
    pub(crate) max_consumers: u64,
    pub(crate) duplicate_window: Duration,
    pub(crate) replicas: u32,
    pub(crate) compression: Compression,
    pub(crate) first_sequence: u64,
    pub(crate) allow_direct: bool,
    pub(crate) allow_rollup: bool,
    pub(crate) deny_delete: bool,
    pub(crate) deny_purge: bool,
    pub(crate) allow_message_ttl: bool,
    pub(crate) subject_delete_marker_ttl: Duration,
    pub(crate) allow_atomic_publish: bool,
    pub(crate) allow_batched_publish: bool,
    pub(crate) sealed: bool,
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Config {
    /// A new stream's configuration, with the server's defaults for what is unset.
    pub(crate) fn create(asked: &StreamConfig, version: ServerVersion) -> Result<Self, Refusal> {
        if asked.sealed == Some(true) {
            return Err(Refusal::stream("sealed", "must be set by an update alone"));
        }
        let blank = Self {
            name: asked.name.clone(),
            subjects: Vec::new(),
            description: String::new(),
            retention: Retention::default(),
            storage: Storage::default(),
            discard: Discard::default(),
            discard_new_per_subject: false,
            max_messages: 0,
            max_messages_per_subject: 0,
            max_bytes: 0,
            max_age: Duration::ZERO,
            max_message_size: 0,
            max_consumers: 0,
            duplicate_window: Duration::ZERO,
            replicas: 1,
            compression: Compression::default(),
            first_sequence: 1,
            allow_direct: false,
            allow_rollup: false,
            deny_delete: false,
            deny_purge: false,
            allow_message_ttl: false,
            subject_delete_marker_ttl: Duration::ZERO,
            allow_atomic_publish: false,
            allow_batched_publish: false,
            sealed: false,
            metadata: BTreeMap::new(),
        };
        let mut config = blank.with(asked, version)?;
        if config.subjects.is_empty() {
            config.subjects.push(config.name.clone());
        }
        config.check()?;
        Ok(config)
    }

    /// This configuration with what is set in `asked`, as an update makes it.
    pub(crate) fn updated(
        &self,
        asked: &StreamConfig,
        version: ServerVersion,
    ) -> Result<Self, Refusal> {
        let mut config = self.clone().with(asked, version)?;
        config.check()?;
        let refused = |field, rule: &'static str| Err(Refusal::stream(field, rule));
        if config.storage != self.storage {
            return refused("storage", "can not be changed");
        }
        if config.retention != self.retention
            && (self.retention == Retention::WorkQueue || config.retention == Retention::WorkQueue)
        {
            return refused("retention", "can not be changed to or from workqueue");
        }
        if config.replicas > 1 {
            return refused("replicas", "must be 1 where the server is not in a cluster");
        }
        for (field, was, is) in [
            ("sealed", self.sealed, config.sealed),
            ("deny_delete", self.deny_delete, config.deny_delete),
            ("deny_purge", self.deny_purge, config.deny_purge),
            ("allow_message_ttl", self.allow_message_ttl, config.allow_message_ttl),
        ] {
            if was && !is {
                return refused(field, "can not be taken back");
            }
        }
        if config.sealed {
            config.max_age = Duration::ZERO;
            config.discard = Discard::New;
            config.deny_delete = true;
            config.deny_purge = true;
            config.allow_rollup = false;
        }
        Ok(config)
    }

    /// The configuration as a server of a version tells it: every field that it
    /// knows is set, but for an empty description.
    pub(crate) fn told(&self, version: ServerVersion) -> StreamConfig {
        let mut config = StreamConfig::new(&self.name, &self.subjects)
            .with_retention(self.retention)
            .with_storage(self.storage)
            .with_discard(self.discard)
            .with_discard_new_per_subject(self.discard_new_per_subject)
            .with_max_messages(self.max_messages)
            .with_max_messages_per_subject(self.max_messages_per_subject)
            .with_max_bytes(self.max_bytes)
            .with_max_age(self.max_age)
            .with_max_message_size(self.max_message_size)
            .with_max_consumers(self.max_consumers)
            .with_duplicate_window(self.duplicate_window)
            .with_replicas(self.replicas)
            .with_compression(self.compression)
            .with_first_sequence(self.first_sequence)
            .with_allow_direct(self.allow_direct)
            .with_allow_rollup(self.allow_rollup)
            .with_deny_delete(self.deny_delete)
            .with_deny_purge(self.deny_purge)
            .with_sealed(self.sealed);
        config.description = Some(self.description.clone()).filter(|text| !text.is_empty());
        let can = Capabilities::of(version);
        config.allow_message_ttl = can.message_ttl.then_some(self.allow_message_ttl);
        config.subject_delete_marker_ttl =
            can.message_ttl.then_some(self.subject_delete_marker_ttl);
        config.allow_atomic_publish = can.atomic_publish.then_some(self.allow_atomic_publish);
        config.allow_batched_publish = can.fast_ingest.then_some(self.allow_batched_publish);
        config.metadata = self.metadata.clone();
        config
    }

    /// Whether a subject is one of the stream's.
    pub(crate) fn overlap(&self, subject: &str) -> bool {
        self.subjects.iter().any(|own| filters_overlap(own, subject))
    }

    /// About how much memory it takes beside a stream's fixed part.
    pub(crate) fn weight(&self) -> u64 {
        let subjects: usize = self.subjects.iter().map(|subject| subject.len() + 24).sum();
        let metadata: usize =
            self.metadata.iter().map(|(key, value)| key.len() + value.len() + 48).sum();
        (self.description.len() + subjects + metadata) as u64
    }

    /// Takes over what is set, and refuses what the version doesn't know.
    fn with(mut self, asked: &StreamConfig, version: ServerVersion) -> Result<Self, Refusal> {
        let needs = |option, needs, is: bool| {
            if is {
                Ok(())
            } else {
                Err(Refusal::Version { option, needs, version: version.to_string() })
            }
        };
        if asked.allow_message_ttl == Some(true)
            || asked.subject_delete_marker_ttl.is_some_and(|ttl| !ttl.is_zero())
        {
            needs("a message TTL", "2.11", version.at_least(2, 11))?;
        }
        if asked.allow_atomic_publish == Some(true) {
            needs("an atomic batch", "2.12", version.at_least(2, 12))?;
        }
        if asked.allow_batched_publish == Some(true) {
            needs("fast ingest", "2.14", version.at_least(2, 14))?;
        }
        macro_rules! take {
            ($($field:ident),* $(,)?) => {$(
                if let Some(value) = &asked.$field {
                    self.$field = value.clone();
                }
            )*};
        }
        take!(
            description,
            retention,
            storage,
            discard,
            discard_new_per_subject,
            max_messages,
            max_messages_per_subject,
            max_bytes,
            max_age,
            max_message_size,
            max_consumers,
            duplicate_window,
            replicas,
            compression,
            first_sequence,
            allow_direct,
            allow_rollup,
            deny_delete,
            deny_purge,
            allow_message_ttl,
            subject_delete_marker_ttl,
            allow_atomic_publish,
            allow_batched_publish,
            sealed,
        );
        if !asked.subjects.is_empty() {
            self.subjects.clone_from(&asked.subjects);
        }
        self.metadata
            .extend(asked.metadata.iter().map(|(key, value)| (key.clone(), value.clone())));
        Ok(self)
    }

    /// The rules that hold for a new stream and for a changed one.
    fn check(&mut self) -> Result<(), Refusal> {
        check_name("", "name", &self.name)
            .map_err(|error| Refusal::stream("name", error.message().to_owned()))?;
        let refused = |field, rule: &'static str| Err(Refusal::stream(field, rule));
        if self.description.len() > MAX_DESCRIPTION_BYTES {
            return refused("description", "must have at most 4096 bytes");
        }
        let metadata: usize =
            self.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
        if metadata > MAX_METADATA_BYTES {
            return refused("metadata", "must have at most 131072 bytes");
        }
        self.replicas = self.replicas.max(1);
        self.first_sequence = self.first_sequence.max(1);
        if self.replicas > MAX_REPLICAS {
            return refused("replicas", "must be at most 5");
        }
        if self.replicas > 1 {
            return refused("replicas", "must be 1 where the server is not in a cluster");
        }
        if !self.max_age.is_zero() && self.max_age < SHORTEST {
            return refused("max_age", "must be at least 100 ms, or zero");
        }
        if self.duplicate_window.is_zero() {
            self.duplicate_window = match self.max_age {
                Duration::ZERO => DEFAULT_WINDOW,
                age => age.min(DEFAULT_WINDOW),
            };
        }
        if !self.max_age.is_zero() && self.duplicate_window > self.max_age {
            return refused("duplicate_window", "must be at most max_age");
        }
        if self.duplicate_window < SHORTEST {
            return refused("duplicate_window", "must be at least 100 ms");
        }
        if self.deny_purge && self.allow_rollup {
            return refused("allow_rollup", "can not be set together with deny_purge");
        }
        if self.discard_new_per_subject {
            if self.discard != Discard::New {
                return refused("discard_new_per_subject", "needs that new messages are discarded");
            }
            if self.max_messages_per_subject == 0 {
                return refused("discard_new_per_subject", "needs max_messages_per_subject");
            }
        }
        if !self.subject_delete_marker_ttl.is_zero() {
            if self.subject_delete_marker_ttl < Duration::from_secs(1) {
                return refused("subject_delete_marker_ttl", "must be at least 1 s");
            }
            self.allow_message_ttl = true;
            if !self.allow_rollup {
                self.allow_rollup = true;
                self.deny_purge = false;
            }
        }
        self.check_subjects()
    }

    fn check_subjects(&self) -> Result<(), Refusal> {
        for (at, subject) in self.subjects.iter().enumerate() {
            check_filter("", subject)
                .map_err(|error| Refusal::stream("subject", error.message().to_owned()))?;
            if subject == ">" {
                return Err(Refusal::stream("subjects", "can not take all subjects"));
            }
            for (namespace, exception) in SERVERS_OWN {
                if filters_overlap(subject, namespace) && !filter_covers(exception, subject) {
                    return Err(Refusal::stream(
                        "subjects",
                        format!("must not overlap with the server's own, as {subject} does"),
                    ));
                }
            }
            if let Some(other) =
                self.subjects[at + 1..].iter().find(|other| filters_overlap(other, subject))
            {
                return Err(Refusal::stream(
                    "subjects",
                    format!("must not overlap one another, as {subject} and {other} do"),
                ));
            }
        }
        Ok(())
    }
}
