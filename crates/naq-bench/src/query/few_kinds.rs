//! A busy log of few kinds: its digests keep as many events one by one as they can.

use std::time::{Duration, Instant};

use async_nats::jetstream;
use fastrand::Rng;
use naq_core::Timestamp;
use naq_core::events::{Event, EventEncoder, EventSubjects};
use naq_tests::server::NatsServer;
use serde::Serialize;

use super::ask::{Question, Range};
use super::targets::{self, Verdict};
use super::{
    Asked, DIGESTS, Options, RealisticLog, STREAM, config, keeper, millis, raw, same, store,
};
use crate::Outcome;
use crate::service::Logging;

/// In a minute at this pace each of so many queues has nearly as many events as
/// are kept one by one, and a block lasts about as long.
const QUEUES: u64 = 64;
const MICROS_APART: u64 = 1_000;

/// What is stored of it, and what questions take.
#[derive(Serialize)]
pub(super) struct FewKinds {
    events: u64,
    log_bytes: u64,
    digest_bytes: u64,
    share: f64,
    questions: Vec<Asked>,
}

impl FewKinds {
    pub(super) fn show(&self) {
        let Self { log_bytes, digest_bytes, share, .. } = self;
        let percent = 100.0 * share;
        println!("few kinds: log {log_bytes} bytes, digests {digest_bytes}: {percent:.2} %");
        for Asked { name, p50_ms, p99_ms, .. } in &self.questions {
            println!("{name}: p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms");
        }
    }

    pub(super) fn judge(&self) -> Verdict {
        targets::storage("storage_few_kinds", self.events, self.share)
    }
}

/// Fills such a log, digests it and asks.
pub(super) async fn measure(events: u64, options: &Options) -> Outcome<FewKinds> {
    let (server, config) = (NatsServer::start().await, config(events));
    let logging = Logging::start(&server.url(), config.clone()).await?;
    let client = server.client().await;
    let mut stream = jetstream::new(client.clone()).get_stream(STREAM).await?;
    let (mut rng, length) = (Rng::with_seed(23), Duration::from_micros(events * MICROS_APART));
    let start = Timestamp::from_nanos(1_764_000_000_000_000_000);
    let encoder = EventEncoder::new(EventSubjects::default());
    let encoded = (0..events).map(|n| {
        let seconds = (rng.f64() * 1e6).round() / 1e6;
        let mut event = Event::job_completed(RealisticLog::job(n), seconds, true);
        event = event.with_queue(format!("queue-{}", n % QUEUES)).with_job_name("kind_00");
        event = event.with_worker_id(format!("worker-{}", rng.u8(..64)));
        let at = start.saturating_add(Duration::from_micros(n * MICROS_APART));
        let encoded = encoder.encode(&event, at)?;
        Ok((encoded.subject().to_owned(), encoded.payload().clone()))
    });
    store(&client, &mut stream, encoded).await?;
    keeper::fold(&server.url(), &config, events).await?;
    let mut questions = Vec::new();
    type Make = fn(Range) -> Question;
    let asked: [(_, Make); 2] = [
        ("stats_few_kinds_warm", Question::Stats),
        ("analytics_few_kinds_warm", Question::Analytics),
    ];
    for (name, question) in asked {
        let mut times = Vec::new();
        for n in 0..=options.samples {
            // Half of the log, from any instant on.
            let from = start.saturating_add(length.mul_f64(rng.f64() / 2.0));
            let question = question(Range { start: from, end: from.saturating_add(length / 2) });
            let begun = Instant::now();
            let answer = question.ask(&logging.events).await?;
            if n > 0 {
                times.push(millis(begun));
            } else {
                same(&question, &answer, &raw::scan(&stream, &question).await?)?;
            }
        }
        questions.push(Asked::new(name, &times));
    }
    let log_bytes = stream.info().await?.state.bytes;
    let mut digests = jetstream::new(client).get_stream(format!("KV_{DIGESTS}")).await?;
    let digest_bytes = digests.info().await?.state.bytes;
    logging.stop().await?;
    let share = digest_bytes as f64 / log_bytes as f64;
    Ok(FewKinds { events, log_bytes, digest_bytes, share, questions })
}
