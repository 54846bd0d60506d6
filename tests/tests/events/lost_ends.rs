//! A server that has lost its end and went on: what was kept of the messages
//! that are gone is not taken for what is kept of those that are there.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use naq_core::ErrorKind;
use naq_core::clock::SystemClock;
use naq_core::config::{EventsConfig, KeeperMode};
use naq_core::connection::SingleJetStream;
use naq_core::events::{
    Event, EventItem, EventQuery, EventSink, Filter, GroupBy, Measure, QueryRequest, QueryRow,
    ReadEvents, ReadStart, ReadUntil, RecordedEvent,
};
use naq_core::jetstream::JetStream;
use naq_core::service::Service;
use naq_events::EventService;
use naq_events::cursors::CursorService;
use naq_kv::KvStoreService;
use naq_streams::StreamService;
use naq_tests::behaviours::block_on;
use naq_tests::server::NatsServer;
use naq_tests::{backend, wait};

const DEADLINE: Duration = Duration::from_secs(120);

/// A way to the server, which comes back when the server does.
async fn connected(server: &NatsServer) -> Arc<dyn JetStream> {
    backend::connect(&server.url()).await
}

async fn service(js: &Arc<dyn JetStream>, keeps: bool) -> EventService {
    let connections = SingleJetStream::provider(Arc::clone(js));
    let kv = Arc::new(KvStoreService::new(Arc::clone(&connections)));
    let streams = Arc::new(StreamService::new(Arc::clone(&connections)));
    let config = EventsConfig::default().with_keeper(KeeperMode::Off);
    let service = EventService::new(connections, streams, Arc::new(SystemClock::new()), config);
    let service = service.unwrap();
    let service = if keeps { service.with_digests(kv.clone()).with_indexes(kv) } else { service };
    service.start().await.unwrap();
    service
}

fn cursors(js: &Arc<dyn JetStream>) -> CursorService {
    let connections = SingleJetStream::provider(Arc::clone(js));
    let kv = Arc::new(KvStoreService::new(Arc::clone(&connections)));
    let clock = Arc::new(SystemClock::new());
    CursorService::new(connections, kv, clock, EventsConfig::default()).unwrap()
}

/// Logs events of a queue, as soon as the server takes them.
async fn log(service: &EventService, queue: &str, count: u64) {
    for n in 0..count {
        let event = Event::job_started(format!("{queue}-{n}"), "w", queue);
        service.log(event.into()).await.unwrap();
    }
    let report = service.flush(DEADLINE).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
}

/// Has all of the log in the store's digests and in the index.
async fn keep(service: &EventService) {
    // With no ages there is nothing to remove, and all is digested.
    service.apply_retention(Duration::ZERO).try_collect::<Vec<_>>().await.unwrap();
    service.build_event_index("queues").try_collect::<Vec<_>>().await.unwrap();
}

/// The queues' counts, and the sequences of the events of two of them.
async fn answers(service: &EventService) -> (Vec<(String, f64)>, Vec<u64>) {
    let ask = QueryRequest::new(Filter::default())
        .with_group_by([GroupBy::Queue])
        .with_measures([Measure::Count]);
    let answer = service.query(ask).await.unwrap();
    assert_eq!(answer.basis.holes, 0);
    let count = |row: &QueryRow| (row.group[0].clone().unwrap(), row.values[0].unwrap());
    let mut counts: Vec<_> = answer.rows.iter().map(count).collect();
    counts.sort_by(|a, b| a.0.cmp(&b.0));
    let options = ReadEvents::default()
        .with_filter(Filter::parse("queue in (early, late)").unwrap())
        .with_until(ReadUntil::Head);
    let sequence = async |item| match item {
        EventItem::Event(recorded) => Ok(Some(recorded.sequence())),
        _ => Ok(None),
    };
    let named = service.read_events(options).try_filter_map(sequence).try_collect().await;
    (counts, named.unwrap())
}

/// The event of a sequence.
async fn event(service: &EventService, sequence: u64) -> RecordedEvent {
    let options = ReadEvents::default().with_start(ReadStart::Sequence(sequence)).with_limit(1);
    let mut items = service.read_events(options.with_until(ReadUntil::Head));
    loop {
        if let EventItem::Event(recorded) = items.try_next().await.unwrap().unwrap() {
            return *recorded;
        }
    }
}

fn folder(server: &NatsServer) -> PathBuf {
    server.store().join("jetstream/$G/streams/events")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Loses the log's end, and goes on with other events; who had the lost ones
/// in memory asks before those who ask the store, or behind them.
async fn goes_on(memory_first: bool) {
    let mut server = NatsServer::start().await;
    let js = connected(&server).await;
    let long_lived = service(&js, true).await;
    log(&long_lived, "early", 700).await;
    server.stop().await;
    let earlier = tempfile::tempdir().unwrap();
    copy(&folder(&server), earlier.path());
    server.restart().await;
    log(&long_lived, "lost", 500).await;
    long_lived.create_event_index("queues", &["queue"]).await.unwrap();
    keep(&long_lived).await;
    let cursors = cursors(&js);
    for (name, sequence) in [("early", 700), ("lost", 1_000)] {
        let mut cursor = cursors.open(name).await.unwrap();
        cursor.save(&event(&long_lived, sequence).await).await.unwrap();
        assert_eq!(cursors.show(name).await.unwrap().lag, Some(1_200 - sequence));
    }
    let (counts, _) = answers(&long_lived).await;
    let count = |queue: &str, count: f64| (queue.to_owned(), count);
    assert_eq!(counts, [count("early", 700.0), count("lost", 500.0)]);
    assert_eq!(long_lived.discarded_after_loss(), 0, "a server that only began anew loses nothing");

    server.stop().await;
    std::fs::remove_dir_all(folder(&server)).unwrap();
    copy(earlier.path(), &folder(&server));
    server.restart().await;
    let other = connected(&server).await;
    let reading = service(&other, false).await;
    log(&reading, "late", 900).await;

    wait::until("the connection to come back", DEADLINE, async || {
        js.stream_info("events").await.is_ok()
    })
    .await;
    let lags = cursors.list().await.unwrap();
    let lags: Vec<_> = lags.iter().map(|it| (it.cursor.as_str(), it.lag)).collect();
    assert_eq!(lags, [("early", Some(900)), ("lost", None)]);
    cursors.open("early").await.unwrap();
    let error = cursors.open("lost").await.unwrap_err();
    assert!(error.is(ErrorKind::Conflict), "{error}");

    let fresh = service(&other, true).await;
    let expected = answers(&reading).await;
    assert_eq!(expected.0, [count("early", 700.0), count("late", 900.0)]);
    assert_eq!(expected.1, (1..=1_600).collect::<Vec<_>>());
    let asking = if memory_first { [&long_lived, &fresh] } else { [&fresh, &long_lived] };
    for service in asking {
        assert_eq!(answers(service).await, expected);
    }
    assert!(asking[0].discarded_after_loss() > 0);
    // What is kept from then on is kept for all.
    keep(asking[1]).await;
    let next = service(&other, true).await;
    assert_eq!(answers(&next).await, expected);
    assert_eq!(next.discarded_after_loss(), 0);
}

#[test]
fn what_was_kept_of_a_lost_end_is_made_anew_by_who_had_it_in_memory() {
    block_on(wait::within("the log", DEADLINE, goes_on(true)));
}

#[test]
fn what_was_kept_of_a_lost_end_is_made_anew_by_who_finds_it_in_the_store() {
    block_on(wait::within("the log", DEADLINE, goes_on(false)));
}
