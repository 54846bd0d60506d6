//! `query`: what answers cost, beside the raw ways to have them.
//!
//! Each run has a log of its own size. Histories are asked in turns with a raw
//! consumer of the same job; the other questions beside a raw scan that
//! computes the same, and both answers are compared: of the warm questions
//! each tenth one's. A question is warm where the service has answered before,
//! cold where it has just been started. What an index is for is asked when it
//! is built: `history_job` is asked before.

mod ask;
mod few_kinds;
mod filtered;
mod indexed;
mod keeper;
mod log;
mod raw;
mod targets;

use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream::Stream};
use bytes::Bytes;
use clap::Args;
use fastrand::Rng;
use naq_core::Timestamp;
use naq_core::config::{EventsConfig, KeeperMode};
use naq_core::events::{EventEncoder, EventSubjects};
use naq_tests::server::NatsServer;
use serde::Serialize;
use tokio::time::sleep;

use self::ask::{Question, Range};
use self::few_kinds::FewKinds;
use self::filtered::Streamed;
use self::keeper::{Folded, Ingested};
use self::log::{LENGTH, RECURRING, RealisticLog};
use self::targets::Verdict;
use crate::Outcome;
use crate::machine::Machine;
use crate::report;
use crate::service::Logging;
use crate::spread::Spread;

/// How to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Events in the log of each run
    #[arg(long, value_delimiter = ',', default_values_t = [100_000, 1_000_000])]
    events: Vec<u64>,
    /// How often each quick question is asked
    #[arg(long, default_value_t = 200)]
    samples: usize,
    /// How often each slow one is, such as one that reads the whole log
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Events that are logged in each round of what a keeper takes from that
    #[arg(long, default_value_t = 300_000)]
    ingest: u64,
}

/// A log has at least so many events: each recurring job has its 200.
const FEWEST: u64 = 20_000;
const STREAM: &str = "events";
const DIGESTS: &str = "naq_digests";
const INDEXES: &str = "naq_indexes";
/// So many messages are sent before their being stored is awaited.
const UNSEEN: u64 = 5_000;
/// How long the log may take to be stored.
const PATIENCE: Duration = Duration::from_secs(600);
/// Of so many warm answers one is held against a scan, beside the first of all.
const COMPARED: usize = 10;

#[derive(Serialize)]
struct Report {
    machine: Machine,
    runs: Vec<Run>,
    few_kinds: FewKinds,
    keeper: Ingested,
    targets: Vec<Verdict>,
}

/// What was measured of one log.
#[derive(Serialize)]
struct Run {
    events: u64,
    jobs: u64,
    questions: Vec<Asked>,
    stream_filtered: Streamed,
    read_filtered: Streamed,
    storage: Stored,
    keeper: Folded,
}

/// What one question took.
#[derive(Serialize)]
struct Asked {
    name: &'static str,
    p50_ms: f64,
    p99_ms: f64,
    raw_scan_ms: Option<f64>,
    raw_consumer_p50_ms: Option<f64>,
}

/// What is stored.
#[derive(Default, Serialize)]
struct Stored {
    log_bytes: u64,
    digest_bytes: u64,
    index_bytes: u64,
    share: f64,
}

impl Run {
    fn new(events: u64) -> Self {
        Self {
            events,
            jobs: 0,
            questions: Vec::new(),
            stream_filtered: Streamed::default(),
            read_filtered: Streamed::default(),
            storage: Stored::default(),
            keeper: Folded::default(),
        }
    }

    fn asked(&self, name: &str) -> Option<&Asked> {
        self.questions.iter().find(|asked| asked.name == name)
    }
}

impl Asked {
    /// Of times in milliseconds, of which there is at least one.
    fn new(name: &'static str, times: &[f64]) -> Self {
        let (p50_ms, p99_ms) = (share(times, 0.5), share(times, 0.99));
        Self { name, p50_ms, p99_ms, raw_scan_ms: None, raw_consumer_p50_ms: None }
    }
}

/// The time that this share of them didn't exceed.
fn share(times: &[f64], share: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((share * last as f64).round() as usize).copied().unwrap_or(f64::NAN)
}

