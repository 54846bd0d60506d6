//! Cargo.toml files: each version, lint and description once.

use std::path::Path;

use super::layers::PACKAGES;
use super::{files, none, read, root};

/// Dependencies that a crate has for their features alone, and never names.
const NAMED_NOWHERE: &[(&str, &str)] = &[];

#[test]
fn every_crate_inherits_the_lints() {
    let mut faults = Vec::new();
    for package in PACKAGES.iter() {
        let manifest = read(Path::new(package.0["manifest_path"].as_str().unwrap()));
        if !manifest.contains("[lints]\nworkspace = true\n") {
            faults.push(format!("{} does not inherit the workspace's lints", package.name()));
        }
    }
    none(&faults);
    let lints = read("Cargo.toml");
    for lint in ["unsafe_code = \"forbid\"", "missing_docs = ", "broken_intra_doc_links = "] {
        assert!(lints.contains(lint), "the workspace has no lint {lint}");
    }
}

#[test]
fn every_version_of_a_dependency_stands_in_the_root_alone() {
    let mut faults = Vec::new();
    for path in files(&["Cargo.toml"]).iter().filter(|path| path.components().count() > 1) {
        for (section, line) in entries(&read(path)) {
            let inherited = line.contains("workspace = true");
            let by_path = section.starts_with("dev-") && line.contains("path = ");
            if section.ends_with("dependencies") && !inherited && !by_path {
                faults.push(format!("{}: {line}", path.display()));
            }
        }
    }
    none(&faults);
}

#[test]
fn every_dependency_of_the_workspace_is_used_by_a_crate() {
    let mut faults = Vec::new();
    let used = |name: &str| {
        PACKAGES.iter().flat_map(|package| package.dependencies()).any(|edge| edge.name() == name)
    };
    for (section, line) in entries(&read("Cargo.toml")) {
        let name = line.split(['=', '.', ' ']).next().unwrap();
        // The facade and the command are what users depend on, not we.
        if section == "workspace.dependencies" && !used(name) && name != "naq" {
            faults.push(format!("no crate uses {name}"));
        }
    }
    none(&faults);
}

#[test]
fn every_dependency_of_a_crate_is_named_in_its_code() {
    let mut faults = Vec::new();
    for package in PACKAGES.iter() {
        let folder = Path::new(package.0["manifest_path"].as_str().unwrap()).parent().unwrap();
        let folder = folder.strip_prefix(root()).unwrap();
        // The Rust in the documents is compiled with the tests.
        let documents = folder == Path::new("tests");
        let code: Vec<_> = files(&[".rs", ".md"])
            .iter()
            .filter(|path| path.starts_with(folder) || documents && is_markdown(path))
            .map(read)
            .collect();
        for dependency in package.dependencies() {
            let name = dependency.name();
            let ident = name.replace('-', "_");
            let named = code.iter().any(|text| text.contains(&ident));
            if !named && !NAMED_NOWHERE.contains(&(package.name(), name)) {
                faults.push(format!("{} depends on {name} and never names it", package.name()));
            }
        }
    }
    none(&faults);
}

#[test]
fn published_crates_carry_what_publishing_needs() {
    let mut faults = Vec::new();
    let described = ["description", "license", "repository", "homepage", "rust_version", "readme"];
    for package in PACKAGES.iter().filter(|package| package.is_published()) {
        for field in described {
            if package.0[field].as_str().is_none_or(str::is_empty) {
                faults.push(format!("{} has no {field}", package.name()));
            }
        }
        for field in ["keywords", "categories"] {
            if package.0[field].as_array().is_none_or(Vec::is_empty) {
                faults.push(format!("{} has no {field}", package.name()));
            }
        }
    }
    none(&faults);
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

/// The lines of a manifest that set something, each with its section's name; one
/// that goes on over several lines counts as one.
fn entries(manifest: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut entries: Vec<(String, String)> = Vec::new();
    let mut depth = 0_i32;
    for line in manifest.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if depth > 0 {
            let last = entries.last_mut().unwrap();
            last.1.push_str(line);
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
            continue;
        } else {
            entries.push((section.clone(), line.to_owned()));
        }
        let count = |pattern: [char; 2]| line.matches(pattern).count() as i32;
        depth += count(['[', '{']) - count([']', '}']);
    }
    entries
}
