//! A command of one's own server, and screens without what differs from run to run.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use naq_tests::command::{self, Finished};
use naq_tests::{cli, server::NatsServer};
use regex::Regex;
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(60);

/// Six events of three jobs and a worker, with ids and times that never change.
pub(crate) const EVENTS: &str = include_str!("events.ndjson");

/// The command on a server of its own.
pub(crate) struct Naq {
    pub(crate) server: NatsServer,
    pub(crate) folder: tempfile::TempDir,
}

impl Naq {
    pub(crate) async fn new() -> Self {
        Self { server: NatsServer::start().await, folder: tempfile::tempdir().unwrap() }
    }

    /// With the six events in the log.
    pub(crate) async fn with_events() -> Self {
        let naq = Self::new().await;
        // One by one: a program's events of different jobs have no order among them.
        for line in EVENTS.lines() {
            let done = naq.run_with("log -", line.as_bytes());
            assert_eq!(done.code, Some(0), "{}", done.stderr);
        }
        naq
    }

    /// Runs a command line; words in single quotes stay together.
    pub(crate) fn run(&self, line: &str) -> Finished {
        self.run_with(line, b"")
    }

    pub(crate) fn run_with(&self, line: &str, input: &[u8]) -> Finished {
        command::run_with(&mut self.command(line), input, DEADLINE)
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        command_on(&self.server.url(), self.folder.path(), line)
    }

    /// The command line, what it writes, and how it ends, without what differs.
    pub(crate) fn screen(&self, line: &str) -> String {
        self.screen_with(line, b"")
    }

    pub(crate) fn screen_with(&self, line: &str, input: &[u8]) -> String {
        screen(line, &self.run_with(line, input))
    }

    /// The one JSON value that a command answers with.
    pub(crate) fn json(&self, line: &str) -> Value {
        let done = self.run(line);
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| {
            panic!("{line} answers no JSON ({error}): {}{}", done.stdout, done.stderr)
        })
    }
}

/// The command in an empty folder, with naq's URL as its only setting.
pub(crate) fn command_on(url: &str, folder: &Path, line: &str) -> Command {
    let mut command = Command::new(cli::naq());
    command.env_clear().env("NAQ_NATS_URL", url).env("HOME", folder).env("TZ", "UTC");
    command.current_dir(folder).args(words(line));
    command
}

/// Runs a command that must not need a server.
pub(crate) fn run_alone(line: &str) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command_on("nats://127.0.0.1:1", folder.path(), line);
    command::run(&mut command, DEADLINE)
}

fn words(line: &str) -> Vec<String> {
    if line.is_empty() {
        return Vec::new();
    }
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words
}

/// What a user sees.
pub(crate) fn screen(line: &str, done: &Finished) -> String {
    let mut text = format!("$ naq {line}\n{}", done.stdout);
    if !done.stderr.is_empty() {
        text.push_str(&format!("--- standard error\n{}", done.stderr));
    }
    let code = done.code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
    text.push_str(&format!("--- exit code {code}\n"));
    redacted(&text)
}

/// Ports, times and positions that differ from run to run. Only what the
/// server decides: the events' own times are those of the fixture.
fn redacted(text: &str) -> String {
    static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            (r"127\.0\.0\.1:\d{2,5}", "127.0.0.1:PORT"),
            (r#""_timestamp": ?"[^"]+""#, r#""_timestamp":"STORED""#),
            (r#""_position": ?"(\d+)@\d+""#, r#""_position":"$1@CREATED""#),
            (
                r#""(created|stream_created|before|first_time|last_time|as_of|\w+_stored)": ?"[^"]+""#,
                r#""$1":"TIME""#,
            ),
            (r#""id": ?"01[0-9a-f-]{34}""#, r#""id":"ID""#),
            (r"stored 01[0-9a-f-]{34}", "stored ID"),
            (r"(Created|before) +\d{4}-\d\d-\d\d [\d:]+Z?", "$1 TIME"),
            (r"As of( +)\d{4}-.* before", "As of${1}TIME"),
            (r"\d{4}-\d\d-\d\d [\d:]+Z?(  (?:put|delete|purge))", "TIME$1"),
            (r"in [\d.]+ (µs|ms|s)(, [\d.,]+ events/s)?", "in SPAN"),
            (r#""bytes": ?\d+"#, r#""bytes":SIZE"#),
            (r#""holds_seconds": ?[\d.]+"#, r#""holds_seconds":SPAN"#),
            (r#""stream_size": ?\d+"#, r#""stream_size":SIZE"#),
            (r"\d[\d.]* (B|KiB|MiB) in (\d)", "SIZE in $2"),
            (r"in \d[\d.]* (B|KiB) on", "in SIZE on"),
        ]
        .map(|(pattern, with)| (Regex::new(pattern).unwrap(), with))
        .into()
    });
    RULES
        .iter()
        .fold(text.to_owned(), |text, (rule, with)| rule.replace_all(&text, *with).into_owned())
}
