//! How a stream differs from what is wanted of it, and whether that can be mended.
//!
//! Pure: what the server would refuse, and what would lose messages, is known
//! before anything is sent, so that a refusal changes nothing.

use std::fmt::Debug;
use std::time::Duration;

use crate::config::format_duration;
use crate::jetstream::{StreamConfig, StreamInfo, StreamState, filter_covers};
use crate::{Error, ErrorKind, Result, Timestamp};

use super::FieldChange;

/// What an update to the wanted value does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mending {
    /// It notes in the stream what was not noted: nothing of how it works changes.
    Note,
    /// It loses nothing.
    Safe,
    /// Messages go, or might: the limit lies below what the stream holds, or
    /// subjects that it takes now would find no stream.
    Loses,
    /// It can't be: no server takes it, or (another retention) it would be another stream.
    Impossible,
}

/// A field in which a stream isn't as wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field with both values.
    pub change: FieldChange,
    /// What an update does.
    pub mending: Mending,
}

/// With this begin the keys of metadata that say how what a stream holds was
/// stored: set once, they stay.
const OF_WHAT_IS_STORED: &str = "naq.";

/// The fields that are set in `wanted` and differ from what the stream has.
///
/// Metadata is compared by the wanted keys alone. A key that begins with `naq.`
/// says how the messages were stored: it may be added, and never changed.
///
/// `now` is what ages are measured from. How many messages one subject has at
/// most isn't known from a stream's state: a lower `max_messages_per_subject`
/// counts as loss unless the numbers of messages and subjects rule it out.
#[must_use]
pub fn differences(info: &StreamInfo, wanted: &StreamConfig, now: Timestamp) -> Vec<Difference> {
    let (had, state) = (&info.config, &info.state);
    let mut found = Found(Vec::new());
    let safe = |_: &_, _: &_| Mending::Safe;

    if !wanted.subjects.is_empty() && !same_set(&had.subjects, &wanted.subjects) {
        let kept = had
            .subjects
            .iter()
            .all(|had| wanted.subjects.iter().any(|wanted| filter_covers(wanted, had)));
        let mending = if kept { Mending::Safe } else { Mending::Loses };
        found.push("subjects", had.subjects.join(" "), wanted.subjects.join(" "), mending);
    }
    let texts = (had.description.clone(), wanted.description.clone());
    found.compare("description", texts.0, texts.1, |_, _| Mending::Safe);

    found.compare("retention", had.retention, wanted.retention, |_, _| Mending::Impossible);
    found.compare("storage", had.storage, wanted.storage, |_, _| Mending::Impossible);
    found.compare("discard", had.discard, wanted.discard, |_, _| Mending::Safe);
    found.compare("compression", had.compression, wanted.compression, |_, _| Mending::Safe);
    found.compare("replicas", had.replicas, wanted.replicas, |_, _| Mending::Safe);

    let limit = |held: u64| {
        move |_: &u64, wanted: &u64| match *wanted {
            0 => Mending::Safe,
            wanted if wanted < held => Mending::Loses,
            _ => Mending::Safe,
        }
    };
    found.compare("max_messages", had.max_messages, wanted.max_messages, limit(state.messages));
    found.compare("max_bytes", had.max_bytes, wanted.max_bytes, limit(state.bytes));
    found.compare(
        "max_messages_per_subject",
        had.max_messages_per_subject,
        wanted.max_messages_per_subject,
        limit(most_on_one_subject(state, had.max_messages_per_subject)),
    );
    found.compare("max_age", had.max_age.map(Age), wanted.max_age.map(Age), |_, wanted| {
        let oldest = state.first_time.map_or(Duration::ZERO, |first| now.since(first));
        if !wanted.0.is_zero() && wanted.0 < oldest { Mending::Loses } else { Mending::Safe }
    });
    found.compare("max_message_size", had.max_message_size, wanted.max_message_size, safe);
    // Servers before 2.12 refuse to change it: see `update_refused`.
    found.compare("max_consumers", had.max_consumers, wanted.max_consumers, safe);
    let windows = (had.duplicate_window.map(Age), wanted.duplicate_window.map(Age));
    found.compare("duplicate_window", windows.0, windows.1, |_, _| Mending::Safe);
    found.compare("first_sequence", had.first_sequence, wanted.first_sequence, |had, wanted| {
        // A new stream's 0 and 1 are the same.
        if (*had).max(1) == (*wanted).max(1) { Mending::Safe } else { Mending::Impossible }
    });

    let anyway = |_: &bool, _: &bool| Mending::Safe;
    let for_good = |_: &bool, wanted: &bool| {
        if *wanted { Mending::Safe } else { Mending::Impossible }
    };
    for (field, had, wanted, mending) in [
        (
            "discard_new_per_subject",
            had.discard_new_per_subject,
            wanted.discard_new_per_subject,
            &anyway as &dyn Fn(&bool, &bool) -> Mending,
        ),
        ("allow_direct", had.allow_direct, wanted.allow_direct, &anyway),
        ("allow_rollup", had.allow_rollup, wanted.allow_rollup, &anyway),
        ("deny_delete", had.deny_delete, wanted.deny_delete, &for_good),
        ("deny_purge", had.deny_purge, wanted.deny_purge, &for_good),
        ("allow_message_ttl", had.allow_message_ttl, wanted.allow_message_ttl, &for_good),
        ("allow_atomic_publish", had.allow_atomic_publish, wanted.allow_atomic_publish, &anyway),
        ("allow_batched_publish", had.allow_batched_publish, wanted.allow_batched_publish, &anyway),
        ("sealed", had.sealed, wanted.sealed, &for_good),
    ] {
        found.compare(field, had, wanted, mending);
    }
    let markers = (had.subject_delete_marker_ttl, wanted.subject_delete_marker_ttl);
    found.compare("subject_delete_marker_ttl", markers.0.map(Age), markers.1.map(Age), |_, _| {
        Mending::Safe
    });

    for (key, wanted) in &wanted.metadata {
        let had = had.metadata.get(key);
        if had != Some(wanted) {
            let pair = |value: &str| format!("{key}={value}");
            let mending = match had {
                // What such a key says was so for all that is stored.
                _ if !key.starts_with(OF_WHAT_IS_STORED) => Mending::Safe,
                None => Mending::Note,
                Some(_) => Mending::Impossible,
            };
            let had = had.map_or_else(|| UNSET.to_owned(), |had| pair(had));
            found.push("metadata", had, pair(wanted), mending);
        }
    }
    found.0
}

