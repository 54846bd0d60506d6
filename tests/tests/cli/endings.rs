//! How commands end when something is in the way: two lines, and the exit code.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use naq_tests::command;
use naq_tests::server::{NatsServer, User};

use crate::support::{Naq, command_on, run_alone, screen};

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn every_failure_says_what_and_what_to_try_and_has_an_exit_code() {
    let naq = Naq::with_events().await;
    for (name, line) in [
        ("no_such_job", "history nobody --output table"),
        ("no_such_job_json", "history nobody --output jsonl"),
        ("no_such_stream", "streams info nowhere"),
        ("no_such_bucket", "kv get nowhere key"),
        ("no_such_file", "log nowhere.ndjson"),
        ("no_such_creds", "--creds nowhere.creds stats"),
        ("no_host", "--server nats:// stats"),
        ("in_memory", "--server memory:// stats"),
        ("wrong_scheme", "--server http://localhost stats"),
        ("wrong_filter", "tail --filter '{\"duration\":{\"min\":2,\"max\":1}}'"),
        ("wrong_regex", "tail --filter '{\"error\":{\"regex\":\"(\"}}'"),
        ("wrong_expression", "tail 'type in (job_failed, and duration > 2s'"),
        ("wrong_id", "log --type x --job ''"),
        ("wrong_config", "--config nowhere.toml stats"),
        ("end_before_start", "stats --since 2026-11-24T12:00:00Z --until 2026-11-24"),
        ("nobody_to_ask", "streams rm events"),
    ] {
        insta::assert_snapshot!(name, naq.screen(line));
    }
}

#[test]
fn bad_usage_is_told_without_a_server() {
    for (line, word) in [
        ("stats --nonsense", "--nonsense"),
        ("frobnicate", "frobnicate"),
        ("stats --since yesterday", "1h"),
        ("log", "--type"),
        ("log x.ndjson --type y", "can't be used with"),
        ("log --type x --attempt 0", "from 1"),
        ("log --type x --field job_id=7", "--job"),
        ("cleanup --older-than -1d", "-1d"),
        ("kv get settings", "naq kv get [OPTIONS] <BUCKET> <KEY>"),
        ("kv", "buckets"),
        ("stats --scan-limit 0", "from 1"),
        ("log --type x --duration -1", "--duration"),
        ("log --type x --field novalue", "NAME=VALUE"),
        ("analytics", "<TYPE>"),
        ("--timeout 0s stats", "10ms"),
        ("--output xml stats", "jsonl"),
        ("completions tcsh", "bash"),
    ] {
        let done = run_alone(line);
        assert_eq!(done.code, Some(2), "{line}: {}{}", done.stdout, done.stderr);
        assert!(done.stderr.contains(word), "{line}: {}", done.stderr);
        assert_eq!(done.stderr.lines().count(), 2, "{line}: {}", done.stderr);
        assert_eq!(done.stdout, "", "{line}");
    }
}

#[test]
fn help_and_version_are_answers_and_no_errors() {
    for line in ["--help", "--version", "help kv put", "kv put --help", "-V"] {
        let done = run_alone(line);
        assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{line}");
        assert!(!done.stdout.is_empty(), "{line}");
    }
    // Without anything to do, the help is what there is to try.
    let done = run_alone("");
    assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""));
    assert!(done.stderr.contains("Usage: naq"), "{}", done.stderr);
}

#[tokio::test]
async fn no_form_of_output_is_passed_over_in_silence() {
    let naq = Naq::with_events().await;
    assert_eq!(naq.run("export --output jsonl").code, Some(0));
    let usual = |value: &str, line: &str| naq.command(line).env("NAQ_OUTPUT", value).output();
    for (value, line) in [("table", "export"), ("", "stats"), ("", "export")] {
        let done = usual(value, line).unwrap();
        assert_eq!(done.status.code(), Some(0), "{value:?} {line}");
    }
    insta::assert_snapshot!("export_form", naq.screen("export --output table"));
}

#[test]
fn a_server_that_is_away_is_code_4_within_the_timeout() {
    let begun = std::time::Instant::now();
    let done = run_alone("--timeout 1s stats");
    assert!(begun.elapsed() < Duration::from_secs(10));
    insta::assert_snapshot!("unavailable", screen("--timeout 1s stats", &done));
}

#[tokio::test]
async fn a_server_without_tls_is_told_apart_from_no_server() {
    let naq = Naq::with_events().await;
    let url = naq.server.url().replace("nats://", "tls://");
    let line = format!("--server {url} --timeout 5s stats");
    insta::assert_snapshot!("no_tls", naq.screen(&line));
}

