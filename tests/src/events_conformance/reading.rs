//! Reading in stored order: starts, ends, limits, and what stands in line with the events.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use naq_core::ErrorKind;
use naq_core::events::{
    Event, EventItem, EventQuery, EventQueryExt, EventSinkExt, Position, ReadEvents, ReadStart,
    ReadUntil,
};
use naq_core::jetstream::JetStream;
use serde_json::json;

use super::support::{Own, PATIENCE, Reading, Seen, events, now, refused};
use crate::wait;

/// How long a reading may be silent about a stream that is gone.
const IN_TIME: Duration = Duration::from_secs(15);

fn numbered(count: u64) -> impl Iterator<Item = Event> {
    (1..=count).map(|n| Event::job_progress(format!("job-{}", n % 3), n.to_string()))
}

pub async fn a_reading_tells_the_log_in_stored_order_up_to_its_end(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all(numbered(5)).await;
    let info = own.info().await;
    let mut reading = own.read(ReadEvents::default());
    for n in 1..=5 {
        let recorded = reading.event().await;
        assert_eq!((recorded.sequence(), recorded.position.created), (n, info.created));
        assert_eq!(recorded.event.message.as_deref(), Some(n.to_string().as_str()));
        assert_eq!(recorded.subject, format!("{}.job_progress.job-{}", own.name, n % 3));
        assert!(recorded.event.id.is_some() && recorded.event.timestamp.is_some());
        assert_eq!(recorded.event.service.as_deref(), Some("naq"));
    }
    assert_eq!(reading.rest().await, [Seen::CaughtUp(5)]);
}

pub async fn an_empty_log_is_caught_up_at_once(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    assert_eq!(own.read_all(ReadEvents::default()).await, [Seen::CaughtUp(0)]);
    let backwards = ReadEvents::default().with_newest_first();
    assert_eq!(own.read_all(backwards).await, [Seen::CaughtUp(0)]);
    assert_eq!(own.read(ReadEvents::live()).next().await, Seen::CaughtUp(0));
}

pub async fn a_live_reading_goes_from_the_past_into_the_present(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all(numbered(2)).await;
    let mut reading = Reading(own.events.stream_events(json!({})));
    assert_eq!(reading.next().await, Seen::Event(1));
    assert_eq!(reading.next().await, Seen::Event(2));
    assert_eq!(reading.next().await, Seen::CaughtUp(2));
    own.log(Event::log("three")).await;
    assert_eq!(reading.event().await.event.message.as_deref(), Some("three"));
    own.log(Event::log("four")).await;
    assert_eq!(reading.next().await, Seen::Event(4));
}

pub async fn a_live_reading_is_told_only_what_passes_its_filter(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log(Event::job_failed("a", "x", 3.0)).await;
    let filter = json!({"type": "job_failed", "duration": {"min": 2.5}});
    let mut reading = Reading(own.events.stream_events(filter));
    assert_eq!(reading.next().await, Seen::Event(1));
    assert_eq!(reading.next().await, Seen::CaughtUp(1));
    own.log(Event::job_failed("a", "x", 2.0)).await;
    own.log(Event::job_completed("a", 9.0, true)).await;
    own.log(Event::job_failed("b", "x", 2.5)).await;
    assert_eq!(reading.next().await, Seen::Event(4));
}

pub async fn a_reading_starts_where_it_is_told(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all(numbered(3)).await;
    let third = own.stored().await[2].stored_at;
    let from = |start| ReadEvents::default().with_start(start);
    let rest = [Seen::Event(3), Seen::CaughtUp(3)];
    assert_eq!(own.read_all(from(ReadStart::Sequence(3))).await, rest);
    let at_time = own.read_all(from(ReadStart::Time(third))).await;
    assert_eq!(at_time[at_time.len() - 2..], rest, "{at_time:?}");
    let later = third.saturating_add(Duration::from_secs(3_600));
    assert_eq!(own.read_all(from(ReadStart::Time(later))).await, [Seen::CaughtUp(3)]);
    assert_eq!(own.read_all(from(ReadStart::New)).await, [Seen::CaughtUp(3)]);
    let mut new = own.read(ReadEvents::live().with_start(ReadStart::New));
    assert_eq!(new.next().await, Seen::CaughtUp(3));
    own.log(Event::log("new")).await;
    assert_eq!(new.next().await, Seen::Event(4));
}

pub async fn a_reading_ends_behind_a_sequence_and_waits_for_it(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all(numbered(3)).await;
    let until = |sequence| ReadEvents::default().with_until(ReadUntil::Sequence(sequence));
    let seen = own.read_all(until(2)).await;
    assert_eq!(seen[..2], events(1..=2));
    let mut reading = own.read(until(5));
    for n in 1..=3 {
        assert_eq!(reading.next().await, Seen::Event(n));
    }
    assert_eq!(reading.next().await, Seen::CaughtUp(3));
    own.log_all(numbered(3)).await;
    assert_eq!(reading.rest().await, events(4..=5));
}

