//! Tests of the filter: its rules one by one, in the dictionary form and the builder.
//!
//! - `language`: the text form
//! - `plan`: what the server does
//! - `laws`: what holds of every filter, against the naive evaluation in `tree`

mod language;
mod laws;
mod plan;
mod tree;

use serde_json::{Value, json};

use super::Filter;
use crate::config::SubjectLayout;
use crate::events::{Event, EventSubjects, IndexField, IndexKey};
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
    assert!(!passes(json!({"order.customer.name": 7}), &event));
    assert!(!passes(json!({"big": u64::MAX.to_string()}), &event));
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
    ] {
        assert_eq!(passes(json!({"duration": range}), &event), expected, "{range}");
    }
    assert!(passes(json!({"queue": {"min": "e", "max": "f"}}), &event));
    assert!(passes(json!({"big": {"min": u64::MAX}}), &event));
    assert!(!passes(json!({"big": {"min": 1.9e19}}), &event));
}

#[test]
fn the_own_time_is_bounded_by_what_stands_beside_the_rest() {
    let range = |text: &str| {
        let (least, most) = Filter::parse(text).unwrap().happened_range();
        [least, most].map(|time| time.map(|time| time.to_string()[11..16].to_owned()))
    };
    let at = |time: &str| Some(time.to_owned());
    let day = |time: &str| format!("2026-11-24T{time}:00Z");
    let (one, two, three) = (day("01:00"), day("02:00"), day("03:00"));
    assert_eq!(range("queue = a"), [None, None]);
    assert_eq!(range(&format!("timestamp > {one}")), [at("01:00"), None]);
    assert_eq!(
        range(&format!("timestamp between {one} and {three} and timestamp < {two}")),
        [at("01:00"), at("02:00")]
    );
    assert_eq!(range(&format!("timestamp = {two}")), [at("02:00"), at("02:00")]);
    // What needn't hold bounds nothing.
    assert_eq!(range(&format!("timestamp > {one} or queue = a")), [None, None]);
    assert_eq!(range(&format!("not timestamp > {one}")), [None, None]);
    assert_eq!(range(&format!("timestamp != {one}")), [None, None]);
}

#[test]
fn times_compare_as_times_whatever_their_offset() {
    let event = completed();
    assert!(passes(json!({"timestamp": "2026-11-24T13:00:00+01:00"}), &event));
    assert!(passes(json!({"timestamp": {"min": "2026-11-24T11:59:59.5Z"}}), &event));
    assert!(!passes(json!({"timestamp": {"max": "2026-11-24T11:59:59Z"}}), &event));
    assert!(passes(json!({"due": "2026-11-24T12:00:00Z"}), &event));
    assert!(!passes(json!({"due": {"min": "2026"}}), &event), "a string is no time");
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
        (json!({"timestamp": 5}), "timestamp", "RFC 3339"),
        (json!({"attempt": "3"}), "attempt", "must be a number"),
        (json!({"attempt": {"ne": "3"}}), "attempt.ne", "must be a number"),
        (json!({"duration": {"min": "2s"}}), "duration.min", "a number of seconds"),
        (json!({"queue_wait": {"in": [1, true]}}), "queue_wait.in", "a number of seconds"),
        (json!({"success": "true"}), "success", "must be true or false"),
        (json!({"success": {"min": true}}), "success.min", "true or false"),
        (json!({"job_id": 7}), "job_id", "must be a string"),
        (json!({"queue": {"not_in": ["a", false]}}), "queue.not_in", "must be a string"),
        (json!({"$not": {"error": 1}}), "error", "must be a string"),
        (json!({"duration": {"contains": 2}}), "duration.contains", "neither a text nor a list"),
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
    let mistyped = Filter::new().field("attempt").equals("3");
    assert_eq!(mistyped.validate().unwrap_err().get("field"), Some("attempt.eq"));
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
fn the_other_forms_say_what_their_names_say() {
    let event = completed();
    for (dictionary, expected) in [
        (json!({"queue": {"ne": "bulk"}}), true),
        (json!({"queue": {"ne": "emails"}}), false),
        (json!({"worker_id": {"ne": "w"}}), false),
        (json!({"order.customer.name": {"ne": 7}}), true),
        (json!({"attempt": {"above": 2, "below": 4}}), true),
        (json!({"attempt": {"above": 3}}), false),
        (json!({"attempt": {"below": 3}}), false),
        (json!({"queue": {"in": ["sms", "emails"]}}), true),
        (json!({"queue": {"not_in": ["sms", "emails"]}}), false),
        (json!({"worker_id": {"not_in": ["w"]}}), false),
        (json!({"queue": {"not_regex": "^x"}}), true),
        (json!({"queue": {"contains": "mail"}}), true),
        (json!({"queue": {"not_contains": "mail"}}), false),
        (json!({"tags": {"contains": "a"}}), true),
        (json!({"tags": {"contains": "ab"}}), false),
        (json!({"due": {"contains": "2026-11"}}), true),
        (json!({"big": {"contains": 1}}), false),
        (json!({"tags": {"exists": true}}), true),
        (json!({"order.none": {"exists": true}}), false),
        (json!({"order.none": {"exists": false}}), true),
        (json!({"$any": [{"queue": "x"}, {"attempt": 3}]}), true),
        (json!({"$any": []}), false),
        (json!({"$all": [{"queue": "emails"}, {"attempt": 4}]}), false),
        (json!({"$not": {"worker_id": "w"}}), true),
        (json!({"$not": {}}), false),
        (json!({"$$odd": 1}), false),
    ] {
        assert_eq!(passes(dictionary.clone(), &event), expected, "{dictionary}");
    }
}

#[test]
fn a_name_with_dots_comes_first_at_every_level() {
    let event = Event::new("x").with_field("a", json!({"b.c": 1, "b": {"c": 2, "d": 3}}));
    assert!(passes(json!({"a.b.c": 1, "a.b.d": 3}), &event));
}

#[test]
fn the_time_of_storing_is_unknown_of_what_is_not_stored() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let (start, end) = (at("2026-11-24T12:00:00Z"), at("2026-11-24T13:00:00Z"));
    let filter = Filter::new().stored_since(start).stored_until(end);
    assert!(!filter.matches(&completed()));
    assert!(filter.clone().negated().matches(&completed()));
    assert!(filter.holds(&completed(), Some(start)));
    assert!(!filter.holds(&completed(), Some(end)));
    let backwards = Filter::new().stored_since(end).stored_until(start);
    assert_eq!(backwards.validate().unwrap_err().get("field"), Some("until"));
}

#[test]
fn what_is_combined_keeps_its_bounds_and_the_first_fault() {
    let wrong = Filter::new().field("error").matches("(");
    let combined = Filter::new().queue("a").or(wrong).negated();
    assert_eq!(combined.validate().unwrap_err().get("field"), Some("error.regex"));
    let many = (0..65).fold(Filter::new(), |all, n| all.or(Filter::new().job(&n.to_string())));
    // Or with what lets all through, it lets all through.
    assert!(many.is_empty());
    let many =
        (1..65).fold(Filter::new().job("0"), |all, n| all.or(Filter::new().job(&n.to_string())));
    assert!(many.validate().unwrap_err().message().contains("64 conditions"));
    let deep = (0..65).fold(Filter::new().job("0"), |inner, _| inner.negated());
    assert!(deep.validate().unwrap_err().message().contains("64 deep"));
}
