//! naq's own ways: `EventService` on the same server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use naq_core::config::{EventsConfig, Guarantee, SpoolConfig, SpoolMode, StreamMode};
use naq_core::events::{EventQuery, EventSink, EventSinkExt, ReadEvents};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::Target;
use crate::Outcome;
use crate::service::Logging;
use crate::workload;

/// How long what was logged may take to be stored.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running service that logs to a target's stream.
pub(super) struct Service {
    logging: Logging,
    tasks: u64,
    /// Where its spool lies, if it has one.
    _spool: Option<TempDir>,
    /// Another service that reads what is logged, if there is one.
    reader: Option<Reader>,
}

impl Service {
    /// A service on which this many tasks log.
    pub(super) async fn start(target: &Target, tasks: u64, guarantee: Guarantee) -> Outcome<Self> {
        let config = config(target).with_guarantee(guarantee);
        let logging = Logging::start(&target.url, config).await?;
        Ok(Self { logging, tasks, _spool: None, reader: None })
    }

    /// A service on which one task logs, each event on disk before it is sent.
    pub(super) async fn start_spooled(target: &Target) -> Outcome<Self> {
        let folder = TempDir::with_prefix("naq-bench-spool-")?;
        let spool = SpoolConfig::in_folder(folder.path()).with_mode(SpoolMode::Always);
        let logging = Logging::start(&target.url, config(target).with_spool(spool)).await?;
        Ok(Self { logging, tasks: 1, _spool: Some(folder), reader: None })
    }

    /// Lets another service, on a connection of its own, read what is logged.
    pub(super) async fn with_reader(mut self, target: &Target) -> Outcome<Self> {
        self.reader = Some(Reader::start(target).await?);
        Ok(self)
    }

    /// Logs so many events, and returns when all are stored.
    pub(super) async fn write(&self, events: u64) -> Outcome {
        let acked = self.logging.events.counters().acked;
        let tasks: Vec<_> = (0..self.tasks)
            .map(|task| {
                let service = Arc::clone(&self.logging.events);
                // Each job's events are logged by one task, as a worker would.
                let (from, to) = (events * task / self.tasks, events * (task + 1) / self.tasks);
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
        let report = self.logging.events.flush(PATIENCE).await?;
        let counters = self.logging.events.counters();
        if !report.is_clean() || counters.acked != acked + events {
            return Err(format!("{counters:?}").into());
        }
        Ok(())
    }

    pub(super) async fn stop(self) -> Outcome {
        if let Some(reader) = self.reader {
            reader.stop(self.logging.events.counters().acked).await?;
        }
        self.logging.stop().await
    }
}

/// A service that reads a log from its beginning on, and live.
struct Reader {
    logging: Logging,
    read: Arc<AtomicU64>,
    task: JoinHandle<Outcome>,
}

impl Reader {
    async fn start(target: &Target) -> Outcome<Self> {
        let logging = Logging::start(&target.url, config(target)).await?;
        let read = Arc::new(AtomicU64::new(0));
        let (events, count) = (Arc::clone(&logging.events), Arc::clone(&read));
        let task = tokio::spawn(async move {
            let mut items = events.read_events(ReadEvents::live());
            while let Some(item) = items.next().await {
                if item?.event().is_some() {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok(())
        });
        Ok(Self { logging, read, task })
    }

    /// Ends it once it has read so many events, which it does in time.
    async fn stop(self, events: u64) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        while self.read.load(Ordering::Relaxed) < events {
            if self.task.is_finished() {
                self.task.await??;
                return Err("the reading ended".into());
            }
            if Instant::now() > deadline {
                let read = self.read.load(Ordering::Relaxed);
                return Err(format!("{read} of {events} events are read").into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.task.abort();
        self.logging.stop().await
    }
}

fn config(target: &Target) -> EventsConfig {
    EventsConfig::default()
        .with_stream_name(target.root.as_str())
        .with_subject_root(target.root.as_str())
        .with_stream(StreamMode::Assume)
}
