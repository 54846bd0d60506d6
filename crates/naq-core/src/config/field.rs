//! A field of a section: one value, another section, or a table of named sections.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::Value;

use super::section::Section;
use super::setting::{Ranged, Setting};
use super::{ConfigProblem, KeyDoc};

/// What a section asks of its fields.
pub(super) trait Field {
    /// Takes the value that `key` has.
    fn assign(&mut self, key: &str, value: &Value) -> Vec<ConfigProblem>;

    /// What is wrong inside it.
    fn problems(&self, key: &str) -> Vec<ConfigProblem>;

    /// Its entries in the reference.
    fn docs(&self, key: &str, range: Option<(String, String)>, help: &[&str]) -> Vec<KeyDoc>;
}

impl<T: Setting> Field for T {
    fn assign(&mut self, key: &str, value: &Value) -> Vec<ConfigProblem> {
        match T::read(value) {
            Ok(value) => {
                *self = value;
                Vec::new()
            }
            Err(rule) => vec![ConfigProblem::new(key, rule)],
        }
    }

    fn problems(&self, _key: &str) -> Vec<ConfigProblem> {
        Vec::new()
    }

    fn docs(&self, key: &str, range: Option<(String, String)>, help: &[&str]) -> Vec<KeyDoc> {
        vec![KeyDoc {
            key: key.to_owned(),
            variable: key.to_ascii_uppercase(),
            kind: T::KIND,
            default: self.show(),
            range,
            help: in_one_line(help),
        }]
    }
}

/// The entry of a table whose names are chosen by whoever writes it.
pub(super) fn entry_of_names<T: Setting>(
    key: &str,
    range: Option<(String, String)>,
    help: &[&str],
) -> KeyDoc {
    KeyDoc {
        key: format!("{key}.<name>"),
        variable: format!("{}_<NAME>", key.to_ascii_uppercase()),
        kind: T::KIND,
        default: "none".to_owned(),
        range,
        help: in_one_line(help),
    }
}

fn in_one_line(help: &[&str]) -> String {
    help.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

impl<S: Section> Field for BTreeMap<String, S> {
    fn assign(&mut self, key: &str, value: &Value) -> Vec<ConfigProblem> {
        let Value::Object(tables) = value else {
            return vec![ConfigProblem::new(key, "must be a table of named tables")];
        };
        let mut problems = Vec::new();
        for (name, table) in tables {
            // Into what is there already: a variable changes one key of a file's table.
            let section = self.entry(name.clone()).or_default();
            problems.extend(inside(section.set_all(table), key, name));
        }
        problems
    }

    fn problems(&self, key: &str) -> Vec<ConfigProblem> {
        self.iter().flat_map(|(name, section)| inside(section.problems(), key, name)).collect()
    }

    fn docs(&self, key: &str, _range: Option<(String, String)>, _help: &[&str]) -> Vec<KeyDoc> {
        S::keys()
            .into_iter()
            .map(|doc| KeyDoc {
                key: format!("{key}.<name>.{}", doc.key),
                variable: format!("{}_<NAME>_{}", key.to_ascii_uppercase(), doc.variable),
                ..doc
            })
            .collect()
    }
}

fn inside(problems: Vec<ConfigProblem>, key: &str, name: &str) -> Vec<ConfigProblem> {
    within(within(problems, name), key)
}

/// The problems of what `key` names, as seen from outside of it.
pub(super) fn within(problems: Vec<ConfigProblem>, key: &str) -> Vec<ConfigProblem> {
    problems.into_iter().map(|problem| problem.inside(key)).collect()
}

/// The entries of a section that is a field of another one.
pub(super) fn nested_docs<S: Section>(key: &str) -> Vec<KeyDoc> {
    S::keys()
        .into_iter()
        .map(|doc| KeyDoc {
            key: format!("{key}.{}", doc.key),
            variable: format!("{}_{}", key.to_ascii_uppercase(), doc.variable),
            ..doc
        })
        .collect()
}

/// The problem that a value outside its range is.
pub(super) fn out_of_range<B: Setting, T: Ranged<B> + Setting>(
    key: &str,
    value: &T,
    range: &RangeInclusive<B>,
) -> Option<ConfigProblem> {
    let (low, high) = range_of(value, range);
    (!value.within(range)).then(|| {
        ConfigProblem::new(key, format!("must be from {low} to {high}, and is {}", value.show()))
    })
}

/// The range of a value as the reference has it; the value only says of which type.
pub(super) fn range_of<B: Setting, T: Ranged<B>>(
    _value: &T,
    range: &RangeInclusive<B>,
) -> (String, String) {
    (range.start().show(), range.end().show())
}
