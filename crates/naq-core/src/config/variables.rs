//! Layering `NAQ_…` variables over a configuration.

use serde_json::{Value, json};

use super::{ConfigProblem, KeyDoc, NaqConfig};
use crate::Result;

/// Variables that the command `naq` reads for itself, and those that it gives to
/// the commands of `naq react`, which may call `naq` in turn: no key of any service.
pub const COMMAND_VARIABLES: [&str; 9] = [
    "NAQ_COLOR",
    "NAQ_CONFIG",
    "NAQ_CREDS",
    "NAQ_EVENT_ID",
    "NAQ_EVENT_SEQUENCE",
    "NAQ_EVENT_TRIES",
    "NAQ_EVENT_TYPE",
    "NAQ_OUTPUT",
    "NAQ_TIMEOUT",
];

const PREFIX: &str = "NAQ_";
/// The short name of `NAQ_CONNECTION_URL`; it wins where both are set.
pub(super) const URL_VARIABLE: &str = "NAQ_NATS_URL";

impl NaqConfig {
    /// The defaults, changed by variables.
    ///
    /// # Errors
    /// See [`with_vars`](NaqConfig::with_vars).
    pub fn from_vars<K: AsRef<str>, V: AsRef<str>>(
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self> {
        Self::default().with_vars(vars)
    }

    /// This configuration, changed by variables: `NAQ_<SECTION>_<KEY>`, and
    /// `NAQ_NATS_URL` for the default server's URL.
    ///
    /// A named server's keys are `NAQ_CONNECTION_SERVERS_<NAME>_<KEY>`, the
    /// name in small letters. Variables without the prefix, with an empty
    /// value, and [`COMMAND_VARIABLES`] are passed over. What belongs to no
    /// standard section is kept in [`extra`](NaqConfig::extra) until a service
    /// claims it; a section whose name begins like a standard one
    /// (`events_archive`) can't be set by variables.
    ///
    /// # Errors
    /// `Config`, naming every variable that isn't known (with the nearest one
    /// that is), doesn't fit its type, or breaks a rule. No value is repeated
    /// in the error.
    pub fn with_vars<K: AsRef<str>, V: AsRef<str>>(
        mut self,
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self> {
        let keys = Self::reference();
        let mut problems = Vec::new();
        let mut url = None;
        for (variable, value) in vars {
            let (variable, value) = (variable.as_ref(), value.as_ref());
            let ours = variable.starts_with(PREFIX) && !COMMAND_VARIABLES.contains(&variable);
            if !ours || value.is_empty() {
                continue;
            }
            if variable == URL_VARIABLE {
                url = Some(value.to_owned());
            } else if let Some((section, path)) = resolve(variable, &keys) {
                let table = nest(&path, value);
                let found = self.set_standard(&section, &table).unwrap_or_default();
                problems.extend(found.into_iter().map(|p| ConfigProblem::new(variable, p.rule)));
            } else if of_a_standard_section(variable) {
                let known = keys.iter().map(|doc| doc.variable.as_str());
                problems.push(ConfigProblem::unknown(variable, known));
            } else {
                self.extra.set_variable(variable, value);
            }
        }
        if let Some(url) = url {
            self.connection.server.url = url.into();
        }
        problems.extend(self.problems());
        ConfigProblem::into_result(&problems, "config").map(|()| self)
    }
}

/// Section and path of the key that a variable sets.
fn resolve(variable: &str, keys: &[KeyDoc]) -> Option<(String, Vec<String>)> {
    let (key, name) = keys
        .iter()
        .filter_map(|doc| Some((doc, matches(variable, &section_variable(doc))?)))
        // The longest key wins: `…_SERVERS_X_TLS_CA_FILE` is `tls_ca_file` of `x`.
        .max_by_key(|(doc, _)| doc.key.len())?;
    let mut path = key.key.split('.').map(|part| if part == "<name>" { &name } else { part });
    let section = path.next()?.to_owned();
    Some((section, path.map(str::to_owned).collect()))
}

/// The name in the middle where the pattern has `<NAME>`, else empty.
fn matches(variable: &str, pattern: &str) -> Option<String> {
    match pattern.split_once("<NAME>") {
        None => (variable == pattern).then(String::new),
        Some((before, after)) => {
            let name = variable.strip_prefix(before)?.strip_suffix(after)?;
            (!name.is_empty()).then(|| name.to_ascii_lowercase())
        }
    }
}

/// The systematic form, which `NAQ_NATS_URL` hides in the reference.
fn section_variable(doc: &KeyDoc) -> String {
    format!("{PREFIX}{}", doc.key.to_ascii_uppercase().replace('.', "_"))
}

fn nest(path: &[String], value: &str) -> Value {
    path.iter().rev().fold(Value::from(value), |inner, key| json!({ key: inner }))
}

fn of_a_standard_section(variable: &str) -> bool {
    NaqConfig::SECTIONS.into_iter().any(|section| {
        variable
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.strip_prefix(&section.to_ascii_uppercase()))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn variables_change_single_keys() {
        let config = NaqConfig::from_vars([
            ("NAQ_NATS_URL", "memory://"),
            ("NAQ_EVENTS_FLUSH_INTERVAL", "1s"),
            ("NAQ_EVENTS_REDACT_DROP", "password, card.number"),
            ("NAQ_KV_STORES_UPDATE_ATTEMPTS", "3"),
            ("NAQ_OUTPUT", "json"),
            ("NAQ_EVENT_ID", "id-of-a-reaction"),
            ("NAQ_EVENTS_REPLICAS", ""),
            ("HOME", "/"),
        ])
        .unwrap();
        assert_eq!(config.connection.server.url.expose(), "memory://");
        assert_eq!(config.events.flush_interval, Duration::from_secs(1));
        assert_eq!(config.events.redact_drop, ["password", "card.number"]);
        assert_eq!(config.kv_stores.update_attempts, 3);
        assert_eq!(config.extra.names().count(), 0);
    }

    #[test]
    fn the_short_url_wins_in_any_order() {
        for flip in [false, true] {
            let mut vars = [("NAQ_NATS_URL", "nats://a"), ("NAQ_CONNECTION_URL", "nats://b")];
            if flip {
                vars.reverse();
            }
            let config = NaqConfig::from_vars(vars).unwrap();
            assert_eq!(config.connection.server.url.expose(), "nats://a");
        }
    }

    #[test]
    fn a_variable_reaches_into_a_named_server_of_the_file() {
        let file = "[connection.servers.far_away]\nurl = \"nats://far\"\n";
        let config = NaqConfig::from_toml_str(file)
            .unwrap()
            .with_vars([("NAQ_CONNECTION_SERVERS_FAR_AWAY_TLS_CA_FILE", "/ca.pem")])
            .unwrap();
        let server = &config.connection.servers["far_away"];
        assert_eq!(server.url.expose(), "nats://far");
        assert_eq!(server.tls_ca_file.as_deref(), Some(std::path::Path::new("/ca.pem")));
    }

    #[test]
    fn a_misspelt_variable_is_told_the_right_one() {
        let error = NaqConfig::from_vars([("NAQ_EVENTS_FLUSH_INTERVALL", "1s")]).unwrap_err();
        assert!(error.to_string().contains("did you mean `NAQ_EVENTS_FLUSH_INTERVAL`?"), "{error}");
    }

    #[test]
    fn a_value_that_does_not_fit_names_the_variable_and_not_the_value() {
        let error = NaqConfig::from_vars([("NAQ_EVENTS_REPLICAS", "hunter2")]).unwrap_err();
        assert!(error.to_string().contains("`NAQ_EVENTS_REPLICAS` must be a whole number"));
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