pub async fn a_reading_ends_before_a_time_that_has_passed(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all(numbered(2)).await;
    let end = own.log_later_than_all().await;
    let seen = own.read_all(ReadEvents::default().with_until(ReadUntil::Time(end))).await;
    assert_eq!(seen, events(1..=2));
    let backwards = ReadEvents::default().with_until(ReadUntil::Time(end)).with_newest_first();
    assert_eq!(own.read_all(backwards).await[..2], [Seen::Event(2), Seen::Event(1)]);
    let past_the_end = now().saturating_add(Duration::from_millis(1));
    let all = own.read_all(ReadEvents::default().with_until(ReadUntil::Time(past_the_end))).await;
    assert_eq!(all, [events(1..=3), vec![Seen::CaughtUp(3)]].concat());
}

pub async fn a_reading_waits_for_a_time_to_come(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all(numbered(1)).await;
    let end = now().saturating_add(Duration::from_millis(400));
    let mut reading = own.read(ReadEvents::default().with_until(ReadUntil::Time(end)));
    assert_eq!(reading.next().await, Seen::Event(1));
    assert_eq!(reading.next().await, Seen::CaughtUp(1));
    let rest = tokio::spawn(async move { reading.rest().await });
    wait::until("the time to pass", PATIENCE, async || {
        own.log(Event::log("x")).await;
        now() > end
    })
    .await;
    let rest = wait::within("the reading to end", PATIENCE, rest).await.unwrap();
    let stored = own.stored().await;
    let before = stored.iter().filter(|message| message.stored_at < end).map(|m| m.sequence);
    assert_eq!(rest, events(before.skip(1)));
}

pub async fn a_limit_counts_events_alone(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.foreign("log", "no event").await;
    own.log_all(numbered(3)).await;
    let limited = ReadEvents::default().with_limit(2);
    let expected = [Seen::Malformed(1), Seen::Event(2), Seen::Event(3)];
    assert_eq!(own.read_all(limited).await, expected);
    let live = ReadEvents::live().with_limit(1);
    assert_eq!(own.read_all(live).await, expected[..2]);
}

