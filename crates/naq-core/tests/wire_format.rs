//! The wire format, held by golden files and by its law: what naq wrote is
//! written the same again.
//!
//! A golden file is what users have in their streams. If a test here fails, the
//! code is wrong and not the file, unless the format was changed on purpose;
//! then `UPDATE_GOLDEN=1 cargo test -p naq-core --test wire_format` writes
//! them anew, and the change belongs into docs/wire-format.md.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::PathBuf;

use naq_core::Timestamp;
use naq_core::events::{
    Event, EventEncoder, EventInput, EventSubjects, EventType, Position, RecordedEvent, decode,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Compares `actual` with a golden file, or writes it where that is asked for.
fn assert_golden(name: &str, actual: &str) {
    let path = golden(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    for (line, (actual, expected)) in (1..).zip(actual.lines().zip(expected.lines())) {
        assert_eq!(actual, expected, "{name}:{line}");
    }
    assert_eq!(actual, expected, "{name}");
}

fn encoder() -> EventEncoder {
    EventEncoder::new(EventSubjects::default()).with_service_version("0.1.0")
}

fn noon() -> Timestamp {
    "2026-11-24T12:00:00.123456Z".parse().unwrap()
}

/// One event of each kind, as its constructor makes it, then some with all that an event can have.
fn events() -> Vec<Event> {
    vec![
        Event::job_enqueued("job-1", "emails"),
        Event::job_waiting("job-1", "rate limit"),
        Event::job_started("job-1", "worker-1", "emails"),
        Event::job_progress("job-1", "3 of 7"),
        Event::job_completed("job-1", 0.25, true),
        Event::job_failed("job-1", "connection reset", 1.0),
        Event::job_retry_scheduled("job-1", 2),
        Event::job_scheduled("job-1", "emails"),
        Event::job_cancelled("job-1", "by hand"),
        Event::job_paused("job-1"),
        Event::job_resumed("job-1"),
        Event::schedule_created("nightly"),
        Event::schedule_triggered("nightly", "job-1"),
        Event::schedule_paused("nightly"),
        Event::schedule_resumed("nightly"),
        Event::schedule_cancelled("nightly"),
        Event::schedule_modified("nightly"),
        Event::scheduler_error("clock went back"),
        Event::worker_started("worker-1", "emails"),
        Event::worker_stopped("worker-1", "emails"),
        Event::worker_idle("worker-1"),
        Event::worker_busy("worker-1"),
        Event::worker_heartbeat("worker-1"),
        Event::worker_error("worker-1", "out of memory"),
        Event::log("hello"),
        Event::events_lost(3, "drop_newest")
            .with_field("types", json!({"job_progress": 1, "worker_heartbeat": 2}))
            .with_field("first_time", "2026-11-24T11:59:50.000000Z")
            .with_field("last_time", "2026-11-24T11:59:59.500000Z"),
        Event::job_failed("a.b *>\r\n\u{1f600}", "quote \" slash \\ tab \t nul \0", 1e-7)
            .with_worker_id("worker-1")
            .with_queue("")
            .with_schedule_id("nightly")
            .with_job_name("send_invoice")
            .with_attempt(u32::MAX)
            .with_queue_wait(1e21)
            .with_success(false)
            .with_error_type("IoError")
            .with_reason("é")
            .with_message("two\nlines")
            .with_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .with_field("zeta", json!({"b": [1, -2, 0.1, null], "a": u64::MAX}))
            .with_field("", i64::MIN)
            .with_field("alpha.beta", "x"),
        Event::new("Rechnung.verschickt").with_field("amount", 12.5),
    ]
}

#[test]
fn each_kind_is_stored_as_the_golden_file_has_it() {
    let mut written = String::new();
    for (n, event) in events().into_iter().enumerate() {
        let event = event.with_id(format!("019ab5f0-0000-7000-8000-{n:012x}"));
        let encoded = encoder().encode(&event, noon()).unwrap();
        written.push_str(encoded.subject());
        written.push(' ');
        written.push_str(std::str::from_utf8(encoded.payload()).unwrap());
        written.push('\n');
    }
    assert_golden("written.txt", &written);
}

#[test]
fn the_golden_file_has_every_kind() {
    let kinds: Vec<_> = events().into_iter().map(|event| event.event_type).collect();
    assert_eq!(kinds[..EventType::KNOWN.len()], *EventType::KNOWN);
}

#[test]
fn what_is_stored_is_read_and_written_the_same_again() {
    let stored = std::fs::read_to_string(golden("written.txt")).unwrap();
    for line in stored.lines() {
        let (subject, payload) = line.split_once(' ').unwrap();
        let event = decode(payload.as_bytes()).unwrap();
        let again = encoder().encode(&event, Timestamp::MAX).unwrap();
        assert_eq!(std::str::from_utf8(again.payload()).unwrap(), payload);
        assert_eq!(again.subject(), subject);
        // An exported line, logged again, is the same event.
        let input = EventInput::from_json(payload.as_bytes()).into_event().unwrap();
        assert_eq!(input, event);
    }
}

#[test]
fn what_others_wrote_is_read_as_the_golden_file_has_it() {
    let foreign = std::fs::read_to_string(golden("foreign.txt")).unwrap();
    let outcome: String = foreign
        .lines()
        .map(|line| match decode(line.as_bytes()) {
            Ok(event) => format!("event {}\n", serde_json::to_string(&event).unwrap()),
            Err(reason) => format!("malformed {reason}\n"),
        })
        .collect();
    assert_golden("foreign.read.txt", &outcome);
}

#[test]
fn a_recorded_event_says_in_json_where_it_is_stored() {
    let payload = r#"{"type":"x","id":"i","n":[1]}"#;
    let position = Position::new(Timestamp::from_nanos(7), 42);
    let recorded =
        RecordedEvent::decode(position, noon(), "events.x".to_owned(), payload.into()).unwrap();
    let text = serde_json::to_string(&recorded).unwrap();
    assert_eq!(
        text,
        r#"{"type":"x","id":"i","n":[1],"_message_id":42,"_timestamp":"2026-11-24T12:00:00.123456Z","_position":"42@7","_subject":"events.x"}"#
    );
    assert_eq!(serde_json::from_str::<RecordedEvent>(&text).unwrap(), recorded);
}

/// The document for users, without its Rust.
fn document() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/wire-format.md");
    std::fs::read_to_string(path).unwrap()
}

/// The first cells of a document's table, below the heading of that name.
fn first_cells<'a>(document: &'a str, heading: &str) -> Vec<&'a str> {
    let section = document.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).collect()
}

