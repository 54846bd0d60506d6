//! `naq index`.

use naq_core::config::EventsConfig;
use naq_core::events::Event;
use naq_core::jetstream::PublishMessage;
use naq_tests::backend;
use naq_tests::own_log::OwnLog;
use regex::Regex;
use serde_json::json;

use crate::support::Naq;

#[tokio::test]
async fn an_index_is_created_read_by_and_dropped() {
    let naq = Naq::with_events().await;
    let expected = naq.screen("tail 'worker_id = worker-1' --until-now --output jsonl");
    for (name, line) in [
        ("index_ls_none", "index ls --output table"),
        ("index_create", "index create workers worker_id queue --output table"),
        ("index_create_taken", "index create workers queue"),
        ("index_create_twice", "index create others queue queue"),
        ("index_ls", "index ls --output table"),
        ("index_explain", "explain 'worker_id = worker-1 and duration > 1s' --output table"),
        ("index_status_json", "index status workers --output json"),
        ("index_rebuild", "index rebuild workers --output table"),
        ("index_nobody_to_ask", "index drop workers"),
    ] {
        insta::assert_snapshot!(name, unknown_before(&naq.screen(line)));
    }
    let read = naq.screen("tail 'worker_id = worker-1' --until-now --output jsonl");
    assert_eq!(read, expected);
    let index = || naq.json("explain 'worker_id = worker-1' --output json")["index"].clone();
    assert_eq!(index()["name"], "workers");
    insta::assert_snapshot!("index_drop", naq.screen("index drop workers --yes --output table"));
    assert_eq!((index(), naq.run("index status workers").code), (json!(null), Some(3)));
}

#[tokio::test]
async fn a_damaged_list_of_indexes_says_what_to_do_and_that_helps() {
    let naq = Naq::with_events().await;
    assert_eq!(naq.run("index create workers worker_id").code, Some(0));
    let list = naq.run("kv get naq_indexes events.indexes").stdout;
    let damaged = list.trim_end().replace("worker_id", "worker_if");
    assert_ne!(damaged, list.trim_end());
    let put = naq.run_with("kv put naq_indexes events.indexes -", damaged.as_bytes());
    assert_eq!(put.code, Some(0), "{}", put.stderr);
    let diagnosis = naq.run("doctor --output json");
    assert_eq!(diagnosis.code, Some(1), "{}", diagnosis.stderr);
    let diagnosis: serde_json::Value = serde_json::from_str(&diagnosis.stdout).unwrap();
    let checks = diagnosis["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["check"] == "indexes");
    assert_eq!(found.map(|found| &found["state"]), Some(&"fail".into()), "{diagnosis:#}");
    for (name, line) in [
        ("index_damaged_create", "index create queues queue"),
        ("index_damaged_ls", "index ls"),
        ("index_damaged_drop", "index drop --all"),
        ("index_damaged_drop_yes", "index drop --all --yes --output table"),
        ("index_damaged_ls_after", "index ls --output table"),
    ] {
        insta::assert_snapshot!(name, unknown_before(&naq.screen(line)));
    }
    assert_eq!(naq.run("index create workers worker_id").code, Some(0));
    assert_eq!(naq.json("index drop --all --yes --output json")["done"], "dropped");
}

#[tokio::test]
async fn a_history_from_all_over_a_long_log_says_what_would_find_it_sooner() {
    let naq = Naq::with_events().await;
    let js = backend::connect(&naq.server.url()).await;
    let own = OwnLog { js, config: EventsConfig::default() };
    let event = |n: u64| {
        let (subject, event) = match n % 2_000 {
            0 => ("job_started.job-9", Event::job_started("job-9", "worker-9", "emails")),
            1 => ("worker_heartbeat.worker-9", Event::worker_heartbeat("worker-9")),
            _ => return PublishMessage::new("events.log", ""),
        };
        let payload = serde_json::to_vec(&event).unwrap();
        PublishMessage::new(format!("events.{subject}"), payload)
    };
    own.publish((0..102_001).map(event).collect()).await;
    let asked = |line: &str| {
        let done = naq.run(line);
        assert_eq!(done.code, Some(0), "{line}: {}", done.stderr);
        done.stderr
    };
    let of_job = "an index finds these events sooner: naq index create job_id job_id\n";
    assert_eq!(asked("history job-9"), of_job);
    assert_eq!(asked("history job-7"), "", "its events are beside each other");
    let of_worker = of_job.replace("job_id", "worker_id");
    assert_eq!(asked("history worker-9 --kind worker"), of_worker);
    for line in ["explain 'worker_id = worker-9'", "query 'worker_id = worker-9' --explain"] {
        let told = naq.run(&format!("{line} --output table")).stdout;
        assert!(told.contains("slow: no index"), "{told}");
        assert!(told.contains("naq index create worker_id worker_id\n"), "{told}");
    }
    for line in ["index create job_id job_id", "index create worker_id worker_id"] {
        assert_eq!(naq.run(line).code, Some(0));
    }
    for line in ["history job-9", "history worker-9 --kind worker"] {
        assert_eq!(asked(line), "");
    }
}

/// Without the times of creation, and what depends on them.
fn unknown_before(screen: &str) -> String {
    [
        (r"20\d\d-\d\d-\d\dT[\d:.]+Z", "TIME"),
        (r"20\d\d-\d\d-\d\d [\d:]+Z?", "TIME"),
        (r"(Takes +|workers \()\d+ B", "${1}SIZE"),
        (r#"("bytes": )\d+"#, "${1}SIZE"),
        (r#"("id":")[0-9a-f]{32}"#, "${1}ID"),
        (r"crc32c [0-9a-f]{8}", "crc32c SUM"),
    ]
    .iter()
    .fold(screen.to_owned(), |screen, (pattern, with)| {
        Regex::new(pattern).unwrap().replace_all(&screen, *with).into_owned()
    })
}
