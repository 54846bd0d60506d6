//! The `naq` command.
//!
//! - `cli`: what can be typed; `commands`: what each does, a file each
//! - `connect`: from the global options to running services
//! - `when`: points in time as they are typed; `selection`: which events
//! - `output`: how answers look; `complain`: how errors do; `exit`: the exit codes

mod cli;
mod commands;
mod complain;
mod connect;
mod exit;
mod output;
mod selection;
mod tracing_setup;
mod when;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory;

use crate::exit::Exit;

fn main() -> ExitCode {
    let exit = match cli::Cli::understand(std::env::args_os()) {
        Ok(cli) => commands::run(cli),
        Err(error) => not_run(&error),
    };
    ExitCode::from(exit.code())
}

/// Shows the help or the version that was asked for, or tells what is wrong with the line.
fn not_run(error: &clap::Error) -> Exit {
    use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
    if let DisplayHelp | DisplayVersion = error.kind() {
        // Where nobody reads it there is nobody to tell.
        let _ = error.print();
        return Exit::Done;
    }
    if std::env::args_os().len() == 1 {
        // Nothing was asked: what there is to ask.
        let _ = write!(anstream::stderr(), "{}", cli::Cli::command().render_help().ansi());
        return Exit::Usage;
    }
    let (failure, color) =
        complain::not_understood(cli::Cli::command(), std::env::args_os(), error);
    failure.tell(&mut io::stderr(), output::Notes::new(color).paint())
}
