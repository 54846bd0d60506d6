//! What goes on until somebody ends it: `naq tail`, `naq stats --watch`, `naq kv watch`,
//! and `naq keeper`.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use naq_tests::wait;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::Naq;

const LIMIT: Duration = Duration::from_secs(30);

/// A command that runs until it is interrupted.
struct Running {
    child: Child,
    lines: Receiver<String>,
    notes: Receiver<String>,
}

impl Running {
    fn start(naq: &Naq, line: &str) -> Self {
        let mut command = naq.command(line);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, stderr): (ChildStdout, ChildStderr) =
            (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self { child, lines: lines(stdout), notes: lines(stderr) }
    }

    /// The same where nobody reads standard output.
    fn start_unread(naq: &Naq, line: &str) -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = naq.command(line);
        command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        Self { child, lines: lines(std::io::empty()), notes: lines(stderr) }
    }

    /// The next line of standard output.
    fn line(&self) -> String {
        self.lines.recv_timeout(LIMIT).unwrap()
    }

    /// Waits for a note that has this in it.
    fn note(&self, part: &str) -> String {
        let mut others = Vec::new();
        loop {
            match self.notes.recv_timeout(LIMIT) {
                Ok(note) if note.contains(part) => return note,
                Ok(note) => others.push(note),
                Err(error) => panic!("no note with {part:?} ({error}): {others:#?}"),
            }
        }
    }

    /// Ctrl-C; answers the exit code.
    fn interrupt(self) -> Option<i32> {
        self.end(Signal::INT)
    }

    /// What a service manager sends; answers the exit code.
    fn terminate(self) -> Option<i32> {
        self.end(Signal::TERM)
    }

    fn end(mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

#[tokio::test]
async fn tail_shows_what_comes_and_ends_with_ctrl_c() {
    let naq = Naq::with_events().await;
    // From a sequence on, so that nothing hangs on who is first.
    let tail = Running::start(&naq, "tail --since seq:7 --type job_failed --output table");
    assert_eq!(
        naq.run("log --type job_started --job a --timestamp 2026-11-24T12:00:00Z").code,
        Some(0)
    );
    let logged =
        naq.run("log --type job_failed --job b --error reset --timestamp 2026-11-24T12:00:01Z");
    assert_eq!(logged.code, Some(0));
    assert_eq!(tail.line(), "2026-11-24 UTC");
    assert_eq!(tail.line(), "12:00:01.000  job_failed           b  reset");
    assert_eq!(tail.interrupt(), Some(0));
}

#[tokio::test]
async fn tail_survives_a_killed_server_and_says_so() {
    let mut naq = Naq::with_events().await;
    let tail = Running::start(&naq, "tail --since seq:6 --output jsonl");
    assert!(tail.line().contains("worker_stopped"));
    naq.server.restart().await;
    tail.note("connection is lost");
    let resumed = tail.note("reconnected");
    assert!(resumed.contains("behind sequence 6"), "{resumed}");
    assert_eq!(naq.run("log --type after --job z").code, Some(0));
    assert!(tail.line().contains("\"after\""));
    assert_eq!(tail.interrupt(), Some(0));
}

#[tokio::test]
async fn tail_ends_where_the_stream_is_deleted() {
    let naq = Naq::with_events().await;
    let mut tail = Running::start(&naq, "tail --since seq:6");
    assert!(tail.line().contains("worker_stopped"));
    assert_eq!(naq.run("streams rm events --yes").code, Some(0));
    tail.note("error:");
    assert_eq!(tail.child.wait().unwrap().code(), Some(3));
}

#[tokio::test]
async fn tail_goes_on_behind_its_cursor() {
    let naq = Naq::with_events().await;
    let first = naq.run("tail --cursor c --since beginning --until-now --limit 2 --output jsonl");
    assert_eq!((first.code, first.stdout.lines().count()), (Some(0), 2));
    assert_eq!(naq.json("cursors show c --output json")["lag"], 4);
    let tail = Running::start(&naq, "tail --cursor c --output jsonl");
    for _ in 0..4 {
        tail.line();
    }
    assert_eq!(naq.run("log --type after --job z").code, Some(0));
    assert!(tail.line().contains("\"after\""));
    assert_eq!(tail.interrupt(), Some(0));
    let rest = naq.run("tail --cursor c --until-now --output jsonl");
    assert_eq!((rest.code, rest.stdout.as_str()), (Some(0), ""));
    let listed = naq.json("cursors ls --output jsonl");
    assert_eq!(
        (&listed["cursor"], &listed["lag"], &listed["gone"]),
        (&"c".into(), &0.into(), &0.into())
    );
    assert_eq!(naq.json("cursors set c seq:6 --output json")["lag"], 2);
    assert_eq!(naq.run("cursors rm c --yes").code, Some(0));
    assert_eq!(naq.run("cursors show c").code, Some(3));
    // A log made anew counts from 1 again.
    assert_eq!(naq.run("cursors set c beginning").code, Some(0));
    assert_eq!(naq.run("streams rm events --yes").code, Some(0));
    assert_eq!(naq.run("log --type after --job z").code, Some(0));
    let refused = naq.run("tail --cursor c --until-now");
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("try: naq cursors set c beginning"), "{}", refused.stderr);
}

