//! Where the figures were measured.

use std::fs;
use std::num::NonZero;
use std::thread;

use serde::Serialize;

/// The machine and the versions behind a report's figures.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    os: &'static str,
    naq: &'static str,
    nats_server: String,
    profile: &'static str,
}

impl Machine {
    /// This machine, with a server of that version.
    pub(crate) fn with_server(version: &str) -> Self {
        Self {
            cpu: cpu(),
            cores: thread::available_parallelism().map_or(1, NonZero::get),
            os: std::env::consts::OS,
            naq: env!("CARGO_PKG_VERSION"),
            nats_server: version.to_owned(),
            profile: if cfg!(debug_assertions) { "debug" } else { "release" },
        }
    }

    /// One line for people.
    pub(crate) fn line(&self) -> String {
        let Self { cpu, cores, os, naq, nats_server, profile } = self;
        format!("{cpu}, {cores} cores, {os}; naq {naq} ({profile}), nats-server {nats_server}")
    }
}

fn cpu() -> String {
    let told = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = told.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| "unknown processor".to_owned(), |(_, name)| name.trim().to_owned())
}
