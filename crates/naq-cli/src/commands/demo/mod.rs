//! `naq demo`: a small real queue in this process, to see what naq shows of one.
//!
//! - `run`: what tells this run from others; its jobs
//! - `scan`: files become jobs
//! - `queue`: jobs on their way to the workers
//! - `digest`: the work itself
//! - `worker`: who does it, and what is logged of it
//! - `live`: the stream of events while it runs, and how far it is
//! - `answers`: what the log says about the run
//! - `report`: the answers for people

mod answers;
mod digest;
mod live;
mod queue;
mod report;
mod run;
mod scan;
mod worker;

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::thread;

use naq_core::clock::{Clock, SystemClock};
use naq_core::config::{ConnectionConfig, NaqConfig};
use naq_core::connection::redact_url;
use naq_core::events::{Event, EventSink, FlushReport};
use naq_events::EventService;
use tokio::task::JoinSet;

use super::{Context, Outcome};
use crate::complain::Failure;
use crate::connect::{self, Session};
use crate::exit::Exit;
use crate::output::{Format, human};

use live::Live;
use queue::Queue;
use run::Run;
use worker::Worker;

/// The bar while it runs.
pub(crate) const TEMPLATE: &str = "{bar:30.cyan/dim} {human_pos} of {human_len} jobs  {msg}";

/// Jobs that are found and wait for a worker.
const QUEUED: usize = 1_024;

/// Options of `naq demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  naq demo                                  the files of this folder, in memory
  naq demo /usr/share/doc --workers 8
  naq demo --server nats://127.0.0.1:4222   kept by a server, to be asked afterwards

Each file is a job that counts its lines and words and hashes it. A file that is
no UTF-8 text fails, is tried once more, and is given up. Folders named `target`
or beginning with a dot, and links, are passed over. Nothing is changed but the
event log.")]
pub(crate) struct Args {
    /// The folder with the files
    #[arg(default_value = ".")]
    path: PathBuf,
    /// How many workers run at the same time [default: one a processor, at most 8]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
}

impl Args {
    fn workers(&self) -> usize {
        let processors = || thread::available_parallelism().map_or(2, usize::from).min(8);
        self.workers.map_or_else(processors, usize::from)
    }
}

/// Runs the queue to its end, and reports.
pub(crate) async fn run(context: &mut Context, args: Args) -> Outcome {
    let (config, server) = place(context)?;
    let missing = scan::missing_file(&args.path)?;
    let run = Arc::new(Run::new(args.path.clone(), missing, SystemClock::new().now()));
    announce(context, &args, &run, server.as_deref());
    Session::with_config(config, async |session| {
        session
            .writing(async |events| {
                let first_sequence = work(context, events, &run, args.workers()).await?;
                let flushed = events.flush(session.config().events.delivery_timeout).await?;
                let end = SystemClock::new().now();
                let answers = answers::ask(events, &run, first_sequence, end).await?;
                show(context, &args, &answers, server.as_deref())?;
                told_of_the_lost(&flushed)
            })
            .await
            .map(|(exit, _)| exit)
    })
    .await
}

/// The configuration, and the server's URL; `None` in memory.
fn place(context: &Context) -> Result<(NaqConfig, Option<String>), Failure> {
    let mut config = connect::config(&context.globals)?;
    let asked = context.globals.server.as_deref().filter(|url| !url.is_empty());
    match asked.filter(|url| !url.trim().to_ascii_lowercase().starts_with("memory:")) {
        Some(url) => Ok((config, Some(redact_url(url)))),
        None => {
            // Nothing of how a server is reached makes sense here.
            config.connection = ConnectionConfig::default();
            config.connection.server.url = "memory://".into();
            Ok((config, None))
        }
    }
}

