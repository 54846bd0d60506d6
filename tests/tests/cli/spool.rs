//! `naq spool`, and `naq log --spool`: events that survive an outage.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{EVENTS, Naq, run_alone};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn the_events_of_a_script_survive_an_outage_and_are_stored_in_order() {
    let mut naq = Naq::new().await;
    assert_eq!(naq.run("log --type a --job 1 --spool kept").code, Some(0));
    naq.server.kill();
    for message in ["first", "second"] {
        let done = naq.run(&format!("log --type b --job 1 --message {message} --spool kept"));
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert!(done.stderr.contains("in the spool is safe"), "{}", done.stderr);
        assert_eq!(lines(&done.stdout)[0]["sequence"], Value::Null, "{}", done.stdout);
    }
    let done = naq.run_with("log - --spool kept", EVENTS.as_bytes());
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let account = &lines(&done.stdout)[0];
    assert_eq!((&account["spooled"], &account["stored"]), (&json!(6), &json!(0)));

    let folders = lines(&naq.run("spool ls kept").stdout);
    assert_eq!(folders.len(), 1, "{folders:?}");
    assert_eq!((&folders[0]["events"], &folders[0]["owned"]), (&json!(8), &json!(false)));
    let shown = lines(&naq.run("spool show kept").stdout);
    assert_eq!(shown.len(), 8);
    assert_eq!(shown[0]["event"]["message"], "first");
    assert_eq!(shown[0]["subject"], "events.b.1");
    let checked = lines(&naq.run("spool verify kept").stdout);
    assert_eq!((&checked[0]["intact"], &checked[0]["corrupt"]), (&json!(8), &json!(0)));
    let away = naq.run("spool replay kept");
    assert_eq!(away.code, Some(4), "{}", away.stderr);

    naq.server.restart().await;
    let replayed = naq.run("spool replay kept --output json");
    assert_eq!(replayed.code, Some(0), "{}{}", replayed.stdout, replayed.stderr);
    let replayed: Value = serde_json::from_str(&replayed.stdout).unwrap();
    assert_eq!((&replayed["stored"], &replayed["left"]), (&json!(8), &json!(0)));
    let stored = lines(&naq.run("export").stdout);
    assert_eq!(stored.len(), 9);
    let of_job = stored.iter().filter(|event| event["job_id"] == "1");
    let messages: Vec<_> = of_job.map(|event| event["message"].as_str().unwrap_or("")).collect();
    assert_eq!(messages, ["", "first", "second"]);
    assert_eq!(lines(&naq.run("spool ls kept").stdout)[0]["events"], 0);
}

#[tokio::test]
async fn the_next_log_sends_what_an_earlier_one_left() {
    let mut naq = Naq::new().await;
    assert_eq!(naq.run("log --type a --job 1 --spool kept").code, Some(0));
    naq.server.kill();
    assert_eq!(naq.run("log --type b --job 1 --spool kept").code, Some(0));
    naq.server.restart().await;
    assert_eq!(naq.run("log --type c --job 1 --spool kept").code, Some(0));
    let stored = lines(&naq.run("export").stdout);
    let types: Vec<_> = stored.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["a", "b", "c"]);
}

#[tokio::test]
async fn damage_is_told_and_costs_the_damaged_event_alone() {
    let mut naq = Naq::new().await;
    assert_eq!(naq.run("log --type a --spool kept").code, Some(0));
    naq.server.kill();
    assert_eq!(naq.run_with("log - --spool kept", EVENTS.as_bytes()).code, Some(0));
    let folder = naq.folder.path().join("kept/1");
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let segment = files.into_iter().find(|path| path.extension().is_some_and(|e| e == "events"));
    let segment = segment.unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&segment, bytes).unwrap();

    let checked = naq.run("spool verify kept");
    assert_eq!(checked.code, Some(1));
    assert_eq!(lines(&checked.stdout)[0]["corrupt"], 1);
    naq.server.restart().await;
    let replayed = naq.run("spool replay kept");
    assert_eq!(replayed.code, Some(5), "{}{}", replayed.stdout, replayed.stderr);
    let replayed = &lines(&replayed.stdout)[0];
    assert_eq!((&replayed["stored"], &replayed["failed"]), (&json!(5), &json!(1)));
    let folders = lines(&naq.run("spool ls kept").stdout);
    assert_eq!((&folders[0]["events"], &folders[0]["quarantined"]), (&json!(0), &json!(1)));
}

#[tokio::test]
async fn what_is_damaged_when_a_spool_is_opened_is_told_too() {
    let mut naq = Naq::new().await;
    assert_eq!(naq.run("log --type a --spool kept").code, Some(0));
    naq.server.kill();
    for (left, code) in [(0, 1), (1, 5)] {
        for message in &["first", "second"][..=left] {
            let done = naq.run(&format!("log --type b --message {message} --spool kept"));
            assert_eq!(done.code, Some(0), "{}", done.stderr);
        }
        damage_first(&naq.folder.path().join("kept/1"));
        naq.server.restart().await;
        let replayed = naq.run("spool replay kept");
        assert_eq!(replayed.code, Some(code), "{}{}", replayed.stdout, replayed.stderr);
        let replayed = &lines(&replayed.stdout)[0];
        assert_eq!((&replayed["stored"], &replayed["failed"]), (&json!(left), &json!(1)));
        naq.server.kill();
    }
}

/// Damages the event that stands first in a folder.
fn damage_first(folder: &Path) {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let segments = files.filter(|path| path.extension().is_some_and(|e| e == "events"));
    let segment = segments.min().unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(5).position(|text| text == b"first").unwrap();
    bytes[at] ^= 0xff;
    std::fs::write(&segment, bytes).unwrap();
}

#[tokio::test]
async fn the_doctor_looks_at_the_spool_with_or_without_a_server() {
    let mut naq = Naq::with_events().await;
    std::fs::write(
        naq.folder.path().join("naq.toml"),
        "[events.spool]\ndir = \"kept\"\nmax_bytes = \"1MiB\"\n",
    )
    .unwrap();
    let state = |diagnosis: &Value, check: &str| {
        let checks = diagnosis["checks"].as_array().unwrap();
        let found = checks.iter().find(|found| found["check"] == check);
        found.unwrap_or_else(|| panic!("{check} is not in {diagnosis}"))["state"].clone()
    };
    let diagnosis = naq.json("--config naq.toml doctor --output json");
    assert_eq!(state(&diagnosis, "spool disk"), "ok");
    naq.server.kill();
    assert_eq!(naq.run("--config naq.toml log --type a").code, Some(0));
    let diagnosis = naq.json("--config naq.toml doctor --output json");
    assert_eq!(state(&diagnosis, "server"), "fail");
    assert_eq!(state(&diagnosis, "spool"), "warn");
    assert_eq!(state(&diagnosis, "spool disk"), "ok");
    assert_eq!(state(&diagnosis, "spool room"), "ok");
}

#[test]
fn a_spool_that_is_not_there_is_told() {
    let nowhere = run_alone("spool ls nowhere");
    assert_eq!((nowhere.code, nowhere.stdout.as_str()), (Some(3), ""));
    assert!(nowhere.stderr.contains("there is no folder nowhere"), "{}", nowhere.stderr);
    let unnamed = run_alone("spool show");
    assert_eq!(unnamed.code, Some(2));
    assert!(unnamed.stderr.contains("events.spool.dir"), "{}", unnamed.stderr);
}
