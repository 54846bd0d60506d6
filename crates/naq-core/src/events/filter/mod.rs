//! Which events are meant: an expression over fields, in three forms.
//!
//! - `expr`: the expression and its evaluation
//! - `path`: how a condition finds its field
//! - `field_type`: what the values of a field are
//! - `value`, `number`, `pattern`: what values are compared with, and how
//! - `language`: the text form, read and written
//! - `dictionary`: the JSON form
//! - `builder`: the typed form
//! - `plan`: what of it the server can do
//! - `lookup`: what of it an index can do

mod builder;
mod dictionary;
mod expr;
mod field_type;
mod language;
mod lookup;
mod number;
mod path;
mod pattern;
mod plan;
mod value;

pub use builder::FieldFilter;
pub use language::FilterSyntaxError;
pub use lookup::{FieldLookup, FilterLookup, IndexField, IndexKey};
pub use plan::FilterPlan;

use std::cmp::Ordering;
use std::collections::BTreeSet;

use expr::{Expr, Test};

use super::{Event, RecordedEvent};
use crate::{Error, Result, Timestamp};

/// The operation that refusals name.
const FILTER: &str = "filter";

/// How many conditions a filter may have.
const MAX_CONDITIONS: usize = 64;

/// How deep `not` and parentheses may stand in one another.
const MAX_DEPTH: usize = 64;

/// How many values one `in` may have.
const MAX_VALUES: usize = 1024;