/// Answers what to change, or refuses.
///
/// # Errors
/// `Conflict` that names each field that stands in the way with both values:
/// what no server changes; what loses messages, unless `allow_loss`; anything
/// with `verify_only`, which takes a missing note for no difference.
pub fn plan(
    operation: &'static str,
    differences: Vec<Difference>,
    allow_loss: bool,
    verify_only: bool,
) -> Result<Vec<FieldChange>> {
    let stands_in_the_way = |difference: &Difference| match difference.mending {
        Mending::Note => false,
        Mending::Safe => verify_only,
        Mending::Loses => verify_only || !allow_loss,
        Mending::Impossible => true,
    };
    let refused: Vec<&Difference> = differences.iter().filter(|d| stands_in_the_way(d)).collect();
    if refused.is_empty() && verify_only {
        return Ok(Vec::new());
    }
    if refused.is_empty() {
        return Ok(differences.into_iter().map(|difference| difference.change).collect());
    }
    let (message, hint) = if verify_only {
        ("it is not as wanted, and was to be verified only", "change it, or what is wanted")
    } else if refused.iter().any(|difference| difference.mending == Mending::Impossible) {
        (
            "it is there already, and cannot be changed to what is wanted",
            "want what it has, or delete it and let it be made anew",
        )
    } else {
        ("the change would, or might, lose messages", "allow the loss, or want no less than it has")
    };
    let conflict = Error::new(ErrorKind::Conflict, operation, message).with_hint(hint);
    Err(refused.iter().map(|difference| &difference.change).fold(conflict, told))
}

/// The error of an update of these fields that a server did not take after all,
/// because its version or what else the stream has doesn't allow it: `Conflict`
/// that names them, the server's words as its source. Other errors stay as they are.
#[must_use]
pub fn update_refused(operation: &'static str, changes: &[FieldChange], error: Error) -> Error {
    if !error.is(ErrorKind::InvalidArgument) {
        return error;
    }
    let conflict = Error::new(ErrorKind::Conflict, operation, "the server refuses the change")
        .with_hint("want what it has, or delete it and let it be made anew");
    changes.iter().fold(conflict, told).with_source(error)
}

/// Names a field with both its values.
fn told(error: Error, change: &FieldChange) -> Error {
    error.with(change.field, format!("has {}, wanted {}", change.had, change.wanted))
}

/// How a value that isn't there is told.
const UNSET: &str = "unset";

