//! What the reading commands do with what others left in the stream.

use naq_tests::wait;

use crate::support::Naq;

#[tokio::test]
async fn control_sequences_reach_no_terminal() {
    let naq = Naq::new().await;
    let evil = concat!(
        r#"{"type":"evil\u001b[2J","job_id":"j\u0007","message":"a\u001b[31mred\u001b[0m\nb","#,
        r#""queue":"q\u009b1m","k\u001b":"\u202e"}"#
    );
    assert_eq!(naq.run_with("log -", evil.as_bytes()).code, Some(0));
    for line in ["tail --until-now", "stats", "analytics 'evil\u{1b}[2J'"] {
        for output in ["table", "json", "jsonl"] {
            let done = naq.run(&format!("{line} --output {output}"));
            assert_eq!(done.code, Some(0), "{}", done.stderr);
            let harmless = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}';
            assert!(done.stdout.chars().all(harmless), "{line} {output}: {:?}", done.stdout);
        }
    }
}

#[tokio::test]
async fn foreign_and_broken_messages_are_shown_counted_and_passed_over() {
    let naq = Naq::with_events().await;
    let client = naq.server.client().await;
    for (subject, payload) in [("events.foreign", "no json"), ("events.job_completed.x", "{}")] {
        client.publish(subject, payload.into()).await.unwrap();
    }
    client.flush().await.unwrap();
    wait::until("the messages to be stored", std::time::Duration::from_secs(10), async || {
        naq.json("streams info --output json")["messages"] == 8
    })
    .await;
    insta::assert_snapshot!(
        "tail_malformed",
        naq.screen("tail --until-now --since seq:6 --output table")
    );
    insta::assert_snapshot!("stats_malformed", naq.screen("stats --output table"));
    let exported = naq.run("export");
    assert_eq!(exported.code, Some(5));
    assert_eq!(exported.stdout.lines().count(), 6);
    assert!(exported.stderr.contains("left out 2 messages"), "{}", exported.stderr);
    for (name, line) in [
        ("query_malformed", "query --group-by type --output table"),
        ("query_malformed_csv", "query --group-by type --output csv"),
        ("errors_malformed", "errors --output table"),
        ("errors_malformed_csv", "errors --output csv"),
    ] {
        insta::assert_snapshot!(name, naq.screen(line));
    }
    // A digest tells how many there were, and not under which subjects.
    assert_eq!(naq.json("analytics job_completed --output json")["malformed"], 2);
}

#[tokio::test]
async fn a_history_of_which_some_may_have_left_the_log_says_so() {
    let naq = Naq::with_events().await;
    assert_eq!(naq.run("history job-7").stderr, "");
    assert_eq!(naq.run("streams purge events --below 2 --yes").code, Some(0));
    let told = naq.run("history job-7").stderr;
    assert!(told.starts_with("the log begins in the midst of it: 1 message left since"), "{told}");
    assert_eq!(naq.run("history job-7 --limit 1 --newest").stderr, "", "not all of it is shown");
    let gone = naq.run("history job-that-left");
    let told = "; 1 message left the log, and its events may have been among them\n";
    assert!(gone.code == Some(3) && gone.stderr.ends_with(told), "{}", gone.stderr);
}

#[tokio::test]
async fn an_export_that_lacks_something_says_how_much_and_ends_so() {
    let naq = Naq::with_events().await;
    assert_eq!(naq.run("streams purge events --keep 2 --yes").code, Some(0));
    let exported = naq.run("export --since seq:2");
    assert_eq!((exported.code, exported.stdout.lines().count()), (Some(5), 2));
    let told = "exported 2 events; missing 3 sequences that left the log before";
    assert!(exported.stderr.contains(told), "{}", exported.stderr);
    // What is as it was asked for is whole.
    assert_eq!(naq.run("export").code, Some(0));
}

#[tokio::test]
async fn a_scan_has_its_limit_and_says_so() {
    let naq = Naq::with_events().await;
    let stopped = naq.run("stats --scan-limit 3");
    assert_eq!(stopped.code, Some(1));
    assert!(stopped.stderr.contains("max_messages: 3"), "{}", stopped.stderr);
    assert_eq!(naq.run("stats --scan-limit 6").code, Some(0));
}

#[tokio::test]
async fn a_reader_makes_no_stream() {
    let naq = Naq::new().await;
    for line in
        ["stats", "tail", "history job-7", "analytics x", "export", "cleanup --older-than 1h"]
    {
        assert_eq!(naq.run(line).code, Some(3), "{line}");
    }
    assert_eq!(naq.run("streams ls --output jsonl").stdout, "");
}

#[tokio::test]
async fn a_worker_that_only_jobs_name_is_pointed_at_their_events() {
    let naq = Naq::with_events().await;
    let event = r#"{"type":"job_started","job_id":"j","worker_id":"only-named"}"#;
    assert_eq!(naq.run_with("log -", event.as_bytes()).code, Some(0));
    let none = naq.run("history only-named --kind worker");
    assert_eq!(none.code, Some(3));
    let line = "tail --until-now --worker only-named";
    assert!(none.stderr.contains(&format!("`naq {line}`")), "{}", none.stderr);
    let mentions = naq.run(&format!("{line} --output jsonl"));
    assert_eq!(mentions.stdout.lines().count(), 1, "{}", mentions.stdout);
}
