//! The section `events`: the stream, the buffer, and what questions may cost.

use std::collections::BTreeMap;
use std::time::Duration;

use super::section::section;
use super::setting::choice;
use super::{ConfigProblem, RetentionAges, Size, SpoolConfig};
use crate::jetstream::Storage;

choice! {
    /// What starting does about the event stream.
    pub enum StreamMode = "`ensure`, `verify` or `assume`" {
        /// Create it, or update what differs and can be changed without loss.
        #[default]
        Ensure = "ensure",
        /// Fail if it isn't there or differs; change nothing.
        Verify = "verify",
        /// Ask nothing: for producers that may only publish.
        Assume = "assume",
    }
}

choice! {
    /// What an event's subject names beside its type.
    pub enum SubjectLayout = "`entity` or `type`" {
        /// `events.<type>.<entity>`: the history of one job is read by itself.
        #[default]
        Entity = "entity",
        /// `events.<type>`: less memory in the server, and a history is a scan.
        Type = "type",
    }
}

choice! {
    /// What logging an event into a full buffer does.
    pub enum OverflowPolicy = "`wait`, `fail`, `drop_newest`, `drop_oldest` or `spool`" {
        /// Wait for room, up to `overflow_wait`, then fail with LimitReached.
        #[default]
        Wait = "wait",
        /// Fail with LimitReached at once.
        Fail = "fail",
        /// Drop the event that is being logged, and count it.
        DropNewest = "drop_newest",
        /// Drop the oldest events that are not sent yet and whose own policy drops, and count them.
        DropOldest = "drop_oldest",
        /// Wait up to a second for the spool to make room, and fail with
        /// LimitReached where it is full.
        Spool = "spool",
    }
}

choice! {
    /// What keeps an event whose acknowledgement was lost from being stored twice.
    pub enum Guarantee = "`message_id`, `read_back` or `at_least_once`" {
        /// Each event carries its id: sent again within the stream's
        /// `duplicate_window`, it is stored once.
        #[default]
        MessageId = "message_id",
        /// No ids: after a doubt the server is asked how much of the batch is
        /// stored, or the stream is read. Needs fast ingest and the right to
        /// read; without them, and with a spool, ids are used.
        ReadBack = "read_back",
        /// No ids: what is sent again after a doubt may be stored twice, and is counted.
        AtLeastOnce = "at_least_once",
    }
}

choice! {
    /// Whether a service keeps the log's digests up, and sees to retention.
    pub enum KeeperMode = "`auto`, `on` or `off`" {
        /// Once it has run for a minute, unless `stream` is `assume`: what is
        /// over soon, and who may only publish, does no such work.
        #[default]
        Auto = "auto",
        /// From the start on.
        On = "on",
        /// Never.
        Off = "off",
    }
}

