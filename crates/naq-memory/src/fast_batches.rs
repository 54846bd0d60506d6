//! Fast batches: many messages, each stored only if all before it are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, ReadyChunks, StreamExt};
use naq_core::jetstream::{PublishMessage, Published, check_batch_id, check_subject};
use naq_core::{BoxStream, Error, Result};

use crate::faults::{PublishFault, injected};
use crate::model::{Moment, Refusal};
use crate::publishing::lost_ack;
use crate::session::{Effect, Session, about};
use crate::shared::State;

const OPERATION: &str = "publish_many";

/// How many messages are stored under one lock.
const CHUNK: usize = 256;

/// A batch without a message for so long is forgotten, as on a server.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// The batches that are under way, or were until somebody lost interest.
#[derive(Debug, Default)]
pub(crate) struct FastBatches(HashMap<String, Known>);

#[derive(Debug)]
struct Known {
    stream: String,
    /// How many of its messages are stored.
    stored: u64,
    /// The monotonic time of the last one.
    seen: Duration,
}

impl FastBatches {
    fn forget_old(&mut self, now: Duration) {
        self.0.retain(|_, known| now.saturating_sub(known.seen) < FORGOTTEN_AFTER);
    }
}

/// Stores messages as long as none is refused; messages that are ready together together.
pub(crate) fn publish(
    session: Arc<Session>,
    messages: BoxStream<'static, PublishMessage>,
    id: String,
    confirm_start: bool,
) -> BoxStream<'static, Result<Published>> {
    let batch = Batch {
        session,
        messages: messages.ready_chunks(CHUNK),
        id,
        // The first message is confirmed as soon as it is taken.
        first_has_id_alone: confirm_start,
        stored: 0,
        seen: None,
        course: Course::Begin,
    };
    stream::unfold(batch, |mut batch| async move {
        let answers = batch.step().await?;
        Some((stream::iter(answers), batch))
    })
    .flatten()
    .boxed()
}

/// One batch as its publisher knows it.
struct Batch {
    session: Arc<Session>,
    messages: ReadyChunks<BoxStream<'static, PublishMessage>>,
    id: String,
    /// Whether the first message alone keeps its message id.
    first_has_id_alone: bool,
    stored: u64,
    /// The monotonic time of the last message.
    seen: Option<Duration>,
    course: Course,
}

/// How it goes on.
enum Course {
    Begin,
    Running,
    Over,
}

impl Batch {
    /// The next answers; `None` at the end.
    async fn step(&mut self) -> Option<Vec<Result<Published>>> {
        match self.course {
            Course::Over => return None,
            Course::Running => {}
            Course::Begin => {
                self.course = Course::Running;
                if let Err(error) = self.begin().await {
                    return Some(self.fail(0, error));
                }
            }
        }
        let Some(messages) = self.messages.next().await else {
            self.session.state().batches.0.remove(&self.id);
            return None;
        };
        if let Err(error) = self.session.pass(OPERATION, Effect::Change).await {
            return Some(self.fail(0, error));
        }
        let now = self.session.moment();
        let session = Arc::clone(&self.session);
        let mut state = session.state();
        let mut count = 0;
        for message in messages {
            match self.store(&mut state, message, now) {
                Ok(()) => count += 1,
                Err(error) => return Some(self.fail(count, error)),
            }
        }
        Some(vec![Ok(Published::Next(count))])
    }

    async fn begin(&mut self) -> Result<()> {
        check_batch_id(OPERATION, &self.id)?;
        self.session
            .run(OPERATION, Effect::Change, |state, now| {
                state.batches.forget_old(now.monotonic);
                state.model.check_fast_ingest()
            })
            .await
    }

    /// The last answers.
    fn fail(&mut self, stored: u64, error: Error) -> Vec<Result<Published>> {
        self.course = Course::Over;
        let stored = (stored > 0).then_some(Ok(Published::Next(stored)));
        stored.into_iter().chain([Err(error)]).collect()
    }

    fn store(&mut self, state: &mut State, mut message: PublishMessage, now: Moment) -> Result<()> {
        let fault = state.faults.next_publish();
        if let PublishFault::Fail(kind) = fault {
            return Err(injected(OPERATION, kind));
        }
        check_subject(OPERATION, &message.subject)?;
        let subject = message.subject.clone();
        let told = |refusal: Refusal| about(refusal.error(OPERATION), "subject", &subject);
        // What another batch of this id left isn't this one's.
        let known = self.seen.and_then(|_| state.batches.0.get(&self.id));
        let known = known.map(|known| known.stream.clone());
        let fresh = |seen| now.monotonic.saturating_sub(seen) < FORGOTTEN_AFTER;
        if known.is_some() && self.first_has_id_alone {
            message.message_id = None;
        }
        if known.is_none() && self.seen.is_some_and(fresh) {
            // Somebody fenced it off.
            return Err(told(Refusal::UnknownBatch(self.id.clone())));
        }
        let stored = state.model.publish_in_batch(message, &self.id, known.as_deref(), now);
        let ack = stored.map_err(|refusal| {
            // It ends with that.
            state.batches.0.remove(&self.id);
            told(refusal)
        })?;
        state.tell(&ack.stream);
        self.stored += 1;
        self.seen = Some(now.monotonic);
        let known = Known { stream: ack.stream, stored: self.stored, seen: now.monotonic };
        state.batches.0.insert(self.id.clone(), known);
        match fault {
            PublishFault::LoseAck => Err(lost_ack(OPERATION)),
            _ => Ok(()),
        }
    }
}

/// Ends a batch, and says how many of its messages are stored.
pub(crate) async fn close(session: &Session, subject: &str, batch: &str) -> Result<Option<u64>> {
    const OPERATION: &str = "close_fast_batch";
    check_subject(OPERATION, subject)?;
    check_batch_id(OPERATION, batch)?;
    session
        .run(OPERATION, Effect::None, |state, now| {
            state.model.check_fast_ingest()?;
            let stream = state.model.batched_stream_for(subject)?;
            state.batches.forget_old(now.monotonic);
            if state.batches.0.get(batch).is_none_or(|known| known.stream != stream) {
                return Ok(None);
            }
            Ok(state.batches.0.remove(batch).map(|known| known.stored))
        })
        .await
        .map_err(|error| about(error, "subject", subject))
}
