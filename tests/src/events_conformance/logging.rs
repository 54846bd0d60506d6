//! Logging: what is stored of what a program hands in, and what is refused.

use std::sync::Arc;

use naq_core::config::{StreamMode, SubjectLayout};
use naq_core::events::{Event, EventInput, EventQueryExt, EventSink, EventSinkExt, ReadEvents};
use naq_core::jetstream::JetStream;
use naq_core::{ErrorKind, token};
use naq_events::EventService;
use serde_json::json;

use super::support::{Own, PATIENCE, invalid, refused};

/// What people, and those who mean harm, call their jobs.
const IDS: [&str; 12] = [
    ".",
    "a.b",
    "*",
    ">",
    "a..b",
    " ",
    "x\r\nPUB naq.stolen 1\r\nx\r\n",
    "\0",
    "\u{1f600}",
    "$JS.API.STREAM.DELETE.events",
    "=",
    "=2E",
];

pub async fn dangerous_ids_are_one_token_and_read_back_unchanged(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    for id in IDS {
        own.log(Event::job_paused(id)).await;
    }
    let stored = own.stored().await;
    assert_eq!(stored.len(), IDS.len());
    for (message, id) in stored.iter().zip(IDS) {
        let tokens: Vec<_> = message.subject.split('.').collect();
        assert_eq!((tokens.len(), tokens[0]), (3, own.name.as_str()), "{id:?}");
        assert_eq!(token::decode(tokens[2]).unwrap(), id);
        let history = own.events.get_event_history(id, 10).await.unwrap();
        assert_eq!(history.events.len(), 1, "{id:?}");
        assert_eq!(history.events[0].event.job_id.as_deref(), Some(id));
        assert_eq!(history.events[0].sequence(), message.sequence);
    }
}

pub async fn dangerous_types_are_one_token_and_read_back_unchanged(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    for name in IDS {
        own.log(Event::new(name).with_job_id("j")).await;
        own.log(Event::new(name)).await;
    }
    let stats = own.events.get_event_stats(None, None).await.unwrap();
    for (n, name) in IDS.into_iter().enumerate() {
        assert_eq!(stats.event_types.get(name), Some(&2), "{name:?}");
        let stored = &own.stored().await[2 * n..2 * n + 2];
        assert_eq!(stored[0].subject.split('.').count(), 3, "{name:?}");
        assert_eq!(stored[1].subject.split('.').count(), 2, "{name:?}");
        let analytics = own.events.get_event_analytics(name, None, None).await.unwrap();
        assert_eq!(analytics.measures.total_count, 2, "{name:?}");
    }
}

pub async fn the_longest_id_and_type_are_stored(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    // Each byte takes three in the subject.
    let (id, name) = (".".repeat(256), "*".repeat(64));
    own.log(Event::new(name.as_str()).with_job_id(id.as_str())).await;
    let history = own.events.get_event_history(&id, 1).await.unwrap();
    assert_eq!(history.events[0].event.event_type.as_str(), name);
}

