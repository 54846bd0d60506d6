//! Reading what a filter means, as it comes and from the log, in turns with a
//! raw consumer that decodes the same.

use std::time::Instant;

use futures::StreamExt;
use naq_core::config::EventsConfig;
use naq_core::events::{
    EventEncoder, EventItem, EventQuery, EventSubjects, Filter, ReadEvents, ReadUntil,
};
use serde::Serialize;
use tokio::time::timeout;

use super::log::RealisticLog;
use super::{Bench, PATIENCE, median, raw, store};
use crate::service::Logging;
use crate::{Outcome, report};

/// So many events are logged in a round, at most.
const MOST: u64 = 200_000;

/// The events that a filter lets through took longer than this, in seconds.
const LONG: f64 = 0.1;

/// How fast the events of one type that a filter means are read: `stream_filtered`
/// as they come, `read_filtered` from the log.
#[derive(Default, Serialize)]
pub(super) struct Streamed {
    naq_per_s: f64,
    raw_per_s: f64,
    pub(super) ratio: f64,
}

impl Streamed {
    /// Of events a second, by naq and by a raw consumer in turns.
    fn of(ours: Vec<f64>, raws: Vec<f64>) -> Outcome<Self> {
        let ratio = crate::spread::ratio(&ours, &raws).ok_or("no rounds were measured")?;
        Ok(Self { naq_per_s: median(ours)?, raw_per_s: median(raws)?, ratio })
    }

    pub(super) fn show(&self, what: &str) {
        let Self { naq_per_s, raw_per_s, ratio } = self;
        let [ours, raw] = [naq_per_s, raw_per_s].map(|rate| report::thousands(*rate));
        println!("{what}: naq {ours}/s, raw {raw}/s, {ratio:.2} x");
    }
}

/// Who reads.
#[derive(Debug, Clone, Copy)]
enum Reader {
    Naq,
    Raw,
}

/// How fast the completed jobs of the whole log are read.
pub(super) async fn read(bench: &Bench<'_>) -> Outcome<Streamed> {
    let filter = filter()?;
    let (mut ours, mut raws) = (Vec::new(), Vec::new());
    for _ in 0..bench.options.rounds {
        let begun = Instant::now();
        let (read, expected) = raw::filtered(&bench.stream, LONG).await?;
        raws.push(read as f64 / begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        let options = ReadEvents::default().with_filter(filter.clone()).with_until(ReadUntil::Head);
        let mut items = bench.logging.events.read_events(options);
        let mut found = 0;
        while let Some(item) = items.next().await {
            found += u64::from(matches!(item?, EventItem::Event(_)));
        }
        ours.push(read as f64 / begun.elapsed().as_secs_f64());
        if found != expected {
            return Err(format!("naq streamed {found} events, and raw {expected}").into());
        }
    }
    Streamed::of(ours, raws)
}

/// How fast the completed jobs of a log are read while it is written at full
/// speed: from its first event on until the reader has the last one.
pub(super) async fn stream(bench: &Bench<'_>) -> Outcome<Streamed> {
    let (mut ours, mut raws) = (Vec::new(), Vec::new());
    for round in 0..bench.options.rounds {
        raws.push(measure(bench, Reader::Raw, round).await?);
        ours.push(measure(bench, Reader::Naq, round).await?);
    }
    Streamed::of(ours, raws)
}

/// What is read by a filter: the completed jobs that took long.
fn filter() -> Outcome<Filter> {
    Ok(Filter::parse(&format!("type = job_completed and duration > {LONG}"))?)
}

/// One round, on a stream of its own: completed jobs a second.
async fn measure(bench: &Bench<'_>, reader: Reader, round: usize) -> Outcome<f64> {
    let root = format!("live_{round}_{reader:?}");
    let events = bench.run.events.min(MOST);
    let config = EventsConfig::default()
        .with_stream_name(root.as_str())
        .with_subject_root(root.as_str())
        .with_max_msgs(Some(events))
        .with_max_bytes(None);
    let encoder = EventEncoder::new(EventSubjects::new(root.as_str(), config.subjects)?);
    let logging = Logging::start(&bench.url, config).await?;
    let stream = bench.context.get_stream(&root).await?;
    let (mut messages, mut completed, mut long) = (Vec::new(), 0, 0);
    for (event, at) in RealisticLog::new(events, bench.start) {
        if event.event_type.as_str() == "job_completed" {
            completed += 1;
            long += u64::from(event.duration.is_some_and(|duration| duration > LONG));
        }
        let encoded = encoder.encode(&event, at)?;
        messages.push(Ok((encoded.subject().to_owned(), encoded.payload().clone())));
    }
    let mut items = logging.events.read_events(ReadEvents::live().with_filter(filter()?));
    if let Reader::Naq = reader {
        // It has begun to wait for what comes.
        let first = items.next().await.transpose()?;
        if !matches!(first, Some(EventItem::CaughtUp { .. })) {
            return Err(format!("an empty log begins with {first:?}").into());
        }
    }
    let consumer = match reader {
        Reader::Raw => Some(raw::consumer(&stream, &format!("{root}.job_completed.>")).await?),
        Reader::Naq => None,
    };
    let client = async_nats::connect(&bench.url).await?;
    let mut written = stream.clone();
    let begun = Instant::now();
    let writing =
        tokio::spawn(async move { store(&client, &mut written, messages.into_iter()).await });
    let reading = async {
        if let Some(consumer) = &consumer {
            return raw::live(consumer, completed).await;
        }
        let mut found = 0;
        while found < long {
            let item = items.next().await.ok_or("the reading ended")??;
            found += u64::from(matches!(item, EventItem::Event(_)));
        }
        Ok(())
    };
    timeout(PATIENCE, reading).await.map_err(|_| "the reader has not come to the end")??;
    let took = begun.elapsed();
    writing.await??;
    drop(items);
    logging.stop().await?;
    bench.context.delete_stream(&root).await?;
    Ok(completed as f64 / took.as_secs_f64())
}
