//! The events of one entity by an index of the field that names it.
//!
//! A job's events lie between its first and its last, and a server finds both
//! at once; for a worker or a schedule the whole log is looked up. Where the
//! index leaves too much to be read, the answer is `None`.

use std::collections::VecDeque;
use std::sync::Arc;

use naq_core::config::SubjectLayout;
use naq_core::events::{EntityKind, EventItem, Filter};
use naq_core::jetstream::{Consistency, GetMessage, Which, is_no_message};
use naq_core::{BoxStream, Error, ErrorKind, Result};

use super::narrowing::{BLOCKS, Narrowing, Part, split};
use super::{Log, Meter, OpenLog, indexed};
use crate::digests::BLOCK;
use crate::indexes::Indexes;

/// How many events are got one by one at most: what is asked for is kept in memory.
const MOST_NAMED: u64 = 1_000_000;

/// How many sequences are read at most because the index doesn't cover them:
/// of a job, whose subjects are another way, and of others.
const MOST_READ_OF_JOB: u64 = BLOCK;
const MOST_READ: u64 = 4 * BLOCK;

impl Log {
    /// The events of an entity and what is no event, in stored order, up to
    /// the log's end as it was opened; what a meter allows is read at most.
    ///
    /// An item is `PermissionDenied` where single events may not be got.
    pub(crate) async fn of_entity_indexed(
        &self,
        open: &OpenLog,
        indexes: &Arc<Indexes>,
        (kind, id): (EntityKind, &str),
        meter: &Arc<Meter>,
    ) -> Result<Option<BoxStream<'static, Result<EventItem>>>> {
        let filter = Filter::new().field(kind.field()).equals(id);
        let Some(narrowing) = Narrowing::of_field(indexes, &filter, kind.field()).await else {
            return Ok(None);
        };
        let is_by_subject =
            kind == EntityKind::Job && self.subjects().layout() == SubjectLayout::Entity;
        let range = if is_by_subject {
            self.range_of(open, &self.subjects().of_entity(id)).await?
        } else {
            whole(open)
        };
        let Some(range) = range else { return Ok(None) };
        narrowing.follow(self, open, meter).await;
        // What is read by an index in name only is quicker by subjects.
        let half = (range.1 - range.0) / 2;
        let most_read = if is_by_subject { MOST_READ_OF_JOB.min(half) } else { MOST_READ };
        let Some(parts) = parts(&narrowing, open, range, (meter.most_messages(), most_read)).await
        else {
            return Ok(None);
        };
        let (log, open) = (self.clone(), open.clone());
        Ok(Some(indexed::read_parts(log, open, narrowing, (range, parts), filter, meter)))
    }

    /// The first and the last sequence on a filter's subjects, as far as that
    /// may be asked; `None` where there is nothing on them.
    async fn range_of(&self, open: &OpenLog, filter: &str) -> Result<Option<(u64, u64)>> {
        // Of several replicas the one that answers may lag behind.
        let consistency = match open.info.config.replicas {
            Some(1) => Consistency::Any,
            _ => Consistency::Leader,
        };
        let sequence = async |which| {
            let request = GetMessage::new(which).with_consistency(consistency);
            let message = open.jetstream.get_message(self.stream(), request).await?;
            Ok::<_, Error>(message.sequence)
        };
        let first = Which::NextBySubject { subject: filter.to_owned(), sequence: 1 };
        let last = Which::LastBySubject(filter.to_owned());
        match futures::try_join!(sequence(first), sequence(last)) {
            Ok((first, last)) => {
                let last = last.min(open.info.state.last_sequence);
                Ok((first <= last).then_some((first, last)))
            }
            Err(error) if is_no_message(&error) => Ok(None),
            Err(error) if error.is(ErrorKind::PermissionDenied) => Ok(whole(open)),
            Err(error) => Err(error),
        }
    }
}

/// All that the log holds.
fn whole(open: &OpenLog) -> Option<(u64, u64)> {
    let state = &open.info.state;
    let first = state.first_sequence.max(1);
    (first <= state.last_sequence).then_some((first, state.last_sequence))
}

/// What has to be read between two sequences; `None` where that is too much.
async fn parts(
    narrowing: &Narrowing,
    open: &OpenLog,
    range: (u64, u64),
    (limit, most_read): (u64, u64),
) -> Option<VecDeque<Part>> {
    let (mut parts, mut named, mut read) = (VecDeque::new(), 0, 0);
    let mut rest = Some(range);
    while let Some(range) = rest {
        let (now, later) = split(range, BLOCKS, false);
        // Other ways to have them would read the whole log.
        for part in narrowing.parts(open, now, usize::MAX).await {
            match &part {
                Part::Gets(sequences) => named += sequences.len() as u64,
                Part::Scan { from, to } => read += to + 1 - from,
            }
            parts.push_back(part);
        }
        if named > MOST_NAMED || read > most_read || named + read > limit {
            return None;
        }
        rest = later;
    }
    Some(parts)
}
