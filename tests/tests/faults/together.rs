//! Several producers on one stream, and clocks that jump.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_nats::HeaderMap;
use async_trait::async_trait;
use naq_connection::ConnectionService;
use naq_core::Timestamp;
use naq_core::clock::{Clock, SystemClock};
use naq_core::connection::ConnectionProvider;
use naq_core::service::Service;
use naq_events::EventService;
use naq_streams::StreamService;
use naq_tests::faults::{Load, PATIENCE, Producer, Scene, quick, rounds};
use naq_tests::ledger::{Line, Stamp};
use serde_json::json;

use crate::ms;

/// Publishes events as a program without naq does, one after the other.
async fn publish_raw(scene: &Scene, events: u64) {
    let js = async_nats::jetstream::new(scene.server.client().await);
    for n in 0..events {
        let stamp = Stamp::new("raw", "job0", n, 50);
        let (id, book) = (stamp.id(), &scene.book);
        book.write(&Line::offered(&stamp));
        book.write(&Line::Accepted { id: id.clone() });
        let payload = json!({
            "type": "job_progress", "id": id, "job_id": stamp.job, "producer": stamp.producer,
            "n": n, "pad": stamp.pad, "checksum": stamp.checksum(),
        });
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", id.as_str());
        let subject = "events.job_progress.job0";
        let ack = js.publish_with_headers(subject, headers, payload.to_string().into()).await;
        let sequence = Some(ack.unwrap().await.unwrap().sequence);
        book.write(&Line::Acked { id, sequence });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_without_naq_on_the_same_jobs_disturbs_nothing() {
    rounds("a raw producer beside", async |mut round| {
        let scene = Scene::new().await;
        let (program, producer) = scene.program("p1", quick(&scene.server.url())).await;
        let logging = producer.load(&Load::steady(round.seed));
        publish_raw(&scene, 300).await;
        round.sometime(ms(300)).await;
        logging.end().await;
        producer.settle(PATIENCE).await;
        scene.judge().await;
        program.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_producers_on_the_same_jobs_each_keep_their_order_through_a_kill() {
    rounds("two producers", async |mut round| {
        let mut scene = Scene::new().await;
        let (one, first) = scene.program("p1", quick(&scene.server.url())).await;
        let (other, second) = scene.program("p2", quick(&scene.server.url())).await;
        let logging = [
            first.load(&Load::steady(round.seed)),
            second.load(&Load::steady(round.seed.wrapping_add(100))),
        ];
        round.sometime(ms(500)).await;
        scene.server.restart().await;
        round.sometime(ms(500)).await;
        for logging in logging {
            logging.end().await;
        }
        for producer in [&first, &second] {
            producer.settle(PATIENCE).await;
            producer.count();
        }
        scene.judge().await;
        one.stop().await;
        other.stop().await;
    })
    .await;
}

/// The system's clock, with a wall that jumps.
#[derive(Debug, Default)]
struct Jumping {
    system: SystemClock,
    ahead_seconds: AtomicI64,
}

#[async_trait]
impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        let ahead = self.ahead_seconds.load(Ordering::Relaxed);
        let by = Duration::from_secs(ahead.unsigned_abs());
        let now = self.system.now();
        if ahead < 0 { now.saturating_sub(by) } else { now.saturating_add(by) }
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }

    async fn sleep_until(&self, deadline: Duration) {
        self.system.sleep_until(deadline).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_changes_neither_order_nor_outcomes() {
    rounds("clock jumps", async |mut round| {
        let scene = Scene::new().await;
        let config = quick(&scene.server.url());
        let connections: Arc<dyn ConnectionProvider> =
            Arc::new(ConnectionService::new(Vec::new(), config.connection));
        let streams = Arc::new(StreamService::new(Arc::clone(&connections)));
        let clock = Arc::new(Jumping::default());
        let events = config.events.clone();
        let service = EventService::new(connections, streams, Arc::clone(&clock) as _, events);
        let service = Arc::new(service.unwrap());
        service.start().await.unwrap();
        let producer = Producer::new("p1", &service, &config.events, &scene.book);
        let logging = producer.load(&Load::steady(round.seed));
        for hours in [-1, 1, -2, 3, 0] {
            round.sometime(ms(300)).await;
            clock.ahead_seconds.store(hours * 3_600, Ordering::Relaxed);
        }
        logging.end().await;
        producer.settle(PATIENCE).await;
        producer.count();
        scene.judge().await;
        assert!(service.stop(PATIENCE).await.unwrap().is_clean());
    })
    .await;
}
