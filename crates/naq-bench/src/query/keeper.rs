//! What a keeper costs: the log that it digests, and the ingest that it follows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use naq_core::config::EventsConfig;
use naq_core::events::{EventSink, EventSinkExt};
use naq_events::EventService;
use naq_tests::server::NatsServer;
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{PATIENCE, median, millis, raw};
use crate::service::Logging;
use crate::spread::ratio;
use crate::{Outcome, report, workload};

/// How often its lag is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How often it is looked whether somebody has come to the log's end.
const OFTEN: Duration = Duration::from_millis(5);

/// So many events are logged before the clock runs, at most.
const WARM_UP: u64 = 20_000;

/// How quick a keeper digests a log that has no digests.
#[derive(Default, Serialize)]
pub(super) struct Folded {
    folded_per_s: f64,
    raw_scan_per_s: f64,
    ratio: f64,
}

impl Folded {
    /// Of events a second, by a keeper and by a raw scan in turns.
    pub(super) fn of(ours: Vec<f64>, raws: Vec<f64>) -> Outcome<Self> {
        let ratio = ratio(&ours, &raws).ok_or("no rounds were measured")?;
        Ok(Self { folded_per_s: median(ours)?, raw_scan_per_s: median(raws)?, ratio })
    }

    pub(super) fn show(&self) {
        let Self { folded_per_s, raw_scan_per_s, ratio } = self;
        let [ours, raw] = [folded_per_s, raw_scan_per_s].map(|rate| report::thousands(*rate));
        println!("keeper: {ours} events/s digested, raw scan {raw}/s, {ratio:.2} x");
    }
}

/// How long a keeper, its start included, takes for a log of so many events.
pub(super) async fn fold(url: &str, config: &EventsConfig, events: u64) -> Outcome<Duration> {
    let begun = Instant::now();
    let keeper = Logging::start_keeper(url, config.clone()).await?;
    reached(&keeper.events, events).await?;
    let took = begun.elapsed();
    keeper.stop().await?;
    Ok(took)
}

/// Through which sequence a service has digested the log.
async fn through(events: &EventService) -> Outcome<u64> {
    Ok(events.keeper().await?.map_or(0, |keeper| keeper.through))
}

/// Waits until a keeper has come that far.
async fn reached(keeper: &EventService, events: u64) -> Outcome {
    let begun = Instant::now();
    while through(keeper).await? < events {
        if begun.elapsed() > PATIENCE {
            return Err(format!("the keeper has not come to {events} in {PATIENCE:?}").into());
        }
        sleep(OFTEN).await;
    }
    Ok(())
}

/// What ingest at full speed loses to a keeper, and how far that is behind.
#[derive(Serialize)]
pub(super) struct Ingested {
    events: u64,
    rounds: usize,
    /// Events a second that are logged while nobody reads them.
    alone_per_s: f64,
    /// While a plain reader follows.
    with_reader_per_s: f64,
    /// While a keeper does, in a service of its own.
    with_keeper_per_s: f64,
    keeper_of_reader: f64,
    keeper_of_alone: f64,
    reader_of_alone: f64,
    /// How many events the keeper was behind, looked at each 100 ms.
    behind_median: f64,
    behind_max: f64,
    /// How long after the last event was stored the keeper had digested it.
    caught_up_ms: f64,
    caught_up_max_ms: f64,
}

/// Who follows what is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nobody,
    Reader,
    Keeper,
}

/// The events a second of each round, and what the keeper was behind in all of them.
#[derive(Default)]
struct Rounds {
    alone: Vec<f64>,
    reader: Vec<f64>,
    keeper: Vec<f64>,
    behind: Vec<f64>,
    caught_up_ms: Vec<f64>,
}

/// Logs so many events in turns alone, beside a plain reader and beside a keeper.
pub(super) async fn ingest(events: u64, rounds: usize) -> Outcome<Ingested> {
    let server = NatsServer::start().await;
    let mut all = Rounds::default();
    let mut order = [Beside::Nobody, Beside::Reader, Beside::Keeper];
    for round in 0..rounds {
        // None always follows the same one.
        order.rotate_left(1);
        for beside in order {
            let rate = measure(&server, beside, round, events, &mut all).await?;
            eprintln!("round {round} {beside:?}: {} events/s", report::thousands(rate));
            let rates = match beside {
                Beside::Nobody => &mut all.alone,
                Beside::Reader => &mut all.reader,
                Beside::Keeper => &mut all.keeper,
            };
            rates.push(rate);
        }
    }
    let of = |of: &[f64], to: &[f64]| ratio(of, to).ok_or("no rounds were measured");
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    Ok(Ingested {
        events,
        rounds,
        keeper_of_reader: of(&all.keeper, &all.reader)?,
        keeper_of_alone: of(&all.keeper, &all.alone)?,
        reader_of_alone: of(&all.reader, &all.alone)?,
        behind_max: most(&all.behind),
        caught_up_max_ms: most(&all.caught_up_ms),
        alone_per_s: median(all.alone)?,
        with_reader_per_s: median(all.reader)?,
        with_keeper_per_s: median(all.keeper)?,
        behind_median: median(all.behind)?,
        caught_up_ms: median(all.caught_up_ms)?,
    })
}

