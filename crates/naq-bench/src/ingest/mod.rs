//! `ingest`: events a second into a stream, the raw ways beside naq's.

mod fast;
mod naq;
mod port;
mod raw;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream};
use clap::Args;
use naq_core::config::Guarantee;
use naq_tests::server::NatsServer;
use serde::Serialize;

use crate::machine::Machine;
use crate::report;
use crate::spread::{Spread, ratio};
use crate::{Outcome, cpu};

/// How to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Events in each round of each way
    #[arg(long, default_value_t = 200_000)]
    events: u64,
    /// Rounds that count; one more is run first and left out
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only the ways of these names, such as `raw_fast_ingest,naq_read_back`
    #[arg(long, value_delimiter = ',', value_parser = way)]
    only: Vec<Way>,
}

/// So many events are written before the clock runs: connections are up then,
/// buffers have grown, and the stream has its first blocks.
const WARM_UP: u64 = 100_000;

/// A way to write events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    RawSequential,
    RawPipelined,
    RawPipelinedMsgid,
    RawFastIngest,
    RawFastIngestMsgid,
    RawNoAck,
    NaqPortFast,
    NaqPortFastMsgid,
    NaqMessageId,
    NaqReadBack,
    NaqAtLeastOnce,
    NaqSpoolAlways,
    NaqMessageId8Tasks,
    NaqMessageIdPipelined,
    NaqMessageIdRead,
}

const WAYS: &[Way] = &[
    Way::RawSequential,
    Way::RawPipelined,
    Way::RawPipelinedMsgid,
    Way::RawFastIngest,
    Way::RawFastIngestMsgid,
    Way::RawNoAck,
    Way::NaqPortFast,
    Way::NaqPortFastMsgid,
    Way::NaqMessageId,
    Way::NaqReadBack,
    Way::NaqAtLeastOnce,
    Way::NaqSpoolAlways,
    Way::NaqMessageId8Tasks,
    Way::NaqMessageIdPipelined,
    Way::NaqMessageIdRead,
];

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::RawSequential => "raw_sequential",
            Self::RawPipelined => "raw_pipelined",
            Self::RawPipelinedMsgid => "raw_pipelined_msgid",
            Self::RawFastIngest => "raw_fast_ingest",
            Self::RawFastIngestMsgid => "raw_fast_ingest_msgid",
            Self::RawNoAck => "raw_no_ack",
            Self::NaqPortFast => "naq_port_fast",
            Self::NaqPortFastMsgid => "naq_port_fast_msgid",
            Self::NaqMessageId => "naq_message_id",
            Self::NaqReadBack => "naq_read_back",
            Self::NaqAtLeastOnce => "naq_at_least_once",
            Self::NaqSpoolAlways => "naq_spool_always",
            Self::NaqMessageId8Tasks => "naq_message_id_8_tasks",
            Self::NaqMessageIdPipelined => "naq_message_id_pipelined",
            Self::NaqMessageIdRead => "naq_message_id_read",
        }
    }

    /// One awaited publish after the other takes long: fewer will do.
    fn events(self, events: u64) -> u64 {
        if self == Self::RawSequential { (events / 20).max(1) } else { events }
    }

    /// Starts what it writes with.
    async fn start(self, target: &Target) -> Outcome<Writer> {
        let naq = |tasks, guarantee| naq::Service::start(target, tasks, guarantee);
        Ok(match self {
            Self::NaqPortFast => Writer::Port(Box::new(port::Port::start(target, false).await?)),
            Self::NaqPortFastMsgid => {
                Writer::Port(Box::new(port::Port::start(target, true).await?))
            }
            Self::NaqMessageId => Writer::Naq(naq(1, Guarantee::MessageId).await?),
            Self::NaqReadBack => Writer::Naq(naq(1, Guarantee::ReadBack).await?),
            Self::NaqAtLeastOnce => Writer::Naq(naq(1, Guarantee::AtLeastOnce).await?),
            Self::NaqSpoolAlways => Writer::Naq(naq::Service::start_spooled(target).await?),
            Self::NaqMessageId8Tasks => Writer::Naq(naq(8, Guarantee::MessageId).await?),
            // The stream takes no batches: the writer finds that out by itself.
            Self::NaqMessageIdPipelined => Writer::Naq(naq(1, Guarantee::MessageId).await?),
            Self::NaqMessageIdRead => {
                Writer::Naq(naq(1, Guarantee::MessageId).await?.with_reader(target).await?)
            }
            raw => Writer::Raw(raw),
        })
    }
}

