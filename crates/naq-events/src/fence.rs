//! What was made of messages that a server has lost, told from what was made
//! of those that it has.
//!
//! A server whose machine fails may come back without what it acknowledged
//! last, and gives the same sequences to other messages then. What is kept of
//! the log elsewhere may be of those that are gone: it holds a [`Mark`], the
//! last message that it was made of, and when that was stored. Another message
//! at that sequence has another time.
//!
//! Marks are looked at twice. A server loses messages when it begins anew, and
//! it has another id then: in each of its runs once, the newest one that holds
//! speaks for all before it, because only the end is lost. In a cluster the
//! server that has begun anew may be another one than the one that is talked
//! to: so whoever goes on from something reads its last message once more, and
//! goes on only where that is what it was.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use naq_core::jetstream::{
    Consistency, GetMessage, StoredMessage, StreamInfo, Which, is_no_message,
};
use naq_core::{ErrorKind, Result, Timestamp};

use crate::read::OpenLog;

/// After so many marks of which nobody can tell, no more are looked at.
const MOST_UNKNOWN: usize = 64;

/// The last message that something was made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    /// Its sequence; 0 where there was none.
    pub(crate) sequence: u64,
    /// When the server stored it.
    pub(crate) stored_at: Timestamp,
}

impl From<&StoredMessage> for Mark {
    fn from(message: &StoredMessage) -> Self {
        Self { sequence: message.sequence, stored_at: message.stored_at }
    }
}

impl Mark {
    /// Whether both are of one sequence, and not of one message.
    pub(crate) fn contradicts(&self, other: &Self) -> bool {
        self.sequence == other.sequence && self.stored_at != other.stored_at
    }
}

/// The marks of messages, the newest first.
pub(crate) fn newest_first(marks: impl Iterator<Item = Mark>) -> Vec<Mark> {
    let mut marks: Vec<Mark> = marks.filter(|mark| mark.sequence > 0).collect();
    marks.sort_unstable_by(|a, b| b.cmp(a));
    marks
}

/// What a service knows of the runs of its log's server.
#[derive(Debug, Default)]
pub(crate) struct Fence {
    state: Mutex<State>,
    /// Whether the credentials let single messages be got, as far as is known.
    may_not_ask: AtomicBool,
    discarded: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    turn: u64,
    /// The ids of the server and of the stream's leader, and when it was made.
    of: Option<(String, Option<String>, Timestamp)>,
}

/// When a log was opened, as far as it matters to what was made of it.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    fence: Arc<Fence>,
    number: u64,
    server: String,
}

impl Fence {
    /// The turn in which this server told this of the stream.
    pub(crate) fn turn(self: &Arc<Self>, server: String, info: &StreamInfo) -> Turn {
        // Nothing panics while it is held.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let of = (server.clone(), info.leader.clone(), info.created);
        if state.of.as_ref() != Some(&of) {
            state.turn += 1;
            state.of = Some(of);
        }
        Turn { fence: Arc::clone(self), number: state.turn, server }
    }

    /// How often something was thrown away because it was of lost messages.
    pub(crate) fn discarded(&self) -> u64 {
        self.discarded.load(Ordering::Relaxed)
    }
}

impl OpenLog {
    /// In which turn it was opened, from 1: in a later one, marks are to be
    /// looked at again.
    pub(crate) const fn turn(&self) -> u64 {
        self.turn.number
    }

    /// Whether the server that is talked to is still the one of the opening.
    pub(crate) fn is_as_opened(&self) -> bool {
        self.jetstream.server_info().id == self.turn.server
    }

    /// Something was found to be of messages that the server has lost: the next
    /// look at the log begins another turn.
    pub(crate) fn suspects(&self) {
        let mut state = self.turn.fence.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.turn == self.turn.number {
            state.of = None;
        }
    }

    /// Of marks of one log's messages, the newest first, the oldest whose
    /// message is another one now: what has it, and what has a newer one, is
    /// of messages that the server has lost. `None` where none is known to be.
    pub(crate) async fn lost_from(&self, marks: Vec<Mark>) -> Result<Option<u64>> {
        let (mut lost, mut unknown) = (None, 0);
        // As long as they are lost it goes on: what is behind the last of them may be too.
        for mark in marks {
            match self.holds(mark).await? {
                Some(true) => break,
                Some(false) => lost = Some(mark.sequence),
                None => unknown += 1,
            }
            if unknown == MOST_UNKNOWN {
                break;
            }
        }
        Ok(lost)
    }

    /// Whether the message of a mark is what it was; `None` where it is not
    /// there, so that nobody can tell.
    async fn holds(&self, mark: Mark) -> Result<Option<bool>> {
        let state = &self.info.state;
        if mark.sequence < state.first_sequence.max(1) {
            return Ok(None);
        }
        if let Some(there) = self.mark_at(mark.sequence).await? {
            return Ok(Some(!there.contradicts(&mark)));
        }
        // The log may have grown since it was opened.
        let is_beyond = mark.sequence > state.last_sequence && {
            let info = self.jetstream.stream_info(self.info.config.name.as_str()).await?;
            info.state.last_sequence < mark.sequence
        };
        Ok(is_beyond.then_some(false))
    }

    /// The mark of the message at a sequence; `None` where none is there, or
    /// it may not be got alone.
    pub(crate) async fn mark_at(&self, sequence: u64) -> Result<Option<Mark>> {
        let may_not_ask = &self.turn.fence.may_not_ask;
        if sequence == 0 || may_not_ask.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let stream = self.info.config.name.as_str();
        // Of several replicas the one that answers may lag behind.
        let consistency = if self.replicas() == 1 { Consistency::Any } else { Consistency::Leader };
        let get = GetMessage::new(Which::Sequence(sequence)).with_consistency(consistency);
        match self.jetstream.get_message(stream, get).await {
            Ok(message) => Ok(Some(Mark { sequence, stored_at: message.stored_at })),
            Err(error) if is_no_message(&error) => Ok(None),
            Err(error) if error.is(ErrorKind::PermissionDenied) => {
                may_not_ask.store(true, Ordering::Relaxed);
                let text = "these credentials may get no single messages: \
                            what a server loses at its end is not always recognised";
                tracing::info!(%error, stream, "{text}");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Tells that something was thrown away.
    pub(crate) fn discards(&self, what: &'static str, block: u64) {
        self.turn.fence.discarded.fetch_add(1, Ordering::Relaxed);
        let stream = self.info.config.name.as_str();
        tracing::warn!(
            stream,
            block,
            "{what} is of messages that the server has lost, and is made anew"
        );
    }
}

#[cfg(test)]
impl Turn {
    /// As its fence has it.
    pub(crate) fn discarded(&self) -> u64 {
        self.fence.discarded()
    }
}

#[cfg(test)]
impl OpenLog {
    /// A log as it is told of here, in no turn yet: marks aren't looked at.
    pub(crate) fn of(
        jetstream: Arc<dyn naq_core::jetstream::JetStream>,
        info: StreamInfo,
        opened_at: Timestamp,
    ) -> Self {
        let turn = Turn { fence: Arc::default(), number: 0, server: String::new() };
        Self { jetstream, info, opened_at, turn }
    }

    /// The same in a turn.
    pub(crate) fn in_turn(mut self, number: u64) -> Self {
        self.turn.number = number;
        self
    }
}
