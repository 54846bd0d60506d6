//! Filters: what they let through, and what of them the server does.

use std::sync::Arc;

use naq_core::events::{
    AnalyticsRequest, Event, EventQuery, EventQueryExt, ExplainWarning, Filter, HistoryRequest,
    ReadEvents, ReadStart, StatsRequest,
};
use naq_core::jetstream::JetStream;
use naq_core::{ErrorKind, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use super::support::{Own, Reading, Seen, events};

/// The sequences that a filter lets through, by a reading.
async fn found(own: &Own, filter: &Value) -> Vec<u64> {
    let filter = Filter::from_json(filter).unwrap();
    sequences(own.read_all(ReadEvents::default().with_filter(filter)).await)
}

fn sequences(seen: Vec<Seen>) -> Vec<u64> {
    let sequences = seen.into_iter().filter_map(|seen| match seen {
        Seen::Event(sequence) => Some(sequence),
        _ => None,
    });
    sequences.collect()
}

pub async fn a_dictionary_finds_by_every_form(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let order = json!({"customer": {"id": 7, "name": "Ann"}, "at": "2026-01-01T12:00:00+02:00"});
    own.log(Event::job_failed("a", "timed out", 10.0).with_queue("emails")).await;
    own.log(Event::job_failed("b", "refused", 9.5).with_queue("sms").with_attempt(2)).await;
    own.log(Event::job_completed("c", 100.0, true).with_field("order", order)).await;
    own.log(Event::log("note").with_field("order.customer.id", 7).with_field("n", "10")).await;
    for (filter, expected) in [
        (json!({}), vec![1, 2, 3, 4]),
        (json!({"type": "job_failed"}), vec![1, 2]),
        (json!({"queue": "emails"}), vec![1]),
        (json!({"duration": 10}), vec![1]),
        (json!({"duration": {"min": 9.5}}), vec![1, 2, 3]),
        (json!({"duration": {"min": 9.6, "max": 10}}), vec![1]),
        (json!({"duration": {"max": 10, "regex": "^9"}}), vec![2]),
        (json!({"error": {"regex": "time"}}), vec![1]),
        (json!({"error": {"regex": "^out"}}), vec![]),
        (json!({"success": true}), vec![3]),
        (json!({"attempt": 2.0}), vec![2]),
        (json!({"order.customer.id": 7}), vec![3, 4]),
        (json!({"order.customer.name": {"regex": "n"}}), vec![3]),
        (json!({"order.customer": {"regex": "Ann"}}), vec![3]),
        (json!({"order.at": "2026-01-01T10:00:00Z"}), vec![3]),
        (json!({"order.at": {"min": "2026-01-01T10:00:01Z"}}), vec![]),
        (json!({"n": 10}), vec![]),
        (json!({"n": "10"}), vec![4]),
        (json!({"queue": {"min": "f", "max": "z"}}), vec![2]),
        (json!({"missing": {"max": 5}}), vec![]),
        (json!({"missing": {"regex": ""}}), vec![]),
        (json!({"timestamp": {"min": "2020-01-01T00:00:00Z"}}), vec![1, 2, 3, 4]),
        (json!({"type": "job_failed", "queue": "sms", "duration": {"min": 1}}), vec![2]),
    ] {
        assert_eq!(found(&own, &filter).await, expected, "{filter}");
    }
}

pub async fn a_filter_for_a_wildcard_finds_that_id_alone(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    for id in ["a", "*", ">", "b.*", "b"] {
        own.log(Event::job_paused(id)).await;
        own.log(Event::new(id).with_job_id("typed")).await;
    }
    assert_eq!(found(&own, &json!({"job_id": "*"})).await, [3]);
    assert_eq!(found(&own, &json!({"job_id": ">"})).await, [5]);
    assert_eq!(found(&own, &json!({"job_id": "b.*"})).await, [7]);
    assert_eq!(found(&own, &json!({"type": "*"})).await, [4]);
    assert_eq!(found(&own, &json!({"type": ">", "job_id": "typed"})).await, [6]);
    assert_eq!(found(&own, &json!({"job_id": "x".repeat(300)})).await, [0_u64; 0]);
}

/// What a subject filter leaves out isn't read: not even what is no event.
pub async fn an_equality_on_type_or_job_reads_only_its_subjects(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.foreign("job_started.a", "no event").await;
    own.foreign("job_started", "no event").await;
    own.foreign("job_failed.a", "no event").await;
    own.foreign("job_failed.b", "no event").await;
    for (filter, expected) in [
        (json!({"type": "job_started"}), vec![1, 2]),
        (json!({"job_id": "a"}), vec![1, 3]),
        (json!({"job_id": "a", "type": "job_failed"}), vec![3]),
        (json!({"type": "job_failed", "worker_id": "w"}), vec![3, 4]),
        (json!({"worker_id": "a"}), vec![1, 2, 3, 4]),
        (json!({"schedule_id": "a"}), vec![1, 2, 3, 4]),
        (json!({"type": {"regex": "started"}}), vec![1, 2, 3, 4]),
    ] {
        let options = ReadEvents::default().with_filter(Filter::from_json(&filter).unwrap());
        let mut seen = own.read_all(options.clone()).await;
        assert_eq!(seen.pop(), Some(Seen::CaughtUp(4)));
        let expected: Vec<_> = expected.into_iter().map(Seen::Malformed).collect();
        assert_eq!(seen, expected, "{filter}");
        let mut backwards = own.read_all(options.with_newest_first()).await;
        assert_eq!(backwards.pop(), Some(Seen::CaughtUp(4)));
        backwards.reverse();
        assert_eq!(backwards, expected, "{filter}");
    }
}

pub async fn a_list_of_types_reads_only_their_subjects(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.foreign("job_started.a", "no event").await;
    own.foreign("job_failed", "no event").await;
    own.foreign("job_failed.b", "no event").await;
    own.foreign("log", "no event").await;
    for (text, expected) in [
        ("type in (job_failed, log)", vec![2, 3, 4]),
        ("type = log or type = job_started and job_id = a", vec![1, 4]),
        ("job_id in (a, b) and duration > 2s", vec![1, 3]),
        ("type = log or queue = q", vec![1, 2, 3, 4]),
        ("not type = log", vec![1, 2, 3, 4]),
    ] {
        let options = ReadEvents::default().with_filter(Filter::parse(text).unwrap());
        let mut seen = own.read_all(options).await;
        assert_eq!(seen.pop(), Some(Seen::CaughtUp(4)), "{text}");
        let expected: Vec<_> = expected.into_iter().map(Seen::Malformed).collect();
        assert_eq!(seen, expected, "{text}");
    }
}

pub async fn since_and_until_go_by_the_time_of_storing(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    // The events' own times say nothing of when they were stored.
    let old = "2001-01-01T00:00:00Z".parse::<Timestamp>().unwrap();
    for n in 0..6 {
        own.log(Event::log(format!("{n}")).with_timestamp(old)).await;
        own.log_later_than_all().await;
    }
    let stored = own.stored().await;
    let passes = |test: &dyn Fn(Timestamp) -> bool| -> Vec<u64> {
        stored.iter().filter(|m| test(m.stored_at)).map(|m| m.sequence).collect()
    };
    let (early, late) =
        (stored[3].stored_at.truncated_to_micros(), stored[8].stored_at.truncated_to_micros());
    for (text, expected) in [
        (format!("since {early}"), passes(&|at| at >= early)),
        (format!("until {late}"), passes(&|at| at < late)),
        (format!("since {early} and until {late}"), passes(&|at| at >= early && at < late)),
        (format!("not since {early}"), passes(&|at| at < early)),
        (format!("until {early} or since {late}"), passes(&|at| at < early || at >= late)),
        (format!("since {early} and since {late}"), passes(&|at| at >= late)),
        ("since 1h and until now".to_owned(), passes(&|_| true)),
        ("until 1h".to_owned(), vec![]),
    ] {
        let read = ReadEvents::default().with_filter(Filter::parse(&text).unwrap());
        for start in [ReadStart::Beginning, ReadStart::Sequence(3)] {
            let from = if start == ReadStart::Beginning { 1 } else { 3 };
            let expected: Vec<u64> = expected.iter().copied().filter(|n| *n >= from).collect();
            let read = read.clone().with_start(start);
            let forward = own.read_all(read.clone()).await;
            assert_eq!(sequences(forward), expected, "{text}");
            let mut backward = sequences(own.read_all(read.with_newest_first()).await);
            backward.reverse();
            assert_eq!(backward, expected, "{text}");
        }
        // A live reading until a time that is past ends too.
        if text.starts_with("until 2") && !text.contains("or") {
            let live = ReadEvents::live().with_filter(Filter::parse(&text).unwrap());
            assert_eq!(sequences(own.read_all(live).await), expected, "{text}");
        }
    }
}

pub async fn every_question_takes_a_filter(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    for (job, seconds) in [("a", 1.0), ("b", 2.0), ("c", 3.0)] {
        own.log(Event::job_completed(job, seconds, true).with_queue("q")).await;
        own.log(Event::job_failed(job, "refused", seconds)).await;
    }
    let filter = |text: &str| Filter::parse(text).unwrap();
    for (text, expected) in [
        ("duration >= 2s", 4),
        ("type = job_failed and duration >= 2s", 2),
        ("job_id in (a, b)", 4),
        ("not queue = q", 3),
        ("until 1h", 0),
        ("since 1h and type = job_failed", 3),
    ] {
        let request = StatsRequest::default().with_filter(filter(text));
        let stats = own.events.stats(request).await.unwrap();
        assert_eq!(stats.total_events, expected, "{text}");
    }
    let request = AnalyticsRequest::new("job_completed").with_filter(filter("duration < 3s"));
    let figures = own.events.analytics(request).await.unwrap();
    assert_eq!(figures.measures.total_count, 2);
    assert_eq!(figures.measures.max_duration, Some(2.0));
    let none = AnalyticsRequest::new("job_completed").with_filter(filter("type = job_failed"));
    assert_eq!(own.events.analytics(none).await.unwrap().measures.total_count, 0);
    let request = HistoryRequest::job("a").with_filter(filter("exists error"));
    let history = own.events.history(request).await.unwrap();
    assert_eq!(history.events.len(), 1);
    assert_eq!((history.summary.total_events, history.summary.truncated), (2, true));
}

pub async fn an_explanation_says_what_is_read_and_what_is_slow(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    for job in ["a", "b", "c"] {
        own.log(Event::job_failed(job, "refused", 1.0)).await;
        own.log(Event::job_completed(job, 1.0, true)).await;
    }
    let later = own.log_later_than_all().await.truncated_to_micros();
    let explain = async |text: &str| {
        let options = ReadEvents::default().with_filter(Filter::parse(text).unwrap());
        own.events.explain(options).await.unwrap()
    };
    let two = explain("type in (job_failed, log) and duration > 2s").await;
    assert_eq!(two.subjects.len(), 4);
    assert_eq!((two.messages_at_most, two.stream_messages), (4, 7));
    assert!(two.is_by_subject && two.is_counted_by_subject);
    assert_eq!(two.check.as_deref(), Some("duration > 2s"));
    assert_eq!(two.warnings, [ExplainWarning::ManyFilters]);

    let whole = explain("type != log").await;
    assert_eq!((whole.is_by_subject, whole.messages_at_most), (false, 7));
    assert_eq!(whole.warnings, [ExplainWarning::NotBySubject]);

    let own_time = explain("timestamp > 2h and queue = q").await;
    assert_eq!(own_time.warnings, [ExplainWarning::OwnTimestamp]);

    let new = explain(&format!("since {later}")).await;
    assert!(new.from_sequence > 1 && new.messages_at_most < 7, "{new:?}");
    assert_eq!((new.to_sequence, new.check), (7, None));
    let old = explain(&format!("until {later} and job_id = a")).await;
    assert_eq!((old.from_sequence, old.until), (1, Some(later)));
    assert_eq!((old.messages_at_most, old.warnings), (2, vec![]));

    let live = ReadEvents::live().with_start(ReadStart::New);
    assert_eq!(own.events.explain(live).await.unwrap().messages_at_most, 0);
}

pub async fn a_worker_is_found_in_the_events_of_its_jobs(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log(Event::worker_started("w", "q")).await;
    own.log(Event::job_started("j", "w", "q")).await;
    own.log(Event::job_started("j", "other", "q")).await;
    own.log(Event::schedule_triggered("s", "j")).await;
    assert_eq!(found(&own, &json!({"worker_id": "w"})).await, [1, 2]);
    assert_eq!(found(&own, &json!({"schedule_id": "s"})).await, [4]);
    assert_eq!(found(&own, &json!({"schedule_id": "s", "job_id": "j"})).await, [4]);
}

pub async fn a_subject_that_lies_about_its_event_changes_nothing(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let event = json!({"type": "job_failed", "job_id": "b", "timestamp": "2026-01-01T00:00:00Z"});
    own.foreign("job_started.a", event.to_string()).await;
    assert_eq!(found(&own, &json!({"type": "job_started"})).await, [0_u64; 0]);
    assert_eq!(found(&own, &json!({"job_id": "a"})).await, [0_u64; 0]);
    let history = own.events.get_event_history("a", 10).await.unwrap();
    assert_eq!((history.events.len(), history.summary.total_events), (0, 0));
}

pub async fn a_wrong_filter_is_refused_at_the_field_that_is_wrong(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    for (filter, field) in [
        (json!({"error": {"regex": "("}}), "error.regex"),
        (json!({"error": {"regex": "x".repeat(1_025)}}), "error.regex"),
        (json!({"error": {"regex": "(?:(?:a{100}){100}){100}"}}), "error.regex"),
        (json!({"error": {"regex": 5}}), "error.regex"),
        (json!({"duration": {"min": 5, "max": 4}}), "duration.min"),
        (json!({"duration": {"min": 5, "max": "x"}}), "duration.max"),
        (json!({"n": {"min": 5, "max": "x"}}), "n.min"),
        (json!({"attempt": "3"}), "attempt"),
        (json!({"duration": {"about": 5}}), "duration.about"),
        (json!({"duration": {}}), "duration"),
        (json!({"duration": [1, 2]}), "duration"),
        (json!({"duration": null}), "duration"),
        (json!({"timestamp": "yesterday"}), "timestamp"),
        (json!({"": 1}), ""),
    ] {
        let error = Reading(own.events.stream_events(filter.clone())).error().await;
        assert!(error.is(ErrorKind::InvalidArgument), "{filter}: {error:?}");
        let told = error.get("field").unwrap_or_default();
        assert!(told == field || told.starts_with(&format!("{field}.")), "{filter}: {error:?}");
    }
    let built = ReadEvents::live().with_filter(Filter::new().field("queue").matches("["));
    let error = Reading(own.events.read_events(built)).error().await;
    assert_eq!(error.get("field"), Some("queue.regex"), "{error:?}");
}

const TEXTS: [&str; 5] = ["a", "b", "aa", "a.b", "*"];

fn event() -> impl Strategy<Value = Event> {
    let text = || prop::option::of(select(&TEXTS[..]));
    let number = || prop::option::of(0..4_u32);
    let types = select(&["job_started", "job_failed", "a", "*"][..]);
    (types, text(), text(), text(), number(), prop::option::of(any::<bool>()), number()).prop_map(
        |(kind, job, worker, queue, duration, success, custom)| {
            let mut event = Event::new(kind);
            event.job_id = job.map(Into::into);
            event.worker_id = worker.map(Into::into);
            event.queue = queue.map(Into::into);
            event.duration = duration.map(f64::from);
            event.success = success;
            match custom {
                Some(n) => event.with_field("n", json!({"x": n})),
                None => event,
            }
        },
    )
}

fn filter() -> impl Strategy<Value = Value> {
    let text = || select(&TEXTS[..]).prop_map(|text| json!(text));
    let pattern = || select(&["a", "b", "job"][..]).prop_map(|part| json!({"regex": part}));
    let kind = select(&["job_started", "job_failed", "a", "*"][..]).prop_map(|kind| json!(kind));
    let number = || {
        let range =
            (0..4_i64, 0..4_i64).prop_map(|(a, b)| json!({"min": a.min(b), "max": a.max(b)}));
        prop_oneof![
            (0..4_i64).prop_map(|n| json!(n)),
            (0..4_i64).prop_map(|n| json!({"min": n})),
            (0..4_i64).prop_map(|n| json!({"max": n})),
            range,
        ]
    };
    // Only a custom field may be compared with what it isn't.
    let custom = || prop_oneof![4 => number(), 1 => text()];
    let some = |values: BoxedStrategy<Value>| prop::option::weighted(0.3, values);
    let fields = (
        some(prop_oneof![kind, pattern()].boxed()),
        some(prop_oneof![text(), pattern()].boxed()),
        some(text().boxed()),
        some(pattern().boxed()),
        some(number().boxed()),
        some(any::<bool>().prop_map(|b| json!(b)).boxed()),
        some(custom().boxed()),
    );
    fields.prop_map(|(kind, job, worker, queue, duration, success, custom)| {
        let names = ["type", "job_id", "worker_id", "queue", "duration", "success", "n.x"];
        let values = [kind, job, worker, queue, duration, success, custom];
        let chosen = names.into_iter().zip(values);
        Value::Object(chosen.filter_map(|(k, v)| Some((k.to_owned(), v?))).collect())
    })
}

/// What a filter means, said again in the simplest way.
fn passes(filter: &Map<String, Value>, event: &Value) -> bool {
    filter.iter().all(|(name, condition)| {
        let value = match name.as_str() {
            "n.x" => event["n"].get("x"),
            name => event.get(name),
        };
        let Some(value) = value else { return false };
        let Some(forms) = condition.as_object() else {
            return match (value.as_f64(), condition.as_f64()) {
                (Some(value), Some(wanted)) => value == wanted,
                _ => value == condition,
            };
        };
        forms.iter().all(|(form, bound)| match form.as_str() {
            "min" => value.as_f64() >= bound.as_f64(),
            "max" => value.as_f64() <= bound.as_f64(),
            // The patterns are letters: to find one is to contain it.
            _ => value.as_str().unwrap_or_default().contains(bound.as_str().unwrap_or_default()),
        })
    })
}

pub async fn a_filter_lets_through_what_a_naive_evaluation_does(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let mut runner = TestRunner::deterministic();
    let logged: Vec<_> =
        (0..150).map(|_| event().new_tree(&mut runner).unwrap().current()).collect();
    own.log_all(logged).await;
    let stored: Vec<(u64, Value)> = own
        .stored()
        .await
        .iter()
        .map(|m| (m.sequence, serde_json::from_slice(&m.payload).unwrap()))
        .collect();
    let mut matched = 0;
    for _ in 0..60 {
        let filter = filter().new_tree(&mut runner).unwrap().current();
        let fields = filter.as_object().unwrap();
        let expected = stored.iter().filter(|(_, event)| passes(fields, event)).map(|(n, _)| *n);
        let expected: Vec<_> = expected.collect();
        matched += expected.len();
        let read = ReadEvents::default().with_filter(Filter::from_json(&filter).unwrap());
        let mut seen = own.read_all(read).await;
        assert_eq!(seen.pop(), Some(Seen::CaughtUp(150)));
        assert_eq!(seen, events(expected), "{filter}");
    }
    for _ in 0..60 {
        let [a, b] = [(); 2].map(|()| filter().new_tree(&mut runner).unwrap().current());
        let holds = |filter: &Value, event: &Value| passes(filter.as_object().unwrap(), event);
        for (combined, is_wanted) in [
            (
                json!({"$any": [a, b]}),
                &(|event: &Value| holds(&a, event) || holds(&b, event)) as &dyn Fn(&Value) -> bool,
            ),
            (json!({"$all": [a, {"$not": b}]}), &|event| holds(&a, event) && !holds(&b, event)),
        ] {
            let expected: Vec<_> =
                stored.iter().filter(|(_, event)| is_wanted(event)).map(|(n, _)| *n).collect();
            assert_eq!(found(&own, &combined).await, expected, "{combined}");
        }
    }
    assert!(matched > 100, "the filters say nothing: {matched}");
}
