//! Tiers: the older a digest, the coarser it tells times apart, where the
//! configuration says so.

use std::collections::HashMap;
use std::time::Duration;

use naq_core::config::EventsConfig;
use naq_core::{Result, Timestamp};

use super::cell::FEWER;
use super::digest::{Digest, block_end};
use super::encode::encode;
use super::hours::{Grain, Hours, together};
use super::kept::Digests;
use super::store::Kept;

/// How many digests are made coarser at a time, at most.
pub(crate) const MOST: usize = 64;

/// After how long in the store a digest tells hours apart, and days; `None` for never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tiers {
    hours_after: Option<Duration>,
    days_after: Option<Duration>,
}

impl Tiers {
    /// Those of a configuration.
    pub(crate) const fn of(config: &EventsConfig) -> Self {
        Self { hours_after: config.digest_hours_after, days_after: config.digest_days_after }
    }

    /// The shortest time after which anything is to be done; `None` without tiers.
    pub(crate) fn shortest(self) -> Option<Duration> {
        let [minutes, hours] =
            [Grain::Minute, Grain::Hour].map(|grain| self.next(grain, Grain::Minute));
        minutes.into_iter().chain(hours).min()
    }

    /// After how long in the store a digest gets to be of such a grain; `None` for never.
    fn after(self, grain: Grain, next: Grain) -> Option<Duration> {
        match (grain, next) {
            (Grain::Minute, Grain::Hour) => self.hours_after,
            (Grain::Minute, Grain::Day) => self.days_after,
            // It came there when it was made one of hours.
            (Grain::Hour, Grain::Day) => {
                Some(self.days_after?.saturating_sub(self.hours_after.unwrap_or_default()))
            }
            _ => None,
        }
    }

    /// After how long in the store a digest gets to be coarser than that; `None` for never.
    fn next(self, grain: Grain, tried: Grain) -> Option<Duration> {
        let coarser = [Grain::Hour, Grain::Day].into_iter().filter(|next| *next > tried);
        coarser.filter_map(|next| self.after(grain, next)).min()
    }

    /// What becomes of a digest that has been in the store for so long as it is;
    /// `None` where it stays.
    fn due(self, grain: Grain, age: Duration) -> Option<Grain> {
        let is_over = |next: &Grain| self.after(grain, *next).is_some_and(|after| age >= after);
        [Grain::Day, Grain::Hour].into_iter().find(is_over)
    }
}

/// Who makes the digests of a log coarser.
#[derive(Debug, Default)]
pub(crate) struct Coarsening {
    created: Timestamp,
    /// By block what was found or done: a few words of each digest of which the
    /// log has nothing any more.
    known: HashMap<u64, Looked>,
}

/// What is known of a digest that was looked at.
#[derive(Debug, Clone, Copy)]
struct Looked {
    revision: u64,
    /// When there may be something to do; `None` for never.
    next: Option<Timestamp>,
}

impl Coarsening {
    /// Replaces digests that are due and of whose blocks the log, which begins
    /// with this sequence, has nothing any more; `now` is by the server's clock.
    /// Answers how many it looked at, and how many it made coarser.
    ///
    /// While its events are there, a digest stays as it is: what it doesn't
    /// tell could be read again, as long as it says in which minutes they lie.
    /// One that lacks something of its block is told first that this is gone,
    /// so that nothing is ever added to a coarse one.
    pub(crate) async fn step(
        &mut self,
        digests: &Digests,
        (created, first_sequence): (Timestamp, u64),
        now: Timestamp,
        tiers: Tiers,
    ) -> Result<(usize, u64)> {
        if self.created != created {
            *self = Self { created, ..Self::default() };
        }
        let Some(shortest) = tiers.shortest() else { return Ok((0, 0)) };
        let store = digests.store();
        let is_due = |kept: &Kept| {
            let known = self.known.get(&kept.block).filter(|it| it.revision == kept.revision);
            let first = || Some(kept.at.saturating_add(shortest));
            known.map_or_else(first, |it| it.next).is_some_and(|next| now >= next)
        };
        let due = store
            .list(MOST, |kept| {
                let is_gone = kept.created == created && block_end(kept.block) < first_sequence;
                is_gone && is_due(kept)
            })
            .await?;
        let (looked_at, mut made) = (due.len(), 0);
        for kept in due {
            let mut looked = Looked { revision: kept.revision, next: None };
            // Else it was replaced meanwhile, or can't be read.
            if let Some((mut digest, before)) = store.get_kept(&kept).await? {
                digest.through = block_end(digest.block);
                let (mut since, mut tried) = (kept.at, digest.grain);
                if let Some(next) = tiers.due(digest.grain, now.since(kept.at)) {
                    let bytes = encode(&digest.coarser(next));
                    tried = next;
                    // One that would be no shorter tells what it tells.
                    if bytes.len() < before
                        && let Some(revision) = store.replace(&kept, bytes).await?
                    {
                        digests.look_again(created, kept.block);
                        made += 1;
                        looked.revision = revision;
                        (since, digest.grain) = (now, next);
                    }
                }
                let next = tiers.next(digest.grain, tried);
                looked.next = next.map(|next| since.saturating_add(next));
            }
            self.known.insert(kept.block, looked);
        }
        Ok((looked_at, made))
    }
}

impl Digest {
    /// The same with its cells put together by longer stretches of time; the
    /// minutes of its errors stay.
    pub(super) fn coarser(&self, grain: Grain) -> Self {
        let mut coarser = self.clone();
        coarser.grain = grain;
        let cells = together(&self.cells, grain).into_iter();
        coarser.cells = cells.map(|(key, cell)| (key, cell.blurred_beyond(FEWER))).collect();
        coarser.hours = Hours::default();
        coarser.spans.clear();
        for (minute, span) in &self.spans {
            let minute = grain.stretch(*minute);
            match coarser.spans.last_mut().filter(|(last, _)| *last == minute) {
                Some((_, mine)) => {
                    mine.extend(span.from);
                    mine.extend(span.to);
                }
                None => coarser.spans.push((minute, *span)),
            }
        }
        coarser
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_gets_coarser_by_how_long_it_has_been_what_it_is() {
        let day = |days: u64| Duration::from_secs(86_400 * days);
        let tiers = |hours: Option<u64>, days: Option<u64>| Tiers {
            hours_after: hours.map(day),
            days_after: days.map(day),
        };
        let (both, fine) = (tiers(Some(30), Some(365)), Grain::Minute);
        for (tiers, grain, age, expected) in [
            (both, fine, 29, None),
            (both, fine, 30, Some(Grain::Hour)),
            (both, fine, 365, Some(Grain::Day)),
            (both, Grain::Hour, 334, None),
            (both, Grain::Hour, 335, Some(Grain::Day)),
            (both, Grain::Day, 9_999, None),
            (tiers(None, Some(3)), fine, 2, None),
            (tiers(None, Some(3)), fine, 3, Some(Grain::Day)),
            (tiers(Some(3), None), Grain::Hour, 9_999, None),
            (Tiers::default(), fine, 9_999, None),
        ] {
            assert_eq!(tiers.due(grain, day(age)), expected, "{tiers:?} {grain:?} {age}");
        }
        assert_eq!((both.shortest(), Tiers::default().shortest()), (Some(day(30)), None));
        // One of hours may be due before one of minutes is.
        assert_eq!(tiers(Some(30), Some(40)).shortest(), Some(day(10)));
        // What became no shorter by hour is tried by day when that is due for it.
        assert_eq!(both.next(fine, Grain::Hour), Some(day(365)));
        assert_eq!(both.next(fine, Grain::Day), None);
    }
}
