//! Two processes of one group: the `naq react` command, killed and stopped, and
//! a server that is killed under them. The ledger is a file that the handlers
//! append to: a line of an event's sequence for each time it was handled.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use naq_core::events::Event;
use naq_tests::server::NatsServer;
use naq_tests::{backend, cli, wait};

use crate::support::{Own, PATIENCE};

const EVENTS: u64 = 60;

/// A member of the group in a process of its own; killed when dropped.
struct Member(Child);

impl Member {
    fn start(url: &str, own: &Own, ledger: &Path) -> Self {
        let script = format!(
            "cat > /dev/null; sleep 0.02; echo $NAQ_EVENT_SEQUENCE >> '{}'",
            ledger.display()
        );
        let child = Command::new(cli::naq())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("NAQ_NATS_URL", url)
            .env("NAQ_EVENTS_STREAM_NAME", own.stream())
            .env("NAQ_EVENTS_SUBJECT_ROOT", own.stream())
            .args(["react", "g", "--since", "beginning", "--concurrency", "2", "--ack-wait", "1s"])
            .args(["--", "sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn terminate(&mut self) {
        let pid = self.0.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(sent.success());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How often each event was handled.
fn handled(ledger: &Path) -> BTreeMap<u64, u64> {
    let mut counts = BTreeMap::new();
    for line in fs::read_to_string(ledger).unwrap_or_default().lines() {
        *counts.entry(line.parse().unwrap()).or_default() += 1;
    }
    counts
}

async fn log(own: &Own) {
    for n in 0..EVENTS {
        own.log(Event::job_paused(format!("j{n}"))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_faults_two_processes_handle_every_event_exactly_once() {
    let server = NatsServer::start().await;
    let own = Own::new(backend::connect(&server.url()).await).await;
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("handled");
    log(&own).await;
    let mut one = Member::start(&server.url(), &own, &ledger);
    let mut two = Member::start(&server.url(), &own, &ledger);
    // One is asked to end in the middle: what it had goes to the other.
    wait::until("some to be handled", PATIENCE, async || handled(&ledger).len() >= 10).await;
    one.terminate();
    wait::until("all to be handled", PATIENCE, async || handled(&ledger).len() as u64 >= EVENTS)
        .await;
    two.terminate();
    let counts = handled(&ledger);
    assert_eq!(counts, (1..=EVENTS).map(|sequence| (sequence, 1)).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_gives_its_events_to_the_other() {
    let server = NatsServer::start().await;
    let own = Own::new(backend::connect(&server.url()).await).await;
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("handled");
    log(&own).await;
    let one = Member::start(&server.url(), &own, &ledger);
    wait::until("some to be handled", PATIENCE, async || handled(&ledger).len() >= 10).await;
    let _two = Member::start(&server.url(), &own, &ledger);
    drop(one);
    wait::until("all to be handled", PATIENCE, async || handled(&ledger).len() as u64 == EVENTS)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_comes_back_loses_no_event_of_a_group() {
    let mut server = NatsServer::start().await;
    let own = Own::new(backend::connect(&server.url()).await).await;
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("handled");
    log(&own).await;
    let _one = Member::start(&server.url(), &own, &ledger);
    let _two = Member::start(&server.url(), &own, &ledger);
    wait::until("some to be handled", PATIENCE, async || handled(&ledger).len() >= 10).await;
    server.restart().await;
    wait::until("all to be handled", PATIENCE, async || handled(&ledger).len() as u64 == EVENTS)
        .await;
}
