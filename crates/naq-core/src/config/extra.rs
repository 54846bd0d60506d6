//! Sections of services that are not naq's own.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::extra_de::{Entry, SectionDeserializer};
use super::{ConfigProblem, NaqConfig, variables};
use crate::{Error, ErrorKind, Result};

/// What the configuration holds beside the standard sections.
///
/// A service of one's own reads its section by name; one that nobody claims is
/// an error when the services are checked, so that a typing mistake is never
/// passed over in silence.
///
/// ```
/// use naq_core::config::NaqConfig;
///
/// #[derive(serde::Deserialize)]
/// #[serde(default, deny_unknown_fields)]
/// struct Billing { rate: u32, currency: String }
/// # impl Default for Billing { fn default() -> Self { Self { rate: 1, currency: "EUR".into() } } }
///
/// let config = NaqConfig::from_toml_str("[billing]\ncurrency = \"CHF\"")?
///     .with_vars([("NAQ_BILLING_RATE", "7")])?;
/// let billing: Billing = config.extra.section("billing")?;
/// assert_eq!((billing.rate, billing.currency.as_str()), (7, "CHF"));
/// # Ok::<(), naq_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct ExtraConfig {
    sections: BTreeMap<String, serde_json::Map<String, Value>>,
    variables: BTreeMap<String, String>,
}

impl ExtraConfig {
    /// The section `name` as a type of one's own: the table of the file, its
    /// keys changed by `NAQ_<NAME>_<KEY>` variables. An absent section is an
    /// empty table. A variable's text is read as the type that the field has;
    /// a list has commas.
    ///
    /// # Errors
    /// `Config`, naming section and key.
    pub fn section<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        for (key, value) in self.sections.get(name).into_iter().flatten() {
            entries.insert(key.clone(), Entry::Value(value.clone()));
        }
        for (variable, text) in &self.variables {
            if let Some(key) = key_in(variable, name) {
                entries.insert(key, Entry::Text(text.clone()));
            }
        }
        T::deserialize(SectionDeserializer(entries)).map_err(|error| {
            Error::new(ErrorKind::Config, "config", error.to_string()).with("section", name)
        })
    }

    /// The names of the sections that a file or code has set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sections.keys().map(String::as_str)
    }

    /// Sets a section from code.
    #[must_use]
    pub fn with_section(
        mut self,
        name: impl Into<String>,
        table: serde_json::Map<String, Value>,
    ) -> Self {
        self.sections.insert(name.into(), table);
        self
    }

    /// The sections and variables that none of `claimed` covers.
    #[must_use]
    pub fn unclaimed(&self, claimed: &[&str]) -> Vec<ConfigProblem> {
        let known = || claimed.iter().copied().chain(NaqConfig::SECTIONS);
        let sections = self
            .sections
            .keys()
            .filter(|name| !claimed.contains(&name.as_str()))
            .map(|name| ConfigProblem::unclaimed_section(name, known()));
        let variables = self
            .variables
            .keys()
            .filter(|variable| !claimed.iter().any(|name| key_in(variable, name).is_some()))
            .map(|variable| ConfigProblem::unclaimed_variable(variable, known_variables()));
        sections.chain(variables).collect()
    }

    pub(super) fn merge_section(&mut self, name: &str, value: Value) {
        if let Value::Object(table) = value {
            self.sections.entry(name.to_owned()).or_default().extend(table);
        }
    }

    pub(super) fn set_variable(&mut self, variable: &str, value: &str) {
        self.variables.insert(variable.to_owned(), value.to_owned());
    }
}

/// Every variable that naq reads by itself, the command's own included.
fn known_variables() -> impl Iterator<Item = String> {
    let of_keys = NaqConfig::reference().into_iter().map(|doc| doc.variable);
    of_keys.chain(variables::COMMAND_VARIABLES.map(str::to_owned))
}

/// The key of section `name` that a variable sets, if it does.
fn key_in(variable: &str, name: &str) -> Option<String> {
    let prefix = format!("NAQ_{}_", name.to_ascii_uppercase());
    let key = variable.strip_prefix(&prefix)?;
    (!key.is_empty()).then(|| key.to_ascii_lowercase())
}

/// Names alone: nobody here knows which values are secret.
impl fmt::Debug for ExtraConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtraConfig")
            .field("sections", &self.sections.keys())
            .field("variables", &self.variables.keys())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Toy {
        count: u8,
        ratio: Option<f64>,
        on: bool,
        tags: Vec<String>,
        mode: Mode,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Fast,
        Safe,
    }

    #[test]
    fn text_of_variables_is_read_as_the_type_of_the_field() {
        let config = NaqConfig::from_toml_str("[toy]\nmode = \"safe\"\ncount = 1\n")
            .unwrap()
            .with_vars([
                ("NAQ_TOY_COUNT", "7"),
                ("NAQ_TOY_RATIO", "0.5"),
                ("NAQ_TOY_ON", "true"),
                ("NAQ_TOY_TAGS", "a, b"),
            ])
            .unwrap();
        let toy: Toy = config.extra.section("toy").unwrap();
        let tags = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(toy, Toy { count: 7, ratio: Some(0.5), on: true, tags, mode: Mode::Safe });
    }

    #[test]
    fn an_error_names_section_and_key() {
        let config = NaqConfig::from_vars([("NAQ_TOY_COUNT", "many")]).unwrap();
        let error = config.extra.section::<Toy>("toy").unwrap_err();
        assert_eq!(error.get("section"), Some("toy"));
        assert!(error.to_string().contains("`count`"), "{error}");
        assert_eq!(Mode::Fast, Mode::Fast);
    }

    #[test]
    fn what_nobody_claims_is_named_with_what_was_probably_meant() {
        let config = NaqConfig::from_toml_str("[evnts]\nx = 1\n[toy]\n")
            .unwrap()
            .with_vars([
                ("NAQ_EVNTS_STREAM_NAME", "x"),
                ("NAQ_NATS_ULR", "x"),
                ("NAQ_TIMOUT", "x"),
                ("NAQ_TOY_COUNT", "1"),
                ("NAQ_WEATHER", "x"),
            ])
            .unwrap();
        let problems: Vec<String> =
            config.extra.unclaimed(&["toy"]).iter().map(ToString::to_string).collect();
        let meant = ["events", "NAQ_EVENTS_STREAM_NAME", "NAQ_NATS_URL", "NAQ_TIMEOUT"];
        assert_eq!(problems.len(), meant.len() + 1, "{problems:?}");
        for (problem, meant) in problems.iter().zip(meant) {
            assert!(problem.ends_with(&format!("did you mean `{meant}`?")), "{problems:?}");
        }
        assert!(!problems[4].contains("did you mean"), "{problems:?}");
    }

    #[test]
    fn debug_shows_no_value() {
        let config = NaqConfig::from_vars([("NAQ_TOY_KEY", "hunter2")]).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
