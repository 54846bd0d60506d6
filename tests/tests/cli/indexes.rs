//! `naq index`.

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
