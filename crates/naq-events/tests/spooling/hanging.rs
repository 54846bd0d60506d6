//! A disk that doesn't answer: every call keeps its time nevertheless.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Command;

use naq_core::clock::ManualClock;
use naq_core::config::{OverflowPolicy, SpoolMode};
use naq_events::spool::spool_folders;

use super::*;

/// Of Linux: what can't be done at once fails.
const O_NONBLOCK: i32 = 0o4000;

/// What a call may take longer than it was given.
const LATE: Duration = SECOND;

/// How long a stop waits for a spool that doesn't answer until it takes events,
/// of the stop's own time but for more than a quarter of it. Then it has a second
/// at least to keep them.
const RESCUE: Duration = Duration::from_secs(5);

/// Whatever is noted of the first events in the spool hangs, and all that is
/// asked of the disk afterwards.
struct HangingDisk {
    path: PathBuf,
    pipe: File,
}

impl HangingDisk {
    /// In place of the file of marks there is a pipe that is full.
    fn below(dir: &Path) -> Self {
        let path = dir.join("1/00000000000000000001.marks");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(O_NONBLOCK);
        let mut pipe = options.open(&path).unwrap();
        while pipe.write(&[0; 4_096]).is_ok() {}
        Self { path, pipe }
    }

    /// From now on it answers.
    fn end(mut self) {
        fs::remove_file(self.path).unwrap();
        while self.pipe.read(&mut [0; 4_096]).is_ok() {}
    }
}

/// Lets time pass until a call is over; answers how much did.
async fn timed<T>(clock: &ManualClock, call: impl Future<Output = T>) -> (T, Duration) {
    let started = clock.monotonic();
    let mut call = std::pin::pin!(call);
    loop {
        tokio::select! {
            biased;
            output = &mut call => return (output, clock.monotonic() - started),
            () = tokio::time::sleep(Duration::from_millis(2)) => {
                assert!(clock.monotonic() - started < 60 * SECOND, "it is never over");
                clock.advance(Duration::from_millis(50));
            }
        }
    }
}

/// A service with three events in its spool, of which nothing can be noted.
async fn hanging(
    dir: &Path,
    jetstream: &MemoryJetStream,
    clock: &Arc<ManualClock>,
    config: &EventsConfig,
) -> (Arc<EventService>, HangingDisk) {
    let events = started_by(jetstream, config.clone(), Arc::clone(clock) as _).await;
    jetstream.faults().disconnect();
    timed(clock, log(&events, "a", 0..3)).await;
    until(&events, "the spool", |counters| {
        clock.advance(Duration::from_millis(50));
        counters.spooled == 3
    })
    .await;
    let disk = HangingDisk::below(dir);
    jetstream.faults().reconnect();
    (events, disk)
}

