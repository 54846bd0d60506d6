//! What of a filter the server can do: choose by subject, and by the time of storing.

use super::Filter;
use super::expr::{Expr, Op, Test};
use super::value::Literal;
use crate::Timestamp;
use crate::events::EventSubjects;
use crate::events::wire::fields::Field;
use crate::token;

/// What of a filter the server does, and what is left to check.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FilterPlan {
    /// The subjects that hold every event which can pass; never empty, never overlapping.
    pub subjects: Vec<String>,
    /// Whether they leave something out.
    pub is_by_subject: bool,
    /// Nothing stored before this time passes.
    pub since: Option<Timestamp>,
    /// Nothing stored at or after this time passes.
    pub until: Option<Timestamp>,
    /// What is left to check of what the server sends; empty where it is nothing.
    pub check: Filter,
}

impl Filter {
    /// How many subjects a filter asks the server for at most; one that would
    /// need more asks for all.
    ///
    /// So many a read takes apart and merges again. One consumer with more of
    /// them is slower than one that sends everything.
    pub const MAX_SUBJECTS: usize = 8;

    /// The subjects that hold every event which can pass; never empty, never overlapping.
    ///
    /// An equality on `type` gives `<root>.<type>` and `<root>.<type>.>`, one on
    /// `job_id` `<root>.*.<id>`, both together one subject; a list of values
    /// gives those of each, and so do alternatives, up to
    /// [`MAX_SUBJECTS`](Self::MAX_SUBJECTS). One on `worker_id` or
    /// `schedule_id` gives none, because a job's events name them under the
    /// job's token. What a subject lets through has still to be
    /// [checked](Self::matches).
    #[must_use]
    pub fn subject_filters(&self, subjects: &EventSubjects) -> Vec<String> {
        self.keys(subjects).map_or_else(|| vec![subjects.all()], |keys| expand(&keys, subjects))
    }

    /// What the server does of it, and what is left.
    ///
    /// Only `since` and `until` that stand beside the other conditions bound
    /// the time: a condition on `timestamp` doesn't, because an event may be
    /// stored long after its own time, or, by a clock that is ahead, before it.
    #[must_use]
    pub fn plan(&self, subjects: &EventSubjects) -> FilterPlan {
        let keys = self.keys(subjects);
        let (since, until) = self.stored_range();
        let is_left = |member: &&Expr| match member {
            Expr::Since(_) | Expr::Until(_) => false,
            member => !keys.as_deref().is_some_and(|keys| is_done_by(member, keys)),
        };
        FilterPlan {
            subjects: match &keys {
                Some(keys) => expand(keys, subjects),
                None => vec![subjects.all()],
            },
            is_by_subject: keys.is_some(),
            since,
            until,
            check: Self {
                all: self.all.iter().filter(is_left).cloned().collect(),
                fault: self.fault.clone(),
            },
        }
    }

    /// The bounds of the time of storing that every event which passes keeps:
    /// from the first on, and before the second.
    #[must_use]
    pub fn stored_range(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let since = self.all.iter().filter_map(|member| match member {
            Expr::Since(time) => Some(*time),
            _ => None,
        });
        let until = self.all.iter().filter_map(|member| match member {
            Expr::Until(time) => Some(*time),
            _ => None,
        });
        (since.max(), until.min())
    }

    /// The bounds of the events' own time that every event which passes keeps:
    /// its `timestamp` lies between them, both included.
    ///
    /// They are those of the conditions on `timestamp` that stand beside the
    /// other ones; where one bound is given, an event without a time of its
    /// own passes no more.
    #[must_use]
    pub fn happened_range(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let (mut least, mut most) = (None::<Timestamp>, None::<Timestamp>);
        for member in &self.all {
            let Expr::Test(test) = member else { continue };
            if test.is_negated || test.path.known() != Some(Field::Timestamp) {
                continue;
            }
            let Some(Literal::Time(time, _)) = test.op.literal() else { continue };
            if matches!(test.op, Op::AtLeast(_) | Op::Above(_) | Op::Equals(_)) {
                least = least.max(Some(*time));
            }
            if matches!(test.op, Op::AtMost(_) | Op::Below(_) | Op::Equals(_)) {
                most = Some(most.map_or(*time, |most| most.min(*time)));
            }
        }
        (least, most)
    }

    /// What is asked for by subject, none where it is everything.
    fn keys(&self, subjects: &EventSubjects) -> Option<Vec<Key<'_>>> {
        let mut keys = keys_of_all(&self.all)?;
        if subjects.layout() == crate::config::SubjectLayout::Type {
            for key in &mut keys {
                key.job = None;
            }
        }
        let keys = without_covered(keys);
        let overlap = keys
            .iter()
            .enumerate()
            .any(|(index, key)| keys[index + 1..].iter().any(|other| key.and(other).is_some()));
        let is_everything = keys.iter().any(|key| *key == Key::default());
        let are_few = keys.iter().map(Key::subjects).sum::<usize>() <= Self::MAX_SUBJECTS;
        (!overlap && !is_everything && are_few).then_some(keys)
    }
}

