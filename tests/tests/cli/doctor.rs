//! `naq doctor`: what it finds, and how it ends.

use std::time::Duration;

use async_nats::jetstream::stream::{DiscardPolicy, PersistenceMode};
use naq_tests::server::{NatsServer, User, Version};
use naq_tests::{command, wait};
use serde_json::Value;

use crate::support::{Naq, command_on, run_alone};

fn states(diagnosis: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = diagnosis["checks"].as_array().unwrap();
    checks.iter().map(|check| (text(&check["check"]), text(&check["state"]))).collect()
}

fn state(diagnosis: &Value, check: &str) -> String {
    let states = states(diagnosis);
    let found = states.iter().find(|(name, _)| name == check);
    found.unwrap_or_else(|| panic!("{check} is not in {diagnosis}")).1.clone()
}

#[tokio::test]
async fn all_is_well_on_a_good_server_and_nothing_is_stored_by_asking() {
    let naq = Naq::with_events().await;
    let diagnosis = naq.json("doctor --output json");
    assert_eq!(diagnosis["healthy"], true, "{diagnosis}");
    assert!(states(&diagnosis).iter().all(|(_, state)| state == "ok"), "{diagnosis}");
    let checks: Vec<_> = states(&diagnosis).into_iter().map(|(check, _)| check).collect();
    assert_eq!(
        checks,
        [
            "server",
            "can",
            "latency",
            "payload",
            "stream",
            "layout",
            "config",
            "room",
            "way",
            "once",
            "when full",
            "durable",
            "clock",
            "may log",
            "may read",
            "may clean up"
        ]
    );
    let done = naq.run("doctor --output table");
    assert_eq!(done.code, Some(0));
    assert!(done.stdout.ends_with("All is well.\n"), "{}", done.stdout);
    assert_eq!(naq.json("streams info --output json")["last_sequence"], 6);
}

#[tokio::test]
async fn a_fresh_server_is_warned_about() {
    let naq = Naq::new().await;
    let diagnosis = naq.json("doctor --output json");
    assert_eq!(state(&diagnosis, "stream"), "warn");
    assert_eq!(diagnosis["healthy"], true);
    for check in ["clock", "may log", "may read", "may clean up"] {
        assert_eq!(state(&diagnosis, check), "ok", "{check} in {diagnosis}");
    }
    assert!(!naq.run("streams ls --output jsonl").stdout.contains("naq-doctor"));
}

#[tokio::test]
async fn a_stream_that_differs_is_told_field_by_field() {
    let naq = Naq::with_events().await;
    assert_eq!(naq.run("streams ensure --max-msgs 5").code, Some(1), "it would lose messages");
    assert_eq!(naq.run("streams ensure --max-msgs 50").code, Some(0));
    let diagnosis = naq.json("doctor --output json");
    assert_eq!(state(&diagnosis, "config"), "warn");
    assert!(
        diagnosis.to_string().contains("max_messages is 50, and 1000000 is wanted"),
        "{diagnosis}"
    );
}

#[tokio::test]
async fn who_keeps_the_log_is_told_where_ages_want_it() {
    let naq = Naq::with_events().await;
    let keeper = || {
        let diagnosis = naq.json("doctor --config naq.toml --output json");
        let checks = diagnosis["checks"].as_array().unwrap().clone();
        let found = checks.into_iter().find(|check| check["check"] == "keeper");
        found.map(|found| (found["state"].clone(), found["found"].to_string()))
    };
    let configure = |text: &str| std::fs::write(naq.folder.path().join("naq.toml"), text).unwrap();
    configure("");
    assert_eq!(keeper(), None, "nothing hangs on it");
    for ages in ["[events.retention]\nlog = \"9d\"\n", "[events]\ndigest_max_age = \"9d\"\n"] {
        configure(ages);
        let (state, found) = keeper().unwrap();
        assert!(state == "warn" && found.contains("nobody keeps the log"), "{state}: {found}");
    }
    let mut running = naq.command("keeper --output jsonl").spawn().unwrap();
    wait::until("the keeper to be there", Duration::from_secs(30), async || {
        naq.json("keeper status --output json") != Value::Null
    })
    .await;
    let (state, found) = keeper().unwrap();
    assert!(state == "ok" && found.contains("behind"), "{state}: {found}");
    running.kill().unwrap();
    running.wait().unwrap();
}

