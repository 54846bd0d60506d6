//! The account of every event, and the room that is left for more.

use naq_core::events::{EventCounters, FlushReport};

use super::room::Room;

/// How an accepted event ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Stored.
    Acked {
        /// Whether it was there before.
        duplicate: bool,
    },
    /// Refused for good, or given up without ever having been in doubt.
    Failed,
    /// Given up, and it may be stored.
    Unknown,
    /// Given up by the overflow policy.
    Dropped,
}

/// A flush's own account: of the events that were pending when it began.
#[derive(Debug)]
struct Tally {
    id: u64,
    /// It counts the events with a smaller number.
    below: u64,
    report: FlushReport,
}

/// Counts each event once in each place, so that the sum is right at all times.
#[derive(Debug)]
pub(super) struct Ledger {
    counters: EventCounters,
    /// The same of the service's own events: the account is about those of others.
    own: EventCounters,
    max_events: u64,
    max_bytes: u64,
    tallies: Vec<Tally>,
    next_tally: u64,
    /// The numbers of the service's own events that have no outcome, at most
    /// one for each reason of losses. No tally counts them.
    notices: Vec<u64>,
    /// Whether the next event that is accepted is one.
    next_is_own: bool,
}

impl Ledger {
    pub(super) fn new(max_events: u64, max_bytes: u64) -> Self {
        Self {
            counters: EventCounters::default(),
            own: EventCounters::default(),
            max_events,
            max_bytes,
            tallies: Vec::new(),
            next_tally: 0,
            notices: Vec::new(),
            next_is_own: false,
        }
    }

    pub(super) const fn counters(&self) -> EventCounters {
        self.counters
    }

    /// How many events are in the spool, the service's own among them.
    pub(super) const fn on_disk(&self) -> u64 {
        self.counters.spooled + self.own.spooled
    }

    /// The account to which the event of this number belongs.
    fn of(&mut self, number: u64) -> &mut EventCounters {
        // Nearly always there is none.
        if self.is_notice(number) { &mut self.own } else { &mut self.counters }
    }

    pub(super) const fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Whether there is room for one more of this charge.
    pub(super) const fn fits(&self, bytes: u64) -> bool {
        self.would_fit(bytes, Room::NONE)
    }

    /// Whether there would be room for one more of this charge with so much more of it.
    pub(super) const fn would_fit(&self, bytes: u64, freed: Room) -> bool {
        let pending = self.counters.pending + self.own.pending;
        let pending_bytes = self.counters.pending_bytes.saturating_add(bytes);
        pending.saturating_sub(freed.events) < self.max_events
            && pending_bytes.saturating_sub(freed.bytes) <= self.max_bytes
    }

    /// An event was accepted.
    pub(super) fn accept(&mut self, charge: u64) {
        let own = std::mem::take(&mut self.next_is_own);
        let counters = if own { &mut self.own } else { &mut self.counters };
        counters.offered += 1;
        counters.pending += 1;
        self.counters.pending_bytes += charge;
    }

    /// The event of this number, which is accepted next, is the service's own.
    pub(super) fn notice(&mut self, number: u64) {
        self.notices.push(number);
        self.next_is_own = true;
    }

    /// Whether the event of this number is the service's own, and has no outcome.
    pub(super) fn is_notice(&self, number: u64) -> bool {
        self.notices.contains(&number)
    }

    /// Whether nothing has no outcome but events of the service's own.
    pub(super) const fn has_notices_alone(&self) -> bool {
        self.counters.pending + self.counters.spooled == 0
    }

    /// An event was refused before acceptance.
    pub(super) fn reject(&mut self) {
        self.counters.offered += 1;
        self.counters.rejected += 1;
    }

    /// An event was dropped instead of being accepted.
    pub(super) fn drop_newest(&mut self) {
        self.counters.offered += 1;
        self.counters.dropped += 1;
    }

