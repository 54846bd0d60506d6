//! Source files: small, finished, and at home on any machine.

use super::{files, none, read};

/// Past this a file is two files.
const MOST_LINES: usize = 600;

#[test]
fn no_source_file_is_longer_than_one_concept() {
    let mut faults = Vec::new();
    for path in files(&[".rs", ".py", ".sh"]) {
        let lines = read(&path).lines().count();
        if lines > MOST_LINES {
            faults.push(format!("{} has {lines} lines; split it", path.display()));
        }
    }
    none(&faults);
}

#[test]
fn nothing_is_left_to_do_and_no_test_is_skipped() {
    // In two parts, or this file would have them.
    let marks = [
        ["todo", "!("],
        ["unimplemented", "!("],
        ["TO", "DO"],
        ["FIX", "ME"],
        ["#[ig", "nore"],
        ["```ig", "nore"],
        ["rust,ig", "nore"],
    ]
    .map(|parts| parts.concat());
    let mut faults = Vec::new();
    for path in files(&[".rs", ".py", ".md", ".toml", "justfile", "run"]) {
        for (number, line) in (1..).zip(read(&path).lines()) {
            for mark in marks.iter().filter(|mark| line.contains(*mark)) {
                faults.push(format!("{}:{number} has {mark}", path.display()));
            }
        }
    }
    none(&faults);
}

#[test]
fn no_file_names_a_folder_of_somebodys_machine() {
    let folders = ["root", "home", "Users", "work", "mnt", "opt"].map(|name| format!("/{name}/"));
    let mut faults = Vec::new();
    for path in files(&[".rs", ".py", ".md", ".toml", ".txt", ".json", "justfile", "run"]) {
        for (number, line) in (1..).zip(read(&path).lines()) {
            for folder in &folders {
                // A path begins there; in the middle of a URL or a path it is no matter.
                let begins = line.match_indices(folder.as_str()).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    before.is_none_or(|c| !c.is_alphanumeric() && !"._-*}~".contains(c))
                });
                if begins {
                    faults.push(format!("{}:{number} names {folder}", path.display()));
                }
            }
        }
    }
    none(&faults);
}
