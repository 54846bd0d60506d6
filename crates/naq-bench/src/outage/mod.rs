//! `outage`: what it costs a program that its server is away for a minute.
//!
//! The program is a process of its own, so that its memory is its own; this
//! process has the server, ends it, starts it again, and counts what is stored.

mod memory;
mod producer;

use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use naq_tests::server::NatsServer;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

pub(crate) use self::producer::{ProducerOptions, produce};
use crate::Outcome;
use crate::machine::Machine;
use crate::report;

/// How to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How long the server is away, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How many events are logged in a second
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// Leave out the run with a spool
    #[arg(long)]
    without_spool: bool,
}

/// The stream, and the root of its subjects.
const ROOT: &str = "bench_outage";

/// The producer has this long beyond the outage for everything else.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the producer says at its end, as one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    buffer_bytes: u64,
    offered: u64,
    dropped: u64,
    rss_growth_bytes: u64,
    log_p99_us_up: f64,
    log_p99_us_down: f64,
    recovered_events_per_s: f64,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    seconds: u64,
    events_per_s: u64,
    buffer_bytes: u64,
    runs: Vec<Run>,
}

#[derive(Serialize)]
struct Run {
    spool: bool,
    rss_growth_bytes: u64,
    log_p99_us_up: f64,
    log_p99_us_down: f64,
    recovered_events_per_s: f64,
    dropped: u64,
    /// Offered less stored.
    lost: i64,
}

/// Runs the benchmark and writes its report.
pub(crate) async fn run(options: Options) -> Outcome {
    let mut runs = Vec::new();
    let (mut buffer_bytes, mut version) = (0, String::new());
    for spool in [false, true] {
        if spool && options.without_spool {
            continue;
        }
        let mut server = NatsServer::start().await;
        let told = outage(&mut server, &options, spool).await?;
        let stored = stored(&server).await?;
        version = server.client().await.server_info().version;
        buffer_bytes = told.buffer_bytes;
        runs.push(Run {
            spool,
            rss_growth_bytes: told.rss_growth_bytes,
            log_p99_us_up: told.log_p99_us_up,
            log_p99_us_down: told.log_p99_us_down,
            recovered_events_per_s: told.recovered_events_per_s,
            dropped: told.dropped,
            lost: told.offered as i64 - stored as i64,
        });
    }
    let machine = Machine::with_server(&version);
    show(&machine, &runs);
    let Options { seconds, rate: events_per_s, .. } = options;
    report::write("outage.json", &Report { machine, seconds, events_per_s, buffer_bytes, runs })
}

/// Runs a producer, and the server as it asks for.
async fn outage(server: &mut NatsServer, options: &Options, spool: bool) -> Outcome<Told> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["outage-producer", "--url", &server.url()]);
    command.args(["--seconds", &options.seconds.to_string(), "--rate", &options.rate.to_string()]);
    let folder = tempfile::TempDir::with_prefix("naq-bench-spool-")?;
    if spool {
        command.arg("--spool").arg(folder.path());
    }
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = piped.spawn()?;
    let mut asks = child.stdin.take().ok_or("the producer has an input")?;
    let output = child.stdout.take().ok_or("the producer has an output")?;
    let mut lines = BufReader::new(output).lines();
    let told = async {
        while let Some(line) = lines.next_line().await? {
            match line.as_str() {
                "kill" => server.kill(),
                "restart" => server.restart().await,
                told => return Ok(serde_json::from_str::<Told>(told)?),
            }
            asks.write_all(b"done\n").await?;
        }
        Err("the producer ended before its time".into())
    };
    let most = PATIENCE + Duration::from_secs(options.seconds);
    tokio::time::timeout(most, told).await?
}

/// How many of the producer's events are stored; what tells of losses is none of them.
async fn stored(server: &NatsServer) -> Outcome<u64> {
    let context = async_nats::jetstream::new(server.client().await);
    let mut stream = context.get_stream(ROOT).await?;
    let all = stream.info().await?.state.messages;
    let mut notices = stream.info_with_subjects(format!("{ROOT}.events_lost")).await?;
    let mut told = 0;
    while let Some(subject) = futures::TryStreamExt::try_next(&mut notices).await? {
        told += subject.1 as u64;
    }
    Ok(all - told)
}

fn show(machine: &Machine, runs: &[Run]) {
    let rows = runs.iter().map(|run| {
        vec![
            if run.spool { "with spool" } else { "without spool" }.to_owned(),
            format!("{:.1} MiB", run.rss_growth_bytes as f64 / f64::from(1 << 20)),
            format!("{:.1}", run.log_p99_us_up),
            format!("{:.1}", run.log_p99_us_down),
            report::thousands(run.recovered_events_per_s),
            report::thousands(run.dropped as f64),
            run.lost.to_string(),
        ]
    });
    let head = [
        "run",
        "memory grew by",
        "log p99 µs, up",
        "log p99 µs, down",
        "recovered events/s",
        "dropped",
        "lost",
    ];
    println!("\n{}\n{}", machine.line(), report::table(&head, rows));
}
