//! naq's own ways: `EventService` on the same server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use naq_core::config::{EventsConfig, Guarantee, SpoolConfig, SpoolMode, StreamMode};
use naq_core::events::{EventSink, EventSinkExt};

use super::Target;
use crate::Outcome;
use crate::service::Logging;
use crate::workload;

/// How long what was logged may take to be stored.
const PATIENCE: Duration = Duration::from_secs(60);

/// Logs the events from this many tasks on one service.
pub(super) async fn write(
    target: &Target,
    events: u64,
    tasks: u64,
    guarantee: Guarantee,
) -> Outcome<Duration> {
    log(target, events, tasks, config(target).with_guarantee(guarantee)).await
}

/// Logs the events from one task, each on disk before it is sent.
pub(super) async fn spooled(target: &Target, events: u64) -> Outcome<Duration> {
    let folder = tempfile::TempDir::with_prefix("naq-bench-spool-")?;
    let spool = SpoolConfig::in_folder(folder.path()).with_mode(SpoolMode::Always);
    log(target, events, 1, config(target).with_spool(spool)).await
}

fn config(target: &Target) -> EventsConfig {
    EventsConfig::default()
        .with_stream_name(target.root.as_str())
        .with_subject_root(target.root.as_str())
        .with_stream(StreamMode::Assume)
}

/// From the first event that is logged until all are stored.
async fn log(target: &Target, events: u64, tasks: u64, config: EventsConfig) -> Outcome<Duration> {
    let logging = Logging::start(&target.url, config).await?;
    let begun = Instant::now();
    let tasks: Vec<_> = (0..tasks)
        .map(|task| {
            let service = Arc::clone(&logging.events);
            // Each job's events are logged by one task, as a worker would.
            let (from, to) = (events * task / tasks, events * (task + 1) / tasks);
            tokio::spawn(async move {
                for n in from..to {
                    service.log_event(workload::event(n)).await?;
                }
                Ok::<(), naq_core::Error>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let report = logging.events.flush(PATIENCE).await?;
    let took = begun.elapsed();
    let counters = logging.events.counters();
    if !report.is_clean() || counters.acked != events {
        return Err(format!("{counters:?}").into());
    }
    logging.stop().await?;
    Ok(took)
}
