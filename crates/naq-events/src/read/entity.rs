//! The messages of one entity, each of its subjects by itself.
//!
//! For `events.*.<id>` a server looks through every block of the log; of a
//! subject without a wildcard it knows in which blocks the messages lie. So
//! the subjects are counted first, which costs nothing where they are few, and
//! each is fetched by batched gets. Where that can't be done, or wouldn't be
//! quicker, the answer is `None`: a pass over the log has it then.

use futures::TryStreamExt;
use futures::stream::select_all;
use naq_core::jetstream::{GetMessages, StoredMessage, WhichMany};
use naq_core::{ErrorKind, Result};

use super::{Log, OpenLog};

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

impl Log {
    /// The messages on the subjects that match a filter, `limit` at most.
    pub(crate) async fn of_entity(
        &self,
        open: &OpenLog,
        filter: &str,
        limit: u64,
    ) -> Result<Option<OfEntity>> {
        let config = &open.info.config;
        // Of several replicas the one that answers a direct get may lag behind.
        let can = config.allow_direct == Some(true)
            && config.replicas == Some(1)
            && open.jetstream.capabilities().batched_direct_get;
        if !can || open.info.state.last_sequence == 0 {
            return Ok(None);
        }
        match self.fetch_by_subjects(open, filter, limit).await {
            // A consumer may be allowed.
            Err(error) if error.is(ErrorKind::PermissionDenied) => Ok(None),
            fetched => fetched,
        }
    }

    async fn fetch_by_subjects(
        &self,
        open: &OpenLog,
        filter: &str,
        limit: u64,
    ) -> Result<Option<OfEntity>> {
        let found = open.jetstream.subject_counts(self.stream(), filter, 0).await?;
        let total: u64 = found.counts.iter().map(|(_, count)| count).sum();
        let is_whole = found.next_offset.is_none() && found.counts.len() <= MOST_SUBJECTS;
        if !is_whole || total > limit.min(MOST_MESSAGES) {
            return Ok(None);
        }
        let mut fetched = select_all(found.counts.into_iter().map(|(subject, count)| {
            let which =
                WhichMany::From { sequence: 1, subject: Some(subject), limit: count.max(1) };
            open.jetstream.get_messages(self.stream(), GetMessages::new(which))
        }));
        let state = &open.info.state;
        let (mut of_entity, mut bytes) = (OfEntity::default(), 0);
        while let Some(message) = fetched.try_next().await? {
            bytes += message.payload.len();
            if bytes > MOST_BYTES {
                return Ok(None);
            }
            // A subject may have got another message since the opening.
            if message.sequence <= state.last_sequence {
                of_entity.messages.push(message);
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
