//! `reactions`: handling events with an empty handler, naq's groups beside a
//! raw durable consumer with explicit acknowledgements.
//!
//! Both have the same events, in turns in the same run, and the first tenth of
//! each round is not measured. Acknowledgements are sent and not waited for by
//! either; that all of them arrived is checked after each round.

mod meter;
mod naq;
mod raw;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream};
use clap::Args;
use naq_events::reactions::GroupOrder;
use naq_tests::server::NatsServer;
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval, sleep};

use self::meter::{Meter, percentile};
use crate::machine::Machine;
use crate::report;
use crate::spread::{Spread, ratio};
use crate::workload::RawEncoder;
use crate::{Outcome, cpu};

/// How to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Events in each round
    #[arg(long, default_value_t = 200_000)]
    events: u64,
    /// Rounds that count; one more is run first and left out
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Events in each round for the latency, at 500 a second
    #[arg(long, default_value_t = 500)]
    paced: u64,
    /// Events in each round of a group in order
    #[arg(long, default_value_t = 5_000)]
    ordered: u64,
}

const CONCURRENCY: [usize; 3] = [1, 16, 256];

/// So long apart are the events whose latency is measured.
const PACE: Duration = Duration::from_millis(2);

/// How long a stream is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stream with events, and where it is.
pub(crate) struct Target {
    url: String,
    client: async_nats::Client,
    /// The stream's name, and the root of its subjects.
    root: String,
    concurrency: usize,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    events: u64,
    rounds: usize,
    results: Vec<Measured>,
    /// A group that handles the events of each job in order: one at a time.
    naq_in_order_per_s: Spread,
}

#[derive(Serialize)]
struct Measured {
    concurrency: usize,
    naq_per_s: f64,
    raw_per_s: f64,
    /// The raw consumer, which decodes each event as naq does.
    raw_decoding_per_s: f64,
    /// naq to raw, and to raw that decodes: the medians of the rounds' ratios.
    ratio: f64,
    ratio_to_decoding: f64,
    naq_latency_p50_us: f64,
    naq_latency_p99_us: f64,
    raw_latency_p50_us: f64,
    raw_latency_p99_us: f64,
    /// Processor time for one event, of this process and of the server.
    naq_time_us: Time,
    raw_time_us: Time,
    raw_decoding_time_us: Time,
    naq_spread: Spread,
    raw_spread: Spread,
}

/// Processor time for one event, in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
struct Time {
    client: f64,
    server: f64,
}

impl Time {
    fn of(rates: &[Rate]) -> Outcome<Self> {
        let median = |time: fn(&Rate) -> f64| spread(rates.iter().map(time).collect());
        Ok(Self {
            client: median(|rate| rate.client_us)?.median,
            server: median(|rate| rate.server_us)?.median,
        })
    }
}

/// How fast events were handled in one round.
#[derive(Debug, Clone, Copy)]
struct Rate {
    per_s: f64,
    client_us: f64,
    server_us: f64,
}

/// Who handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Naq,
    NaqInOrder,
    Raw,
    /// Raw, and it decodes each event: what a handler that looks at it has to do.
    RawDecoding,
}

