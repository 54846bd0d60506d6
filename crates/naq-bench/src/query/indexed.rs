//! Readings by an index, beside a raw scan that finds the same.

use std::time::Instant;

use async_nats::jetstream::stream::Stream;
use futures::TryStreamExt;
use naq_core::Timestamp;
use naq_core::events::{Event, EventItem, EventQuery, Filter, ReadEvents};
use naq_events::EventService;

use super::ask::Range;
use super::log::{QUEUES, WORKERS, error_types};
use super::{Asked, Bench, millis, raw};
use crate::Outcome;

/// The indexes that are made, and their fields.
const INDEXES: [(&str, &[&str]); 2] =
    [("jobs", &["job_id"]), ("others", &["worker_id", "queue", "error_type"])];
/// So many events are a page.
const PAGE: u64 = 100;

impl Bench<'_> {
    /// Builds indexes.
    pub(super) async fn index(&self) -> Outcome {
        let events = &self.logging.events;
        for (name, fields) in INDEXES {
            events.create_event_index(name, fields).await?;
            let begun = Instant::now();
            let progress: Vec<_> = events.build_event_index(name).try_collect().await?;
            let read = progress.last().map_or(0, |progress| progress.read);
            let status = events.event_index_status(name).await?;
            let (took, bytes) = (begun.elapsed(), status.bytes);
            eprintln!("{read} events indexed by {fields:?} in {took:?}: {bytes} bytes");
        }
        Ok(())
    }

    /// Asks for what the indexes know.
    pub(super) async fn indexed(&mut self) -> Outcome {
        let worker = |rng: &mut fastrand::Rng, _| {
            let text = format!("worker_id = worker-{:02}", rng.u64(..WORKERS));
            Ok(ReadEvents::default().with_filter(Filter::parse(&text)?).with_newest_first())
        };
        self.found_by_index("history_worker_index", worker).await?;
        let types = error_types();
        let failed = |rng: &mut fastrand::Rng, start: Timestamp| {
            let Range { start, end } = Range::some_hour(rng, start);
            let queue = rng.u64(..QUEUES);
            let class = types.get(rng.usize(..types.len())).copied().unwrap_or_default();
            let text = format!(
                "queue = queue-{queue} and error_type = {class} and timestamp between {start} and {end}"
            );
            Ok(ReadEvents::default().with_filter(Filter::parse(&text)?))
        };
        self.found_by_index("filter_indexed", failed).await
    }

    async fn found_by_index(
        &mut self,
        name: &'static str,
        make: impl Fn(&mut fastrand::Rng, Timestamp) -> Outcome<ReadEvents>,
    ) -> Outcome {
        let mut times = Vec::new();
        let mut raw_scan = None;
        for _ in 0..self.options.samples {
            let reading = make(&mut self.rng, self.start)?.with_limit(PAGE);
            let begun = Instant::now();
            let found = page(&self.logging.events, &reading).await?;
            times.push(millis(begun));
            // A scan takes its time: one of the answers is held against it.
            if raw_scan.is_none() {
                let begun = Instant::now();
                let mut expected = scan(&self.stream, &reading.filter).await?;
                raw_scan = Some(millis(begun));
                if reading.newest_first {
                    expected.reverse();
                }
                expected.truncate(PAGE as usize);
                if found != expected {
                    return Err(format!("{reading:?}: {found:?}, and raw {expected:?}").into());
                }
            }
        }
        let mut asked = Asked::new(name, &times);
        asked.raw_scan_ms = raw_scan;
        self.add(asked);
        Ok(())
    }
}

/// The sequences of what a reading yields.
async fn page(events: &EventService, reading: &ReadEvents) -> Outcome<Vec<u64>> {
    let items = events.read_events(reading.clone());
    let sequences = items.try_filter_map(|item| async move {
        Ok(match item {
            EventItem::Event(recorded) => Some(recorded.position.sequence),
            _ => None,
        })
    });
    Ok(sequences.try_collect().await?)
}

/// The same by reading and decoding all.
async fn scan(stream: &Stream, filter: &Filter) -> Outcome<Vec<u64>> {
    raw::sequences(stream, |event: &Event| filter.matches(event)).await
}
