//! The expression that a filter is, and its evaluation.

use std::cmp::Ordering;

use regex::{Regex, RegexBuilder};

use super::path::FieldPath;
use super::value::{Literal, Operand};
use crate::events::Event;

/// An expression over an event.
///
/// All that the dictionary form can say is a conjunction of tests.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Expr {
    all: Vec<Test>,
}

impl Expr {
    pub(super) fn is_always(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn matches(&self, event: &Event) -> bool {
        self.all.iter().all(|test| test.matches(event))
    }

    pub(super) fn tests(&self) -> &[Test] {
        &self.all
    }

    pub(super) fn tests_mut(&mut self) -> &mut Vec<Test> {
        &mut self.all
    }
}

/// One condition on one field.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Test {
    pub(super) path: FieldPath,
    pub(super) op: Op,
}

impl Test {
    fn matches(&self, event: &Event) -> bool {
        self.path.resolve(event).is_some_and(|value| self.op.holds(&value))
    }
}

/// What must hold of a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Op {
    Equals(Literal),
    AtLeast(Literal),
    AtMost(Literal),
    Matches(Pattern),
}

impl Op {
    /// The key in the dictionary form.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Equals(_) => "eq",
            Self::AtLeast(_) => "min",
            Self::AtMost(_) => "max",
            Self::Matches(_) => "regex",
        }
    }

    pub(super) fn literal(&self) -> Option<&Literal> {
        match self {
            Self::Equals(literal) | Self::AtLeast(literal) | Self::AtMost(literal) => Some(literal),
            Self::Matches(_) => None,
        }
    }

    fn holds(&self, value: &Operand<'_>) -> bool {
        match self {
            Self::Equals(literal) => value.compare(literal) == Some(Ordering::Equal),
            Self::AtLeast(literal) => value.compare(literal).is_some_and(Ordering::is_ge),
            Self::AtMost(literal) => value.compare(literal).is_some_and(Ordering::is_le),
            Self::Matches(pattern) => pattern.regex.is_match(&value.text()),
        }
    }
}

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    regex: Regex,
}

impl Pattern {
    /// How long a pattern may be, in bytes.
    const MAX_BYTES: usize = 1024;

    /// How large it may become when compiled, in bytes.
    const MAX_COMPILED: usize = 1 << 20;

    /// Compiles a pattern, or says what is wrong with it.
    pub(super) fn new(source: &str) -> Result<Self, String> {
        if source.len() > Self::MAX_BYTES {
            return Err("must be at most 1024 bytes long".to_owned());
        }
        RegexBuilder::new(source)
            .size_limit(Self::MAX_COMPILED)
            .dfa_size_limit(Self::MAX_COMPILED)
            .build()
            .map(|regex| Self { regex })
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(limit) => {
                    format!("must not compile to more than {limit} bytes")
                }
                other => format!("must be a regular expression: {other}"),
            })
    }

    pub(super) fn source(&self) -> &str {
        self.regex.as_str()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source()
    }
}
