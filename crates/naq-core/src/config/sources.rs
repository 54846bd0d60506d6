//! Layering a TOML text over a configuration.

use serde_json::Value;

use super::{ConfigProblem, ConnectionConfig, EventsConfig, KvStoresConfig, NaqConfig};
use super::{Standard, StreamsConfig};
use crate::{Error, ErrorKind, Result};

impl NaqConfig {
    /// The defaults, changed by a TOML text.
    ///
    /// # Errors
    /// See [`with_toml_str`](NaqConfig::with_toml_str).
    pub fn from_toml_str(text: &str) -> Result<Self> {
        Self::default().with_toml_str(text)
    }

    /// This configuration, changed by a TOML text: a table per section.
    ///
    /// # Errors
    /// `Config` naming the line of what is no TOML; or every key that isn't
    /// known (with the nearest one that is), has the wrong type, is out of
    /// range or contradicts another. No value is repeated in the error.
    pub fn with_toml_str(mut self, text: &str) -> Result<Self> {
        let table: toml::Table = toml::from_str(text).map_err(|error| not_toml(text, &error))?;
        let mut problems = Vec::new();
        for (name, value) in table {
            let value = to_json(value);
            match self.set_standard(&name, &value) {
                Some(found) => problems.extend(found),
                None if value.is_object() => self.extra.merge_section(&name, value),
                // A lone key before the first `[section]`.
                None => problems.push(ConfigProblem::unknown(&name, Self::SECTIONS.into_iter())),
            }
        }
        problems.extend(self.problems());
        ConfigProblem::into_result(&problems, "config").map(|()| self)
    }

    /// Sets keys of the standard section `name`; `None` when there is no such section.
    pub(super) fn set_standard(&mut self, name: &str, table: &Value) -> Option<Vec<ConfigProblem>> {
        fn set<S: Standard>(config: &mut NaqConfig, table: &Value) -> Vec<ConfigProblem> {
            let problems = S::of_mut(config).set_all(table);
            problems.into_iter().map(|problem| problem.inside(S::NAME)).collect()
        }
        match name {
            ConnectionConfig::NAME => Some(set::<ConnectionConfig>(self, table)),
            StreamsConfig::NAME => Some(set::<StreamsConfig>(self, table)),
            KvStoresConfig::NAME => Some(set::<KvStoresConfig>(self, table)),
            EventsConfig::NAME => Some(set::<EventsConfig>(self, table)),
            _ => None,
        }
    }
}

/// Position and message alone: the parser's own text quotes the line, which may hold a password.
fn not_toml(text: &str, error: &toml::de::Error) -> Error {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    Error::new(ErrorKind::Config, "config", format!("not TOML: {}", error.message()))
        .with("line", line.to_string())
}

fn to_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(value) => Value::Bool(value),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(to_json).collect()),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, to_json(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Error {
        NaqConfig::from_toml_str(text).unwrap_err()
    }

    #[test]
    fn named_servers_are_tables_of_their_own() {
        let config = NaqConfig::from_toml_str(
            "[connection.servers.audit]\nurl = \"tls://audit:4222\"\ntls_first = true\n",
        )
        .unwrap();
        let audit = &config.connection.servers["audit"];
        assert_eq!((audit.url.expose(), audit.tls_first), ("tls://audit:4222", true));
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let error = refused(
            "[events]\nflush_intervall = 1\nreplicas = 9\noverflow = \"explode\"\n\
             [connection.servers.audit]\nurll = \"x\"\n",
        );
        let text = error.to_string();
        for part in [
            "`events.flush_intervall` is not a known key; did you mean `flush_interval`?",
            "`events.replicas` must be from 1 to 5, and is 9",
            "`events.overflow` must be `wait`",
            "`connection.servers.audit.urll` is not a known key; did you mean `url`?",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        assert!(error.is(ErrorKind::Config) && error.hint().is_some());
    }

    #[test]
    fn a_broken_line_is_named_by_number_and_not_quoted() {
        let error = refused("[connection]\nuser = \"ann\"\npassword = \"hunter2\n");
        assert_eq!(error.get("line"), Some("3"));
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }

    #[test]
    fn a_key_outside_of_any_section_is_refused() {
        assert!(refused("event = 1").to_string().contains("did you mean `events`?"));
    }

    #[test]
    fn a_section_that_is_no_table_is_refused() {
        assert_eq!(refused("events = 1").get("key"), Some("events"));
    }

    #[test]
    fn other_sections_are_kept_for_whoever_claims_them() {
        let config = NaqConfig::from_toml_str("[billing]\nrate = 3\n").unwrap();
        assert_eq!(config.extra.names().collect::<Vec<_>>(), ["billing"]);
    }
}
