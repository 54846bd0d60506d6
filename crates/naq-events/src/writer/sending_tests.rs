use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use naq_core::Timestamp;
use naq_core::clock::ManualClock;
use naq_core::config::{EventsConfig, Guarantee};
use naq_core::events::{Event, EventEncoder, EventSubjects};
use naq_core::jetstream::JetStream;
use naq_memory::MemoryJetStream;

use super::*;
use crate::stream_setup::StreamFacts;
use crate::writer::Writer;
use crate::writer::state::Intake;

const SECOND: Duration = Duration::from_secs(1);

/// How many possible duplicates are counted where an event is sent again so long
/// after it was accepted, by a stream with a window of 20 s.
fn counted_after(span: Duration) -> u64 {
    let clock = ManualClock::new();
    let encoder = Arc::new(EventEncoder::new(EventSubjects::default()));
    let config = EventsConfig::default();
    let writer = Writer::new(&config, Arc::new(clock.clone()), Arc::clone(&encoder));
    let shared = &writer.shared;
    shared.lock().intake = Intake::Open;
    shared.know_stream(StreamFacts {
        max_message: 0,
        created: None,
        takes_batches: false,
        duplicate_window: Some(20 * SECOND),
    });
    let event = encoder.encode(&Event::log("x"), Timestamp::default()).unwrap();
    writer.try_submit(event).unwrap();
    let jetstream: Arc<dyn JetStream> = Arc::new(MemoryJetStream::new());
    for _ in 0..2 {
        shared.begin_session(Way::Pipeline, Guarantee::MessageId, &jetstream);
        let (number, _) = shared.open(Way::Pipeline).unwrap();
        let mut batch = Vec::new();
        let taken = shared.take(Way::Pipeline, number, Waker::noop(), &mut batch);
        assert_eq!((taken, batch.len()), (Taken::Batch, 1));
        shared.closed(Way::Pipeline);
        shared.end_session();
        clock.advance(span);
    }
    assert_eq!(writer.counters().retried, 1);
    writer.counters().possible_duplicates
}

#[test]
fn a_repeat_counts_from_the_end_of_the_stream_s_own_window_on_less_a_margin() {
    assert_eq!(counted_after(17 * SECOND), 0);
    assert_eq!(counted_after(18 * SECOND), 1);
}
