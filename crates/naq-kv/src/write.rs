//! Writing one key: messages with conditions, and what a refusal or a lost answer means.

use std::time::Duration;

use bytes::Bytes;
use naq_core::jetstream::{
    Consistency, Expected, JetStream, MessageTtl, PublishMessage, StoredMessage,
};
use naq_core::kv::{KvWrite, PutMode, RemoveMode};
use naq_core::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::read::last_message;
use crate::wire::{self, Names};

/// How often a create looks again when the key is removed and put under its hands.
///
/// Each further round needs another writer that hits the moment between the
/// look and the write.
const CREATE_ROUNDS: usize = 8;

/// A write that has been checked and is ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) operation: &'static str,
    pub(crate) key: String,
    pub(crate) condition: Condition,
    pub(crate) message: PublishMessage,
}

/// What must hold for a write to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Nothing,
    /// The key has no value; it may have a marker.
    NoValue,
    /// The key's latest revision, 0 for none.
    Latest(u64),
}

impl Condition {
    /// The revision that the server is asked to expect, as long as nothing else is known.
    fn first_expectation(self) -> Option<u64> {
        match self {
            Self::Nothing => None,
            Self::NoValue => Some(0),
            Self::Latest(revision) => Some(revision),
        }
    }
}

impl Write {
    /// Checks a write and makes its message.
    ///
    /// A write with a condition carries a message id of its own: by it, its
    /// message is known again where the answer got lost or is a refusal of what
    /// was stored already. It names its stream, so that nobody needs the right to
    /// look up which one that is.
    pub(crate) fn new(operation: &'static str, names: &Names, write: KvWrite) -> Result<Self> {
        let subject = names.subject(operation, write.key())?;
        let (key, condition, message) = match write {
            KvWrite::Put { key, value, options } => {
                let condition = match options.mode {
                    PutMode::Create => Condition::NoValue,
                    PutMode::Update(revision) => Condition::Latest(revision),
                    _ => Condition::Nothing,
                };
                let mut message = PublishMessage::new(subject, value);
                message.ttl = whole_seconds(operation, "ttl", options.ttl)?;
                (key, condition, message)
            }
            KvWrite::Remove { key, options } => {
                if options.marker_ttl.is_some() && options.mode != RemoveMode::Purge {
                    let rule = "goes with a purge alone: older revisions would show again";
                    return Err(Error::invalid(operation, "marker_ttl", rule).with("key", key));
                }
                let condition = options.expected.map_or(Condition::Nothing, Condition::Latest);
                let mut message = PublishMessage::new(subject, Bytes::new())
                    .with_headers(wire::removal(options.mode));
                message.ttl = whole_seconds(operation, "marker_ttl", options.marker_ttl)?;
                (key, condition, message)
            }
        };
        let message = match condition.first_expectation() {
            Some(revision) => {
                let expected = Expected::default().with_stream(&names.stream);
                let expected = expected.with_last_subject_sequence(revision);
                message.with_expected(expected).with_message_id(new_id())
            }
            None => message,
        };
        Ok(Self { operation, key, condition, message })
    }

    /// The message, if it expects this revision.
    pub(crate) fn expecting(&self, revision: u64) -> PublishMessage {
        let mut message = self.message.clone();
        message.expected.last_subject_sequence = Some(revision);
        message
    }

    /// The id of its message; only a write with a condition has one.
    pub(crate) fn id(&self) -> Option<&str> {
        self.message.message_id.as_deref()
    }

    /// Whether a message is this write, stored.
    pub(crate) fn is(&self, message: &StoredMessage) -> bool {
        self.id().is_some_and(|id| wire::has_id(message, id))
    }

    /// The condition didn't hold: `found` is the key's latest message.
    pub(crate) fn refused(&self, names: &Names, found: Option<&StoredMessage>) -> Error {
        let (kind, message, hint) = match self.condition {
            Condition::NoValue => (
                ErrorKind::AlreadyExists,
                "the key has a value",
                "update it by its revision, or put it whatever it has",
            ),
            _ => (
                ErrorKind::Conflict,
                "another revision is the key's latest",
                "read the key again and decide anew, or let update_with do it",
            ),
        };
        let error = Error::new(kind, self.operation, message)
            .with("bucket", &names.bucket)
            .with("key", &self.key)
            .with_hint(hint);
        let error = match self.condition {
            Condition::Latest(expected) => error.with("expected", expected.to_string()),
            _ => error,
        };
        error.with("found", found.map_or(0, |message| message.sequence).to_string())
    }
}

/// A message id that nobody else has.
fn new_id() -> String {
    Uuid::now_v7().simple().to_string()
}

fn whole_seconds(
    operation: &'static str,
    field: &'static str,
    ttl: Option<Duration>,
) -> Result<Option<MessageTtl>> {
    match ttl {
        None => Ok(None),
        Some(ttl) if ttl.subsec_nanos() == 0 && ttl.as_secs() >= 1 => {
            Ok(Some(MessageTtl::After(ttl)))
        }
        Some(_) => Err(Error::invalid(operation, field, "must be whole seconds, at least one")),
    }
}

/// Sends a write and answers its revision.
pub(crate) async fn send(jetstream: &dyn JetStream, names: &Names, write: &Write) -> Result<u64> {
    let answer = jetstream.publish(write.message.clone()).await;
    settle(jetstream, names, write, answer.map(|ack| ack.sequence)).await
}

/// Finds out what an answer means, and goes on where a create met a marker.
pub(crate) async fn settle(
    jetstream: &dyn JetStream,
    names: &Names,
    write: &Write,
    mut answer: Result<u64>,
) -> Result<u64> {
    for _ in 0..CREATE_ROUNDS {
        let error = match answer {
            Ok(revision) => return Ok(revision),
            Err(error) => error,
        };
        let told = |error| names.told_of(write.operation, &write.key, error);
        let doubtful = matches!(error.kind(), ErrorKind::Conflict | ErrorKind::OutcomeUnknown);
        if !doubtful || write.condition == Condition::Nothing {
            return Err(told(error));
        }
        let found = match last_message(
            jetstream,
            names,
            &write.message.subject,
            Consistency::Leader,
        )
        .await
        {
            Ok(found) => found,
            Err(looking) => {
                tracing::debug!(key = %write.key, %looking, "could not look a doubtful write up");
                return Err(told(error));
            }
        };
        match &found {
            // Stored after all: the answer was lost, or refused what had been stored before.
            Some(message) if write.is(message) => return Ok(message.sequence),
            // Still under way, or stored and written over: nobody can tell.
            _ if error.is(ErrorKind::OutcomeUnknown) => {
                return Err(told(error).with_hint("read the key to see what it has now"));
            }
            _ => {}
        }
        let is_live = |message: &StoredMessage| {
            names.entry(message.clone()).is_some_and(|entry| entry.is_live())
        };
        if write.condition != Condition::NoValue || found.as_ref().is_some_and(is_live) {
            return Err(write.refused(names, found.as_ref()));
        }
        let revision = found.map_or(0, |marker| marker.sequence);
        answer = jetstream.publish(write.expecting(revision)).await.map(|ack| ack.sequence);
    }
    answer.map_err(|_| {
        Error::new(ErrorKind::Conflict, write.operation, "others keep writing the key")
            .with("bucket", &names.bucket)
            .with("key", &write.key)
            .with_hint("try again")
    })
}
