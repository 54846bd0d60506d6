//! What a question is said to cost is what it costs.

use std::sync::Arc;

use naq_core::events::{
    Bucket, Event, EventQuery, EventSink, ExplainWarning, Filter, GroupBy, QueryExplanation,
    QueryRequest, ReadEvents, ReadUntil, ScanLimits, WhyRead,
};
use naq_core::jetstream::JetStream;
use naq_core::{ErrorKind, Timestamp};
use naq_events::EventService;
use naq_tests::backend;
use naq_tests::behaviours::block_on;
use naq_tests::own_log::{Keeps, OwnLog};
use naq_tests::server::shared;

const EVENTS: u64 = 1_200;

#[test]
fn a_question_costs_what_was_said_before_in_memory() {
    block_on(costs_what_was_said(super::memory()));
}

#[test]
fn a_question_costs_what_was_said_before_on_a_server() {
    block_on(async {
        costs_what_was_said(backend::connect(&shared().await.url()).await).await;
    });
}

#[test]
fn a_long_reading_that_an_index_would_shorten_says_so_in_memory() {
    block_on(says_what_would_help(super::memory()));
}

#[test]
fn a_long_reading_that_an_index_would_shorten_says_so_on_a_server() {
    block_on(async {
        says_what_would_help(backend::connect(&shared().await.url()).await).await;
    });
}

#[test]
fn of_several_indexes_the_one_that_names_the_fewest_is_gone_by_in_memory() {
    block_on(goes_by_the_best(super::memory()));
}

#[test]
fn of_several_indexes_the_one_that_names_the_fewest_is_gone_by_on_a_server() {
    block_on(async { goes_by_the_best(backend::connect(&shared().await.url()).await).await });
}

/// Whatever the order in which they were made.
async fn goes_by_the_best(js: Arc<dyn JetStream>) {
    let own = OwnLog::new(js, "explained");
    let events = own.service(Keeps::Indexes).await;
    for n in 0..300 {
        let mut event = Event::job_failed(format!("j{n}"), "refused", 0.5)
            .with_queue(format!("queue-{}", n % 2))
            .with_worker_id(format!("w{}", n % 100));
        event.error_type = Some(if n % 50 == 0 { "Rare" } else { "Usual" }.into());
        events.log(event.into()).await.unwrap();
    }
    for (name, fields) in [("b", &["error_type"]), ("a", &["queue"]), ("c", &["worker_id"])] {
        events.create_event_index(name, fields).await.unwrap();
        super::indexes::build(&events, name).await;
    }
    for (filter, index, named) in [
        ("queue = queue-0 and error_type = Rare", "b", 6),
        ("queue = queue-0 and error_type = Usual", "a", 150),
        ("error_type = Rare and worker_id = w7", "c", 3),
        ("error_type = Usual and worker_id in (w7, w8)", "c", 6),
        // Whatever range is asked about.
        ("queue = queue-0 and error_type = Usual and timestamp < 2001-01-01", "a", 0),
    ] {
        let reading = ReadEvents::default().with_filter(Filter::parse(filter).unwrap());
        let reading = reading.with_until(ReadUntil::Head);
        let explained = events.explain(reading).await.unwrap().index.unwrap();
        assert_eq!((&*explained.name, explained.named), (index, Some(named)), "{filter}");
    }
}

async fn says_what_would_help(js: Arc<dyn JetStream>) {
    let own = OwnLog::new(js, "explained");
    let (events, alone) = (own.service(Keeps::Indexes).await, own.service(Keeps::Digests).await);
    let told = async |service: &EventService, filter: &str, until: ReadUntil| {
        let reading = ReadEvents::default().with_filter(Filter::parse(filter).unwrap());
        let explained = service.explain(reading.with_until(until)).await.unwrap();
        let is_told = explained.warnings.contains(&ExplainWarning::NoIndex);
        assert_eq!(is_told, !explained.could_index.is_empty(), "{filter}");
        explained.could_index
    };
    // What it costs is counted, not what is in it.
    own.store(vec![("log", Vec::new()); 100_000]).await;
    let worker = "worker_id = w1";
    assert!(told(&events, worker, ReadUntil::Head).await.is_empty(), "it isn't long");
    own.store(vec![("log", Vec::new())]).await;
    for (filter, fields) in [
        (worker, &["worker_id"][..]),
        ("worker_id in (w1, w2) and duration > 2s", &["worker_id"]),
        ("type = log and queue = bulk", &["queue"]),
        ("worker_id = w1 or queue = bulk", &["queue", "worker_id"]),
        ("worker_id = w1 or duration > 2s", &[]),
        ("not worker_id = w1", &[]),
        ("duration > 2s", &[]),
        ("job_id = job-1 and queue = bulk", &[]),
        ("type = log", &[]),
        ("type = job_failed and queue = bulk", &[]),
    ] {
        assert_eq!(told(&events, filter, ReadUntil::Head).await, fields, "{filter}");
    }
    assert!(told(&events, worker, ReadUntil::Never).await.is_empty(), "what comes is read");
    assert!(told(&alone, worker, ReadUntil::Head).await.is_empty(), "it knows no indexes");
    events.create_event_index("workers", &["worker_id"]).await.unwrap();
    assert!(told(&events, worker, ReadUntil::Head).await.is_empty(), "there is one");
    assert_eq!(told(&events, "queue = bulk", ReadUntil::Head).await, ["queue"]);
}

