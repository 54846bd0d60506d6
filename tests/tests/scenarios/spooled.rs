//! Programs with a spool that die at any instant, and servers that do.
//!
//! The programs are real child processes: this binary runs itself again.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use futures::StreamExt;
use naq_core::config::{ConnectPolicy, NaqConfig, SpoolConfig, SpoolFsync, SpoolMode};
use naq_core::events::{EventItem, EventQuery, EventSink, EventSinkExt, ReadEvents};
use naq_tests::server::NatsServer;
use naq_tests::wait;

use crate::{PATIENCE, Program, quick};

const ROLE: &str = "NAQ_TEST_SPOOLED_ROLE";
const URL: &str = "NAQ_TEST_SPOOLED_URL";
const DIR: &str = "NAQ_TEST_SPOOLED_DIR";
const FIRST: &str = "NAQ_TEST_SPOOLED_FIRST";
const MARK: &str = "naq-spooled:";

const JOBS: u64 = 7;

/// How many events one program logs at most.
const MOST: u64 = 3_000;

fn config(url: &str, dir: &Path, mode: SpoolMode) -> NaqConfig {
    let mut config = quick(url);
    config.connection.connect_policy = ConnectPolicy::Lazy;
    // The machine doesn't end in these tests, and syncing takes most of the time.
    let spool = SpoolConfig::in_folder(dir).with_mode(mode).with_fsync(SpoolFsync::Never);
    config.events = config.events.with_spool(spool);
    config
}

