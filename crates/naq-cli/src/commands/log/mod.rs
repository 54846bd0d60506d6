//! `naq log`: writes events to the log, one from options or many from NDJSON.
//!
//! - `single`: the event that options make
//! - `lines`: numbered lines of a file or standard input, in bounded memory
//! - `ingest`: lines on their way into the log, and what became of each
//! - `tally`: the account at the end

mod ingest;
mod lines;
mod single;
mod tally;

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

use naq_core::events::EventSink;

use super::{Context, Outcome, progress};
use crate::complain::Failure;
use crate::connect::Session;
use crate::exit::Exit;
use tally::Tally;

/// The bar of a file whose size is known.
pub(crate) const FILE_TEMPLATE: &str =
    "{wide_bar:.cyan/dim} {percent:>3} % of {total_bytes}  {msg}  {eta} left";
/// The bar of what has no end that is known.
pub(crate) const STREAM_TEMPLATE: &str = "{spinner} {bytes}  {msg}  {elapsed}";

/// What to do about events in the spool.
const SPOOLED: &str = "-- the server takes no events at the moment: what is in the spool is safe, \
                       and sent by the next `naq log` with that spool, or by `naq spool replay`";

/// Options of `naq log`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "\
Examples:
  naq log --type job_failed --job job-7 --queue emails --error \"connection reset\" --duration 1.5
  naq log --type deploy --field version=1.4.2 --field canary=true
  naq log events.ndjson
  my-program | naq log -
  naq export --since 1d | naq --server nats://other:4222 log -

  naq log --type backup_done --spool ~/.naq-spool

With a FILE each line is a JSON object with a `type`. A line that is rejected is
named on standard error with its number and the reason, and the rest is stored;
the exit code is then 5. A full buffer is waited for, a server that is away is
waited for as long as `delivery_timeout` has it.

With --spool events survive an outage: what the server doesn't take is kept on
disk, which standard error says, and counts as done (exit code 0). The next
`naq log --spool` of that folder sends it first, and so does `naq spool replay`.",
    group = clap::ArgGroup::new("what").required(true).args(["file", "event_type"])
)]
pub(crate) struct Args {
    /// NDJSON, an event a line; `-` is standard input
    #[arg(value_name = "FILE", conflicts_with = "single")]
    file: Option<PathBuf>,
    /// Keep on disk, in this folder, what the server doesn't take
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    #[command(flatten)]
    event: single::EventArgs,
}

/// Stores the events and tells what became of them.
pub(crate) async fn run(context: &mut Context, args: Args) -> Outcome {
    match args.file {
        Some(path) => many(context, path, args.spool).await,
        None => one(context, &args.event, args.spool).await,
    }
}

async fn one(context: &mut Context, args: &single::EventArgs, spool: Option<PathBuf>) -> Outcome {
    let event = args.to_event();
    Session::with_spool(&context.globals, spool, async |session| {
        let (receipt, _) =
            session.writing(async |events| Ok(events.log_acked(event.into()).await?)).await?;
        context.output.answer(&receipt, |receipt, view| {
            let id = view.paint.name(&receipt.id);
            let known = if receipt.duplicate { ", which the log had already" } else { "" };
            match receipt.sequence {
                Some(sequence) => format!("stored {id} at sequence {sequence}{known}\n"),
                None => format!("spooled {id}\n"),
            }
        })?;
        if receipt.is_spooled() {
            context.notes.line(SPOOLED);
        }
        Ok(Exit::Done)
    })
    .await
}

async fn many(context: &mut Context, path: PathBuf, spool: Option<PathBuf>) -> Outcome {
    let (source, size) = open(&path)?;
    let template = if size.is_some() { FILE_TEMPLATE } else { STREAM_TEMPLATE };
    let bar = progress::bar(context.notes, size, template);
    let tally = Session::with_spool(&context.globals, spool, async |session| {
        let lines = lines::read(source)?;
        let room = ingest::Room::of(&session.config().events);
        let (tally, account) = session
            .writing(async |events| Ok(ingest::run(events, lines, room, &bar, context.notes).await))
            .await?;
        Ok(Tally { account, ..tally })
    })
    .await;
    bar.finish_and_clear();
    let tally = tally?;
    tally.tell(context)
}

/// The lines' source, and its size where that is known.
fn open(path: &PathBuf) -> Result<(Box<dyn Read + Send>, Option<u64>), Failure> {
    if path.as_os_str() == "-" {
        if io::stdin().is_terminal() {
            return Err(Failure::usage(
                "standard input is the terminal, and nobody types NDJSON",
                "name a file, or pipe a program's output into `naq log -`",
            ));
        }
        return Ok((Box::new(io::stdin()), None));
    }
    let told = |error: &io::Error| Failure::file("read", path.display(), error);
    let file = File::open(path).map_err(|error| told(&error))?;
    let metadata = file.metadata().map_err(|error| told(&error))?;
    if metadata.is_dir() {
        return Err(told(&io::Error::from(io::ErrorKind::IsADirectory)));
    }
    let size = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(file), size))
}
