//! Which events were sent without an outcome yet, and what was known then.

use std::collections::BTreeMap;

use naq_core::Timestamp;

/// What was known when an event was sent: enough to find out later whether it arrived.
///
/// As long as the stream's duplicate window, counted from `sent_at`, is not
/// over, sending the event again under its id settles it. Later the stream is
/// looked through behind `last_sequence`, if it is still the stream that was
/// created at `stream_created` and still holds what follows that sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentContext {
    /// When the stream was created that the event was sent to.
    pub stream_created: Timestamp,
    /// A sequence of that stream behind which the event stands, if it arrived.
    pub last_sequence: u64,
    /// The wall time before the event was sent.
    pub sent_at: Timestamp,
}

impl SentContext {
    /// Whether an event of both stands behind the same message of the same stream.
    pub(super) fn is_same_place(&self, other: &Self) -> bool {
        self.stream_created == other.stream_created && self.last_sequence == other.last_sequence
    }

    /// For events whose `sent` marks were lost: no stream was created at
    /// [`Timestamp::MIN`], so these are found in none, and count as possible
    /// duplicates when they are sent again.
    #[must_use]
    pub const fn lost(sent_at: Timestamp) -> Self {
        Self { stream_created: Timestamp::MIN, last_sequence: 0, sent_at }
    }

    fn is_lost(&self) -> bool {
        self.stream_created == Timestamp::MIN
    }

    /// What is known of an event that was sent again.
    ///
    /// It may have arrived the first time: that is where a search begins, and
    /// from when on its id is forgotten. What went to a stream that is no more
    /// can't be found there. Where it isn't known what one of the two went to,
    /// it isn't known of both.
    fn then(self, again: Self) -> Self {
        if self.is_lost() || again.is_lost() {
            Self::lost(self.sent_at.min(again.sent_at))
        } else if self.stream_created == again.stream_created {
            self
        } else {
            again
        }
    }
}

/// Runs of positions that were sent, each with its context. No two overlap.
#[derive(Debug, Default)]
pub(super) struct SentRuns {
    runs: BTreeMap<u64, (u64, SentContext)>,
}

impl SentRuns {
    /// Whether marking a run would change nothing: all of it was sent before, and
    /// what is known of that holds.
    pub(super) fn knows(&self, first: u64, last: u64, context: SentContext) -> bool {
        let mut at = first;
        while at <= last {
            match self.runs.range(..=at).next_back() {
                Some((_, (end, known))) if *end >= at && known.then(context) == *known => {
                    at = end + 1;
                }
                _ => return false,
            }
        }
        true
    }

    /// The parts of a run of which nothing is known, in order.
    pub(super) fn gaps(&self, first: u64, last: u64) -> Vec<(u64, u64)> {
        let (mut gaps, mut at) = (Vec::new(), first);
        while at <= last {
            match self.runs.range(..=at).next_back().filter(|(_, (end, _))| *end >= at) {
                Some((_, (end, _))) => at = end + 1,
                None => {
                    let next = self.runs.range(at..).next().map_or(u64::MAX, |(start, _)| *start);
                    let end = last.min(next - 1);
                    gaps.push((at, end));
                    at = end + 1;
                }
            }
        }
        gaps
    }

    /// Notes that a run is being sent; of what was sent before too, what is
    /// known of both.
    pub(super) fn mark(&mut self, first: u64, last: u64, context: SentContext) {
        let mut at = first;
        for (start, end, known) in self.take(first, last) {
            if at < start {
                self.runs.insert(at, (start - 1, context));
            }
            self.runs.insert(start, (end, known.then(context)));
            at = end + 1;
        }
        if at <= last {
            self.runs.insert(at, (last, context));
        }
    }

    /// What was known when this position was sent; `None` where it was not.
    pub(super) fn get(&self, position: u64) -> Option<SentContext> {
        let (_, (last, context)) = self.runs.range(..=position).next_back()?;
        (*last >= position).then_some(*context)
    }

    /// How many positions are in it.
    pub(super) fn len(&self) -> u64 {
        self.runs.iter().map(|(first, (last, _))| last - first + 1).sum()
    }

    /// Forgets a run: it has its outcome.
    pub(super) fn forget(&mut self, first: u64, last: u64) {
        self.take(first, last);
    }

