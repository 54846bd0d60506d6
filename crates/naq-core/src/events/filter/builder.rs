//! The typed form: `Filter::new().event_type("job_failed").field("duration").at_least(2.5)`.

use serde_json::Value;

use super::dictionary::op;
use super::path::FieldPath;
use super::{FILTER, Filter};
use crate::events::EventType;
use crate::{Error, Timestamp};

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

    /// The field is this value or a greater one.
    pub fn at_least(self, value: impl Into<Value>) -> Filter {
        self.add("min", &value.into())
    }

    /// The field is this value or a smaller one.
    pub fn at_most(self, value: impl Into<Value>) -> Filter {
        self.add("max", &value.into())
    }

    /// The regular expression is found in the field's text.
    pub fn matches(self, pattern: &str) -> Filter {
        self.add("regex", &Value::from(pattern))
    }

    fn add(self, form: &str, value: &Value) -> Filter {
        let Self { mut filter, path } = self;
        let added = FieldPath::new(&path)
            .map_err(|rule| Error::invalid(FILTER, path, rule))
            .and_then(|path| {
                let op = op(&path, form, value)?;
                filter.insert(&path, op)
            });
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
