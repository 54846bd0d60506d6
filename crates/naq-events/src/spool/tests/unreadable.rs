//! What the disk doesn't give any more: passed over, kept, and told.

use std::fs;
use std::ops::Range;

use naq_core::ErrorKind;

use super::super::files::faults::{broken, mend, tries};
use super::super::read::TRIES;
use super::super::{SpoolOutcome, spool_folders};
use super::*;

const EVENTS: u64 = 200;

/// The sector in the middle of what so many events take.
const MIDDLE: Range<u64> = 5 * 4_096..6 * 4_096;

fn events_file(root: &Path) -> PathBuf {
    files(root, "events").remove(0)
}

/// A spool of events that take some ten sectors.
fn make(root: &Path) -> SpoolLog {
    let (mut log, _) = open(root);
    log.append(&entries(1..=EVENTS)).unwrap();
    assert!(fs::metadata(events_file(root)).unwrap().len() > 8 * 4_096);
    log
}

/// Reads until something comes out, or the spool's end; answers how often the disk failed.
fn read_at_last(
    log: &mut SpoolLog,
    from: SpoolPosition,
) -> (Vec<SpooledEvent>, SpoolPosition, u32) {
    for failures in 0..100 {
        match log.read(from, ReadLimit::default()) {
            Ok(chunk) => return (chunk.events, chunk.next, failures),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}"),
        }
    }
    panic!("it never goes past it");
}

/// All that comes out at last.
fn ids_at_last(log: &mut SpoolLog) -> Vec<u64> {
    let (mut ids, mut from) = (Vec::new(), SpoolPosition::START);
    loop {
        let (events, next, _) = read_at_last(log, from);
        if events.is_empty() && next == from {
            return ids;
        }
        from = next;
        ids.extend(events.iter().map(|event| {
            let id: u64 = event.event.id().to_string().parse().unwrap();
            id
        }));
    }
}

#[test]
fn a_sector_that_cannot_be_read_costs_its_events_after_some_tries() {
    let root = tempfile::tempdir().unwrap();
    let mut log = make(root.path());
    broken(&events_file(root.path()), MIDDLE);
    let (before, next, failures) = read_at_last(&mut log, SpoolPosition::START);
    assert!(before.len() > 50 && failures == 0, "what stands before it goes on at once");
    let (behind, _, failures) = read_at_last(&mut log, next);
    assert_eq!(failures, TRIES - 1, "the first failure came behind the first part");
    let out: Vec<u64> = before.iter().chain(&behind).map(|event| event.position.get()).collect();
    assert!(out.is_sorted() && out.ends_with(&[EVENTS]));
    let lost = EVENTS - out.len() as u64;
    assert!((5..40).contains(&lost), "{lost}");
    assert_eq!((log.corrupt, log.pending()), (lost, out.len() as u64));
    assert_eq!(log.status().trouble.unwrap().kind(), ErrorKind::Unavailable);
    assert!(tries() <= 2 * u64::from(TRIES) + 2, "{}", tries());
    mend();
}

#[test]
fn what_was_passed_over_comes_out_when_it_can_be_read_the_next_time() {
    let root = tempfile::tempdir().unwrap();
    let mut log = make(root.path());
    broken(&events_file(root.path()), MIDDLE);
    let out = ids_at_last(&mut log);
    for id in &out {
        log.settle(&run(*id, *id), SpoolOutcome::Acked);
        if *id == EVENTS - 1 {
            break;
        }
    }
    mend();
    drop(log);
    let (mut log, recovered) = open(root.path());
    let left: Vec<u64> = (1..EVENTS).filter(|id| !out.contains(id)).chain([EVENTS]).collect();
    assert_eq!(ids(&mut log), left);
    assert_eq!((recovered.corrupt, log.corrupt), (0, 0));
}

#[test]
fn the_whole_segment_is_kept_once_the_rest_of_it_is_stored() {
    let root = tempfile::tempdir().unwrap();
    let mut log = make(root.path());
    let whole = fs::read(events_file(root.path())).unwrap();
    broken(&events_file(root.path()), MIDDLE);
    ids_at_last(&mut log);
    log.settle(&run(1, EVENTS), SpoolOutcome::Acked);
    log.close().unwrap();
    mend();
    assert_eq!(files(root.path(), "events"), Vec::<PathBuf>::new());
    let aside = fs::read_dir(root.path().join("1/quarantine")).unwrap().next().unwrap().unwrap();
    assert_eq!(fs::read(aside.path()).unwrap(), whole);
}

#[test]
fn an_end_that_cannot_be_read_when_it_is_opened_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    drop(make(root.path()));
    let path = events_file(root.path());
    let bytes = fs::metadata(&path).unwrap().len();
    broken(&path, MIDDLE.start..bytes);
    let report = spool_folders(root.path()).unwrap().remove(0).verify().unwrap();
    assert_eq!((report.corrupt, report.torn), (1, 0));
    let (mut log, recovered) = open(root.path());
    assert_eq!((recovered.corrupt, recovered.torn), (1, 0), "how many stand there, nobody knows");
    assert!(recovered.events > 50);
    assert_eq!(ids(&mut log), (1..=recovered.events).collect::<Vec<u64>>());
    log.append(&entries(1_001..=1_003)).unwrap();
    mend();
    drop(log);
    assert_eq!(fs::metadata(&path).unwrap().len(), bytes, "nothing is cut off");
    let (mut log, _) = open(root.path());
    let all: Vec<u64> = (1..=EVENTS).chain(1_001..=1_003).collect();
    assert_eq!(ids(&mut log), all, "no two have one place");
}

#[test]
fn marks_that_cannot_be_read_put_events_in_doubt() {
    let root = tempfile::tempdir().unwrap();
    let mut log = make(root.path());
    log.mark_sent(&run(1, 20), context(10)).unwrap();
    log.settle(&run(1, 10), SpoolOutcome::Acked);
    drop(log);
    broken(&files(root.path(), "marks")[0], 0..4_096);
    let (mut log, recovered) = open(root.path());
    assert_eq!((recovered.lost_marks, recovered.in_doubt), (1, EVENTS));
    assert_eq!(in_doubt(&mut log).len() as u64, EVENTS);
    mend();
}

#[test]
fn a_header_that_cannot_be_read_costs_the_events_beside_it() {
    let root = tempfile::tempdir().unwrap();
    drop(make(root.path()));
    broken(&events_file(root.path()), 0..4_096);
    let (mut log, _) = open(root.path());
    let out = ids_at_last(&mut log);
    assert!(out.len() > 150 && out.ends_with(&[EVENTS]), "{out:?}");
    assert_eq!(log.corrupt, EVENTS - out.len() as u64);
    mend();
}

#[test]
fn a_segment_that_is_gone_costs_its_own_events() {
    let root = tempfile::tempdir().unwrap();
    let mut log = make(root.path());
    fs::remove_file(events_file(root.path())).unwrap();
    let mut failures = 0;
    while let Err(error) = log.read(SpoolPosition::START, ReadLimit::default()) {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        failures += 1;
    }
    assert_eq!((failures, log.corrupt, log.pending()), (TRIES, EVENTS, 0));
    log.append(&entries(1_001..=1_003)).unwrap();
    assert_eq!(ids(&mut log), [1_001, 1_002, 1_003]);
    log.close().unwrap();
    let (mut log, _) = open(root.path());
    assert_eq!(ids(&mut log), [1_001, 1_002, 1_003]);
}
