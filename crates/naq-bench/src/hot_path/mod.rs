//! `hot-path`: what logging one event costs its program, beside a bare channel
//! and beside what encoding the same event with serde_json for it takes.
//!
//! Each figure is of single calls on the threads that log, with the writer
//! running and storing all of it. What making the event takes is told apart;
//! the allocations are of both. A call that has to wait for room fails the run.

mod log;
mod send;

use std::time::Duration;

use clap::Args;
use naq_core::config::EventsConfig;
use naq_core::events::EventSink;
use naq_tests::server::NatsServer;
use serde::Serialize;

use crate::Outcome;
use crate::machine::Machine;
use crate::report;
use crate::samples::Samples;
use crate::service::Logging;
use crate::spread::Spread;

/// How to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Calls in each round of each case, all threads together
    #[arg(long, default_value_t = 100_000)]
    calls: u64,
    /// Rounds that count; one more is run first and left out
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// At full rate so many calls come in a burst, all threads together: less than
/// half of what the buffer holds by default.
const BURST: u64 = 20_000;

/// The pace that isn't full rate, in calls a second.
const PACE: u64 = 50_000;

/// How many threads log, and how fast: 0 is as fast as they can.
#[derive(Debug, Clone, Copy)]
struct Case {
    threads: u64,
    pace_per_s: u64,
}

const CASES: [Case; 4] = [
    Case { threads: 1, pace_per_s: 0 },
    Case { threads: 8, pace_per_s: 0 },
    Case { threads: 1, pace_per_s: PACE },
    Case { threads: 8, pace_per_s: PACE },
];

/// What one round of one case gave.
#[derive(Debug, Default)]
struct Round {
    log_ns_median: f64,
    log_ns_p99: f64,
    event_ns_median: f64,
    log_allocations_median: f64,
    try_send_ns_median: f64,
    raw_ns_median: f64,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    calls: u64,
    rounds: usize,
    results: Vec<Measured>,
}

/// The medians of the rounds.
#[derive(Serialize)]
struct Measured {
    threads: u64,
    pace_per_s: u64,
    log_ns_median: f64,
    log_ns_p99: f64,
    event_ns_median: f64,
    log_allocations_median: f64,
    try_send_ns_median: f64,
    raw_ns_median: f64,
    #[serde(skip)]
    log_ns_spread: Spread,
}

/// Runs the benchmark and writes its report.
pub(crate) async fn run(options: Options) -> Outcome {
    let server = NatsServer::start().await;
    let mut rounds: Vec<Vec<Round>> = CASES.iter().map(|_| Vec::new()).collect();
    for number in 0..=options.rounds {
        for (case, rounds) in CASES.iter().zip(&mut rounds) {
            let root = format!("bench_{number}_{}_{}", case.threads, case.pace_per_s);
            let round = measure(&server, *case, &root, options.calls).await?;
            eprintln!("round {number} {case:?} {round:?}");
            if number > 0 {
                rounds.push(round);
            }
        }
    }
    let results: Vec<Measured> = CASES
        .iter()
        .zip(&rounds)
        .filter_map(|(case, rounds)| Measured::of(*case, rounds))
        .collect();
    let machine = Machine::with_server(&server.client().await.server_info().version);
    show(&machine, &results);
    let report = Report { machine, calls: options.calls, rounds: options.rounds, results };
    report::write("hot_path.json", &report)
}

async fn measure(server: &NatsServer, case: Case, root: &str, calls: u64) -> Outcome<Round> {
    let config = EventsConfig::default()
        .with_stream_name(root)
        .with_subject_root(root)
        .with_max_msgs(None::<u64>);
    let logging = Logging::start(&server.url(), config).await?;
    let timed = log::time(&logging.events, case, calls).await?;
    let allocations = log::count_allocations(&logging.events, case, calls / 10).await?;
    let counters = logging.events.counters();
    let offered = calls / case.threads * case.threads + calls / 10 / case.threads * case.threads;
    if counters.acked != offered {
        return Err(format!("{offered} events were logged: {counters:?}").into());
    }
    logging.stop().await?;
    let client = server.client().await;
    let context = async_nats::jetstream::new(client);
    let stored = context.get_stream(root).await?.info().await?.state.messages;
    context.delete_stream(root).await?;
    if stored != offered {
        return Err(format!("{stored} of {offered} events are stored").into());
    }
    let sent = send::time(case, calls).await?;
    let raw = send::time_encoding(case, calls).await?;
    let logged = Samples::of(timed.iter().map(|took| took.log).collect());
    let made = Samples::of(timed.iter().map(|took| took.event).collect());
    let allocations = Samples::of(allocations);
    Ok(Round {
        log_ns_median: logged.median() as f64,
        log_ns_p99: logged.at(0.99) as f64,
        event_ns_median: made.median() as f64,
        log_allocations_median: allocations.median() as f64,
        try_send_ns_median: Samples::of(sent).median() as f64,
        raw_ns_median: Samples::of(raw).median() as f64,
    })
}

impl Measured {
    fn of(case: Case, rounds: &[Round]) -> Option<Self> {
        let spread = |value: fn(&Round) -> f64| Spread::of(rounds.iter().map(value).collect());
        let log_ns_spread = spread(|round| round.log_ns_median)?;
        Some(Self {
            threads: case.threads,
            pace_per_s: case.pace_per_s,
            log_ns_median: log_ns_spread.median,
            log_ns_p99: spread(|round| round.log_ns_p99)?.median,
            event_ns_median: spread(|round| round.event_ns_median)?.median,
            log_allocations_median: spread(|round| round.log_allocations_median)?.median,
            try_send_ns_median: spread(|round| round.try_send_ns_median)?.median,
            raw_ns_median: spread(|round| round.raw_ns_median)?.median,
            log_ns_spread,
        })
    }
}

fn show(machine: &Machine, results: &[Measured]) {
    let rows = results.iter().map(|case| {
        let pace = match case.pace_per_s {
            0 => "full rate".to_owned(),
            pace => format!("{}/s", report::thousands(pace as f64)),
        };
        let Spread { median, min, max } = case.log_ns_spread;
        vec![
            format!("{} threads, {pace}", case.threads),
            report::thousands(median),
            report::thousands(min),
            report::thousands(max),
            report::thousands(case.log_ns_p99),
            report::thousands(case.event_ns_median),
            report::thousands(case.log_allocations_median),
            report::thousands(case.try_send_ns_median),
            report::thousands(case.raw_ns_median),
        ]
    });
    let head = [
        "case",
        "log ns",
        "min",
        "max",
        "log p99 ns",
        "making the event ns",
        "allocations",
        "bare try_send ns",
        "serde_json + try_send ns",
    ];
    println!("\n{}\n{}", machine.line(), report::table(&head, rows));
}

/// So long a burst may take until it is stored.
const PATIENCE: Duration = Duration::from_secs(60);
