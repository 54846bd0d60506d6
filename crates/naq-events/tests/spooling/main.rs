//! The event service with a spool: what the server doesn't take survives.

// Helpers of tests are tests, wherever they stand.
#![allow(clippy::unwrap_used, clippy::panic)]

mod account;
mod always;
mod doubts;
#[cfg(target_os = "linux")]
mod hanging;
mod outage;
mod trouble;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use naq_core::config::SpoolConfig;
use naq_core::connection::SingleJetStream;
use naq_core::events::EventCounters;
use naq_core::jetstream::{JetStreamExt, ReadOptions, StoredMessage};
use naq_events::prelude::*;
use naq_memory::MemoryJetStream;
use naq_streams::StreamService;

const SECOND: Duration = Duration::from_secs(1);

/// How long a test waits in real time for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Tries that follow each other so fast that no test waits for them, and a spool.
fn quick(dir: &Path) -> EventsConfig {
    EventsConfig::default()
        .with_retry_backoff_min(Duration::from_millis(5))
        .with_retry_backoff_max(Duration::from_millis(20))
        .with_spool(SpoolConfig::in_folder(dir))
}

async fn started(jetstream: &MemoryJetStream, config: EventsConfig) -> Arc<EventService> {
    started_by(jetstream, config, Arc::new(SystemClock::new())).await
}

async fn started_by(
    jetstream: &MemoryJetStream,
    config: EventsConfig,
    clock: Arc<dyn Clock>,
) -> Arc<EventService> {
    let connections = SingleJetStream::provider(Arc::new(jetstream.clone()));
    let streams = Arc::new(StreamService::new(Arc::clone(&connections)));
    let service = EventService::new(connections, streams, clock, config).unwrap();
    service.start().await.unwrap();
    Arc::new(service)
}

/// Events of this job: their numbers are their messages.
async fn log(events: &EventService, job: &str, numbers: std::ops::Range<u64>) {
    for number in numbers {
        events.log_job_progress(job, &number.to_string()).await.unwrap();
    }
}

async fn stored(jetstream: &MemoryJetStream) -> Vec<StoredMessage> {
    jetstream.read_to_head("events", ReadOptions::default()).await.unwrap()
}

/// The numbers of a job's events as they are stored, in order.
async fn numbers(jetstream: &MemoryJetStream, job: &str) -> Vec<u64> {
    let all = stored(jetstream).await;
    let of_job = all.iter().filter(|message| message.subject.ends_with(&format!(".{job}")));
    of_job
        .map(|message| {
            let event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
            event["message"].as_str().unwrap().parse().unwrap()
        })
        .collect()
}

/// Waits until the account is so.
async fn until(events: &EventService, what: &str, mut is_so: impl FnMut(&EventCounters) -> bool) {
    let started = std::time::Instant::now();
    loop {
        let counters = events.counters();
        assert!(counters.is_balanced(), "{counters:?}");
        if is_so(&counters) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{what} doesn't come: {counters:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
