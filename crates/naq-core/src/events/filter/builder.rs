//! The typed form: `Filter::new().event_type("job_failed").field("duration").at_least(2.5)`.

use serde_json::Value;

use super::dictionary::test;
use super::expr::{Expr, Test};
use super::path::FieldPath;
use super::{FILTER, Filter};
use crate::events::EventType;
use crate::{Error, Result, Timestamp};

impl Filter {
    /// Only events of this type.
    #[must_use]
    pub fn event_type(self, event_type: impl Into<EventType>) -> Self {
        let event_type = event_type.into();
        self.field("type").equals(event_type.as_str())
    }

    /// Only events that name this job.
    #[must_use]
    pub fn job(self, id: &str) -> Self {
        self.field("job_id").equals(id)
    }

    /// Only events that name this worker.
    #[must_use]
    pub fn worker(self, id: &str) -> Self {
        self.field("worker_id").equals(id)
    }

    /// Only events that name this schedule.
    #[must_use]
    pub fn schedule(self, id: &str) -> Self {
        self.field("schedule_id").equals(id)
    }

    /// Only events that name this queue.
    #[must_use]
    pub fn queue(self, queue: &str) -> Self {
        self.field("queue").equals(queue)
    }

    /// Only events of this kind of job.
    #[must_use]
    pub fn job_name(self, name: &str) -> Self {
        self.field("job_name").equals(name)
    }

    /// Begins a condition on a field, known or custom, with dots into custom objects.
    pub fn field(self, path: impl Into<String>) -> FieldFilter {
        FieldFilter { filter: self, path: path.into() }
    }

    /// Only events that the server stored at or after this time, to the microsecond.
    #[must_use]
    pub fn stored_since(self, time: Timestamp) -> Self {
        self.and_expr(Expr::Since(time.truncated_to_micros()))
    }

    /// Only events that the server stored before this time, to the microsecond.
    #[must_use]
    pub fn stored_until(self, time: Timestamp) -> Self {
        self.and_expr(Expr::Until(time.truncated_to_micros()))
    }

    /// What passes both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.combine(other, |a, b| Expr::all(vec![a, b]))
    }

    /// What passes at least one of the two.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.combine(other, |a, b| Expr::any(vec![a, b]))
    }

    /// What doesn't pass this one: an event without the field too.
    #[must_use]
    pub fn negated(self) -> Self {
        self.checked(|filter| Self::from_expr(Expr::not(filter.to_expr())))
    }

    fn and_expr(self, expr: Expr) -> Self {
        self.checked(|filter| Self::from_expr(Expr::all(vec![filter.to_expr(), expr])))
    }

    fn combine(self, other: Self, combined: impl FnOnce(Expr, Expr) -> Expr) -> Self {
        let Self { all, fault } = other;
        self.checked(|filter| match fault {
            Some(fault) => Err(fault),
            None => Self::from_expr(combined(filter.to_expr(), Expr::all(all))),
        })
    }

    /// Changes what is right, and keeps the first fault.
    fn checked(self, change: impl FnOnce(&Self) -> Result<Self>) -> Self {
        if self.fault.is_some() {
            return self;
        }
        match change(&self) {
            Ok(changed) => changed,
            Err(fault) => Self { fault: Some(fault), ..self },
        }
    }
}

/// A condition in the making, see [`Filter::field`].
///
/// Said again of the same field, a condition replaces the one of its kind.
/// What is wrong is told by [`Filter::validate`].
#[derive(Debug, Clone)]
#[must_use = "a field without a condition is no condition"]
pub struct FieldFilter {
    filter: Filter,
    path: String,
}

impl FieldFilter {
    /// The field is this value.
    pub fn equals(self, value: impl Into<Value>) -> Filter {
        self.add("eq", &value.into())
    }

    /// The field is there, and not this value.
    pub fn not_equals(self, value: impl Into<Value>) -> Filter {
        self.add("ne", &value.into())
    }

    /// The field is this value or a greater one.
    pub fn at_least(self, value: impl Into<Value>) -> Filter {
        self.add("min", &value.into())
    }

    /// The field is this value or a smaller one.
    pub fn at_most(self, value: impl Into<Value>) -> Filter {
        self.add("max", &value.into())
    }

    /// The field is a greater value.
    pub fn above(self, value: impl Into<Value>) -> Filter {
        self.add("above", &value.into())
    }

    /// The field is a smaller value.
    pub fn below(self, value: impl Into<Value>) -> Filter {
        self.add("below", &value.into())
    }

    /// The field is one of these values; at least 1, at most 1,024.
    pub fn one_of<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Filter {
        self.add("in", &values.into_iter().map(Into::into).collect())
    }

    /// The field is there, and none of these values; at least 1, at most 1,024.
    pub fn none_of<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Filter {
        self.add("not_in", &values.into_iter().map(Into::into).collect())
    }

    /// The regular expression is found in the field's text.
    pub fn matches(self, pattern: &str) -> Filter {
        self.add("regex", &Value::from(pattern))
    }

    /// The field is there, and the regular expression isn't found in its text.
    pub fn not_matches(self, pattern: &str) -> Filter {
        self.add("not_regex", &Value::from(pattern))
    }

    /// The field is a text that holds this one, or a list that holds this value.
    pub fn contains(self, value: impl Into<Value>) -> Filter {
        self.add("contains", &value.into())
    }

    /// The field is there, and no text that holds this one, nor a list that holds this value.
    pub fn not_contains(self, value: impl Into<Value>) -> Filter {
        self.add("not_contains", &value.into())
    }

    /// The field is there, and isn't `null`.
    pub fn exists(self) -> Filter {
        self.add("exists", &Value::Bool(true))
    }

    fn add(self, form: &str, value: &Value) -> Filter {
        let Self { mut filter, path } = self;
        let added = FieldPath::new(&path)
            .map_err(|rule| Error::invalid(FILTER, path, rule))
            .and_then(|path| test(&path, form, value))
            .and_then(|test: Test| filter.insert(test));
        if let Err(fault) = added {
            filter.fault.get_or_insert(fault);
        }
        filter
    }
}

impl From<Timestamp> for Value {
    /// The time as RFC 3339 text, so that a filter takes it as it is.
    fn from(time: Timestamp) -> Self {
        Self::from(time.to_string())
    }
}