#[test]
fn the_document_s_example_is_what_naq_writes() {
    let document = document();
    let example = document.split("```json\n").nth(1).unwrap().split("\n```").next().unwrap();
    let event = decode(example.as_bytes()).unwrap();
    let encoded = encoder().encode(&event, noon()).unwrap();
    assert_eq!(std::str::from_utf8(encoded.payload()).unwrap(), example);
    assert!(document.contains(&format!("the subject `{}`", encoded.subject())));
}

#[test]
fn the_document_lists_each_type_and_each_field_in_the_order_of_the_code() {
    let document = document();
    let types: Vec<_> = EventType::KNOWN.iter().map(EventType::as_str).collect();
    assert_eq!(first_cells(&document, "Types"), types);
    // The fullest golden event has every field.
    let written = std::fs::read_to_string(golden("written.txt")).unwrap();
    let fullest = written.lines().find(|line| line.contains("traceparent")).unwrap();
    let fields: Map<String, Value> =
        serde_json::from_str(fullest.split_once(' ').unwrap().1).unwrap();
    let known: Vec<_> = fields.keys().take_while(|key| *key != "zeta").collect();
    assert_eq!(first_cells(&document, "Fields"), known);
}

#[test]
fn the_document_s_tokens_are_those_of_the_code() {
    for row in document().lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('`').collect();
        if let ["| ", id, " | ", token, " |"] = cells[..] {
            assert_eq!(naq_core::token::encode(id), token);
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((".{0,6}", inner), 0..4)
                .prop_map(|fields| Value::from(Map::from_iter(fields))),
        ]
    })
}

fn event() -> impl Strategy<Value = Event> {
    let id = || proptest::option::of("(?s).{1,40}");
    let text = || proptest::option::of("(?s).{0,40}");
    let seconds = || {
        proptest::option::of(any::<f64>().prop_filter_map("is seconds", |seconds| {
            let seconds = seconds.abs();
            seconds.is_finite().then_some(seconds)
        }))
    };
    let ids = ("(?s).{1,16}", id(), id(), id());
    let texts = (text(), text(), text(), text(), text(), text());
    let numbers = (
        proptest::option::of(any::<u32>()),
        seconds(),
        seconds(),
        proptest::option::of(any::<bool>()),
        proptest::option::of(any::<i64>()),
    );
    let custom = proptest::collection::vec(("c(?s).{0,6}", value()), 0..5);
    (ids, texts, numbers, custom).prop_map(|(ids, texts, numbers, custom)| {
        let mut event = Event::new(ids.0);
        event.job_id = ids.1.map(Into::into);
        event.worker_id = ids.2.map(Into::into);
        event.schedule_id = ids.3.map(Into::into);
        event.queue = texts.0.map(Into::into);
        event.job_name = texts.1.map(Into::into);
        event.error = texts.2.map(Into::into);
        event.error_type = texts.3.map(Into::into);
        event.reason = texts.4.map(Into::into);
        event.message = texts.5.map(Into::into);
        event.attempt = numbers.0;
        event.duration = numbers.1;
        event.queue_wait = numbers.2;
        event.success = numbers.3;
        event.timestamp = numbers.4.map(Timestamp::from_nanos);
        event.custom = Map::from_iter(custom);
        event
    })
}

proptest! {
    #[test]
    fn what_naq_writes_is_read_back_and_written_the_same(event in event()) {
        let encoded = encoder().encode(&event, noon()).unwrap();
        let read = decode(encoded.payload()).unwrap();
        let again = encoder().encode(&read, Timestamp::MIN).unwrap();
        prop_assert_eq!(again.payload(), encoded.payload());
        prop_assert_eq!(again.subject(), encoded.subject());

        let mut stamped = event;
        stamped.id = Some(encoded.id().clone());
        stamped.timestamp = Some(stamped.timestamp.unwrap_or(noon()).truncated_to_micros());
        stamped.service = Some("naq".into());
        stamped.service_version = Some("0.1.0".into());
        prop_assert_eq!(read, stamped);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn no_json_makes_the_reader_or_the_log_panic(mut fields in proptest::collection::vec(
        (prop_oneof!["type", "id", "timestamp", "job_id", "attempt", "duration", "success", "x"],
         value()), 0..6,
    )) {
        fields.push(("type".to_owned(), Value::from("x")));
        let object = Value::from(Map::from_iter(fields));
        let read = decode(object.to_string().as_bytes());
        let logged = EventInput::from(object).into_event();
        prop_assert_eq!(read.ok(), logged.ok());
    }
}
