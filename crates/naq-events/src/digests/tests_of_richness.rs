//! What is asked of blocks that are too rich for one digest: what theirs tells
//! all the same is told without reading them again.

use std::sync::Arc;

use naq_core::Timestamp;
use naq_core::clock::ManualClock;
use naq_core::config::EventsConfig;
use naq_core::connection::SingleJetStream;
use naq_core::events::{
    Bucket, Event, EventSubjects, Filter, GroupBy, QueryAnswer, QueryRequest, ScanLimits,
    StatsRequest, TopErrors, TopErrorsRequest,
};
use naq_core::jetstream::{JetStream, PublishMessage, PurgeOptions};
use naq_kv::KvStoreService;
use naq_memory::MemoryJetStream;

use super::draft::MOST_ERRORS;
use super::kept::Digests;
use crate::answer::Sources;
use crate::read::{Limits, Log};
use crate::{EventService, grouped, stats, top_errors};

const MINUTE: i64 = 60_000_000_000;

/// So many events whose names are all different have too many names.
const RICH: u64 = 20_000;

/// A log in memory, and its digests.
struct Own {
    js: Arc<MemoryJetStream>,
    config: EventsConfig,
    log: Log,
    digests: Digests,
}

impl Own {
    async fn new() -> Self {
        let (js, config) = (Arc::new(MemoryJetStream::new()), EventsConfig::default());
        js.create_stream(EventService::stream_config(&config).unwrap()).await.unwrap();
        let connections = || SingleJetStream::provider(Arc::clone(&js) as Arc<dyn JetStream>);
        let clock = Arc::new(ManualClock::starting_at(minute(100_000)));
        let (subjects, limits) = (EventSubjects::default(), Limits::of(&config));
        let log = Log::new(connections(), clock, &config.stream_name, subjects, limits);
        let kv = Arc::new(KvStoreService::new(connections()));
        let digests = Digests::new(kv, &config.stream_name);
        Self { js, config, log, digests }
    }

    async fn store(&self, event: &Event) {
        let subject = format!("{}.{}", self.config.subject_root, event.event_type);
        let payload = serde_json::to_vec(event).unwrap();
        self.js.publish(PublishMessage::new(subject, payload)).await.unwrap();
    }

    /// From digests, and from the log.
    fn sources(&self) -> [Sources<'_>; 2] {
        let digests = Some(&self.digests);
        [digests, None].map(|digests| Sources { log: &self.log, digests, indexes: None })
    }

    async fn query(&self, of: usize, filter: &str, request: QueryRequest) -> QueryAnswer {
        let filter = if filter.is_empty() { Filter::new() } else { Filter::parse(filter).unwrap() };
        let request = request.with_filter(filter);
        let meter = self.log.meter("test", ScanLimits::default());
        grouped::query(self.sources()[of], &meter, request).await.unwrap()
    }

    async fn top_errors(&self, request: TopErrorsRequest) -> TopErrors {
        let meter = self.log.meter("test", ScanLimits::default());
        top_errors::top_errors(self.sources()[0], &meter, request).await.unwrap()
    }
}

fn minute(minute: i64) -> Timestamp {
    Timestamp::from_nanos(minute * MINUTE)
}

/// A word without a number.
fn word(number: u64) -> String {
    number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'k')).collect()
}

#[tokio::test]
async fn a_digest_without_kinds_of_job_answers_what_is_not_about_them() {
    let own = Own::new().await;
    for n in 0..RICH {
        let event = Event::new(["job_started", "job_failed"][n as usize % 2])
            .with_queue(format!("queue-{}", n % 5))
            .with_job_name(format!("https://example.com/a-kind-of-job-with-an-address/{n}"))
            .with_timestamp(minute(n.cast_signed() / 10));
        own.store(&event).await;
    }
    let by_queue =
        || QueryRequest::new(Filter::new()).with_group_by([GroupBy::Queue, GroupBy::Type]);
    let per_hour = || QueryRequest::new(Filter::new()).with_bucket(Bucket::Hour);
    // The first answer of all reads.
    own.query(0, "", by_queue()).await;
    for (filter, request) in [
        ("", by_queue()),
        ("type = job_failed", by_queue()),
        ("queue = queue-3 or type = job_started", per_hour()),
    ] {
        let answer = own.query(0, filter, request.clone()).await;
        assert_eq!((answer.basis.read, answer.unlisted), (0, 0), "{filter}");
        assert_eq!(answer.rows, own.query(1, filter, request).await.rows, "{filter}");
    }
    // What is about them reads the events as long as they are there.
    let filter = "job_name = \"https://example.com/a-kind-of-job-with-an-address/7\"";
    let answer = own.query(0, filter, by_queue()).await;
    assert_eq!((answer.rows.len(), answer.basis.read), (1, RICH));
    let by_job_name = QueryRequest::new(Filter::new()).with_group_by([GroupBy::JobName]);
    let answer = own.query(0, "queue = queue-1 and type = job_failed", by_job_name.clone()).await;
    assert_eq!((answer.rows.len() as u64, answer.basis.read), (RICH / 10, RICH));
    // Nothing of it lies in this range.
    let answer = own.query(0, "", by_job_name.with_range(Some(minute(5_000)), None)).await;
    assert_eq!((answer.rows.len(), answer.basis.read), (0, 0));
}

