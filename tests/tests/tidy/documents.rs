//! README and docs: every block of code is of a kind that some test reads or
//! runs, and every link leads somewhere. What runs them is `tests/tests/docs.rs`.

use std::path::{Component, Path, PathBuf};

use naq_core::config::NaqConfig;
use naq_tests::markdown::{self, Block};
use serde_json::Value;

use super::layers::PACKAGES;
use super::{none, read, root, tooling};

/// What a block can be, and what is done with it: `rust` compiled and run,
/// `rust,no_run` compiled, `toml` and `json` parsed, `sh` run (`naq`) or checked
/// (the tools of a developer), `console` and `text` shown, never run.
const LANGUAGES: &[&str] = &["rust", "toml", "json", "sh", "console", "text"];

/// The headings of each record of a decision, in this order.
const DECISION: &[&str] = &["## Context", "## Decision", "## Price", "## Alternatives"];

/// The documents with their text, by their paths from the root.
fn documents() -> Vec<(PathBuf, String)> {
    let paths = markdown::documents(root()).unwrap();
    paths
        .into_iter()
        .map(|path| path.strip_prefix(root()).unwrap().to_owned())
        .map(|path| (path.clone(), read(path)))
        .collect()
}

/// All blocks, each with its place for people.
fn blocks() -> Vec<(String, Block)> {
    let mut all = Vec::new();
    for (path, text) in documents() {
        let blocks = markdown::blocks(&text).into_iter();
        all.extend(blocks.map(|block| (format!("{}:{}", path.display(), block.line), block)));
    }
    all
}

fn blocks_of(language: &str) -> impl Iterator<Item = (String, Block)> {
    blocks().into_iter().filter(move |(_, block)| block.language == language)
}

#[test]
fn every_block_says_what_it_is() {
    let mut faults = Vec::new();
    for (place, block) in blocks() {
        let attributes: Vec<_> = block.attributes.iter().map(String::as_str).collect();
        match (block.language.as_str(), &attributes[..]) {
            ("rust", [] | ["no_run"]) => {}
            (language, []) if LANGUAGES.contains(&language) => {}
            (language, attributes) => faults
                .push(format!("{place} is {language:?} {attributes:?}, not one of {LANGUAGES:?}")),
        }
    }
    none(&faults);
}

#[test]
fn json_blocks_are_json() {
    let mut faults = Vec::new();
    for (place, block) in blocks_of("json") {
        let values = serde_json::Deserializer::from_str(&block.code).into_iter::<Value>();
        if let Some(error) = values.filter_map(Result::err).next() {
            faults.push(format!("{place}: {error}"));
        }
    }
    none(&faults);
}

#[test]
fn toml_blocks_are_naqs_configuration_or_dependencies_on_its_crates() {
    let mut faults = Vec::new();
    for (place, block) in blocks_of("toml") {
        let parsed = match block.code.trim_start().strip_prefix("[dependencies]") {
            Some(lines) => are_dependencies(lines),
            None => NaqConfig::from_toml_str(&block.code).map(|_| ()).map_err(|e| e.to_string()),
        };
        if let Err(error) = parsed {
            faults.push(format!("{place}: {error}"));
        }
    }
    none(&faults);
}

fn are_dependencies(lines: &str) -> Result<(), String> {
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let name = line.split([' ', '=', '.']).next().unwrap();
        let ours = PACKAGES.iter().any(|package| package.name() == name && package.is_published());
        if name.starts_with("naq") && !ours {
            return Err(format!("there is no crate {name}"));
        }
    }
    Ok(())
}

#[test]
fn the_tools_that_sh_blocks_call_know_what_is_asked_of_them() {
    let recipes = tooling::recipes();
    let mut faults = Vec::new();
    for (place, block) in blocks_of("sh") {
        for line in block.code.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            for pair in words.windows(2) {
                let wrong = match pair {
                    ["just", recipe] if recipe.starts_with(char::is_alphabetic) => {
                        !recipes.contains(*recipe)
                    }
                    ["-p" | "--package", name] => {
                        !PACKAGES.iter().any(|package| package.name() == *name)
                    }
                    _ => false,
                };
                if wrong {
                    faults.push(format!("{place}: there is no {}", pair.join(" ")));
                }
            }
        }
    }
    none(&faults);
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut faults = Vec::new();
    for (path, text) in documents() {
        for link in markdown::links(&text) {
            let (file, anchor) = link.target.split_once('#').unwrap_or((&link.target, ""));
            if file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            let target = if file.is_empty() {
                path.clone()
            } else {
                normal(&path.parent().unwrap().join(file))
            };
            let found = root().join(&target).exists();
            if !found || !anchor.is_empty() && !has_anchor(&target, anchor) {
                faults.push(format!("{}:{} {}", path.display(), link.line, link.target));
            }
        }
    }
    none(&faults);
}

fn has_anchor(path: &Path, anchor: &str) -> bool {
    markdown::anchors(&read(path)).iter().any(|known| known == anchor)
}

/// The path with `..` resolved, without asking the file system.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            part => normal.push(part),
        }
    }
    normal
}

#[test]
fn every_decision_has_its_number_its_headings_and_fits_on_a_page() {
    let decisions =
        documents().into_iter().filter(|(path, _)| path.starts_with("docs/decisions")).enumerate();
    let mut faults = Vec::new();
    for (at, (path, text)) in decisions {
        let name = path.file_name().unwrap().to_str().unwrap();
        let number = at + 1;
        if !name.starts_with(&format!("{number:04}-")) {
            faults.push(format!("{name} should have the number {number:04}"));
        }
        if !text.starts_with(&format!("# {number}. ")) {
            faults.push(format!("{name} should begin with \"# {number}. \" and its title"));
        }
        let headings: Vec<_> = text.lines().filter(|line| line.starts_with("## ")).collect();
        if headings != DECISION {
            faults.push(format!("{name} has the headings {headings:?}, not {DECISION:?}"));
        }
        if text.lines().count() > 60 {
            faults.push(format!("{name} is longer than a page"));
        }
    }
    none(&faults);
}

#[test]
fn a_parsed_document_has_its_blocks_links_and_anchors() {
    let text = "# A title, `or` so\n\n[a](b.md#c) and `[no](d)` ![e](f.png)\n\n- x\n\n  \
                ```rust,no_run\n  let a = 1;\n    b\n  ```\n\n```\n[not](a-link)\n# nor a title\n```\n";
    let blocks = markdown::blocks(text);
    assert_eq!(blocks[0].language, "rust");
    assert_eq!(blocks[0].attributes, ["no_run"]);
    assert_eq!((blocks[0].line, blocks[0].code.as_str()), (7, "let a = 1;\n  b\n"));
    assert_eq!(blocks[1].language, "");
    assert_eq!(blocks.len(), 2);
    let targets: Vec<_> = markdown::links(text).into_iter().map(|link| link.target).collect();
    assert_eq!(targets, ["b.md#c", "f.png"]);
    assert_eq!(markdown::anchors(text), ["a-title-or-so"]);
}
