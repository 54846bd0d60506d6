//! What was lost, or may be: counted by type and reason, and told in the stream itself.
//!
//! Every loss is in two sums: one since the beginning, for the account, and
//! one of what the stream doesn't tell yet. As soon as the stream takes events
//! again the second becomes an `events_lost` event. Until that is stored its
//! sum is kept, and goes back if it isn't: so a loss can't lose its own notice,
//! and a lost notice makes no notice of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use naq_core::Timestamp;
use naq_core::events::{EncodedEvent, Event, EventLoss, EventType, LossReason, decode};
use serde_json::{Map, Value};

/// So many types are told apart; programs that make up types can't fill the memory with them.
const TYPES: usize = 32;

/// Under this name go the types beyond those.
const OTHER: &str = "other";

/// While losses go on, the stream is told of them no more often than this.
const INTERVAL: Duration = Duration::from_secs(1);

/// An `events_lost` that fails is tried again after so long at the latest.
const LONGEST: Duration = Duration::from_secs(64);

/// Losses for one reason, summed up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sum {
    count: u64,
    by_type: BTreeMap<EventType, u64>,
    /// When the first and the last of them were logged, in steady time.
    span: Option<(Timestamp, Timestamp)>,
}

impl Sum {
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn add(&mut self, event_type: &EventType, logged: Timestamp) {
        self.add_many(event_type, 1);
        self.widen(logged, logged);
    }

    fn add_many(&mut self, event_type: &EventType, count: u64) {
        // What other programs' events say of losses may be any number.
        self.count = self.count.saturating_add(count);
        let of_type = if let Some(known) = self.by_type.get_mut(event_type) {
            known
        } else if self.by_type.len() < TYPES {
            self.by_type.entry(event_type.clone()).or_default()
        } else {
            self.by_type.entry(OTHER.into()).or_default()
        };
        *of_type = of_type.saturating_add(count);
    }

    fn widen(&mut self, first: Timestamp, last: Timestamp) {
        let (from, to) = self.span.unwrap_or((first, last));
        self.span = Some((from.min(first), to.max(last)));
    }

    fn merge(&mut self, other: &Self) {
        for (event_type, count) in &other.by_type {
            self.add_many(event_type, *count);
        }
        if let Some((first, last)) = other.span {
            self.widen(first, last);
        }
    }

    /// What an event tells that is not stored itself and was logged at this
    /// time, and for which reason: its own, where it is one of ours.
    fn told_by(
        event: &EncodedEvent,
        reason: LossReason,
        logged: Timestamp,
    ) -> Option<(LossReason, Self)> {
        let event = decode(event.payload()).ok()?;
        let count = event.lost_count().filter(|count| *count > 0)?;
        let named = |reason: &&LossReason| event.reason.as_deref() == Some(reason.as_str());
        let reason = LossReason::ALL.iter().find(named).copied().unwrap_or(reason);
        let (mut sum, mut rest) = (Self::default(), count);
        for (name, count) in
            event.custom.get("types").and_then(Value::as_object).into_iter().flatten()
        {
            let count = count.as_u64().unwrap_or_default().min(rest);
            if count > 0 {
                sum.add_many(&name.as_str().into(), count);
            }
            rest -= count;
        }
        if rest > 0 {
            sum.add_many(&OTHER.into(), rest);
        }
        let at = |field: &str| -> Option<Timestamp> {
            let wall: Timestamp = event.custom.get(field)?.as_str()?.parse().ok()?;
            Some(logged.saturating_sub(event.timestamp?.since(wall)))
        };
        sum.widen(at("first_time").unwrap_or(logged), at("last_time").unwrap_or(logged));
        Some((reason, sum))
    }

    /// The types with their counts, in a line for the program's log.
    pub(super) fn types(&self) -> String {
        let types: Vec<String> =
            self.by_type.iter().map(|(name, count)| format!("{name}={count}")).collect();
        types.join(" ")
    }