/// A way that is ready to write.
enum Writer {
    Raw(Way),
    Port(Box<port::Port>),
    Naq(naq::Service),
}

impl Writer {
    /// Writes so many events, and returns when all are stored.
    async fn write(&self, target: &Target, events: u64) -> Outcome {
        match self {
            Self::Raw(Way::RawSequential) => raw::sequential(target, events).await,
            Self::Raw(Way::RawPipelined) => raw::pipelined(target, events, false).await,
            Self::Raw(Way::RawPipelinedMsgid) => raw::pipelined(target, events, true).await,
            Self::Raw(Way::RawFastIngest) => fast::ingest(target, events, false).await,
            Self::Raw(Way::RawFastIngestMsgid) => fast::ingest(target, events, true).await,
            Self::Raw(_) => raw::no_ack(target, events).await,
            Self::Port(port) => port.write(target, events).await,
            Self::Naq(service) => service.write(events).await,
        }
    }

    async fn stop(self) -> Outcome {
        match self {
            Self::Raw(_) => Ok(()),
            Self::Port(port) => port.stop().await,
            Self::Naq(service) => service.stop().await,
        }
    }
}

/// The way of this name.
fn way(name: &str) -> Result<Way, String> {
    let known = || WAYS.iter().map(|way| way.name()).collect::<Vec<_>>().join(", ");
    WAYS.iter()
        .copied()
        .find(|way| way.name() == name)
        .ok_or_else(|| format!("none of {}", known()))
}

/// Where a way writes: a stream of its own, made for one round.
struct Target {
    url: String,
    client: async_nats::Client,
    /// The stream's name, and the root of its subjects.
    root: String,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    events: u64,
    rounds: usize,
    results: Vec<Measured>,
}

#[derive(Serialize)]
struct Measured {
    name: &'static str,
    events_per_s: Spread,
    /// To the raw ways, by their names: the median of the rounds' ratios.
    ratios: BTreeMap<&'static str, f64>,
    /// Processor time of this process for one event, serialising included.
    client_us_per_event: Spread,
    /// Processor time of the server for one event.
    server_us_per_event: Spread,
}

/// The raw ways that the others are held against.
const BASES: [Way; 4] =
    [Way::RawSequential, Way::RawPipelinedMsgid, Way::RawFastIngestMsgid, Way::RawFastIngest];

impl Measured {
    fn of(way: Way, all: &[(Way, Vec<Figures>)]) -> Option<Self> {
        let of = |way: Way, figure: fn(&Figures) -> f64| {
            let (_, rounds) = all.iter().find(|(other, _)| *other == way)?;
            Some(rounds.iter().map(figure).collect::<Vec<_>>())
        };
        let rates = of(way, |round| round.events_per_s)?;
        let ratios = BASES.iter().filter_map(|&base| {
            Some((base.name(), ratio(&rates, &of(base, |round| round.events_per_s)?)?))
        });
        Some(Self {
            name: way.name(),
            ratios: ratios.collect(),
            client_us_per_event: Spread::of(of(way, |round| round.client_us)?)?,
            server_us_per_event: Spread::of(of(way, |round| round.server_us)?)?,
            events_per_s: Spread::of(rates)?,
        })
    }
}

/// What one round of one way brought.
#[derive(Debug, Clone, Copy)]
struct Figures {
    events_per_s: f64,
    client_us: f64,
    server_us: f64,
}