/// A child process, killed when it is dropped.
struct Told {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Told {
    fn start(role: &str, url: &str, dir: &Path, first: u64) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "spooled::plays_its_role", "--nocapture", "--test-threads=1"]);
        command.env(ROLE, role).env(URL, url).env(DIR, dir).env(FIRST, first.to_string());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next number that the child tells.
    fn next(&mut self) -> Option<u64> {
        loop {
            let line = self.lines.next()?.ok()?;
            if let Some((_, number)) = line.split_once(MARK) {
                return number.trim().parse().ok();
            }
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nothing, unless a test has started this binary again for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plays_its_role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let (url, dir) = (std::env::var(URL).unwrap(), PathBuf::from(std::env::var_os(DIR).unwrap()));
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let mode = if role == "always" { SpoolMode::Always } else { SpoolMode::Overflow };
    let program = Program::start(config(&url, &dir, mode)).await.unwrap();
    for number in first..first + MOST {
        let job = format!("job-{}", number % JOBS);
        program.events.log_job_progress(&job, &number.to_string()).await.unwrap();
        if role == "overflow" {
            // Accepted is in memory; on disk or stored is what is told.
            let counters = program.events.counters();
            println!("{MARK}{}", first + counters.offered - counters.pending);
        } else {
            println!("{MARK}{}", number + 1);
        }
    }
    // Until it is killed.
    std::future::pending::<()>().await;
}

#[allow(clippy::print_stderr, reason = "a seed is for people")]
fn random() -> fastrand::Rng {
    let seed = std::env::var("NAQ_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("seed {seed}: run again with NAQ_TEST_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// The numbers that are stored, each job's in their order.
async fn stored(program: &Program) -> HashMap<u64, Vec<u64>> {
    let mut jobs: HashMap<u64, Vec<u64>> = HashMap::new();
    let mut items = program.events.read_events(ReadEvents::default());
    while let Some(item) = items.next().await {
        let EventItem::Event(recorded) = item.unwrap() else { continue };
        if let Some(number) = recorded.event.message.as_deref().and_then(|m| m.parse::<u64>().ok())
        {
            jobs.entry(number % JOBS).or_default().push(number);
        }
    }
    jobs
}

/// Starts a last program that sends what the others left, and holds the stream
/// against what they had told: all below `accepted` is there, nothing twice, in order.
async fn settle(url: &str, dir: &Path, accepted: &[(u64, u64)]) {
    let program = Program::start(config(url, dir, SpoolMode::Overflow)).await.unwrap();
    wait::until("the spool to be empty", PATIENCE, async || program.events.counters().spooled == 0)
        .await;
    let counters = program.events.counters();
    assert!(counters.is_balanced(), "{counters:?}");
    assert_eq!((counters.failed, counters.possible_duplicates), (0, 0), "{counters:?}");
    let jobs = stored(&program).await;
    for (job, numbers) in &jobs {
        assert!(numbers.windows(2).all(|two| two[0] < two[1]), "job-{job}: {numbers:?}");
    }
    let all: std::collections::HashSet<u64> = jobs.into_values().flatten().collect();
    for &(first, next) in accepted {
        let missing: Vec<u64> = (first..next).filter(|number| !all.contains(number)).collect();
        assert!(missing.is_empty(), "of {first}..{next} these are missing: {missing:?}");
    }
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_program_was_told_to_be_on_disk_is_stored_once_and_in_order_through_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = random();
    let mut server = NatsServer::start().await;
    let (mut first, mut accepted) = (0, Vec::new());
    for round in 0..6 {
        // Every other program has no server for a part of its life.
        let mut told = Told::start("always", &server.url(), dir.path(), first);
        let mut left = random.u64(1..1_500);
        let mut next = first;
        while let Some(number) = told.next() {
            next = number;
            left -= 1;
            if left == 0 {
                told.child.kill().unwrap();
                // What it had told before it died counts too.
                left = u64::MAX;
            } else if round % 2 == 1 && left == 300 {
                server.kill();
            }
        }
        drop(told);
        accepted.push((first, next));
        if !server.is_running() {
            server.restart().await;
        }
        first += MOST;
    }
    settle(&server.url(), dir.path(), &accepted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_did_not_take_survives_kill_9_of_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = random();
    let mut server = NatsServer::start().await;
    let (mut first, mut accepted) = (0, Vec::new());
    for _ in 0..4 {
        let mut told = Told::start("overflow", &server.url(), dir.path(), first);
        let (kills_server, kills_child) = (random.u64(1..1_000), random.u64(1_000..2_900));
        let (mut next, mut seen) = (first, 0);
        while let Some(number) = told.next() {
            next = next.max(number);
            seen += 1;
            if seen == kills_server {
                server.kill();
            } else if seen == kills_child {
                told.child.kill().unwrap();
            }
        }
        drop(told);
        accepted.push((first, next));
        server.restart().await;
        first += MOST;
    }
    settle(&server.url(), dir.path(), &accepted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_outage_under_load_costs_nothing_and_the_account_is_balanced_throughout() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = NatsServer::start().await;
    let mut config = config(&server.url(), dir.path(), SpoolMode::Overflow);
    config.events.buffer_max_events = 1_000;
    config.events.delivery_timeout = Duration::from_secs(2);
    let program = Program::start(config).await.unwrap();
    let watched = std::sync::Arc::clone(&program.events);
    let watching = tokio::spawn(async move {
        for looks in 0_u64.. {
            let counters = watched.counters();
            assert!(counters.is_balanced(), "{counters:?}");
            if counters.acked == 30_000 {
                return looks;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        0
    });
    for number in 0..30_000_u64 {
        if number == 5_000 {
            server.kill();
        }
        if number == 25_000 {
            server.restart().await;
        }
        let job = format!("job-{}", number % JOBS);
        program.events.log_job_progress(&job, &number.to_string()).await.unwrap();
    }
    let looks = wait::within("all to be stored", PATIENCE, watching).await.unwrap();
    assert!(looks > 10);
    let counters = program.events.counters();
    assert_eq!((counters.not_stored(), counters.spooled), (0, 0), "{counters:?}");
    let jobs = stored(&program).await;
    for (job, numbers) in jobs {
        assert!(numbers.iter().copied().eq((0..30_000).filter(|n| n % JOBS == job)), "job-{job}");
    }
    program.stop().await;
}
