//! What each command prints for people, and for programs.

use crate::support::Naq;

#[tokio::test]
async fn the_log_s_answers_as_tables() {
    let naq = Naq::with_events().await;
    for (name, line) in [
        // Before all that read: a reading's consumer goes a moment after its command.
        ("streams_ls", "streams ls --output table"),
        ("streams_info", "streams info --output table"),
        ("stats", "stats --output table"),
        (
            "stats_range",
            "stats --output table --since 2026-11-24T12:00:03Z --until 2026-11-24T12:00:04Z",
        ),
        ("analytics", "analytics job_completed --output table"),
        ("analytics_none", "analytics job_complete --output table"),
        (
            "errors",
            "errors --since 2026-11-24T12:00:00Z --until 2026-11-24T12:05:00Z --output table --utc",
        ),
        (
            "query",
            "query --group-by queue,type --measure count,mean:duration,success_rate --output table",
        ),
        (
            "query_bucket",
            "query 'exists queue' --bucket minute --group-by worker --output table --utc",
        ),
        ("query_explain", "query 'type = job_failed' --bucket hour --explain --output table"),
        (
            "query_explain_scan",
            "query 'duration > 1s' --group-by worker --scan-limit 2 --explain --output table",
        ),
        ("history", "history job-7 --output table"),
        ("history_range", "history job-7 --output table --since 2026-11-24T12:00:02Z"),
        ("history_newest", "history job-7 --output table --newest --limit 1"),
        ("history_worker", "history worker-1 --kind worker --output table"),
        ("tail", "tail --until-now --output table"),
        (
            "tail_filtered",
            "tail --until-now --output table --queue emails --filter '{\"duration\":{\"min\":1}}'",
        ),
        (
            "tail_expression",
            "tail --output table 'duration > 500ms and not queue = bulk' --until-now",
        ),
        ("stats_expression", "stats 'type in (job_completed, job_failed)' --output table"),
        ("analytics_expression", "analytics job_completed 'duration > 1s' --output table"),
        ("history_expression", "history job-7 'exists duration' --output table"),
        ("explain", "explain 'type = job_completed and duration > 500ms' --output table"),
        ("explain_scan", "explain 'queue = emails or timestamp > 2026-11-24' --utc --output table"),
        ("cleanup_dry_run", "cleanup --older-than 1h --dry-run --output table --utc"),
        ("doctor", "doctor --output table"),
    ] {
        insta::assert_snapshot!(name, unknown_before(&naq.screen(line)));
    }
}

/// Without what nobody knows beforehand: when events were stored, names and latencies.
fn unknown_before(screen: &str) -> String {
    [
        (r"(events +6 .*?)20\d\d-\d\d-\d\d [\d:]+Z?( )", "${1}TIME${2}"),
        (r"(First|Last)( {8,})20\d\d-\d\d-\d\d [\d:]+Z?", "${1}${2}TIME"),
        (r"nats-server 2\.15\.1 \(\w+\)", "nats-server 2.15.1 (NAME)"),
        (r"(latency +).*", "${1}SPAN"),
        (r"(clock +).*", "${1}SPAN"),
        (r"; (holds .* at the present rate|too young .*)", "; HOLDS"),
        (r"Holds +.*", "HOLDS"),
    ]
    .iter()
    .fold(screen.to_owned(), |screen, (pattern, with)| {
        regex::Regex::new(pattern).unwrap().replace_all(&screen, *with).into_owned()
    })
}

#[tokio::test]
async fn the_log_s_answers_as_json() {
    let naq = Naq::with_events().await;
    for (name, line) in [
        // Before all that read: a reading's consumer goes a moment after its command.
        ("streams_info_json", "streams info --output json"),
        ("stats_json", "stats --output json"),
        ("analytics_json", "analytics job_completed --output json"),
        ("errors_json", "errors --output json"),
        ("query_json", "query --group-by type --measure count,p95 --output json"),
        ("query_explain_json", "query 'type = job_failed' --explain --output json"),
        ("history_json", "history job-7 --limit 1 --output json"),
        ("tail_jsonl", "tail --until-now --limit 2 --output jsonl"),
        ("tail_json", "tail --until-now --limit 1 --output json"),
        ("export", "export --since seq:5"),
        ("explain_json", "explain 'job_id in (job-7, job-8) and type != log' --output json"),
    ] {
        insta::assert_snapshot!(name, naq.screen(line));
    }
}

