//! A log on three servers, of which one after the other is killed and comes back: what is asked of it.

use futures::{StreamExt, TryStreamExt, stream};
use naq_core::events::{
    Event, EventItem, EventQuery, EventQueryExt, Filter, ReadEvents, ReadUntil,
};
use naq_core::jetstream::{JetStreamExt, PublishMessage};
use naq_core::{ErrorKind, Result};
use naq_events::EventService;
use naq_tests::backend;
use naq_tests::faults::{PATIENCE, rounds};
use naq_tests::own_log::{Keeps, OwnLog};
use naq_tests::server::{Cluster, Version};
use naq_tests::wait;

const JOBS: u64 = 50;
const WORKERS: u64 = 7;
/// How many events are stored at a time.
const PART: u64 = 20_000;

/// Event `n` of the log, which is stored once however often it is sent.
fn message(own: &OwnLog, n: u64) -> PublishMessage {
    let event = Event::job_started(format!("j{}", n % JOBS), format!("w{}", n % WORKERS), "q");
    let subject = own.subjects().build("job_started", event.job_id.as_deref());
    let payload = serde_json::to_vec(&event).unwrap();
    PublishMessage::new(subject, payload).with_message_id(n.to_string())
}

/// Stores events of these numbers, and sends anew what nobody answers for.
async fn store(own: &OwnLog, numbers: std::ops::Range<u64>) {
    let mut left: Vec<_> = numbers.collect();
    wait::until("the events to be stored", PATIENCE, async || {
        let messages: Vec<_> = left.iter().map(|n| message(own, *n)).collect();
        let answers = own.js.publish_each(stream::iter(messages).boxed());
        let answers: Vec<_> = answers.collect().await;
        let failed = left.iter().zip(answers).filter(|(_, answer)| answer.is_err());
        left = failed.map(|(n, _)| *n).collect();
        left.is_empty()
    })
    .await;
}

/// How many of so many numbers leave this rest.
fn of(count: u64, modulus: u64, rest: u64) -> u64 {
    (0..count).filter(|n| n % modulus == rest).count() as u64
}

/// How many events pass a filter.
async fn passing(service: &EventService, filter: &str) -> Result<u64> {
    let options = ReadEvents::default()
        .with_filter(Filter::parse(filter).unwrap())
        .with_until(ReadUntil::Head);
    let items: Vec<_> = service.read_events(options).try_collect().await?;
    let gaps = items.iter().filter(|item| matches!(item, EventItem::Gap { .. })).count();
    assert_eq!(gaps, 0, "{filter}");
    Ok(items.iter().filter(|item| matches!(item, EventItem::Event(_))).count() as u64)
}

/// Asks in all manners, and holds each answer against a log of so many events.
async fn ask(service: &EventService, count: u64, about: &str) -> Result<()> {
    let stats = service.get_event_stats(None, None).await?;
    assert_eq!((stats.total_events, stats.basis.holes), (count, 0), "{about}: {:?}", stats.basis);
    let history = service.get_event_history("j7", 10).await?;
    assert_eq!(history.summary.total_events, of(count, JOBS, 7), "{about}");
    let found = passing(service, "worker_id = w3").await?;
    assert_eq!(found, of(count, WORKERS, 3), "{about}, by worker");
    let found = passing(service, "type = job_started").await?;
    assert_eq!(found, count, "{about}, by type");
    Ok(())
}

/// Whether it was answered; that a server is away is no answer, and no wrong one.
fn is_answered(asked: Result<()>, about: &str) -> bool {
    match asked {
        Ok(()) => true,
        Err(error) => {
            let kind = error.kind();
            assert!(
                matches!(kind, ErrorKind::Timeout | ErrorKind::Unavailable),
                "{about}: {error}"
            );
            false
        }
    }
}

async fn restarted_one_after_the_other(version: Version, servers: usize) {
    let mut cluster = Cluster::start(version).await;
    let mut own = OwnLog::new(backend::connect(&cluster.server(0).url()).await, "replicated");
    own.config = own.config.with_replicas(3_u32);
    let config = EventService::stream_config(&own.config).unwrap();
    own.js.create_stream(config).await.unwrap();
    let stream = own.config.stream_name.clone();
    let keeper = own.keeper_of(Keeps::Indexes).await;
    keeper.create_event_index("workers", &["worker_id"]).await.unwrap();
    let mut count = 0;
    let (mut asked, mut answered) = (0, 0);
    for number in 0..servers {
        let about = format!("server {number} of {version}");
        let mut fresh = Vec::new();
        for _ in 0..3 {
            fresh.push(own.service(Keeps::Indexes).await);
        }
        cluster.server_mut(number).kill();
        store(&own, count..count + PART).await;
        count += PART;
        cluster.server_mut(number).restart().await;
        for service in fresh.iter().chain([&keeper]).chain(&fresh) {
            asked += 1;
            answered += usize::from(is_answered(ask(service, count, &about).await, &about));
        }
        cluster.healed(&stream).await;
        let last = fresh.pop().unwrap();
        for service in [&last, &keeper] {
            wait::until("an answer", PATIENCE, async || {
                is_answered(ask(service, count, &about).await, &about)
            })
            .await;
        }
    }
    assert!(answered > 0, "nothing was answered of {asked}");
    let kept_up = async || {
        keeper
            .keeper()
            .await
            .is_ok_and(|keeper| keeper.is_some_and(|keeper| keeper.through == count))
    };
    wait::until("the keeper to have digested all", PATIENCE, kept_up).await;
    ask(&*own.service(Keeps::Indexes).await, count, "at the end").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_restart_one_after_the_other_make_no_answer_wrong() {
    rounds("replicas restarted", async |round| {
        let versions: &[_] = round.choose(&[Version::LATEST], &[Version::LATEST, Version::V2_10]);
        for version in versions {
            restarted_one_after_the_other(*version, round.choose(2, 3)).await;
        }
    })
    .await;
}