struct Found(Vec<Difference>);

impl Found {
    fn push(&mut self, field: &'static str, had: String, wanted: String, mending: Mending) {
        self.0.push(Difference { change: FieldChange { field, had, wanted }, mending });
    }

    /// Compares a field. What an older server doesn't tell is as good as off.
    fn compare<T: Default + PartialEq + Debug>(
        &mut self,
        field: &'static str,
        had: Option<T>,
        wanted: Option<T>,
        mending: impl Fn(&T, &T) -> Mending,
    ) {
        let (Some(wanted), had) = (wanted, had.unwrap_or_default()) else { return };
        if had != wanted {
            let mending = mending(&had, &wanted);
            self.push(field, text(&had), text(&wanted), mending);
        }
    }
}

/// A value as messages show it: enums by their name in lower case.
fn text(value: &impl Debug) -> String {
    format!("{value:?}").to_lowercase()
}

/// A duration that shows itself as a configuration has it.
#[derive(Default, PartialEq)]
struct Age(Duration);

impl Debug for Age {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&format_duration(self.0))
    }
}

/// The most messages that one subject can have, by what is known.
fn most_on_one_subject(state: &StreamState, limit: Option<u64>) -> u64 {
    let by_numbers = state.messages.saturating_sub(state.num_subjects.saturating_sub(1));
    match limit {
        Some(limit) if limit > 0 => by_numbers.min(limit),
        _ => by_numbers,
    }
}

