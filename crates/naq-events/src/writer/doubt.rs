//! What a broken batch without message ids left in doubt.
//!
//! What is stored of a batch is a prefix of it. A number of the stream that
//! was noted before an event was sent says behind what to look for it, where
//! the server doesn't know the batch any more.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use naq_core::config::Guarantee;
use naq_core::events::EventId;

use super::ledger::Outcome;
use super::slot::Slot;
use super::state::{Effects, State};
use super::way::Way;

/// A batch of which nobody knows how much is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Doubt {
    /// The batch's id.
    pub(super) batch: String,
    /// A subject of its stream.
    pub(super) subject: String,
    /// How many events were taken for it.
    pub(super) taken: u64,
    /// How many of them were answered.
    pub(super) answered: u64,
    /// The numbers of the others, as they stand in the batch.
    pub(super) numbers: Vec<u64>,
}

impl Doubt {
    /// The numbers of those that are stored, where the first so many of the batch are.
    fn stored(&self, count: u64) -> HashSet<u64> {
        let stored = usize::try_from(count.saturating_sub(self.answered)).unwrap_or(usize::MAX);
        self.numbers.iter().take(stored).copied().collect()
    }
}

/// Sequences of the stream, each with the number of the first event in line
/// that was sent later.
#[derive(Debug, Default)]
pub(super) struct Marks(VecDeque<(u64, u64)>);

impl Marks {
    /// Forgets all and begins anew with this one.
    pub(super) fn begin(&mut self, number: u64, sequence: u64) {
        self.0.clear();
        self.push(number, sequence);
    }

    /// The stream's last sequence was this, and the event of this number and
    /// all behind it are sent later.
    pub(super) fn push(&mut self, number: u64, sequence: u64) {
        self.0.push_back((number, sequence));
    }

    /// Forgets what no event needs: all before the last one that `oldest` stands behind.
    pub(super) fn trim(&mut self, oldest: u64) {
        while self.0.get(1).is_some_and(|(number, _)| *number <= oldest) {
            self.0.pop_front();
        }
    }

    /// The sequence behind which this event and all later ones stand, if they are stored.
    pub(super) fn before(&self, number: u64) -> Option<u64> {
        let before = self.0.iter().rev().find(|(first, _)| *first <= number);
        before.map(|(_, sequence)| *sequence)
    }

    /// How many events were taken since the last one.
    pub(super) fn distance(&self, next: u64) -> u64 {
        self.0.back().map_or(0, |(number, _)| next.saturating_sub(*number))
    }
}

impl State {
    /// Notes what the batch leaves in doubt, when it ends without all answers.
    pub(super) fn note_doubt(&mut self, way: Way) {
        let reads_back = matches!(self.way, Some((Way::Fast, Guarantee::ReadBack)));
        if way == Way::Pipeline || !reads_back {
            return;
        }
        let line = self.schedule.line();
        let (numbers, subject) = (line.sent_numbers(), line.sent_subject());
        let Some(subject) = subject.map(str::to_owned) else { return };
        let sender = self.senders.of(Way::Fast);
        let taken = sender.taken;
        self.doubt = Some(Doubt {
            batch: sender.batch.clone(),
            subject,
            taken,
            answered: taken.saturating_sub(numbers.len() as u64),
            numbers,
        });
    }

    /// So many of the first events of the batch in doubt are stored, and no others.
    pub(super) fn batch_was_stored(&mut self, count: u64, now: Duration, effects: &mut Effects) {
        let Some(doubt) = self.doubt.take() else { return };
        let stored = doubt.stored(count);
        self.settle_doubt(|slot| stored.contains(&slot.number), true, now, effects);
    }

    /// Of the events in doubt these are in the stream. Where that is `certain`
    /// the others are not.
    pub(super) fn were_found(
        &mut self,
        found: &HashSet<EventId>,
        certain: bool,
        now: Duration,
        effects: &mut Effects,
    ) {
        self.doubt = None;
        self.settle_doubt(|slot| found.contains(slot.item.event.id()), certain, now, effects);
    }

    fn settle_doubt(
        &mut self,
        is_stored: impl Fn(&Slot) -> bool,
        certain: bool,
        now: Duration,
        effects: &mut Effects,
    ) {
        let stored = self.schedule.line().take_stored(|slot| slot.in_doubt && is_stored(slot));
        for slot in stored {
            self.latencies.record(self.steady.at(now).since(slot.accepted), 1, now);
            self.settle(slot, Outcome::Acked { duplicate: false }, None, effects);
        }
        if certain {
            self.schedule.line().end_doubt();
        } else {
            self.schedule.line().stay_in_doubt();
        }
        self.grant_room(now, effects);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_of_the_batch_is_a_prefix_of_what_is_in_doubt() {
        let doubt = Doubt {
            batch: "b".to_owned(),
            subject: "s".to_owned(),
            taken: 5,
            answered: 2,
            numbers: vec![12, 13, 17],
        };
        assert_eq!(doubt.stored(1), HashSet::new());
        assert_eq!(doubt.stored(4), HashSet::from([12, 13]));
        assert_eq!(doubt.stored(5), HashSet::from([12, 13, 17]));
    }

    #[test]
    fn an_event_stands_behind_the_last_mark_before_it() {
        let mut marks = Marks::default();
        assert_eq!((marks.before(7), marks.distance(7)), (None, 0));
        marks.begin(1, 100);
        marks.push(50, 180);
        marks.push(90, 260);
        assert_eq!(
            [49, 50, 89, 95].map(|number| marks.before(number)),
            [100, 180, 180, 260].map(Some)
        );
        assert_eq!(marks.distance(100), 10);
        marks.trim(89);
        assert_eq!((marks.before(49), marks.before(50)), (None, Some(180)));
    }
}
