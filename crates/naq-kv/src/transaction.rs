//! Several changes, all or none, through an atomic batch.

use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::StreamExt;
use naq_core::jetstream::{
    BatchAck, Consistency, GetMessages, JetStream, PublishMessage, StoredMessage, WhichMany,
};
use naq_core::kv::KvWrite;
use naq_core::{Error, ErrorKind, Result};

use crate::read::{last_message, present};
use crate::wire::Names;
use crate::write::{Condition, Write};

const OPERATION: &str = "transaction";

/// The most messages that the server takes in one batch.
const MAX_WRITES: usize = 1_000;

/// How often creates look again when their keys are removed under their hands.
const ROUNDS: usize = 4;

/// Carries out all writes or none and answers their revisions.
pub(crate) async fn transaction(
    jetstream: &Arc<dyn JetStream>,
    names: &Names,
    writes: Vec<KvWrite>,
) -> Result<Vec<u64>> {
    if writes.is_empty() {
        return Ok(Vec::new());
    }
    let transaction = Transaction::new(names, writes)?;
    for _ in 0..ROUNDS {
        let latest = transaction.creates_now(&**jetstream).await?;
        let answer = jetstream.publish_atomic(transaction.messages(&latest)).await;
        let error = match answer {
            Ok(ack) => return Ok(revisions(&ack)),
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::OutcomeUnknown => return transaction.look_up(&**jetstream, error).await,
            ErrorKind::Conflict => {}
            _ => return Err(names.told(OPERATION, error)),
        }
        if let Some(refusal) = transaction.refusal(&**jetstream).await? {
            return refusal;
        }
    }
    Err(Error::new(ErrorKind::Conflict, OPERATION, "others keep writing the keys")
        .with("bucket", &names.bucket)
        .with_hint("try again"))
}

/// The sequences of a batch's messages lie right behind one another.
fn revisions(ack: &BatchAck) -> Vec<u64> {
    (ack.sequence + 1 - ack.count..=ack.sequence).collect()
}

struct Transaction<'a> {
    names: &'a Names,
    writes: Vec<Write>,
}

impl<'a> Transaction<'a> {
    fn new(names: &'a Names, writes: Vec<KvWrite>) -> Result<Self> {
        if writes.len() > MAX_WRITES {
            return Err(Error::invalid(OPERATION, "writes", "must be at most 1000")
                .with("writes", writes.len().to_string()));
        }
        let writes = writes
            .into_iter()
            .map(|write| Write::new(OPERATION, names, write))
            .collect::<Result<Vec<_>>>()?;
        let mut keys = HashSet::with_capacity(writes.len());
        match writes.iter().find(|write| !keys.insert(write.key.as_str())) {
            None => Ok(Self { names, writes }),
            Some(again) => Err(Error::invalid(
                OPERATION,
                "writes",
                "must each be of another key: the server compares with what was there before",
            )
            .with("key", &again.key)),
        }
    }

    /// The latest revision of each key that is to be created, 0 for none, in the writes' order.
    ///
    /// A marker's revision must be expected by its number, so it is looked up
    /// first; a value is a refusal already.
    async fn creates_now(&self, jetstream: &dyn JetStream) -> Result<Vec<Option<u64>>> {
        let is_create = |write: &&Write| write.condition == Condition::NoValue;
        let creates: Vec<&Write> = self.writes.iter().filter(is_create).collect();
        let found = self.latest(jetstream, &creates).await?;
        let taken: Vec<&Write> = creates
            .iter()
            .zip(&found)
            .filter(|(_, found)| found.as_ref().is_some_and(|message| self.is_live(message)))
            .map(|(write, _)| *write)
            .collect();
        if !taken.is_empty() {
            return Err(self.refused(&taken));
        }
        let mut found = found.into_iter();
        let latest = self.writes.iter().map(|write| match write.condition {
            Condition::NoValue => Some(found.next().flatten().map_or(0, |marker| marker.sequence)),
            _ => None,
        });
        Ok(latest.collect())
    }