pub async fn what_can_not_be_stored_is_refused_by_field_and_stops_nothing(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let wrong: Vec<(EventInput, &str)> = vec![
        (Event::job_paused("").into(), "job_id"),
        (Event::job_paused("x".repeat(257)).into(), "job_id"),
        (Event::job_paused("x".repeat(5_000)).into(), "job_id"),
        (Event::worker_idle("").into(), "worker_id"),
        (Event::schedule_paused("é".repeat(129)).into(), "schedule_id"),
        (Event::new("").into(), "type"),
        (Event::new("x".repeat(65)).into(), "type"),
        (Event::job_completed("j", -0.5, true).into(), "duration"),
        (Event::job_completed("j", f64::NAN, true).into(), "duration"),
        (Event::job_completed("j", f64::INFINITY, true).into(), "duration"),
        (Event::log("x").with_queue_wait(-1.0).into(), "queue_wait"),
        (Event::log("x").with_id("").into(), "id"),
        (Event::log("x").with_id("two\r\nlines").into(), "id"),
        (Event::log("x").with_field("deep", nested(64)).into(), "deep"),
        (Event::log("x").with_field("type", "other").into(), "type"),
        (json!([1, 2]).into(), "event"),
        (json!(5).into(), "event"),
        (json!({"job_id": "j"}).into(), "type"),
        (json!({"type": 5}).into(), "type"),
        (json!({"type": "log", "timestamp": "yesterday"}).into(), "timestamp"),
        (json!({"type": "log", "timestamp": "2026-13-01T00:00:00Z"}).into(), "timestamp"),
        (json!({"type": "log", "duration": "long"}).into(), "duration"),
        (EventInput::from_json(b"{\"type\""), "event"),
    ];
    let count = wrong.len();
    for (n, (input, field)) in wrong.into_iter().enumerate() {
        own.events.log_event(format!("neighbour {n}")).await.unwrap();
        invalid(own.events.log_event(input.clone()).await, field);
        invalid(own.events.log_event_acked(input.clone()).await, field);
        invalid(own.events.try_log_event(input), field);
    }
    assert!(own.events.flush(PATIENCE).await.unwrap().is_clean());
    let counters = own.events.counters();
    assert!(counters.is_balanced(), "{counters:?}");
    assert_eq!((counters.acked, counters.rejected), (count as u64, 3 * count as u64));
    assert_eq!(own.sequences().await.len(), count, "nothing of them was sent");
}

pub async fn too_large_is_refused_before_it_is_sent(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let max = own.js.server_info().max_payload as usize;
    let before = own.js.server_info().client_id;
    for size in [max, max + 1, 2 * max] {
        let large = Event::log("x".repeat(size));
        refused(own.events.log_event_acked(large).await, ErrorKind::TooLarge);
    }
    own.log(Event::log("behind them")).await;
    own.log(Event::log("x".repeat(max - 1_000))).await;
    assert_eq!(own.sequences().await, [1, 2]);
    assert_eq!(own.js.server_info().client_id, before, "the connection stayed");
}

pub async fn a_batch_has_a_result_for_each(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let batch: Vec<EventInput> = vec![
        Event::job_started("j", "w", "q").into(),
        json!({"no": "type"}).into(),
        "words".into(),
        Event::job_paused("").into(),
        json!({"type": "custom", "job_id": "j", "amount": 3}).into(),
    ];
    let results = own.events.batch_log_events(batch).await;
    assert_eq!(
        results.iter().map(Result::is_ok).collect::<Vec<_>>(),
        [true, false, true, false, true]
    );
    assert!(own.events.flush(PATIENCE).await.unwrap().is_clean());
    let mut reading = own.read(ReadEvents::default());
    assert_eq!(reading.event().await.event.event_type, "job_started");
    let words = reading.event().await.event;
    assert_eq!((words.event_type.as_str(), words.message.as_deref()), ("log", Some("words")));
    assert_eq!(reading.event().await.event.custom["amount"], 3);
}

pub async fn an_id_that_is_known_is_stored_once(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let event = Event::job_paused("j").with_id("mine");
    let first = own.events.log_event_acked(event.clone()).await.unwrap();
    own.log(Event::log("between")).await;
    let other = own.another().await;
    let again = other.log_event_acked(event).await.unwrap();
    assert_eq!((first.sequence, first.duplicate), (Some(1), false));
    assert_eq!((again.sequence, again.duplicate), (Some(1), true));
    assert_eq!(own.sequences().await, [1, 2]);
    assert_eq!(other.counters().duplicates, 1);
}

