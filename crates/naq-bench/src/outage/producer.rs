//! The program whose server goes away: it logs at an even pace all the while.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::Args;
use naq_core::config::{EventsConfig, OverflowPolicy, Size, SpoolConfig};
use naq_core::events::{EventCounters, EventSink, EventSinkExt};
use naq_events::EventService;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::memory::{Peak, resident};
use super::{ROOT, Told};
use crate::Outcome;
use crate::pace::Pace;
use crate::samples::Samples;
use crate::service::Logging;
use crate::workload::Names;

/// What the benchmark tells its producer.
#[derive(Debug, Args)]
pub(crate) struct ProducerOptions {
    /// Where the server is
    #[arg(long)]
    url: String,
    /// How long it is away, in seconds
    #[arg(long)]
    seconds: u64,
    /// How many events are logged in a second
    #[arg(long)]
    rate: u64,
    /// The folder of the spool, if there is to be one
    #[arg(long)]
    spool: Option<PathBuf>,
}

/// How long the server is there before it goes, in seconds; the first of them doesn't count.
const UP: u64 = 6;

/// How long everything may take until it is stored when the server is back.
const RECOVERY: Duration = Duration::from_secs(240);

/// What the logging thread measures now.
mod phase {
    pub(super) const NOTHING: u8 = 0;
    pub(super) const UP: u8 = 1;
    pub(super) const DOWN: u8 = 2;
    pub(super) const END: u8 = 3;
}

/// What the logging thread saw, in nanoseconds a call.
struct Logged {
    offered: u64,
    up: Vec<u64>,
    down: Vec<u64>,
}

/// Logs through an outage and prints what that cost.
pub(crate) async fn produce(options: ProducerOptions) -> Outcome {
    let ProducerOptions { url, seconds, rate, spool } = options;
    let mut config = EventsConfig::default()
        .with_stream_name(ROOT)
        .with_subject_root(ROOT)
        .with_max_msgs(None::<u64>)
        .with_max_bytes(Some(Size::from_gib(8)))
        .with_overflow(OverflowPolicy::DropNewest)
        .with_delivery_timeout(Duration::from_secs(180));
    if let Some(folder) = spool {
        config =
            config.with_spool(SpoolConfig::in_folder(folder).with_max_bytes(Size::from_gib(4)));
    }
    let buffer_bytes = config.buffer_max_bytes.bytes();
    let logging = Logging::start(&url, config).await?;
    let now = Arc::new(AtomicU8::new(phase::NOTHING));
    let (up, down) = (touched(UP * rate), touched((seconds + 10) * rate));
    let logger = spawn(Arc::clone(&logging.events), Arc::clone(&now), rate, up, down);

    pause(1).await;
    now.store(phase::UP, Ordering::Relaxed);
    pause(UP - 1).await;
    now.store(phase::NOTHING, Ordering::Relaxed);
    let before = resident()?;
    let peak = Peak::watch();
    block_in_place(|| ask("kill"))?;
    now.store(phase::DOWN, Ordering::Relaxed);
    pause(seconds).await;
    now.store(phase::END, Ordering::Relaxed);
    let logged = tokio::task::spawn_blocking(|| logger.join()).await?;
    let logged = logged.map_err(|_| "the logging thread panicked")??;

    block_in_place(|| ask("restart"))?;
    let recovered_events_per_s = recover(&logging.events).await?;
    let counters = logging.events.counters();
    let told = Told {
        buffer_bytes,
        offered: logged.offered,
        dropped: counters.dropped,
        rss_growth_bytes: peak.most()?.saturating_sub(before),
        log_p99_us_up: p99_us(logged.up),
        log_p99_us_down: p99_us(logged.down),
        recovered_events_per_s,
    };
    logging.stop().await?;
    println!("{}", serde_json::to_string(&told)?);
    Ok(())
}

/// Room for measurements that is the process's own before memory is looked at.
fn touched(length: u64) -> Vec<u64> {
    let mut room = vec![1; length as usize];
    room.clear();
    room
}

fn spawn(
    events: Arc<EventService>,
    now: Arc<AtomicU8>,
    rate: u64,
    up: Vec<u64>,
    down: Vec<u64>,
) -> JoinHandle<Outcome<Logged>> {
    let runtime = Handle::current();
    thread::spawn(move || {
        let mut logged = Logged { offered: 0, up, down };
        let mut pace = Pace::per_second(rate);
        loop {
            let event = Names::of(logged.offered).event(logged.offered);
            pace.wait();
            let begun = Instant::now();
            runtime.block_on(events.log_event(event))?;
            let took = begun.elapsed().as_nanos() as u64;
            logged.offered += 1;
            match now.load(Ordering::Relaxed) {
                phase::UP => logged.up.push(took),
                phase::DOWN => logged.down.push(took),
                phase::END => return Ok(logged),
                _ => {}
            }
        }
    })
}

async fn pause(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Asks the benchmark for something and waits until it is done.
fn ask(what: &str) -> Outcome {
    println!("{what}");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == "done" { Ok(()) } else { Err("the benchmark is gone".into()) }
}

/// Waits until nothing is left to store, and says how many were stored in a second.
async fn recover(events: &EventService) -> Outcome<f64> {
    let (before, begun) = (events.counters().acked, Instant::now());
    let is_done = |now: &EventCounters| now.pending + now.spooled == 0;
    let mut counters = events.counters();
    while !is_done(&counters) {
        if begun.elapsed() > RECOVERY {
            return Err(format!("not recovered: {counters:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        counters = events.counters();
    }
    Ok((counters.acked - before) as f64 / begun.elapsed().as_secs_f64())
}

fn p99_us(nanos: Vec<u64>) -> f64 {
    Samples::of(nanos).at(0.99) as f64 / 1_000.0
}
