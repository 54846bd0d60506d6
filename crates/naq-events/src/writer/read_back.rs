//! Reading the stream to see which events of a broken batch are in it.

use std::collections::HashSet;

use futures::StreamExt;
use naq_core::events::{EventId, decode};
use naq_core::jetstream::{Delivery, JetStream, ReadOptions, ReadStart, ReadUntil, StreamInfo};
use naq_core::{ErrorKind, Result, Timestamp};

/// What the reading brought.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The events that are in the stream.
    pub(super) ids: HashSet<EventId>,
    /// Whether the others are not, for certain.
    pub(super) is_certain: bool,
}

/// Whether this connection may read the stream: it does so once, to see.
///
/// # Errors
/// Those of the reading, but for the want of a right.
pub(super) async fn may_read(
    jetstream: &dyn JetStream,
    stream: &str,
    info: &StreamInfo,
) -> Result<bool> {
    let options = ReadOptions::default()
        .with_start(ReadStart::Sequence(info.state.last_sequence.max(1)))
        .with_until(ReadUntil::Head)
        .with_limit(1);
    let mut reading = jetstream.read(stream, options);
    while let Some(delivery) = reading.next().await {
        match delivery {
            Ok(_) => {}
            Err(error) if error.is(ErrorKind::PermissionDenied) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Looks these events up in the stream behind a sequence.
///
/// A stream made anew has none of them, and events that are gone from the
/// stream can't be told from those that never were in it.
///
/// # Errors
/// Those of the reading.
pub(super) async fn look_up(
    jetstream: &dyn JetStream,
    stream: &str,
    created: Option<Timestamp>,
    behind: u64,
    wanted: &HashSet<EventId>,
) -> Result<Found> {
    let mut options = ReadOptions::default()
        .with_start(ReadStart::Sequence(behind.saturating_add(1)))
        .with_until(ReadUntil::Head);
    options.created = created;
    let mut found = Found { ids: HashSet::new(), is_certain: true };
    let mut reading = jetstream.read(stream, options);
    while let Some(delivery) = reading.next().await {
        match delivery {
            Ok(Delivery::Message(message)) => {
                let id = decode(&message.payload).ok().and_then(|event| event.id);
                if let Some(id) = id.filter(|id| wanted.contains(id)) {
                    found.ids.insert(id);
                }
            }
            Ok(Delivery::Gap { .. }) => found.is_certain = false,
            Ok(Delivery::CaughtUp { .. } | Delivery::Resumed { .. }) => {}
            Err(error) if created.is_some() && error.is(ErrorKind::Conflict) => {
                return Ok(Found { ids: HashSet::new(), is_certain: true });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
