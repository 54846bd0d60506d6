//! How far a read is: pure bookkeeping, without a server.

use naq_core::jetstream::{Delivery, ReadStart, ReadUntil, StreamState};

use super::plan::Plan;

/// How far a read is.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    start: ReadStart,
    /// The highest sequence known to be examined; `None` while a start by time,
    /// or by last per subject, has shown nothing.
    position: Option<u64>,
    /// Whether a first message further on than expected is a gap: not when
    /// what was asked is the first message, whichever it is.
    counts_from_start: bool,
    /// The stream's last sequence at the opening, or at the last resumption.
    target: u64,
    caught_up: bool,
    /// While the last messages of all subjects are read: up to this sequence.
    snapshot: Option<u64>,
    end: Option<u64>,
    remaining: Option<u64>,
    /// The highest sequence that the stream is known to have had.
    seen: u64,
}

impl Progress {
    /// At the opening, with the stream as it is then.
    pub(super) fn new(plan: &Plan, state: &StreamState) -> Self {
        let last = plan.head.unwrap_or(state.last_sequence);
        let end = match plan.until {
            ReadUntil::Never => None,
            ReadUntil::Head => Some(last),
            ReadUntil::Sequence(sequence) => Some(sequence),
        };
        let position = match plan.start {
            ReadStart::Beginning => Some(state.first_sequence.saturating_sub(1)),
            ReadStart::Sequence(sequence) => Some(sequence.saturating_sub(1)),
            ReadStart::New => Some(last),
            ReadStart::Time(_) | ReadStart::LastPerSubject => None,
        };
        Self {
            start: plan.start,
            position,
            counts_from_start: !matches!(plan.start, ReadStart::Beginning),
            target: last,
            caught_up: false,
            snapshot: (plan.start == ReadStart::LastPerSubject).then_some(last),
            end: match plan.ends_at_head {
                true => Some(end.map_or(last, |end| end.min(last))),
                false => end,
            },
            remaining: plan.limit,
            seen: state.last_sequence,
        }
    }

    /// The stream as it is after a break; `false` when it isn't the same one.
    pub(super) fn resume(&mut self, state: &StreamState, told: bool) -> bool {
        if state.last_sequence < self.seen {
            return false;
        }
        self.seen = state.last_sequence;
        if told {
            self.target = state.last_sequence;
            self.caught_up = false;
        }
        true
    }

    /// Where a consumer that is made now begins.
    pub(super) fn next_start(&self) -> ReadStart {
        match (self.snapshot, self.position) {
            (None, Some(position)) => ReadStart::Sequence(position.saturating_add(1)),
            // What a new consumer shows again is passed over.
            (Some(_), _) | (None, None) => self.start,
        }
    }

    /// The highest sequence known to be examined, as far as that is known.
    pub(super) fn position(&self) -> u64 {
        self.position.unwrap_or(0)
    }

    /// The highest sequence known to be examined, if any is.
    pub(super) fn known_position(&self) -> Option<u64> {
        self.position
    }

    /// Up to which sequence all is examined when nothing that matches is left.
    pub(super) fn owed(&self) -> u64 {
        let target = self.snapshot.unwrap_or(self.target);
        self.end.map_or(target, |end| end.min(target))
    }

    /// The stream's last sequence at the opening, or at the last resumption.
    pub(super) fn target(&self) -> u64 {
        self.target
    }

    /// Behind which sequence it ends, if it does.
    pub(super) fn end(&self) -> Option<u64> {
        self.end
    }

    /// The gap that the stream's first sequence shows in front of `next`, the
    /// sequence that came, or nothing yet.
    pub(super) fn gap(&mut self, first: u64, next: Option<u64>) -> Option<Delivery> {
        let position = self.position?;
        if !self.counts_from_start || self.snapshot.is_some() {
            return None;
        }
        let from = position.saturating_add(1);
        let before = next.unwrap_or(u64::MAX).min(first);
        let before = before.min(self.end.map_or(u64::MAX, |end| end.saturating_add(1)));
        if before <= from {
            return None;
        }
        self.position = Some(before - 1);
        Some(Delivery::Gap { from, to: before - 1 })
    }

