//! Whether an event that was sent before is in the stream.
//!
//! Within the stream's duplicate window nobody needs to know: it is sent again
//! under its id, and stored once. Later the stream is read behind the sequence
//! that was noted before the event was sent.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use naq_core::jetstream::{Delivery, JetStream, ReadOptions, ReadStart, ReadUntil};
use naq_core::{ErrorKind, Result, Timestamp};

use super::views::StreamView;
use crate::spool::{SentContext, SpoolPosition, SpoolState, SpooledEvent};

/// Up to so many subjects are asked for by name; else all are read.
const MAX_SUBJECTS: usize = 64;

/// Tells what is recognised by its id from what has to be looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recognition {
    /// For how long after it was sent the stream surely recognises an event by its id.
    pub(super) recognised_for: Duration,
    /// The monotonic time now.
    pub(super) at: Duration,
    /// The wall time now.
    pub(super) now: Timestamp,
    /// The wall time as it would be if nobody had set that clock since the
    /// service was made.
    pub(super) steady_now: Timestamp,
}

impl Recognition {
    /// Until when, in monotonic time, the stream recognises what was sent at this
    /// time; `None` where it doesn't any more.
    ///
    /// A wall clock that was set back in between says nothing; then it doesn't.
    pub(super) fn until(&self, sent: &SentContext) -> Option<Duration> {
        if self.now < sent.sent_at {
            return None;
        }
        let elapsed = self.now.since(sent.sent_at).max(self.steady_now.since(sent.sent_at));
        let left = self.recognised_for.checked_sub(elapsed).filter(|left| !left.is_zero())?;
        Some(self.at.saturating_add(left))
    }
}

/// What became clear about events in doubt.
#[derive(Debug, Default)]
pub(super) struct Cleared {
    /// They are in the stream, at these sequences.
    pub(super) found: HashMap<SpoolPosition, u64>,
    /// They were not found, and may have been where the stream can't be read (any more).
    pub(super) uncertain: HashSet<SpoolPosition>,
}

/// The context of an event that is in doubt and not recognised by its id any more.
pub(super) fn doubt(event: &SpooledEvent, recognition: &Recognition) -> Option<SentContext> {
    match event.state {
        SpoolState::InDoubt(sent) if recognition.until(&sent).is_none() => Some(sent),
        SpoolState::InDoubt(_) | SpoolState::Unsent => None,
    }
}

/// Looks the events that are in doubt up in the stream, where they can be there.
///
/// # Errors
/// Those of the reading; without the right to read, all count as not to be found.
pub(super) async fn clear(
    jetstream: &dyn JetStream,
    stream: &str,
    view: Option<StreamView>,
    doubtful: &[(&SpooledEvent, SentContext)],
) -> Result<Cleared> {
    let mut cleared = Cleared::default();
    let mut wanted: HashMap<&Bytes, (SpoolPosition, bool)> = HashMap::new();
    let mut start = u64::MAX;
    for (event, sent) in doubtful {
        match view.filter(|view| view.created == sent.stream_created) {
            Some(view) => {
                let from = sent.last_sequence.saturating_add(1);
                let is_cut = from < view.first_sequence;
                wanted.insert(event.event.payload(), (event.position, is_cut));
                start = start.min(from.max(view.first_sequence).max(1));
            }
            None => {
                cleared.uncertain.insert(event.position);
            }
        }
    }
    let Some(view) = view.filter(|_| !wanted.is_empty()) else { return Ok(cleared) };
    let mut subjects: Vec<String> =
        doubtful.iter().map(|(event, _)| event.event.subject().to_owned()).collect();
    subjects.sort_unstable();
    subjects.dedup();
    if subjects.len() > MAX_SUBJECTS {
        subjects.clear();
    }
    let options = ReadOptions::default()
        .with_start(ReadStart::Sequence(start))
        .with_until(ReadUntil::Head)
        .with_subjects(subjects)
        .with_created(view.created);
    let mut reading = jetstream.read(stream, options);
    let mut has_gap = false;
    while let Some(delivery) = reading.next().await {
        match delivery {
            Ok(Delivery::Message(message)) => {
                if let Some((position, _)) = wanted.remove(&message.payload) {
                    cleared.found.insert(position, message.sequence);
                }
                if wanted.is_empty() {
                    break;
                }
            }
            Ok(Delivery::Gap { .. }) => has_gap = true,
            Ok(Delivery::CaughtUp { .. } | Delivery::Resumed { .. }) => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                has_gap = true;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    let unseen = wanted.into_values().filter(|(_, is_cut)| *is_cut || has_gap);
    cleared.uncertain.extend(unseen.map(|(position, _)| position));
    Ok(cleared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::recognition::recognised_for;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn an_id_is_relied_upon_only_while_the_stream_surely_knows_it() {
        let sent = SentContext { stream_created: at(0), last_sequence: 7, sent_at: at(1_000) };
        let until = |now, steady| {
            let recognised_for = recognised_for(120 * SECOND);
            let (now, steady_now) = (at(now), at(steady));
            Recognition { recognised_for, at: 7 * SECOND, now, steady_now }.until(&sent)
        };
        assert_eq!(until(1_000, 1_000), Some(117 * SECOND));
        assert_eq!(until(1_109, 1_100), Some(8 * SECOND));
        assert_eq!(until(1_110, 1_110), None, "a margin is kept");
        assert_eq!(until(999, 999), None, "a clock that was set back says nothing");
        assert_eq!(until(1_010, 1_200), None, "set back while the service ran");
    }
}
