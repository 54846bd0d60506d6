//! What was stored, what of it is in the log still, and what kept digests have.

use futures::TryStreamExt;
use naq_core::Timestamp;
use naq_core::events::Event;
use naq_core::jetstream::{Delivery, ReadOptions, ReadUntil};
use naq_tests::own_log::OwnLog;

/// So many sequences have one digest.
pub(super) const BLOCK: u64 = 65_536;

/// A message that was stored once.
#[derive(Debug)]
pub(super) struct Stored {
    /// What it says; `None` for what is no event.
    pub(super) event: Option<Event>,
    /// When it happened.
    pub(super) at: Timestamp,
    /// Whether the log has it still.
    pub(super) is_there: bool,
    /// Whether the kept digests have counted it.
    pub(super) is_kept: bool,
}

/// All that was ever stored. The place of a message is its sequence without
/// those before the log's beginning, from 0 on.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// So many sequences there never were.
    pub(super) begin: u64,
    pub(super) all: Vec<Stored>,
    /// Through which sequence the kept digests reach.
    pub(super) kept_through: u64,
}

impl Model {
    /// Looks at the log: remembers what has come, and what has gone.
    pub(super) async fn look(&mut self, own: &OwnLog) {
        self.all.iter_mut().for_each(|stored| stored.is_there = false);
        if own.info().await.state.messages == 0 {
            return;
        }
        let options = ReadOptions::default().with_until(ReadUntil::Head);
        let mut deliveries = own.js.read(&own.config.stream_name, options);
        while let Some(delivery) = deliveries.try_next().await.unwrap() {
            let Delivery::Message(message) = delivery else { continue };
            let place = self.place(message.sequence - 1);
            if let Some(stored) = self.all.get_mut(place) {
                stored.is_there = true;
                continue;
            }
            assert_eq!(place, self.all.len(), "it went before anybody looked at it");
            let event: Option<Event> = serde_json::from_slice(&message.payload).ok();
            let at = event.as_ref().and_then(|event| event.timestamp).unwrap_or(message.stored_at);
            self.all.push(Stored { event, at, is_there: true, is_kept: false });
        }
    }

    /// How many places lie up to a sequence.
    pub(super) fn place(&self, sequence: u64) -> usize {
        usize::try_from(sequence.saturating_sub(self.begin)).unwrap()
    }

    /// How many were stored.
    pub(super) fn count(&self) -> u64 {
        self.all.len() as u64
    }

    /// The log's last sequence.
    pub(super) fn end(&self) -> u64 {
        self.begin + self.count()
    }

    /// All with their sequences.
    pub(super) fn by_sequence(&self) -> impl DoubleEndedIterator<Item = (u64, &Stored)> {
        let begin = self.begin;
        self.all.iter().enumerate().map(move |(place, stored)| (begin + 1 + place as u64, stored))
    }

    /// The first sequence that the log has; the one behind its end where it has none.
    pub(super) fn first(&self) -> u64 {
        let first = self.by_sequence().find(|(_, stored)| stored.is_there);
        first.map_or(self.end() + 1, |(sequence, _)| sequence)
    }

    /// How many places lie in blocks that are whole.
    pub(super) fn whole(&self) -> usize {
        self.place(self.end() / BLOCK * BLOCK)
    }

    /// What the kept digests have counted, by place.
    pub(super) fn kept(&self) -> Vec<bool> {
        self.all.iter().map(|stored| stored.is_kept).collect()
    }

    /// The kept digests have counted this from now on, by place, and reach so far.
    pub(super) fn keep(&mut self, counted: &[bool], through: u64) {
        let counted = counted.iter().copied().chain(std::iter::repeat(false));
        self.all.iter_mut().zip(counted).for_each(|(stored, counted)| stored.is_kept = counted);
        self.kept_through = through;
    }

    /// A keeper has ended that has counted this, and has kept the block that grows.
    pub(super) fn keep_what_grows(&mut self, counted: &[bool]) {
        let whole = self.whole();
        let growing = self.all.iter_mut().zip(counted).skip(whole);
        growing.for_each(|(stored, counted)| stored.is_kept = *counted);
        self.kept_through = self.end();
    }

    /// Somebody who has counted this beside what kept digests have, or nothing,
    /// has read all: whoever reads a block's end keeps its digest, and also
    /// whoever comes far in a block of which none is kept.
    pub(super) fn keep_read(&mut self, counted: &[bool]) {
        let (whole, is_far) = (self.whole(), self.begin > 0 && !self.has_any());
        let read = if is_far && whole == 0 { self.all.len() } else { whole };
        let counted = counted.iter().copied().chain(std::iter::repeat(false));
        for (stored, counted) in self.all.iter_mut().zip(counted).take(read) {
            stored.is_kept |= stored.is_there || counted;
        }
        if read > 0 {
            self.kept_through = self.kept_through.max(self.begin + read as u64);
        }
    }

    /// Whether any digest is kept.
    pub(super) const fn has_any(&self) -> bool {
        self.kept_through > self.begin
    }

    /// The kept digests have counted so many: with the first of those that
    /// somebody had counted, or that are there, behind what they had.
    pub(super) fn keep_first(&mut self, count: u64, counted: &[bool]) {
        let kept = self.all.iter().filter(|stored| stored.is_kept).count() as u64;
        let mut more = count.checked_sub(kept).expect("what is kept stays");
        let had = self.place(self.kept_through);
        let counted = counted.iter().copied().chain(std::iter::repeat(false));
        let begin = self.begin;
        for ((place, stored), counted) in self.all.iter_mut().enumerate().zip(counted).skip(had) {
            if more > 0 && (stored.is_there || counted) {
                (stored.is_kept, self.kept_through) = (true, begin + 1 + place as u64);
                more -= 1;
            }
        }
        assert_eq!(more, 0, "a digest has counted what isn't there");
    }

    /// How many sequences somebody has not counted.
    pub(super) fn lacks(&self, counted: &[bool]) -> u64 {
        self.end() - counted.iter().filter(|counted| **counted).count() as u64
    }

    /// Somebody counts what is there now.
    pub(super) fn count_what_is_there(&self, counted: &mut Vec<bool>) {
        counted.resize(self.all.len(), false);
        self.all.iter().zip(counted).for_each(|(stored, counted)| *counted |= stored.is_there);
    }

    /// Somebody finds the digests of whole blocks that are kept.
    pub(super) fn find_whole(&self, counted: &mut Vec<bool>) {
        counted.resize(self.all.len(), false);
        let whole = self.all.iter().zip(counted).take(self.whole());
        whole.for_each(|(stored, counted)| *counted |= stored.is_kept);
    }
}