    /// Whether a message of this sequence lies further on than the next one.
    pub(super) fn jumps(&self, sequence: u64) -> bool {
        self.counts_from_start
            && self.snapshot.is_none()
            && self.position.is_some_and(|position| sequence > position.saturating_add(1))
    }

    /// Whether a message is to be delivered, and if not, whether it ends something.
    pub(super) fn admit(&self, sequence: u64) -> Admission {
        if self.snapshot.is_some_and(|until| sequence > until) {
            return Admission::BehindSnapshot;
        }
        if self.position.is_some_and(|position| sequence <= position) {
            return Admission::Known;
        }
        if self.end.is_some_and(|end| sequence > end) {
            return Admission::BehindEnd;
        }
        Admission::Deliver
    }

    /// A message was delivered.
    pub(super) fn delivered(&mut self, sequence: u64) {
        self.examined(sequence);
        self.counts_from_start = true;
        self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(1));
    }

    /// All up to a sequence is known to be examined.
    pub(super) fn examined(&mut self, sequence: u64) {
        self.position = Some(self.position.unwrap_or(0).max(sequence));
        self.seen = self.seen.max(sequence);
    }

    /// Nothing that matches is left: what was there at the opening is examined.
    pub(super) fn emptied(&mut self) {
        self.examined(self.target);
        // What comes now comes behind what was there.
        self.counts_from_start = true;
    }

    /// `CaughtUp`, once all that was there is examined; `next` is what came instead.
    pub(super) fn catch_up(&mut self, next: Option<u64>) -> Option<Delivery> {
        let reached = self.position.is_some_and(|position| position >= self.target)
            || next.is_some_and(|next| next > self.target);
        // A read that ends before that never is.
        let ends_before = self.end.is_some_and(|end| end < self.target);
        if self.caught_up || !reached || ends_before {
            return None;
        }
        self.caught_up = true;
        Some(Delivery::CaughtUp { sequence: self.target })
    }

    /// The last messages of all subjects are read: on with every message behind.
    pub(super) fn leave_snapshot(&mut self) {
        if let Some(until) = self.snapshot.take() {
            self.examined(until);
            self.counts_from_start = true;
        }
    }

    /// Whether all that was there has been told.
    pub(super) fn is_caught_up(&self) -> bool {
        self.caught_up
    }

    pub(super) fn in_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }

    /// Whether there is nothing more to deliver.
    pub(super) fn is_done(&self) -> bool {
        self.remaining == Some(0)
            || matches!((self.position, self.end), (Some(position), Some(end)) if position >= end)
    }

    /// How many messages may still come at most, as far as that is known.
    pub(super) fn remaining(&self) -> Option<u64> {
        let to_end =
            self.end.zip(self.position).map(|(end, position)| end.saturating_sub(position));
        self.remaining.into_iter().chain(to_end).min()
    }
}

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Deliver,
    /// It was delivered before the break.
    Known,
    /// It is behind the end of the read.
    BehindEnd,
    /// It came in while the last messages of all subjects were read.
    BehindSnapshot,
}

#[cfg(test)]
mod tests {
    use naq_core::jetstream::ReadOptions;

    use super::*;

    fn state(first: u64, last: u64) -> StreamState {
        let mut state = StreamState::default();
        (state.first_sequence, state.last_sequence) = (first, last);
        state
    }

    fn progress(options: ReadOptions, first: u64, last: u64) -> Progress {
        Progress::new(&Plan::new("S", options).unwrap(), &state(first, last))
    }

    #[test]
    fn a_sequence_that_is_gone_is_a_gap() {
        let from_3 = || progress(ReadOptions::default().with_start(ReadStart::Sequence(3)), 6, 9);
        assert_eq!(from_3().gap(6, None), Some(Delivery::Gap { from: 3, to: 5 }));
        assert_eq!(from_3().gap(3, None), None);
        let until_4 = ReadOptions::default()
            .with_start(ReadStart::Sequence(3))
            .with_until(ReadUntil::Sequence(4));
        let mut read = progress(until_4, 6, 9);
        assert_eq!(read.gap(6, None), Some(Delivery::Gap { from: 3, to: 4 }));
        assert!(read.is_done());
    }

