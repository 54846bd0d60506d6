//! What the services tell underneath, on standard error.

use std::io;

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

/// Tells nothing, because the command itself tells what matters to its user;
/// with `-v` what naq does, with `-vv` every step, with `-vvv` what the client
/// library below says too.
pub(crate) fn start(verbose: u8, color: bool) {
    let (naq, others) = match verbose {
        0 => (LevelFilter::OFF, LevelFilter::OFF),
        1 => (LevelFilter::INFO, LevelFilter::WARN),
        2 => (LevelFilter::DEBUG, LevelFilter::INFO),
        _ => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    let filter = Targets::new().with_default(others).with_target("naq", naq);
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(color)
        .with_target(verbose > 1)
        .without_time()
        .log_internal_errors(false)
        .with_filter(filter);
    // Fails only where a subscriber is set already, and main is the only one to set it.
    let _ = tracing_subscriber::registry().with(lines).try_init();
    tracing::event!(Level::DEBUG, verbose, "telling what happens underneath");
}
