//! The messages of one entity, each of its subjects by itself.
//!
//! For `events.*.<id>` a server looks through every block of the log; of a
//! subject without a wildcard it knows between which blocks the messages lie.
//! So the subjects are counted first, which costs nothing where they are few,
//! and each is fetched by batched gets. Where that can't be done, or wouldn't
//! be quicker, the answer is `None`: a pass over the log has it then.

use std::collections::HashSet;

use futures::StreamExt;
use futures::stream::select_all;
use naq_core::connection::ServerRef;
use naq_core::jetstream::{
    Consistency, GetMessages, StoredMessage, SubjectCounts, WhichMany, is_no_message,
};
use naq_core::{Error, ErrorKind, Result};

use super::{Log, Meter, OpenLog};

/// An entity has a subject for each type of event: this many are fetched so.
const MOST_SUBJECTS: usize = 64;
/// Beyond so many messages a consumer is quicker.
const MOST_MESSAGES: u64 = 5_000;
/// How many bytes of them are kept in memory at most.
const MOST_BYTES: usize = 32 << 20;

/// The messages of an entity.
#[derive(Debug, Default)]
pub(crate) struct OfEntity {
    /// In stored order, up to the log's end as it was opened.
    pub(crate) messages: Vec<StoredMessage>,
    /// Sequences that left the log meanwhile.
    pub(crate) gone: u64,
}

/// The subjects of an entity.
#[derive(Debug)]
pub(crate) struct EntitySubjects {
    /// Each with its messages.
    counts: Vec<(String, u64)>,
    /// How many messages there are; `None` where there are too many subjects to tell.
    pub(crate) total: Option<u64>,
}

impl Log {
    /// Connects, and looks at the stream and at the subjects that match a filter.
    pub(crate) async fn open_entity(
        &self,
        operation: &'static str,
        filter: &str,
    ) -> Result<(OpenLog, EntitySubjects)> {
        let told = |error: Error| error.in_operation(operation);
        let jetstream = self.connections.get_jetstream(&ServerRef::Default).await.map_err(told)?;
        let opened_at = self.clock().now();
        let counted = jetstream.subject_counts(self.stream(), filter, 0).await.map_err(told)?;
        let SubjectCounts { info, counts, next_offset, .. } = counted;
        let is_whole = next_offset.is_none() && counts.len() <= MOST_SUBJECTS;
        let total = is_whole.then(|| counts.iter().map(|(_, count)| count).sum());
        Ok((self.opened(jetstream, info, opened_at), EntitySubjects { counts, total }))
    }

    /// The messages on these subjects, as many as a meter allows.
    pub(crate) async fn of_entity(
        &self,
        open: &OpenLog,
        subjects: EntitySubjects,
        meter: &Meter,
    ) -> Result<Option<OfEntity>> {
        let config = &open.info.config;
        // Of several replicas the one that answers a direct get may lag behind.
        let can = config.allow_direct == Some(true)
            && config.replicas == Some(1)
            && open.jetstream.capabilities().batched_direct_get;
        let is_few =
            subjects.total.is_some_and(|total| total <= meter.most_messages().min(MOST_MESSAGES));
        if !can || !is_few || open.info.state.last_sequence == 0 {
            return Ok(None);
        }
        match self.fetch(open, subjects, meter).await {
            // A consumer may be allowed.
            Err(error) if error.is(ErrorKind::PermissionDenied) => Ok(None),
            fetched => fetched,
        }
    }

    async fn fetch(
        &self,
        open: &OpenLog,
        subjects: EntitySubjects,
        meter: &Meter,
    ) -> Result<Option<OfEntity>> {
        let stream = self.stream();
        // The one replica is the leader: it needn't be asked first whether it is.
        let get = |which| {
            let request = GetMessages::new(which).with_consistency(Consistency::Any);
            open.jetstream.get_messages(stream, request)
        };
        let first = |(subject, count): (String, u64)| {
            get(WhichMany::From { sequence: 1, subject: Some(subject), limit: count.max(1) })
        };
        // The last on a subject is found without a search.
        let (alone, several): (Vec<_>, Vec<_>) =
            subjects.counts.into_iter().partition(|(_, count)| *count == 1);
        let mut alone: HashSet<_> = alone.into_iter().map(|(subject, _)| subject).collect();
        let mut gets: Vec<_> = several.into_iter().map(first).collect();
        if !alone.is_empty() {
            gets.push(get(WhichMany::LastBySubjects(alone.iter().cloned().collect())));
        }
        let state = &open.info.state;
        let (mut of_entity, mut bytes) = (OfEntity::default(), 0);
        while !gets.is_empty() {
            let mut found = select_all(gets);
            gets = Vec::new();
            while let Some(message) = found.next().await {
                let message = match message {
                    // It left the log meanwhile.
                    Err(error) if is_no_message(&error) => continue,
                    message => message?,
                };
                bytes += message.payload.len();
                if bytes > MOST_BYTES {
                    return Ok(None);
                }
                // A subject may have got another message since the opening.
                if message.sequence <= state.last_sequence {
                    meter.note(&message)?;
                    of_entity.messages.push(message);
                } else if alone.remove(&message.subject) {
                    gets.push(first((message.subject, 1)));
                }
            }
        }
        let after = open.jetstream.stream_info(self.stream()).await?;
        if after.created != open.info.created {
            return Ok(None);
        }
        of_entity.gone = after.state.first_sequence.saturating_sub(state.first_sequence);
        of_entity.messages.sort_unstable_by_key(|message| message.sequence);
        Ok(Some(of_entity))
    }
}