#[tokio::test]
async fn a_long_name_is_cut_and_takes_no_room_of_the_others() {
    let own = Own::new().await;
    let long = |end: &str| format!("SELECT {}{end}", "column, ".repeat(60_000));
    for n in 0..400 {
        let event = Event::new("log").with_timestamp(minute(n / 100));
        own.store(&match n {
            7 => event.with_queue(long("a")),
            8 | 9 => event.with_queue(long("b")).with_job_name(long("c")),
            n => event.with_queue("short").with_job_name(format!("kind-{}", n % 3)),
        })
        .await;
    }
    let groups =
        || QueryRequest::new(Filter::new()).with_group_by([GroupBy::Queue, GroupBy::JobName]);
    own.query(0, "", groups()).await;
    let answer = own.query(0, "", groups()).await;
    assert_eq!((answer.basis.read, answer.basis.undecided, answer.rows.len()), (0, 0, 5));
    assert_eq!(answer.rows, own.query(1, "", groups()).await.rows);
    let names = answer.rows.iter().flat_map(|row| &row.group).flatten();
    assert!(names.clone().any(|name| name.starts_with("SELECT column, ") && name.ends_with('…')));
    assert!(names.map(String::len).max().unwrap() < 300);
    // Its end is asked for by few filters, which read it as long as it is there.
    for (filter, rows, read) in [
        ("queue != short", 2, 0),
        ("queue in (short, shorter) or queue > b", 3, 0),
        ("queue ~ /b$/", 1, 400),
        ("not queue contains 'column, b'", 4, 400),
    ] {
        let answer = own.query(0, filter, groups()).await;
        let got = (answer.rows.len(), answer.basis.read, answer.basis.undecided);
        assert_eq!(got, (rows, read, 0), "{filter}");
        assert_eq!(answer.rows, own.query(1, filter, groups()).await.rows, "{filter}");
    }
    let [digests, log] = own.sources();
    let mut figures = Vec::new();
    for sources in [digests, log] {
        let meter = own.log.meter("test", ScanLimits::default());
        let stats = stats::stats(sources, &meter, StatsRequest::default()).await.unwrap();
        assert_eq!((stats.unlisted, stats.queues.len(), stats.job_names.len()), (0, 2, 4));
        figures.push((stats.queues, stats.job_names));
    }
    assert_eq!(figures[0], figures[1]);
    own.js.purge_stream(&own.config.stream_name, PurgeOptions::default()).await.unwrap();
    let answer = own.query(0, "queue ~ /b$/", groups()).await;
    assert_eq!((answer.rows.len(), answer.basis.undecided), (0, 3));
}

#[tokio::test]
async fn too_many_errors_of_another_time_are_not_read_and_are_told() {
    let own = Own::new().await;
    const OLD: u64 = MOST_ERRORS as u64 + 200;
    // Of a block of their own: what follows them is in the next one.
    for n in 0..super::BLOCK {
        let event = match n {
            ..OLD => Event::job_failed("old", word(n), 1.0),
            _ => Event::new("log"),
        };
        own.store(&event.with_timestamp(minute(n.cast_signed() % 50))).await;
    }
    for n in 0..30 {
        let event = Event::job_failed("new", word(n % 3), 1.0).with_timestamp(minute(1_000));
        own.store(&event).await;
    }
    let last_hours =
        || TopErrorsRequest::default().with_range(Some(minute(990)), Some(minute(1_000)));
    own.top_errors(last_hours()).await;
    let answer = own.top_errors(last_hours()).await;
    assert_eq!((answer.total, answer.basis.read, answer.unlisted), (30, 0, 0));
    assert_eq!(answer.unlisted_elsewhere, OLD - MOST_ERRORS as u64);
    // Whether something is new is told by all that there is, and so is the range itself.
    for request in [last_hours().with_new_since(minute(900)), TopErrorsRequest::default()] {
        let answer = own.top_errors(request).await;
        assert_eq!((answer.basis.read, answer.unlisted_elsewhere), (super::BLOCK, 0));
        assert_eq!(answer.unlisted, 0);
    }
}
