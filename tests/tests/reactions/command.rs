//! The command that `naq react` runs: what its end means, and how it is ended.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use futures::TryStreamExt;
use naq_core::events::Event;
use naq_events::reactions::{DeadCause, DeadLetter, SelectLetters};
use naq_tests::server::NatsServer;
use naq_tests::{backend, cli, wait};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::support::{Own, PATIENCE, idle};

/// A server, a log of three events, and a folder for what commands write.
struct Scene {
    server: NatsServer,
    own: Own,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let server = NatsServer::start().await;
        let own = Own::new(backend::connect(&server.url()).await).await;
        for n in 1..=3 {
            own.log(Event::job_paused(format!("j{n}"))).await;
        }
        Self { server, own, folder: tempfile::tempdir().unwrap() }
    }

    /// `naq react g` with a shell script, as a process group of its own.
    fn react(&self, arguments: &[&str], script: &str) -> Naq {
        let child = Command::new(cli::naq())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("NAQ", cli::naq())
            .env("NAQ_NATS_URL", self.server.url())
            .env("NAQ_EVENTS_STREAM_NAME", self.own.stream())
            .env("NAQ_EVENTS_SUBJECT_ROOT", self.own.stream())
            .current_dir(self.folder.path())
            .args(["react", "g", "--since", "beginning", "--type", "job_paused"])
            .args(arguments)
            .args(["--", "sh", "-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        Naq(child.unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The lines of a file that commands write.
    fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    async fn wait_for(&self, line: &str) {
        wait::until(&format!("the line {line}"), PATIENCE, async || {
            self.lines("told").iter().any(|told| told == line)
        })
        .await;
    }

    async fn letters(&self) -> Vec<DeadLetter> {
        let all = self.own.reactions.dead_letters(SelectLetters::default());
        all.try_collect().await.unwrap()
    }
}

/// The process; killed when dropped.
struct Naq(Child);

impl Naq {
    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap()
    }

    async fn end(&mut self) -> ExitStatus {
        wait::some("the end of naq", PATIENCE, async || self.0.try_wait().unwrap()).await
    }
}

impl Drop for Naq {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exit_code_says_what_becomes_of_the_event() {
    let scene = Scene::new().await;
    let script = "cat > event-$NAQ_EVENT_SEQUENCE
        echo $NAQ_EVENT_SEQUENCE $NAQ_EVENT_TRIES >> told
        case $NAQ_EVENT_SEQUENCE-$NAQ_EVENT_TRIES in
          1-1) exit 75;;
          2-*) exit 3;;
          3-1) kill -9 $$;;
        esac";
    let _naq = scene.react(&[], script);
    scene.wait_for("1 2").await;
    scene.wait_for("3 2").await;
    idle(&scene.own, "g").await;
    let mut told = scene.lines("told");
    told.sort_unstable();
    assert_eq!(told, ["1 1", "1 2", "2 1", "3 1", "3 2"]);
    let letters = scene.letters().await;
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!((letter.cause, letter.position.sequence), (DeadCause::Rejected, 2));
    assert!(letter.reason.contains("exit code 3"), "{}", letter.reason);
    let given = std::fs::read(scene.path("event-2")).unwrap();
    assert_eq!(given, [&letter.payload[..], b"\n"].concat(), "the event as it is stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_past_its_deadline_ends_with_all_that_it_started() {
    let scene = Scene::new().await;
    // Whoever holds the other side of the pipe is alive.
    let script = "mkfifo alive-$NAQ_EVENT_SEQUENCE
        sleep 120 > alive-$NAQ_EVENT_SEQUENCE &
        echo $NAQ_EVENT_SEQUENCE >> told
        wait";
    let naq = scene.react(&["--deadline", "500ms", "--tries", "1"], script);
    scene.wait_for("1").await;
    let (ended, end) = tokio::sync::oneshot::channel();
    let alive = scene.path("alive-1");
    std::thread::spawn(move || {
        let read = std::fs::File::open(alive).and_then(|mut file| file.read(&mut [0]));
        ended.send(read)
    });
    let read = wait::within("all that the command started to end", PATIENCE, end).await;
    assert_eq!(read.unwrap().unwrap(), 0, "the end of what it wrote");
    wait::until("a dead letter", PATIENCE, async || {
        let letters = scene.letters().await;
        letters.first().is_some_and(|letter| letter.cause == DeadCause::TriesExhausted)
    })
    .await;
    drop(naq);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupt_of_the_whole_terminal_lets_the_command_finish() {
    let scene = Scene::new().await;
    let script = "echo begun >> told; sleep 0.5; echo done >> told";
    let mut naq = scene.react(&[], script);
    scene.wait_for("begun").await;
    kill_process_group(naq.pid(), Signal::INT).unwrap();
    assert!(naq.end().await.success());
    assert_eq!(scene.lines("told"), ["begun", "done"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_again_it_ends_at_once() {
    let scene = Scene::new().await;
    let mut naq = scene.react(&["--deadline", "1h"], "echo begun >> told; sleep 120");
    scene.wait_for("begun").await;
    let pid = naq.pid();
    let status = wait::some("the end of naq", PATIENCE / 2, async || {
        // It may have ended meanwhile.
        let _ = kill_process(pid, Signal::TERM);
        naq.0.try_wait().unwrap()
    });
    assert_eq!(status.await.code(), Some(5), "some of it was not done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_may_call_naq() {
    let scene = Scene::new().await;
    let _naq = scene.react(&[], r#""$NAQ" log --type handled --job "j$NAQ_EVENT_SEQUENCE""#);
    wait::until("three more events", PATIENCE, async || {
        scene.own.js.stream_info(scene.own.stream()).await.unwrap().state.messages == 6
    })
    .await;
    idle(&scene.own, "g").await;
    assert!(scene.letters().await.is_empty());
}