/// Runs the benchmark and writes its report.
pub(crate) async fn run(options: Options) -> Outcome {
    if options.events.iter().any(|events| *events < FEWEST) {
        return Err(format!("a log has at least {FEWEST} events").into());
    }
    if options.samples == 0 || options.rounds == 0 || options.ingest == 0 {
        return Err("each question is asked at least once, of one event at least".into());
    }
    let (mut runs, mut version) = (Vec::new(), String::new());
    for events in &options.events {
        let server = NatsServer::start().await;
        version = server.client().await.server_info().version;
        let run = Bench::start(&server, *events, &options).await?.run().await?;
        show(&run);
        runs.push(run);
    }
    let longest = options.events.iter().copied().max().unwrap_or(FEWEST);
    let few_kinds = few_kinds::measure(longest, &options).await?;
    few_kinds.show();
    let keeper = keeper::ingest(options.ingest, options.rounds).await?;
    keeper.show();
    let mut targets = targets::judge(&runs);
    targets.push(few_kinds.judge());
    targets::show(&targets);
    let machine = Machine::with_server(&version);
    println!("\n{}", machine.line());
    report::write("query.json", &Report { machine, runs, few_kinds, keeper, targets })
}

/// A filled log, and who asks.
struct Bench<'a> {
    options: &'a Options,
    url: String,
    context: jetstream::Context,
    stream: Stream,
    config: EventsConfig,
    logging: Logging,
    /// When the log's first event happened.
    start: Timestamp,
    rng: Rng,
    run: Run,
}

impl<'a> Bench<'a> {
    async fn start(server: &NatsServer, events: u64, options: &'a Options) -> Outcome<Self> {
        let config = config(events);
        let url = server.url();
        let logging = Logging::start(&url, config.clone()).await?;
        let client = server.client().await;
        let context = jetstream::new(client.clone());
        let mut stream = context.get_stream(STREAM).await?;
        // A day that is over, and began with a minute.
        let day = LENGTH.as_nanos() as i64;
        let now = jiff::Timestamp::now().as_nanosecond() as i64;
        let start = Timestamp::from_nanos((now - day) / 60_000_000_000 * 60_000_000_000);
        let mut log = RealisticLog::new(events, start);
        let encoder = EventEncoder::new(EventSubjects::default());
        let begun = Instant::now();
        let encoded = (&mut log).map(|(event, at)| {
            let encoded = encoder.encode(&event, at)?;
            Ok((encoded.subject().to_owned(), encoded.payload().clone()))
        });
        store(&client, &mut stream, encoded).await?;
        let mut run = Run::new(events);
        run.jobs = log.jobs() + RECURRING;
        eprintln!("{events} events of {} jobs in {:?}", run.jobs, begun.elapsed());
        let rng = Rng::with_seed(11);
        Ok(Self { options, url, context, stream, config, logging, start, rng, run })
    }

    async fn run(mut self) -> Outcome<Run> {
        self.without_digests().await?;
        self.folded().await?;
        self.cold().await?;
        let others = self.run.jobs - RECURRING;
        self.histories("history_job", self.options.samples, |rng, _| {
            RealisticLog::job(rng.u64(..others))
        })
        .await?;
        self.index().await?;
        let recurring = (self.options.samples / 5).max(1);
        self.histories("history_recurring_job", recurring, |_, n| {
            RealisticLog::recurring(n as u64)
        })
        .await?;
        type Make = fn(&mut Rng, Timestamp) -> Question;
        let questions: [(&str, Make); 4] = [
            ("stats_hour_warm", |rng, start| Question::Stats(Range::some_hour(rng, start))),
            ("stats_day_warm", |rng, start| Question::Stats(Range::nearly_all(rng, start))),
            ("analytics_type_by_queue_warm", |rng, start| {
                Question::Analytics(Range::nearly_all(rng, start))
            }),
            ("top_errors_warm", |rng, start| Question::TopErrors(Range::whole_minutes(rng, start))),
        ];
        for (name, make) in questions {
            self.warm(name, make).await?;
        }
        self.indexed().await?;
        self.run.read_filtered = filtered::read(&self).await?;
        self.run.stream_filtered = filtered::stream(&self).await?;
        self.stored().await?;
        self.logging.stop().await?;
        Ok(self.run)
    }