/// Stops the service in time, and sees what the next one stores once the disk answers.
async fn stopped_and_stored(
    dir: &Path,
    jetstream: &MemoryJetStream,
    clock: &Arc<ManualClock>,
    config: &EventsConfig,
    (events, disk): (Arc<EventService>, HangingDisk),
    within: Duration,
) -> Vec<u64> {
    let (report, took) = timed(clock, events.flush(SECOND)).await;
    let report = report.unwrap();
    assert!(report.pending + report.spooled > 0, "{report:?}");
    assert!(took <= SECOND + LATE, "{took:?}");
    let (stopped, took) = timed(clock, events.stop(within)).await;
    stopped.unwrap();
    let longer = RESCUE - RESCUE.min(within / 4) + SECOND;
    assert!(took < within + longer + LATE, "{took:?}");
    disk.end();
    let free = async || {
        while spool_folders(dir).unwrap()[0].is_owned {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, free()).await.expect("the folder is given back");
    let events = started_by(jetstream, config.clone(), Arc::clone(clock) as _).await;
    let recovered = events.counters().recovered;
    until(&events, "the drain", |counters| {
        clock.advance(Duration::from_millis(10));
        counters.acked == recovered
    })
    .await;
    numbers(jetstream, "a").await
}

#[tokio::test]
async fn with_the_spool_first_a_disk_that_hangs_holds_up_no_call_beyond_its_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let (jetstream, clock) = (MemoryJetStream::new(), Arc::new(ManualClock::new()));
    let spool = SpoolConfig::in_folder(dir.path()).with_mode(SpoolMode::Always);
    let config = quick(dir.path()).with_spool(spool).with_overflow_wait(2 * SECOND);
    let (events, disk) = hanging(dir.path(), &jetstream, &clock, &config).await;
    let mut next = 3_u64;
    let error = loop {
        let event = Event::job_progress("a", next.to_string());
        let (logged, took) = timed(&clock, events.log_event(event)).await;
        assert!(took <= 2 * SECOND + LATE, "{took:?}");
        match logged {
            Ok(()) => next += 1,
            Err(error) => break error,
        }
    };
    // Where the disk was given it, it may have it one day.
    let (mut refused, mut unsure) = (Vec::new(), Vec::new());
    let mut sort = |number: u64, error: Error| match error.kind() {
        ErrorKind::OutcomeUnknown => unsure.push(number),
        ErrorKind::Timeout => refused.push(number),
        _ => panic!("{error:?}"),
    };
    sort(next, error);
    for number in next + 1..next + 4 {
        let event = Event::job_progress("a", number.to_string());
        let (logged, took) = timed(&clock, events.log_event(event)).await;
        assert!(took <= 2 * SECOND + LATE, "{took:?}");
        sort(number, logged.unwrap_err());
    }
    assert!(refused.len() >= 3, "the disk has one of them at most: {unsure:?}");
    assert_eq!(events.counters().rejected, refused.len() as u64, "at once");
    let service = (events, disk);
    let stored = stopped_and_stored(dir.path(), &jetstream, &clock, &config, service, SECOND).await;
    let accepted = usize::try_from(next).unwrap();
    assert!(stored.iter().copied().take(accepted).eq(0..next), "{next} were accepted: {stored:?}");
    let rest = &stored[accepted..];
    assert!(rest.iter().all(|number| unsure.contains(number)), "{refused:?}: {stored:?}");
}

#[tokio::test]
async fn with_the_spool_first_a_call_whose_event_is_dropped_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (jetstream, clock) = (MemoryJetStream::new(), Arc::new(ManualClock::new()));
    let spool = SpoolConfig::in_folder(dir.path()).with_mode(SpoolMode::Always);
    let config = quick(dir.path())
        .with_spool(spool)
        .with_overflow(OverflowPolicy::DropNewest)
        .with_buffer_max_events(50_usize);
    let (events, disk) = hanging(dir.path(), &jetstream, &clock, &config).await;
    until(&events, "a full buffer", |counters| {
        clock.advance(Duration::from_millis(50));
        events.try_log_event(Event::job_progress("a", "x")).unwrap();
        counters.dropped > 0
    })
    .await;
    let before = events.counters();
    let (logged, took) = timed(&clock, events.log_event(Event::job_progress("a", "x"))).await;
    logged.unwrap();
    assert!(took <= LATE, "{took:?}");
    let counters = events.counters();
    assert_eq!((counters.offered, counters.rejected), (before.offered + 1, 0));
    disk.end();
}

#[tokio::test]
async fn a_disk_that_hangs_costs_no_more_than_the_buffers_room() {
    let dir = tempfile::tempdir().unwrap();
    let (jetstream, clock) = (MemoryJetStream::new(), Arc::new(ManualClock::new()));
    let config = quick(dir.path()).with_overflow_wait(2 * SECOND).with_buffer_max_events(100_usize);
    let (events, disk) = hanging(dir.path(), &jetstream, &clock, &config).await;
    let mut next = 3_u64;
    let error = loop {
        let event = Event::job_progress("a", next.to_string());
        let (logged, took) = timed(&clock, events.log_event(event)).await;
        assert!(took <= 2 * SECOND + LATE, "{took:?}");
        match logged {
            Ok(()) => next += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::LimitReached, "{error:?}");
    assert!(next >= 100, "there was room for as many: {next}");
    let full = events.try_log_event(Event::job_progress("a", next.to_string())).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::LimitReached);
    let service = (events, disk);
    let stored =
        stopped_and_stored(dir.path(), &jetstream, &clock, &config, service, 4 * RESCUE).await;
    assert!(stored.iter().copied().eq(0..next), "{next} were accepted: {stored:?}");
}
