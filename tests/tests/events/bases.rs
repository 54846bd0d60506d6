//! What an answer says of itself is so.

use std::sync::Arc;
use std::time::Duration;

use naq_core::Timestamp;
use naq_core::clock::{Clock, ManualClock};
use naq_core::config::{EventsConfig, KeeperMode};
use naq_core::connection::SingleJetStream;
use naq_core::events::{
    AnalyticsRequest, AnswerBasis, Bucket, Event, EventQuery, EventQueryExt, Filter, GroupBy,
    MadeFrom, QueryRequest, StatsRequest, TopErrorsRequest,
};
use naq_core::jetstream::{JetStream, PublishMessage, PurgeKeep, PurgeOptions};
use naq_core::service::Service;
use naq_events::EventService;
use naq_kv::KvStoreService;
use naq_streams::StreamService;
use naq_tests::behaviours::block_on;
use naq_tests::own_log::{Keeps, OwnLog};
use naq_tests::server::shared;
use naq_tests::{backend, names};

#[test]
fn an_answer_says_how_old_it_is_and_what_is_behind_it_in_memory() {
    block_on(says(super::memory()));
}

#[test]
fn an_answer_says_how_old_it_is_and_what_is_behind_it_on_a_server() {
    block_on(async { says(backend::connect(&shared().await.url()).await).await });
}

/// A service with digests on a log of its own, and the log's name.
async fn service(js: &Arc<dyn JetStream>, clock: ManualClock) -> (EventService, String) {
    let name = names::unique("bases");
    let config = EventsConfig::default()
        .with_stream_name(name.as_str())
        .with_subject_root(name.as_str())
        .with_keeper(KeeperMode::Off);
    let connections = || SingleJetStream::provider(Arc::clone(js));
    let streams = Arc::new(StreamService::new(connections()));
    let service = EventService::new(connections(), streams, Arc::new(clock), config).unwrap();
    let service = service.with_digests(Arc::new(KvStoreService::new(connections())));
    service.start().await.unwrap();
    (service, name)
}

