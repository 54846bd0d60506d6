//! What each command does, a file or folder each.

pub(crate) mod analytics;
pub(crate) mod cleanup;
pub(crate) mod completions;
pub(crate) mod cursors;
pub(crate) mod dead;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod errors;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod groups;
pub(crate) mod history;
pub(crate) mod index;
pub(crate) mod keeper;
pub(crate) mod kv;
pub(crate) mod log;
pub(crate) mod query;
pub(crate) mod react;
pub(crate) mod retention;
pub(crate) mod sizes;
pub(crate) mod spool;
pub(crate) mod stats;
pub(crate) mod streams;
pub(crate) mod tail;

mod asked;
mod bars;
mod basis;
mod confirm;
mod follow;
mod place;
mod progress;
mod range;
mod watch;

use std::io;

use clap::CommandFactory;
use tokio::runtime::Runtime;

use crate::cli::{Cli, Command, Globals};
use crate::complain::{self, Failure};
use crate::exit::Exit;
use crate::output::{Notes, Output, Zone};
use crate::tracing_setup;

/// How a command ends: with an exit code, or with something to complain about.
pub(crate) type Outcome = Result<Exit, Failure>;

/// What every command gets: the global options, and where to write.
#[derive(Debug)]
pub(crate) struct Context {
    /// The global options.
    pub(crate) globals: Globals,
    /// Standard output.
    pub(crate) output: Output,
    /// Standard error.
    pub(crate) notes: Notes,
}

/// Tells beside the rows of a sheet what they leave out; other forms say it themselves.
fn tell_beside_sheet(
    output: &mut Output,
    notes: Notes,
    facts: impl IntoIterator<Item = String>,
) -> io::Result<()> {
    if output.is_csv() {
        output.flush()?;
        for fact in facts {
            notes.line(&notes.paint().warn(format!("-- {fact}")));
        }
    }
    Ok(())
}

/// Runs a command to its end, and tells what went wrong.
pub(crate) fn run(cli: Cli) -> Exit {
    let Cli { globals, command } = cli;
    let notes = Notes::new(globals.color);
    tracing_setup::start(globals.verbose, notes.paint().is_on());
    let output = Output::new(globals.output, globals.color, Zone::new(globals.utc));
    let mut context = Context { globals, output, notes };
    let outcome =
        command.check(context.output.is_csv()).and_then(|()| in_runtime(&mut context, command));
    let outcome = outcome.and_then(|exit| {
        context.output.flush()?;
        Ok(exit)
    });
    match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            // What was found before the failure is still worth having; a pipe
            // that closed meanwhile is told by the failure, or of no matter.
            let _ = context.output.flush();
            let help = || complain::help_of(Cli::command(), std::env::args_os());
            failure.with_help(help).tell(&mut io::stderr(), notes.paint())
        }
    }
}

fn in_runtime(context: &mut Context, command: Command) -> Outcome {
    let runtime = Runtime::new().map_err(|error| {
        Failure::complaint(
            Exit::Failed,
            format!("can't start the threads of the program: {error}"),
            "close other programs, or raise the limit on threads (ulimit -u)",
        )
    })?;
    let outcome = runtime.block_on(dispatch(context, command));
    // A thread may still wait for standard input, and nobody waits for it.
    runtime.shutdown_background();
    outcome
}

async fn dispatch(context: &mut Context, command: Command) -> Outcome {
    match command {
        Command::Demo(args) => demo::run(context, args).await,
        Command::Log(args) => log::run(context, args).await,
        Command::Tail(args) => tail::run(context, args).await,
        Command::History(args) => history::run(context, args).await,
        Command::Stats(args) => stats::run(context, args).await,
        Command::Errors(args) => errors::run(context, args).await,
        Command::Query(args) => query::run(context, args).await,
        Command::Analytics(args) => analytics::run(context, args).await,
        Command::Cleanup(args) => cleanup::run(context, args).await,
        Command::Explain(args) => explain::run(context, args).await,
        Command::Export(args) => export::run(context, args).await,
        Command::Index(command) => index::run(context, command).await,
        Command::Cursors(command) => cursors::run(context, command).await,
        Command::React(args) => react::run(context, args).await,
        Command::Groups(command) => groups::run(context, command).await,
        Command::Dead(command) => dead::run(context, command).await,
        Command::Keeper(args) => keeper::run(context, args).await,
        Command::Retention(command) => retention::run(context, command).await,
        Command::Sizes(args) => sizes::run(context, args).await,
        Command::Streams(command) => streams::run(context, command).await,
        Command::Kv(command) => kv::run(context, command).await,
        Command::Spool(command) => spool::run(context, command).await,
        Command::Doctor(args) => doctor::run(context, args).await,
        Command::Completions(args) => completions::run(context, &args),
    }
}
