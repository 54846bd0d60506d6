//! The spool as a program uses it: its thread, its owners, and the end of a process at any instant.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what only tests call is not under the tests' own exemption"
)]

mod child;
#[cfg(unix)]
mod full;
mod handle;
#[cfg(unix)]
mod killed;
mod owners;

use naq_core::Timestamp;
use naq_core::events::{Event, EventEncoder, EventSubjects};
use naq_events::spool::{ReadLimit, Spool, SpoolEntry, SpoolPosition, SpooledEvent};

/// The event of this number; its id is the number.
fn entry(number: u64) -> SpoolEntry {
    let accepted_at = Timestamp::from_nanos(i64::try_from(number).unwrap());
    let event = Event::job_paused("job-1").with_id(number.to_string());
    let encoder = EventEncoder::new(EventSubjects::default());
    SpoolEntry::new(encoder.encode(&event, accepted_at).unwrap(), accepted_at)
}

fn entries(numbers: std::ops::RangeInclusive<u64>) -> Vec<SpoolEntry> {
    numbers.map(entry).collect()
}

async fn read_all(spool: &Spool) -> Vec<SpooledEvent> {
    let (mut all, mut from) = (Vec::new(), SpoolPosition::START);
    loop {
        let chunk = spool.read(from, ReadLimit::default()).await.unwrap();
        if chunk.events.is_empty() {
            return all;
        }
        from = chunk.next;
        all.extend(chunk.events);
    }
}

fn number(event: &SpooledEvent) -> u64 {
    event.event.id().to_string().parse().unwrap()
}

async fn numbers(spool: &Spool) -> Vec<u64> {
    read_all(spool).await.iter().map(number).collect()
}
