//! What is wrong with a configuration, key by key.

use std::fmt;

use crate::{Error, ErrorKind, Result};

/// Something wrong with the configuration: which key, and which rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigProblem {
    /// The key with its section, or the variable.
    pub key: String,
    /// The rule, or what to write instead.
    pub rule: String,
}

impl ConfigProblem {
    /// `key` breaks `rule`.
    pub fn new(key: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { key: key.into(), rule: rule.into() }
    }

    /// There is no such key; the nearest of the `known` ones is named.
    pub(super) fn unknown<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Self {
        Self::new(key, or_nearest("is not a known key", key, known))
    }

    /// A variable that no service reads.
    pub(super) fn unclaimed_variable(name: &str, known: impl Iterator<Item = String>) -> Self {
        Self::new(name, or_nearest("is a variable that no service claims", name, known))
    }

    /// A section that no service reads.
    pub(super) fn unclaimed_section<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Self {
        Self::new(name, or_nearest("is a section that no service claims", name, known))
    }

    /// A type of event that isn't known and looks like one that is; `None` for
    /// all others, which are of one's own.
    pub(super) fn nearly_known_type<'a>(
        name: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Option<Self> {
        let near = nearest(name, known, ALIKE)?;
        let rule = format!("is no type that naq knows; did you mean `{near}`?");
        (near != name).then(|| Self::new(name, rule))
    }

    /// Several problems in one line.
    pub(super) fn join(problems: &[Self]) -> String {
        problems.iter().map(Self::to_string).collect::<Vec<_>>().join("; ")
    }

    /// `Ok` for no problems, else one error that names them all.
    pub(super) fn into_result(problems: &[Self], operation: &'static str) -> Result<()> {
        if problems.is_empty() {
            return Ok(());
        }
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        Err(Error::new(ErrorKind::Config, operation, Self::join(problems))
            .with("key", keys.join(", "))
            .with_hint("docs/configuration.md lists every key with its default, unit and range"))
    }

    /// The same problem of a key one level further in.
    pub(super) fn inside(mut self, section: &str) -> Self {
        self.key = if self.key.is_empty() {
            section.to_owned()
        } else {
            format!("{section}.{}", self.key)
        };
        self
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.key, self.rule)
    }
}

/// How alike two names have to be for one to be a hint against the other.
const NEAR: f64 = 0.6;

/// How alike they are where one may well be meant as it stands.
const ALIKE: f64 = 0.8;

fn or_nearest<N: AsRef<str>>(rule: &str, key: &str, known: impl Iterator<Item = N>) -> String {
    match nearest(key, known, NEAR) {
        Some(name) => format!("{rule}; did you mean `{}`?", name.as_ref()),
        None => rule.to_owned(),
    }
}

/// Which of the known names is most like a key, where one is so much like it.
fn nearest<N: AsRef<str>>(key: &str, known: impl Iterator<Item = N>, least: f64) -> Option<N> {
    // All variables begin alike: that they do must not make strangers alike.
    let bare = |name: &str| name.strip_prefix("NAQ_").unwrap_or(name).to_ascii_lowercase();
    let key = bare(key);
    known
        .map(|name| (strsim::normalized_damerau_levenshtein(&key, &bare(name.as_ref())), name))
        .filter(|(likeness, _)| *likeness > least)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

impl From<&ConfigProblem> for Error {
    fn from(problem: &ConfigProblem) -> Self {
        Self::new(ErrorKind::Config, "config", problem.to_string()).with("key", &problem.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_told_the_nearest_known_one() {
        let known = ["flush_interval", "buffer_size"];
        let problem = ConfigProblem::unknown("flush_intervall", known.into_iter());
        assert_eq!(
            problem.to_string(),
            "`flush_intervall` is not a known key; did you mean `flush_interval`?"
        );
        for stranger in ["zzz", "NAQ_ZZZ"] {
            let known = ["flush_interval", "NAQ_NATS_URL"].into_iter();
            assert_eq!(ConfigProblem::unknown(stranger, known).rule, "is not a known key");
        }
    }
}