    /// The first answer of all, in turns with the raw scan.
    async fn without_digests(&mut self) -> Outcome {
        let (mut times, mut raw) = (Vec::new(), Vec::new());
        for _ in 0..self.options.rounds {
            let question = Question::Stats(Range::nearly_all(&mut self.rng, self.start));
            let begun = Instant::now();
            let scanned = raw::scan(&self.stream, &question).await?;
            raw.push(millis(begun));
            self.forget_digests().await?;
            times.push(self.first_answer(&question, &scanned).await?);
        }
        let mut asked = Asked::new("first_answer_no_digests", &times);
        asked.raw_scan_ms = Some(median(raw)?);
        self.add(asked);
        Ok(())
    }

    /// What a program that has just been started takes for its first answer, its start included.
    async fn cold(&mut self) -> Outcome {
        let question = Question::Stats(Range::nearly_all(&mut self.rng, self.start));
        let begun = Instant::now();
        let scanned = raw::scan(&self.stream, &question).await?;
        let raw = millis(begun);
        let mut times = Vec::new();
        for _ in 0..self.options.rounds * 3 {
            times.push(self.first_answer(&question, &scanned).await?);
        }
        let mut asked = Asked::new("first_answer_cold", &times);
        asked.raw_scan_ms = Some(raw);
        self.add(asked);
        Ok(())
    }

    /// What a keeper takes for the whole log, in turns with the raw scan.
    async fn folded(&mut self) -> Outcome {
        let (mut ours, mut raws) = (Vec::new(), Vec::new());
        let question = Question::Stats(Range::nearly_all(&mut self.rng, self.start));
        let events = self.run.events as f64;
        for _ in 0..self.options.rounds {
            let begun = Instant::now();
            raw::scan(&self.stream, &question).await?;
            raws.push(events / begun.elapsed().as_secs_f64());
            self.forget_digests().await?;
            let took = keeper::fold(&self.url, &self.config, self.run.events).await?;
            ours.push(events / took.as_secs_f64());
        }
        self.run.keeper = Folded::of(ours, raws)?;
        Ok(())
    }

    async fn forget_digests(&self) -> Outcome {
        if self.context.get_key_value(DIGESTS).await.is_ok() {
            self.context.delete_key_value(DIGESTS).await?;
        }
        Ok(())
    }

    async fn first_answer(&self, question: &Question, expected: &ask::Counts) -> Outcome<f64> {
        let begun = Instant::now();
        let fresh = Logging::start(&self.url, self.config.clone()).await?;
        let answer = question.ask(&fresh.events).await?;
        let took = millis(begun);
        fresh.stop().await?;
        same(question, &answer, expected)?;
        Ok(took)
    }

    /// Histories of jobs, in turns with a raw consumer, and one raw scan.
    async fn histories(
        &mut self,
        name: &'static str,
        samples: usize,
        job: impl Fn(&mut Rng, usize) -> String,
    ) -> Outcome {
        let (mut times, mut raw) = (Vec::new(), Vec::new());
        for n in 0..samples {
            let job = job(&mut self.rng, n);
            let question = Question::History(job.clone());
            let begun = Instant::now();
            let found = raw::history(&self.stream, &job).await? as u64;
            raw.push(millis(begun));
            let begun = Instant::now();
            let answer = question.ask(&self.logging.events).await?;
            times.push(millis(begun));
            if answer.values().flat_map(|names| names.values()).ne([&found]) {
                return Err(format!("{job}: {answer:?}, and raw {found} events").into());
            }
        }
        let question = Question::History(job(&mut self.rng, 0));
        let begun = Instant::now();
        let scanned = raw::scan(&self.stream, &question).await?;
        let raw_scan = millis(begun);
        same(&question, &question.ask(&self.logging.events).await?, &scanned)?;
        let mut asked = Asked::new(name, &times);
        (asked.raw_scan_ms, asked.raw_consumer_p50_ms) = (Some(raw_scan), Some(median(raw)?));
        self.add(asked);
        Ok(())
    }

