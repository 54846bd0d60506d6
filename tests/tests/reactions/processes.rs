//! Two processes of one group, and what breaks under them: the `naq react`
//! command, told to end and killed, its server killed, its connection cut, its
//! consumer deleted. Each is judged by the ledger.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use naq_core::events::Event;
use naq_tests::faults::rounds;
use naq_tests::proxy::{Direction, FaultProxy};
use naq_tests::server::NatsServer;
use naq_tests::{backend, cli, wait};

use crate::ledger::{Case, read};
use crate::support::{Own, PATIENCE};

const EVENTS: u64 = 80;
const JOBS: u64 = 5;

/// What runs for each event: it begins, asks for another try now and then, and is done.
const SCRIPT: &str = "cat > /dev/null
echo begun $NAQ_EVENT_SEQUENCE $NAQ_EVENT_TRIES >> \"$LEDGER\"
sleep 0.01
if [ $((NAQ_EVENT_SEQUENCE % 30)) = 7 ] && [ $NAQ_EVENT_TRIES = 1 ]; then exit 75; fi
echo done $NAQ_EVENT_SEQUENCE $NAQ_EVENT_TRIES >> \"$LEDGER\"";

/// A server with a log full of events, and a ledger.
struct Scene {
    server: NatsServer,
    own: Own,
    folder: tempfile::TempDir,
    case: Case,
}

impl Scene {
    async fn new() -> Self {
        let server = NatsServer::start().await;
        let own = Own::new(backend::connect(&server.url()).await).await;
        let mut case = Case::default();
        for n in 0..EVENTS {
            let job = format!("j{}", n % JOBS);
            case.stored.insert(own.log(Event::job_progress(job.as_str(), "x")).await, job);
        }
        Self { server, own, folder: tempfile::tempdir().unwrap(), case }
    }

    fn ledger(&self) -> PathBuf {
        self.folder.path().join("handled")
    }

    fn member(&self, arguments: &[&str]) -> Member {
        self.member_at(&self.server.url(), arguments)
    }

    fn member_at(&self, url: &str, arguments: &[&str]) -> Member {
        Member::start(url, &self.own, &self.ledger(), arguments)
    }

    /// Waits until so many events have been done.
    async fn done(&self, count: u64) {
        wait::until(&format!("{count} events to be done"), PATIENCE * 2, async || {
            Case::done_of(&read(&self.ledger())) as u64 >= count
        })
        .await;
    }

    /// Holds what was written down against the log.
    fn judge(mut self) {
        self.case.lines = read(&self.ledger());
        self.case.judge();
    }
}

/// A member of the group in a process of its own; killed when dropped.
struct Member(Child);

impl Member {
    fn start(url: &str, own: &Own, ledger: &Path, arguments: &[&str]) -> Self {
        let child = Command::new(cli::naq())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("LEDGER", ledger)
            .env("NAQ_NATS_URL", url)
            .env("NAQ_EVENTS_STREAM_NAME", own.stream())
            .env("NAQ_EVENTS_SUBJECT_ROOT", own.stream())
            .args(["react", "g", "--since", "beginning", "--concurrency", "2", "--ack-wait", "1s"])
            .args(arguments)
            .args(["--", "sh", "-c", SCRIPT])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Asks it to end, and waits for that.
    fn terminate(mut self) {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_faults_two_processes_handle_every_event_exactly_once() {
    let scene = Scene::new().await;
    let (one, two) = (scene.member(&[]), scene.member(&[]));
    // One is asked to end in the middle: what it had goes to the other.
    scene.done(10).await;
    one.terminate();
    scene.done(EVENTS).await;
    two.terminate();
    scene.judge();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_faults_two_processes_keep_each_job_in_order() {
    let mut scene = Scene::new().await;
    scene.case.in_order = true;
    let (one, two) = (scene.member(&["--in-order"]), scene.member(&["--in-order"]));
    scene.done(10).await;
    one.terminate();
    scene.done(EVENTS).await;
    two.terminate();
    scene.judge();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_gives_its_events_to_the_other() {
    rounds("member killed", async |mut round| {
        let mut scene = Scene::new().await;
        scene.case.had_faults = true;
        let one = scene.member(&[]);
        scene.done(round.random.u64(1..EVENTS / 2)).await;
        let _two = scene.member(&[]);
        drop(one);
        scene.done(EVENTS).await;
        scene.judge();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_job_stays_in_order_when_a_process_is_killed() {
    rounds("member in order killed", async |mut round| {
        let mut scene = Scene::new().await;
        (scene.case.had_faults, scene.case.in_order) = (true, true);
        let mut members = [scene.member(&["--in-order"]), scene.member(&["--in-order"])];
        for turn in 1..=3 {
            scene.done(turn * EVENTS / 4 + round.random.u64(0..EVENTS / 5)).await;
            members[turn as usize % 2] = scene.member(&["--in-order"]);
        }
        scene.done(EVENTS).await;
        scene.judge();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_comes_back_costs_no_event_and_no_order() {
    rounds("server killed under members", async |mut round| {
        let mut scene = Scene::new().await;
        (scene.case.had_faults, scene.case.in_order) = (true, true);
        scene.case.tries_may_start_over = true;
        let _members = [scene.member(&["--in-order"]), scene.member(&["--in-order"])];
        scene.done(round.random.u64(1..EVENTS / 2)).await;
        scene.server.kill();
        scene.server.restart().await;
        scene.done(EVENTS).await;
        scene.judge();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_again_and_again_costs_no_event() {
    rounds("member cut off", async |mut round| {
        let mut scene = Scene::new().await;
        scene.case.had_faults = true;
        let proxy = FaultProxy::start(scene.server.address()).await;
        let _one = scene.member_at(&proxy.url(), &[]);
        for cut in 1..=4 {
            scene.done(cut * EVENTS / 6).await;
            let way = [Direction::ToServer, Direction::ToClient][round.random.usize(0..2)];
            // In the middle of whatever goes there.
            proxy.reset_after(way, round.random.u64(1..2_000));
        }
        let _two = scene.member(&[]);
        scene.done(EVENTS).await;
        assert!(proxy.accepted() > 1, "it was cut");
        scene.judge();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_deleted_under_processes_ends_them_and_the_next_ones_lose_no_event() {
    let mut scene = Scene::new().await;
    (scene.case.had_faults, scene.case.tries_may_start_over) = (true, true);
    let mut members = [scene.member(&[]), scene.member(&[])];
    scene.done(10).await;
    scene.own.js.delete_consumer(scene.own.stream(), "g").await.unwrap();
    for member in &mut members {
        let status =
            wait::some("the member's end", PATIENCE, async || member.0.try_wait().unwrap());
        // What isn't there: as everywhere in the command.
        assert_eq!(status.await.code(), Some(3));
    }
    let _next = [scene.member(&[]), scene.member(&[])];
    scene.done(EVENTS).await;
    scene.judge();
}
