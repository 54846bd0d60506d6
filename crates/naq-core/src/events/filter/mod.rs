//! Which events are meant: conditions on fields, from JSON or built in code.
//!
//! - `expr`: the expression and its evaluation
//! - `path`: how a condition finds its field
//! - `value`: how values compare
//! - `dictionary`: the JSON form
//! - `builder`: the typed form
//! - `subjects`: what of it the server can do

mod builder;
mod dictionary;
mod expr;
mod number;
mod path;
mod subjects;
mod value;

pub use builder::FieldFilter;

use expr::{Expr, Op, Test};
use path::FieldPath;

use super::Event;
use crate::{Error, Result};

/// The operation that refusals name.
const FILTER: &str = "filter";

/// How many conditions a filter may have.
const MAX_CONDITIONS: usize = 64;

/// Which events are meant; the empty one means all.
///
/// A filter is a set of conditions that must all hold: equality, a least and a
/// greatest value, a regular expression. A condition names a known field, or a
/// custom one; dots go into custom objects (`order.customer.id`; a custom
/// field whose name is that whole text comes first).
///
/// - A missing field, or one that is `null`, never matches.
/// - Numbers compare as numbers, whole ones exactly.
/// - `timestamp` compares as a time, and so does a custom string that is an
///   RFC 3339 time, with any offset. Every other string, and every known text
///   field, compares byte for byte.
/// - Different types don't match.
/// - A regular expression (syntax of the `regex` crate, unanchored) searches
///   the value's text: of a string itself, of everything else its JSON.
///
/// Two forms make the same filter, the dictionary and the builder:
///
/// ```
/// use naq_core::events::{Event, Filter};
/// use serde_json::json;
///
/// let slow = Filter::from_json(&json!({"type": "job_completed", "duration": {"min": 2.5}}))?;
/// let same = Filter::new().event_type("job_completed").field("duration").at_least(2.5);
/// assert_eq!(slow, same);
/// assert!(slow.matches(&Event::job_completed("job-1", 3.0, true)));
/// assert!(!slow.matches(&Event::job_completed("job-1", 2.0, true)));
/// # Ok::<(), naq_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Filter {
    expr: Expr,
    // The builder has no `?` after each condition; the first fault waits here.
    fault: Option<Error>,
}

impl Filter {
    /// The filter that every event passes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every event passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fault.is_none() && self.expr.is_always()
    }

    /// Whether an event passes. A filter that is [wrong](Self::validate) passes none.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        self.fault.is_none() && self.expr.matches(event)
    }

    /// Tells what is wrong with what the builder was given.
    ///
    /// # Errors
    /// `InvalidArgument` that points at the condition (`duration.min`): a
    /// value that is no string, number or truth value; a time that is none; a
    /// least value above the greatest; a pattern that doesn't compile, is
    /// longer than 1 KiB, or compiles to more than 1 MiB; a string over 4 KiB;
    /// a field name that is empty or over 256 bytes; more than 64 conditions.
    pub fn validate(&self) -> Result<()> {
        match &self.fault {
            Some(fault) => Err(fault.clone()),
            None => Ok(()),
        }
    }

    /// Adds a condition, or puts it in the place of one of the same kind on the same field.
    fn insert(&mut self, path: &FieldPath, op: Op) -> Result<()> {
        let tests = self.expr.tests_mut();
        let same = |test: &Test| test.path == *path && test.op.name() == op.name();
        match tests.iter().position(same) {
            Some(index) => tests[index].op = op,
            None if tests.len() == MAX_CONDITIONS => {
                return Err(Error::invalid(
                    FILTER,
                    path.as_str(),
                    "must not be more than 64 conditions in all",
                ));
            }
            None => tests.push(Test { path: path.clone(), op }),
        }
        self.check_range(path)
    }

    /// A least value above the greatest would match nothing, in silence.
    fn check_range(&self, path: &FieldPath) -> Result<()> {
        let find = |name| {
            self.expr.tests().iter().find(|test| test.path == *path && test.op.name() == name)
        };
        let (Some(min), Some(max)) = (find("min"), find("max")) else { return Ok(()) };
        let (Some(min), Some(max)) = (min.op.literal(), max.op.literal()) else { return Ok(()) };
        let rule = match min.compare_literal(max) {
            Some(std::cmp::Ordering::Greater) => "must not be above `max`",
            None => "must be of the same type as `max`",
            Some(_) => return Ok(()),
        };
        Err(Error::invalid(FILTER, format!("{path}.min"), rule)
            .with("min", min.to_json().to_string())
            .with("max", max.to_json().to_string()))
    }
}

impl PartialEq for Filter {
    /// Equal are filters of the same conditions in the same order; a wrong one equals none.
    fn eq(&self, other: &Self) -> bool {
        self.fault.is_none() && other.fault.is_none() && self.expr == other.expr
    }
}

#[cfg(test)]
mod tests;
