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

/// The rows of the tables whose last column is headed `test`.
fn promises(document: &str) -> Vec<&str> {
    let mut is_inside = false;
    let is_promise = |line: &&str| {
        let is_head = line.ends_with("| test |");
        is_inside = is_head || is_inside && line.starts_with('|');
        is_inside && !is_head && !line.starts_with("|--")
    };
    document.lines().filter(is_promise).collect()
}

#[test]
fn every_promise_names_a_test_that_is_there() {
    let code = code();
    let mut faults = Vec::new();
    for document in ["docs/guarantees.md", "docs/reactions.md"] {
        let text = read(document);
        let rows = promises(&text);
        for row in &rows {
            let tests: Vec<_> = quoted(row.trim_matches('|').rsplit('|').next().unwrap()).collect();
            if tests.is_empty() {
                faults.push(format!("{document}: no test stands behind: {row}"));
            }
            for test in tests {
                // A behaviour is a test in memory and on servers.
                let declared = [format!("fn {test}()"), format!("fn {test}(js: Arc<")];
                let folded = format!("fn {test}(\n    js: Arc<");
                let is_there = |text: &&String| {
                    text.contains(&folded) || declared.iter().any(|name| text.contains(name))
                };
                if !code.iter().any(|text| is_there(&text)) {
                    faults.push(format!("{document}: there is no test {test}"));
                }
            }
        }
        assert!(rows.len() > 10, "{document}: the table of promises was not found");
    }
    none(&faults);
}
