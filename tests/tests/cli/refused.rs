//! What can't be asked is refused by its name and its rule, before anything is read.

use std::fmt::Write as _;

use crate::support::Naq;

#[tokio::test]
async fn an_expression_that_is_none_is_shown_with_its_place() {
    let naq = Naq::with_events().await;
    let mut screens = String::new();
    for expression in [
        "type = ",
        "type = job_failed and (queue = emails",
        "lower(queue) = emails",
        "type in ()",
        "duration > soon",
        "duration > 2 parsecs",
        "since tomorrow-ish",
        "queue contains",
        "error ~ /(/",
        "error ~ /(a{1000}){1000}/",
        "attempt between 5 and 2",
        "size > '64 KiB'x",
        "since 1h and until 2h",
        "{'duration': {'min': '2s'}}",
        "{'success': 'true'}",
    ] {
        for command in ["query", "tail", "stats", "errors", "explain", "export"] {
            let done = naq.run(&format!("{command} '{}'", expression.replace('\'', "\"")));
            assert_eq!(done.code, Some(2), "{command} {expression}: {}", done.stdout);
            assert_eq!(done.stdout, "", "{command} {expression}");
        }
        let screen = naq.screen(&format!("query '{}'", expression.replace('\'', "\"")));
        writeln!(screens, "{screen}").unwrap();
    }
    insta::assert_snapshot!("refused_expressions", screens);
}

#[tokio::test]
async fn an_expression_has_a_length_and_a_depth() {
    let naq = Naq::with_events().await;
    let nested = |depth: usize| format!("{}type = a{}", "(".repeat(depth), ")".repeat(depth));
    let long = |bytes: usize| format!("type = {}", "a".repeat(bytes - "type = ".len()));
    assert_eq!(naq.run(&format!("query '{}'", nested(63))).code, Some(0));
    for (expression, rule) in [(nested(65), "64"), (nested(4_000), "64"), (long(8_193), "8 KiB")] {
        let done = naq.run(&format!("query '{expression}'"));
        assert_eq!(done.code, Some(2), "{}", done.stdout);
        assert!(done.stderr.contains(rule), "{rule} is not in {}", done.stderr);
        assert!(done.stderr.len() < 1_000, "{} bytes are told", done.stderr.len());
    }
}

#[tokio::test]
async fn ranges_buckets_and_limits_have_rules() {
    let naq = Naq::with_events().await;
    let mut screens = String::new();
    for line in [
        "query --since 2026-11-24T12:00:00Z --until 2026-11-24T11:00:00Z",
        "errors --since 2026-11-24T12:00:00Z --until 2026-11-23T12:00:00Z",
        "analytics job_failed --since 2026-11-24T12:00:00Z --until 2026-11-23T12:00:00Z",
        "query --bucket minute --since 2026-11-01T00:00:00Z --until 2026-11-24T00:00:00Z",
        "query --bucket week",
        "query --group-by type,type",
        "query --group-by type,queue,outcome,worker",
        "query --group-by color",
        "query --measure p100",
        "query --measure count,count",
        "query --scan-limit 0",
        "errors --limit 0",
        "errors --limit 1001",
        "tail --limit 0",
        "history job-7 --limit 0",
        "stats --watch 1ms",
        "stats --watch 'type = log'",
        "query --explain --output csv",
        "index create workers",
        "index create many a b c d e f g h i",
        "index create twice queue queue",
        "index create 'no name' queue",
    ] {
        let done = naq.run(line);
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{line}: {}", done.stderr);
        assert_eq!(done.stderr.lines().count(), 2, "{line}: {}", done.stderr);
        writeln!(screens, "$ naq {line}\n{}", done.stderr).unwrap();
    }
    insta::assert_snapshot!("refused_rules", screens);
}

#[tokio::test]
async fn a_name_that_another_index_has_is_refused_and_the_same_one_is_not() {
    let naq = Naq::with_events().await;
    assert_eq!(naq.run("index create workers worker_id").code, Some(0));
    let taken = naq.run("index create workers queue");
    assert_eq!(taken.code, Some(1), "{}", taken.stderr);
    assert!(taken.stderr.contains("worker_id"), "{}", taken.stderr);
    assert_eq!(naq.run("index create workers worker_id").code, Some(0));
}
