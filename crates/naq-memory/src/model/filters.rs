//! The subject filters of a read or a consumer.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use naq_core::jetstream::{filter_covers, subject_matches};

use super::store::{Record, Store};
use super::subjects::{SubjectIndex, first_from};

/// Up to how many subjects are read by their index instead of by a scan.
const INDEXED_SUBJECTS: usize = 64;
/// Fewer messages than this ahead are scanned: cheaper than asking the index.
pub(crate) const SCANNED_MESSAGES: usize = 256;

/// Filters that don't overlap; none lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filters(Vec<String>);

impl Filters {
    pub(crate) fn new(filters: &[String]) -> Self {
        if filters.iter().any(|filter| filter == ">") {
            return Self::default();
        }
        Self(filters.to_vec())
    }

    pub(crate) fn lets_all_through(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn matches(&self, subject: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|filter| subject_matches(filter, subject))
    }

    /// Whether one of them lies whole within a filter.
    pub(crate) fn any_within(&self, filter: &str) -> bool {
        self.0.iter().any(|own| filter_covers(filter, own))
    }

    /// Whether a filter lies whole within one of them.
    pub(crate) fn cover(&self, filter: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|own| filter_covers(own, filter))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The sequences of each subject that matches, where they are few enough
    /// for their index to be quicker than a scan.
    pub(crate) fn indexed<'a>(&self, subjects: &'a SubjectIndex) -> Option<Vec<&'a VecDeque<u64>>> {
        if self.lets_all_through() {
            return None;
        }
        let mut found = Vec::new();
        let all = self.visit(subjects, |sequences| {
            if found.len() == INDEXED_SUBJECTS {
                return ControlFlow::Break(());
            }
            found.push(sequences);
            ControlFlow::Continue(())
        });
        all.is_continue().then_some(found)
    }

    /// The first sequence from `from` on that matches.
    ///
    /// Whoever goes on from what was found looks at each message once, however
    /// many subjects there are.
    pub(crate) fn next(&self, store: &Store, from: u64) -> Option<u64> {
        let mut ahead = store.from(from);
        if self.lets_all_through() {
            return ahead.next().map(|(sequence, _)| sequence);
        }
        let matches = |(sequence, record): (u64, &Record)| {
            self.matches(&record.message.subject).then_some(sequence)
        };
        if let Some(near) = ahead.by_ref().take(SCANNED_MESSAGES).find_map(matches) {
            return Some(near);
        }
        match self.indexed(store.subjects()) {
            Some(subjects) => {
                subjects.iter().filter_map(|sequences| first_from(sequences, from)).min()
            }
            None => ahead.find_map(matches),
        }
    }

    /// The last sequence of each subject that matches, ascending.
    pub(crate) fn last_per_subject(&self, subjects: &SubjectIndex) -> VecDeque<u64> {
        let mut found = Vec::new();
        let _: ControlFlow<()> = self.visit(subjects, |sequences| {
            found.extend(sequences.back().copied());
            ControlFlow::Continue(())
        });
        found.sort_unstable();
        found.into()
    }

    /// How many messages match from a sequence on.
    pub(crate) fn count_from(&self, subjects: &SubjectIndex, from: u64) -> u64 {
        let mut count = 0;
        let _: ControlFlow<()> = self.visit(subjects, |sequences| {
            let before = sequences.partition_point(|sequence| *sequence < from);
            count += (sequences.len() - before) as u64;
            ControlFlow::Continue(())
        });
        count
    }

    fn visit<'a, B>(
        &self,
        subjects: &'a SubjectIndex,
        mut see: impl FnMut(&'a VecDeque<u64>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        if self.lets_all_through() {
            return subjects.visit(">", |_, sequences| see(sequences));
        }
        for filter in &self.0 {
            subjects.visit(filter, |_, sequences| see(sequences))?;
        }
        ControlFlow::Continue(())
    }
}
