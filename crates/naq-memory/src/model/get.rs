//! Stored messages by what is known of them, and counts by subject.

use std::ops::ControlFlow;

use naq_core::jetstream::{ServerVersion, StoredMessage, SubjectCounts, Which, subject_matches};

use super::Moment;
use super::filters::Filters;
use super::refusal::Refusal;
use super::stream::Stream;
use super::subjects::is_literal;

/// How many subjects one page of counts has, as on the server.
const COUNTS_PER_PAGE: u64 = 100_000;

impl Stream {
    pub(crate) fn get(&self, which: &Which) -> Result<StoredMessage, Refusal> {
        let sequence = match which {
            Which::Sequence(sequence) => Some(*sequence),
            Which::LastBySubject(filter) => self.store.subjects().last(filter),
            Which::NextBySubject { subject, sequence } => {
                Filters::new(std::slice::from_ref(subject)).next(&self.store, *sequence)
            }
        };
        sequence
            .and_then(|sequence| self.store.get(sequence))
            .map(|record| record.message.clone())
            .ok_or(Refusal::NoMessage)
    }

    /// At most `most` messages from a sequence on, in the stream's order.
    pub(crate) fn get_from(
        &self,
        sequence: u64,
        filter: Option<&str>,
        most: usize,
    ) -> Vec<StoredMessage> {
        let all = self.store.from(sequence).map(|(_, record)| &record.message);
        match filter.filter(|filter| *filter != ">") {
            None => all.take(most).cloned().collect(),
            Some(filter) if is_literal(filter) => {
                let Some(sequences) = self.store.subjects().get(filter) else { return Vec::new() };
                let start = sequences.partition_point(|found| *found < sequence);
                sequences
                    .range(start..)
                    .filter_map(|found| self.store.get(*found))
                    .take(most)
                    .map(|record| record.message.clone())
                    .collect()
            }
            Some(filter) => all
                .filter(|message| subject_matches(filter, &message.subject))
                .take(most)
                .cloned()
                .collect(),
        }
    }

    pub(crate) fn subject_counts(
        &self,
        filter: &str,
        offset: u64,
        version: ServerVersion,
        now: Moment,
    ) -> SubjectCounts {
        let (info, counts) = (self.info(version, now), Vec::new());
        let mut page = SubjectCounts { info, counts, total: 0, next_offset: None };
        let _: ControlFlow<()> = self.store.subjects().visit(filter, |subject, sequences| {
            if page.total >= offset && page.total < offset.saturating_add(COUNTS_PER_PAGE) {
                page.counts.push((subject.to_owned(), sequences.len() as u64));
            }
            page.total += 1;
            ControlFlow::Continue(())
        });
        let end = offset.saturating_add(page.counts.len() as u64);
        page.next_offset = (end < page.total && !page.counts.is_empty()).then_some(end);
        page
    }
}