    #[test]
    fn the_beginning_is_wherever_the_first_message_is() {
        let mut read = progress(ReadOptions::default(), 6, 9);
        assert!(!read.jumps(8));
        read.delivered(8);
        assert!(read.jumps(10));
        assert_eq!(read.gap(10, Some(12)), Some(Delivery::Gap { from: 9, to: 9 }));
    }

    #[test]
    fn holes_behind_the_first_sequence_are_no_gap() {
        let mut read = progress(ReadOptions::default().with_start(ReadStart::Sequence(1)), 1, 9);
        read.delivered(1);
        assert!(read.jumps(5));
        assert_eq!(read.gap(1, Some(5)), None);
        assert_eq!(read.gap(2, Some(5)), None);
        assert_eq!(read.gap(3, Some(5)), Some(Delivery::Gap { from: 2, to: 2 }));
    }

    #[test]
    fn no_more_may_come_than_lie_before_the_end() {
        let remaining = |options: ReadOptions| progress(options, 1, 100).remaining();
        let from_8 = || ReadOptions::default().with_start(ReadStart::Sequence(8));
        assert_eq!(remaining(from_8().with_until(ReadUntil::Sequence(10))), Some(3));
        assert_eq!(remaining(from_8().with_until(ReadUntil::Sequence(10)).with_limit(2)), Some(2));
        assert_eq!(remaining(from_8().with_until(ReadUntil::Head)), Some(93));
        assert_eq!(remaining(from_8().with_until(ReadUntil::Never)), None);
        assert_eq!(remaining(from_8().with_until(ReadUntil::Never).with_limit(2)), Some(2));
    }

    #[test]
    fn caught_up_comes_once_and_again_after_a_break() {
        let mut read = progress(ReadOptions::default(), 1, 2);
        assert_eq!(read.catch_up(Some(1)), None);
        read.delivered(1);
        assert_eq!(read.catch_up(None), None);
        assert_eq!(read.catch_up(Some(3)), Some(Delivery::CaughtUp { sequence: 2 }));
        read.delivered(3);
        assert_eq!(read.catch_up(None), None);
        assert!(read.resume(&state(1, 5), true));
        assert_eq!(read.next_start(), ReadStart::Sequence(4));
        assert_eq!(read.catch_up(None), None);
        read.emptied();
        assert_eq!(read.catch_up(None), Some(Delivery::CaughtUp { sequence: 5 }));
    }

    #[test]
    fn an_empty_stream_is_caught_up_at_once_and_ends_at_its_head() {
        let mut read = progress(ReadOptions::default().with_until(ReadUntil::Head), 8, 7);
        assert_eq!(read.catch_up(None), Some(Delivery::CaughtUp { sequence: 7 }));
        assert!(read.is_done());
    }

    #[test]
    fn a_stream_whose_last_sequence_fell_is_another_one() {
        let mut read = progress(ReadOptions::default(), 1, 9);
        assert!(!read.resume(&state(1, 8), true));
        // A start beyond the end is no sequence that the stream had.
        let mut read = progress(ReadOptions::default().with_start(ReadStart::Sequence(100)), 1, 9);
        assert!(read.resume(&state(1, 9), true));
        assert_eq!(read.next_start(), ReadStart::Sequence(100));
    }

    #[test]
    fn last_per_subject_goes_on_behind_its_snapshot() {
        let options = ReadOptions::default().with_start(ReadStart::LastPerSubject);
        let mut read = progress(options, 1, 9);
        assert_eq!(read.next_start(), ReadStart::LastPerSubject);
        read.delivered(4);
        assert_eq!(read.admit(4), Admission::Known);
        assert_eq!(read.admit(9), Admission::Deliver);
        assert_eq!(read.admit(10), Admission::BehindSnapshot);
        assert!(read.resume(&state(1, 12), true));
        assert_eq!(read.next_start(), ReadStart::LastPerSubject);
        read.leave_snapshot();
        assert_eq!(read.next_start(), ReadStart::Sequence(10));
        assert_eq!(read.catch_up(None), None);
    }

    #[test]
    fn a_limit_ends_a_read() {
        let mut read = progress(ReadOptions::default().with_limit(1), 1, 9);
        assert!(!read.is_done());
        read.delivered(1);
        assert!(read.is_done());
        assert!(progress(ReadOptions::default().with_limit(0), 1, 9).is_done());
    }
}