/// One round, on a stream of its own: events a second until all are stored.
async fn measure(
    server: &NatsServer,
    beside: Beside,
    round: usize,
    events: u64,
    all: &mut Rounds,
) -> Outcome<f64> {
    let (url, root) = (server.url(), format!("keeper_{round}_{beside:?}"));
    let warm_up = WARM_UP.min(events);
    let config = EventsConfig::default()
        .with_stream_name(root.as_str())
        .with_subject_root(root.as_str())
        .with_max_msgs(Some(warm_up + events))
        .with_max_bytes(None);
    let producer = Logging::start(&url, config.clone()).await?;
    let context = jetstream::new(server.client().await);
    let mut stream = context.get_stream(&root).await?;
    let read = Arc::new(AtomicU64::new(0));
    let reader = (beside == Beside::Reader).then(|| {
        let (stream, read) = (stream.clone(), Arc::clone(&read));
        tokio::spawn(async move { raw::follow(&stream, &read).await })
    });
    let keeper = match beside {
        Beside::Keeper => Some(Logging::start_keeper(&url, config).await?),
        _ => None,
    };
    write(Arc::clone(&producer.events), 0..warm_up).await?;
    match (&keeper, &reader) {
        (Some(keeper), _) => reached(&keeper.events, warm_up).await?,
        (_, Some(reader)) => has_read(reader, &read, warm_up).await?,
        _ => {}
    }
    let begun = Instant::now();
    // In a task of its own, as programs do it: the main one is slower to be woken.
    let writing = tokio::spawn(write(Arc::clone(&producer.events), warm_up..warm_up + events));
    while let (Some(keeper), false) = (&keeper, writing.is_finished()) {
        sleep(LOOK).await;
        let through = through(&keeper.events).await?;
        let behind = stream.info().await?.state.last_sequence.saturating_sub(through);
        all.behind.push(behind as f64);
        if let Some(trouble) = keeper.events.keeper_trouble() {
            return Err(format!("the keeper can't go on: {trouble}").into());
        }
    }
    let written = writing.await??;
    let took = written.duration_since(begun);
    match (&keeper, &reader) {
        (Some(keeper), _) => {
            reached(&keeper.events, warm_up + events).await?;
            all.caught_up_ms.push(millis(written));
        }
        (_, Some(reader)) => has_read(reader, &read, warm_up + events).await?,
        _ => {}
    }
    if let Some(reader) = reader {
        reader.abort();
    }
    if let Some(keeper) = keeper {
        keeper.stop().await?;
    }
    producer.stop().await?;
    context.delete_stream(&root).await?;
    Ok(events as f64 / took.as_secs_f64())
}

/// Logs these events; answers when all are stored.
async fn write(events: Arc<EventService>, numbers: std::ops::Range<u64>) -> Outcome<Instant> {
    let (acked, count) = (events.counters().acked, numbers.end - numbers.start);
    for n in numbers {
        events.log_event(workload::event(n)).await?;
    }
    let report = events.flush(PATIENCE).await?;
    let counters = events.counters();
    if !report.is_clean() || counters.acked != acked + count {
        return Err(format!("{counters:?}").into());
    }
    Ok(Instant::now())
}

/// Waits until a reader has read so many events.
async fn has_read(reader: &JoinHandle<Outcome>, read: &AtomicU64, events: u64) -> Outcome {
    let begun = Instant::now();
    while read.load(Ordering::Relaxed) < events {
        if reader.is_finished() || begun.elapsed() > PATIENCE {
            return Err(format!("the reader has not come to {events}").into());
        }
        sleep(OFTEN).await;
    }
    Ok(())
}

impl Ingested {
    pub(super) fn show(&self) {
        let row = |beside: &str, rate: f64, of_alone: f64, of_reader: Option<f64>| {
            let of_reader = of_reader.map_or_else(|| "-".to_owned(), |it| format!("{it:.2}"));
            let rate = report::thousands(rate);
            vec![beside.to_owned(), rate, format!("{of_alone:.2}"), of_reader]
        };
        let rows = [
            row("nobody", self.alone_per_s, 1.0, None),
            row("a plain reader", self.with_reader_per_s, self.reader_of_alone, Some(1.0)),
            row(
                "a keeper",
                self.with_keeper_per_s,
                self.keeper_of_alone,
                Some(self.keeper_of_reader),
            ),
        ];
        let head = ["ingest beside", "events/s", "× alone", "× beside a reader"];
        println!(
            "\n{} events in each of {} rounds\n{}",
            report::thousands(self.events as f64),
            self.rounds,
            report::table(&head, rows)
        );
        println!(
            "the keeper was {} events behind (at most {}), and had caught up {:.0} ms after the \
             last event was stored (at most {:.0} ms)",
            report::thousands(self.behind_median),
            report::thousands(self.behind_max),
            self.caught_up_ms,
            self.caught_up_max_ms
        );
    }
}
