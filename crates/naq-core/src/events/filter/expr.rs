//! The expression that a filter is, and its evaluation.

use std::cmp::Ordering;

use serde_json::Value;

use super::path::{self, FieldPath};
use super::pattern::Pattern;
use super::value::{Literal, Operand};
use crate::Timestamp;
use crate::events::Event;

/// An expression over an event.
///
/// Made by [`all`](Self::all), [`any`](Self::any) and [`not`](Self::not) it
/// has one form for one meaning of its parts: no conjunction stands directly
/// in a conjunction, no alternative in an alternative, and neither has one
/// member alone.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    /// All of them hold; of none, that is always so.
    All(Vec<Expr>),
    /// At least one of them holds; of none, that is never so.
    Any(Vec<Expr>),
    Not(Box<Expr>),
    Test(Test),
    /// Stored at or after this time.
    Since(Timestamp),
    /// Stored before this time.
    Until(Timestamp),
}

impl Expr {
    pub(super) const ALWAYS: Self = Self::All(Vec::new());
    pub(super) const NEVER: Self = Self::Any(Vec::new());

    pub(super) fn all(members: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(members.len());
        for member in members {
            match member {
                Self::All(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        alone(flat).unwrap_or_else(Self::All)
    }

    pub(super) fn any(members: Vec<Self>) -> Self {
        if members.contains(&Self::ALWAYS) {
            return Self::ALWAYS;
        }
        let mut flat = Vec::with_capacity(members.len());
        for member in members {
            match member {
                Self::Any(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        alone(flat).unwrap_or_else(Self::Any)
    }

    /// What holds where `inner` doesn't.
    pub(super) fn not(inner: Self) -> Self {
        if inner == Self::ALWAYS {
            Self::NEVER
        } else if inner == Self::NEVER {
            Self::ALWAYS
        } else {
            Self::Not(Box::new(inner))
        }
    }

    /// The members of a conjunction, or the expression as the only one.
    pub(super) fn into_conjuncts(self) -> Vec<Self> {
        match self {
            Self::All(members) => members,
            other => vec![other],
        }
    }

    /// How many conditions it has.
    pub(super) fn conditions(&self) -> usize {
        match self {
            Self::All(members) | Self::Any(members) => members.iter().map(Self::conditions).sum(),
            Self::Not(inner) => inner.conditions(),
            Self::Test(_) | Self::Since(_) | Self::Until(_) => 1,
        }
    }

    /// How many `not` and parentheses stand around its innermost condition, as it is written.
    pub(super) fn depth(&self) -> usize {
        let deepest = |members: &[Self]| members.iter().map(Self::depth).max().unwrap_or(0);
        match self {
            Self::All(members) => {
                let parenthesised = |member: &Self| member.depth() + usize::from(member.is_any());
                members.iter().map(parenthesised).max().unwrap_or(0)
            }
            Self::Any(members) => deepest(members),
            Self::Not(inner) => 1 + inner.depth() + usize::from(inner.is_any() || inner.is_all()),
            Self::Test(_) | Self::Since(_) | Self::Until(_) => 0,
        }
    }

    /// Whether `since` or `until` stands in it.
    pub(super) fn asks_when_stored(&self) -> bool {
        match self {
            Self::All(members) | Self::Any(members) => members.iter().any(Self::asks_when_stored),
            Self::Not(inner) => inner.asks_when_stored(),
            Self::Since(_) | Self::Until(_) => true,
            Self::Test(_) => false,
        }
    }

    /// See [`Filter::is_decided_by_beginning`](super::Filter::is_decided_by_beginning).
    pub(super) fn is_decided_by_beginning(&self, field: &str, bytes: usize) -> bool {
        let is_decided = |member: &Self| member.is_decided_by_beginning(field, bytes);
        match self {
            Self::All(members) | Self::Any(members) => members.iter().all(is_decided),
            Self::Not(inner) => is_decided(inner),
            Self::Test(test) => {
                test.path.as_str() != field || test.op.is_decided_by_beginning(bytes)
            }
            Self::Since(_) | Self::Until(_) => true,
        }
    }

    /// Shows each field that a condition names.
    pub(super) fn visit_fields<'a>(&'a self, visit: &mut impl FnMut(&'a str)) {
        match self {
            Self::All(members) | Self::Any(members) => {
                members.iter().for_each(|member| member.visit_fields(visit));
            }
            Self::Not(inner) => inner.visit_fields(visit),
            Self::Test(test) => visit(test.path.as_str()),
            Self::Since(_) | Self::Until(_) => {}
        }
    }

    /// Whether it is an alternative of several.
    pub(super) fn is_any(&self) -> bool {
        matches!(self, Self::Any(members) if !members.is_empty())
    }

    /// Whether it is a conjunction of several.
    pub(super) fn is_all(&self) -> bool {
        matches!(self, Self::All(members) if !members.is_empty())
    }

    pub(super) fn holds(&self, event: &Event, stored_at: Option<Timestamp>) -> bool {
        match self {
            Self::All(members) => members.iter().all(|member| member.holds(event, stored_at)),
            Self::Any(members) => members.iter().any(|member| member.holds(event, stored_at)),
            Self::Not(inner) => !inner.holds(event, stored_at),
            Self::Test(test) => test.holds(event),
            Self::Since(time) => stored_at.is_some_and(|stored| stored >= *time),
            Self::Until(time) => stored_at.is_some_and(|stored| stored < *time),
        }
    }
}

/// The only member of a list, or the list.
fn alone(mut members: Vec<Expr>) -> Result<Expr, Vec<Expr>> {
    match members.pop() {
        Some(only) if members.is_empty() => Ok(only),
        Some(last) => {
            members.push(last);
            Err(members)
        }
        None => Err(members),
    }
}

/// One condition on one field.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Test {
    pub(super) path: FieldPath,
    /// Whether it holds where the field is there and the comparison doesn't hold.
    pub(super) is_negated: bool,
    pub(super) op: Op,
}

impl Test {
    pub(super) fn new(path: FieldPath, op: Op) -> Self {
        Self { path, is_negated: false, op }
    }

    fn holds(&self, event: &Event) -> bool {
        self.path.resolve(event).is_some_and(|value| self.holds_of(&value))
    }

    /// Whether it holds where the field has this value.
    pub(super) fn holds_of(&self, value: &Operand<'_>) -> bool {
        self.op.holds(value) != self.is_negated
    }
}

/// What must hold of a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Op {
    Equals(Literal),
    AtLeast(Literal),
    AtMost(Literal),
    Above(Literal),
    Below(Literal),
    In(Vec<Literal>),
    Matches(Pattern),
    Contains(Literal),
    Exists,
}

impl Op {
    /// Whether it says the same of all texts of more than so many bytes that
    /// begin with the same ones.
    fn is_decided_by_beginning(&self, bytes: usize) -> bool {
        let is_short = |literal: &Literal| match literal {
            Literal::Text(text) => text.len() <= bytes,
            _ => true,
        };
        match self {
            Self::Matches(_) | Self::Contains(_) => false,
            Self::In(literals) => literals.iter().all(is_short),
            op => op.literal().is_none_or(is_short),
        }
    }

    pub(super) fn literal(&self) -> Option<&Literal> {
        match self {
            Self::Equals(literal)
            | Self::AtLeast(literal)
            | Self::AtMost(literal)
            | Self::Above(literal)
            | Self::Below(literal)
            | Self::Contains(literal) => Some(literal),
            Self::In(_) | Self::Matches(_) | Self::Exists => None,
        }
    }

    fn holds(&self, value: &Operand<'_>) -> bool {
        let equals = |literal: &Literal| value.compare(literal) == Some(Ordering::Equal);
        match self {
            Self::Equals(literal) => equals(literal),
            Self::AtLeast(literal) => value.compare(literal).is_some_and(Ordering::is_ge),
            Self::AtMost(literal) => value.compare(literal).is_some_and(Ordering::is_le),
            Self::Above(literal) => value.compare(literal).is_some_and(Ordering::is_gt),
            Self::Below(literal) => value.compare(literal).is_some_and(Ordering::is_lt),
            Self::In(literals) => literals.iter().any(equals),
            Self::Matches(pattern) => pattern.is_match(&value.text()),
            Self::Contains(literal) => contains(value, literal),
            Self::Exists => true,
        }
    }
}

/// A part of a text, or one of a list's values.
fn contains(value: &Operand<'_>, literal: &Literal) -> bool {
    match value {
        Operand::Text(text) => literal.text().is_some_and(|part| text.contains(part)),
        Operand::CustomText(text) => literal.text().is_some_and(|part| text.contains(part)),
        Operand::Compound(Value::Array(values)) => values
            .iter()
            .filter_map(path::operand)
            .any(|value| value.compare(literal) == Some(Ordering::Equal)),
        _ => false,
    }
}