/// Runs the benchmark and writes its report.
pub(crate) async fn run(options: Options) -> Outcome {
    let server = NatsServer::start().await;
    let mut results = Vec::new();
    for concurrency in CONCURRENCY {
        let (mut naq, mut raw) = (Vec::new(), Vec::new());
        let (mut naq_late, mut raw_late) = (Vec::new(), Vec::new());
        let mut decoding = Vec::new();
        for round in 0..=options.rounds {
            let mut turns = [
                (Who::Raw, &mut raw, Some(&mut raw_late)),
                (Who::Naq, &mut naq, Some(&mut naq_late)),
                (Who::RawDecoding, &mut decoding, None),
            ];
            // Another one begins each round, so that none always follows the same.
            turns.rotate_left(round % 3);
            if round % 2 == 1 {
                turns.reverse();
            }
            for (who, rates, latencies) in turns {
                let rate = rate(&server, who, concurrency, round, options.events).await?;
                let late = match latencies {
                    Some(_) => latency(&server, who, concurrency, round, options.paced).await?,
                    None => Vec::new(),
                };
                if round > 0 {
                    rates.push(rate);
                    latencies.into_iter().for_each(|latencies| latencies.extend(&late));
                }
            }
        }
        naq_late.sort_by(f64::total_cmp);
        raw_late.sort_by(f64::total_cmp);
        let (naq_time_us, raw_time_us) = (Time::of(&naq)?, Time::of(&raw)?);
        let raw_decoding_time_us = Time::of(&decoding)?;
        let per_s = |rates: Vec<Rate>| rates.iter().map(|rate| rate.per_s).collect::<Vec<_>>();
        let (naq, raw, decoding) = (per_s(naq), per_s(raw), per_s(decoding));
        let to_raw = ratio(&naq, &raw).ok_or("no rounds were measured")?;
        let ratio_to_decoding = ratio(&naq, &decoding).ok_or("no rounds were measured")?;
        let (naq, raw) = (spread(naq)?, spread(raw)?);
        results.push(Measured {
            concurrency,
            naq_per_s: naq.median,
            raw_per_s: raw.median,
            raw_decoding_per_s: spread(decoding)?.median,
            ratio: to_raw,
            ratio_to_decoding,
            naq_latency_p50_us: percentile(&naq_late, 0.5),
            naq_latency_p99_us: percentile(&naq_late, 0.99),
            raw_latency_p50_us: percentile(&raw_late, 0.5),
            raw_latency_p99_us: percentile(&raw_late, 0.99),
            naq_time_us,
            raw_time_us,
            raw_decoding_time_us,
            naq_spread: naq,
            raw_spread: raw,
        });
    }
    let mut in_order = Vec::new();
    for round in 0..=options.rounds {
        let rate = rate(&server, Who::NaqInOrder, 1, round, options.ordered).await?;
        if round > 0 {
            in_order.push(rate.per_s);
        }
    }
    let naq_in_order_per_s = spread(in_order)?;
    let machine = Machine::with_server(&server.client().await.server_info().version);
    show(&machine, &results);
    println!("in order: {} events/s", report::thousands(naq_in_order_per_s.median));
    let Options { events, rounds, .. } = options;
    let report = Report { machine, events, rounds, results, naq_in_order_per_s };
    report::write("reactions.json", &report)
}

fn spread(rates: Vec<f64>) -> Outcome<Spread> {
    Spread::of(rates).ok_or_else(|| "no rounds were measured".into())
}

/// Events a second out of a stream that is full already.
async fn rate(
    server: &NatsServer,
    who: Who,
    concurrency: usize,
    round: usize,
    events: u64,
) -> Outcome<Rate> {
    let target = target(server, concurrency, &format!("{who:?}_{concurrency}_{round}")).await?;
    fill(&target, events).await?;
    let (own, pid) = (std::process::id(), server.pid().ok_or("the server is gone")?);
    let (client, of_server) = (cpu::time_of(own)?, cpu::time_of(pid)?);
    let meter = Meter::of_rate(events);
    let running = who.begin(&target, &meter).await?;
    let per_s = meter.all(PATIENCE).await?;
    let us = |time: Duration| time.as_secs_f64() * 1e6 / events as f64;
    let client_us = us(cpu::time_of(own)?.saturating_sub(client));
    let server_us = us(cpu::time_of(pid)?.saturating_sub(of_server));
    running.end(&target).await?;
    eprintln!("{concurrency:>4} round {round} {who:?} {:>9} events/s", report::thousands(per_s));
    Ok(Rate { per_s, client_us, server_us })
}

/// How long after being stored events reach a handler that is waiting.
async fn latency(
    server: &NatsServer,
    who: Who,
    concurrency: usize,
    round: usize,
    events: u64,
) -> Outcome<Vec<f64>> {
    let name = format!("{who:?}_{concurrency}_{round}_paced");
    let target = target(server, concurrency, &name).await?;
    let meter = Meter::of_latency(events);
    let running = who.begin(&target, &meter).await?;
    let mut encoder = RawEncoder::new();
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for n in 0..events {
        ticks.tick().await;
        let message = encoder.message(&target.root, n);
        target.client.publish(message.subject, message.payload.into()).await?;
    }
    meter.all(PATIENCE).await?;
    running.end(&target).await?;
    Ok(meter.latencies())
}

