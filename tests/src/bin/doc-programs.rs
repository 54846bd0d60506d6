//! Runs the Rust of one document of the project: `doc-programs README.md`.
#![allow(warnings, clippy::all, clippy::pedantic, reason = "documents show, they don't lint")]

use std::error::Error;
use std::future::Future;
use std::process::{ExitCode, Termination};

type Outcome = Result<(), Box<dyn Error>>;

include!(concat!(env!("OUT_DIR"), "/programs.rs"));

fn finish(program: impl Future<Output = Outcome>) -> ExitCode {
    tokio::runtime::Runtime::new().unwrap().block_on(program).report()
}

fn main() -> ExitCode {
    let program = std::env::args().nth(1).unwrap_or_default();
    run(&program).unwrap_or_else(|| {
        eprintln!("no document has the program {program:?}");
        ExitCode::from(2)
    })
}
