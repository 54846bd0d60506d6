//! docs/configuration.md lists every key as the code has it.
//!
//! `UPDATE_GOLDEN=1 cargo test -p naq-core --test configuration` writes the
//! lists anew; the text between them is written by hand.
#![allow(clippy::panic, reason = "tests fail by panicking")]

use std::fmt::Write;
use std::path::Path;

use naq_core::config::{KeyDoc, NaqConfig};

const END: &str = "<!-- end -->";

fn begin(section: &str) -> String {
    format!(
        "<!-- keys of {section}: written from the code, see crates/naq-core/tests/configuration.rs -->\n"
    )
}

fn entry(doc: &KeyDoc) -> String {
    let key = doc.key.split_once('.').map_or(doc.key.as_str(), |(_, key)| key);
    let range = match &doc.range {
        Some((low, high)) => format!(" From `{low}` to `{high}`."),
        None => String::new(),
    };
    format!(
        "- **`{key}`** (`{}`): {} {}. Default `{}`.{range}\n",
        doc.variable,
        doc.help,
        capitalized(doc.kind),
        doc.default,
    )
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + chars.as_str())
}

/// The list of one section. Named servers have the keys of the default one: once is enough.
fn list(section: &str) -> String {
    let mut text = "\n".to_owned();
    for doc in NaqConfig::reference() {
        if doc.key.starts_with(&format!("{section}.")) && !doc.key.contains("<name>.") {
            text.push_str(&entry(&doc));
        }
    }
    let _ = writeln!(text);
    text
}

fn updated(document: &str) -> String {
    let mut text = document.to_owned();
    for section in NaqConfig::SECTIONS {
        let begin = begin(section);
        let start = text.find(&begin).map(|at| at + begin.len());
        let start = start.unwrap_or_else(|| panic!("no place for the keys of {section}"));
        let end = start + text[start..].find(END).expect("a place has an end");
        text.replace_range(start..end, &list(section));
    }
    text
}

#[test]
fn the_document_lists_every_key_as_the_code_has_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let document = std::fs::read_to_string(&path).expect("the document is there");
    let updated = updated(&document);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, updated).expect("the document can be written");
        return;
    }
    assert_eq!(document, updated, "run this test with UPDATE_GOLDEN=1 and look at what changed");
}

#[test]
fn named_servers_have_the_keys_of_the_default_one() {
    let keys = NaqConfig::reference();
    let key = |key: String| keys.iter().any(|doc| doc.key == key);
    let named = keys.iter().filter_map(|doc| doc.key.strip_prefix("connection.servers.<name>."));
    let named: Vec<&str> = named.collect();
    assert!(named.len() > 10);
    for name in named {
        assert!(key(format!("connection.{name}")), "{name}");
    }
}