pub async fn what_is_no_event_is_told_with_its_place_and_reason(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let broken: [(&str, Vec<u8>, &str); 7] = [
        ("log", b"hello".to_vec(), "not JSON"),
        ("log.x", b"".to_vec(), "not JSON"),
        ("log", vec![0xff, 0xfe], "not JSON"),
        ("a.b.c", b"[1]".to_vec(), "not a JSON object"),
        ("log", b"{}".to_vec(), "type"),
        ("log", br#"{"type":"log","duration":-1}"#.to_vec(), "duration"),
        ("log", [&b"{\"type\":\"log\",\"x\":"[..], &vec![b'['; 500_000]].concat(), "nested"),
    ];
    for (tail, payload, _) in &broken {
        own.foreign(tail, payload.clone()).await;
    }
    own.log(Event::log("behind them")).await;
    let mut reading = own.read(ReadEvents::default());
    for (n, (tail, payload, reason)) in broken.iter().enumerate() {
        let Some(Ok(EventItem::Malformed(malformed))) = reading.step().await else {
            panic!("{tail} {reason}")
        };
        assert_eq!(malformed.sequence(), n as u64 + 1);
        assert_eq!(malformed.subject, format!("{}.{tail}", own.name));
        assert_eq!(malformed.payload, payload);
        assert!(malformed.reason.to_string().contains(reason), "{}", malformed.reason);
    }
    assert_eq!(reading.event().await.event.message.as_deref(), Some("behind them"));
}

pub async fn a_gap_is_told_where_it_is(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all(numbered(5)).await;
    own.purge_below(4).await;
    let from_one = ReadEvents::default().with_start(ReadStart::Sequence(1));
    let expected = [Seen::Gap(1, 3), Seen::Event(4), Seen::Event(5), Seen::CaughtUp(5)];
    assert_eq!(own.read_all(from_one.clone()).await, expected);
    let backwards = [Seen::Event(5), Seen::Event(4), Seen::Gap(1, 3), Seen::CaughtUp(5)];
    assert_eq!(own.read_all(from_one.with_newest_first()).await, backwards);
    let beginning = [Seen::Event(4), Seen::Event(5), Seen::CaughtUp(5)];
    assert_eq!(own.read_all(ReadEvents::default()).await, beginning);
}

pub async fn a_reading_goes_on_behind_a_position_in_another_service(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all(numbered(4)).await;
    let mut reading = own.read(ReadEvents::default());
    reading.event().await;
    let position = reading.event().await.position;
    let text: String = position.to_string();
    let other = own.another().await;
    let on = ReadEvents::default().after(text.parse().unwrap());
    let seen = Reading(other.read_events(on.clone())).rest().await;
    assert_eq!(seen, [Seen::Event(3), Seen::Event(4), Seen::CaughtUp(4)]);
    let seen = Reading(other.read_events(on.with_newest_first())).rest().await;
    assert_eq!(seen, [Seen::Event(4), Seen::Event(3), Seen::CaughtUp(4)]);
}

pub async fn a_position_of_a_log_made_anew_is_a_conflict(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all(numbered(2)).await;
    let position = own.read(ReadEvents::default()).event().await.position;
    own.make_anew().await;
    for after in [ReadEvents::live(), ReadEvents::default().with_newest_first()] {
        let error = own.read(after.after(position)).error().await;
        assert!(error.is(ErrorKind::Conflict) && error.hint().is_some(), "{error:?}");
    }
}

pub async fn a_position_beyond_the_log_s_end_is_a_conflict(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all(numbered(2)).await;
    let last = own.read(ReadEvents::default().with_newest_first()).event().await.position;
    let beyond = Position::new(last.created, last.sequence + 1);
    for after in [ReadEvents::live(), ReadEvents::default().with_newest_first()] {
        let error = own.read(after.after(beyond)).error().await;
        assert!(error.is(ErrorKind::Conflict) && error.hint().is_some(), "{error:?}");
    }
}

pub async fn a_log_that_is_not_there_can_not_be_asked(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.js.delete_stream(&own.name).await.unwrap();
    assert!(own.read(ReadEvents::default()).error().await.is(ErrorKind::NotFound));
    let backwards = ReadEvents::default().with_newest_first();
    assert!(own.read(backwards).error().await.is(ErrorKind::NotFound));
    refused(own.events.get_event_history("x", 1).await, ErrorKind::NotFound);
    refused(own.events.get_event_stats(None, None).await, ErrorKind::NotFound);
    refused(own.events.get_event_analytics("log", None, None).await, ErrorKind::NotFound);
    refused(own.events.cleanup_old_events(Duration::ZERO).await, ErrorKind::NotFound);
}

pub async fn a_log_deleted_under_a_reading_is_not_found(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all(numbered(1)).await;
    let mut reading = own.read(ReadEvents::live());
    assert_eq!(reading.next().await, Seen::Event(1));
    assert_eq!(reading.next().await, Seen::CaughtUp(1));
    own.js.delete_stream(&own.name).await.unwrap();
    let error = wait::within("the error", IN_TIME, reading.error()).await;
    assert!(error.is(ErrorKind::NotFound), "{error:?}");
}

pub async fn a_log_made_anew_under_a_reading_is_a_conflict(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all(numbered(3)).await;
    let mut reading = own.read(ReadEvents::live());
    for _ in 0..4 {
        reading.next().await;
    }
    own.make_anew().await;
    own.log(Event::log("of another life")).await;
    let error = wait::within("the error", IN_TIME, reading.error()).await;
    // Who sees the stream between its two lives sees none.
    let expected = [ErrorKind::Conflict, ErrorKind::NotFound];
    assert!(expected.contains(&error.kind()), "{error:?}");
}

pub async fn a_question_sees_what_was_logged_before_it(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    for n in 0..20 {
        let job = format!("job-{n}");
        own.events.log_job_started(&job, "w", "q").await.unwrap();
        assert_eq!(own.events.get_event_history(&job, 9).await.unwrap().events.len(), 1);
        own.events.log_job_completed(&job, 0.5, true).await.unwrap();
        let stats = own.events.get_event_stats(None, None).await.unwrap();
        assert_eq!(stats.total_events, 2 * n + 2);
        let one = ReadEvents::default().with_newest_first().with_limit(1);
        assert_eq!(own.read_all(one).await, [Seen::Event(2 * n + 2)]);
    }
}

pub async fn a_dropped_reading_leaves_nothing_behind(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all(numbered(3)).await;
    let mut reading = own.read(ReadEvents::live());
    reading.event().await;
    drop(reading);
    wait::until("the reading's consumer to go", PATIENCE, async || {
        own.js.list_consumers(&own.name).count().await == 0
    })
    .await;
}

pub async fn wrong_readings_are_refused_before_anything_is_asked(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let wrong = [
        (ReadEvents::default().with_limit(0), "limit"),
        (ReadEvents::default().with_start(ReadStart::Sequence(0)), "start"),
        (ReadEvents::live().with_newest_first(), "newest_first"),
    ];
    for (options, field) in wrong {
        let error = own.read(options).error().await;
        assert_eq!((error.kind(), error.get("field")), (ErrorKind::InvalidArgument, Some(field)));
    }
    let mut reading = Reading(own.events.stream_events(json!({"duration": {"min": 3, "max": 1}})));
    let error = reading.error().await;
    assert_eq!(error.get("field"), Some("duration.min"), "{error:?}");
    let mut reading = Reading(own.events.stream_events(json!(["type"])));
    assert!(reading.error().await.is(ErrorKind::InvalidArgument));
}