    /// So many events were found in the spool.
    pub(super) fn recover(&mut self, count: u64, torn: u64, corrupt: u64) {
        self.counters.recovered += count;
        self.counters.spooled += count;
        self.counters.torn += torn;
        self.counters.corrupt += corrupt;
    }

    /// So many events in the spool turned out to be damaged.
    pub(super) fn corrupt(&mut self, count: u64) {
        self.counters.corrupt += count;
    }

    /// So many events were sent that may have been stored before.
    pub(super) fn possible_duplicates(&mut self, count: u64) {
        self.counters.possible_duplicates += count;
    }

    /// The accepted event of this number is in the spool now.
    pub(super) fn keep(&mut self, number: u64, charge: u64) {
        self.release(number, charge);
        self.of(number).spooled += 1;
        self.tally(number, |report| report.spooled += 1);
    }

    /// The event of this number, which was to be in the spool when it is
    /// accepted, is not accepted after all.
    pub(super) fn withdraw(&mut self, number: u64, charge: u64) {
        self.release(number, charge);
        self.counters.rejected += 1;
    }

    /// The event of this number, which is in the spool, ended.
    pub(super) fn settle_spooled(&mut self, number: u64, outcome: Outcome, bytes: u64) {
        self.of(number).spooled -= 1;
        self.tally(number, |report| report.spooled = report.spooled.saturating_sub(1));
        self.end(number, outcome, bytes);
    }

    /// A batch was sent, so many of it not for the first time.
    pub(super) fn sent_batch(&mut self, retried: u64) {
        self.counters.batches += 1;
        self.counters.retried += retried;
    }

    /// The accepted event of this number ended.
    pub(super) fn settle(&mut self, number: u64, outcome: Outcome, charge: u64, bytes: u64) {
        self.release(number, charge);
        self.end(number, outcome, bytes);
    }

    /// It is not pending any more.
    fn release(&mut self, number: u64, charge: u64) {
        self.of(number).pending -= 1;
        self.counters.pending_bytes -= charge;
        self.tally(number, |report| report.pending -= 1);
    }

    fn end(&mut self, number: u64, outcome: Outcome, bytes: u64) {
        let counters = self.of(number);
        match outcome {
            Outcome::Acked { duplicate } => {
                counters.acked += 1;
                counters.acked_bytes += bytes;
                counters.duplicates += u64::from(duplicate);
            }
            Outcome::Failed => counters.failed += 1,
            Outcome::Unknown => counters.unknown += 1,
            Outcome::Dropped => counters.dropped += 1,
        }
        self.tally(number, |report| match outcome {
            Outcome::Acked { .. } => report.acked += 1,
            Outcome::Failed => report.failed += 1,
            Outcome::Unknown => report.unknown += 1,
            Outcome::Dropped => report.dropped += 1,
        });
        if !self.notices.is_empty() {
            self.notices.retain(|notice| *notice != number);
            self.counters.notices = self.own.acked;
        }
    }

    /// Counts it in the flushes that wait for it.
    fn tally(&mut self, number: u64, count: impl Fn(&mut FlushReport)) {
        if self.is_notice(number) {
            return;
        }
        for tally in self.tallies.iter_mut().filter(|tally| number < tally.below) {
            count(&mut tally.report);
        }
    }

    /// Begins to count what becomes of all that is pending now.
    pub(super) fn begin_tally(&mut self, below: u64) -> u64 {
        let id = self.next_tally;
        self.next_tally += 1;
        let mut report = FlushReport::default();
        report.pending = self.counters.pending;
        report.spooled = self.counters.spooled;
        self.tallies.push(Tally { id, below, report });
        id
    }

    /// Whether all that a count is about has its outcome.
    pub(super) fn is_tally_over(&self, id: u64) -> bool {
        let tally = self.tallies.iter().find(|tally| tally.id == id);
        tally.is_none_or(|tally| tally.report.pending + tally.report.spooled == 0)
    }

