//! `naq log`, `naq export` and `naq cleanup`.

use serde_json::{Value, json};

use crate::support::{EVENTS, Naq};

#[tokio::test]
async fn one_event_from_options() {
    let naq = Naq::new().await;
    let logged = naq.screen(
        "log --type job_failed --job job-7 --name send_invoice --worker worker-1 --queue emails \
         --duration 1.5 --success false --error 'connection reset' --message 'see the mail log' \
         --field smtp=421 --field host=mx.example",
    );
    insta::assert_snapshot!("log_one", logged);
    let stored: Value = serde_json::from_str(&naq.run("export").stdout).unwrap();
    for (field, value) in [
        ("type", json!("job_failed")),
        ("job_id", json!("job-7")),
        ("job_name", json!("send_invoice")),
        ("worker_id", json!("worker-1")),
        ("queue", json!("emails")),
        ("duration", json!(1.5)),
        ("success", json!(false)),
        ("error", json!("connection reset")),
        ("message", json!("see the mail log")),
        ("smtp", json!(421)),
        ("host", json!("mx.example")),
    ] {
        assert_eq!(stored[field], value, "{field} in {stored}");
    }
}

#[tokio::test]
async fn a_rejected_line_is_named_and_the_rest_is_stored() {
    let naq = Naq::new().await;
    let input = concat!(
        "{\"type\":\"a\",\"job_id\":\"1\"}\n",
        "{broken\n",
        "\n",
        "{\"job_id\":\"2\"}\n",
        "{\"type\":\"a\",\"duration\":-1}\n",
        "{\"type\":\"a\",\"job_id\":\"\"}\n",
        "[1]\n",
        "{\"type\":\"b\",\"timestamp\":\"yesterday\"}\n",
        "{\"type\":\"b\",\"smtp\":1,\"smtp\":2}\n",
        "{\"type\":\"b\",\"job_id\":\"3\"}",
    );
    insta::assert_snapshot!("log_rejected", naq.screen_with("log -", input.as_bytes()));
    assert_eq!(naq.json("stats --output json")["total_events"], 2);
}

#[tokio::test]
async fn an_event_that_is_too_large_is_told_with_both_sizes() {
    let naq = Naq::new().await;
    let large = format!("{{\"type\":\"a\",\"message\":\"{}\"}}\n", "x".repeat(2 << 20));
    let done = naq.run_with("log -", large.as_bytes());
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    let told = regex::Regex::new(r"\(bytes: 20971?\d+, max_bytes: 1048576\)").unwrap();
    assert!(told.is_match(&done.stderr), "{}", done.stderr);
}

#[tokio::test]
async fn nothing_but_rejected_lines_is_a_failure() {
    let naq = Naq::new().await;
    assert_eq!(naq.run_with("log -", b"{}\n").code, Some(1));
    assert_eq!(naq.run_with("log -", b"\n\n").code, Some(0));
}

#[tokio::test]
async fn what_is_exported_and_logged_again_is_byte_for_byte_the_same() {
    let naq = Naq::with_events().await;
    let first = naq.run("export");
    assert_eq!(first.stdout, EVENTS);
    let other = Naq::new().await;
    std::fs::write(other.folder.path().join("events.ndjson"), &first.stdout).unwrap();
    assert_eq!(other.run("log events.ndjson").code, Some(0));
    // In order within a job; lines of different jobs may have changed places.
    assert_eq!(sorted(&other.run("export").stdout), sorted(&first.stdout));
    assert_eq!(other.run("export --job job-7").stdout, naq.run("export --job job-7").stdout);
    // The same events once more: the log has them already.
    let again = other.run("log events.ndjson");
    assert!(again.stderr.contains("6 were in the log already"), "{}", again.stderr);
    assert_eq!(other.json("stats --output json")["total_events"], 6);
}

