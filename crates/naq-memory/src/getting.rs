//! Answers of many parts: lists, and stored messages by the batch.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::vec;

use futures::{StreamExt, TryStreamExt, stream};
use naq_core::jetstream::{
    StoredMessage, Which, WhichMany, check_filter, check_name, check_subject,
};
use naq_core::{BoxStream, Error, Result};

use crate::model::Refusal;
use crate::session::{Effect, Session};

const OPERATION: &str = "get_messages";

/// How many messages are taken under one lock.
const CHUNK: usize = 256;

/// A list that is made when the stream is first polled.
pub(crate) fn listed<T: Send + 'static>(
    list: impl Future<Output = Result<Vec<T>>> + Send + 'static,
) -> BoxStream<'static, Result<T>> {
    stream::once(list).map_ok(|items| stream::iter(items.into_iter().map(Ok))).try_flatten().boxed()
}

pub(crate) fn many(
    session: Arc<Session>,
    stream: String,
    which: WhichMany,
) -> BoxStream<'static, Result<StoredMessage>> {
    if let Err(error) = check(&stream, &which) {
        return stream::once(std::future::ready(Err(error))).boxed();
    }
    let left = match which {
        WhichMany::Sequences(sequences) => Left::Sequences(sequences.into_iter()),
        WhichMany::LastBySubjects(subjects) => Left::LastBySubjects(subjects.into_iter()),
        WhichMany::From { sequence, subject, limit } => Left::From { sequence, subject, limit },
    };
    let getting = Getting { session, stream, left, ready: VecDeque::new() };
    stream::unfold(Some(getting), |getting| async move {
        let mut getting = getting?;
        if getting.ready.is_empty()
            && let Err(error) = getting.take().await
        {
            return Some((Err(error), None));
        }
        getting.ready.pop_front().map(|result| (result, Some(getting)))
    })
    .boxed()
}

fn check(stream: &str, which: &WhichMany) -> Result<()> {
    check_name(OPERATION, "stream", stream)?;
    match which {
        WhichMany::Sequences(_) => Ok(()),
        WhichMany::LastBySubjects(subjects) => {
            subjects.iter().try_for_each(|subject| check_subject(OPERATION, subject))
        }
        WhichMany::From { limit: 0, .. } => {
            Err(Refusal::invalid("limit", "must be at least 1").error(OPERATION))
        }
        WhichMany::From { subject, .. } => {
            subject.iter().try_for_each(|subject| check_filter(OPERATION, subject))
        }
    }
}

struct Getting {
    session: Arc<Session>,
    stream: String,
    left: Left,
    ready: VecDeque<Result<StoredMessage>>,
}

/// What is still to be taken.
enum Left {
    Sequences(vec::IntoIter<u64>),
    LastBySubjects(vec::IntoIter<String>),
    From { sequence: u64, subject: Option<String>, limit: u64 },
}

impl Getting {
    /// Takes the next chunk; none is ready afterwards where nothing is left.
    async fn take(&mut self) -> Result<()> {
        let Self { session, stream, left, ready } = self;
        let stream = stream.as_str();
        session
            .run(OPERATION, Effect::None, |state, now| {
                let take = |which: Which| {
                    ready.push_back(one(state.model.get(stream, &which, now), stream, &which)?);
                    Ok(())
                };
                match left {
                    Left::Sequences(sequences) => {
                        sequences.take(CHUNK).map(Which::Sequence).try_for_each(take)
                    }
                    Left::LastBySubjects(subjects) => {
                        subjects.take(CHUNK).map(Which::LastBySubject).try_for_each(take)
                    }
                    Left::From { sequence, subject, limit } => {
                        let most = CHUNK.min(usize::try_from(*limit).unwrap_or(CHUNK));
                        let filter = subject.as_deref();
                        let found = state.model.get_from(stream, *sequence, filter, most, now)?;
                        if let Some(last) = found.last() {
                            *sequence = last.sequence + 1;
                            *limit -= found.len() as u64;
                        }
                        ready.extend(found.into_iter().map(Ok));
                        Ok(())
                    }
                }
            })
            .await
    }
}

/// A message that isn't there is an answer; all else ends the whole.
fn one(
    got: Result<StoredMessage, Refusal>,
    stream: &str,
    which: &Which,
) -> Result<Result<StoredMessage>, Refusal> {
    match got {
        Ok(message) => Ok(Ok(message)),
        Err(Refusal::NoMessage) => {
            let error = Refusal::NoMessage.error(OPERATION).with("stream", stream);
            Ok(Err(about_which(error, which)))
        }
        Err(refusal) => Err(refusal),
    }
}

/// Adds which message was asked for.
pub(crate) fn about_which(error: Error, which: &Which) -> Error {
    match which {
        Which::Sequence(sequence) => error.with("sequence", sequence.to_string()),
        Which::LastBySubject(subject) => error.with("subject", subject),
        Which::NextBySubject { subject, sequence } => {
            error.with("subject", subject).with("from", sequence.to_string())
        }
    }
}