    /// The event that tells the stream; `wall` and `now`, in steady time, are the same instant.
    pub(super) fn event(&self, reason: LossReason, wall: Timestamp, now: Timestamp) -> Event {
        let types: Map<String, Value> = self
            .by_type
            .iter()
            .map(|(event_type, count)| (event_type.as_str().to_owned(), Value::from(*count)))
            .collect();
        let (first, last) = self.span.unwrap_or((now, now));
        let at = |logged: Timestamp| wall.saturating_sub(now.since(logged)).to_string();
        Event::events_lost(self.count, reason.as_str())
            .with_field("types", types)
            .with_field("first_time", at(first))
            .with_field("last_time", at(last))
    }
}

/// A notice on its way to the stream.
#[derive(Debug)]
struct Telling {
    /// The number of its event.
    number: u64,
    reason: LossReason,
    sum: Sum,
}

/// All losses, and what the stream knows of them.
#[derive(Debug, Default)]
pub(super) struct Losses {
    total: BTreeMap<LossReason, Sum>,
    untold: BTreeMap<LossReason, Sum>,
    /// How many losses were taken to be told, and are on no event's way yet.
    taken: u64,
    telling: Vec<Telling>,
    /// Whether the stream took something since the last loss that it doesn't know.
    flows: bool,
    not_before: Duration,
    /// How often in a row telling it failed.
    failures: u32,
}

impl Losses {
    /// An event is lost that was logged at this time; its number, where it has one.
    ///
    /// One by which this service tells of losses is none: its sum goes back, and
    /// is told again. So is what one tells that an earlier program left, or the
    /// program logged itself.
    pub(super) fn add(
        &mut self,
        number: Option<u64>,
        event: &EncodedEvent,
        reason: LossReason,
        logged: Timestamp,
    ) {
        if number.is_some_and(|number| self.is_on_its_way(number)) {
            return;
        }
        let event_type = event.event_type();
        let told = Some(event).filter(|_| *event_type == EventType::EventsLost);
        match told.and_then(|event| Sum::told_by(event, reason, logged)) {
            Some((reason, sum)) => self.untold.entry(reason).or_default().merge(&sum),
            None => self.untold.entry(reason).or_default().add(event_type, logged),
        }
        self.total.entry(reason).or_default().add(event_type, logged);
    }

    /// Whether the event of this number is one of the service's own that tell of losses.
    fn is_on_its_way(&self, number: u64) -> bool {
        // Nearly always there is none.
        self.telling.iter().any(|telling| telling.number == number)
    }

    /// The stream took an event.
    pub(super) fn stream_flows(&mut self) {
        self.flows |= !self.untold.is_empty();
    }

    /// The stream takes events again: what failed before says nothing any more.
    pub(super) fn stream_returns(&mut self, now: Duration) {
        self.not_before = self.not_before.min(now.saturating_add(INTERVAL));
    }

    /// When the stream is to be told, if there is anything to tell: at once as
    /// it flows, and as a try where `idle` says that nothing else is under way.
    pub(super) fn due(&self, idle: bool) -> Option<Duration> {
        let wanted = !self.untold.is_empty() && !self.is_telling() && (self.flows || idle);
        wanted.then_some(self.not_before)
    }

    /// Whether events that tell of losses are made, or have no outcome yet.
    pub(super) fn is_telling(&self) -> bool {
        self.taken > 0 || !self.telling.is_empty()
    }

    /// Whether the stream knows of everything.
    pub(super) fn are_told(&self) -> bool {
        self.untold() == 0
    }

    /// How many losses the stream doesn't tell.
    pub(super) fn untold(&self) -> u64 {
        let telling = self.telling.iter().map(|telling| &telling.sum);
        let sums = self.untold.values().chain(telling).map(Sum::count);
        sums.fold(self.taken, u64::saturating_add)
    }

    /// Everything that is to be told now; each goes back by [`telling`](Self::telling).
    pub(super) fn take(&mut self, now: Duration) -> BTreeMap<LossReason, Sum> {
        let wait = INTERVAL.saturating_mul(1 << self.failures.min(20)).min(LONGEST);
        self.not_before = now.saturating_add(wait);
        self.flows = false;
        self.taken = self.untold.values().map(Sum::count).fold(0, u64::saturating_add);
        std::mem::take(&mut self.untold)
    }

