//! Benchmarks of naq beside raw clients, on a real server that they start themselves.
//!
//! Each compares ways to do the same in one run, in interleaved rounds, so that
//! what else the machine does strikes all of them alike: read the ratios, not
//! the absolute figures. A table goes to the screen, JSON to `target/bench/`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark talks to people")]

mod cpu;
mod hot_path;
mod ingest;
mod machine;
mod outage;
mod pace;
mod query;
mod reactions;
mod report;
mod samples;
mod service;
mod spread;
mod workload;

use clap::{Parser, Subcommand};

/// Benchmarks of naq beside raw clients.
#[derive(Debug, Parser)]
#[command(name = "naq-bench")]
struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Debug, Subcommand)]
enum Benchmark {
    /// Events a second into a stream: the raw ways beside naq's
    Ingest(ingest::Options),
    /// What logging one event costs its program, beside a bare channel
    HotPath(hot_path::Options),
    /// What an outage of the server costs in memory, time and events
    Outage(outage::Options),
    /// The program whose server is away in `outage`, told by its standard input
    #[command(hide = true)]
    OutageProducer(outage::ProducerOptions),
    /// Handling events: groups of reactions beside a raw durable consumer
    Reactions(reactions::Options),
    /// What answers cost, beside raw scans and consumers of the same log
    Query(query::Options),
}

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome {
    match Arguments::parse().benchmark {
        Benchmark::Ingest(options) => ingest::run(options).await,
        Benchmark::HotPath(options) => hot_path::run(options).await,
        Benchmark::Outage(options) => outage::run(options).await,
        Benchmark::OutageProducer(options) => outage::produce(options).await,
        Benchmark::Reactions(options) => reactions::run(options).await,
        Benchmark::Query(options) => Box::pin(query::run(options)).await,
    }
}