    /// Takes out what lies between `first` and `last`, cut to them, in order.
    fn take(&mut self, first: u64, last: u64) -> Vec<(u64, u64, SentContext)> {
        let before = self.runs.range(..first).next_back().filter(|(_, (end, _))| *end >= first);
        let starts: Vec<u64> = before
            .into_iter()
            .chain(self.runs.range(first..).take_while(|(start, _)| **start <= last))
            .map(|(start, _)| *start)
            .collect();
        let mut taken = Vec::with_capacity(starts.len());
        for start in starts {
            let Some((end, context)) = self.runs.remove(&start) else { continue };
            if start < first {
                self.runs.insert(start, (first - 1, context));
            }
            if end > last {
                self.runs.insert(last + 1, (end, context));
            }
            taken.push((start.max(first), end.min(last), context));
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn context(stream: i64, last_sequence: u64) -> SentContext {
        let at = Timestamp::from_nanos;
        SentContext { stream_created: at(stream), last_sequence, sent_at: at(0) }
    }

    #[test]
    fn the_first_sending_to_a_stream_is_where_a_search_begins() {
        let mut sent = SentRuns::default();
        sent.mark(1, 10, context(1, 100));
        let later = context(1, 400);
        assert!(sent.knows(3, 5, later) && !sent.knows(3, 11, later));
        assert!(!sent.knows(3, 5, context(2, 0)));
        assert_eq!((sent.gaps(3, 9), sent.gaps(9, 12)), (vec![], vec![(11, 12)]));
        sent.mark(8, 12, context(1, 300));
        assert_eq!(sent.get(4), Some(context(1, 100)));
        assert_eq!(sent.get(10), Some(context(1, 100)));
        assert_eq!(sent.get(11), Some(context(1, 300)));
        assert_eq!(sent.get(13), None);
    }

    #[test]
    fn of_what_was_sent_nobody_knows_where_to_the_first_time_counts_and_it_is_not_looked_for() {
        let at = Timestamp::from_nanos;
        let real = |sent_at| SentContext { sent_at: at(sent_at), ..context(1, 100) };
        for (first, again) in [
            (SentContext::lost(at(10)), real(90)),
            (real(10), SentContext::lost(at(90))),
            (SentContext::lost(at(10)), SentContext::lost(at(90))),
            (SentContext::lost(at(90)), real(10)),
        ] {
            let mut sent = SentRuns::default();
            sent.mark(1, 10, first);
            sent.mark(4, 6, again);
            assert_eq!(sent.get(5), Some(SentContext::lost(at(10))), "{first:?} {again:?}");
            assert!(sent.knows(4, 6, real(90)), "and no mark changes that");
            assert_eq!((sent.get(3), sent.get(7)), (Some(first), Some(first)));
        }
    }

    #[test]
    fn a_stream_made_anew_is_searched_in_place_of_the_old_one() {
        let mut sent = SentRuns::default();
        sent.mark(1, 10, context(1, 100));
        sent.mark(5, 6, context(2, 0));
        assert_eq!(sent.get(5), Some(context(2, 0)));
        assert_eq!((sent.get(4), sent.get(7)), (Some(context(1, 100)), Some(context(1, 100))));
    }

    proptest! {
        #[test]
        fn each_position_has_the_context_that_a_plain_map_would_have(
            steps in prop::collection::vec((1_u64..40, 0_u64..12, 0_i64..3, any::<bool>()), 0..30),
        ) {
            let mut sent = SentRuns::default();
            let mut model: BTreeMap<u64, SentContext> = BTreeMap::new();
            for (number, (first, length, stream, forget)) in steps.into_iter().enumerate() {
                let last = first + length;
                if forget {
                    sent.forget(first, last);
                    model.retain(|at, _| !(first..=last).contains(at));
                    continue;
                }
                let new = context(stream, number as u64);
                let mut is_known = true;
                let gaps = sent.gaps(first, last);
                let open: Vec<u64> = gaps.into_iter().flat_map(|(from, to)| from..=to).collect();
                let unknown = (first..=last).filter(|at| !model.contains_key(at));
                prop_assert_eq!(open, unknown.collect::<Vec<_>>());
                for at in first..=last {
                    let known = model.get(&at).map(|known| known.stream_created);
                    if known != Some(new.stream_created) {
                        model.insert(at, new);
                        is_known = false;
                    }
                }
                prop_assert_eq!(sent.knows(first, last, new), is_known);
                sent.mark(first, last, new);
            }
            for at in 0..60 {
                prop_assert_eq!(sent.get(at), model.get(&at).copied());
            }
        }
    }
}
