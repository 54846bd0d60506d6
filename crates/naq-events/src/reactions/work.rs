//! One delivery to a group, and those that a member has in hand.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use naq_core::Timestamp;
use naq_core::events::{MalformedEvent, Position, RecordedEvent, decode};
use naq_core::jetstream::{AckToken, ConsumerMessage};
use slab::Slab;

use super::dead::Origin;

/// Where a group's deliveries come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The log, made at that time.
    Log {
        /// When its stream was made.
        created: Timestamp,
    },
    /// The dead letters that somebody asked to have handled again.
    Replay,
}

/// One delivery.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) group: Arc<str>,
    pub(super) subject: String,
    pub(super) position: Position,
    pub(super) stored_at: Timestamp,
    pub(super) payload: Bytes,
    /// Whether its bytes are to be read from the log, a replay that was too large.
    pub(super) is_in_log: bool,
    /// How often it has been delivered, this time included.
    pub(super) deliveries: u64,
    /// Its sequence among the replays, if it is one.
    pub(super) replay: Option<u64>,
    /// Its place in the hand, which keeps what it is answered with.
    pub(super) held: usize,
}

impl Work {
    /// A delivery as the JetStream gave it.
    ///
    /// # Errors
    /// What to answer a replay with that naq did not write.
    pub(super) fn new(
        group: &Arc<str>,
        source: Source,
        delivery: ConsumerMessage,
        hand: &Hand,
        now: Duration,
    ) -> Result<Self, AckToken> {
        let ConsumerMessage { message, deliveries, token, .. } = delivery;
        let (origin, replay) = match source {
            Source::Log { created } => {
                let position = Position::new(created, message.sequence);
                let stored_at = message.stored_at;
                (Origin { subject: message.subject, position, stored_at, is_in_log: false }, None)
            }
            Source::Replay => match Origin::read(&message.headers) {
                Some(origin) => (origin, Some(message.sequence)),
                None => return Err(token),
            },
        };
        let held = hand.take(token, now);
        let Origin { subject, position, stored_at, is_in_log } = origin;
        Ok(Self {
            group: Arc::clone(group),
            subject,
            position,
            stored_at,
            payload: message.payload,
            is_in_log,
            deliveries,
            replay,
            held,
        })
    }

    /// The event, or what is wrong with it.
    pub(super) fn decode(&self) -> Result<RecordedEvent, MalformedEvent> {
        let (subject, payload) = (self.subject.clone(), self.payload.clone());
        RecordedEvent::decode(self.position, self.stored_at, subject, payload)
    }

    /// Its type, as a dead letter's subject names it.
    pub(super) fn kind(&self) -> String {
        decode(&self.payload)
            .map_or_else(|_| "malformed".to_owned(), |event| event.event_type.to_string())
    }

    /// What tells a replay of the same event from another one.
    pub(super) fn replay_id(&self) -> u64 {
        self.replay.unwrap_or(0)
    }
}

/// A delivery in hand.
#[derive(Debug)]
struct Held {
    token: AckToken,
    /// When the server last heard of it, by the monotonic clock.
    heard: Duration,
}

/// The deliveries that a member has taken and not answered.
#[derive(Debug, Default)]
pub(super) struct Hand(Mutex<Slab<Held>>);

impl Hand {
    fn lock(&self) -> MutexGuard<'_, Slab<Held>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, token: AckToken, now: Duration) -> usize {
        self.lock().insert(Held { token, heard: now })
    }

    /// Takes a delivery out, to answer it; `None` once it was given up.
    pub(super) fn release(&self, held: usize) -> Option<AckToken> {
        self.lock().try_remove(held).map(|held| held.token)
    }

    /// Those of which the server has not heard since then; it is to hear of
    /// them now.
    pub(super) fn silent_since(&self, then: Duration, now: Duration) -> Vec<AckToken> {
        let mut held = self.lock();
        let silent = held.iter_mut().filter(|(_, held)| held.heard <= then);
        silent
            .map(|(_, held)| {
                held.heard = now;
                held.token.clone()
            })
            .collect()
    }

    /// Takes all of them out.
    pub(super) fn give_up(&self) -> Vec<AckToken> {
        self.lock().drain().map(|held| held.token).collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }
}
