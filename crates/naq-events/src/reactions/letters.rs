//! Looking at dead letters, having them handled again, dropping them.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use naq_core::events::EventType;
use naq_core::jetstream::{
    Delivery, GetMessage, JetStream, PurgeOptions, ReadOptions, ReadUntil, Which,
};
use naq_core::{BoxStream, Error, ErrorKind, Result, Timestamp};

use super::burial::bytes_in_log;
use super::dead::{DeadCause, DeadLetter, DeadStreams};
use super::service::ReactionService;
use crate::names::check_name;

const LETTERS: &str = "dead_letters";

/// Which dead letters are meant; by default all.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct SelectLetters {
    /// Only those of this group.
    pub group: Option<String>,
    /// Only events of this type.
    pub event_type: Option<EventType>,
    /// Only those that died for this cause.
    pub cause: Option<DeadCause>,
    /// Only those that died at this time or later.
    pub since: Option<Timestamp>,
    /// Only those that died before this time.
    pub until: Option<Timestamp>,
}

impl SelectLetters {
    /// Only those of a group.
    pub fn of_group(group: impl Into<String>) -> Self {
        Self { group: Some(group.into()), ..Self::default() }
    }

    /// Only events of a type.
    #[must_use]
    pub fn with_event_type(mut self, event_type: impl Into<EventType>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }

    /// Only those that died for a cause.
    #[must_use]
    pub const fn with_cause(mut self, cause: DeadCause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// Only those that died within a range of time; an open end is all.
    #[must_use]
    pub const fn with_range(mut self, since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        self.since = since;
        self.until = until;
        self
    }

    fn selects(&self, letter: &DeadLetter) -> bool {
        self.cause.is_none_or(|cause| cause == letter.cause)
            && self.since.is_none_or(|since| since <= letter.died_at)
            && self.until.is_none_or(|until| letter.died_at < until)
            && self
                .event_type
                .as_ref()
                .is_none_or(|wanted| letter.event().is_ok_and(|event| event.event_type == *wanted))
    }
}

impl ReactionService {
    /// The dead letters that are meant, oldest first, as they stand now.
    ///
    /// # Errors
    /// As items: `InvalidArgument` for a group's name; those of the
    /// connection. What isn't a dead letter of naq's is `Corrupt`, and the
    /// rest goes on. No dead letters at all is an empty answer.
    pub fn dead_letters(&self, select: SelectLetters) -> BoxStream<'static, Result<DeadLetter>> {
        let (connections, dead) = (self.connections(), self.dead.clone());
        let opening = async move {
            if let Some(group) = &select.group {
                check_name(LETTERS, "group", "group", group)?;
            }
            let jetstream = connections.get_jetstream(&Default::default()).await?;
            Ok::<_, Error>(read(jetstream, dead, select))
        };
        stream::once(opening).try_flatten().map_err(|error| error.in_operation(LETTERS)).boxed()
    }