    /// A question that the service has answered before, about ever other ranges.
    async fn warm(
        &mut self,
        name: &'static str,
        make: fn(&mut Rng, Timestamp) -> Question,
    ) -> Outcome {
        let question = make(&mut self.rng, self.start);
        let begun = Instant::now();
        let scanned = raw::scan(&self.stream, &question).await?;
        let raw = millis(begun);
        same(&question, &question.ask(&self.logging.events).await?, &scanned)?;
        let (mut times, mut asked, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..self.options.samples {
            let question = make(&mut self.rng, self.start);
            let begun = Instant::now();
            let answer = question.ask(&self.logging.events).await?;
            times.push(millis(begun));
            if n % COMPARED == 0 {
                asked.push(question);
                answers.push(answer);
            }
        }
        let scanned = raw::scans(&self.stream, &asked).await?;
        for ((question, answer), scanned) in asked.iter().zip(&answers).zip(&scanned) {
            same(question, answer, scanned)?;
        }
        let mut asked = Asked::new(name, &times);
        asked.raw_scan_ms = Some(raw);
        self.add(asked);
        Ok(())
    }

    async fn stored(&mut self) -> Outcome {
        let log_bytes = self.stream.info().await?.state.bytes;
        let mut digests = self.context.get_stream(format!("KV_{DIGESTS}")).await?;
        let digest_bytes = digests.info().await?.state.bytes;
        let mut indexes = self.context.get_stream(format!("KV_{INDEXES}")).await?;
        let index_bytes = indexes.info().await?.state.bytes;
        let share = (digest_bytes + index_bytes) as f64 / log_bytes as f64;
        self.run.storage = Stored { log_bytes, digest_bytes, index_bytes, share };
        Ok(())
    }

    fn add(&mut self, asked: Asked) {
        eprintln!("{:>10} {:<30} {:>10.2} ms", self.run.events, asked.name, asked.p50_ms);
        self.run.questions.push(asked);
    }
}

/// That of a log of so many events.
fn config(events: u64) -> EventsConfig {
    EventsConfig::default()
        // A keeper would make again the digests that are taken away.
        .with_keeper(KeeperMode::Off)
        .with_max_msgs(Some(events.saturating_mul(2)))
        // The server would keep that much free, and has no room for digests then.
        .with_max_bytes(None)
}

/// Stores messages, no faster than the server does; as many as there are in
/// the end are then in the stream.
async fn store(
    client: &async_nats::Client,
    stream: &mut Stream,
    messages: impl Iterator<Item = Outcome<(String, Bytes)>>,
) -> Outcome {
    let (begun, mut sent) = (Instant::now(), 0);
    let mut messages = messages.peekable();
    while let Some(message) = messages.next() {
        let (subject, payload) = message?;
        client.publish(subject, payload).await?;
        sent += 1;
        if sent % UNSEEN != 0 && messages.peek().is_some() {
            continue;
        }
        client.flush().await?;
        while stream.info().await?.state.messages < sent {
            if begun.elapsed() > PATIENCE {
                return Err("the log was not stored".into());
            }
            sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(())
}

fn millis(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}

fn median(values: Vec<f64>) -> Outcome<f64> {
    Ok(Spread::of(values).ok_or("nothing was measured")?.median)
}

/// A quick answer that is another one than the slow one is worth nothing.
fn same(question: &Question, ours: &ask::Counts, raw: &ask::Counts) -> Outcome {
    if ours == raw {
        return Ok(());
    }
    Err(format!("{question:?}: naq answered {ours:?}, and a scan {raw:?}").into())
}

fn show(run: &Run) {
    let rows = run.questions.iter().map(|asked| {
        let ms = |time: f64| format!("{time:.2}");
        let beside = |raw: Option<f64>| raw.map_or_else(|| "-".to_owned(), ms);
        vec![
            asked.name.to_owned(),
            ms(asked.p50_ms),
            ms(asked.p99_ms),
            beside(asked.raw_scan_ms),
            beside(asked.raw_consumer_p50_ms),
        ]
    });
    let head = ["question", "p50 ms", "p99 ms", "raw scan ms", "raw consumer p50 ms"];
    let (events, jobs) = (report::thousands(run.events as f64), run.jobs);
    println!(
        "\n{events} events of {} jobs\n{}",
        report::thousands(jobs as f64),
        report::table(&head, rows)
    );
    run.stream_filtered.show("filtered, live");
    run.read_filtered.show("filtered, stored");
    run.keeper.show();
    let Stored { log_bytes, digest_bytes, index_bytes, share } = run.storage;
    let percent = 100.0 * share;
    println!(
        "stored: log {log_bytes} bytes, digests {digest_bytes}, indexes {index_bytes}: {percent:.2} %"
    );
}
