//! `naq demo`: the first thing anybody sees.

use std::fs;
use std::path::Path;
use std::time::Duration;

use naq_tests::command::{self, Finished};
use serde_json::Value;

use crate::support::{Naq, command_on};

const LIMIT: Duration = Duration::from_secs(60);

/// Two texts, a picture that is none, and what is passed over.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    write("a.txt", b"one two\nthree\n");
    write("sub/b.md", "Grüße\n".as_bytes());
    write("picture.png", b"\x89PNG\xff\xfe");
    write("target/artefact", b"x");
    write(".git/config", b"x");
    write(".venv/lib", b"x");
    folder
}

fn in_memory(folder: &Path, line: &str) -> Finished {
    command::run(&mut command_on("", folder, line), LIMIT)
}

fn answers(done: &Finished) -> Value {
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    serde_json::from_str(&done.stdout).unwrap()
}

#[test]
fn in_memory_it_reports_what_the_log_says() {
    let folder = folder();
    let done = in_memory(folder.path(), "demo --workers 2 --output json");
    let answers = answers(&done);
    let types = &answers["stats"]["event_types"];
    for (event_type, count) in [
        ("job_enqueued", 4),
        ("job_started", 6),
        ("job_completed", 2),
        ("job_failed", 4),
        ("job_retry_scheduled", 2),
        ("worker_started", 2),
        ("worker_stopped", 2),
    ] {
        assert_eq!(types[event_type], count, "{event_type} in {types}");
    }
    assert_eq!(answers["completed"]["success_rate"], 1.0);
    let kinds: Vec<_> = answers["kinds"]["rows"].as_array().unwrap().iter().collect();
    let runs = kinds.iter().map(|row| row["values"][0].as_f64().unwrap()).sum::<f64>();
    assert_eq!(runs, 6.0, "{kinds:?}");
    assert_eq!(
        (&answers["errors"]["total"], &answers["errors"]["different"]),
        (&4.into(), &2.into())
    );
    assert_eq!(answers["slowest"]["summary"]["state"], "completed");
    let failed = &answers["failed"]["summary"];
    assert_eq!((&failed["state"], &failed["attempts"]), (&"failed".into(), &2.into()));
    let texts = answers.to_string();
    assert!(!texts.contains("artefact") && !texts.contains("config"), "{texts}");
}

#[tokio::test]
async fn a_worker_stops_behind_its_last_job() {
    let naq = Naq::new().await;
    let folder = folder();
    let url = naq.server.url();
    let done = command::run(&mut command_on(&url, folder.path(), "demo --workers 2"), LIMIT);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let log = naq.run("tail --until-now --output jsonl").stdout;
    let events: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for worker in ["w1", "w2"] {
        let own =
            |event: &&Value| event["worker_id"].as_str().is_some_and(|id| id.ends_with(worker));
        assert_eq!(events.iter().rfind(own).unwrap()["type"], "worker_stopped", "{log}");
    }
}

#[test]
fn the_report_is_text_when_piped_and_the_stream_goes_to_standard_error() {
    let folder = folder();
    let done = in_memory(folder.path(), "demo . --workers 1");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    for heading in [
        "naq demo of the files under ., in memory",
        "What the log counted",
        "How it went",
        "How long a completed run took",
        "How runs of each kind ended (`naq query`)",
        "What failed most (`naq errors`)",
        "The slowest job",
        "A job that failed",
        "What to try next",
    ] {
        assert!(done.stdout.contains(heading), "{heading} is missing:\n{}", done.stdout);
    }
    assert!(
        done.stdout.contains("4 jobs: 2 completed, 2 given up after 4 failed runs and 2 retries")
    );
    assert!(done.stderr.contains("which doesn't exist"), "{}", done.stderr);
    assert!(done.stderr.contains("job_completed"), "{}", done.stderr);
    assert!(!done.stderr.contains('\u{1b}') && !done.stdout.contains('\u{1b}'));
}

#[test]
fn an_empty_folder_has_the_one_job_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let done = in_memory(folder.path(), "demo");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.contains("1 job: 0 completed, 1 given up"), "{}", done.stdout);
    assert!(done.stdout.contains("the one for the file that doesn't exist"), "{}", done.stdout);
}

#[test]
fn one_file_is_a_folder_too_and_a_missing_one_is_code_3() {
    let folder = folder();
    let done = in_memory(folder.path(), "demo a.txt --output json");
    assert_eq!(answers(&done)["stats"]["event_types"]["job_completed"], 1);
    let missing = in_memory(folder.path(), "demo nowhere");
    assert_eq!(missing.code, Some(3), "{}", missing.stderr);
}

#[tokio::test]
async fn on_a_server_it_is_kept_and_each_run_tells_of_itself_alone() {
    let naq = Naq::with_events().await;
    let folder = folder();
    let url = naq.server.url();
    let run = |line: &str| command::run(&mut command_on(&url, folder.path(), line), LIMIT);
    let first = answers(&run("demo --output json"));
    let second = answers(&run("demo --output json"));
    assert_ne!(first["queue"], second["queue"]);
    for run in [&first, &second] {
        assert_eq!(run["stats"]["event_types"]["job_enqueued"], 4, "{run}");
        let queue = run["queue"].as_str().unwrap();
        assert_eq!(run["completed"]["by_queue"][queue]["total_count"], 2);
        assert_eq!(run["errors"]["total"], 4, "those of other runs are left out: {run}");
        // Afterwards everything is still there to be asked for.
        let job = run["failed"]["summary"]["id"].as_str().unwrap();
        let history = naq.json(&format!("history {job} --output json"));
        assert_eq!(history["summary"]["state"], "failed");
    }
    let both = naq.json("stats --output json");
    assert_eq!(both["event_types"]["job_enqueued"], 9, "two runs of 4, and 1 from before");
}

#[test]
fn many_files_are_no_trouble() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..3_000 {
        fs::write(folder.path().join(format!("{number}.txt")), "text\n").unwrap();
    }
    let done = in_memory(folder.path(), "demo --output json");
    assert_eq!(answers(&done)["stats"]["event_types"]["job_completed"], 3_000);
    assert!(done.stderr.lines().count() < 500, "the live view must be followable");
}