#[tokio::test]
async fn figures_are_rows_for_a_spreadsheet_and_other_answers_are_not() {
    let naq = Naq::with_events().await;
    let odd = concat!(
        r#"{"type":"job_failed","job_id":"j","queue":"a,b","duration":0.25,"#,
        r#""error":"refused, \u001b[31m\"twice\"","timestamp":"2026-11-24T12:01:00Z"}"#
    );
    assert_eq!(naq.run_with("log -", odd.as_bytes()).code, Some(0));
    for (name, line) in [
        ("query_csv", "query --bucket minute --group-by queue --measure count,p95 --output csv"),
        ("errors_csv", "errors --output csv"),
        ("no_rows_csv", "stats --output csv"),
    ] {
        insta::assert_snapshot!(name, naq.screen(line));
    }
    let sizes = naq.run("sizes --exact --output csv").stdout;
    assert!(sizes.starts_with("event_type,events,bytes\n"), "{sizes}");
    assert_eq!(sizes.lines().count(), 6, "{sizes}");
}

#[tokio::test]
async fn json_has_the_seed_s_names() {
    let naq = Naq::with_events().await;
    let stats = naq.json("stats --output json");
    for name in ["total_events", "stream_size", "subjects", "start_time", "end_time", "event_types"]
    {
        assert!(stats.get(name).is_some(), "{name} is missing: {stats}");
    }
    assert_eq!(stats["event_types"]["job_completed"], 2);
    let figures = naq.json("analytics job_completed --output json");
    assert_eq!(figures["event_type"], "job_completed");
    assert_eq!(figures["total_count"], 2);
    assert_eq!(figures["success_rate"], 0.5);
    assert_eq!(figures["average_duration"], 1.0);
    for percentile in ["p50", "p95", "p99"] {
        assert!(figures["percentiles"][percentile].is_number(), "{figures}");
    }
    assert!(figures["time_range"].get("start").is_some());
    let none = naq.json("analytics nothing_like_it --output json");
    assert_eq!(none["total_count"], 0);
    assert!(none["success_rate"].is_null() && none["percentiles"]["p50"].is_null());
    let history = naq.json("history job-7 --output json");
    assert_eq!(history["events"].as_array().unwrap().len(), 3);
    assert_eq!(history["summary"]["state"], "failed");
}

#[tokio::test]
async fn times_are_local_or_utc() {
    let naq = Naq::with_events().await;
    let mut local = naq.command("history job-7 --output table");
    local.env("TZ", "Asia/Kolkata");
    let limit = std::time::Duration::from_secs(20);
    let done = naq_tests::command::run(&mut local, limit);
    assert!(done.stdout.contains("17:30:00.000"), "{}", done.stdout);
    let mut utc = naq.command("history job-7 --output table --utc");
    utc.env("TZ", "Asia/Kolkata");
    let done = naq_tests::command::run(&mut utc, limit);
    assert!(done.stdout.contains("2026-11-24 UTC\n12:00:00.000"), "{}", done.stdout);
}

#[tokio::test]
async fn colour_comes_where_it_is_asked_for_and_nowhere_else() {
    let naq = Naq::with_events().await;
    let escapes = |line: &str| naq.run(line).stdout.contains('\u{1b}');
    assert!(escapes("history job-7 --output table --color always"));
    assert!(!escapes("history job-7 --output table"));
    assert!(!escapes("history job-7 --output table --color never"));
    assert!(!escapes("history job-7 --output json --color always"));
}
