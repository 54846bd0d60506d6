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

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    ExitCode::from(commands::run(cli).code())
}
