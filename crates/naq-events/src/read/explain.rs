//! How a reading would be carried out, from what the server knows cheaply.

use naq_core::events::{ExplainWarning, Explanation, FilterPlan, ReadEvents, ReadStart, ReadUntil};
use naq_core::jetstream::StreamState;
use naq_core::{Error, Result};

use super::{Log, OpenLog, narrow, open};

const OPERATION: &str = "explain";

/// Up to so many subjects a stream's messages are counted by subject.
const FEW_SUBJECTS: u64 = 10_000;

/// Reading more messages than this without a choice by subject is worth a warning.
const LONG: u64 = 100_000;

impl Log {
    /// Explains a reading.
    pub(crate) async fn explain(&self, options: ReadEvents) -> Result<Explanation> {
        let told = |error: Error| error.in_operation(OPERATION);
        options.validate().map_err(told)?;
        let open = self.open(OPERATION).await?;
        // Refuses a position of another stream.
        open::Place::find(self, &open, &options).await.map_err(told)?;
        let options = narrow::by_storing(options, self);
        let plan = options.filter.plan(self.subjects());
        let (from, to) = self.sequences(&open, &options).await.map_err(told)?;
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
        explanation.warnings = warnings(&options, &plan, explanation.messages_at_most);
        explanation.subjects = plan.subjects;
        Ok(explanation)
    }

    /// The first and the last sequence that may be read of what is there.
    async fn sequences(&self, open: &OpenLog, options: &ReadEvents) -> Result<(u64, u64)> {
        let StreamState { first_sequence: first, last_sequence: last, .. } = open.info.state;
        let from = match options.start {
            ReadStart::New => last + 1,
            ReadStart::Sequence(sequence) => sequence,
            ReadStart::After(position) => position.sequence.saturating_add(1),
            ReadStart::Time(time) => self.first_stored_since(open, time).await?.unwrap_or(last + 1),
            _ => first,
        };
        let to = match options.until {
            ReadUntil::Sequence(sequence) => sequence.min(last),
            ReadUntil::Time(time) => match self.first_stored_since(open, time).await? {
                Some(sequence) => sequence - 1,
                None => last,
            },
            _ => last,
        };
        Ok((from.max(first), to))
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
