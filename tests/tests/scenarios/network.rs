//! A network that loses answers, breaks in the middle, or stands still.

use std::time::Duration;

use naq_core::events::{EventQueryExt, EventSink, EventSinkExt};
use naq_core::jetstream::JetStream;
use naq_tests::proxy::{Direction, FaultProxy};
use naq_tests::server::NatsServer;
use naq_tests::{backend, wait};

use crate::{PATIENCE, Program, quick};

const JOBS: usize = 5;

/// Logs this many events of a few jobs, numbered on from `logged`.
async fn log(program: &Program, logged: &mut usize, count: usize) {
    for _ in 0..count {
        let job = format!("job-{}", *logged % JOBS);
        program.events.log_job_progress(&job, &(*logged / JOBS).to_string()).await.unwrap();
        *logged += 1;
    }
}

/// Each job has each of its events, in order, once.
async fn assert_all_once(program: &Program, js: &dyn JetStream, logged: usize) {
    let stored = js.stream_info("events").await.unwrap().state.messages;
    assert_eq!(stored, logged as u64);
    for job in 0..JOBS {
        let history = program.events.get_event_history(&format!("job-{job}"), 10_000).await;
        let history = history.unwrap();
        let numbers: Vec<usize> = history
            .events
            .iter()
            .map(|recorded| recorded.event.message.as_deref().unwrap().parse().unwrap())
            .collect();
        assert_eq!(numbers, (0..logged / JOBS).collect::<Vec<_>>(), "job-{job}");
    }
    let counters = program.events.counters();
    assert!(counters.is_balanced(), "{counters:?}");
    assert_eq!((counters.acked, counters.unknown), (logged as u64, 0), "{counters:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_acks_store_nothing_twice() {
    let server = NatsServer::start().await;
    let js = backend::connect(&server.url()).await;
    let proxy = FaultProxy::start(server.address()).await;
    let program = Program::on(&proxy.url()).await;
    let mut logged = 0;
    log(&program, &mut logged, 50).await;
    assert!(program.events.flush(PATIENCE).await.unwrap().is_clean());
    proxy.black_hole(Direction::ToClient);
    log(&program, &mut logged, 50).await;
    wait::until("some of it to be stored", PATIENCE, async || {
        js.stream_info("events").await.unwrap().state.messages > 50
    })
    .await;
    proxy.reset();
    proxy.heal();
    let report = program.events.flush(PATIENCE).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_all_once(&program, &*js, logged).await;
    // A batch's watermark doesn't tell that an event was there already.
    assert!(program.events.counters().retried > 0, "{:?}", program.events.counters());
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_anywhere_loses_tears_and_repeats_nothing() {
    let server = NatsServer::start().await;
    let js = backend::connect(&server.url()).await;
    let proxy = FaultProxy::start(server.address()).await;
    let program = Program::on(&proxy.url()).await;
    let mut logged = 0;
    // Inside a protocol line, a header, a payload; between messages; far on.
    for (n, bytes) in [0, 1, 7, 50, 130, 333, 600, 2_001, 5_000, 9_999].into_iter().enumerate() {
        let way = if n % 3 == 2 { Direction::ToClient } else { Direction::ToServer };
        proxy.cut_after(way, bytes);
        log(&program, &mut logged, 50).await;
        let report = program.events.flush(PATIENCE).await.unwrap();
        assert!(report.is_clean(), "{bytes} {way:?}: {report:?}");
    }
    assert!(proxy.accepted() > 5, "only {} connections", proxy.accepted());
    // Few bytes come back for a batch: a cut that is left would break a question's answer.
    proxy.call_off_cuts();
    assert_all_once(&program, &*js, logged).await;
    assert_eq!(program.events.get_event_stats(None, None).await.unwrap().malformed, 0);
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_and_goes_on_repeats_nothing() {
    let server = NatsServer::start().await;
    let js = backend::connect(&server.url()).await;
    let mut config = quick(&server.url());
    config.connection = config.connection.with_ack_timeout(Duration::from_millis(300));
    let program = Program::start(config).await.unwrap();
    let mut logged = 0;
    log(&program, &mut logged, 50).await;
    server.pause().await;
    log(&program, &mut logged, 50).await;
    wait::until("a publish to be tried again", PATIENCE, async || {
        program.events.counters().retried > 0
    })
    .await;
    server.resume();
    let report = program.events.flush(PATIENCE).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_all_once(&program, &*js, logged).await;
    program.stop().await;
}