section! {
    /// The section `events`.
    pub struct EventsConfig {
        /// The stream that holds the events.
        stream_name (with_stream_name): String = "events".to_owned();
        /// The first tokens of every event's subject.
        subject_root (with_subject_root): String = "events".to_owned();
        /// What starting does about the stream.
        stream (with_stream): StreamMode = StreamMode::Ensure;
        /// What an event's subject names beside its type.
        subjects (with_subjects): SubjectLayout = SubjectLayout::Entity;
        /// How many events the stream holds; then the oldest go.
        max_msgs (with_max_msgs): Option<u64> = Some(1_000_000), 1..=i64::MAX.unsigned_abs();
        /// How many bytes the stream holds; then the oldest events go.
        max_bytes (with_max_bytes): Option<Size> = Some(Size::from_gib(1)),
            Size::from_kib(1)..=Size::from_gib(1 << 20);
        /// How old an event may get in the stream.
        max_age (with_max_age): Option<Duration> = None,
            Duration::from_millis(100)..=Duration::from_secs(86_400 * 36_500);
        /// Where the server keeps the stream.
        storage (with_storage): Storage = Storage::File;
        /// How many servers of a cluster hold each event.
        replicas (with_replicas): u32 = 1, 1..=5;
        /// How long the server recognises an event that is sent again; not above `max_age`.
        duplicate_window (with_duplicate_window): Duration = Duration::from_secs(120),
            Duration::from_millis(100)..=Duration::from_secs(86_400);
        /// How many events may wait in this process, those under way to the server included.
        buffer_max_events (with_buffer_max_events): usize = 100_000, 1..=100_000_000;
        /// How many bytes of events may wait in this process, those under way to the server included.
        buffer_max_bytes (with_buffer_max_bytes): Size = Size::from_mib(64),
            Size::from_kib(1)..=Size::from_gib(1 << 10);
        /// How many events are sent at once at most; it bounds a batch, not the buffer.
        buffer_size (with_buffer_size): usize = 100, 1..=100_000;
        /// How long an event waits for company before it is sent, at most.
        flush_interval (with_flush_interval): Duration = Duration::from_millis(50),
            Duration::ZERO..=Duration::from_secs(60);
        /// What logging an event into a full buffer does.
        overflow (with_overflow): OverflowPolicy = OverflowPolicy::Wait;
        /// What it does for one type of event, by its name; `overflow` holds for all others.
        overflow_by_type (with_overflow_by_type): BTreeMap<String, OverflowPolicy> =
            BTreeMap::new();
        /// How long the policy `wait` waits for room.
        overflow_wait (with_overflow_wait): Duration = Duration::from_secs(30),
            Duration::ZERO..=Duration::from_secs(3_600);
        /// How long an event is tried before its outcome is given as unknown.
        delivery_timeout (with_delivery_timeout): Duration = Duration::from_secs(60),
            Duration::from_millis(10)..=Duration::from_secs(86_400);
        /// What keeps an event whose acknowledgement was lost from being stored twice.
        guarantee (with_guarantee): Guarantee = Guarantee::MessageId;
        /// The shortest wait before a failed publish is tried again; it doubles, with jitter.
        retry_backoff_min (with_retry_backoff_min): Duration = Duration::from_millis(100),
            Duration::from_millis(1)..=Duration::from_secs(60);
        /// The longest wait before a failed publish is tried again.
        retry_backoff_max (with_retry_backoff_max): Duration = Duration::from_secs(5),
            Duration::from_millis(1)..=Duration::from_secs(600);
        /// How long a question waits until what this service had accepted is stored.
        settle_timeout (with_settle_timeout): Duration = Duration::from_secs(10),
            Duration::ZERO..=Duration::from_secs(3_600);
        /// How many messages one question may read before it fails with
        /// LimitReached; of a reading, to find its next event.
        scan_limit (with_scan_limit): u64 = 10_000_000, 1..=u64::MAX;
        /// How many bytes of payload it may read so.
        scan_limit_bytes (with_scan_limit_bytes): Size = Size::from_gib(16),
            Size::from_kib(1)..=Size::from_gib(1 << 20);
        /// For how long it may read so.
        scan_limit_time (with_scan_limit_time): Duration = Duration::from_secs(300),
            Duration::from_millis(1)..=Duration::from_secs(86_400);
        /// Whether statistics are answered from digests, kept in the bucket
        /// `naq_digests`; else each reads the whole log.
        digests (with_digests): bool = true;
        /// How long events of a type are kept, by its name, or by `"*"` for all
        /// that are not named; docs/retention.md says how that is seen to.
        retention (with_retention): RetentionAges = RetentionAges::default();
        /// How long a digest is kept of which the log has no event any more, by
        /// when it was kept; without it, for good. Not below `max_age` and the
        /// ages in `retention`. The log's keeper sees to it.
        digest_max_age (with_digest_max_age): Option<Duration> = None,
            Duration::from_secs(1)..=Duration::from_secs(86_400 * 36_500);
        /// After how long a digest of which the log has no event any more tells
        /// hours apart instead of minutes, by when it was kept; without it,
        /// never. The log's keeper sees to it.
        digest_hours_after (with_digest_hours_after): Option<Duration> = None,
            Duration::from_secs(1)..=Duration::from_secs(86_400 * 36_500);
        /// After how long it tells days apart; above `digest_hours_after`.
        digest_days_after (with_digest_days_after): Option<Duration> = None,
            Duration::from_secs(1)..=Duration::from_secs(86_400 * 36_500);
        /// Whether this service is ready to be the log's keeper, which digests
        /// what comes and removes what is too old: of those that are, one is.
        keeper (with_keeper): KeeperMode = KeeperMode::Auto;
        /// How long a keeper that gives no sign of life is waited for before
        /// another one takes over.
        keeper_lease (with_keeper_lease): Duration = Duration::from_secs(15),
            Duration::from_millis(100)..=Duration::from_secs(3_600);
        /// The `service` of every event.
        service_name (with_service_name): String = "naq".to_owned();
        /// The `service_version` of every event.
        service_version (with_service_version): String = env!("CARGO_PKG_VERSION").to_owned();
        /// Custom fields, as dotted paths, that are removed before an event is buffered.
        redact_drop (with_redact_drop): Vec<String> = Vec::new();
        /// Fields, as dotted paths, whose value is replaced by `***` before an event is buffered.
        redact_mask (with_redact_mask): Vec<String> = Vec::new();
        /// What the server doesn't take is kept on disk.
        spool (with_spool): SpoolConfig = SpoolConfig::default();
    }
    check = rules_among_fields
}

