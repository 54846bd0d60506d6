//! Several programs on one log, and programs that don't know naq.

use std::sync::Arc;

use async_nats::jetstream;
use futures::StreamExt;
use naq_core::events::{
    EntityKind, Event, EventItem, EventLog, EventQuery, EventQueryExt, EventSink, EventSinkExt,
    ReadEvents,
};
use naq_services::ServiceManager;
use naq_tests::server::NatsServer;
use naq_tests::wait;
use serde_json::{Value, json};

use crate::{PATIENCE, Program, quick};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_log_into_one_stream_and_each_reads_both() {
    let server = NatsServer::start().await;
    let programs = [Program::on(&server.url()).await, Program::on(&server.url()).await];
    let logging = programs.iter().enumerate().map(async |(p, program)| {
        for n in 0..100 {
            program.events.log_job_progress(&format!("p{p}"), &n.to_string()).await.unwrap();
            program.events.log_job_progress("both", &format!("{p} {n}")).await.unwrap();
        }
        assert!(program.events.flush(PATIENCE).await.unwrap().is_clean());
    });
    futures::future::join_all(logging).await;
    for program in &programs {
        let stats = program.events.get_event_stats(None, None).await.unwrap();
        assert_eq!(stats.total_events, 400);
        let both = program.events.get_event_history("both", 1_000).await.unwrap();
        assert_eq!(both.events.len(), 200);
        // Order holds within each program.
        for p in 0..2 {
            let prefix = format!("{p} ");
            let messages = both.events.iter().filter_map(|r| r.event.message.as_deref());
            let own: Vec<&str> = messages.filter_map(|m| m.strip_prefix(&prefix)).collect();
            let expected: Vec<String> = (0..100).map(|n| n.to_string()).collect();
            assert_eq!(own, expected);
        }
    }
    // One goes on where the other was.
    let mut reading = programs[0].events.read_events(ReadEvents::default().with_limit(150));
    let mut last = None;
    while let Some(item) = reading.next().await {
        last = item.unwrap().event().map(|recorded| recorded.position).or(last);
    }
    let rest = programs[1].events.read_events(ReadEvents::default().after(last.unwrap()));
    let rest = rest.filter(|i| futures::future::ready(i.as_ref().unwrap().event().is_some()));
    assert_eq!(rest.count().await, 250);
    for program in programs {
        program.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_client_reads_what_naq_wrote() {
    let server = NatsServer::start().await;
    let program = Program::on(&server.url()).await;
    let amount = Event::job_completed("a.b", 0.25, true).with_queue("q").with_field("amount", 3);
    let receipt = program.events.log_event_acked(amount).await.unwrap();
    program.events.log_event_acked("hello").await.unwrap();

    let context = jetstream::new(server.client().await);
    let mut stream = context.get_stream("events").await.unwrap();
    let config = &stream.info().await.unwrap().config;
    assert_eq!(config.subjects, ["events.>"]);
    assert_eq!((config.max_messages, config.max_bytes), (1_000_000, 1 << 30));
    let consumer = stream
        .create_consumer(jetstream::consumer::pull::OrderedConfig {
            filter_subject: "events.job_completed.a=2Eb".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap();
    let mut messages = consumer.messages().await.unwrap();
    let message = wait::within("a message", PATIENCE, messages.next()).await.unwrap().unwrap();
    let headers = message.headers.as_ref().unwrap();
    assert_eq!(headers.get("Nats-Msg-Id").unwrap().as_str(), receipt.id.to_string());
    let event: Value = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(event["type"], "job_completed");
    assert_eq!(event["job_id"], "a.b");
    assert_eq!((&event["duration"], &event["success"]), (&json!(0.25), &json!(true)));
    assert_eq!((&event["queue"], &event["amount"]), (&json!("q"), &json!(3)));
    assert_eq!((&event["service"], &event["id"]), (&json!("naq"), &json!(receipt.id.to_string())));
    let stamp = event["timestamp"].as_str().unwrap();
    assert!(stamp.len() == 27 && stamp.ends_with('Z'), "{stamp}");
    let second = stream.get_raw_message(2).await.unwrap();
    assert_eq!(second.subject.as_str(), "events.log");
    let event: Value = serde_json::from_slice(&second.payload).unwrap();
    assert_eq!((&event["type"], &event["message"]), (&json!("log"), &json!("hello")));
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_client_wrote_is_read_and_what_is_no_event_is_counted() {
    let server = NatsServer::start().await;
    let program = Program::on(&server.url()).await;
    let context = jetstream::new(server.client().await);
    let started = json!({"type": "job_started", "job_id": "j", "worker_id": "w", "own": [1, null]});
    for (subject, payload) in [
        ("events.job_started.j", started.to_string()),
        ("events.job_failed.j", "{\"type\":\"job_failed\",\"job_id\":\"j\",".to_owned()),
        ("events.job_failed.j", r#"{"type":"job_failed","job_id":"j","duration":1}"#.to_owned()),
        ("events", "not of the log".to_owned()),
    ] {
        let ack = context.publish(subject, payload.into()).await.unwrap().await;
        assert_eq!(ack.is_ok(), subject != "events", "{subject}");
    }
    let history = program.events.get_event_history("j", 10).await.unwrap();
    assert_eq!((history.events.len(), history.summary.malformed), (2, 1));
    assert_eq!(history.events[0].event.custom["own"], json!([1, null]));
    let stats = program.events.get_event_stats(None, None).await.unwrap();
    assert_eq!((stats.total_events, stats.malformed), (2, 1));
    let items: Vec<_> = program.events.read_events(ReadEvents::default()).collect().await;
    assert!(matches!(items[1], Ok(EventItem::Malformed(_))), "{items:?}");
    program.stop().await;
}

/// The main job, as the README has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_logs_and_asks_through_the_ports_alone() {
    let server = NatsServer::start().await;
    for url in [server.url().as_str(), "memory://"] {
        let config = quick(url);
        let builder = ServiceManager::builder().config(config);
        let services = builder.register::<naq_events::EventService>().start().await.unwrap();
        let events: Arc<dyn EventLog> = services.get::<dyn EventLog>().unwrap();
        let sink: Arc<dyn EventSink> = services.get::<dyn EventSink>().unwrap();
        sink.log_worker_started("worker-1", "emails").await.unwrap();
        sink.log_job_started("job-1", "worker-1", "emails").await.unwrap();
        sink.log_job_completed("job-1", 0.25, true).await.unwrap();
        let history = events.get_event_history("job-1", 100).await.unwrap();
        assert_eq!(history.events.len(), 2);
        let worker = events.get_entity_history(EntityKind::Worker, "worker-1").await.unwrap();
        assert_eq!(worker.events.len(), 1);
        let report = services.stop().await.unwrap();
        assert!(report.is_clean(), "{report:?}");
    }
}
