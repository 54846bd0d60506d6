//! What the writer's lock has of the spool.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use naq_core::Error;
use naq_core::config::{EventsConfig, SpoolMode, StreamMode};
use naq_core::events::EventId;
use naq_core::jetstream::JetStream;

use super::numbers::Numbers;
use super::queue::Queue;
use super::views::Views;
use crate::spool::{PositionSet, SpoolOutcome, SpoolPosition};
use crate::writer::Receipt;

/// Somebody waits for the outcome of an event that is in the spool.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) receipt: Receipt,
    pub(super) id: EventId,
    /// Until then; after that the spool is the answer.
    pub(super) deadline: Duration,
}

/// The spool as the writer sees it.
#[derive(Debug)]
pub(in crate::writer) struct Spooling {
    pub(super) mode: SpoolMode,
    /// Whether the stream may be looked at, as far as is known.
    pub(super) may_view: bool,
    /// Whether nothing is asked about the stream when the service starts.
    pub(super) assumes: bool,
    /// Whether new events go through the spool.
    pub(super) is_through: bool,
    /// Since when the session is asked to end, so that what it has comes first.
    pub(super) turning_since: Option<Duration>,
    /// Whether everything is to go to disk, because nobody will send it any more.
    pub(super) is_rescuing: bool,
    /// Accepted and not in the spool yet, in this order.
    pub(super) queue: Queue,
    /// How many events are being written at the moment; they are not in the queue.
    pub(super) writing: usize,
    /// What became of events in the spool, to be noted there.
    pub(super) notes: Vec<(SpoolOutcome, PositionSet)>,
    /// Whether notes are being written.
    pub(super) is_noting: bool,
    /// Those who wait for outcomes of events that are in the spool and not in hand.
    pub(super) held: BTreeMap<SpoolPosition, Held>,
    pub(super) numbers: Numbers,
    pub(super) views: Views,
    /// Where to read on: what is before has its outcome, or is in hand.
    pub(super) next: SpoolPosition,
    /// Where events stand that were sent and had no outcome when their session ended.
    pub(super) sent: PositionSet,
    /// How many events of the spool are in the schedule.
    pub(super) in_hand: u64,
    /// How many bytes they take.
    pub(super) in_hand_bytes: u64,
    /// The way to the stream, while there is a session.
    pub(super) jetstream: Option<Arc<dyn JetStream>>,
    /// Why the spool takes nothing at the moment.
    pub(super) trouble: Option<Error>,
    /// When it is tried again, and how often it failed.
    pub(super) retry_at: Duration,
    pub(super) failures: u32,
    /// Whether the task that asks the disk waits to be told of work.
    pub(super) is_idle: bool,
}

impl Spooling {
    /// Nothing in hand, and everything that is there still to be read.
    ///
    /// New events go through the spool where events were `left` in it.
    pub(in crate::writer) fn new(config: &EventsConfig, left: bool) -> Self {
        let mode = config.spool.mode;
        Self {
            mode,
            may_view: true,
            assumes: config.stream == StreamMode::Assume,
            is_through: left || mode == SpoolMode::Always,
            turning_since: None,
            is_rescuing: false,
            queue: Queue::new(),
            writing: 0,
            notes: Vec::new(),
            is_noting: false,
            held: BTreeMap::new(),
            numbers: Numbers::default(),
            views: Views::default(),
            next: SpoolPosition::START,
            sent: PositionSet::new(),
            in_hand: 0,
            in_hand_bytes: 0,
            jetstream: None,
            trouble: None,
            retry_at: Duration::ZERO,
            failures: 0,
            is_idle: false,
        }
    }

    /// Why the spool takes nothing at the moment.
    pub(in crate::writer) const fn trouble(&self) -> Option<&Error> {
        self.trouble.as_ref()
    }

    /// Whether the spool can be asked to take something now.
    pub(super) fn takes(&self, now: Duration) -> bool {
        self.trouble.is_none() || self.retry_at <= now
    }

    /// Notes what became of an event in the spool.
    pub(super) fn note(&mut self, outcome: SpoolOutcome, position: SpoolPosition) {
        match self.notes.iter_mut().find(|(noted, _)| *noted == outcome) {
            Some((_, positions)) => {
                positions.insert(position);
            }
            None => self.notes.push((outcome, [position].into_iter().collect())),
        }
    }

    /// These were in hand and sent, and are read again.
    pub(super) fn were_sent(&mut self, positions: &PositionSet) {
        let Some((first, _)) = positions.runs().next() else { return };
        // It is read from the beginning: what stands before has its outcome.
        self.sent.forget_before(first);
        self.sent.add(positions);
    }

    /// The number of the oldest event that is not in the schedule, if `on_disk` of them are in the spool.
    pub(super) fn oldest_number(&self, on_disk: u64) -> Option<u64> {
        if on_disk > self.in_hand {
            return Some(self.numbers.smallest_from(self.next));
        }
        // Where events are being written nobody knows which; none of them is settled.
        let queued = self.queue.front().map(|slot| slot.number);
        if self.writing > 0 { Some(0) } else { queued }
    }
}