/// What a subject says: of what type an event is, of which job, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Key<'a> {
    event_type: Option<&'a str>,
    job: Option<&'a str>,
}

impl Key<'_> {
    /// The events of both; none where there can't be any.
    fn and(&self, other: &Self) -> Option<Self> {
        let both = |a: Option<_>, b: Option<_>| match (a, b) {
            (Some(a), Some(b)) if a != b => Err(()),
            (a, b) => Ok(a.or(b)),
        };
        let event_type = both(self.event_type, other.event_type).ok()?;
        let job = both(self.job, other.job).ok()?;
        Some(Self { event_type, job })
    }

    /// Whether all events of the other are its own.
    fn covers(&self, other: &Self) -> bool {
        self.and(other) == Some(*other)
    }

    /// How many subjects it takes.
    fn subjects(&self) -> usize {
        if self.event_type.is_some() && self.job.is_none() { 2 } else { 1 }
    }
}

fn expand(keys: &[Key<'_>], subjects: &EventSubjects) -> Vec<String> {
    let subjects_of = |key: &Key<'_>| match (key.event_type, key.job) {
        (Some(event_type), Some(id)) => subjects.of_type_and_entity(event_type, id),
        (Some(event_type), None) => subjects.of_type(event_type),
        (None, Some(id)) => vec![subjects.of_entity(id)],
        (None, None) => vec![subjects.all()],
    };
    keys.iter().flat_map(subjects_of).collect()
}

/// Where the events that can pass are; none where they can be anywhere.
fn keys_of(expr: &Expr) -> Option<Vec<Key<'_>>> {
    match expr {
        Expr::All(members) => keys_of_all(members),
        Expr::Any(members) => {
            let mut keys = Vec::new();
            for member in members {
                keys.extend(keys_of(member)?);
            }
            bounded(without_covered(keys))
        }
        Expr::Test(test) => bounded(keys_of_test(test)?),
        Expr::Not(_) | Expr::Since(_) | Expr::Until(_) => None,
    }
}

/// Where the events are that pass all of them.
fn keys_of_all(members: &[Expr]) -> Option<Vec<Key<'_>>> {
    members.iter().filter_map(keys_of).reduce(|a, b| {
        let both: Vec<_> =
            a.iter().flat_map(|key| b.iter().filter_map(|other| key.and(other))).collect();
        // Each of the two alone holds all that can pass. Where nothing can,
        // one of them is still a place to ask at.
        match bounded(without_covered(both)) {
            Some(both) => both,
            None if b.len() < a.len() => b,
            None => a,
        }
    })
}

fn keys_of_test(test: &Test) -> Option<Vec<Key<'_>>> {
    let literals = match &test.op {
        _ if test.is_negated => return None,
        Op::Equals(literal) => std::slice::from_ref(literal),
        Op::In(literals) if literals.len() <= Filter::MAX_SUBJECTS => literals.as_slice(),
        _ => return None,
    };
    let field = test.path.known()?;
    literals
        .iter()
        .map(|literal| key_of(field, literal))
        .collect::<Option<_>>()
        .map(without_covered)
}

/// None for a value that the field can't have in a subject.
fn key_of(field: Field, literal: &Literal) -> Option<Key<'_>> {
    let Literal::Text(text) = literal else { return None };
    match field {
        Field::Type if token::check_type(text).is_ok() => {
            Some(Key { event_type: Some(text), job: None })
        }
        Field::JobId if token::check_id("job_id", text).is_ok() => {
            Some(Key { event_type: None, job: Some(text) })
        }
        _ => None,
    }
}

/// None where there are none, or too many to ask for.
fn bounded(keys: Vec<Key<'_>>) -> Option<Vec<Key<'_>>> {
    (1..=Filter::MAX_SUBJECTS).contains(&keys.len()).then_some(keys)
}

/// The keys without those that another one covers.
fn without_covered(keys: Vec<Key<'_>>) -> Vec<Key<'_>> {
    let mut left: Vec<Key<'_>> = Vec::with_capacity(keys.len());
    for key in keys {
        if !left.iter().any(|other| other.covers(&key)) {
            left.retain(|other| !key.covers(other));
            left.push(key);
        }
    }
    left
}

/// Whether what is stored under these keys passes without a look at it.
fn is_done_by(expr: &Expr, keys: &[Key<'_>]) -> bool {
    is_of_types(expr)
        && keys_of(expr)
            .is_some_and(|wide| keys.iter().all(|key| wide.iter().any(|other| other.covers(key))))
}

/// Whether it asks for the type alone. What is stored under a job's id may be
/// of a worker or a schedule of that id, so that has still to be looked at.
fn is_of_types(expr: &Expr) -> bool {
    match expr {
        Expr::All(members) | Expr::Any(members) => members.iter().all(is_of_types),
        Expr::Test(test) => test.path.known() == Some(Field::Type) && keys_of_test(test).is_some(),
        Expr::Not(_) | Expr::Since(_) | Expr::Until(_) => false,
    }
}
