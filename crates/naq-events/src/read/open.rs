//! Where a reading begins and ends, in the stream's own terms.

use futures::StreamExt;
use naq_core::events::{Filter, Position, ReadEvents, ReadStart, ReadUntil};
use naq_core::jetstream::{self, Delivery, ReadOptions, StreamState};
use naq_core::{Error, ErrorKind, Result, Timestamp};

use super::{Log, OpenLog};

/// Where a reading begins and ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Where it begins.
    pub(super) start: jetstream::ReadStart,
    /// Where it ends.
    pub(super) until: jetstream::ReadUntil,
}

impl Place {
    /// Translates what was asked, and refuses a position of another stream.
    pub(super) async fn find(log: &Log, open: &OpenLog, options: &ReadEvents) -> Result<Self> {
        let start = match options.start {
            ReadStart::Beginning => jetstream::ReadStart::Beginning,
            ReadStart::New => jetstream::ReadStart::New,
            ReadStart::Sequence(sequence) => jetstream::ReadStart::Sequence(sequence),
            ReadStart::Time(time) => jetstream::ReadStart::Time(time),
            ReadStart::After(position) => {
                jetstream::ReadStart::Sequence(behind(log, open, position)?)
            }
            _ => return Err(unknown("start")),
        };
        let until = match options.until {
            // A reading until a time goes live and is ended by the clock.
            ReadUntil::Never | ReadUntil::Time(_) => jetstream::ReadUntil::Never,
            ReadUntil::Head => jetstream::ReadUntil::Head,
            ReadUntil::Sequence(sequence) => jetstream::ReadUntil::Sequence(sequence),
            _ => return Err(unknown("until")),
        };
        Ok(Self { start, until })
    }

    /// The options of the read for it.
    pub(super) fn options(self, log: &Log, open: &OpenLog, filter: &Filter) -> ReadOptions {
        ReadOptions::default()
            .with_start(self.start)
            .with_until(self.until)
            .with_subjects(filter.subject_filters(log.subjects()))
            .with_created(open.info.created)
    }
}

/// The sequence behind a position.
fn behind(log: &Log, open: &OpenLog, position: Position) -> Result<u64> {
    if position.created != open.info.created {
        return Err(Error::new(
            ErrorKind::Conflict,
            "read_events",
            "the position is of a stream that was made anew since",
        )
        .with("stream", log.stream())
        .with("position", position.to_string())
        .with("created", open.info.created.to_string())
        .with_hint("begin at the beginning, or at a time"));
    }
    let last = open.info.state.last_sequence;
    if position.sequence > last {
        // What is stored from here on gets numbers that were told before.
        let text = "the position lies beyond the stream's end: the server has lost what it is of";
        return Err(Error::new(ErrorKind::Conflict, "read_events", text)
            .with("stream", log.stream())
            .with("position", position.to_string())
            .with("last_sequence", last.to_string())
            .with_hint("begin at a time before the loss"));
    }
    Ok(position.sequence.saturating_add(1))
}

fn unknown(option: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, "read_events", "this service doesn't know that choice")
        .with("field", option)
}

impl Log {
    /// The first and the last sequence that a reading asks for, as the stream
    /// stood at the opening.
    pub(super) async fn sequences(
        &self,
        open: &OpenLog,
        options: &ReadEvents,
    ) -> Result<(u64, u64)> {
        let StreamState { first_sequence: first, last_sequence: last, .. } = open.info.state;
        let from = match options.start {
            ReadStart::New => last + 1,
            ReadStart::Sequence(sequence) => sequence,
            ReadStart::After(position) => position.sequence.saturating_add(1),
            ReadStart::Time(time) => self.first_stored_since(open, time).await?.unwrap_or(last + 1),
            _ => first,
        };
        let to = match options.until {
            ReadUntil::Sequence(sequence) => sequence.min(last),
            ReadUntil::Time(time) => match self.first_stored_since(open, time).await? {
                Some(sequence) => sequence - 1,
                None => last,
            },
            _ => last,
        };
        Ok((from, to))
    }

    /// The first sequence stored at or after a time, or `None` where all that
    /// was there at the opening is older.
    pub(crate) async fn first_stored_since(
        &self,
        open: &OpenLog,
        time: Timestamp,
    ) -> Result<Option<u64>> {
        let options = ReadOptions::default()
            .with_start(jetstream::ReadStart::Time(time))
            .with_until(jetstream::ReadUntil::Head)
            .with_headers_only(true)
            .with_limit(1)
            .with_created(open.info.created);
        let mut deliveries = open.jetstream.read(self.stream(), options);
        while let Some(delivery) = deliveries.next().await {
            if let Delivery::Message(message) = delivery? {
                return Ok(Some(message.sequence));
            }
        }
        Ok(None)
    }
}