#[tokio::test]
async fn tail_saves_its_cursor_though_nothing_more_comes_and_when_it_is_terminated() {
    let mut naq = Naq::with_events().await;
    let saved = async |naq: &Naq, sequence: u64| {
        wait::until("the cursor to be saved", LIMIT, async || {
            let shown = naq.run("cursors show c --output json");
            let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap_or_default();
            let position = shown["position"].as_str().unwrap_or_default();
            position.starts_with(&format!("{sequence}@"))
        })
        .await;
    };
    let tail = Running::start(&naq, "tail --cursor c --since beginning --output jsonl");
    for _ in 0..6 {
        tail.line();
    }
    // The first one is saved at once, what comes within the second by the clock alone.
    for job in ["a", "b"] {
        assert_eq!(naq.run(&format!("log --type after --job {job}")).code, Some(0));
        tail.line();
    }
    saved(&naq, 8).await;
    naq.server.restart().await;
    tail.note("reconnected");
    assert_eq!(naq.run("log --type after --job c").code, Some(0));
    tail.line();
    saved(&naq, 9).await;
    for job in ["d", "e"] {
        assert_eq!(naq.run(&format!("log --type after --job {job}")).code, Some(0));
        tail.line();
    }
    assert_eq!(tail.terminate(), Some(0));
    assert_eq!(naq.json("cursors show c --output json")["lag"], 0);
}

#[tokio::test]
async fn a_cursor_that_can_t_be_read_is_in_nobody_s_way() {
    let naq = Naq::with_events().await;
    assert_eq!(naq.run("cursors set good beginning").code, Some(0));
    assert_eq!(naq.run("kv put naq_cursors events.bad nonsense").code, Some(0));
    let listed = naq.run("cursors ls --output table");
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    let rows: Vec<Vec<_>> =
        listed.stdout.lines().map(|line| line.split_whitespace().take(4).collect()).collect();
    assert_eq!(rows[1], ["bad", "-", "unreadable", "-"]);
    assert_eq!(rows[2], ["good", "0", "6", "0"]);
    let shown = naq.run("cursors show bad");
    assert_eq!(shown.code, Some(1));
    assert!(shown.stderr.contains("`naq cursors set bad beginning`"), "{}", shown.stderr);
    assert_eq!(naq.run("cursors rm bad --yes").code, Some(0));
    let gone = naq.run("cursors show bad");
    assert_eq!(gone.code, Some(3));
    assert!(gone.stderr.contains("`naq cursors ls`"), "{}", gone.stderr);
}