fn at(second: i64) -> Option<Timestamp> {
    Some(Timestamp::from_nanos((1_700_000_000 + second) * 1_000_000_000))
}

fn by_type(filter: &str) -> QueryRequest {
    let filter = if filter.is_empty() { Filter::new() } else { Filter::parse(filter).unwrap() };
    QueryRequest::new(filter).with_group_by([GroupBy::Type])
}

async fn costs_what_was_said(js: Arc<dyn JetStream>) {
    let own = OwnLog::new(js, "explained");
    let events = own.service(Keeps::Digests).await;
    for n in 0..EVENTS {
        let job = format!("j{}", n % 40);
        let event = match n % 3 {
            0 => Event::job_started(job, "w", "emails"),
            1 => Event::job_completed(job, n as f64 / 1_000.0, true).with_queue("emails"),
            _ => Event::job_failed(job, "refused", 0.5).with_queue("reports"),
        };
        // Two seconds apart, beginning within a minute.
        let event = event.with_timestamp(at(2 * n.cast_signed()).unwrap());
        events.log(event.into()).await.unwrap();
    }
    let first = same(&events, by_type("")).await;
    assert_eq!((first.digests, first.messages_at_most), (0, EVENTS), "nobody has asked before");
    for request in [
        by_type("queue = emails"),
        by_type("").with_bucket(Bucket::Minute),
        by_type("type = job_failed").with_range(at(7), at(1_003)),
        by_type("").with_range(at(7), None),
        by_type("").with_range(at(5_000), at(6_000)),
    ] {
        let explained = same(&events, request.clone()).await;
        assert_eq!((explained.digests, explained.from_digests), (1, EVENTS), "{request:?}");
        assert!(explained.messages_at_most < 100, "{explained:?}");
        assert_eq!((explained.reasons, explained.reading), (vec![], None));
    }
    let asked = async |events: &EventService, request: QueryRequest| {
        let explained = events.explain_query(request.clone()).await.unwrap();
        let basis = events.query(request).await.unwrap().basis;
        assert!(explained.messages_at_most >= basis.read, "{explained:?} {basis:?}");
        assert_eq!((explained.from_digests, explained.holes), (0, basis.holes));
        let reading = explained.reading.unwrap();
        (explained.reasons, explained.messages_at_most, reading.is_by_subject)
    };
    let third = EVENTS / 3;
    let worker = by_type("type = job_failed").with_group_by([GroupBy::Worker]);
    let slow = by_type("duration > 1s and since 1h");
    assert_eq!(asked(&events, worker).await, (vec![WhyRead::Groups], third, true));
    assert_eq!(asked(&events, slow.clone()).await, (vec![WhyRead::Filter], EVENTS, false));
    own.purge_below(101).await;
    assert_eq!(asked(&events, slow).await.1, EVENTS - 100);
    let without = own.service(Keeps::Nothing).await;
    assert_eq!(asked(&without, by_type("")).await.0, [WhyRead::NoDigests]);

    let limited = by_type("exists worker_id").with_scan(ScanLimits::default().with_max_messages(9));
    let explained = without.explain_query(limited.clone()).await.unwrap();
    assert!(explained.messages_at_most > explained.max_messages);
    assert!(without.query(limited).await.unwrap_err().is(ErrorKind::LimitReached));
    let wrong = by_type("").with_range(at(2), at(1));
    let error = events.explain_query(wrong).await.unwrap_err();
    assert_eq!((error.get("field"), error.operation()), (Some("end_time"), "explain_query"));
}

/// What a question is said to cost, which is what it then costs.
async fn same(events: &EventService, request: QueryRequest) -> QueryExplanation {
    let explained = events.explain_query(request.clone()).await.unwrap();
    let basis = events.query(request).await.unwrap().basis;
    assert_eq!(
        (explained.from_digests, explained.messages_at_most, explained.holes),
        (basis.from_digests, basis.read, basis.holes)
    );
    explained
}