impl Figures {
    fn of(events: u64, took: Duration, client: Duration, server: Duration) -> Self {
        let us_per_event = |time: Duration| time.as_secs_f64() * 1e6 / events as f64;
        Self {
            events_per_s: events as f64 / took.as_secs_f64(),
            client_us: us_per_event(client),
            server_us: us_per_event(server),
        }
    }
}

/// Runs the benchmark and writes its report.
pub(crate) async fn run(options: Options) -> Outcome {
    let server = NatsServer::start().await;
    let ways: Vec<Way> = WAYS
        .iter()
        .copied()
        .filter(|way| options.only.is_empty() || options.only.contains(way))
        .collect();
    let mut measured: Vec<(Way, Vec<Figures>)> =
        ways.into_iter().map(|way| (way, Vec::new())).collect();
    for round in 0..=options.rounds {
        // In another order each time: none always follows the same one.
        fastrand::Rng::with_seed(round as u64).shuffle(&mut measured);
        for (way, rounds) in &mut measured {
            let figures = measure(&server, *way, round, options.events).await?;
            let rate = report::thousands(figures.events_per_s);
            eprintln!("round {round} {:24} {rate:>9} events/s", way.name());
            if round > 0 {
                rounds.push(figures);
            }
        }
    }
    let results: Vec<Measured> =
        WAYS.iter().filter_map(|&way| Measured::of(way, &measured)).collect();
    let machine = Machine::with_server(&server.client().await.server_info().version);
    show(&machine, &results);
    let report = Report { machine, events: options.events, rounds: options.rounds, results };
    report::write("ingest.json", &report)
}

async fn measure(server: &NatsServer, way: Way, round: usize, events: u64) -> Outcome<Figures> {
    let events = way.events(events);
    let client = server.client().await;
    let root = format!("bench_{round}_{}", way.name());
    let context = jetstream::new(client.clone());
    let config = stream::Config {
        name: root.clone(),
        subjects: vec![format!("{root}.>")],
        duplicate_window: Duration::from_secs(120),
        allow_direct: true,
        allow_batch_publish: way != Way::NaqMessageIdPipelined,
        ..stream::Config::default()
    };
    let mut stream = context.create_stream(config).await?;
    let target = Target { url: server.url(), client, root: root.clone() };
    let warm_up = way.events(WARM_UP).min(events);
    let pid = server.pid().ok_or("the server is gone")?;
    // In a task of its own, as programs do it: the main one is slower to be woken.
    let figures = tokio::spawn(async move {
        let writer = way.start(&target).await?;
        writer.write(&target, warm_up).await?;
        let (client, server) = (cpu::time_of(std::process::id())?, cpu::time_of(pid)?);
        let begun = Instant::now();
        writer.write(&target, events).await?;
        let took = begun.elapsed();
        let client = cpu::time_of(std::process::id())?.saturating_sub(client);
        let server = cpu::time_of(pid)?.saturating_sub(server);
        writer.stop().await?;
        Outcome::Ok(Figures::of(events, took, client, server))
    });
    let figures = figures.await??;
    let (stored, sent) = (stream.info().await?.state.messages, warm_up + events);
    context.delete_stream(&root).await?;
    if stored != sent {
        return Err(format!("{}: {stored} of {sent} events are stored", way.name()).into());
    }
    Ok(figures)
}

fn show(machine: &Machine, results: &[Measured]) {
    let rows = results.iter().map(|way| {
        let Spread { median, min, max } = way.events_per_s;
        let mut row = vec![way.name.to_owned()];
        row.extend([median, min, max].map(report::thousands));
        row.extend(BASES.iter().map(|base| {
            let ratio = way.ratios.get(base.name());
            ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"))
        }));
        let times = [way.client_us_per_event, way.server_us_per_event];
        row.extend(times.map(|time| format!("{:.1}", time.median)));
        row
    });
    let bases = BASES.map(|base| format!("× {}", base.name()));
    let mut head = vec!["way", "events/s", "min", "max"];
    head.extend(bases.iter().map(String::as_str));
    head.extend(["client µs", "server µs"]);
    println!("\n{}\n{}", machine.line(), report::table(&head, rows));
}
