//! Steps of the spool under the writer's lock, one after the other.

use std::hash::RandomState;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use naq_core::Timestamp;
use naq_core::clock::{Clock, ManualClock};
use naq_core::config::{EventsConfig, Guarantee};
use naq_core::events::{EncodedEvent, Event, EventEncoder, EventSubjects};
use naq_core::jetstream::JetStream;
use naq_memory::MemoryJetStream;
use tokio::sync::oneshot;

use super::doubts::Recognition;
use super::fetching::Fetched;
use crate::spool::{Appended, SentContext, SpoolPosition, SpoolState, SpooledEvent};
use crate::writer::sending::Taken;
use crate::writer::spooling::Spooling;
use crate::writer::state::{Effects, Intake};
use crate::writer::{Way, Writer};

const SECOND: Duration = Duration::from_secs(1);

/// A writer with a spool in which so many events stand, all by themselves.
struct Bench {
    writer: Writer,
    clock: ManualClock,
    events: Vec<EncodedEvent>,
}

impl Bench {
    fn new(on_disk: u64) -> Self {
        let config = EventsConfig::default();
        let clock = ManualClock::new();
        let encoder = Arc::new(EventEncoder::new(EventSubjects::default()));
        let writer = Writer::new(&config, Arc::new(clock.clone()), Arc::clone(&encoder));
        {
            let mut state = writer.shared.lock();
            state.intake = Intake::Open;
            state.spooling = Some(Box::new(Spooling::new(&config, on_disk > 0)));
        }
        let encode = |_| encoder.encode(&Event::log("x"), Timestamp::default()).unwrap();
        let events: Vec<_> = (0..on_disk).map(encode).collect();
        for event in &events {
            writer.try_submit(event.clone()).unwrap();
        }
        if on_disk > 0 {
            let batch = writer.shared.lock().take_for_disk(Duration::ZERO, &mut Effects::default());
            writer.shared.written(batch, Ok(Appended::new(1, on_disk, None)));
        }
        Self { writer, clock, events }
    }

    /// Begins a session and hands it all that is on disk, in this state.
    fn fetch(&self, spooled: SpoolState) {
        self.fetch_of_which(spooled, |_| false);
    }

    /// The same, where some can't be found in the stream though they may be there.
    fn fetch_of_which(&self, spooled: SpoolState, is_uncertain: impl Fn(usize) -> bool) {
        let shared = &self.writer.shared;
        let jetstream: Arc<dyn JetStream> = Arc::new(MemoryJetStream::new());
        shared.begin_session(Way::Pipeline, Guarantee::MessageId, &jetstream);
        let (session, recognised_for, steady_now) = {
            let state = shared.lock();
            (state.session, state.recognised_for, state.steady.at(shared.now()))
        };
        let positions = (0..).scan(SpoolPosition::START, |position, _: u64| {
            *position = position.next();
            Some(*position)
        });
        let events: Vec<_> = positions
            .zip(&self.events)
            .map(|(position, event)| SpooledEvent {
                position,
                event: event.clone(),
                accepted_at: Timestamp::default(),
                state: spooled,
            })
            .collect();
        let next = events.last().map_or(SpoolPosition::START, |last| last.position.next());
        let recognition =
            Recognition { recognised_for, at: shared.now(), now: self.clock.now(), steady_now };
        let uncertain = events.iter().enumerate().filter(|(place, _)| is_uncertain(*place));
        let uncertain = uncertain.map(|(_, event)| event.position).collect();
        let fetched = Fetched { session, events, next, recognition, uncertain };
        shared.fetched(fetched, &RandomState::new());
    }

    /// In doubt since now.
    fn in_doubt(&self) -> SpoolState {
        let created = Timestamp::default();
        SpoolState::InDoubt(SentContext {
            stream_created: created,
            last_sequence: 0,
            sent_at: self.clock.now(),
        })
    }

    /// What a sender gets, and how many events that are.
    fn take(&self) -> (Taken, usize) {
        let shared = &self.writer.shared;
        let (number, _) = shared.open(Way::Pipeline).unwrap();
        let mut batch = Vec::new();
        let taken = shared.take(Way::Pipeline, number, Waker::noop(), &mut batch);
        (taken, batch.len())
    }
}

#[test]
fn what_may_be_stored_and_is_not_recognised_any_more_is_read_again_in_place_of_being_sent() {
    let bench = Bench::new(3);
    bench.fetch(bench.in_doubt());
    bench.clock.advance(110 * SECOND);
    assert_eq!(bench.take(), (Taken::Over, 0));
    bench.writer.shared.end_session();
    let state = bench.writer.shared.lock();
    assert!(state.schedule.is_empty() && state.has_more_on_disk(), "it is read again");
    drop(state);
    let bench = Bench::new(3);
    bench.fetch(bench.in_doubt());
    bench.clock.advance(109 * SECOND);
    assert_eq!(bench.take(), (Taken::Batch, 3));
    assert_eq!(bench.writer.counters().possible_duplicates, 0);
}

#[test]
fn what_may_be_stored_twice_is_counted_when_it_is_sent_and_not_each_time_it_is_read() {
    let bench = Bench::new(3);
    let long_ago = bench.in_doubt();
    bench.clock.advance(1_000 * SECOND);
    for _ in 0..3 {
        bench.fetch_of_which(long_ago, |place| place < 2);
        assert_eq!(bench.writer.counters().possible_duplicates, 0);
        bench.writer.shared.end_session();
    }
    bench.fetch_of_which(long_ago, |place| place < 2);
    let (taken, sent) = bench.take();
    assert!(taken == Taken::Batch && sent > 0, "{taken:?}");
    assert_eq!(bench.writer.counters().possible_duplicates, sent.min(2) as u64);
}

#[test]
fn what_is_read_from_the_spool_again_is_retried_if_it_was_sent() {
    let bench = Bench::new(3);
    // It is noted as sent in any case: that comes before the sending. When a session has
    // failed, the next one begins with a single event.
    for (sends, retried) in [(0, 0), (3, 0), (1, 1)] {
        bench.fetch(bench.in_doubt());
        if sends > 0 {
            assert_eq!(bench.take(), (Taken::Batch, sends));
        }
        assert_eq!(bench.writer.counters().retried, retried);
        bench.writer.shared.closed(Way::Pipeline);
        bench.writer.shared.end_session();
        bench.clock.advance(SECOND);
    }
}

#[test]
fn what_goes_to_disk_goes_in_the_order_of_acceptance() {
    let bench = Bench::new(0);
    let encoder = EventEncoder::new(EventSubjects::default());
    let mut receipts = Vec::new();
    for number in 0..6 {
        let event = encoder.encode(&Event::log("x"), Timestamp::default()).unwrap();
        // Each second one goes beside the line, because somebody waits for it.
        let receipt = (number % 2 == 0).then(|| {
            let (receipt, told) = oneshot::channel();
            receipts.push(told);
            receipt
        });
        assert!(bench.writer.submit(event, receipt, &mut None).unwrap().is_none());
    }
    let mut state = bench.writer.shared.lock();
    state.turn_to_the_spool(Duration::ZERO, &mut Effects::default());
    let batch = state.take_for_disk(Duration::ZERO, &mut Effects::default());
    let numbers: Vec<_> = batch.iter().map(|slot| slot.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
}
