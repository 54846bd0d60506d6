//! docs/guarantees.md promises nothing that no test holds.

use super::{files, none, read};

/// The names in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_promise_names_a_test_that_is_there() {
    let document = read("docs/guarantees.md");
    let rows = document.lines().filter(|line| line.starts_with("| ")).skip(1);
    let code: Vec<_> = files(&[".rs"])
        .iter()
        .filter(|path| !path.ends_with("tidy/guarantees.rs"))
        .map(read)
        .collect();
    let mut faults = Vec::new();
    let mut promises = 0;
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').collect();
        let tests: Vec<_> = quoted(cells.last().unwrap()).collect();
        promises += 1;
        if cells.len() != 3 || tests.is_empty() {
            faults.push(format!("no test stands behind: {row}"));
        }
        for test in tests {
            let declared = format!("fn {test}()");
            if !code.iter().any(|text| text.contains(&declared)) {
                faults.push(format!("there is no test {test}"));
            }
        }
    }
    assert!(promises > 10, "the table of promises was not found");
    none(&faults);
}
