//! What is read by an index is what is read of the log, whatever became of index and log.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use naq_core::config::KeeperMode;
use naq_core::events::{
    Event, EventItem, EventQuery, Filter, Position, ReadEvents, ReadStart, ReadUntil,
};
use naq_core::jetstream::JetStream;
use naq_core::kv::KvBucketExt;
use naq_core::service::Service;
use naq_core::{BoxStream, ErrorKind, Timestamp};
use naq_events::EventService;
use naq_events::indexes::IndexProgress;
use naq_tests::behaviours::block_on;
use naq_tests::own_log::{INDEXES, Keeps, OwnLog, Payload};
use naq_tests::server::shared;
use naq_tests::{backend, wait};

const BLOCK: u64 = 65_536;
const DEADLINE: Duration = Duration::from_secs(600);

#[test]
fn an_index_is_built_goes_on_and_is_dropped_in_memory() {
    block_on(wait::within("the log", DEADLINE, lives(super::memory())));
}

#[test]
fn an_index_is_built_goes_on_and_is_dropped_on_a_server() {
    block_on(wait::within("the log", DEADLINE, async {
        lives(backend::connect(&shared().await.url()).await).await;
    }));
}

#[test]
fn answers_by_an_index_are_those_of_the_log_in_memory() {
    block_on(wait::within("the logs", DEADLINE, async {
        for seed in 0..24 {
            agrees(super::memory(), seed).await;
        }
    }));
}

#[test]
fn answers_by_an_index_are_those_of_the_log_on_a_server() {
    block_on(wait::within("the logs", DEADLINE, async {
        let js = backend::connect(&shared().await.url()).await;
        for seed in 100..106 {
            agrees(Arc::clone(&js), seed).await;
        }
    }));
}

#[test]
fn a_keeper_builds_an_index_and_lets_it_follow_the_log() {
    block_on(wait::within("the log", DEADLINE, async {
        let own = OwnLog::new(super::memory(), "indexes");
        let asking = own.service(Keeps::Indexes).await;
        let mut random = fastrand::Rng::with_seed(3);
        own.store(log(&mut random, 0..500)).await;
        asking.create_event_index("queues", &["queue"]).await.unwrap();
        let config = own.config.clone().with_keeper(KeeperMode::On);
        let keeper = OwnLog { js: Arc::clone(&own.js), config };
        let keeper = keeper.service(Keeps::Indexes).await;
        for end in [500, 33_000] {
            own.store(log(&mut random, if end == 500 { 0..0 } else { 500..end })).await;
            wait::until("the index to be built", DEADLINE, async || {
                asking.event_index_status("queues").await.unwrap().through == end
            })
            .await;
        }
        keeper.stop(Duration::from_secs(5)).await.unwrap();
    }));
}

#[test]
fn a_damaged_list_of_indexes_is_told_and_all_can_be_dropped_in_memory() {
    block_on(wait::within("the log", DEADLINE, is_damaged(super::memory())));
}

#[test]
fn a_damaged_list_of_indexes_is_told_and_all_can_be_dropped_on_a_server() {
    block_on(wait::within("the log", DEADLINE, async {
        is_damaged(backend::connect(&shared().await.url()).await).await;
    }));
}

const KINDS: [&str; 4] = ["job_started", "job_completed", "job_failed", "log"];

/// Events of four queues and some workers, and what is no event.
pub(super) fn log(random: &mut fastrand::Rng, numbers: Range<u64>) -> Vec<Payload> {
    let mut messages = Vec::new();
    for n in numbers {
        if random.u16(..500) == 0 {
            messages.push(("x", b"no event".to_vec()));
            continue;
        }
        let kind = KINDS[random.usize(..4)];
        let at = Timestamp::from_nanos(1_700_000_000_000_000_000 + n.cast_signed() * 1_000_000);
        let mut event = Event::new(kind).with_timestamp(at).with_field("n", n);
        if kind != "log" {
            event = event.with_job_id(format!("job-{}", random.u8(..)));
            event = event.with_queue(format!("q{}", random.u8(..4)));
            event = event.with_worker_id(match random.u16(..1_000) {
                0 => "w".repeat(200),
                n => format!("w{}", n / 10),
            });
        }
        if kind == "job_failed" {
            event = event.with_error(format!("row {n} is locked"));
        }
        if kind == "job_completed" {
            event = event.with_duration(random.f64() * 100.0).with_success(random.u8(..) > 9);
            event = event.with_field("o", serde_json::json!({"a": random.u8(..5), "b": [1, 2]}));
        }
        messages.push((kind, serde_json::to_vec(&event).unwrap()));
    }
    messages
}

