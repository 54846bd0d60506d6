//! A program with naq in a process of its own, to be killed.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use naq_core::service::StopReport;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::Told;
use crate::wait;

/// What the program is to do; handed over as JSON, its only argument.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// naq's configuration, as TOML.
    pub config: String,
    /// The ledger's file.
    pub ledger: PathBuf,
    /// Its name in the ledger; without `-`.
    pub producer: String,
    /// How many jobs it tells of.
    pub jobs: usize,
    /// Which of them wait for outcomes.
    pub told: Told,
    /// The longest padding of an event, in bytes.
    pub pad: usize,
    /// The longest rest between two events of a job.
    pub rest: Duration,
    /// After how many events of a job it stops logging; it lives on.
    pub at_most: u64,
    /// What everything random comes from.
    pub seed: u64,
    /// How long a file of it may get, in bytes, as if the disk were full then.
    pub file_limit: Option<u64>,
}

/// What a program that ended in order said of its last events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// How many were stored while it stopped.
    pub acked: u64,
    /// How many had no outcome, or an unknown one.
    pub pending: u64,
    /// How many failed.
    pub failed: u64,
}

impl From<StopReport> for Stopped {
    fn from(report: StopReport) -> Self {
        Self { acked: report.acked, pending: report.pending, failed: report.failed }
    }
}

impl Stopped {
    /// Finds it in what a program wrote.
    ///
    /// # Panics
    /// When it isn't there.
    pub fn read(said: &str) -> Self {
        let found = said.lines().find_map(|line| serde_json::from_str(line).ok());
        found.unwrap_or_else(|| panic!("it doesn't say how it stopped: {said}"))
    }
}

/// The running program. It is killed when this is dropped, and ends by itself
/// when this process does.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    // Its end of the pipe tells the child that this process lives.
    _alive: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Child {
    /// Starts `program` with an order, and waits until it says that it logs.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn start(program: &Path, order: &Order) -> Self {
        let mut process = command(program, order)
            .arg(serde_json::to_string(order).expect("an order is JSON"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let alive = process.stdin.take();
        let output = BufReader::new(process.stdout.take().expect("its output is a pipe"));
        let mut child = Self { process, _alive: alive, output };
        let said = child.next_line();
        assert_eq!(said.trim(), "logging", "it ended before it logged");
        child
    }

    /// The next line that it writes; empty after its end.
    ///
    /// # Panics
    /// When its output can't be read.
    pub fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("its output can be read");
        line
    }

    /// Ends it as kill -9 does.
    ///
    /// # Panics
    /// When that isn't possible.
    pub fn kill(&mut self) {
        self.process.kill().expect("one's own child may be killed");
        self.process.wait().expect("a killed child ends");
    }

    /// Asks it to end (SIGTERM), unless it has ended.
    ///
    /// # Panics
    /// When that isn't possible.
    pub fn terminate(&mut self) {
        if !self.is_over() {
            // One that nobody waited for keeps its id: it is nobody else's.
            kill_process(Pid::from_child(&self.process), Signal::TERM)
                .expect("one's own child takes signals");
        }
    }

    /// Whether it has ended.
    ///
    /// # Panics
    /// When it can't be asked.
    pub fn is_over(&mut self) -> bool {
        self.process.try_wait().expect("one's own child can be asked").is_some()
    }

    /// Waits for its end; answers its exit code and what it wrote.
    ///
    /// # Panics
    /// When it isn't over in time.
    pub async fn ended(mut self, within: Duration) -> (Option<i32>, String) {
        let status = wait::some("the program's end", within, async || {
            self.process.try_wait().expect("one's own child can be asked")
        })
        .await;
        let mut said = String::new();
        self.output.read_to_string(&mut said).expect("its output can be read");
        (status.code(), said)
    }

    /// The memory that it has now (`VmRSS`) and had at most (`VmHWM`), in bytes.
    ///
    /// # Panics
    /// When it doesn't run.
    pub fn memory(&self) -> (u64, u64) {
        memory_of(&self.process.id().to_string())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.is_over() {
            self.kill();
        }
    }
}

/// What starts the program.
fn command(program: &Path, order: &Order) -> Command {
    let Some(bytes) = order.file_limit else { return Command::new(program) };
    // In blocks of 512 bytes; without the signal that would end the program.
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", bytes / 512);
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(program);
    command
}

/// The memory that a process has now and had at most, in bytes.
pub(super) fn memory_of(process: &str) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|n| n.parse().ok());
        kib.map_or(0, |kib: u64| kib * 1024)
    };
    (of("VmRSS:"), of("VmHWM:"))
}