pub async fn each_job_keeps_its_order_whoever_else_logs(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let other = own.another().await;
    let mut tasks = Vec::new();
    for (n, events) in [&own.events, &other].into_iter().cycle().take(8).enumerate() {
        let events = Arc::clone(events);
        tasks.push(tokio::spawn(async move {
            for step in 0..100 {
                let job = format!("j{n}");
                events.log_job_progress(&job, &step.to_string()).await.unwrap();
            }
            events.flush(PATIENCE).await.unwrap()
        }));
    }
    for task in tasks {
        assert!(task.await.unwrap().is_clean());
    }
    for n in 0..8 {
        let history = own.events.get_event_history(&format!("j{n}"), 200).await.unwrap();
        let steps: Vec<_> =
            history.events.iter().map(|r| r.event.message.clone().unwrap()).collect();
        let expected: Vec<_> = (0..100).map(|step| step.to_string()).collect();
        assert!(steps.iter().map(|step| step.to_string()).eq(expected), "{steps:?}");
    }
}

pub async fn what_is_redacted_is_never_stored(js: Arc<dyn JetStream>) {
    let own = Own::with(js, |config| {
        config
            .with_redact_drop(vec!["card.number".to_owned()])
            .with_redact_mask(vec!["token".to_owned(), "error".to_owned()])
    })
    .await;
    let card = json!({"number": "4242-SECRET", "brand": "visa"});
    own.log(
        Event::job_failed("j", "SECRET refused", 1.0)
            .with_field("card", card)
            .with_field("token", "SECRET"),
    )
    .await;
    let stored = own.stored().await.remove(0);
    assert!(!String::from_utf8_lossy(&stored.payload).contains("SECRET"));
    let event = own.read(ReadEvents::default()).event().await.event;
    assert_eq!(
        (&event.custom["card"], &event.custom["token"]),
        (&json!({"brand": "visa"}), &json!("***"))
    );
    assert_eq!(event.error.as_deref(), Some("***"));
}

pub async fn unknown_types_and_fields_survive_the_way_round(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    let written = json!({
        "type": "order.placed", "timestamp": "2026-02-03T04:05:06.000007Z", "service": "shop",
        "service_version": "9", "job_id": "j", "id": "order-1",
        "order": {"lines": [1, 2.5, null, {"x": "\u{1f600}\u{0}"}]}, "big": 18_446_744_073_709_551_615_u64,
    });
    own.log(written.clone()).await;
    let recorded = own.read(ReadEvents::default()).event().await;
    let read: serde_json::Value = serde_json::from_slice(&recorded.payload).unwrap();
    assert_eq!(read, written);
    // What was read can be logged again.
    let again = own.another().await.log_event_acked(recorded.event).await.unwrap();
    assert!(again.duplicate);
}

pub async fn a_log_keeps_the_subjects_that_it_was_stored_with(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log(Event::job_paused("j")).await;
    let by_type = own.config.clone().with_subjects(SubjectLayout::Type);
    for mode in [StreamMode::Ensure, StreamMode::Verify] {
        let error = own.refused(by_type.clone().with_stream(mode)).await;
        assert!(error.is(ErrorKind::Conflict), "{error:?}");
        let both = "has naq.events.subjects=entity, wanted naq.events.subjects=type";
        assert_eq!(error.get("metadata"), Some(both));
        assert!(error.hint().unwrap().contains("`subjects`"), "{error:?}");
    }
    assert_eq!(own.info().await.config.metadata["naq.events.subjects"], "entity");
    // Who assumes has no right to look.
    own.with_config(by_type.with_stream(StreamMode::Assume)).await;
}

pub async fn a_log_that_does_not_say_its_subjects_is_taken_and_says_them_then(
    js: Arc<dyn JetStream>,
) {
    let own = Own::new(js).await;
    let mut unmarked = EventService::stream_config(&own.config).unwrap();
    unmarked.metadata.clear();
    own.js.delete_stream(&own.name).await.unwrap();
    own.js.create_stream(unmarked).await.unwrap();
    let says = async || own.info().await.config.metadata.get("naq.events.subjects").cloned();
    own.with_config(own.config.clone().with_stream(StreamMode::Verify)).await;
    assert_eq!(says().await, None, "what is verified isn't changed");
    own.another().await;
    assert_eq!(says().await.as_deref(), Some("entity"));
}