fn reading(filter: &str) -> ReadEvents {
    ReadEvents::default().with_filter(Filter::parse(filter).unwrap())
}

/// What a reading yields, an item a line.
async fn read(service: &EventService, options: &ReadEvents) -> Vec<String> {
    let items = service.read_events(options.clone());
    let line = |item| match item {
        EventItem::Event(recorded) => {
            format!("event {} {}", recorded.position.sequence, recorded.event.event_type)
        }
        EventItem::Malformed(malformed) => format!("malformed {}", malformed.position.sequence),
        EventItem::Gap { from, to } => format!("gone {from} to {to}"),
        EventItem::CaughtUp { position } => format!("caught up at {}", position.sequence),
        other => format!("{other:?}"),
    };
    items.map_ok(line).try_collect().await.unwrap()
}

pub(super) async fn build(service: &EventService, name: &str) -> IndexProgress {
    let progress: Vec<_> = service.build_event_index(name).try_collect().await.unwrap();
    *progress.last().unwrap()
}

async fn lives(js: Arc<dyn JetStream>) {
    let own = OwnLog::new(js, "indexes");
    let mut random = fastrand::Rng::with_seed(7);
    let (fast, slow) = (own.service(Keeps::Indexes).await, own.service(Keeps::Nothing).await);
    let refused = slow.create_event_index("a", &["queue"]).await.unwrap_err();
    assert!(refused.is(ErrorKind::Unsupported), "{refused}");
    own.store(log(&mut random, 0..66_000)).await;

    // Defined it covers nothing yet, and answers are right.
    let index = fast.create_event_index("workers", &["worker_id", "queue", "n"]).await.unwrap();
    assert_eq!(fast.list_event_indexes().await.unwrap(), std::slice::from_ref(&index));
    let taken = fast.create_event_index("workers", &["queue"]).await.unwrap_err();
    assert!(taken.is(ErrorKind::AlreadyExists), "{taken}");
    let rare = reading("worker_id = w17 and queue = q1");
    let expected = read(&slow, &rare).await;
    assert!(expected.len() > 100);
    assert_eq!(read(&fast, &rare).await, expected);
    let status = fast.event_index_status("workers").await.unwrap();
    assert_eq!((status.through, status.uncovered, status.blocks), (0, 66_000, 0));

    // Ended behind its first block, building goes on there.
    let first = fast.build_event_index("workers").next().await.unwrap().unwrap();
    assert_eq!((first.through, first.read, first.last_sequence), (BLOCK, BLOCK, 66_000));
    let other = own.service(Keeps::Indexes).await;
    let rest = build(&other, "workers").await;
    assert_eq!((rest.through, rest.read), (66_000, 66_000 - BLOCK));
    let status = fast.event_index_status("workers").await.unwrap();
    assert_eq!((status.through, status.uncovered, status.blocks), (66_000, 0, 2));
    assert_eq!(status.by_field.len(), 3, "{status:?}");
    let (worker, queue, n) = (&status.by_field[0], &status.by_field[1], &status.by_field[2]);
    assert_eq!((worker.most_values, worker.blocks_fallen_back), (100, 0));
    assert_eq!((queue.most_values, queue.blocks_fallen_back), (4, 0));
    // Another value in each event is found only by what is equal.
    assert!((65_000..=BLOCK).contains(&n.most_values), "{n:?}");
    assert_eq!((n.blocks_by_hash, n.blocks_fallen_back), (1, 0));

    // It names few events for a rare value, and all of them.
    let explained = other.explain(rare.clone()).await.unwrap();
    let used = explained.index.unwrap();
    assert_eq!((used.name.as_str(), used.scanned), ("workers", Some(0)));
    assert_eq!(used.fields, ["worker_id", "queue"]);
    assert!(explained.messages_at_most < 800, "{}", explained.messages_at_most);
    assert!(used.named.unwrap() >= expected.len() as u64 - 1);
    for options in [
        rare.clone(),
        rare.clone().with_newest_first(),
        rare.clone().with_newest_first().with_limit(20),
        reading("n = 40000"),
        reading("n in 39999..40002"),
        reading("queue = q1").with_newest_first().with_limit(300),
        reading("queue in (q1, q2)").with_start(ReadStart::Sequence(60_000)),
    ] {
        assert_eq!(read(&other, &options).await, read(&slow, &options).await, "{options:?}");
    }
    // One job's events the server chooses by subject.
    let by_job = other.explain(reading("job_id = job-1 and queue = q1")).await.unwrap();
    assert_eq!(by_job.index, None);

    // It follows a log that grows, when it is asked.
    own.store(log(&mut random, 66_000..98_100)).await;
    assert_eq!(read(&other, &rare).await, read(&slow, &rare).await);
    let status = fast.event_index_status("workers").await.unwrap();
    assert_eq!((status.through, status.uncovered), (98_100, 0));

    // What leaves the log never appears, and what was kept of it goes.
    own.purge_below(BLOCK + 11).await;
    assert_eq!(read(&other, &rare).await, read(&slow, &rare).await);
    own.store(log(&mut random, 98_100..98_110)).await;
    build(&other, "workers").await;
    assert_eq!(own.kept(INDEXES).await.len(), 1);

    // Built anew and dropped.
    let anew: Vec<_> = other.rebuild_event_index("workers").try_collect().await.unwrap();
    assert_eq!(anew.last().map(|it| (it.through, it.read)), Some((98_110, 98_110 - BLOCK - 10)));
    assert_eq!(own.kept(INDEXES).await.len(), 1);
    assert_eq!(read(&other, &rare).await, read(&slow, &rare).await);
    other.drop_event_index("workers").await.unwrap();
    assert_eq!(own.kept(INDEXES).await, Vec::<String>::new());
    assert_eq!(other.explain(rare.clone()).await.unwrap().index, None);
    let gone = other.drop_event_index("workers").await.unwrap_err();
    assert!(gone.is(ErrorKind::NotFound), "{gone}");
    // Who doesn't know yet that it was dropped answers right all the same.
    assert_eq!(read(&fast, &rare).await, read(&slow, &rare).await);
}

