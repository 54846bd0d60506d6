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

/// Without the times of creation, and what depends on them.
fn unknown_before(screen: &str) -> String {
    [
        (r"20\d\d-\d\d-\d\dT[\d:.]+Z", "TIME"),
        (r"20\d\d-\d\d-\d\d [\d:]+Z?", "TIME"),
        (r"(Takes +|workers \()\d+ B", "${1}SIZE"),
        (r#"("bytes": )\d+"#, "${1}SIZE"),
    ]
    .iter()
    .fold(screen.to_owned(), |screen, (pattern, with)| {
        Regex::new(pattern).unwrap().replace_all(&screen, *with).into_owned()
    })
}
