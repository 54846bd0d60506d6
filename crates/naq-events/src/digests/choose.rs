//! Which cells a filter means: one that is about what digests tell apart, and nothing else.

use std::collections::HashMap;

use naq_core::events::{Event, Filter};

use super::cell::{Key, Name, Outcome};
use super::digest::Digest;
use super::names::{BEGINNING, Dropped, is_cut};

/// The fields that a digest tells apart.
const FIELDS: [&str; 4] = ["type", "queue", "job_name", "success"];

/// A filter that can be asked of a cell.
#[derive(Debug, Clone)]
pub(crate) struct CellFilter {
    filter: Filter,
    /// How much of each name it looks at.
    event_type: Needs,
    queue: Needs,
    job_name: Needs,
}

/// How much of a name a filter looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// What is known of a long one.
    Beginning,
    All,
}

impl CellFilter {
    /// The filter, if digests can answer it.
    pub(crate) fn of(filter: &Filter) -> Option<Self> {
        let fields = filter.fields();
        let is_about_cells =
            fields.iter().all(|field| FIELDS.contains(field)) && !filter.asks_when_stored();
        let needs = |field| match fields.contains(field) {
            false => Needs::Nothing,
            true if filter.is_decided_by_beginning(field, BEGINNING) => Needs::Beginning,
            true => Needs::All,
        };
        is_about_cells.then(|| Self {
            event_type: needs("type"),
            queue: needs("queue"),
            job_name: needs("job_name"),
            filter: filter.clone(),
        })
    }

    /// Whether a cell of a digest tells what the filter looks at.
    pub(crate) fn can_decide(&self, digest: &Digest, key: &Key) -> bool {
        let names = [
            (self.event_type, key.event_type),
            (self.queue, key.queue),
            (self.job_name, key.job_name),
        ];
        names.into_iter().all(|(needs, name)| match (needs, name) {
            (Needs::Nothing, _) | (_, Name::Absent) => true,
            (_, Name::Dropped) => false,
            (Needs::Beginning, _) => true,
            (Needs::All, name) => digest.name(name).is_some_and(|name| !is_cut(name)),
        })
    }

    /// Whether it looks at what is left out.
    pub(crate) fn asks_for(&self, dropped: Dropped) -> bool {
        let names = [
            (self.event_type, dropped.event_types),
            (self.queue, dropped.queues),
            (self.job_name, dropped.job_names),
        ];
        names.into_iter().any(|(needs, is_dropped)| match needs {
            Needs::Nothing => false,
            Needs::Beginning => is_dropped,
            Needs::All => is_dropped || dropped.ends,
        })
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
    use naq_core::Timestamp;
    use naq_core::events::{Position, RecordedEvent};
    use proptest::prelude::*;

    use super::super::draft::Draft;
    use super::*;

    /// Filters of what digests tell apart, as text.
    fn filters() -> impl Strategy<Value = String> {
        let name = prop::sample::select(vec!["a", "b", "ab", "c"]);
        let field = prop::sample::select(vec!["type", "queue", "job_name"]);
        let named = (field, name, 0..8_u8).prop_map(|(field, name, form)| match form {
            0 => format!("{field} = {name}"),
            1 => format!("{field} != {name}"),
            2 => format!("{field} in ({name}, b)"),
            3 => format!("exists {field}"),
            4 => format!("{field} ~ /^a/"),
            5 => format!("{field} contains b"),
            6 => format!("{field} not in ({name})"),
            _ => format!("not exists {field}"),
        });
        let forms = vec!["success = true", "success != true", "success = false", "exists success"];
        let leaf =
            prop_oneof![3 => named, 1 => prop::sample::select(forms).prop_map(str::to_owned)];
        leaf.prop_recursive(4, 24, 2, |inner| {
            prop_oneof![
                inner.clone().prop_map(|of| format!("not ({of})")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) and ({b})")),
                (inner.clone(), inner).prop_map(|(a, b)| format!("({a}) or ({b})")),
            ]
        })
    }

    fn events() -> impl Strategy<Value = Event> {
        let name = || prop::option::of(prop::sample::select(vec!["a", "b", "ab", "c"]));
        let kind = prop::sample::select(vec!["a", "b", "ab"]);
        (kind, name(), name(), any::<Option<bool>>()).prop_map(
            |(kind, queue, job_name, success)| {
                let mut event = Event::new(kind);
                event.queue = queue.map(Into::into);
                event.job_name = job_name.map(Into::into);
                event.success = success;
                event
            },
        )
    }

    proptest! {
        #[test]
        fn the_events_of_the_cells_that_pass_are_those_that_pass(
            text in filters(),
            events in prop::collection::vec(events(), 1..12),
        ) {
            let filter = Filter::parse(&text).unwrap();
            let of_cells = CellFilter::of(&filter).unwrap();
            let at = Timestamp::from_nanos(0);
            let mut draft = Draft::new(at, 0);
            for (event, sequence) in events.iter().zip(1..) {
                let payload = serde_json::to_vec(event).unwrap();
                let position = Position::new(at, sequence);
                let subject = "events.x".to_owned();
                draft.observe(&RecordedEvent::decode(position, at, subject, payload.into()).unwrap());
            }
            let digest = draft.seal().0;
            let mut choice = of_cells.for_digest(&digest);
            let passing = digest.cells.iter().filter(|(key, _)| choice.passes(key));
            let counted: u64 = passing.map(|(_, cell)| cell.count).sum();
            let expected = events.iter().filter(|event| filter.matches(event)).count() as u64;
            prop_assert_eq!(counted, expected, "{}", text);
        }
    }

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