#[tokio::test]
async fn watch_shows_values_and_then_changes() {
    let naq = Naq::new().await;
    assert_eq!(naq.run("kv create settings").code, Some(0));
    assert_eq!(naq.run("kv put settings a.b one").code, Some(0));
    let watch = Running::start(&naq, "kv watch settings --output jsonl");
    assert!(watch.line().contains("\"value\":\"one\""));
    assert_eq!(naq.run("kv put settings a.b two").code, Some(0));
    assert!(watch.line().contains("\"value\":\"two\""));
    assert_eq!(naq.run("kv rm settings a.b").code, Some(0));
    assert!(watch.line().contains("\"operation\":\"delete\""));
    assert_eq!(watch.interrupt(), Some(0));
}

#[tokio::test]
async fn watch_says_that_the_server_is_away_and_goes_on() {
    let mut naq = Naq::new().await;
    assert_eq!(naq.run("kv create settings").code, Some(0));
    assert_eq!(naq.run("kv put settings a one").code, Some(0));
    let watch = Running::start(&naq, "kv watch settings --output jsonl");
    assert!(watch.line().contains("\"value\":\"one\""));
    naq.server.restart().await;
    watch.note("connection is lost");
    watch.note("reconnected");
    assert_eq!(naq.run("kv put settings a two").code, Some(0));
    assert!(watch.line().contains("\"value\":\"two\""));
    assert_eq!(watch.interrupt(), Some(0));
}

#[tokio::test]
async fn statistics_are_asked_again_and_survive_a_killed_server() {
    let mut naq = Naq::with_events().await;
    let watch = Running::start(&naq, "stats --watch 100ms --output jsonl");
    let until_it_counts = |events: u64| {
        loop {
            let stats: serde_json::Value = serde_json::from_str(&watch.line()).unwrap();
            if stats["total_events"] == events {
                return;
            }
            assert!(stats["total_events"].as_u64().unwrap() < events, "{stats}");
        }
    };
    until_it_counts(6);
    assert_eq!(naq.run("log --type after --job z").code, Some(0));
    until_it_counts(7);
    naq.server.restart().await;
    watch.note("the server is away");
    watch.note("the server answers again");
    assert_eq!(naq.run("log --type after --job z").code, Some(0));
    until_it_counts(8);
    assert_eq!(watch.interrupt(), Some(0));
}

#[tokio::test]
async fn watched_statistics_are_blocks_with_their_time_where_no_terminal_is() {
    let naq = Naq::with_events().await;
    let watch = Running::start(&naq, "stats --watch 100ms --output table --utc");
    let is_heading = |line: &str| line.starts_with("20") && line.ends_with('Z');
    let mut headings = 0;
    while headings < 2 {
        let line = watch.line();
        assert!(!line.contains('\u{1b}'), "{line:?}");
        headings += usize::from(is_heading(&line));
    }
    assert!(watch.line().starts_with("Events  6 in the whole log"));
    assert_eq!(watch.interrupt(), Some(0));
}

#[tokio::test]
async fn watched_statistics_end_with_an_error_where_the_stream_is_deleted() {
    let naq = Naq::with_events().await;
    let mut watch = Running::start(&naq, "stats --watch 100ms --output jsonl");
    watch.line();
    assert_eq!(naq.run("streams rm events --yes").code, Some(0));
    watch.note("error:");
    assert_eq!(watch.child.wait().unwrap().code(), Some(3));
}

