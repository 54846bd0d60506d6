//! Logging into a JetStream in memory: what is stored, through its faults too.

// Helpers of tests are tests, wherever they stand.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use naq_core::config::OverflowPolicy;
use naq_core::connection::SingleJetStream;
use naq_core::jetstream::{JetStream, JetStreamExt, ReadOptions, StoredMessage};
use naq_core::token;
use naq_events::prelude::*;
use naq_memory::MemoryJetStream;
use naq_streams::StreamService;

const SECOND: Duration = Duration::from_secs(1);

fn service_on(jetstream: &MemoryJetStream, config: EventsConfig) -> Arc<EventService> {
    let connections = SingleJetStream::provider(Arc::new(jetstream.clone()));
    let streams = Arc::new(StreamService::new(Arc::clone(&connections)));
    let clock = Arc::new(SystemClock::new());
    Arc::new(EventService::new(connections, streams, clock, config).unwrap())
}

/// Tries that follow each other so fast that no test waits for them.
fn quick() -> EventsConfig {
    EventsConfig::default()
        .with_retry_backoff_min(Duration::from_millis(5))
        .with_retry_backoff_max(Duration::from_millis(20))
}

async fn started(config: EventsConfig) -> (Arc<EventService>, MemoryJetStream) {
    let jetstream = MemoryJetStream::new();
    let service = service_on(&jetstream, config);
    service.start().await.unwrap();
    (service, jetstream)
}

async fn stored(jetstream: &MemoryJetStream) -> Vec<StoredMessage> {
    jetstream.read_to_head("events", ReadOptions::default()).await.unwrap()
}

#[tokio::test]
async fn what_a_program_logged_it_finds_at_once() {
    let (service, _jetstream) = started(EventsConfig::default()).await;
    for job in ["a", "b"] {
        service.log_job_started(job, "w", "emails").await.unwrap();
        service.log_job_completed(job, 0.25, true).await.unwrap();
        assert_eq!(service.get_event_history(job, 10).await.unwrap().events.len(), 2);
    }
}

#[tokio::test]
async fn an_event_is_stored_with_its_id_its_stamps_and_under_its_subject() {
    let (service, jetstream) =
        started(EventsConfig::default().with_service_name("billing").with_service_version("7.1"))
            .await;
    let receipt = service.log_event_acked(Event::job_started("j.1", "w", "q")).await.unwrap();
    let messages = stored(&jetstream).await;
    assert_eq!((receipt.sequence, receipt.duplicate), (Some(1), false));
    assert_eq!(messages[0].subject, "events.job_started.j=2E1");
    assert_eq!(messages[0].headers.get("Nats-Msg-Id"), Some(receipt.id.to_string().as_str()));
    let event: serde_json::Value = serde_json::from_slice(&messages[0].payload).unwrap();
    assert_eq!(event["service"], "billing");
    assert_eq!(event["service_version"], "7.1");
    assert!(event["timestamp"].as_str().is_some_and(|stamp| stamp.ends_with('Z')));
}

#[tokio::test]
async fn dangerous_ids_are_stored_under_one_token_and_read_back_unchanged() {
    let (service, jetstream) = started(EventsConfig::default()).await;
    let ids =
        [".", "a.b", "*", ">", "a..b", " ", "x\r\nPUB x 1", "\0", "\u{1f600}", "$JS.API.x", "="];
    for id in ids {
        service.log_event_acked(Event::job_paused(id)).await.unwrap();
    }
    for (message, id) in stored(&jetstream).await.iter().zip(ids) {
        let tokens: Vec<_> = message.subject.split('.').collect();
        assert_eq!(tokens.len(), 3, "{}", message.subject);
        assert_eq!(token::decode(tokens[2]).unwrap(), id);
        let history = service.get_event_history(id, 10).await.unwrap();
        assert_eq!(history.events.len(), 1, "{id:?}");
        assert_eq!(history.events[0].event.job_id.as_deref(), Some(id));
    }
}

#[tokio::test]
async fn a_lost_ack_is_settled_by_the_message_id() {
    let (service, jetstream) = started(EventsConfig::default()).await;
    jetstream.faults().lose_acks(1);
    let receipt = service.log_event_acked("hello").await.unwrap();
    assert_eq!((receipt.sequence, receipt.duplicate), (Some(1), true));
    assert_eq!(stored(&jetstream).await.len(), 1);
    let counters = service.counters();
    assert_eq!((counters.acked, counters.duplicates, counters.retried), (1, 1, 1));
}

