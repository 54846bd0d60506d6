//! What is wrong with a text, and where.

use std::borrow::Cow;

use winnow::LocatingSlice;
use winnow::error::ParserError;
use winnow::stream::Location;

use super::super::FILTER;
use super::grammar::Input;
use crate::Error;

/// Why a text is not of the filter language.
///
/// ```
/// use naq_core::events::{Filter, FilterSyntaxError};
///
/// let error = Filter::parse("type = job_failed or or success = false").unwrap_err();
/// let syntax = error.source_as::<FilterSyntaxError>().unwrap();
/// assert_eq!(syntax.offset(), 21);
/// assert!(syntax.excerpt().ends_with("\n                     ^"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} (at character {})", self.character())]
pub struct FilterSyntaxError {
    text: String,
    offset: usize,
    what: String,
}

impl FilterSyntaxError {
    /// How much of a line is shown around the place, in characters.
    const MOST_SHOWN: usize = 60;

    pub(super) fn new(text: &str, fault: Fault) -> Self {
        let boundary = |at: &usize| text.is_char_boundary(*at);
        let offset = (0..=fault.at.min(text.len())).rev().find(boundary).unwrap_or(0);
        let what = match fault.rule {
            Rule::Broken(rule) => rule.into_owned(),
            Rule::Expected(expected) => {
                let found = match fault.found {
                    Some(found) => format!("`{found}`"),
                    None => "the end".to_owned(),
                };
                format!("expected {expected}, found {found}")
            }
        };
        Self { text: text.to_owned(), offset, what }
    }

    /// The byte at which it is wrong: at most the length of the text, where
    /// something is missing at its end.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The same in characters, from 1.
    #[must_use]
    pub fn character(&self) -> usize {
        self.text[..self.offset].chars().count() + 1
    }

    /// What was expected there, or which rule is broken.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The line of the text in question, as much of it as there is room for,
    /// and a second one with a caret below the place. Tabs and other control
    /// characters are shown as spaces.
    #[must_use]
    pub fn excerpt(&self) -> String {
        let (before, behind) = self.text.split_at(self.offset);
        let before = before.rsplit('\n').next().unwrap_or_default();
        let behind = behind.split('\n').next().unwrap_or_default();
        let shown = |c: char| if c.is_control() { ' ' } else { c };
        let length = before.chars().count();
        let skipped = length.saturating_sub(Self::MOST_SHOWN);
        let mut line = String::new();
        if skipped > 0 {
            line.push('…');
        }
        line.extend(before.chars().skip(skipped).map(shown));
        let column = line.chars().count();
        line.extend(behind.chars().take(Self::MOST_SHOWN).map(shown));
        if behind.chars().count() > Self::MOST_SHOWN {
            line.push('…');
        }
        format!("{line}\n{:column$}^", "")
    }
}

impl From<FilterSyntaxError> for Error {
    fn from(syntax: FilterSyntaxError) -> Self {
        Self::invalid(FILTER, FILTER, syntax.to_string())
            .with("offset", syntax.offset.to_string())
            .with_source(syntax)
    }
}

/// What stopped the parser.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    at: usize,
    found: Option<String>,
    rule: Rule,
    /// Whether another way of reading the same may still be tried.
    may_backtrack: bool,
}

#[derive(Debug, Clone)]
enum Rule {
    /// Something else was expected.
    Expected(Cow<'static, str>),
    /// It is understood, and not allowed.
    Broken(Cow<'static, str>),
}

impl Fault {
    /// How much of what was found is told, in characters.
    const MOST_TOLD: usize = 24;

    /// What is understood breaks a rule.
    pub(super) fn rule(at: usize, rule: impl Into<Cow<'static, str>>) -> Self {
        Self { at, found: None, rule: Rule::Broken(rule.into()), may_backtrack: false }
    }

    /// Something else was expected than what was found; nothing found is the end.
    pub(super) fn expected(
        at: usize,
        expected: impl Into<Cow<'static, str>>,
        found: Option<&str>,
    ) -> Self {
        let told = |found: &str| {
            let mut told: String = found.chars().take(Self::MOST_TOLD).collect();
            if told.len() < found.len() {
                told.push('…');
            }
            told
        };
        Self {
            at,
            found: found.map(told),
            rule: Rule::Expected(expected.into()),
            may_backtrack: false,
        }
    }

    fn backtrack(at: usize) -> Self {
        Self { at, found: None, rule: Rule::Expected("something else".into()), may_backtrack: true }
    }
}

impl ParserError<LocatingSlice<&str>> for Fault {
    type Inner = Self;

    fn from_input(input: &LocatingSlice<&str>) -> Self {
        Self::backtrack(input.current_token_start())
    }

    fn is_backtrack(&self) -> bool {
        self.may_backtrack
    }

    fn into_inner(self) -> Result<Self, Self> {
        Ok(self)
    }
}

impl ParserError<Input<'_>> for Fault {
    type Inner = Self;

    fn from_input(input: &Input<'_>) -> Self {
        Self::backtrack(super::grammar::place(input))
    }

    fn is_backtrack(&self) -> bool {
        self.may_backtrack
    }

    fn into_inner(self) -> Result<Self, Self> {
        Ok(self)
    }
}
