//! Tests of the filter: its rules one by one, and against a naive evaluation.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Filter;
use crate::config::SubjectLayout;
use crate::events::{Event, EventSubjects};
use crate::{ErrorKind, Timestamp};

fn filter(dictionary: Value) -> Filter {
    Filter::try_from(dictionary).unwrap()
}

fn passes(dictionary: Value, event: &Event) -> bool {
    filter(dictionary).matches(event)
}

fn completed() -> Event {
    Event::job_completed("job-1", 2.5, true)
        .with_queue("emails")
        .with_attempt(3)
        .with_timestamp("2026-11-24T12:00:00Z".parse::<Timestamp>().unwrap())
        .with_field("order", json!({"id": 7, "customer": {"name": "Ada"}, "none": null}))
        .with_field("order.id", "literal")
        .with_field("big", u64::MAX)
        .with_field("due", "2026-11-24T13:00:00+01:00")
        .with_field("tags", json!(["a", "b"]))
}

#[test]
fn the_empty_filter_means_all() {
    assert!(filter(json!({})).is_empty());
    assert!(Filter::new().matches(&completed()));
}

#[test]
fn equality_is_by_type_and_value() {
    let event = completed();
    assert!(passes(json!({"type": "job_completed", "job_id": "job-1"}), &event));
    assert!(passes(json!({"success": true, "attempt": 3, "duration": 2.5}), &event));
    assert!(passes(json!({"attempt": 3.0}), &event), "numbers compare as numbers");
    assert!(!passes(json!({"attempt": "3"}), &event));
    assert!(!passes(json!({"success": "true"}), &event));
    assert!(!passes(json!({"success": 1}), &event));
    assert!(!passes(json!({"job_id": "job-2"}), &event));
}

#[test]
fn a_missing_field_never_matches() {
    let event = completed();
    assert!(!passes(json!({"worker_id": "w"}), &event));
    assert!(!passes(json!({"worker_id": {"regex": ""}}), &event));
    assert!(!passes(json!({"order.none": {"regex": ""}}), &event));
    assert!(!passes(json!({"order.customer.name.x": {"regex": ""}}), &event));
    assert!(!passes(json!({"job_id.x": "job-1"}), &event));
}

#[test]
fn ranges_include_their_ends_and_combine() {
    let event = completed();
    for (range, expected) in [
        (json!({"min": 2.5}), true),
        (json!({"max": 2.5}), true),
        (json!({"min": 2.5, "max": 2.5}), true),
        (json!({"min": 2, "max": 3, "regex": "^2"}), true),
        (json!({"min": 2, "max": 3, "regex": "^3"}), false),
        (json!({"min": 2.6}), false),
        (json!({"max": 2}), false),
        (json!({"min": "2"}), false),
    ] {
        assert_eq!(passes(json!({"duration": range}), &event), expected, "{range}");
    }
    assert!(passes(json!({"queue": {"min": "e", "max": "f"}}), &event));
    assert!(passes(json!({"big": {"min": u64::MAX}}), &event));
    assert!(!passes(json!({"big": {"min": 1.9e19}}), &event));
}

#[test]
fn times_compare_as_times_whatever_their_offset() {
    let event = completed();
    assert!(passes(json!({"timestamp": "2026-11-24T13:00:00+01:00"}), &event));
    assert!(passes(json!({"timestamp": {"min": "2026-11-24T11:59:59.5Z"}}), &event));
    assert!(!passes(json!({"timestamp": {"max": "2026-11-24T11:59:59Z"}}), &event));
    assert!(passes(json!({"due": "2026-11-24T12:00:00Z"}), &event));
    assert!(!passes(json!({"due": {"min": "2026"}}), &event), "a string is no time");
    assert!(!passes(json!({"timestamp": 5}), &event));
}

#[test]
fn a_known_text_field_is_text_though_it_looks_like_a_time() {
    let event = Event::job_paused("2026-11-24T12:00:00Z");
    assert!(passes(json!({"job_id": "2026-11-24T12:00:00Z"}), &event));
    assert!(!passes(json!({"job_id": "2026-11-24T13:00:00+01:00"}), &event));
}