#[tokio::test]
async fn a_keeper_tells_how_far_it_is_and_ends_with_ctrl_c() {
    let naq = Naq::with_events().await;
    let config =
        "[events]\nkeeper_lease = \"300ms\"\n[events.retention]\nworker_stopped = \"1s\"\n";
    std::fs::write(naq.folder.path().join("naq.toml"), config).unwrap();
    let nobody = naq.run("keeper status --output table");
    assert_eq!(nobody.stdout, "nobody keeps the log: digests are made by those who ask\n");
    assert_eq!(naq.json("keeper status --output json"), serde_json::Value::Null);
    let keeper = Running::start(&naq, "keeper --config naq.toml --tell 100ms --output jsonl");
    keeper.note("keeps the log now");
    let told = loop {
        let told: serde_json::Value = serde_json::from_str(&keeper.line()).unwrap();
        if told["through"] == 6 {
            break told;
        }
    };
    assert_eq!((&told["behind"], &told["trouble"]), (&0.into(), &serde_json::Value::Null));
    let waiting = Running::start(&naq, "keeper --config naq.toml --output table");
    let status = naq.json("keeper status --output json");
    assert_eq!(status["keeper"], told["keeper"]);
    let facts = naq.run("keeper status --output table").stdout;
    assert!(facts.contains("Digested through  sequence 6"), "{facts}");
    assert_eq!(keeper.interrupt(), Some(0));
    waiting.note("keeps the log now");
    let line = waiting.line();
    assert!(line.contains(" through 6, 0 behind;"), "{line}");
    assert_eq!(waiting.interrupt(), Some(0));
    assert_eq!(naq.json("keeper status --output json"), serde_json::Value::Null);
}

#[tokio::test]
async fn a_keeper_tells_at_once_that_the_server_is_away_and_goes_on_when_it_is_back() {
    let mut naq = Naq::with_events().await;
    let keeper = Running::start(&naq, "keeper --tell 100ms --output jsonl");
    keeper.note("keeps the log now");
    naq.server.kill();
    keeper.note("the server is away; it goes on when it is back");
    naq.server.restart().await;
    keeper.note("the server answers again");
    assert_eq!(keeper.interrupt(), Some(0));
}

#[tokio::test]
async fn a_keeper_that_was_killed_is_told_as_dead_and_as_far_behind_as_it_is() {
    let naq = Naq::with_events().await;
    std::fs::write(naq.folder.path().join("naq.toml"), "[events]\nkeeper_lease = \"300ms\"\n")
        .unwrap();
    let keeper = Running::start(&naq, "keeper --config naq.toml --tell 100ms --output jsonl");
    let status = || naq.json("keeper status --output json");
    wait::until("the keeper to have digested all", LIMIT, async || {
        (&status()["through"], &status()["behind"]) == (&6.into(), &0.into())
    })
    .await;
    let facts = naq.run("keeper status --output table").stdout;
    assert!(!facts.contains("died"), "{facts}");
    drop(keeper);
    assert_eq!(naq.run("log --type after --job z").code, Some(0));
    assert_eq!(status()["behind"], 1);
    wait::until("three leases without a sign of life", LIMIT, async || {
        let facts = naq.run("keeper status --output table").stdout;
        assert!(facts.contains("Behind            1 sequence"), "{facts}");
        facts.contains("it has died")
    })
    .await;
    assert!(status()["silent"].as_f64().unwrap() >= 0.9, "{}", status());
}

#[tokio::test]
async fn a_keeper_whose_server_is_away_blames_no_other_one() {
    let mut naq = Naq::with_events().await;
    std::fs::write(naq.folder.path().join("naq.toml"), "[events]\nkeeper_lease = \"300ms\"\n")
        .unwrap();
    let keeper = Running::start(&naq, "keeper --config naq.toml --timeout 1s");
    keeper.note("keeps the log now");
    naq.server.kill();
    keeper.note("keeps the log no longer: the server doesn't answer");
    naq.server.restart().await;
    keeper.note("keeps the log now");
    assert_eq!(keeper.interrupt(), Some(0));
}

#[tokio::test]
async fn a_keeper_whose_line_can_t_be_written_says_so_once_and_keeps_on() {
    let naq = Naq::with_events().await;
    let keeper = Running::start_unread(&naq, "keeper --tell 100ms --output jsonl");
    keeper.note("can't write how far it is");
    assert_eq!(naq.run("log --type after --job z").code, Some(0));
    wait::until("the keeper to have digested it", LIMIT, async || {
        naq.json("keeper status --output json")["through"] == 7
    })
    .await;
    while let Ok(note) = keeper.notes.try_recv() {
        assert!(!note.contains("can't write"), "{note}");
    }
    assert_eq!(keeper.interrupt(), Some(0));
}