#[tokio::test]
async fn a_wrong_password_is_told_in_time() {
    let server = NatsServer::builder().user(User::new("ann", "right")).start().await;
    let folder = tempfile::tempdir().unwrap();
    let run = |url: &str| command::run(&mut command_on(url, folder.path(), "stats"), LIMIT);
    let refused = run(&server.url_as("ann", "wrong"));
    insta::assert_snapshot!("wrong_password", screen("stats", &refused));
    assert!(!refused.stderr.contains("wrong\u{40}"), "the password is told: {}", refused.stderr);
    assert_eq!(run(&server.url_as("ann", "right")).code, Some(3), "there is no stream yet");
}

#[tokio::test]
async fn a_missing_right_is_told_whether_one_event_is_logged_or_many() {
    let (ann, reader) = (User::new("ann", "pw"), User::new("reader", "pw"));
    let reader = reader.may_not_publish(["events.>"]);
    let producer = User::new("producer", "pw").may_publish(["events.>"]);
    let users = NatsServer::builder().user(ann).user(reader).user(producer);
    let server = users.start().await;
    let folder = tempfile::tempdir().unwrap();
    let run = |user: &str, line: &str, input: &[u8]| {
        let url = server.url_as(user, "pw");
        command::run_with(&mut command_on(&url, folder.path(), line), input, LIMIT)
    };
    assert_eq!(run("ann", "log --type x --job a", b"").code, Some(0));
    let one = run("reader", "log --type x --job a", b"");
    insta::assert_snapshot!("may_not_log_one", screen("log --type x --job a", &one));
    let many = run("reader", "log -", b"{\"type\":\"x\"}\n{\"type\":\"y\"}\n");
    insta::assert_snapshot!("may_not_log_many", screen("log -", &many));
    let blind = run("producer", "log --type x --job a", b"");
    insta::assert_snapshot!("may_not_look", screen("log --type x --job a", &blind));
    let mut told = command_on(&server.url_as("producer", "pw"), folder.path(), "log --type x");
    told.env("NAQ_EVENTS_STREAM", "assume");
    assert_eq!(command::run(&mut told, LIMIT).code, Some(0));
}

#[tokio::test]
async fn a_server_without_jetstream_says_so() {
    let server = NatsServer::builder().without_jetstream().start().await;
    let folder = tempfile::tempdir().unwrap();
    for line in ["stats", "log --type x", "streams ls", "kv buckets"] {
        let done = command::run(&mut command_on(&server.url(), folder.path(), line), LIMIT);
        assert_eq!(done.code, Some(1), "{line}: {}", done.stderr);
        assert!(done.stderr.contains("without JetStream"), "{line}: {}", done.stderr);
    }
    let line = "doctor --output table";
    let done = command::run(&mut command_on(&server.url(), folder.path(), line), LIMIT);
    assert_eq!(done.code, Some(1), "{}", done.stdout);
    assert_eq!(done.stdout.matches("without JetStream").count(), 1, "{}", done.stdout);
}

#[tokio::test]
async fn a_closed_pipe_ends_quietly() {
    let naq = Naq::new().await;
    let lines: String =
        (0..20_000).map(|n| format!("{{\"type\":\"t\",\"job_id\":\"j{n}\"}}\n")).collect();
    assert_eq!(naq.run_with("log -", lines.as_bytes()).code, Some(0));
    for line in [
        "export",
        "tail --until-now",
        "tail --until-now --output table",
        "stats --watch 100ms",
        "stats --watch 100ms --output table",
    ] {
        let mut child = naq
            .command(line)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        reader.read_line(&mut first).unwrap();
        drop(reader);
        let done = child.wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{line}");
        assert_eq!(String::from_utf8_lossy(&done.stderr), "", "{line}");
    }
}

#[test]
fn help_and_completions_go_to_standard_output() {
    for line in
        ["--help", "help log", "kv put --help", "demo -h", "completions bash", "completions zsh"]
    {
        let done = run_alone(line);
        assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{line}");
        assert!(done.stdout.contains("naq"), "{line}");
    }
    insta::assert_snapshot!("help", run_alone("-h").stdout);
}

#[test]
fn a_secret_in_a_variable_is_not_shown_by_help() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command_on("nats://ann:hunter2@host", folder.path(), "--help");
    let done = command::run(&mut command, LIMIT);
    assert!(!done.stdout.contains("hunter2"));
}