/// Which events are meant; the empty one means all.
///
/// A filter is an expression of conditions: comparisons, a list of values, a
/// regular expression, a part of a text or a list, the presence of a field,
/// the time of storing; all or any of them must hold, or not. A condition
/// names a known field, or a custom one; dots go into custom objects
/// (`order.customer.id`; a name that is the whole rest of the text comes first).
///
/// - A missing field, or one that is `null`, never matches: neither `queue =
///   "x"` nor `queue != "x"`. `not queue = "x"` is what doesn't match
///   `queue = "x"`, so it lets an event without a queue through.
/// - Numbers compare as numbers, whole ones exactly.
/// - `timestamp` compares as a time, and so does a custom string that is an
///   RFC 3339 time, with any offset. Every other string, and every known text
///   field, compares byte for byte.
/// - Different types don't match, and are unequal. A known field is compared
///   with values of its own type alone; another one is refused.
/// - A regular expression (syntax of the `regex` crate, unanchored) searches
///   the value's text: of a string itself, of everything else its JSON.
/// - `since` and `until` go by when the server stored the event, and hold of
///   no event that isn't known to be stored.
///
/// Three forms make the same filter: the language ([`parse`](Self::parse)),
/// the dictionary ([`from_json`](Self::from_json)) and the builder.
///
/// ```
/// use naq_core::events::{Event, Filter};
/// use serde_json::json;
///
/// let slow = Filter::parse("type = job_completed and duration >= 2.5s")?;
/// let same = Filter::from_json(&json!({"type": "job_completed", "duration": {"min": 2.5}}))?;
/// let built = Filter::new().event_type("job_completed").field("duration").at_least(2.5);
/// assert_eq!(slow, same);
/// assert_eq!(slow, built);
/// assert!(slow.matches(&Event::job_completed("job-1", 3.0, true)));
/// assert!(!slow.matches(&Event::job_completed("job-1", 2.0, true)));
/// # Ok::<(), naq_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Filter {
    // All must hold; none of them is a conjunction.
    all: Vec<Expr>,
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
        self.fault.is_none() && self.all.is_empty()
    }

    /// Whether an event passes that isn't stored, or of which nobody knows
    /// when it was. A filter that is [wrong](Self::validate) passes none.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        self.holds(event, None)
    }

    /// Whether a stored event passes. A filter that is [wrong](Self::validate) passes none.
    #[must_use]
    pub fn matches_recorded(&self, recorded: &RecordedEvent) -> bool {
        self.holds(&recorded.event, Some(recorded.stored_at))
    }

    fn holds(&self, event: &Event, stored_at: Option<Timestamp>) -> bool {
        self.fault.is_none() && self.all.iter().all(|member| member.holds(event, stored_at))
    }

    /// Tells what is wrong with what the builder was given.
    ///
    /// # Errors
    /// `InvalidArgument` that points at the condition (`duration.min`): a
    /// value that the known field never has (`{"attempt": "3"}`), or that is no
    /// string, number or truth value; an order of truth values, a part of what
    /// is neither a text nor a list; a time that is none; a
    /// least value above the greatest; a pattern that doesn't compile, is
    /// longer than 1 KiB, or compiles to more than 1 MiB; a string over 4 KiB;
    /// a field name that is empty or over 256 bytes; more than 64 conditions,
    /// more than 1,024 values of one `in`, or `not` and parentheses more than
    /// 64 deep; an end of storing before its start.
    pub fn validate(&self) -> Result<()> {
        match &self.fault {
            Some(fault) => Err(fault.clone()),
            // Of the whole alone: what is built in between may be negated yet.
            None => self.check_stored(),
        }
    }

    /// The fields that its conditions name, each once.
    #[must_use]
    pub fn fields(&self) -> BTreeSet<&str> {
        let mut fields = BTreeSet::new();
        for member in &self.all {
            member.visit_fields(&mut |field| {
                fields.insert(field);
            });
        }
        fields
    }

    /// Whether what it asks of a field is the same of all texts of more than so
    /// many bytes that begin with the same ones: no end of a text is asked for.
    #[must_use]
    pub fn is_decided_by_beginning(&self, field: &str, bytes: usize) -> bool {
        self.all.iter().all(|member| member.is_decided_by_beginning(field, bytes))
    }

    /// Whether it says anything of the time of storing, wherever in it.
    #[must_use]
    pub fn asks_when_stored(&self) -> bool {
        self.all.iter().any(Expr::asks_when_stored)
    }

    /// A filter of an expression that keeps the bounds.
    fn from_expr(expr: Expr) -> Result<Self> {
        let filter = Self { all: expr.into_conjuncts(), fault: None };
        filter.check_bounds()?;
        Ok(filter)
    }

    fn to_expr(&self) -> Expr {
        Expr::all(self.all.clone())
    }

    fn check_bounds(&self) -> Result<()> {
        if self.all.iter().map(Expr::conditions).sum::<usize>() > MAX_CONDITIONS {
            return Err(Error::invalid(FILTER, FILTER, TOO_MANY));
        }
        if self.all.iter().any(|member| member.depth() > MAX_DEPTH) {
            return Err(Error::invalid(FILTER, FILTER, TOO_DEEP));
        }
        Ok(())
    }

    /// A time of storing that ends before it begins would match nothing, in silence.
    fn check_stored(&self) -> Result<()> {
        let (since, until) = self.stored_range();
        match (since, until) {
            (Some(since), Some(until)) if until < since => {
                Err(Error::invalid(FILTER, "until", "must not lie before `since`")
                    .with("since", since.to_string())
                    .with("until", until.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Adds a condition beside those on the same field, or puts it in the
    /// place of the one of the same kind.
    fn insert(&mut self, test: Test) -> Result<()> {
        let path = test.path.clone();
        let on_path = |member: &Expr| match member {
            Expr::Test(other) if other.path == path => Some(other.kind()),
            _ => None,
        };
        let same = Some(test.kind());
        if let Some(index) = self.all.iter().position(|member| on_path(member) == same) {
            self.all[index] = Expr::Test(test);
        } else {
            let behind = self.all.iter().rposition(|member| on_path(member).is_some());
            let place = behind.map_or(self.all.len(), |index| index + 1);
            self.all.insert(place, Expr::Test(test));
        }
        if self.all.iter().map(Expr::conditions).sum::<usize>() > MAX_CONDITIONS {
            return Err(Error::invalid(FILTER, path.as_str(), TOO_MANY));
        }
        check_range(&self.all, &path)
    }
}

/// A least value above the greatest would match nothing, in silence.
fn check_range(members: &[Expr], path: &path::FieldPath) -> Result<()> {
    let find = |kind| {
        members.iter().find_map(|member| match member {
            Expr::Test(test) if test.path == *path && test.kind() == kind => test.op.literal(),
            _ => None,
        })
    };
    let (Some(min), Some(max)) = (find("min"), find("max")) else { return Ok(()) };
    let rule = match min.compare_literal(max) {
        Some(Ordering::Greater) => "must not be above `max`",
        None => "must be of the same type as `max`",
        Some(_) => return Ok(()),
    };
    Err(Error::invalid(FILTER, format!("{path}.min"), rule)
        .with("min", min.to_json().to_string())
        .with("max", max.to_json().to_string()))
}

const TOO_MANY: &str = "must not be more than 64 conditions in all";
const TOO_DEEP: &str = "must not hold `not` and parentheses more than 64 deep";

impl PartialEq for Filter {
    /// Equal are filters of the same conditions in the same order; a wrong one equals none.
    fn eq(&self, other: &Self) -> bool {
        self.fault.is_none() && other.fault.is_none() && self.all == other.all
    }
}

#[cfg(test)]
mod tests;
