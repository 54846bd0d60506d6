//! Many keys at a time: pipelined, a result each, in the order in which they were given.

use std::sync::Arc;

use futures::stream::{self, StreamExt};
use naq_core::jetstream::{
    Consistency, GetMessages, JetStream, JetStreamExt, PublishAck, StoredMessage, WhichMany,
};
use naq_core::kv::{KeyResult, KvEntry, KvWrite};
use naq_core::{BoxStream, Error, ErrorKind, Result};

use crate::read::present;
use crate::wire::Names;
use crate::write::{Write, settle};

/// Sends all writes that are valid and yields what became of each.
pub(crate) fn write_many(
    jetstream: Arc<dyn JetStream>,
    names: Names,
    writes: Vec<KvWrite>,
) -> BoxStream<'static, KeyResult<u64>> {
    let writes: Vec<_> = writes
        .into_iter()
        .map(|write| {
            let operation = match &write {
                KvWrite::Put { .. } => "bulk_put",
                KvWrite::Remove { .. } => "bulk_delete",
            };
            let key = write.key().to_owned();
            (key, Write::new(operation, &names, write))
        })
        .collect();
    let messages: Vec<_> = writes
        .iter()
        .filter_map(|(_, write)| write.as_ref().ok().map(|write| write.message.clone()))
        .collect();
    let acks = match messages.is_empty() {
        true => stream::empty().boxed(),
        false => jetstream.publish_each(stream::iter(messages).boxed()),
    };
    let state = (writes.into_iter(), acks, jetstream, names);
    stream::unfold(state, |(mut writes, mut acks, jetstream, names)| async move {
        let (key, write) = writes.next()?;
        let result = match write {
            Ok(write) => sent(&*jetstream, &names, &write, acks.next().await).await,
            Err(error) => Err(error),
        };
        Some((KeyResult { key, result }, (writes, acks, jetstream, names)))
    })
    .boxed()
}

async fn sent(
    jetstream: &dyn JetStream,
    names: &Names,
    write: &Write,
    ack: Option<Result<PublishAck>>,
) -> Result<u64> {
    let answer = ack.unwrap_or_else(|| {
        Err(Error::new(
            ErrorKind::OutcomeUnknown,
            write.operation,
            "the answers ended before the one to this write",
        ))
    });
    settle(jetstream, names, write, answer.map(|ack| ack.sequence)).await
}

/// Gets the latest revision of all keys that are valid, and yields what became of each.
pub(crate) fn get_many(
    jetstream: &Arc<dyn JetStream>,
    names: Names,
    keys: Vec<String>,
    consistency: Consistency,
) -> BoxStream<'static, KeyResult<Option<KvEntry>>> {
    let keys: Vec<(String, Result<String>)> = keys
        .into_iter()
        .map(|key| {
            let subject = names.subject(OPERATION, &key);
            (key, subject)
        })
        .collect();
    let subjects: Vec<_> =
        keys.iter().filter_map(|(_, subject)| subject.as_ref().ok().cloned()).collect();
    let messages = match subjects.is_empty() {
        true => stream::empty().boxed(),
        false => jetstream.get_messages(
            &names.stream,
            GetMessages::new(WhichMany::LastBySubjects(subjects)).with_consistency(consistency),
        ),
    };
    let answers = Answers { messages, ended_by: None };
    stream::unfold(
        (keys.into_iter(), answers, names),
        |(mut keys, mut answers, names)| async move {
            let (key, subject) = keys.next()?;
            let result = match subject {
                Ok(_) => {
                    answers.next().await.map_err(|error| names.told_of(OPERATION, &key, error))
                }
                Err(error) => Err(error),
            };
            let result = result.map(|message| message.and_then(|message| names.entry(message)));
            Some((KeyResult { key, result }, (keys, answers, names)))
        },
    )
    .boxed()
}

const OPERATION: &str = "bulk_get";

/// The answers of one bulk read; the error that ended it stands for all that follow.
struct Answers {
    messages: BoxStream<'static, Result<StoredMessage>>,
    ended_by: Option<Error>,
}

impl Answers {
    async fn next(&mut self) -> Result<Option<StoredMessage>> {
        if let Some(error) = &self.ended_by {
            return Err(error.clone());
        }
        let answer = self.messages.next().await.unwrap_or_else(|| {
            Err(Error::new(
                ErrorKind::Unexpected,
                OPERATION,
                "the answers ended before the one to this key",
            ))
        });
        let answer = present(answer);
        self.ended_by = answer.as_ref().err().cloned();
        answer
    }
}