fn sorted(lines: &str) -> Vec<&str> {
    let mut lines: Vec<_> = lines.lines().collect();
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn ids_that_look_like_subjects_come_back_as_they_were() {
    let naq = Naq::new().await;
    for id in [".", "a.b", "*", ">", " ", "a\r\nPUB x 0\r\n", "\u{0}", "🎉", "$JS.API.x"] {
        let line = json!({"type": "x.y >", "job_id": id}).to_string();
        assert_eq!(naq.run_with("log -", line.as_bytes()).code, Some(0), "{id:?}");
    }
    let star = naq.json("history '*' --output json");
    assert_eq!(star["events"].as_array().unwrap().len(), 1);
    assert_eq!(star["events"][0]["job_id"], "*");
    assert_eq!(naq.json("stats --output json")["total_events"], 9);
}

#[tokio::test]
async fn more_events_than_the_buffer_holds_wait_for_room() {
    let naq = Naq::new().await;
    let lines: String = (0..5_000)
        .map(|n| format!("{{\"type\":\"t\",\"job_id\":\"j{}\",\"n\":{n}}}\n", n % 7))
        .collect();
    let mut command = naq.command("log -");
    command.env("NAQ_EVENTS_BUFFER_MAX_EVENTS", "16").env("NAQ_EVENTS_OVERFLOW", "fail");
    let limit = std::time::Duration::from_secs(60);
    let done = naq_tests::command::run_with(&mut command, lines.as_bytes(), limit);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let exported = naq.run("export --job j3").stdout;
    let numbers: Vec<u64> = exported
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["n"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..5_000).filter(|n| n % 7 == 3).collect::<Vec<u64>>());
}

#[tokio::test]
async fn logging_leaves_a_stream_s_configuration_alone() {
    let naq = Naq::new().await;
    assert_eq!(naq.run("streams ensure --max-msgs 5000").code, Some(0));
    assert_eq!(naq.run("log --type x").code, Some(0));
    let info = naq.json("streams info --output json");
    assert_eq!(info["config"]["max_messages"], 5000);
}

#[tokio::test]
async fn cleanup_asks_first_and_removes_what_is_old() {
    let naq = Naq::with_events().await;
    let asked = naq.run("cleanup --older-than 0s");
    assert_eq!(asked.code, Some(2), "there is nobody to ask: {}", asked.stderr);
    assert!(asked.stderr.contains("--yes"), "{}", asked.stderr);
    let dry = naq.screen("cleanup --older-than 0s --type job_failed --dry-run --output table");
    insta::assert_snapshot!("cleanup_would", dry);
    let refused = naq.screen("cleanup --older-than 0s --type job_failed --yes");
    insta::assert_snapshot!("cleanup_refused", refused);
    let unbounded = naq.run("cleanup --older-than 0s --scan-limit 1 --yes");
    assert_eq!(unbounded.code, Some(2), "{}", unbounded.stderr);
    assert!(unbounded.stderr.contains("nothing is counted"), "{}", unbounded.stderr);
    let bounded = naq.run("cleanup --older-than 0s --scan-limit 1 --dry-run");
    assert!(bounded.stderr.contains("max_messages: 1"), "{}", bounded.stderr);
    let before = naq.json("stats --output json");
    let line = "cleanup --older-than 0s --type job_failed --force --yes --output table";
    insta::assert_snapshot!("cleanup_removed", naq.screen(line));
    let kept = naq.json("cleanup --older-than 1h --yes --output json");
    assert_eq!(kept["removed"], 0);
    let of_type =
        naq.json("cleanup --older-than 0s --type job_completed --force --yes --output json");
    assert_eq!((&of_type["removed"], &of_type["dry_run"]), (&json!(2), &json!(false)));
    let after = naq.json("stats --output json");
    assert_eq!(after["event_types"], before["event_types"], "what went stays counted");
    assert_eq!(after["gone"], 0);
    assert_eq!(naq.run("log --type after --job z").code, Some(0));
    let all = naq.json("cleanup --older-than 0s --undigested --yes --output json");
    assert_eq!(all["removed"], 4);
    assert_eq!(naq.json("stats --output json")["gone"], 1, "nobody had digested the last one");
}