async fn is_damaged(js: Arc<dyn JetStream>) {
    let own = OwnLog::new(js, "indexes");
    let slow = own.service(Keeps::Nothing).await;
    own.store(log(&mut fastrand::Rng::with_seed(11), 0..1_000)).await;
    let maker = own.service(Keeps::Indexes).await;
    maker.create_event_index("workers", &["worker_id"]).await.unwrap();
    build(&maker, "workers").await;
    // It stays a list of indexes, of which one has another field.
    let (bucket, key) = (own.bucket(INDEXES), format!("{}.indexes", own.config.stream_name));
    let list = bucket.get(&key).await.unwrap().unwrap().value;
    let damaged = String::from_utf8(list.to_vec()).unwrap().replace("worker_id", "worker_if");
    bucket.put(&key, damaged).await.unwrap();
    let service = own.service(Keeps::Indexes).await;
    let drained = async |building: BoxStream<'static, _>| building.try_collect::<Vec<_>>().await;
    for (what, error) in [
        ("list", service.list_event_indexes().await.unwrap_err()),
        ("create", service.create_event_index("queues", &["queue"]).await.unwrap_err()),
        ("status", service.event_index_status("workers").await.unwrap_err()),
        ("drop", service.drop_event_index("workers").await.unwrap_err()),
        ("build", drained(service.build_event_index("workers")).await.unwrap_err()),
        ("rebuild", drained(service.rebuild_event_index("workers")).await.unwrap_err()),
    ] {
        assert!(error.is(ErrorKind::Corrupt), "{what}: {error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("drop all")), "{what}: {error:?}");
        assert!(error.get("list").is_some_and(|list| list.contains("worker_if")), "{what}");
    }
    // Answers are right, and nothing is removed that somebody may still have.
    let filter = reading("worker_id = w3");
    assert_eq!(read(&service, &filter).await, read(&slow, &filter).await);
    assert_eq!(own.kept(INDEXES).await.len(), 1);
    service.drop_all_event_indexes().await.unwrap();
    assert_eq!(own.kept(INDEXES).await, Vec::<String>::new());
    assert_eq!(service.list_event_indexes().await.unwrap(), []);
    service.create_event_index("workers", &["worker_id"]).await.unwrap();
    assert_eq!(build(&service, "workers").await.through, 1_000);
    assert_eq!(read(&service, &filter).await, read(&slow, &filter).await);
    service.drop_all_event_indexes().await.unwrap();
    assert_eq!(own.kept(INDEXES).await, Vec::<String>::new());
}

/// A log that grows and loses events, with an index that is built, damaged and
/// deleted, is read by it as without it.
async fn agrees(js: Arc<dyn JetStream>, seed: u64) {
    const FILTERS: [&str; 13] = [
        "worker_id = w3",
        "queue = q1 and worker_id in (w1, w2, w3)",
        "queue = q1 or worker_id = w7",
        "type = job_failed and queue = q2",
        "n < 40 and queue != q0",
        "queue ~ /[12]/ and not worker_id = w1",
        "o.a = 3 and queue = q3",
        "exists worker_id and duration > 50s",
        "worker_id contains ww or worker_id = w9",
        "job_id = job-3 and queue = q1",
        "success = false and (queue = q1 or error ~ /row/)",
        "worker_id = nobody",
        "type in (log, job_started) and n in (7, 70, 170)",
    ];
    const FIELDS: [&str; 6] = ["worker_id", "queue", "n", "o.a", "success", "type"];
    let mut random = fastrand::Rng::with_seed(seed);
    let own = OwnLog::new(js, "indexes");
    let slow = own.service(Keeps::Nothing).await;
    let mut fields = FIELDS;
    random.shuffle(&mut fields);
    let fields = &fields[..random.usize(1..=FIELDS.len())];
    let maker = own.service(Keeps::Indexes).await;
    maker.create_event_index("one", fields).await.unwrap();
    maker.create_event_index("two", &["queue"]).await.unwrap();
    let mut stored = 0;
    for round in 0..6 {
        let numbers = stored..stored + random.u64(100..300);
        stored = numbers.end;
        own.store(log(&mut random, numbers)).await;
        match random.u8(..4) {
            0 => own.damage(INDEXES, &mut random).await,
            1 => {}
            _ => {
                let built = build(&*own.service(Keeps::Indexes).await, "one").await;
                assert_eq!((built.through, built.last_sequence), (stored, stored));
            }
        }
        match random.u8(..4) {
            0 => own.purge_below(random.u64(1..=stored)).await,
            1 => own.purge_type(KINDS[random.usize(..KINDS.len())]).await,
            _ => {}
        }
        let info = own.info().await;
        let fast = own.service(Keeps::Indexes).await;
        for _ in 0..8 {
            let mut options = reading(FILTERS[random.usize(..FILTERS.len())]);
            options = match random.u8(..4) {
                0 => options.with_start(ReadStart::Sequence(random.u64(1..=stored))),
                1 => options.after(Position::new(info.created, random.u64(0..=stored))),
                _ => options,
            };
            let from = match options.start {
                ReadStart::Sequence(sequence) => sequence,
                ReadStart::After(position) => position.sequence + 1,
                _ => 1,
            };
            if random.u8(..4) == 0 && from <= stored {
                options = options.with_until(ReadUntil::Sequence(random.u64(from..=stored)));
            }
            if random.bool() {
                options = options.with_newest_first();
            }
            if random.bool() {
                options = options.with_limit(random.u64(1..100));
            }
            let about = format!("seed {seed}, round {round}: {fields:?} {options:?}");
            assert_eq!(read(&fast, &options).await, read(&slow, &options).await, "{about}");
        }
    }
}
