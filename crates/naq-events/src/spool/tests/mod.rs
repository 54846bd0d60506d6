//! The spool as a plain struct, held against what may happen to it.

mod damage;
mod full;
mod life;
mod model;
mod unreadable;

use std::path::{Path, PathBuf};

use crate::spool::SpoolFsync;
use naq_core::Timestamp;
use naq_core::events::{Event, EventEncoder, EventSubjects};

use super::log::SpoolLog;
use super::owner::bases;
use super::{
    PositionSet, ReadLimit, Recovered, SentContext, SpoolEntry, SpoolOptions, SpoolPosition,
    SpoolState, SpooledEvent,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000)
}

/// The event of this number; its id is the number.
fn entry(number: u64) -> SpoolEntry {
    let encoder = EventEncoder::new(EventSubjects::default());
    let event = Event::job_paused(format!("job-{}", number % 3)).with_id(number.to_string());
    let accepted_at = at(i64::try_from(number).unwrap());
    SpoolEntry::new(encoder.encode(&event, accepted_at).unwrap(), accepted_at)
}

fn entries(numbers: std::ops::RangeInclusive<u64>) -> Vec<SpoolEntry> {
    numbers.map(entry).collect()
}

fn context(last_sequence: u64) -> SentContext {
    SentContext { stream_created: at(1), last_sequence, sent_at: at(2) }
}

fn options() -> SpoolOptions {
    SpoolOptions::default().with_fsync(SpoolFsync::Never)
}

fn open(root: &Path) -> (SpoolLog, Recovered) {
    SpoolLog::open(root, options()).unwrap()
}

fn run(first: u64, last: u64) -> PositionSet {
    PositionSet::run(SpoolPosition(first), SpoolPosition(last))
}

/// All that comes out, in chunks that don't fit the segments.
fn read_all(log: &mut SpoolLog) -> Vec<SpooledEvent> {
    let mut all = Vec::new();
    let mut from = SpoolPosition::START;
    loop {
        let chunk = log.read(from, ReadLimit::new(7, 1_000)).unwrap();
        if chunk.events.is_empty() {
            return all;
        }
        from = chunk.next;
        all.extend(chunk.events);
    }
}

/// The ids of all that comes out.
fn ids(log: &mut SpoolLog) -> Vec<u64> {
    read_all(log).iter().map(|event| event.event.id().to_string().parse().unwrap()).collect()
}

fn in_doubt(log: &mut SpoolLog) -> Vec<u64> {
    let is_in_doubt = |event: &SpooledEvent| matches!(event.state, SpoolState::InDoubt(_));
    let events = read_all(log).into_iter().filter(is_in_doubt);
    events.map(|event| event.position.get()).collect()
}

/// What is known of each that is in doubt.
fn contexts(log: &mut SpoolLog) -> Vec<(u64, SentContext)> {
    let context = |event: SpooledEvent| match event.state {
        SpoolState::InDoubt(context) => Some((event.position.get(), context)),
        SpoolState::Unsent => None,
    };
    read_all(log).into_iter().filter_map(context).collect()
}

/// The files of the only owner's folder with this extension, in order.
fn files(root: &Path, extension: &str) -> Vec<PathBuf> {
    let folder = root.join("1");
    let bases = bases(&folder, extension).unwrap().into_iter();
    bases.map(|base| folder.join(format!("{base:020}.{extension}"))).collect()
}
