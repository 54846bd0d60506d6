//! Storing what failed for good: acknowledged only once that is done.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use naq_core::events::Position;
use naq_core::jetstream::{Acknowledge, GetMessage, JetStream, PublishMessage, Which};
use naq_core::{Error, ErrorKind, Result};

use super::REACT;
use super::dead::DeadCause;
use super::dispatch::Dispatcher;
use super::tally::count;
use super::work::Work;

/// So many causes are remembered; events beyond that are tried again.
const MOST: usize = 1_024;

/// Why events are dead whose letters could not be stored: they come again, and
/// are not tried again for it.
#[derive(Debug, Default)]
pub(super) struct Unburied(Mutex<HashMap<(u64, u64), (DeadCause, String)>>);

impl Unburied {
    /// Takes out why this one is dead.
    pub(super) fn take(&self, work: &Work) -> Option<(DeadCause, String)> {
        // What comes for the first time is not among them.
        if work.deliveries == 1 {
            return None;
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&place(work))
    }

    fn keep(&self, work: &Work, cause: DeadCause, reason: &str) {
        let mut causes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if causes.len() < MOST {
            causes.insert(place(work), (cause, reason.to_owned()));
        }
    }
}

fn place(work: &Work) -> (u64, u64) {
    (work.position.sequence, work.replay_id())
}

/// The bytes of an event that are in the log alone.
///
/// # Errors
/// `NotFound` where the log doesn't hold them any more.
pub(super) async fn bytes_in_log(
    jetstream: &dyn JetStream,
    log: &str,
    position: Position,
) -> Result<Bytes> {
    let info = jetstream.stream_info(log).await?;
    let gone = |error: Error| error.with("position", position.to_string());
    if info.created != position.created {
        let text = "the log was made anew and doesn't hold the event";
        return Err(gone(Error::new(ErrorKind::NotFound, REACT, text)));
    }
    let request = GetMessage::new(Which::Sequence(position.sequence));
    jetstream.get_message(log, request).await.map(|message| message.payload).map_err(gone)
}

impl Dispatcher {
    /// Makes a dead letter of it. Answered only once that is stored.
    pub(super) async fn bury(&self, work: Work, cause: DeadCause, reason: &str) {
        let letter = self.dead.letter(&work, cause, reason, self.clock.now());
        match self.keep(letter).await {
            Ok(()) => {
                count(&self.tally.dead);
                tracing::warn!(
                    group = &*work.group,
                    position = %work.position,
                    %cause,
                    tries = work.deliveries,
                    "an event became a dead letter: {reason}"
                );
                self.answer(&work, Acknowledge::Done).await;
            }
            Err(error) => {
                count(&self.tally.unburied);
                tracing::error!(
                    group = &*work.group,
                    position = %work.position,
                    %error,
                    "a dead letter can't be stored: the event comes again"
                );
                self.unburied.keep(&work, cause, reason);
                let after = self.options.backoff_max;
                self.answer(&work, Acknowledge::Retry { after }).await;
            }
        }
    }

    /// Reads the bytes of a replay that was too large to carry them; `None`
    /// where that can't be done now, and it has been answered. What the log has
    /// lost stays without them.
    pub(super) async fn with_bytes(&self, mut work: Work) -> Option<Work> {
        match bytes_in_log(&*self.jetstream, &self.dead.log, work.position).await {
            Ok(bytes) => {
                work.payload = bytes;
                Some(work)
            }
            Err(error) if error.is(ErrorKind::NotFound) => Some(work),
            Err(error) => {
                tracing::debug!(position = %work.position, %error, "an event can't be read: it comes again");
                let after = self.options.backoff_min;
                self.answer(&work, Acknowledge::Retry { after }).await;
                None
            }
        }
    }

    /// Stores a dead letter, once however often its event comes.
    async fn keep(&self, mut letter: PublishMessage) -> Result<()> {
        loop {
            let ack = match self.jetstream.publish(letter.clone()).await {
                // The event alone may be as large as the server takes, which
                // leaves no room for what is to be said of it.
                Err(error) if error.is(ErrorKind::TooLarge) && !letter.payload.is_empty() => {
                    letter = self.dead.without_bytes(letter);
                    continue;
                }
                result => result?,
            };
            let kept = GetMessage::new(Which::Sequence(ack.sequence));
            let is_there =
                !ack.duplicate || self.jetstream.get_message(&self.dead.dead, kept).await.is_ok();
            if is_there {
                return Ok(());
            }
            // Somebody has dropped it or had it replayed, and the group was
            // moved back: the next letter's id tells of the one that is gone.
            // Rather two letters than none, where nobody may look.
            let id = letter.message_id.unwrap_or_default();
            letter.message_id = Some(format!("{id}:{}", ack.sequence));
        }
    }
}
