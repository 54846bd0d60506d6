//! What of a filter the server can do: choose by subject.

use super::Filter;
use super::expr::Op;
use super::value::Literal;
use crate::events::EventSubjects;
use crate::events::wire::fields::Field;
use crate::token;

impl Filter {
    /// The subjects that hold every event which can pass; never empty, never overlapping.
    ///
    /// An equality on `type` gives `<root>.<type>` and `<root>.<type>.>`, one on
    /// `job_id` `<root>.*.<id>`, both together one subject. One on `worker_id`
    /// or `schedule_id` gives none, because a job's events name them under the
    /// job's token. What a subject lets through has still to be
    /// [checked](Self::matches).
    #[must_use]
    pub fn subject_filters(&self, subjects: &EventSubjects) -> Vec<String> {
        let event_type = self.equality(Field::Type).filter(|name| token::check_type(name).is_ok());
        let job = self.equality(Field::JobId).filter(|id| token::check_id("job_id", id).is_ok());
        match (event_type, job) {
            (Some(event_type), Some(id)) => subjects.of_type_and_entity(event_type, id),
            (Some(event_type), None) => subjects.of_type(event_type),
            (None, Some(id)) => vec![subjects.of_entity(id)],
            (None, None) => vec![subjects.all()],
        }
    }

    fn equality(&self, field: Field) -> Option<&str> {
        self.expr.tests().iter().filter(|test| test.path.known() == Some(field)).find_map(|test| {
            match &test.op {
                Op::Equals(Literal::Text(text)) => Some(text.as_str()),
                _ => None,
            }
        })
    }
}
