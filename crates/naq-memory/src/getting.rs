//! Answers of many parts: lists, and stored messages by the batch.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use naq_core::jetstream::{
    StoredMessage, Which, WhichMany, check_filter, check_name, check_subject,
};
use naq_core::{BoxStream, Result};

use crate::model::Refusal;
use crate::shared::{Effect, Shared};

/// How many messages are taken under one lock.
const CHUNK: usize = 256;

/// A list that is made when the stream is first polled.
pub(crate) fn listed<T: Send + 'static>(
    list: impl Future<Output = Result<Vec<T>>> + Send + 'static,
) -> BoxStream<'static, Result<T>> {
    stream::once(list).map_ok(|items| stream::iter(items.into_iter().map(Ok))).try_flatten().boxed()
}

pub(crate) fn many(
    shared: Arc<Shared>,
    stream: String,
    which: WhichMany,
) -> BoxStream<'static, Result<StoredMessage>> {
    let getting = Getting { shared, stream, which, started: false, ready: VecDeque::new() };
    stream::unfold(Some(getting), |getting| async move {
        let mut getting = getting?;
        loop {
            if let Some(result) = getting.ready.pop_front() {
                return Some((result, Some(getting)));
            }
            match getting.take().await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some((Err(error), None)),
            }
        }
    })
    .boxed()
}

struct Getting {
    shared: Arc<Shared>,
    stream: String,
    /// What is still to be taken.
    which: WhichMany,
    started: bool,
    ready: VecDeque<Result<StoredMessage>>,
}

impl Getting {
    fn check(&self) -> Result<()> {
        check_name("get_messages", "stream", &self.stream)?;
        match &self.which {
            WhichMany::Sequences(_) => Ok(()),
            WhichMany::LastBySubjects(subjects) => {
                subjects.iter().try_for_each(|subject| check_subject("get_messages", subject))
            }
            WhichMany::From { limit: 0, .. } => {
                Err(Refusal::invalid("limit", "must be at least 1").error("get_messages"))
            }
            WhichMany::From { subject, .. } => {
                subject.iter().try_for_each(|subject| check_filter("get_messages", subject))
            }
        }
    }

    /// Takes the next chunk; answers false where nothing is left.
    async fn take(&mut self) -> Result<bool> {
        if !self.started {
            self.check()?;
            self.started = true;
        }
        if let WhichMany::Sequences(left) = &self.which
            && left.is_empty()
        {
            return Ok(false);
        }
        let (stream, which, ready) = (&self.stream, &mut self.which, &mut self.ready);
        self.shared
            .run("get_messages", Effect::None, |state, now| match which {
                WhichMany::Sequences(sequences) => {
                    let chunk: Vec<u64> = sequences.drain(..sequences.len().min(CHUNK)).collect();
                    for sequence in chunk {
                        ready.push_back(one(state.model.get(
                            stream,
                            &Which::Sequence(sequence),
                            now,
                        ))?);
                    }
                    Ok(true)
                }
                WhichMany::LastBySubjects(subjects) => {
                    let chunk: Vec<String> = subjects.drain(..subjects.len().min(CHUNK)).collect();
                    let any = !chunk.is_empty();
                    for subject in chunk {
                        ready.push_back(one(state.model.get(
                            stream,
                            &Which::LastBySubject(subject),
                            now,
                        ))?);
                    }
                    Ok(any)
                }
                WhichMany::From { sequence, subject, limit } => {
                    let most = CHUNK.min(usize::try_from(*limit).unwrap_or(CHUNK));
                    let found =
                        state.model.get_from(stream, *sequence, subject.as_deref(), most, now)?;
                    let Some(last) = found.last() else { return Ok(false) };
                    *sequence = last.sequence + 1;
                    *limit -= found.len() as u64;
                    ready.extend(found.into_iter().map(Ok));
                    Ok(true)
                }
            })
            .await
    }
}

/// A message that isn't there is an answer; all else ends the whole.
fn one(got: Result<StoredMessage, Refusal>) -> Result<Result<StoredMessage>, Refusal> {
    match got {
        Ok(message) => Ok(Ok(message)),
        Err(Refusal::NoMessage) => Ok(Err(Refusal::NoMessage.error("get_messages"))),
        Err(refusal) => Err(refusal),
    }
}