async fn target(server: &NatsServer, concurrency: usize, name: &str) -> Outcome<Target> {
    let client = server.client().await;
    let root = format!("bench_{name}");
    let config = stream::Config {
        name: root.clone(),
        subjects: vec![format!("{root}.>")],
        allow_direct: true,
        ..stream::Config::default()
    };
    jetstream::new(client.clone()).create_stream(config).await?;
    Ok(Target { url: server.url(), client, root, concurrency })
}

/// So many messages are sent before their being stored is awaited: a server that
/// has more than 10,000 of them waiting refuses some, and nobody would be told.
const UNSEEN: u64 = 5_000;

async fn fill(target: &Target, events: u64) -> Outcome {
    let mut encoder = RawEncoder::new();
    let mut stream = jetstream::new(target.client.clone()).get_stream(&target.root).await?;
    let begun = Instant::now();
    for n in 0..events {
        let message = encoder.message(&target.root, n);
        target.client.publish(message.subject, message.payload.into()).await?;
        let sent = n + 1;
        if sent % UNSEEN != 0 && sent != events {
            continue;
        }
        target.client.flush().await?;
        while stream.info().await?.state.messages < sent {
            if begun.elapsed() > PATIENCE {
                return Err("the stream was not filled".into());
            }
            sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(())
}

/// A handling under way.
enum Running {
    Naq(Box<naq::Handling>),
    Raw(raw::Handling),
}

impl Who {
    async fn begin(self, target: &Target, meter: &Arc<Meter>) -> Outcome<Running> {
        Ok(match self {
            Self::Naq | Self::NaqInOrder => {
                let order = if self == Self::Naq { GroupOrder::None } else { GroupOrder::Entity };
                Running::Naq(Box::new(naq::begin(target, order, Arc::clone(meter)).await?))
            }
            Self::Raw | Self::RawDecoding => {
                let decodes = self == Self::RawDecoding;
                Running::Raw(raw::begin(target, Arc::clone(meter), decodes).await?)
            }
        })
    }
}

impl Running {
    /// Ends it, and checks that every event was acknowledged.
    async fn end(self, target: &Target) -> Outcome {
        let context = jetstream::new(target.client.clone());
        let stream = context.get_stream(&target.root).await?;
        let begun = Instant::now();
        loop {
            let info = stream.consumer_info("handlers").await?;
            if info.num_ack_pending == 0 && info.num_pending == 0 {
                break;
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{}: not everything was acknowledged", target.root).into());
            }
            sleep(Duration::from_millis(5)).await;
        }
        match self {
            Self::Naq(handling) => handling.end().await?,
            Self::Raw(handling) => handling.end().await?,
        }
        context.delete_stream(&target.root).await?;
        // The room that a group's dead letters have is kept free for them.
        let dead = format!("{}_dead", target.root);
        if context.get_stream(&dead).await.is_ok() {
            context.delete_stream(&dead).await?;
        }
        Ok(())
    }
}

fn show(machine: &Machine, results: &[Measured]) {
    let rows = results.iter().map(|row| {
        let micros = |value: f64| format!("{value:.0}");
        let times = |time: Time| format!("{:.1} + {:.1}", time.client, time.server);
        vec![
            row.concurrency.to_string(),
            report::thousands(row.naq_per_s),
            report::thousands(row.raw_per_s),
            report::thousands(row.raw_decoding_per_s),
            format!("{:.2}", row.ratio),
            format!("{:.2}", row.ratio_to_decoding),
            micros(row.naq_latency_p50_us),
            micros(row.naq_latency_p99_us),
            micros(row.raw_latency_p50_us),
            micros(row.raw_latency_p99_us),
            times(row.naq_time_us),
            times(row.raw_time_us),
            times(row.raw_decoding_time_us),
        ]
    });
    let head = [
        "concurrency",
        "naq/s",
        "raw/s",
        "raw, decoding/s",
        "naq ÷ raw",
        "naq ÷ raw, decoding",
        "naq p50 µs",
        "naq p99 µs",
        "raw p50 µs",
        "raw p99 µs",
        "naq client + server µs",
        "raw client + server µs",
        "raw, decoding client + server µs",
    ];
    println!("\n{}\n{}", machine.line(), report::table(&head, rows));
}
