//! docs/guarantees.md promises nothing, and ARCHITECTURE.md claims nothing, that no test holds.

use super::{files, none, read};

/// The names in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The code of all tests but this one.
fn code() -> Vec<String> {
    let files = files(&[".rs"]).into_iter();
    files.filter(|path| !path.ends_with("tidy/guarantees.rs")).map(read).collect()
}

/// Each name must be that of a test, or of a lint that the workspace sets.
#[test]
fn every_invariant_names_what_holds_it() {
    let document = read("ARCHITECTURE.md");
    let (_, table) = document.split_once("| invariant | held by |").unwrap();
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| ")).collect();
    let (code, lints) = (code(), read("Cargo.toml"));
    let own = read("tests/tests/tidy/guarantees.rs");
    let mut faults = Vec::new();
    for row in &rows {
        let held_by = row.trim_matches('|').rsplit('|').next().unwrap();
        if quoted(held_by).next().is_none() {
            faults.push(format!("nothing holds: {row}"));
        }
        for name in quoted(held_by) {
            let declared = format!("fn {name}(");
            let is_there = code.iter().chain([&own]).any(|text| text.contains(&declared))
                || lints.contains(&format!("{name} = "));
            if !is_there {
                faults.push(format!("there is no test or lint {name}"));
            }
        }
    }
    assert!(rows.len() > 10, "the table of invariants was not found");
    none(&faults);
}

#[test]
fn every_promise_names_a_test_that_is_there() {
    let document = read("docs/guarantees.md");
    let is_promise = |line: &&str| line.starts_with("| ") && !line.ends_with("| test |");
    let rows = document.lines().filter(is_promise);
    let code = code();
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