fn rules_among_fields(config: &EventsConfig) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    let mut broken = |broken: bool, key: &str, rule: &str| {
        if broken {
            problems.push(ConfigProblem::new(key, rule));
        }
    };
    let window = config.duplicate_window;
    broken(
        config.max_age.is_some_and(|age| window > age),
        "duplicate_window",
        "must not be above `max_age`",
    );
    broken(
        config.retry_backoff_min > config.retry_backoff_max,
        "retry_backoff_min",
        "must not be above `retry_backoff_max`",
    );
    let name = &config.stream_name;
    let bad = |c: char| ".*>/\\".contains(c) || c.is_whitespace() || c.is_control();
    broken(
        name.is_empty() || name.len() > 255 || name.contains(bad),
        "stream_name",
        "must be 1 to 255 bytes without space, `.`, `*`, `>`, `/` or `\\`",
    );
    let token = |token: &str| {
        !token.is_empty()
            && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    broken(
        !config.subject_root.split('.').all(token) || config.subject_root.len() > 128,
        "subject_root",
        "must be at most 128 bytes of tokens of `A-Za-z0-9_-` with dots between them",
    );
    broken(config.service_name.is_empty(), "service_name", "must not be empty");
    broken(
        config.overflow == OverflowPolicy::Spool && config.spool.dir.is_none(),
        "overflow",
        "needs `spool.dir` where it is `spool`",
    );
    broken(
        config.overflow_by_type.values().any(|policy| *policy == OverflowPolicy::Spool)
            && config.spool.dir.is_none(),
        "overflow_by_type",
        "needs `spool.dir` where it is `spool`",
    );
    broken(
        !config.digests && !config.retention.is_empty(),
        "retention",
        "needs `digests = true`: what goes stays in statistics",
    );
    broken(
        !config.digests && config.digest_max_age.is_some(),
        "digest_max_age",
        "needs `digests = true`",
    );
    let of_events = config.retention.greatest().max(config.max_age);
    broken(
        config.digest_max_age.is_some_and(|age| of_events.is_some_and(|events| age < events)),
        "digest_max_age",
        "must not be below `max_age` or an age in `retention`: statistics outlive the events",
    );
    let (hours, days) = (config.digest_hours_after, config.digest_days_after);
    for (key, after) in [("digest_hours_after", hours), ("digest_days_after", days)] {
        broken(!config.digests && after.is_some(), key, "needs `digests = true`");
    }
    broken(
        hours.zip(days).is_some_and(|(hours, days)| days <= hours),
        "digest_days_after",
        "must be above `digest_hours_after`",
    );
    broken(
        !config.digests && config.keeper == KeeperMode::On,
        "keeper",
        "needs `digests = true` where it is `on`",
    );
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section::Section;

    #[test]
    fn the_defaults_break_no_rule() {
        assert_eq!(EventsConfig::default().problems(), []);
    }

    #[test]
    fn each_broken_rule_names_its_field() {
        let config = EventsConfig::default()
            .with_max_age(Duration::from_secs(60))
            .with_stream_name("a.b")
            .with_subject_root("events.>")
            .with_replicas(9_u32);
        let keys: Vec<String> = config.problems().into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["replicas", "duplicate_window", "stream_name", "subject_root"]);
        let config = EventsConfig::default()
            .with_digests(false)
            .with_keeper(KeeperMode::On)
            .with_retention(RetentionAges::default().with_age("log", Duration::from_secs(60)));
        let keys: Vec<String> = config.problems().into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["retention", "keeper"]);
    }

    #[test]
    fn statistics_outlive_the_events() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let broken = |config: EventsConfig| -> Vec<String> {
            config.problems().into_iter().map(|problem| problem.key).collect()
        };
        let config = EventsConfig::default().with_digest_max_age(minutes(60));
        assert_eq!(broken(config.clone()), [""; 0]);
        assert_eq!(broken(config.clone().with_max_age(minutes(60))), [""; 0]);
        assert_eq!(broken(config.clone().with_max_age(minutes(61))), ["digest_max_age"]);
        let ages = RetentionAges::default().with_age("log", minutes(61));
        assert_eq!(broken(config.clone().with_retention(ages)), ["digest_max_age"]);
        assert_eq!(broken(config.with_digests(false)), ["digest_max_age"]);
        let tiers = EventsConfig::default()
            .with_digest_hours_after(minutes(60))
            .with_digest_days_after(minutes(61));
        assert_eq!(broken(tiers.clone()), [""; 0]);
        let off = broken(tiers.clone().with_digests(false));
        assert_eq!(off, ["digest_hours_after", "digest_days_after"]);
        assert_eq!(broken(tiers.with_digest_days_after(minutes(60))), ["digest_days_after"]);
    }

    #[test]
    fn what_serde_reads_is_validated() {
        let read = |json: &str| serde_json::from_str::<EventsConfig>(json);
        assert_eq!(read(r#"{"flush_interval":"5s"}"#).unwrap().flush_interval.as_secs(), 5);
        assert!(read(r#"{"replicas":0}"#).unwrap_err().to_string().contains("`replicas`"));
    }
}