async fn says(js: Arc<dyn JetStream>) {
    let clock = ManualClock::new();
    let (service, name) = service(&js, clock.clone()).await;
    let basis = stats(&service, "").await;
    assert_eq!((basis.made_from, basis.as_of), (MadeFrom::Digests, Some(clock.now())));
    let none = (basis.through, basis.newest_stored, basis.first_sequence, basis.oldest_stored);
    assert_eq!(none, (0, None, 0, None));

    let store = async |kind: &str, id: u8| {
        let payload = format!(r#"{{"type":"{kind}","id":"{id}"}}"#);
        js.publish(PublishMessage::new(format!("{name}.{kind}"), payload)).await.unwrap();
    };
    for n in 0..9 {
        store(if n % 3 == 0 { "job_failed" } else { "log" }, n).await;
    }
    for _ in 0..3 {
        store("log", 9).await;
    }
    clock.advance(Duration::from_secs(5));
    let info = js.stream_info(&name).await.unwrap();
    let basis = stats(&service, "").await;
    assert_eq!((basis.made_from, basis.as_of), (MadeFrom::Digests, Some(clock.now())));
    assert_eq!((basis.through, basis.newest_stored), (12, info.state.last_time));
    assert_eq!((basis.first_sequence, basis.oldest_stored), (1, info.state.first_time));
    assert_eq!((basis.removed, basis.duplicates), (0, Some(2)));
    clock.advance(Duration::from_secs(2));
    assert_eq!(basis.age(clock.now()), Some(Duration::from_secs(2)));

    // Read, it shows which were stored before.
    let basis = stats(&service, "not duration > 1s").await;
    assert_eq!((basis.made_from, basis.duplicates), (MadeFrom::Log, Some(2)));

    // The events of a type go from the midst, and the oldest from the front.
    let failed = PurgeOptions::default().with_subject(format!("{name}.job_failed"));
    js.purge_stream(&name, failed).await.unwrap();
    let keep = PurgeOptions::default().with_keep(PurgeKeep::FromSequence(4));
    js.purge_stream(&name, keep).await.unwrap();
    let info = js.stream_info(&name).await.unwrap();
    let basis = stats(&service, "").await;
    assert_eq!((basis.first_sequence, basis.oldest_stored), (5, info.state.first_time));
    // Of those at 1, 4 and 7 one lay behind what is the oldest now.
    assert_eq!((basis.removed, basis.holes), (1, 0), "{basis:?}");
}

async fn stats(service: &EventService, filter: &str) -> AnswerBasis {
    let mut request = StatsRequest::default();
    if !filter.is_empty() {
        request.filter = Filter::parse(filter).unwrap();
    }
    service.stats(request).await.unwrap().basis
}

#[test]
fn events_that_are_stored_repeatedly_are_counted_in_memory() {
    block_on(counts_repeats(super::memory()));
}

#[test]
fn events_that_are_stored_repeatedly_are_counted_on_a_server() {
    block_on(async { counts_repeats(backend::connect(&shared().await.url()).await).await });
}

async fn counts_repeats(js: Arc<dyn JetStream>) {
    let own = OwnLog::new(js, "repeats");
    let (reading, digesting) =
        (own.service(Keeps::Nothing).await, own.service(Keeps::Digests).await);
    let at = |second: i64| Timestamp::from_nanos(second * 1_000_000_000);
    let payload = |second: i64, mut event: Event, id: Option<&str>| {
        event.id = id.map(Into::into);
        serde_json::to_vec(&event.with_timestamp(at(second))).unwrap()
    };
    let failed = |job: &str| Event::job_failed(job, "disk is full", 1.0).with_queue("bulk");
    let done = |job: &str| Event::job_completed(job, 2.0, true).with_queue("mail");
    let mut events = vec![
        ("job_failed", payload(10, failed("a"), Some("a"))),
        ("job_failed", payload(80, failed("b"), Some("b"))),
        ("job_completed", payload(85, done("c"), Some("c"))),
        ("job_completed", payload(90, done("d"), None)),
    ];
    // Twice once more; without an id they are events of their own.
    events.extend([events[0].clone(), events[1].clone(), events[1].clone(), events[3].clone()]);
    own.store(events).await;

    let filter =
        |text: &str| if text.is_empty() { Filter::new() } else { Filter::parse(text).unwrap() };
    for (text, start, end, expected) in [
        ("", None, None, 3),
        ("", Some(at(60)), None, 2),
        ("", None, Some(at(59)), 1),
        // Within a minute, where all of an event's occurrences are in the range or none.
        ("", Some(at(70)), Some(at(82)), 2),
        ("type = job_completed", None, None, 0),
        ("queue = bulk", None, None, 3),
    ] {
        // What was read at first is in a digest then.
        for service in [&reading, &digesting, &digesting] {
            let told = format!("{text:?} {start:?} {end:?}");
            let stats = StatsRequest::default().with_filter(filter(text)).with_range(start, end);
            let query = QueryRequest::new(filter(text)).with_range(start, end);
            let query = query.with_group_by([GroupBy::Queue]).with_bucket(Bucket::Minute);
            let failed = AnalyticsRequest::new("job_failed").with_filter(filter(text));
            let found = [
                service.stats(stats).await.unwrap().basis.duplicates,
                service.query(query).await.unwrap().basis.duplicates,
                // Those that failed alone are stored repeatedly.
                service.analytics(failed.with_range(start, end)).await.unwrap().basis.duplicates,
            ];
            assert_eq!(found, [Some(expected); 3], "{told}");
            if text.is_empty() && end.is_none() {
                let errors = TopErrorsRequest::default().with_range(start, end);
                let answer = service.top_errors(errors).await.unwrap();
                assert_eq!(answer.basis.duplicates, Some(expected), "{told}");
            }
        }
    }
}

#[test]
fn of_questions_at_once_one_reads_what_came() {
    block_on(async {
        let js = super::memory();
        let (service, name) = service(&js, ManualClock::new()).await;
        for (came, all) in [(400, 400), (300, 700)] {
            for _ in 0..came {
                let message = PublishMessage::new(format!("{name}.log"), r#"{"type":"log"}"#);
                js.publish(message).await.unwrap();
            }
            let asked = (0..8).map(|_| service.get_event_stats(None, None));
            let answers = futures::future::try_join_all(asked).await.unwrap();
            assert!(answers.iter().all(|stats| stats.total_events == all));
            assert_eq!(answers.iter().map(|stats| stats.basis.read).sum::<u64>(), came);
        }
    });
}