#[tokio::test]
async fn an_outage_delays_events_and_neither_loses_repeats_nor_reorders_them() {
    let (service, jetstream) = started(quick()).await;
    for round in 0..3 {
        jetstream.faults().disconnect();
        for number in 0..40 {
            let message = format!("{}", round * 40 + number);
            service.log_job_progress(&(number % 4).to_string(), &message).await.unwrap();
        }
        let early = service.flush(Duration::from_millis(20)).await.unwrap();
        assert_eq!((early.acked, early.pending), (0, 40));
        jetstream.faults().reconnect();
        jetstream.faults().lose_acks(3);
        assert!(service.flush(10 * SECOND).await.unwrap().is_clean());
    }
    assert_eq!(stored(&jetstream).await.len(), 120);
    for job in 0..4 {
        let history = service.get_event_history(&job.to_string(), 100).await.unwrap();
        let messages: Vec<u32> = history
            .events
            .iter()
            .filter_map(|recorded| recorded.event.message.as_deref()?.parse().ok())
            .collect();
        let expected: Vec<u32> = (0..120).filter(|number| number % 40 % 4 == job).collect();
        assert_eq!(messages, expected);
    }
    assert!(service.counters().is_balanced());
}

#[tokio::test]
async fn a_full_stream_that_refuses_ends_typed_and_neighbours_flow_when_there_is_room() {
    // Longer than a full stream is left alone: the event of the loss is tried between.
    let config = quick().with_delivery_timeout(Duration::from_secs(1));
    let (service, jetstream) = started(config).await;
    jetstream.faults().fail_publishes(1_000_000, ErrorKind::LimitReached);
    let error = service.log_event_acked("refused").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitReached);
    jetstream.faults().fail_publishes(0, ErrorKind::LimitReached);
    service.log_event_acked("taken").await.unwrap();
    service.stop(5 * SECOND).await.unwrap();
    let mut types: Vec<_> = stored(&jetstream)
        .await
        .iter()
        .map(|message| serde_json::from_slice::<serde_json::Value>(&message.payload).unwrap())
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect();
    types.sort();
    assert_eq!(types, ["events_lost", "log"]);
}

#[tokio::test]
async fn a_stream_deleted_under_the_service_is_told_and_not_made_anew() {
    let config = quick().with_delivery_timeout(Duration::from_millis(200));
    let (service, jetstream) = started(config).await;
    service.log_event_acked("before").await.unwrap();
    jetstream.delete_stream("events").await.unwrap();
    let error = service.log_event_acked("into nothing").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(jetstream.find_stream("events").await.unwrap(), None);
}

#[tokio::test]
async fn two_services_can_share_a_stream_and_the_second_changes_nothing() {
    let (first, jetstream) = started(EventsConfig::default()).await;
    let created = jetstream.stream_info("events").await.unwrap().created;
    let second = service_on(&jetstream, EventsConfig::default());
    second.start().await.unwrap();
    first.log_event_acked("one").await.unwrap();
    second.log_event_acked("two").await.unwrap();
    let info = jetstream.stream_info("events").await.unwrap();
    assert_eq!((info.created, info.state.messages), (created, 2));
}

#[tokio::test]
async fn the_same_id_is_stored_once() {
    let (service, jetstream) = started(EventsConfig::default()).await;
    let event = Event::log("x").with_id("order-7");
    let first = service.log_event_acked(&event).await.unwrap();
    let second = service.log_event_acked(&event).await.unwrap();
    assert_eq!((first.sequence, second.sequence, second.duplicate), (Some(1), Some(1), true));
    assert_eq!(stored(&jetstream).await.len(), 1);
}

#[tokio::test]
async fn the_subject_by_type_leaves_the_entity_out_and_keeps_its_order() {
    let config = EventsConfig::default().with_subjects(naq_core::config::SubjectLayout::Type);
    let (service, jetstream) = started(config).await;
    for number in 0..20 {
        service.log_job_progress("j", &number.to_string()).await.unwrap();
    }
    assert!(service.flush(5 * SECOND).await.unwrap().is_clean());
    let messages = stored(&jetstream).await;
    for (number, message) in messages.iter().enumerate() {
        assert_eq!(message.subject, "events.job_progress");
        let event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(event["message"], number.to_string());
    }
    assert_eq!(messages.len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_log_through_a_small_buffer_and_all_is_stored_in_each_one_s_order() {
    let config = EventsConfig::default()
        .with_buffer_max_events(50_usize)
        .with_overflow(OverflowPolicy::Wait);
    let (service, jetstream) = started(config).await;
    let tasks: Vec<_> = (0..8)
        .map(|task: u32| {
            let service = Arc::clone(&service);
            tokio::spawn(async move {
                let job = format!("job-{task}");
                for number in 0..200_u32 {
                    service.log_job_progress(&job, &number.to_string()).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(service.stop(10 * SECOND).await.unwrap().is_clean());
    let mut next = [0_u32; 8];
    for message in stored(&jetstream).await {
        let event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        let task: usize = event["job_id"].as_str().unwrap()[4..].parse().unwrap();
        assert_eq!(event["message"], next[task].to_string());
        next[task] += 1;
    }
    assert_eq!(next, [200; 8]);
}
