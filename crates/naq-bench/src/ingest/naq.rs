//! naq's own ways: `EventService` on the same server.

use std::sync::Arc;
use std::time::Duration;

use naq_connection::ConnectionService;
use naq_core::clock::SystemClock;
use naq_core::config::{ConnectionConfig, EventsConfig, Guarantee, ServerConfig, StreamMode};
use naq_core::connection::ConnectionProvider;
use naq_core::events::{EventSink, EventSinkExt};
use naq_core::service::Service;
use naq_events::EventService;
use naq_streams::StreamService;

use super::Target;
use crate::Outcome;
use crate::workload;

/// Logs the events from this many tasks on one service.
pub(super) async fn write(
    target: &Target,
    events: u64,
    tasks: u64,
    guarantee: Guarantee,
) -> Outcome {
    let connection = Arc::new(ConnectionService::new(
        Vec::new(),
        ConnectionConfig::default()
            .with_server(ServerConfig::default().with_url(target.url.as_str())),
    ));
    connection.start().await?;
    let connections: Arc<dyn ConnectionProvider> = connection.clone();
    let streams = Arc::new(StreamService::new(Arc::clone(&connections)));
    let config = EventsConfig::default()
        .with_stream_name(target.root.as_str())
        .with_subject_root(target.root.as_str())
        .with_stream(StreamMode::Assume)
        .with_guarantee(guarantee);
    let service =
        Arc::new(EventService::new(connections, streams, Arc::new(SystemClock::new()), config)?);
    service.start().await?;
    let tasks: Vec<_> = (0..tasks)
        .map(|task| {
            let service = Arc::clone(&service);
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
    let report = service.flush(Duration::from_secs(60)).await?;
    let counters = service.counters();
    if !report.is_clean() || counters.acked != events {
        return Err(format!("{counters:?}").into());
    }
    service.stop(Duration::from_secs(10)).await?;
    connection.stop(Duration::from_secs(10)).await?;
    Ok(())
}
