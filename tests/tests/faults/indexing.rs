//! Builders of an index that are killed at any instant; each is a real child process.

use futures::TryStreamExt;
use naq_core::config::{EventsConfig, KeeperMode};
use naq_core::events::{
    EntityKind, Event, EventItem, EventQuery, EventQueryExt, EventSubjects, Filter, ReadEvents,
    ReadUntil,
};
use naq_core::jetstream::{PublishMessage, PurgeOptions};
use naq_events::EventService;
use naq_tests::backend;
use naq_tests::faults::{Child, PATIENCE, Scene, rounds};
use naq_tests::own_log::{INDEXES, Keeps, OwnLog};
use naq_tests::wait;

use crate::processes::{order, program};
use crate::{ms, secs};

/// So many blocks have something in them.
const BLOCKS: u64 = 5;
const BLOCK: u64 = 65_536;

/// One message of so many is an event and stays.
const ONE_OF: u64 = 64;

/// The log of a scene; who is asked about it builds nothing by itself.
async fn log(scene: &Scene) -> OwnLog {
    let config = EventsConfig::default().with_keeper(KeeperMode::Off);
    OwnLog { js: backend::connect(&scene.server.url()).await, config }
}

/// Fills some blocks, most of them with what goes again.
async fn fill(own: &OwnLog) {
    let subjects = EventSubjects::default();
    let filler = subjects.build("filler", Some("f"));
    let message = |n: u64| {
        if !n.is_multiple_of(ONE_OF) {
            return PublishMessage::new(filler.as_str(), "");
        }
        let n = n / ONE_OF;
        let event = Event::job_started(format!("j{}", n % 50), format!("w{}", n % 7), "q");
        let subject = subjects.build("job_started", event.job_id.as_deref());
        PublishMessage::new(subject, serde_json::to_vec(&event).unwrap())
    };
    own.publish((0..BLOCKS * BLOCK).map(message).collect()).await;
    own.purge(PurgeOptions::default().with_subject(filler.as_str())).await;
}

/// The sequences of what passes a filter among what the log was filled with.
async fn read(service: &EventService, filter: &str) -> Vec<u64> {
    let options = ReadEvents::default().with_filter(Filter::parse(filter).unwrap());
    let items = service.read_events(options.with_until(ReadUntil::Sequence(BLOCKS * BLOCK)));
    let sequence = async |item| match item {
        EventItem::Event(recorded) => Ok(Some(recorded.sequence())),
        _ => Ok(None),
    };
    items.try_filter_map(sequence).try_collect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_builder_of_an_index_is_followed_by_another_and_no_answer_is_wrong() {
    rounds("builder of an index killed", async |mut round| {
        let scene = Scene::new().await;
        let own = log(&scene).await;
        let slow = own.service(Keeps::Nothing).await;
        fill(&own).await;
        let long_lived = own.service(Keeps::Indexes).await;
        let define = async || {
            long_lived.create_event_index("ids", &["worker_id", "job_id"]).await.unwrap();
        };
        define().await;
        let mut order = order(&scene, &round, &scene.server.url());
        order.config.push_str("keeper = \"on\"\nkeeper_lease = \"100ms\"\n");
        order.rest = ms(20);
        let filters = ["worker_id = w3", "job_id ~ /^j.7$/ and worker_id in (w1, w2)"];
        let mut expected = Vec::new();
        for filter in filters {
            expected.push(read(&slow, filter).await);
        }
        assert!(expected.iter().all(|found| found.len() > 50), "{expected:?}");
        let status = async || long_lived.event_index_status("ids").await.unwrap();
        let mut built = 0;
        for kill in 0..round.choose(8, 17) {
            order.producer = format!("p{kill}");
            let through = status().await.through;
            let mut child = Child::start(program(), &order);
            if round.random.bool() {
                // In the midst of it, or behind all of it.
                let has_begun = async || status().await.through > through;
                wait::until("something to be built", PATIENCE, has_begun).await;
            } else {
                round.sometime(round.choose(ms(700), secs(2))).await;
            }
            child.kill();
            let reached = status().await.through;
            assert!(reached >= through, "kill {kill}: {reached} after {through}");
            built += reached - through;
            for service in [&long_lived, &own.service(Keeps::Indexes).await] {
                for (filter, expected) in filters.iter().zip(&expected) {
                    assert_eq!(&read(service, filter).await, expected, "kill {kill}: {filter}");
                }
            }
            if reached >= BLOCKS * BLOCK {
                // There is nothing left to build: all of it is to be built anew.
                assert!(!own.kept(INDEXES).await.is_empty());
                long_lived.drop_event_index("ids").await.unwrap();
                define().await;
            }
        }
        assert!(built > 0, "no one that was killed has built anything");
        order.producer = "last".to_owned();
        let mut child = Child::start(program(), &order);
        wait::until("the index to be built", PATIENCE, async || {
            status().await.through >= BLOCKS * BLOCK
        })
        .await;
        child.kill();
        let fast = own.service(Keeps::Indexes).await;
        for (filter, expected) in filters.iter().zip(&expected) {
            assert_eq!(&read(&fast, filter).await, expected, "{filter}");
        }
        let history = fast.get_event_history("j7", 1_000).await.unwrap();
        assert_eq!(history, slow.get_event_history("j7", 1_000).await.unwrap());
        let worker = fast.get_entity_history(EntityKind::Worker, "w3").await.unwrap();
        let mentions: Vec<_> = worker.events.iter().map(|event| event.sequence()).collect();
        assert!(worker.summary.includes_mentions, "{:?}", worker.summary);
        assert_eq!(mentions, expected[0][..mentions.len()]);
        assert_eq!(worker.summary.total_events, expected[0].len() as u64);
    })
    .await;
}