fn announce(context: &Context, args: &Args, run: &Run, server: Option<&str>) {
    let (notes, paint) = (context.notes, context.notes.paint());
    let place = server.unwrap_or("this process's memory");
    notes.line(&format!(
        "{} each file under {} is a job for {}; events go to {place}",
        paint.strong("naq demo:"),
        paint.name(args.path.display()),
        human::counted(args.workers() as u64, "worker"),
    ));
    notes.line(&paint.dim(format!(
        "Links, `target` and folders with a dot before their names are passed over. One job more \
         is for {:?}, which doesn't exist, so that a failure is always seen.",
        run.missing_name()
    )));
}

/// Runs scanner, workers and the live view to their end; answers the sequence
/// of the run's first event.
async fn work(
    context: &Context,
    events: &Arc<EventService>,
    run: &Arc<Run>,
    workers: usize,
) -> Result<u64, Failure> {
    // Stored before anything else of the run: from here on the log is read.
    let first = Event::worker_started(run.worker(1), run.queue());
    let first_sequence = events.log_acked(first.into()).await?.sequence.ok_or_else(|| {
        Failure::complaint(
            Exit::Failed,
            "the server takes no events: the first one is in the spool",
            "`naq doctor` tells what is wrong with the server",
        )
    })?;

    let (queue, jobs) = Queue::new(QUEUED);
    let queue = Arc::new(queue);
    let sink: Arc<dyn EventSink> = Arc::<EventService>::clone(events);
    let mut tasks = JoinSet::new();
    tasks.spawn(scan::enqueue(Arc::clone(&sink), Arc::clone(run), jobs));
    for number in 1..=workers {
        let worker = Worker::new(number, Arc::clone(&sink), Arc::clone(run), Arc::clone(&queue));
        tasks.spawn(worker.work());
    }
    let mut live = Live::new(context, run, workers);
    let mut watching = pin!(live.watch(events, first_sequence));
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let (mut watched, mut interrupted) = (false, false);
    while !tasks.is_empty() {
        tokio::select! {
            done = tasks.join_next() => match done {
                Some(Ok(done)) => done?,
                Some(Err(error)) => return Err(Failure::complaint(
                    Exit::Failed,
                    format!("a worker ended early: {error}"),
                    "run it again with -vv, and report what it says",
                )),
                None => {}
            },
            seen = &mut watching, if !watched => {
                seen?;
                watched = true;
            }
            _ = &mut interrupt, if !interrupted => {
                run.stop();
                interrupted = true;
            }
        }
    }
    if !watched {
        // What was logged last is on its way; the report does without the view.
        match tokio::time::timeout(live::PATIENCE, watching).await {
            Ok(seen) => seen?,
            Err(_) => tracing::info!("the live view did not come to the end in time"),
        }
    }
    if interrupted {
        context.notes.line("interrupted: what follows is about the part that ran");
    }
    Ok(first_sequence)
}

fn show(
    context: &mut Context,
    args: &Args,
    answers: &answers::Answers,
    server: Option<&str>,
) -> Result<(), Failure> {
    match context.globals.output {
        Some(Format::Json | Format::Jsonl) => {
            context.output.answer(answers, |_, _| String::new())?;
        }
        _ => {
            let view = context.output.view();
            let text = report::text(answers, view, &args.path, server, &try_with(context));
            context.output.text(&text)?;
        }
    }
    Ok(())
}

/// How a command on the same server begins.
fn try_with(context: &Context) -> String {
    let from_variable = std::env::var("NAQ_NATS_URL").ok();
    match &context.globals.server {
        Some(url) if from_variable.as_ref() != Some(url) => {
            format!("naq --server {}", redact_url(url))
        }
        _ => "naq".to_owned(),
    }
}

fn told_of_the_lost(flushed: &FlushReport) -> Outcome {
    if flushed.is_clean() {
        return Ok(Exit::Done);
    }
    let lost = flushed.failed + flushed.unknown + flushed.dropped + flushed.pending;
    Err(Failure::complaint(
        Exit::Partly,
        format!("{} could not be stored; the report lacks them", human::counted(lost, "event")),
        "`naq doctor` says what is wrong with the server or the stream",
    ))
}
