//! The ledger catches each way in which a writer can be wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::HeaderMap;
use naq_core::events::EventCounters;
use naq_tests::ledger::{Book, Case, Found, History, Line, RULES, Readings, Repeats, Stamp};

use super::*;

pub(super) const EVENTS: u64 = 6;

pub(super) fn stamp(n: u64) -> Stamp {
    Stamp::new("p1", "job1", n, 20)
}

pub(super) fn found(sequence: u64, stamp: &Stamp) -> Found {
    Found {
        sequence,
        subject: format!("events.job_progress.{}", stamp.job),
        message_id: Some(stamp.id()),
        payload: serde_json::json!({
            "type": "job_progress", "id": stamp.id(), "job_id": stamp.job,
            "producer": stamp.producer, "n": stamp.n, "pad": stamp.pad,
            "checksum": stamp.checksum(),
        })
        .to_string()
        .into(),
    }
}

fn counters(offered: u64, acked: u64) -> Line {
    let mut counters = EventCounters::default();
    (counters.offered, counters.acked) = (offered, acked);
    Line::Counted { producer: "p1".to_owned(), counters, lost: 0, untold: 0 }
}

/// An event in which naq tells of a hole.
fn notice(sequence: u64, count: u64) -> Found {
    let payload = serde_json::json!({
        "type": "events_lost", "id": format!("notice-{sequence}"), "reason": "failed",
        "count": count, "types": {"job_progress": count},
        "first_time": "2026-11-24T11:59:50Z", "last_time": "2026-11-24T11:59:50Z",
    });
    Found {
        sequence,
        subject: "events.events_lost".to_owned(),
        message_id: None,
        payload: payload.to_string().into(),
    }
}

/// The fifth event failed, naq counts it, and the stream tells of it where `told`.
fn with_a_hole(lines: &mut Vec<Line>, stream: &mut Vec<Found>, lost: u64, told: bool) {
    *end_of(lines, 5) = Line::Failed { id: stamp(5).id(), kind: "too large".to_owned() };
    stream.pop();
    let mut counters = EventCounters::default();
    (counters.offered, counters.acked, counters.failed) = (EVENTS, EVENTS - 1, 1);
    if told {
        counters.notices = 1;
        stream.push(notice(7, 1));
    }
    lines.push(Line::Counted { producer: "p1".to_owned(), counters, lost, untold: 0 });
}

/// The lines and the stream of a writer that does all right.
fn right() -> (Vec<Line>, Vec<Found>) {
    let mut lines = vec![Line::called("log", Duration::from_millis(3), Duration::from_secs(1))];
    for n in 0..EVENTS {
        let id = stamp(n).id();
        lines.push(Line::offered(&stamp(n)));
        lines.push(Line::Accepted { id: id.clone() });
        lines.push(Line::Acked { id, sequence: Some(n + 1) });
    }
    lines.push(counters(EVENTS, EVENTS));
    lines.push(Line::Memory { baseline: 10 << 20, peak: 20 << 20, buffer: 1 << 20 });
    (lines, (0..EVENTS).map(|n| found(n + 1, &stamp(n))).collect())
}

fn case(lines: Vec<Line>, stream: Vec<Found>) -> Case {
    let readings = Readings { by_consumer: stream.clone(), by_get: stream };
    Case { history: History::of(lines), readings, ..Case::default() }
}

pub(super) fn broken(case: &Case) -> BTreeSet<&'static str> {
    case.violations().into_iter().map(|violation| violation.rule).collect()
}

/// Breaks the right writer in one way; answers which rules see it.
fn with(change: impl FnOnce(&mut Vec<Line>, &mut Vec<Found>)) -> BTreeSet<&'static str> {
    let (mut lines, mut stream) = right();
    change(&mut lines, &mut stream);
    broken(&case(lines, stream))
}

/// The line in which the fate of event `n` is told.
fn end_of(lines: &mut [Line], n: u64) -> &mut Line {
    let of_n = |line: &&mut Line| matches!(line, Line::Acked { id, .. } if *id == stamp(n).id());
    lines.iter_mut().find(of_n).unwrap()
}

#[test]
fn a_writer_that_is_right_breaks_no_rule() {
    assert!(with(|_, _| {}).is_empty());
}