    /// A sum is on its way as the event of this number.
    pub(super) fn telling(&mut self, number: u64, reason: LossReason, sum: Sum) {
        self.taken = self.taken.saturating_sub(sum.count());
        self.telling.push(Telling { number, reason, sum });
    }

    /// So many events are lost of which nobody knows the type, as was noticed at this time.
    pub(super) fn add_nameless(&mut self, count: u64, reason: LossReason, noticed: Timestamp) {
        for sums in [&mut self.total, &mut self.untold].into_iter().filter(|_| count > 0) {
            let sum = sums.entry(reason).or_default();
            sum.add_many(&OTHER.into(), count);
            sum.widen(noticed, noticed);
        }
    }

    /// An event has its outcome, which may be one that tells of losses.
    pub(super) fn settled(&mut self, number: u64, is_stored: bool) {
        // Nearly always there is none.
        let Some(at) = self.telling.iter().position(|telling| telling.number == number) else {
            return;
        };
        let Telling { reason, sum, .. } = self.telling.swap_remove(at);
        if is_stored {
            self.failures = 0;
        } else {
            self.failures = self.failures.saturating_add(1);
            self.untold.entry(reason).or_default().merge(&sum);
        }
    }

    /// The account since the beginning.
    pub(super) fn account(&self) -> Vec<EventLoss> {
        let of = |(reason, sum): (&LossReason, &Sum)| -> Vec<EventLoss> {
            let types = sum.by_type.iter();
            types.map(|(name, count)| EventLoss::new(*reason, name, *count)).collect()
        };
        self.total.iter().flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use naq_core::events::{EventEncoder, EventSubjects};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn encoded(event: &Event, wall: Timestamp) -> EncodedEvent {
        EventEncoder::new(EventSubjects::default()).encode(event, wall).unwrap()
    }

    fn lost(losses: &mut Losses, event_type: &str, seconds: i64) {
        let event = encoded(&Event::new(event_type), at(0));
        losses.add(None, &event, LossReason::DropNewest, at(seconds));
    }

    #[test]
    fn a_loss_is_told_when_the_stream_flows_or_nothing_else_is_under_way() {
        let mut losses = Losses::default();
        assert_eq!((losses.due(true), losses.are_told()), (None, true));
        lost(&mut losses, "x", 1);
        assert_eq!((losses.due(false), losses.due(true)), (None, Some(Duration::ZERO)));
        losses.stream_flows();
        assert_eq!(losses.due(false), Some(Duration::ZERO));
        assert_eq!(losses.untold(), 1);
    }

    #[test]
    fn what_was_taken_before_a_loss_says_nothing_about_it() {
        let mut losses = Losses::default();
        losses.stream_flows();
        lost(&mut losses, "x", 1);
        assert_eq!(losses.due(false), None);
    }

    #[test]
    fn a_notice_that_is_lost_goes_back_into_the_sum_and_waits_longer_each_time() {
        let mut losses = Losses::default();
        lost(&mut losses, "a", 1);
        lost(&mut losses, "b", 3);
        let mut waits = Vec::new();
        for number in 0..3 {
            let before = losses.untold();
            let (reason, sum) = losses.take(Duration::ZERO).pop_first().unwrap();
            assert_eq!(losses.untold(), before, "told is what is stored");
            losses.telling(number, reason, sum);
            assert_eq!((losses.untold(), losses.due(true)), (before, None), "one at a time");
            lost(&mut losses, "a", 2);
            losses.settled(99, false);
            losses.settled(number, false);
            waits.push(losses.due(true).unwrap().as_secs());
        }
        assert_eq!(waits, [1, 2, 4]);
        let (_, sum) = losses.take(Duration::ZERO).pop_first().unwrap();
        assert_eq!((sum.count(), sum.types().as_str()), (5, "a=4 b=1"));
        assert_eq!(sum.span, Some((at(1), at(3))));
        losses.telling(7, LossReason::DropNewest, sum);
        losses.settled(7, true);
        assert!(losses.are_told());
        assert_eq!(
            losses.account(),
            [
                EventLoss::new(LossReason::DropNewest, "a", 4),
                EventLoss::new(LossReason::DropNewest, "b", 1),
            ]
        );
    }

    #[test]
    fn a_stream_that_takes_events_again_is_told_within_a_second() {
        let mut losses = Losses::default();
        lost(&mut losses, "a", 1);
        for number in 0..7 {
            let (reason, sum) = losses.take(Duration::ZERO).pop_first().unwrap();
            losses.telling(number, reason, sum);
            losses.settled(number, false);
        }
        assert_eq!(losses.due(true), Some(64 * SECOND));
        losses.stream_returns(9 * SECOND);
        losses.stream_flows();
        assert_eq!(losses.due(false), Some(10 * SECOND));
        losses.stream_returns(20 * SECOND);
        assert_eq!(losses.due(false), Some(10 * SECOND), "no later than it was");
    }

    #[test]
    fn what_a_lost_event_tells_that_is_not_of_this_service_is_told_anew() {
        let mut sum = Sum::default();
        sum.add(&EventType::JobFailed, at(10));
        sum.add(&"x".into(), at(12));
        // Made ten seconds behind the first of them, at another time by the wall's clock.
        let of_before = encoded(&sum.event(LossReason::DropOldest, at(1_000), at(20)), at(1_000));
        let of_the_program = encoded(&Event::events_lost(u64::MAX, "its own"), at(1_000));
        let mut losses = Losses::default();
        for (number, event) in [(Some(0), &of_before), (None, &of_the_program)] {
            losses.add(number, event, LossReason::Failed, at(50));
        }
        let account = losses.account();
        assert_eq!(account, [EventLoss::new(LossReason::Failed, EventType::EventsLost, 2)]);
        assert_eq!(losses.untold(), u64::MAX);
        let mut untold = losses.take(Duration::ZERO);
        let again = untold.remove(&LossReason::DropOldest).unwrap();
        assert_eq!(again.types(), "job_failed=1 x=1");
        assert_eq!(again.span, Some((at(40), at(42))));
        assert_eq!(untold.remove(&LossReason::Failed).unwrap().count(), u64::MAX);
        // One of its own goes back as a whole.
        losses.telling(7, LossReason::DropOldest, again);
        losses.add(Some(7), &of_before, LossReason::Failed, at(60));
        losses.settled(7, false);
        assert_eq!(losses.take(Duration::ZERO)[&LossReason::DropOldest].count(), 2);
        assert_eq!(losses.account(), account);
    }

    #[test]
    fn types_beyond_the_first_ones_share_a_name() {
        let mut losses = Losses::default();
        for number in 0..100 {
            lost(&mut losses, &format!("type_{number:02}"), 1);
        }
        let account = losses.account();
        assert_eq!(account.len(), TYPES + 1);
        let other = account.iter().find(|loss| loss.event_type == OTHER).unwrap();
        assert_eq!(other.count, 100 - TYPES as u64);
        assert_eq!(account.iter().map(|loss| loss.count).sum::<u64>(), 100);
    }

    #[test]
    fn the_event_says_how_many_of_what_when_and_why() {
        let mut sum = Sum::default();
        sum.add(&EventType::JobFailed, at(10));
        sum.add(&EventType::JobFailed, at(12));
        let event = sum.event(LossReason::DropOldest, at(100), at(20));
        assert_eq!(event.event_type, EventType::EventsLost);
        assert_eq!(event.reason.as_deref(), Some("drop_oldest"));
        assert_eq!(event.custom["count"], 2);
        assert_eq!(event.custom["types"], serde_json::json!({"job_failed": 2}));
        assert_eq!(event.custom["first_time"], "1970-01-01T00:01:30.000000Z");
        assert_eq!(event.custom["last_time"], "1970-01-01T00:01:32.000000Z");
    }
}