#[test]
fn dots_go_into_objects_and_a_literal_name_comes_first() {
    let event = completed();
    assert!(passes(json!({"order.customer.name": "Ada"}), &event));
    assert!(passes(json!({"order.id": "literal"}), &event));
    assert!(!passes(json!({"order.id": 7}), &event));
}

#[test]
fn a_pattern_searches_the_value_s_text() {
    let event = completed();
    for (field, pattern) in [
        ("job_id", "b-\\d$"),
        ("duration", "^2\\.5$"),
        ("attempt", "^3$"),
        ("success", "^true$"),
        ("timestamp", "T12:00:00\\.000000Z$"),
        ("tags", "^\\[\"a\",\"b\"\\]$"),
        ("order.customer", "Ada"),
        ("due", "\\+01:00$"),
        ("job_id", "(?i)JOB"),
    ] {
        assert!(passes(json!({field: {"regex": pattern}}), &event), "{field} {pattern}");
    }
    assert!(!passes(json!({"queue": {"regex": "^mail"}}), &event));
}

#[test]
fn wrong_filters_are_refused_at_the_field() {
    let many: serde_json::Map<String, Value> =
        (0..65).map(|n| (format!("f{n}"), json!(1))).collect();
    let wide = "(\\w{100}){100}";
    for (dictionary, field, rule) in [
        (json!([]), "filter", "JSON object"),
        (json!("x"), "filter", "JSON object"),
        (json!({"a": null}), "a", "a string, a number"),
        (json!({"a": [1]}), "a", "a string, a number"),
        (json!({"a": {}}), "a", "`min`, `max`, `regex`"),
        (json!({"a": {"gt": 1}}), "a.gt", "`min`, `max`, `regex`"),
        (json!({"a": {"min": null}}), "a.min", "a string, a number"),
        (json!({"a": {"max": true}}), "a.max", "a number, a time or a string"),
        (json!({"a": {"regex": 1}}), "a.regex", "must be a string"),
        (json!({"a": {"regex": "("}}), "a.regex", "regular expression"),
        (json!({"a": {"regex": "x".repeat(1025)}}), "a.regex", "1024"),
        (json!({"a": {"regex": wide}}), "a.regex", "compile"),
        (json!({"a": {"min": 2, "max": 1}}), "a.min", "above"),
        (json!({"a": {"max": 1, "min": 2}}), "a.min", "above"),
        (json!({"a": {"min": "b", "max": "a"}}), "a.min", "above"),
        (json!({"a": {"min": 1, "max": "x"}}), "a.min", "same type"),
        (json!({"timestamp": "yesterday"}), "timestamp", "RFC 3339"),
        (json!({"timestamp": {"min": "2026-11-24"}}), "timestamp.min", "RFC 3339"),
        (json!({"": 1}), "", "1 to 256"),
        (json!({"x".repeat(257): 1}), &*"x".repeat(257), "1 to 256"),
        (json!({"a": "x".repeat(4097)}), "a", "4096"),
        (Value::Object(many), "f64", "64 conditions"),
    ] {
        let error = Filter::from_json(&dictionary).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert_eq!(error.get("field"), Some(field), "{dictionary}");
        assert!(error.message().contains(rule), "{error}");
    }
}

#[test]
fn the_builder_s_faults_are_told_once_asked_and_match_nothing() {
    let wrong = Filter::new().field("error").matches("(").job("j");
    assert_eq!(wrong.validate().unwrap_err().get("field"), Some("error.regex"));
    assert!(!wrong.matches(&Event::job_failed("j", "x", 1.0)));
    assert!(!wrong.is_empty());
    let backwards = Filter::new().field("duration").at_least(2).field("duration").at_most(1);
    assert_eq!(backwards.validate().unwrap_err().get("field"), Some("duration.min"));
    let not_a_number = Filter::new().field("duration").at_least(f64::NAN);
    assert_eq!(not_a_number.validate().unwrap_err().get("field"), Some("duration.min"));
}

