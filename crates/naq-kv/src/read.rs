//! Reading: one revision, all revisions of a key, and the keys that there are.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use naq_core::jetstream::{
    Consistency, Delivery, GetMessage, JetStream, ReadOptions, ReadStart, ReadUntil, StoredMessage,
    Which, is_no_message,
};
use naq_core::kv::{GetOptions, KeySelection, KvEntry, MAX_HISTORY};
use naq_core::{BoxStream, Error, Result};

use crate::wire::Names;

/// How often a read that must not miss a key goes on to a new head.
///
/// A key is missed only if it is written anew during every round, each time
/// behind that round's head and before it is read; rounds take milliseconds.
const ROUNDS: u32 = 8;

/// The last message on a subject.
pub(crate) async fn last_message(
    jetstream: &dyn JetStream,
    names: &Names,
    subject: &str,
    consistency: Consistency,
) -> Result<Option<StoredMessage>> {
    let request =
        GetMessage::new(Which::LastBySubject(subject.to_owned())).with_consistency(consistency);
    present(jetstream.get_message(&names.stream, request).await)
}

/// A message that isn't there is `None`; a bucket that isn't there stays an error.
pub(crate) fn present(answer: Result<StoredMessage>) -> Result<Option<StoredMessage>> {
    match answer {
        Ok(message) => Ok(Some(message)),
        Err(error) if is_no_message(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// One revision of a key.
pub(crate) async fn get(
    jetstream: &dyn JetStream,
    names: &Names,
    key: &str,
    options: GetOptions,
) -> Result<Option<KvEntry>> {
    const OPERATION: &str = "get";
    let subject = names.subject(OPERATION, key)?;
    let message = match options.revision {
        None => last_message(jetstream, names, &subject, options.consistency).await,
        Some(0) => {
            return Err(
                Error::invalid(OPERATION, "revision", "must be at least 1").with("key", key)
            );
        }
        Some(revision) => {
            let request =
                GetMessage::new(Which::Sequence(revision)).with_consistency(options.consistency);
            present(jetstream.get_message(&names.stream, request).await)
        }
    };
    let message = message.map_err(|error| names.told_of(OPERATION, key, error))?;
    // A revision belongs to one key: under another one it isn't there.
    Ok(message.filter(|message| message.subject == subject).and_then(|m| names.entry(m)))
}

/// All revisions of a key, the newest [`MAX_HISTORY`].
pub(crate) async fn history(
    jetstream: Arc<dyn JetStream>,
    names: &Names,
    key: &str,
) -> Result<Vec<KvEntry>> {
    const OPERATION: &str = "history";
    let options = ReadOptions::default().with_subject(names.subject(OPERATION, key)?);
    let mut messages = settled(jetstream, names.stream.clone(), options);
    let mut newest = VecDeque::new();
    while let Some(message) = messages.next().await {
        let message = message.map_err(|error| names.told_of(OPERATION, key, error))?;
        newest.extend(names.entry(message));
        if newest.len() as u64 > MAX_HISTORY {
            newest.pop_front();
        }
    }
    Ok(newest.into())
}

/// The keys of a selection that have a value.
///
/// Each is told as it comes. What was told is remembered, because one that is
/// written meanwhile comes again: memory for each key, not for its value.
pub(crate) fn keys(
    jetstream: Arc<dyn JetStream>,
    names: Names,
    selection: KeySelection,
) -> BoxStream<'static, Result<String>> {
    const OPERATION: &str = "keys";
    let filter = match names.filter(OPERATION, &selection) {
        Ok(filter) => filter,
        Err(error) => return stream::iter([Err(error)]).boxed(),
    };
    let options = ReadOptions::default()
        .with_start(ReadStart::LastPerSubject)
        .with_subject(filter)
        .with_headers_only(true);
    let mut listed = HashSet::new();
    settled(jetstream, names.stream.clone(), options)
        .map(move |message| match message {
            Ok(message) => {
                let entry = names.entry(message).filter(KvEntry::is_live);
                let key = entry.map(|entry| entry.key).filter(|key| selection.matches(key));
                Ok(key.filter(|key| listed.insert(key.clone())))
            }
            Err(error) => Err(names.told(OPERATION, error)),
        })
        .try_filter_map(|key| async { Ok(key) })
        .boxed()
}

/// A read up to a head at which nothing was written that it missed.
///
/// A read up to the head misses a subject whose message is written anew
/// meanwhile, as it then lies behind that head; in a bucket without history
/// the old one is gone. So the read goes on from head to head until one stands.
fn settled(
    jetstream: Arc<dyn JetStream>,
    stream: String,
    options: ReadOptions,
) -> BoxStream<'static, Result<StoredMessage>> {
    let options = options.with_until(ReadUntil::Head);
    let round = Round { deliveries: jetstream.read(&stream, options.clone()), head: 0, number: 1 };
    stream::try_unfold((jetstream, stream, options, round), |mut state| async move {
        let (jetstream, stream, options, round) = &mut state;
        loop {
            match round.deliveries.next().await.transpose()? {
                Some(Delivery::Message(message)) => return Ok(Some((message, state))),
                Some(Delivery::CaughtUp { sequence }) => round.head = round.head.max(sequence),
                // Neither loses what stands at the end: what is gone was replaced or aged away.
                Some(Delivery::Gap { .. } | Delivery::Resumed { .. }) => {}
                None if round.number == ROUNDS => return Ok(None),
                None => {
                    let last = jetstream.stream_info(stream).await?.state.last_sequence;
                    if last <= round.head {
                        return Ok(None);
                    }
                    let next = options.clone().with_start(ReadStart::Sequence(round.head + 1));
                    round.deliveries = jetstream.read(stream, next);
                    round.number += 1;
                }
            }
        }
    })
    .boxed()
}

struct Round {
    deliveries: BoxStream<'static, Result<Delivery>>,
    head: u64,
    number: u32,
}