    /// The messages, each with the expectation that its condition comes to.
    fn messages(&self, latest: &[Option<u64>]) -> Vec<PublishMessage> {
        self.writes
            .iter()
            .zip(latest)
            .map(|(write, latest)| match latest {
                Some(revision) => write.expecting(*revision),
                None => write.message.clone(),
            })
            .collect()
    }

    /// The answer got lost: a message that is there says that all of them are.
    async fn look_up(&self, jetstream: &dyn JetStream, error: Error) -> Result<Vec<u64>> {
        let marked = self.writes.iter().position(|write| write.id().is_some());
        if let Some(index) = marked {
            let write = &self.writes[index];
            match last_message(jetstream, self.names, &write.message.subject, Consistency::Leader)
                .await
            {
                Ok(Some(message)) if write.is(&message) => {
                    let first = message.sequence - index as u64;
                    return Ok((first..first + self.writes.len() as u64).collect());
                }
                Ok(_) => {}
                Err(looking) => {
                    tracing::debug!(%looking, "could not look a doubtful transaction up");
                }
            }
        }
        Err(self.names.told(OPERATION, error).with_hint("read the keys to see what they have now"))
    }

    /// Which conditions did not hold; `None` where all hold now, so that another try is due.
    ///
    /// The server doesn't say; a batch of this transaction that was stored
    /// before (its refusal then is about ids it knows) is a success.
    async fn refusal(&self, jetstream: &dyn JetStream) -> Result<Option<Result<Vec<u64>>>> {
        let conditional: Vec<(usize, &Write)> = self
            .writes
            .iter()
            .enumerate()
            .filter(|(_, write)| write.condition != Condition::Nothing)
            .collect();
        let writes: Vec<&Write> = conditional.iter().map(|(_, write)| *write).collect();
        let found = self.latest(jetstream, &writes).await?;
        let mut refused = Vec::new();
        for ((index, write), found) in conditional.into_iter().zip(found) {
            if let Some(message) = found.as_ref().filter(|message| write.is(message)) {
                let first = message.sequence - index as u64;
                return Ok(Some(Ok((first..first + self.writes.len() as u64).collect())));
            }
            let holds = match write.condition {
                Condition::Nothing => true,
                Condition::NoValue => !found.as_ref().is_some_and(|found| self.is_live(found)),
                Condition::Latest(expected) => {
                    found.as_ref().map_or(0, |found| found.sequence) == expected
                }
            };
            if !holds {
                refused.push(write);
            }
        }
        Ok((!refused.is_empty()).then(|| Err(self.refused(&refused))))
    }

    fn refused(&self, refused: &[&Write]) -> Error {
        let creates = refused.iter().all(|write| write.condition == Condition::NoValue);
        let (kind, message) = if creates {
            (ErrorKind::AlreadyExists, "keys that were to be created have values")
        } else {
            (ErrorKind::Conflict, "keys were changed meanwhile")
        };
        let keys: Vec<&str> = refused.iter().map(|write| write.key.as_str()).collect();
        Error::new(kind, OPERATION, message)
            .with("bucket", &self.names.bucket)
            .with("keys", keys.join(" "))
            .with_hint("nothing was changed: read the keys again and decide anew")
    }

    /// The latest message of the key of each of these writes.
    async fn latest(
        &self,
        jetstream: &dyn JetStream,
        writes: &[&Write],
    ) -> Result<Vec<Option<StoredMessage>>> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let subjects = writes.iter().map(|write| write.message.subject.to_string()).collect();
        let request = GetMessages::new(WhichMany::LastBySubjects(subjects));
        let mut answers = jetstream.get_messages(&self.names.stream, request);
        let mut latest = Vec::with_capacity(writes.len());
        while let Some(answer) = answers.next().await {
            latest.push(present(answer).map_err(|error| self.names.told(OPERATION, error))?);
        }
        if latest.len() == writes.len() {
            return Ok(latest);
        }
        Err(Error::new(
            ErrorKind::Unexpected,
            OPERATION,
            "the answers ended before those to all keys",
        )
        .with("bucket", &self.names.bucket))
    }

    fn is_live(&self, message: &StoredMessage) -> bool {
        self.names.entry(message.clone()).is_some_and(|entry| entry.is_live())
    }
}