#[test]
fn both_forms_make_the_same_filter() {
    let at: Timestamp = "2026-11-24T12:00:00.000000Z".parse().unwrap();
    let built = Filter::new()
        .event_type("job_failed")
        .job("j")
        .field("duration")
        .at_least(1)
        .field("duration")
        .at_most(2.5)
        .field("timestamp")
        .at_least(at)
        .field("error")
        .matches("timeout");
    let read = filter(json!({
        "type": "job_failed",
        "job_id": "j",
        "duration": {"min": 1, "max": 2.5},
        "timestamp": {"min": "2026-11-24T12:00:00.000000Z"},
        "error": {"regex": "timeout"},
    }));
    assert_eq!(built, read);
    assert_eq!(built.to_json(), read.to_json());
}

#[test]
fn said_again_a_condition_replaces_the_first() {
    let filter = Filter::new().job("a").job("b");
    assert_eq!(filter.to_json(), json!({"job_id": "b"}));
}

#[test]
fn the_server_chooses_by_type_and_job_and_by_nothing_else() {
    let entity = EventSubjects::default();
    let plain = EventSubjects::new("prod.events", SubjectLayout::Type).unwrap();
    for (dictionary, expected, by_type) in [
        (json!({}), vec!["events.>"], vec!["prod.events.>"]),
        (
            json!({"type": "job_failed"}),
            vec!["events.job_failed", "events.job_failed.>"],
            vec!["prod.events.job_failed", "prod.events.job_failed.>"],
        ),
        (json!({"job_id": "*"}), vec!["events.*.=2A"], vec!["prod.events.>"]),
        (
            json!({"type": "x.y", "job_id": "a b", "queue": "q"}),
            vec!["events.x=2Ey.a=20b"],
            vec!["prod.events.x=2Ey", "prod.events.x=2Ey.>"],
        ),
        (json!({"worker_id": "w", "schedule_id": "s"}), vec!["events.>"], vec!["prod.events.>"]),
        (json!({"type": {"regex": "job"}}), vec!["events.>"], vec!["prod.events.>"]),
        (json!({"type": 5, "job_id": ""}), vec!["events.>"], vec!["prod.events.>"]),
        (json!({"type": "t".repeat(65)}), vec!["events.>"], vec!["prod.events.>"]),
    ] {
        let filter = filter(dictionary);
        assert_eq!(filter.subject_filters(&entity), expected);
        assert_eq!(filter.subject_filters(&plain), by_type);
    }
}

/// The rules again, said as plainly as possible and as slowly as need be: the
/// event as its JSON, each value compared by what it is.
mod naive {
    use super::*;

    const TEXTS: [&str; 9] = [
        "type",
        "job_id",
        "worker_id",
        "queue",
        "job_name",
        "error",
        "reason",
        "message",
        "service",
    ];

    pub(super) fn matches(dictionary: &Value, event: &Event) -> bool {
        let event = serde_json::to_value(event).unwrap();
        dictionary.as_object().unwrap().iter().all(|(path, condition)| {
            let Some(value) = find(&event, path).filter(|value| !value.is_null()) else {
                return false;
            };
            match condition {
                Value::Object(forms) => forms.iter().all(|(form, wanted)| match form.as_str() {
                    "eq" => order(path, value, wanted) == Some(0),
                    "min" => order(path, value, wanted).is_some_and(|order| order >= 0),
                    "max" => order(path, value, wanted).is_some_and(|order| order <= 0),
                    _ => {
                        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                        regex::Regex::new(wanted.as_str().unwrap()).unwrap().is_match(&text)
                    }
                }),
                wanted => order(path, value, wanted) == Some(0),
            }
        })
    }

