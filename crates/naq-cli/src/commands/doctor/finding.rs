//! One line of the diagnosis.

use serde::Serialize;

/// How it stands. Ordered: the greater, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// It works, and could be better.
    Warn,
    /// It doesn't work.
    Fail,
}

/// What one check found.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    /// What was checked.
    pub(super) check: &'static str,
    /// How it stands.
    pub(super) state: State,
    /// What was found.
    pub(super) found: String,
    /// What to do about it; null where there is nothing to do.
    pub(super) advice: Option<String>,
}

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    /// All is well.
    pub(super) fn ok(&mut self, check: &'static str, found: impl Into<String>) {
        self.0.push(Finding { check, state: State::Ok, found: found.into(), advice: None });
    }

    /// It works, and could be better.
    pub(super) fn warn(
        &mut self,
        check: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let advice = Some(advice.into());
        self.0.push(Finding { check, state: State::Warn, found: found.into(), advice });
    }

    /// It doesn't work.
    pub(super) fn fail(
        &mut self,
        check: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let advice = Some(advice.into());
        self.0.push(Finding { check, state: State::Fail, found: found.into(), advice });
    }

    /// Whether there is nothing yet.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether anything doesn't work.
    pub(super) fn has_failed(&self) -> bool {
        self.0.iter().any(|finding| finding.state == State::Fail)
    }

    /// All of them, in order.
    pub(super) fn into_inner(self) -> Vec<Finding> {
        self.0
    }
}