#[tokio::test]
async fn an_old_server_lacks_what_it_lacks() {
    let server = NatsServer::builder().version(Version::V2_10).start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut doctor = command_on(&server.url(), folder.path(), "doctor --output json");
    let done = command::run(&mut doctor, Duration::from_secs(30));
    let diagnosis: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(done.code, Some(0), "{diagnosis}");
    assert_eq!(state(&diagnosis, "can"), "warn");
    assert_eq!(state(&diagnosis, "server"), "warn", "its permissions have holes");
}

#[tokio::test]
async fn the_way_that_events_take_is_told() {
    let naq = Naq::with_events().await;
    let way = |naq: &Naq| {
        let diagnosis = naq.json("doctor --output json");
        let checks = diagnosis["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|check| check["check"] == "way").unwrap()
    };
    assert_eq!(way(&naq)["found"], "events go by fast ingest; guarantee: message_id");
    let other = Naq::new().await;
    let plain = "streams ensure events --subject 'events.>'";
    assert_eq!(other.run(plain).code, Some(0));
    let found = way(&other);
    assert_eq!(
        found["found"],
        "events go by an acknowledgement for each event; guarantee: message_id"
    );
    assert_eq!(found["state"], "warn");
    // What it advises is what helps.
    assert!(found["advice"].as_str().unwrap().contains("`naq streams ensure`"), "{found}");
    assert_eq!(other.run("streams ensure").code, Some(0));
    assert_eq!(way(&other)["state"], "ok");
}

#[tokio::test]
async fn what_is_to_be_read_back_needs_the_right_to_read() {
    let ann = User::new("ann", "pw");
    let blind = User::new("blind", "pw").may_not_publish(["$JS.API.CONSUMER.CREATE.>"]);
    let server = NatsServer::builder().user(ann).user(blind).start().await;
    let folder = tempfile::tempdir().unwrap();
    let run = |user: &str, line: &str| {
        let mut command = command_on(&server.url_as(user, "pw"), folder.path(), line);
        command.env("NAQ_EVENTS_GUARANTEE", "read_back");
        command::run(&mut command, Duration::from_secs(60))
    };
    assert_eq!(run("ann", "streams ensure").code, Some(0));
    assert_eq!(run("ann", "log --type x").code, Some(0));
    for (user, guarantee) in [("ann", "read_back"), ("blind", "message_id")] {
        let done = run(user, "doctor --output table");
        let found = format!("events go by fast ingest; guarantee: {guarantee}\n");
        assert!(done.stdout.contains(&found), "{user}: {}", done.stdout);
    }
}

#[tokio::test]
async fn what_naq_promises_is_held_against_the_stream() {
    let naq = Naq::new().await;
    let line = "streams ensure events --subject 'events.>' --storage memory --duplicate-window";
    assert_eq!(naq.run(&format!("{line} 5s")).code, Some(0));
    let diagnosis = naq.json("doctor --output json");
    for check in ["once", "when full", "durable"] {
        assert_eq!(state(&diagnosis, check), "warn", "{check} in {diagnosis}");
    }
    assert!(diagnosis.to_string().contains("--duplicate-window 2m"), "{diagnosis}");
    // As long as an event is sent is not enough: naq relies on ids for a little less.
    for (window, expected) in [("1m", "warn"), ("2m", "ok")] {
        assert_eq!(naq.run(&format!("{line} {window}")).code, Some(0));
        let diagnosis = naq.json("doctor --output json");
        assert_eq!(state(&diagnosis, "once"), expected, "{window} in {diagnosis}");
    }
}

#[tokio::test]
async fn a_stream_that_refuses_when_it_is_full_or_acknowledges_too_early_is_warned_about() {
    let naq = Naq::new().await;
    let js = async_nats::jetstream::new(naq.server.client().await);
    let config = async_nats::jetstream::stream::Config {
        name: "events".to_owned(),
        subjects: vec!["events.>".to_owned()],
        max_bytes: 1 << 20,
        discard: DiscardPolicy::New,
        persist_mode: Some(PersistenceMode::Async),
        ..Default::default()
    };
    js.create_stream(config).await.unwrap();
    let diagnosis = naq.json("doctor --output json");
    let found = |check: &str| {
        let checks = diagnosis["checks"].as_array().unwrap();
        let found = checks.iter().find(|found| found["check"] == check).unwrap();
        assert_eq!(found["state"], "warn", "{found}");
        found["found"].as_str().unwrap().to_owned()
    };
    let full = "new events are refused, at 1.0 MiB: they wait for room, and fail after 1m";
    assert_eq!(found("when full"), full);
    let durable = "in files, on one server, and acknowledged before they are written";
    assert_eq!(found("durable"), durable);
}

#[tokio::test]
async fn rights_and_clock_are_tried_where_the_stream_may_not_be_seen() {
    let ann = User::new("ann", "pw");
    let blind = User::new("blind", "pw").may_not_publish(["$JS.API.STREAM.INFO.>"]);
    let server = NatsServer::builder().user(ann).user(blind).start().await;
    let folder = tempfile::tempdir().unwrap();
    let run = |url: &str, line: &str| {
        command::run(&mut command_on(url, folder.path(), line), Duration::from_secs(60))
    };
    assert_eq!(run(&server.url_as("ann", "pw"), "log --type x").code, Some(0));
    let done = run(&server.url_as("blind", "pw"), "--timeout 3s doctor --output json");
    let diagnosis: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(state(&diagnosis, "stream"), "warn", "{diagnosis}");
    for check in ["clock", "may log", "may clean up"] {
        assert_eq!(state(&diagnosis, check), "ok", "{check} in {diagnosis}");
    }
}

#[tokio::test]
async fn missing_rights_are_named() {
    let ann = User::new("ann", "pw");
    let reader = User::new("reader", "pw").may_not_publish(["events.>", "$JS.API.STREAM.PURGE.>"]);
    let server = NatsServer::builder().user(ann).user(reader).start().await;
    let folder = tempfile::tempdir().unwrap();
    let run = |url: &str, line: &str| {
        command::run(&mut command_on(url, folder.path(), line), Duration::from_secs(60))
    };
    assert_eq!(run(&server.url_as("ann", "pw"), "log --type x").code, Some(0));
    let done = run(&server.url_as("reader", "pw"), "--timeout 3s doctor --output json");
    let diagnosis: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(state(&diagnosis, "may log"), "warn", "{diagnosis}");
    assert_eq!(state(&diagnosis, "may read"), "ok", "{diagnosis}");
    assert_eq!(state(&diagnosis, "may clean up"), "warn", "{diagnosis}");
    assert!(!done.stdout.contains("pw\u{40}"), "the password is told");
}

#[test]
fn no_server_is_a_finding_and_code_4() {
    let done = run_alone("--timeout 1s doctor --output json");
    assert_eq!(done.code, Some(4));
    let diagnosis: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(diagnosis["healthy"], false);
    assert_eq!(state(&diagnosis, "server"), "fail");
    assert!(diagnosis["checks"][0]["advice"].is_string());
}

#[tokio::test]
async fn a_log_that_is_stored_with_other_subjects_is_told_apart() {
    let naq = Naq::with_events().await;
    let on = |line: &str| {
        let mut command = naq.command(line);
        command.env("NAQ_EVENTS_SUBJECTS", "type");
        command::run_with(&mut command, b"", Duration::from_secs(60))
    };
    let done = on("doctor --output json");
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    let diagnosis: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(state(&diagnosis, "layout"), "fail");
    assert_eq!(state(&diagnosis, "config"), "ok");
    let refused = on("streams ensure");
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    assert!(refused.stderr.contains("naq.events.subjects=entity"), "{}", refused.stderr);
}