    fn find<'a>(event: &'a Value, path: &str) -> Option<&'a Value> {
        event.get(path).or_else(|| path.split('.').try_fold(event, |value, key| value.get(key)))
    }

    fn order(path: &str, a: &Value, b: &Value) -> Option<i8> {
        let as_i8 = |order: std::cmp::Ordering| order as i8;
        match (a, b) {
            (Value::Number(a), Value::Number(b)) => {
                a.as_f64().unwrap().partial_cmp(&b.as_f64().unwrap()).map(as_i8)
            }
            (Value::Bool(a), Value::Bool(b)) => Some(as_i8(a.cmp(b))),
            (Value::String(a), Value::String(b)) => {
                let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
                let times = if TEXTS.contains(&path) { (None, None) } else { (time(a), time(b)) };
                match times {
                    (Some(a), Some(b)) => Some(as_i8(a.cmp(&b))),
                    (None, None) => Some(as_i8(a.cmp(b))),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-3_i64..4).prop_map(Value::from),
        (-3_i32..4).prop_map(|n| Value::from(f64::from(n) / 2.0)),
        any::<bool>().prop_map(Value::from),
        "[ab]{1,2}".prop_map(Value::from),
        prop_oneof!["2026-11-24T12:00:00Z", "2026-11-24T13:00:00\\+01:00", "2026-11-24T12:30:00Z"]
            .prop_map(Value::from),
    ]
}

fn condition() -> impl Strategy<Value = Value> {
    let pattern = prop_oneof![Just("a"), Just("^[ab]$"), Just("1"), Just("true"), Just("T12")];
    let ordered = || scalar().prop_filter("has an order", |value| !value.is_boolean());
    prop_oneof![
        3 => scalar(),
        2 => ordered().prop_map(|min| json!({"min": min})),
        2 => ordered().prop_map(|max| json!({"max": max})),
        1 => (ordered(), ordered()).prop_map(|(min, max)| json!({"min": min, "max": max})),
        1 => pattern.prop_map(|pattern| json!({"regex": pattern})),
        1 => (scalar(), Just("[ab1]")).prop_map(|(eq, regex)| json!({"eq": eq, "regex": regex})),
    ]
}

const PATHS: [&str; 10] =
    ["type", "job_id", "queue", "attempt", "duration", "success", "c", "o.a", "o.b.c", "x"];

fn dictionary() -> impl Strategy<Value = Value> {
    proptest::collection::hash_map(proptest::sample::select(&PATHS), condition(), 0..3).prop_map(
        |conditions| conditions.into_iter().map(|(path, c)| (path.to_owned(), c)).collect(),
    )
}

fn event() -> impl Strategy<Value = Event> {
    let text = || proptest::option::of("[ab]{1,2}|2026-11-24T12:00:00Z");
    let custom = || proptest::option::of(prop_oneof![4 => scalar(), 1 => Just(Value::Null)]);
    let known = (text(), text(), proptest::option::of(0_u32..4), proptest::option::of(0_u32..7));
    (known, proptest::option::of(any::<bool>()), custom(), custom(), custom()).prop_map(
        |((job, queue, attempt, halves), success, c, a, deep)| {
            let mut event = Event::new("a");
            event.job_id = job.map(Into::into);
            event.queue = queue.map(Into::into);
            event.attempt = attempt;
            event.duration = halves.map(|halves| f64::from(halves) / 2.0);
            event.success = success;
            if let Some(c) = c {
                event.custom.insert("c".to_owned(), c);
            }
            event.with_field("o", json!({"a": a, "b": {"c": deep}}))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_filter_agrees_with_the_naive_evaluation(dictionary in dictionary(), event in event()) {
        if let Ok(filter) = Filter::from_json(&dictionary) {
            prop_assert_eq!(filter.matches(&event), naive::matches(&dictionary, &event));
        }
    }

    #[test]
    fn a_filter_is_read_back_from_its_json(dictionary in dictionary()) {
        if let Ok(filter) = Filter::from_json(&dictionary) {
            prop_assert_eq!(Filter::from_json(&filter.to_json()).unwrap(), filter);
        }
    }

    #[test]
    fn what_passes_is_stored_under_a_subject_that_is_asked_for(
        dictionary in dictionary(),
        event in event(),
    ) {
        let subjects = EventSubjects::default();
        if let Ok(filter) = Filter::from_json(&dictionary)
            && filter.matches(&event)
        {
            let entity = event.entity().map(|(_, id)| id);
            let subject = subjects.build(event.event_type.as_str(), entity);
            let asked = filter.subject_filters(&subjects);
            prop_assert!(asked.iter().any(|f| crate::jetstream::subject_matches(f, &subject)));
        }
    }
}