#[test]
fn every_rule_is_broken_by_a_writer_that_breaks_it() {
    let mut seen = BTreeSet::new();
    let mut sees = |how: &str, rules: &[&'static str], broken: BTreeSet<&'static str>| {
        for rule in rules {
            assert!(broken.contains(rule), "{how}: {rule} sees nothing, only {broken:?}");
        }
        seen.extend(rules.iter().copied());
    };
    sees(
        "loses one",
        &["nothing_acked_is_missing", "no_series_has_a_hole"],
        with(|_, stream| {
            stream.remove(2);
        }),
    );
    sees(
        "loses the last",
        &["nothing_acked_is_missing"],
        with(|_, stream| {
            stream.pop();
        }),
    );
    sees(
        "stores one elsewhere",
        &["what_was_acked_is_where_it_was_said_to_be"],
        with(|_, stream| {
            stream.last_mut().unwrap().sequence = 99;
        }),
    );
    sees(
        "sends again with a new id",
        &["nothing_is_stored_twice"],
        with(|_, stream| {
            let mut again = found(7, &stamp(3));
            again.message_id = Some("new".to_owned());
            stream.push(again);
        }),
    );
    sees(
        "reorders two",
        &["each_series_is_in_order"],
        with(|_, stream| {
            let (one, two) = (stream[2].payload.clone(), stream[3].payload.clone());
            (stream[2].payload, stream[3].payload) = (two, one);
        }),
    );
    sees(
        "leaves one out before a kill",
        &["no_series_has_a_hole"],
        with(|lines, stream| {
            lines.retain(|line| !matches!(line, Line::Acked { .. } | Line::Counted { .. }));
            stream.remove(2);
        }),
    );
    sees(
        "stores a ghost",
        &["nothing_is_stored_that_was_not_offered"],
        with(|_, stream| {
            stream.push(found(7, &stamp(77)));
        }),
    );
    sees(
        "tears a message",
        &["nothing_is_stored_that_was_not_offered"],
        with(|_, stream| {
            stream[1].payload = stream[1].payload.slice(..40);
        }),
    );
    sees(
        "alters a payload",
        &["everything_is_stored_as_it_was_offered"],
        with(|_, stream| {
            let mut other = stamp(1);
            other.pad = "another text".to_owned();
            stream[1] = found(2, &other);
        }),
    );
    sees(
        "stores under another job",
        &["everything_is_stored_as_it_was_offered"],
        with(|_, stream| {
            stream[1].subject = "events.job_progress.job2".to_owned();
        }),
    );
    sees(
        "stores what it said failed",
        &["nothing_refused_is_stored"],
        with(|lines, _| {
            *end_of(lines, 5) = Line::Failed { id: stamp(5).id(), kind: "timed out".to_owned() };
        }),
    );
    sees(
        "stores what it rejected",
        &["nothing_refused_is_stored"],
        with(|lines, _| {
            lines.retain(|line| *line != Line::Accepted { id: stamp(5).id() });
            *end_of(lines, 5) = Line::Rejected { id: stamp(5).id(), kind: "limit".to_owned() };
        }),
    );
    sees(
        "tells two ends",
        &["each_event_ends_once"],
        with(|lines, _| {
            lines.push(Line::Unknown { id: stamp(0).id() });
        }),
    );
    sees(
        "answers what nobody asked",
        &["each_event_ends_once"],
        with(|lines, _| {
            lines.push(Line::Acked { id: "p1-job1-99".to_owned(), sequence: None });
        }),
    );
    sees(
        "says nothing of one",
        &["each_event_ends_once"],
        with(|lines, _| {
            lines.retain(|line| {
                let ends = [
                    Line::Accepted { id: stamp(5).id() },
                    Line::Acked { id: stamp(5).id(), sequence: Some(6) },
                ];
                !ends.contains(line)
            });
        }),
    );
    sees(
        "drops an ack",
        &["the_counters_say_what_the_ledger_says"],
        with(|lines, _| {
            *end_of(lines, 5) = Line::Unknown { id: stamp(5).id() };
        }),
    );
    sees(
        "forgets one",
        &["the_counters_say_what_the_ledger_says"],
        with(|lines, _| {
            lines.push(counters(EVENTS - 1, EVENTS - 1));
        }),
    );
    sees(
        "counts one twice",
        &["the_counters_say_what_the_ledger_says"],
        with(|lines, _| {
            lines.push(counters(EVENTS, EVENTS + 1));
        }),
    );
    assert!(with(|lines, stream| with_a_hole(lines, stream, 1, true)).is_empty());
    sees(
        "keeps a hole to itself",
        &["every_hole_is_told_in_the_stream"],
        with(|lines, stream| with_a_hole(lines, stream, 1, false)),
    );
    sees(
        "counts no hole",
        &["every_hole_is_told_in_the_stream"],
        with(|lines, stream| with_a_hole(lines, stream, 0, true)),
    );
    sees(
        "tells of a hole, and says that it doesn't",
        &["every_hole_is_told_in_the_stream"],
        with(|lines, stream| {
            with_a_hole(lines, stream, 1, true);
            let Some(Line::Counted { untold, .. }) = lines.last_mut() else { panic!("no count") };
            *untold = 1;
        }),
    );
    sees(
        "tells of a hole that is none",
        &["every_hole_is_told_in_the_stream"],
        with(|_, stream| stream.push(notice(7, 1))),
    );
    sees(
        "counts a notice that is not stored",
        &["the_counters_say_what_the_ledger_says"],
        with(|lines, stream| {
            with_a_hole(lines, stream, 1, true);
            stream.pop();
        }),
    );
    sees(
        "grows",
        &["memory_keeps_its_bound"],
        with(|lines, _| {
            lines.push(Line::Memory { baseline: 10 << 20, peak: 90 << 20, buffer: 16 << 20 });
        }),
    );
    sees(
        "hangs",
        &["calls_keep_their_deadlines"],
        with(|lines, _| {
            lines.push(Line::called("flush", Duration::from_secs(70), Duration::from_secs(60)));
        }),
    );
    let (lines, stream) = right();
    let mut split = case(lines, stream);
    split.readings.by_consumer.remove(3);
    sees("shows readers different things", &["both_readings_agree"], broken(&split));

    let all: BTreeSet<_> = RULES.iter().map(|(rule, _)| *rule).collect();
    assert_eq!(seen, all, "each rule needs a writer that breaks it");
}

#[test]
fn repeats_that_are_counted_as_possible_are_allowed_where_the_case_says_so() {
    let (mut lines, mut stream) = right();
    stream.push(found(7, &stamp(0)));
    let mut counted = EventCounters::default();
    (counted.offered, counted.acked, counted.possible_duplicates) = (EVENTS, EVENTS, 1);
    lines.push(Line::Counted { producer: "p1".to_owned(), counters: counted, lost: 0, untold: 0 });
    let mut case = case(lines, stream);
    assert_eq!(broken(&case), ["nothing_is_stored_twice"].into());
    case.repeats = Repeats::Counted;
    assert_eq!(broken(&case), [].into());
    case.readings.by_get.push(found(8, &stamp(1)));
    case.readings.by_consumer.push(found(8, &stamp(1)));
    assert_eq!(broken(&case), ["nothing_is_stored_twice"].into());
}

#[test]
fn what_ended_unknown_may_be_late_where_the_case_says_so_and_nothing_else() {
    let (mut lines, mut stream) = right();
    *end_of(&mut lines, 1) = Line::Unknown { id: stamp(1).id() };
    let last = stream.len() - 1;
    stream[1..].rotate_left(1);
    for (sequence, found) in (1..).zip(&mut stream) {
        found.sequence = sequence;
    }
    assert_eq!(stream[last].message_id, Some(stamp(1).id()));
    for (n, sequence) in (2..EVENTS).zip(2..) {
        *end_of(&mut lines, n) = Line::Acked { id: stamp(n).id(), sequence: Some(sequence) };
    }
    lines.retain(|line| !matches!(line, Line::Counted { .. }));
    let mut counted = EventCounters::default();
    (counted.offered, counted.acked, counted.unknown) = (EVENTS, EVENTS - 1, 1);
    lines.push(Line::Counted { producer: "p1".to_owned(), counters: counted, lost: 1, untold: 1 });
    let mut late = case(lines, stream);
    assert_eq!(broken(&late), ["each_series_is_in_order"].into());
    assert_eq!(late.unknown_and_stored(), 1);
    late.unknown_may_be_late = true;
    assert_eq!(broken(&late), [].into());
    for reading in [&mut late.readings.by_get, &mut late.readings.by_consumer] {
        reading.swap(2, 3);
    }
    assert!(broken(&late).contains("each_series_is_in_order"));
}

#[test]
fn what_was_stored_before_the_stream_was_emptied_may_be_gone_and_nothing_else() {
    let (mut lines, mut stream) = right();
    lines.insert(10, Line::Emptied);
    stream.drain(..3);
    let whole = case(lines, stream);
    assert_eq!(broken(&whole), [].into());
    let mut less = whole;
    less.readings.by_get.pop();
    less.readings.by_consumer.pop();
    assert!(broken(&less).contains("nothing_acked_is_missing"));
}

#[test]
fn a_ledger_that_a_kill_cut_short_is_read_to_its_last_whole_line() {
    let folder = tempfile::tempdir().unwrap();
    let book = Book::open(&folder.path().join("ledger"));
    book.write(&Line::offered(&stamp(0)));
    book.write(&Line::Accepted { id: stamp(0).id() });
    let mut text = fs::read_to_string(book.path()).unwrap();
    text.push_str(r#"{"line":"acked","id":"p1-"#);
    fs::write(book.path(), text).unwrap();
    let history = book.history();
    assert_eq!((history.events.len(), history.torn), (1, 1));
    assert_eq!(history.open(), [stamp(0).id()]);
}

/// How a writer on a real server is broken.
#[derive(Debug, Clone, Copy)]
enum Broken {
    No,
    LosesOne,
    ResendsWithANewId,
    ReordersTwo,
    DropsAnAck,
    StoresWhatFailed,
    StoresAGhost,
    AltersAPayload,
}

/// Writes to a real stream, broken like that, and keeps its book in good faith.
async fn play(broken: Broken) -> Case {
    let server = shared().await;
    let client = server.client().await;
    let js = jetstream::new(client.clone());
    let name = names::unique("ledger");
    let config = jetstream::stream::Config {
        name: name.clone(),
        subjects: vec![format!("{name}.>")],
        allow_direct: true,
        ..Default::default()
    };
    js.create_stream(config).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let book = Book::open(&folder.path().join("ledger"));
    let store = async |stamp: &Stamp, message_id: String| {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", message_id);
        let subject = format!("{name}.{}", stamp.job);
        let payload = found(0, stamp).payload;
        let ack = js.publish_with_headers(subject, headers, payload).await.unwrap().await.unwrap();
        ack.sequence
    };
    let mut order: Vec<u64> = (0..EVENTS).collect();
    for n in &order {
        book.write(&Line::offered(&stamp(*n)));
        book.write(&Line::Accepted { id: stamp(*n).id() });
    }
    if matches!(broken, Broken::ReordersTwo) {
        order.swap(2, 3);
    }
    for n in order {
        let mut stamp = stamp(n);
        let id = stamp.id();
        let here = n == 3;
        if here && matches!(broken, Broken::AltersAPayload) {
            stamp.pad.push('!');
        }
        let lost = here && matches!(broken, Broken::LosesOne);
        let mut sequence = None;
        if !lost {
            sequence = Some(store(&stamp, id.clone()).await);
        }
        if here && matches!(broken, Broken::ResendsWithANewId) {
            store(&stamp, format!("{id}-again")).await;
        }
        if here && matches!(broken, Broken::StoresAGhost) {
            store(&self::stamp(77), "ghost".to_owned()).await;
        }
        match broken {
            Broken::DropsAnAck if here => {}
            Broken::StoresWhatFailed if here => {
                book.write(&Line::Failed { id, kind: "conflict".to_owned() });
            }
            _ => book.write(&Line::Acked { id, sequence }),
        }
    }
    if matches!(broken, Broken::No | Broken::DropsAnAck) {
        let dropped = u64::from(matches!(broken, Broken::DropsAnAck));
        book.write(&counters(EVENTS, EVENTS - dropped));
    }
    let readings = Readings::of(&client, &name).await;
    Case { history: book.history(), readings, ..Case::default() }
}

#[tokio::test]
async fn a_writer_that_is_broken_on_a_real_server_is_caught() {
    assert_eq!(broken(&play(Broken::No).await), [].into());
    for (how, rule) in [
        (Broken::LosesOne, "nothing_acked_is_missing"),
        (Broken::ResendsWithANewId, "nothing_is_stored_twice"),
        (Broken::ReordersTwo, "each_series_is_in_order"),
        (Broken::DropsAnAck, "the_counters_say_what_the_ledger_says"),
        (Broken::StoresWhatFailed, "nothing_refused_is_stored"),
        (Broken::StoresAGhost, "nothing_is_stored_that_was_not_offered"),
        (Broken::AltersAPayload, "everything_is_stored_as_it_was_offered"),
    ] {
        let caught = broken(&play(how).await);
        assert!(caught.contains(rule), "{how:?}: {caught:?}");
    }
}
