//! The list of every key there is.

use super::variables::URL_VARIABLE;
use super::{ConnectionConfig, EventsConfig, KvStoresConfig, NaqConfig, Standard, StreamsConfig};

/// One key of the configuration, as the reference lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyDoc {
    /// The key with its section: `events.flush_interval`.
    pub key: String,
    /// The variable that sets it: `NAQ_EVENTS_FLUSH_INTERVAL`.
    pub variable: String,
    /// What values look like, with their unit.
    pub kind: &'static str,
    /// The value where nobody sets it.
    pub default: String,
    /// The least and the greatest value, where there are bounds.
    pub range: Option<(String, String)>,
    /// What it does.
    pub help: String,
}

impl NaqConfig {
    /// Every key of the standard sections, in the order of the structs.
    #[must_use]
    pub fn reference() -> Vec<KeyDoc> {
        fn of<S: Standard>() -> impl Iterator<Item = KeyDoc> {
            S::keys().into_iter().map(|doc| {
                let key = format!("{}.{}", S::NAME, doc.key);
                let variable = match key.as_str() {
                    "connection.url" => URL_VARIABLE.to_owned(),
                    _ => format!("NAQ_{}_{}", S::NAME.to_ascii_uppercase(), doc.variable),
                };
                KeyDoc { key, variable, ..doc }
            })
        }
        of::<ConnectionConfig>()
            .chain(of::<StreamsConfig>())
            .chain(of::<KvStoresConfig>())
            .chain(of::<EventsConfig>())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_key_has_words_and_a_kind_and_is_listed_once() {
        let keys = NaqConfig::reference();
        let mut seen = std::collections::BTreeSet::new();
        for doc in &keys {
            assert!(doc.help.ends_with('.'), "{} says: {}", doc.key, doc.help);
            assert!(!doc.kind.is_empty() && !doc.default.is_empty(), "{doc:?}");
            assert!(seen.insert(&doc.key), "{} is listed twice", doc.key);
        }
        assert!(keys.len() > 50);
    }

    #[test]
    fn every_listed_key_can_be_set() {
        for doc in NaqConfig::reference() {
            let mut path: Vec<&str> = doc.key.split('.').collect();
            let section = path.remove(0);
            // No type takes a table, so each key answers with its rule, and none with "unknown".
            let table = path.iter().rev().fold(json!({}), |inner, key| json!({ *key: inner }));
            let problems = NaqConfig::default().set_standard(section, &table).unwrap();
            assert_eq!(problems.len(), 1, "{}", doc.key);
            assert!(problems[0].rule.starts_with("must be"), "{:?}", problems[0]);
        }
    }

    #[test]
    fn the_listed_default_is_what_the_key_reads_back() {
        for doc in NaqConfig::reference().into_iter().filter(|doc| doc.default != "none") {
            let variable = doc.variable.replace("<NAME>", "X");
            let text = doc.default.trim_matches('"').trim_matches(['[', ']']);
            let config = NaqConfig::from_vars([(variable.as_str(), text)]);
            assert!(config.is_ok(), "{} = {text}: {config:?}", doc.key);
        }
    }
}