fn same_set(a: &[String], b: &[String]) -> bool {
    a.len() == b.len() && a.iter().all(|subject| b.contains(subject))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jetstream::{Discard, Retention, Storage};

    fn holding(config: StreamConfig, messages: u64, subjects: u64, age: u64) -> StreamInfo {
        let state = StreamState {
            messages,
            bytes: messages * 100,
            num_subjects: subjects,
            first_time: Some(now().saturating_sub(Duration::from_secs(age))),
            ..StreamState::default()
        };
        StreamInfo::new(config, state, Timestamp::default())
    }

    fn now() -> Timestamp {
        Timestamp::from_nanos(1_800_000_000_000_000_000)
    }

    fn stream() -> StreamConfig {
        StreamConfig::new("events", ["events.>"])
    }

    fn mending(info: &StreamInfo, wanted: &StreamConfig) -> Vec<(&'static str, Mending)> {
        differences(info, wanted, now()).into_iter().map(|d| (d.change.field, d.mending)).collect()
    }

    #[test]
    fn what_is_not_set_does_not_matter() {
        let info = holding(stream().with_max_messages(5).with_storage(Storage::Memory), 3, 1, 0);
        assert_eq!(differences(&info, &StreamConfig::new("events", [""; 0]), now()), []);
        assert_eq!(differences(&info, &stream(), now()), []);
    }

    #[test]
    fn what_no_server_changes_is_impossible() {
        let had = stream().with_deny_delete(true).with_storage(Storage::File);
        let wanted = stream()
            .with_storage(Storage::Memory)
            .with_retention(Retention::WorkQueue)
            .with_max_consumers(3)
            .with_deny_delete(false)
            .with_deny_purge(true)
            .with_first_sequence(7);
        assert_eq!(
            mending(&holding(had, 0, 0, 0), &wanted),
            [
                ("retention", Mending::Impossible),
                ("storage", Mending::Impossible),
                ("max_consumers", Mending::Safe),
                ("first_sequence", Mending::Impossible),
                ("deny_delete", Mending::Impossible),
                ("deny_purge", Mending::Safe),
            ]
        );
    }

    #[test]
    fn a_limit_loses_only_below_what_is_held() {
        let info = holding(stream(), 10, 4, 60);
        for (wanted, expected) in [
            (stream().with_max_messages(10), Mending::Safe),
            (stream().with_max_messages(9), Mending::Loses),
            (stream().with_max_bytes(1_000), Mending::Safe),
            (stream().with_max_bytes(999), Mending::Loses),
            (stream().with_max_age(Duration::from_secs(60)), Mending::Safe),
            (stream().with_max_age(Duration::from_secs(59)), Mending::Loses),
            // Ten messages on four subjects: no subject has more than seven.
            (stream().with_max_messages_per_subject(7), Mending::Safe),
            (stream().with_max_messages_per_subject(6), Mending::Loses),
        ] {
            let found = differences(&info, &wanted, now());
            assert_eq!(found.len(), 1, "{wanted:?}");
            assert_eq!(found[0].mending, expected, "{:?}", found[0].change);
        }
        let limited = holding(stream().with_max_messages(20).with_max_bytes(9_999), 10, 4, 60);
        let wanted = stream().with_max_messages(0).with_max_bytes(0);
        assert!(mending(&limited, &wanted).iter().all(|(_, mending)| *mending == Mending::Safe));
    }

    #[test]
    fn subjects_may_grow_and_do_not_shrink_by_accident() {
        let had = StreamConfig::new("s", ["a.*", "b"]);
        let info = holding(had, 0, 0, 0);
        let wanted = |subjects: &[&str]| StreamConfig::new("s", subjects.iter().copied());
        assert_eq!(mending(&info, &wanted(&["b", "a.*"])), []);
        assert_eq!(mending(&info, &wanted(&["a.>", "b"])), [("subjects", Mending::Safe)]);
        assert_eq!(mending(&info, &wanted(&["a.*"])), [("subjects", Mending::Loses)]);
    }

    #[test]
    fn a_plan_names_each_field_with_both_values() {
        let info = holding(stream().with_storage(Storage::File), 10, 1, 0);
        let wanted =
            stream().with_storage(Storage::Memory).with_discard(Discard::New).with_max_messages(5);
        let found = differences(&info, &wanted, now());
        let error = plan("ensure_stream", found.clone(), false, false).unwrap_err();
        assert!(error.is(ErrorKind::Conflict));
        assert_eq!(error.get("storage"), Some("has file, wanted memory"));
        assert_eq!(error.get("max_messages"), Some("has 0, wanted 5"));
        assert_eq!(error.get("discard"), None, "that one could be mended");

        let error = plan("ensure_stream", found.clone(), true, false).unwrap_err();
        assert_eq!(error.get("max_messages"), None, "its loss is allowed");
        let error = plan("ensure_stream", found, true, true).unwrap_err();
        assert_eq!(error.get("discard"), Some("has old, wanted new"));
    }

    #[test]
    fn what_a_server_does_not_take_is_a_conflict_with_its_words() {
        let change = FieldChange { field: "max_consumers", had: "1".into(), wanted: "2".into() };
        let error = Error::new(ErrorKind::InvalidArgument, "update_stream", "can not change");
        let conflict = update_refused("ensure_stream", std::slice::from_ref(&change), error);
        assert_eq!(conflict.kind(), ErrorKind::Conflict);
        assert_eq!(conflict.get("max_consumers"), Some("has 1, wanted 2"));
        assert!(format!("{conflict:?}").contains("can not change"));
        let gone = Error::new(ErrorKind::NotFound, "update_stream", "");
        assert!(update_refused("ensure_stream", &[change], gone).is(ErrorKind::NotFound));
    }

    #[test]
    fn a_loss_that_is_allowed_is_planned() {
        let info = holding(stream(), 10, 1, 600);
        let wanted = stream().with_max_age(Duration::from_secs(90));
        let changes =
            plan("ensure_stream", differences(&info, &wanted, now()), true, false).unwrap();
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].field, "max_age");
        assert_eq!(changes[0].wanted, format_duration(Duration::from_secs(90)));
    }

    #[test]
    fn how_a_stream_was_written_is_noted_once_and_never_changed() {
        let wanted = stream().with_metadata("naq.x", "1");
        let unmarked = differences(&holding(stream(), 0, 0, 0), &wanted, now());
        assert_eq!(unmarked[0].mending, Mending::Note);
        assert_eq!(plan("ensure", unmarked.clone(), false, true).unwrap(), []);
        assert_eq!(plan("ensure", unmarked, false, false).unwrap().len(), 1);
        let other = holding(stream().with_metadata("naq.x", "2"), 0, 0, 0);
        let found = differences(&other, &wanted, now());
        for (allow_loss, verify_only) in [(true, false), (false, true)] {
            let error = plan("ensure", found.clone(), allow_loss, verify_only).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict);
            assert_eq!(error.get("metadata"), Some("has naq.x=2, wanted naq.x=1"));
        }
    }

    #[test]
    fn metadata_is_compared_by_the_wanted_keys_alone() {
        let had = stream().with_metadata("_nats.ver", "2.15.1").with_metadata("team", "a");
        let info = holding(had, 0, 0, 0);
        assert_eq!(mending(&info, &stream().with_metadata("team", "a")), []);
        let found = differences(&info, &stream().with_metadata("team", "b"), now());
        assert_eq!(found[0].change.to_string(), "metadata from team=a to team=b");
    }
}
