//! Which cells a filter means: one that is about what digests tell apart, and nothing else.

use std::collections::HashMap;

use naq_core::events::{Event, Filter};

use super::cell::{Key, Name, Outcome};
use super::digest::Digest;

/// The fields that a digest tells apart.
const FIELDS: [&str; 4] = ["type", "queue", "job_name", "success"];

/// A filter that can be asked of a cell.
#[derive(Debug, Clone)]
pub(crate) struct CellFilter {
    filter: Filter,
    needs_type: bool,
    needs_queue: bool,
    needs_job_name: bool,
}

impl CellFilter {
    /// The filter, if digests can answer it.
    pub(crate) fn of(filter: &Filter) -> Option<Self> {
        let fields = filter.fields();
        let is_about_cells =
            fields.iter().all(|field| FIELDS.contains(field)) && !filter.asks_when_stored();
        is_about_cells.then(|| Self {
            needs_type: fields.contains("type"),
            needs_queue: fields.contains("queue"),
            needs_job_name: fields.contains("job_name"),
            filter: filter.clone(),
        })
    }

    /// Whether a cell tells what the filter looks at.
    pub(crate) fn can_decide(&self, key: &Key) -> bool {
        [
            (self.needs_type, key.event_type),
            (self.needs_queue, key.queue),
            (self.needs_job_name, key.job_name),
        ]
        .into_iter()
        .all(|(needs, name)| !needs || name != Name::Dropped)
    }

    /// Asks it of the cells of a digest.
    pub(crate) fn for_digest<'a>(&'a self, digest: &'a Digest) -> CellChoice<'a> {
        CellChoice { filter: &self.filter, digest, known: HashMap::new() }
    }
}

/// A filter on the cells of one digest; cells that agree in all but their minute are asked once.
#[derive(Debug)]
pub(crate) struct CellChoice<'a> {
    filter: &'a Filter,
    digest: &'a Digest,
    known: HashMap<(Name, Name, Name, Outcome), bool>,
}

impl CellChoice<'_> {
    /// Whether the events of a cell pass.
    pub(crate) fn passes(&mut self, key: &Key) -> bool {
        if self.filter.is_empty() {
            return true;
        }
        let Key { event_type, queue, job_name, outcome, .. } = *key;
        let (filter, digest) = (self.filter, self.digest);
        *self.known.entry((event_type, queue, job_name, outcome)).or_insert_with(|| {
            let mut event = Event::new(digest.name(event_type).unwrap_or_default());
            event.queue = digest.name(queue).map(Into::into);
            event.job_name = digest.name(job_name).map(Into::into);
            event.success = outcome.success();
            filter.matches(&event)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cells_tell_apart_is_asked_of_them_and_nothing_else() {
        for (text, is_asked) in [
            ("type = job_failed and not queue = bulk", true),
            ("job_name in (a, b) or success = true", true),
            ("exists queue", true),
            ("duration > 2s", false),
            ("type = job_failed and job_id = j", false),
            ("queue = a and since 2h", false),
            ("queue = a or not until 2h", false),
        ] {
            let filter = Filter::parse(text).unwrap();
            assert_eq!(CellFilter::of(&filter).is_some(), is_asked, "{text}");
        }
        assert!(CellFilter::of(&Filter::new()).is_some());
    }
}