    /// What became of it so far; ends the count.
    pub(super) fn end_tally(&mut self, id: u64) -> FlushReport {
        match self.tallies.iter().position(|tally| tally.id == id) {
            Some(at) => self.tallies.swap_remove(at).report,
            None => FlushReport::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_counted_once_in_each_place() {
        let mut ledger = Ledger::new(10, 1_000);
        for _ in 0..4 {
            ledger.accept(100);
        }
        ledger.reject();
        ledger.drop_newest();
        ledger.settle(0, Outcome::Acked { duplicate: true }, 100, 7);
        ledger.settle(1, Outcome::Failed, 100, 7);
        ledger.settle(2, Outcome::Unknown, 100, 7);
        let counters = ledger.counters();
        assert!(counters.is_balanced());
        assert_eq!((counters.offered, counters.pending, counters.pending_bytes), (6, 1, 100));
        assert_eq!((counters.acked_bytes, counters.duplicates), (7, 1));
    }

    #[test]
    fn what_is_in_the_spool_is_counted_there_until_it_ends() {
        let mut ledger = Ledger::new(10, 1_000);
        ledger.recover(2, 0, 0);
        ledger.accept(100);
        ledger.accept(100);
        let tally = ledger.begin_tally(3);
        ledger.keep(1, 100);
        let counters = ledger.counters();
        assert!(counters.is_balanced());
        assert_eq!((counters.pending, counters.pending_bytes, counters.spooled), (1, 100, 3));
        ledger.settle_spooled(0, Outcome::Failed, 7);
        ledger.settle_spooled(1, Outcome::Acked { duplicate: false }, 7);
        ledger.withdraw(2, 100);
        let counters = ledger.counters();
        assert!(counters.is_balanced());
        assert_eq!((counters.spooled, counters.rejected, counters.acked_bytes), (1, 1, 7));
        let report = ledger.end_tally(tally);
        assert_eq!((report.acked, report.failed, report.spooled, report.pending), (1, 1, 1, 0));
    }

    #[test]
    fn room_is_bounded_in_events_and_in_bytes() {
        let mut ledger = Ledger::new(2, 100);
        assert!(ledger.fits(100) && !ledger.fits(101));
        ledger.accept(60);
        assert!(ledger.fits(40) && !ledger.fits(41));
        ledger.accept(1);
        assert!(!ledger.fits(1));
    }

    #[test]
    fn a_tally_counts_what_was_pending_when_it_began_and_nothing_later() {
        let mut ledger = Ledger::new(10, 1_000);
        ledger.accept(1);
        ledger.accept(1);
        let tally = ledger.begin_tally(2);
        ledger.accept(1);
        ledger.settle(2, Outcome::Failed, 1, 1);
        ledger.settle(0, Outcome::Acked { duplicate: false }, 1, 1);
        let report = ledger.end_tally(tally);
        assert_eq!((report.acked, report.failed, report.pending), (1, 0, 1));
    }

    #[test]
    fn a_tally_is_about_the_events_of_others_alone() {
        let mut ledger = Ledger::new(10, 1_000);
        ledger.accept(1);
        for number in [2, 3] {
            ledger.notice(number);
            ledger.accept(1);
        }
        ledger.keep(3, 1);
        let tally = ledger.begin_tally(4);
        ledger.settle(2, Outcome::Failed, 1, 1);
        assert!(!ledger.is_tally_over(tally) && !ledger.has_notices_alone());
        assert_eq!((ledger.on_disk(), ledger.counters().spooled), (1, 0));
        ledger.settle(1, Outcome::Acked { duplicate: false }, 1, 1);
        assert!(ledger.is_tally_over(tally) && ledger.has_notices_alone());
        ledger.settle_spooled(3, Outcome::Acked { duplicate: false }, 1);
        let counters = ledger.counters();
        assert!(ledger.notices.is_empty() && counters.is_balanced());
        assert_eq!((counters.offered, counters.acked, counters.notices), (1, 1, 1));
        let report = ledger.end_tally(tally);
        assert_eq!((report.acked, report.failed, report.unknown), (1, 0, 0));
        assert_eq!((report.pending, report.spooled), (0, 0));
    }
}