    /// One dead letter.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn dead_letter(&self, sequence: u64) -> Result<DeadLetter> {
        let jetstream = self.jetstream(LETTERS).await?;
        let request = GetMessage::new(Which::Sequence(sequence));
        let message = jetstream
            .get_message(&self.dead.dead, request)
            .await
            .map_err(|error| error.in_operation(LETTERS).with("sequence", sequence.to_string()))?;
        whole(&*jetstream, &self.dead.log, DeadLetter::read(message)?).await
    }

    /// Hands a dead letter to its group again, and to no other, with its tries
    /// counted anew. The dead letter goes once that is stored; should it fail
    /// for good again, it becomes a new one.
    ///
    /// Idempotent within the duplicate window.
    ///
    /// # Errors
    /// `NotFound` where there is no such letter, where its event was too large
    /// to be kept and has left the log, and where nobody would be handed it:
    /// the group was removed, or its members make nothing and have no consumer
    /// of replays.
    pub async fn replay_dead(&self, sequence: u64) -> Result<()> {
        let letter = self.dead_letter(sequence).await?;
        let jetstream = self.jetstream(LETTERS).await?;
        let told =
            |error: Error| error.in_operation("replay_dead").with("sequence", sequence.to_string());
        if !letter.is_kept && letter.payload.is_empty() {
            let text = "its event was too large to be kept, and has left the log";
            return Err(told(Error::new(ErrorKind::NotFound, LETTERS, text)));
        }
        jetstream.consumer_info(&self.dead.replay, &letter.group).await.map_err(|error| {
            let hint = "have a member join the group first, one that may make its consumers";
            let is_missing = error.is(ErrorKind::NotFound);
            let error = told(error).with("group", &letter.group);
            if is_missing { error.with_hint(hint) } else { error }
        })?;
        jetstream.publish(self.dead.replay_message(&letter)).await.map_err(told)?;
        jetstream.delete_message(&self.dead.dead, sequence).await.map_err(told)
    }

    /// Removes a dead letter for good.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn drop_dead(&self, sequence: u64) -> Result<()> {
        let jetstream = self.jetstream(LETTERS).await?;
        jetstream
            .delete_message(&self.dead.dead, sequence)
            .await
            .map_err(|error| error.in_operation("drop_dead").with("sequence", sequence.to_string()))
    }

    /// Removes all dead letters of a group and says how many.
    ///
    /// # Errors
    /// `InvalidArgument`; those of the connection.
    pub async fn drop_all_dead(&self, group: &str) -> Result<u64> {
        const OPERATION: &str = "drop_all_dead";
        check_name(OPERATION, "group", "group", group)?;
        let jetstream = self.jetstream(OPERATION).await?;
        let options = PurgeOptions::default().with_subject(self.dead.dead_of(Some(group)));
        match jetstream.purge_stream(&self.dead.dead, options).await {
            Err(error) if error.is(ErrorKind::NotFound) => Ok(0),
            result => result.map_err(|error| error.in_operation(OPERATION)),
        }
    }

    /// How many dead letters a group has.
    pub(super) async fn count_letters(
        &self,
        jetstream: &dyn JetStream,
        group: &str,
    ) -> Result<u64> {
        let filter = self.dead.dead_of(Some(group));
        let (mut count, mut offset) = (0, Some(0));
        // One subject for each type of event: a few.
        while let Some(from) = offset {
            let page = match jetstream.subject_counts(&self.dead.dead, &filter, from).await {
                Ok(page) => page,
                Err(error) if error.is(ErrorKind::NotFound) => return Ok(count),
                Err(error) => return Err(error.in_operation(LETTERS)),
            };
            count += page.counts.iter().map(|(_, count)| count).sum::<u64>();
            offset = page.next_offset;
        }
        Ok(count)
    }
}

/// A letter with its bytes, which may be in the log alone.
async fn whole(jetstream: &dyn JetStream, log: &str, mut letter: DeadLetter) -> Result<DeadLetter> {
    if !letter.is_kept {
        match bytes_in_log(jetstream, log, letter.position).await {
            Ok(bytes) => letter.payload = bytes,
            Err(error) if error.is(ErrorKind::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(letter)
}

fn read(
    jetstream: Arc<dyn JetStream>,
    dead: DeadStreams,
    select: SelectLetters,
) -> BoxStream<'static, Result<DeadLetter>> {
    let options = ReadOptions::default()
        .with_until(ReadUntil::Head)
        .with_subject(dead.dead_of(select.group.as_deref()));
    jetstream
        .read(&dead.dead, options)
        .take_while(|delivery| {
            // No stream of dead letters: nothing has died yet.
            let nothing = matches!(delivery, Err(error) if error.is(ErrorKind::NotFound));
            std::future::ready(!nothing)
        })
        .filter_map(|delivery| {
            std::future::ready(match delivery {
                Ok(Delivery::Message(message)) => Some(DeadLetter::read(message)),
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            })
        })
        .then(move |letter| {
            let (jetstream, log) = (Arc::clone(&jetstream), dead.log.clone());
            async move { whole(&*jetstream, &log, letter?).await }
        })
        .filter(move |letter| {
            let selected = letter.as_ref().map_or(true, |letter| select.selects(letter));
            std::future::ready(selected)
        })
        .boxed()
}
