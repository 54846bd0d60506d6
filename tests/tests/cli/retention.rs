//! `naq retention` and `naq sizes`.

use std::time::Duration;

use naq_tests::wait;
use regex::Regex;
use serde_json::json;

use crate::support::{Naq, run_alone, screen};

/// A second is the least age that there is.
const AGES: &str =
    "[events.retention]\nworker_stopped = \"1s\"\njob_enqueued = \"1s\"\n\"*\" = \"30d\"\n";

#[tokio::test]
async fn what_is_too_old_is_counted_and_removed() {
    let naq = Naq::with_events().await;
    std::fs::write(naq.folder.path().join("naq.toml"), AGES).unwrap();
    let shown = |line: &str| times(&naq.screen(line));
    insta::assert_snapshot!(
        "retention_show",
        shown("retention show --config naq.toml --output table")
    );
    insta::assert_snapshot!(
        "retention_show_json",
        shown("retention show --config naq.toml --output jsonl")
    );
    let planned = || naq.json("retention dry-run --config naq.toml --output json");
    wait::until("two events to be a second old", Duration::from_secs(30), async || {
        planned()["events"] == json!(2)
    })
    .await;
    insta::assert_snapshot!(
        "retention_dry_run",
        shown("retention dry-run --config naq.toml --output table")
    );
    let before = naq.json("stats --output json");
    let refused = naq.run("retention apply --config naq.toml");
    assert_eq!(refused.code, Some(2), "there is nobody to ask: {}", refused.stderr);
    insta::assert_snapshot!(
        "retention_apply",
        shown("retention apply --pause 0s --yes --config naq.toml --output table")
    );
    insta::assert_snapshot!(
        "retention_apply_again",
        shown("retention apply --yes --config naq.toml --output table")
    );
    assert_eq!(naq.json("streams info --output json")["messages"], 4);
    let after = naq.json("stats --output json");
    assert_eq!(after["event_types"], before["event_types"], "what went stays counted");
    insta::assert_snapshot!("sizes", shown("sizes --output table"));
    let sizes = naq.json("sizes --exact --output json");
    assert_eq!(sizes["kinds"][0]["event_type"], "job_completed");
}

#[tokio::test]
async fn a_slip_in_the_ages_is_told_before_anything_is_removed() {
    let naq = Naq::with_events().await;
    let file = naq.folder.path().join("naq.toml");
    std::fs::write(&file, "[events.retention]\njob_progres = \"1d\"\ninvoice_sent = \"1d\"\n")
        .unwrap();
    let slip = "`job_progres` is no type that naq knows; did you mean `job_progress`?";
    for line in ["retention show", "retention dry-run", "retention apply --yes"] {
        let told = naq.run(&format!("{line} --config naq.toml"));
        assert_eq!(told.stderr, format!("[events.retention]: {slip}\n"), "{line}");
        assert_eq!(told.code, Some(0), "{line}");
    }
    let diagnosis = naq.json("doctor --config naq.toml --output json");
    let warned = diagnosis["checks"].as_array().unwrap().iter().any(|check| {
        check["check"] == "retention" && check["found"].as_str().unwrap().starts_with(slip)
    });
    assert!(warned, "{diagnosis:#}");
    std::fs::write(&file, "[event.retention]\njob_progress = \"1d\"\n").unwrap();
    let refused = naq.run("retention show --config naq.toml");
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("did you mean `events`?"), "{}", refused.stderr);
}

#[tokio::test]
async fn what_is_removed_is_told_before_more_is() {
    let naq = Naq::with_events().await;
    std::fs::write(naq.folder.path().join("naq.toml"), AGES).unwrap();
    wait::until("two events to be a second old", Duration::from_secs(30), async || {
        naq.json("retention dry-run --config naq.toml --output json")["events"] == json!(2)
    })
    .await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut unread = naq.command("retention apply --yes --config naq.toml --output jsonl");
    assert!(unread.stdout(writer).status().unwrap().success());
    // The step that could not be told any more was the last one.
    assert_eq!(naq.json("streams info --output json")["messages"], 5);
}

/// Without ages, spans and the times of storing.
fn times(screen: &str) -> String {
    [(r"20\d\d-\d\d-\d\d [\d:]+Z?", "TIME"), (r"(\d+  )[\d.]+ (µs|ms|s)\n", "${1}SPAN\n")]
        .iter()
        .fold(screen.to_owned(), |screen, (pattern, with)| {
            Regex::new(pattern).unwrap().replace_all(&screen, *with).into_owned()
        })
}

#[test]
fn without_ages_nothing_is_ever_too_old() {
    for line in ["retention show --output table", "retention dry-run", "retention apply --yes"] {
        let name = line.split(' ').nth(1).unwrap();
        insta::assert_snapshot!(
            format!("retention_{name}_no_ages"),
            screen(line, &run_alone(line))
        );
    }
}
