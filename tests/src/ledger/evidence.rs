//! What there is to judge, with each stored message read once.

use std::collections::{BTreeMap, HashSet};
use std::ops::Deref;

use naq_core::events::EventCounters;

use super::{Case, Found, Notice, Outcome, Stamp};

/// What a stored message is.
#[derive(Debug)]
pub(super) enum Content {
    /// An event of the ledger, with the checksum that it carries.
    Stamp(Stamp, u32),
    /// naq's own, about a hole.
    Notice(Notice),
    /// Nobody's.
    Foreign,
}

/// A case, with its stream read.
#[derive(Debug)]
pub struct Evidence<'a> {
    case: &'a Case,
    contents: Vec<Content>,
}

impl Deref for Evidence<'_> {
    type Target = Case;

    fn deref(&self) -> &Case {
        self.case
    }
}

impl<'a> Evidence<'a> {
    pub(super) fn of(case: &'a Case) -> Self {
        let read = |found: &Found| match Stamp::of(&found.payload) {
            Some((stamp, sum)) => Content::Stamp(stamp, sum),
            None => Notice::of(&found.payload).map_or(Content::Foreign, Content::Notice),
        };
        Self { case, contents: case.readings.by_get.iter().map(read).collect() }
    }

    /// Every stored message, in the stream's order.
    pub(super) fn contents(&self) -> impl Iterator<Item = (&Found, &Content)> {
        self.case.readings.by_get.iter().zip(&self.contents)
    }

    /// The ledger's events in the stream, in its order.
    pub(super) fn stamps(&self) -> impl Iterator<Item = (&Found, &Stamp, u32)> {
        self.contents().filter_map(|(found, content)| match content {
            Content::Stamp(stamp, sum) => Some((found, stamp, *sum)),
            _ => None,
        })
    }

    pub(super) fn stored_ids(&self) -> HashSet<String> {
        self.stamps().map(|(_, stamp, _)| stamp.id()).collect()
    }

    /// The numbers of each series in the order in which they were first stored.
    pub(super) fn first_occurrences(&self) -> BTreeMap<String, Vec<u64>> {
        let mut seen = HashSet::new();
        let mut series: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (_, stamp, _) in self.stamps() {
            if seen.insert(stamp.id()) {
                series.entry(stamp.series()).or_default().push(stamp.n);
            }
        }
        series
    }

    /// What naq's own events in the stream tell of, each of them once.
    pub(super) fn notices(&self) -> Vec<Notice> {
        let mut seen = HashSet::new();
        let notices = self.contents.iter().filter_map(|content| match content {
            Content::Notice(notice) => Some(notice.clone()),
            _ => None,
        });
        notices.filter(|notice| seen.insert(notice.id.clone())).collect()
    }

    /// How many events naq counts as lost, and how many of them as not told of in the stream.
    pub(super) fn lost(&self) -> (u64, u64) {
        let losses = self.history.losses.values();
        losses.fold((0, 0), |(lost, untold), of_one| (lost + of_one.0, untold + of_one.1))
    }

    /// How many events naq counts as lost without having said which.
    pub(super) fn lost_namelessly(&self) -> u64 {
        let told = self.history.ended(|end| matches!(end, Outcome::Failed(_) | Outcome::Unknown));
        self.lost().0.saturating_sub(told)
    }

    pub(super) fn total(&self, of: impl Fn(&EventCounters) -> u64) -> u64 {
        self.history.counters.values().map(of).sum()
    }
}
