//! What a server's fast ingest has of its own: batches that it forgets, and refusals in the middle.

use std::time::Duration;

use async_nats::jetstream::stream::Config;
use naq_core::config::Guarantee;
use naq_core::events::{EventSink, LossReason};
use naq_tests::faults::{Load, PATIENCE, Round, Scene, quick, rounds};
use naq_tests::ledger::{Line, Repeats, Stamp};
use naq_tests::proxy::{Direction, FaultProxy};
use naq_tests::server::{NatsServer, Version};
use naq_tests::wait;

use crate::words::Words;
use crate::{assuming, events, foreign, js, ms, secs};

/// Holds what goes to the server for longer than it remembers a batch, again
/// and again until it has forgotten one, and lets it go on then: the connection stays.
async fn forgotten_for_want_of_signs(
    round: &mut Round,
    version: Version,
    guarantee: Guarantee,
    remembers: Duration,
) {
    let server = NatsServer::builder().version(version).batch_timeout(remembers);
    let mut scene = Scene::on(server).await;
    if guarantee == Guarantee::AtLeastOnce {
        scene.repeats = Repeats::Counted;
    }
    let words = Words::listen(&scene).await;
    let proxy = FaultProxy::start(scene.server.address()).await;
    let mut config = events(quick(&proxy.url()), |events| {
        events.with_guarantee(guarantee).with_buffer_max_events(5_000_usize)
    });
    // Nobody but the server loses patience.
    config.connection = config.connection.with_ack_timeout(3 * remembers);
    let (program, producer) = scene.program("p1", config).await;
    // As fast as there is room, so that there is a batch at any instant.
    let logging = ["a", "b", "c"].map(|job| producer.load(&Load::flood(round.seed, job)));
    wait::until("the server to forget a batch", PATIENCE, async || {
        round.sometime(ms(300)).await;
        proxy.black_hole(Direction::ToServer);
        tokio::time::sleep(remembers.mul_f64(1.3)).await;
        proxy.heal();
        round.sometime(ms(300)).await;
        words.told().unknown > 0
    })
    .await;
    for logging in logging {
        logging.end().await;
    }
    scene.ends_well(program, &producer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_the_server_forgot_for_want_of_signs_goes_on_in_another_one() {
    rounds("batch forgotten", async |mut round| {
        let all = [Guarantee::MessageId, Guarantee::ReadBack, Guarantee::AtLeastOnce];
        let one = all[round.random.usize(0..all.len())];
        for guarantee in all {
            // At full length once for as long as a server remembers a batch by itself.
            let remembers = match (guarantee == one, round.is_full) {
                (true, true) => secs(10),
                (false, false) => continue,
                _ => ms(500),
            };
            let version = round.random.choice([Version::V2_15, Version::V2_14]).unwrap();
            forgotten_for_want_of_signs(&mut round, version, guarantee, remembers).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_within_a_batch_fails_alone_and_the_stream_tells_of_it() {
    rounds("poison in a batch", async |mut round| {
        const MOST: i32 = 2_000;
        let scene = Scene::new().await;
        let config = Config { max_message_size: MOST, ..foreign(true) };
        js(&scene).await.create_stream(config).await.unwrap();
        let (program, producer) = scene.program("p1", assuming(&scene.server.url())).await;
        let mut poison = Vec::new();
        for n in 0..round.choose(600, 3_000) {
            let is_poison = round.random.u32(0..40) == 0;
            let pad = if is_poison { MOST as usize } else { round.random.usize(0..400) };
            let job = format!("job{}", n % 7);
            producer.log(&job, n / 7, pad).await.unwrap();
            if is_poison {
                poison.push(Stamp::new("p1", &job, n / 7, pad).id());
            }
        }
        let report = producer.events.flush(PATIENCE).await.unwrap();
        assert_eq!((report.pending, report.unknown), (0, 0), "{report:?}");
        for id in &poison {
            scene.book.write(&Line::Failed { id: id.clone(), kind: "too large".to_owned() });
        }
        producer.all_acked();
        wait::until("the stream to be told", PATIENCE, async || {
            producer.events.account().untold == 0
        })
        .await;
        producer.count();
        let case = scene.judge().await;
        assert!(!poison.is_empty());
        let told = case.notices();
        assert!(told.iter().all(|notice| notice.reason == LossReason::Failed), "{told:?}");
        let told: u64 = told.iter().map(|notice| notice.count).sum();
        assert_eq!(told, poison.len() as u64);
        program.services.stop().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_subject_is_full_holds_up_no_other_one() {
    rounds("subject full", async |mut round| {
        const ROOM: u64 = 20;
        let scene = Scene::new().await;
        let js = js(&scene).await;
        let config = Config {
            max_messages_per_subject: ROOM as i64,
            discard_new_per_subject: true,
            ..foreign(true)
        };
        js.create_stream(config.clone()).await.unwrap();
        let (program, producer) = scene.program("p1", assuming(&scene.server.url())).await;
        let full = ROOM + 1 + round.random.u64(0..20);
        for n in 0..full {
            producer.log("full", n, 50).await.unwrap();
        }
        for n in 0..ROOM {
            for job in 0..10 {
                producer.log(&format!("job{job}"), n, 50).await.unwrap();
            }
        }
        let others = 10 * ROOM;
        wait::until("the others to be stored", PATIENCE, async || {
            producer.events.counters().acked == others + ROOM
        })
        .await;
        assert_eq!(producer.events.counters().pending, full - ROOM);
        // Room for the rest, and for all that this leaves.
        js.update_stream(Config { max_messages_per_subject: 1_000, ..config }).await.unwrap();
        scene.ends_well(program, &producer).await;
    })
    .await;
}
