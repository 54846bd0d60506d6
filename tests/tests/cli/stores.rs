//! `naq streams` and `naq kv`.

use naq_tests::wait;
use serde_json::json;

use crate::support::Naq;

#[tokio::test]
async fn streams_are_made_shown_purged_and_deleted() {
    let naq = Naq::with_events().await;
    for (name, line) in [
        ("ensure_unchanged", "streams ensure --output table"),
        (
            "ensure_created",
            "streams ensure orders --subject 'orders.>' --max-age 7d --output table",
        ),
        (
            "ensure_updated",
            "streams ensure orders --subject 'orders.>' --max-age 14d --output table",
        ),
        (
            "ensure_conflict",
            "streams ensure orders --subject 'orders.>' --storage memory --output table",
        ),
        ("purge", "streams purge events --subject 'events.job_completed.>' --yes --output table"),
        ("purge_keep", "streams purge events --keep 1 --yes --output table"),
        ("rm", "streams rm orders --yes --output table"),
    ] {
        insta::assert_snapshot!(name, naq.screen(line));
    }
    assert_eq!(naq.json("streams info --output json")["messages"], 1);
    assert_eq!(naq.run("streams info orders").code, Some(3));
}

#[tokio::test]
async fn a_stream_that_is_there_keeps_the_subjects_that_nobody_says() {
    let naq = Naq::with_events().await;
    let ensured = naq.json("streams ensure events --max-msgs 5000 --output json");
    assert_eq!(
        (&ensured["outcome"], &ensured["stream"]["subjects"]),
        (&json!("updated"), &json!(["events.>"]))
    );
    insta::assert_snapshot!("ensure_no_subject", naq.screen("streams ensure orders --max-msgs 5"));
}

#[tokio::test]
async fn a_ttl_per_key_needs_a_bucket_that_allows_it() {
    let naq = Naq::new().await;
    assert_eq!(naq.run("kv create settings").code, Some(0));
    insta::assert_snapshot!("kv_put_ttl_off", naq.screen("kv put settings a 1 --ttl 5s"));
    assert_eq!(naq.run("kv ensure settings --marker-ttl 1h").code, Some(0));
    assert_eq!(naq.run("kv put settings a 1 --ttl 60s").code, Some(0));
}

#[tokio::test]
async fn a_bucket_s_life() {
    let naq = Naq::new().await;
    for (name, line) in [
        (
            "kv_create",
            "kv create settings --history 5 --description 'what workers read' --output table",
        ),
        ("kv_put", "kv put settings workers.max 8 --output table"),
        ("kv_put_again", "kv put settings workers.max 9 --if-revision 1 --output jsonl"),
        ("kv_put_conflict", "kv put settings workers.max 10 --if-revision 1"),
        ("kv_create_conflict", "kv put settings workers.max 10 --create"),
        ("kv_put_other", "kv put settings leader me --create --output table"),
        ("kv_wrong_key", "kv put settings 'a b' x"),
        ("kv_get", "kv get settings workers.max"),
        ("kv_get_revision", "kv get settings workers.max --revision 1"),
        ("kv_ls", "kv ls settings --output table"),
        ("kv_ls_prefix", "kv ls settings --prefix work --output jsonl"),
        ("kv_rm", "kv rm settings workers.max --output table"),
        ("kv_get_removed", "kv get settings workers.max"),
        ("kv_history", "kv history settings workers.max --output table"),
        ("kv_history_json", "kv history settings workers.max --output jsonl"),
        ("kv_buckets", "kv buckets --output table"),
        ("kv_status", "kv status settings --output jsonl"),
        ("kv_ensure_changed", "kv ensure settings --history 7 --marker-ttl 1h --output table"),
        ("kv_ensure_loses", "kv ensure settings --history 2"),
        ("kv_create_differs", "kv create settings --history 9"),
        ("kv_get_json", "kv get settings leader --output json"),
        ("kv_rm_again", "kv rm settings workers.max"),
        ("kv_rm_missing", "kv rm settings nobody"),
        ("kv_nobody_to_ask", "kv drop settings"),
        ("kv_drop", "kv drop settings --yes --output table"),
        ("kv_rm_bucket", "kv rm settings"),
    ] {
        insta::assert_snapshot!(name, naq.screen(line));
    }
}

#[tokio::test]
async fn a_value_is_its_bytes() {
    let naq = Naq::new().await;
    assert_eq!(naq.run("kv create files").code, Some(0));
    let bytes: Vec<u8> = (0..=255).collect();
    assert_eq!(naq.run_with("kv put files logo -", &bytes).code, Some(0));
    let got = naq.command("kv get files logo").output().unwrap();
    assert_eq!(got.stdout, bytes);
    let entry = naq.json("kv get files logo --output jsonl");
    assert_eq!((&entry["value"], &entry["revision"]), (&json!(null), &json!(1)));
    assert_eq!(entry["value_base64"].as_str().unwrap().len(), 344);
    let history = naq.json("kv history files logo --output jsonl");
    assert_eq!(history["value"], json!(null));
    assert!(history["value_base64"].as_str().unwrap().starts_with("AAECAw"));
}

#[tokio::test]
async fn few_keys_are_listed_by_name_and_many_as_they_come() {
    let naq = Naq::new().await;
    assert_eq!(naq.run("kv create many").code, Some(0));
    assert_eq!(naq.json("kv ls many --output json"), json!([]));
    for key in ["b", "a"] {
        assert_eq!(naq.run(&format!("kv put many {key} x")).code, Some(0));
    }
    let two = json!([{"key": "a"}, {"key": "b"}]);
    assert_eq!(naq.json("kv ls many --output json"), two);
    assert_eq!(naq.run("kv ls many --output table").stdout, "a\nb\n");
    let client = naq.server.client().await;
    for n in 0..10_500 {
        client.publish(format!("$KV.many.k{n}"), "x".into()).await.unwrap();
    }
    client.flush().await.unwrap();
    wait::until("the keys to be stored", std::time::Duration::from_secs(20), async || {
        naq.json("kv status many --output json")["keys"] == 10_502
    })
    .await;
    let all = naq.run("kv ls many --output json");
    let keys: serde_json::Value = serde_json::from_str(&all.stdout).unwrap();
    assert_eq!(keys.as_array().unwrap().len(), 10_502);
    assert!(all.stderr.contains("more than 10,000 keys"), "{}", all.stderr);
    assert_eq!(naq.run("kv ls many --output table").stdout.lines().count(), 10_502);
}
