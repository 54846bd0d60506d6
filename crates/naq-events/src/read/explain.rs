//! How a reading would be carried out, from what the server knows cheaply.

use std::sync::Arc;

use naq_core::events::{ExplainWarning, Explanation, FilterPlan, ReadEvents, ReadStart};
use naq_core::{Error, Result};

use super::narrowing::could_index;
use super::{Log, OpenLog, indexed, narrow, open};
use crate::digests::MinuteRange;
use crate::indexes::Indexes;

const OPERATION: &str = "explain";

/// Up to so many subjects a stream's messages are counted by subject.
const FEW_SUBJECTS: u64 = 10_000;

/// Reading more messages than this without a choice by subject, or by an index,
/// is worth a warning.
const LONG: u64 = 100_000;

impl Log {
    /// Explains a reading of what happened in a range, which may go by one of
    /// these indexes.
    pub(crate) async fn explain(
        &self,
        indexes: Option<&Arc<Indexes>>,
        (options, range): (ReadEvents, &MinuteRange),
    ) -> Result<Explanation> {
        let told = |error: Error| error.in_operation(OPERATION);
        options.validate().map_err(told)?;
        let open = self.open(OPERATION).await?;
        // Refuses a position of another stream.
        open::Place::find(self, &open, &options).await.map_err(told)?;
        let options = narrow::by_storing(options, self, &open);
        let plan = options.filter.plan(self.subjects());
        let (from, to) = self.sequences(&open, &options).await.map_err(told)?;
        let from = from.max(open.info.state.first_sequence);
        let in_range = (to + 1).saturating_sub(from).min(open.info.state.messages);
        let by_subject = self.counted(&open, &plan).await.map_err(told)?;
        let mut explanation = Explanation::default();
        explanation.filter = options.filter.to_string();
        explanation.is_by_subject = plan.is_by_subject;
        (explanation.since, explanation.until) = (plan.since, plan.until);
        (explanation.from_sequence, explanation.to_sequence) = (from, to);
        explanation.check = (!plan.check.is_empty()).then(|| plan.check.to_string());
        explanation.stream_messages = open.info.state.messages;
        explanation.messages_at_most = by_subject.map_or(in_range, |count| count.min(in_range));
        explanation.is_counted_by_subject = by_subject.is_some();
        if let Some(narrowing) = indexed::narrowing(self, &open, indexes, (&options, range)).await {
            let index = narrowing.explain(&open, (from, to), options.limit).await;
            if let Some(messages) = index.named.zip(index.scanned).map(|(a, b)| a + b) {
                let most = &mut explanation.messages_at_most;
                explanation.is_counted_by_subject &= *most <= messages;
                *most = messages.min(*most);
            }
            explanation.index = Some(index);
        } else if indexes.is_some()
            && explanation.messages_at_most > LONG
            && indexed::is_of_the_past(&open, &options)
        {
            explanation.could_index = could_index(self, &options.filter, &plan);
        }
        explanation.warnings = warnings(&options, &plan, explanation.messages_at_most);
        if !explanation.could_index.is_empty() {
            explanation.warnings.push(ExplainWarning::NoIndex);
        }
        explanation.subjects = plan.subjects;
        Ok(explanation)
    }

    /// How many messages the plan's subjects hold, where that is a cheap question.
    async fn counted(&self, open: &OpenLog, plan: &FilterPlan) -> Result<Option<u64>> {
        let wildcard = |subject: &String| subject.ends_with(".>") || subject.contains(".*.");
        let is_dear =
            open.info.state.num_subjects > FEW_SUBJECTS && plan.subjects.iter().any(wildcard);
        if !plan.is_by_subject || is_dear {
            return Ok(None);
        }
        let mut sum = 0;
        for subject in &plan.subjects {
            let mut offset = Some(0);
            while let Some(from) = offset {
                let page = open.jetstream.subject_counts(self.stream(), subject, from).await?;
                sum += page.counts.iter().map(|(_, count)| count).sum::<u64>();
                offset = page.next_offset;
            }
        }
        Ok(Some(sum))
    }
}

fn warnings(options: &ReadEvents, plan: &FilterPlan, messages: u64) -> Vec<ExplainWarning> {
    let fields = options.filter.fields();
    let names_subjects = fields.contains("type") || fields.contains("job_id");
    let is_bounded = plan.since.is_some() || matches!(options.start, ReadStart::Time(_));
    let found = [
        (!plan.is_by_subject && messages > LONG, ExplainWarning::FullScan),
        (!plan.is_by_subject && names_subjects, ExplainWarning::NotBySubject),
        (plan.subjects.len() > 2, ExplainWarning::ManyFilters),
        (fields.contains("timestamp") && !is_bounded, ExplainWarning::OwnTimestamp),
    ];
    found.into_iter().filter(|(is_so, _)| *is_so).map(|(_, warning)| warning).collect()
}
