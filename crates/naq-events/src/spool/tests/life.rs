//! What a spool keeps, and for how long.

use naq_core::ErrorKind;

use super::super::SpoolOutcome;
use super::*;

#[test]
fn events_come_out_in_order_and_as_they_were_put_in() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, recovered) = open(root.path());
    assert_eq!((recovered.events, recovered.torn, recovered.corrupt), (0, 0, 0));
    assert_eq!(log.append(&entries(1..=3)).unwrap(), 1..=3);
    assert_eq!(log.append(&entries(4..=4)).unwrap(), 4..=4);
    let out = read_all(&mut log);
    let put_in = entries(1..=4);
    assert_eq!(out.iter().map(|event| &event.event).collect::<Vec<_>>(), {
        put_in.iter().map(|entry| &entry.event).collect::<Vec<_>>()
    });
    assert!(out.iter().all(|event| event.state == SpoolState::Unsent));
    assert_eq!(out[2].accepted_at, at(3));
}

#[test]
fn a_spool_that_nobody_closed_has_everything_when_it_is_opened_again() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    log.append(&entries(1..=10)).unwrap();
    log.mark_sent(&run(1, 6), context(40)).unwrap();
    log.settle(&run(1, 2), SpoolOutcome::Acked);
    log.settle(&run(4, 4), SpoolOutcome::Acked);
    drop(log);
    let (mut log, recovered) = open(root.path());
    assert_eq!((recovered.events, recovered.in_doubt), (7, 3));
    assert_eq!(ids(&mut log), [3, 5, 6, 7, 8, 9, 10]);
    assert_eq!(in_doubt(&mut log), [3, 5, 6]);
    assert_eq!(read_all(&mut log)[0].state, SpoolState::InDoubt(context(40)));
    assert_eq!(log.append(&entries(11..=11)).unwrap(), 11..=11);
    assert_eq!(ids(&mut log).last(), Some(&11));
}

#[test]
fn an_emptied_spool_leaves_no_file_behind_when_it_is_closed() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    log.append(&entries(1..=3)).unwrap();
    log.settle(&run(1, 3), SpoolOutcome::Acked);
    assert_eq!(log.pending(), 0);
    log.close().unwrap();
    assert_eq!((files(root.path(), "events"), files(root.path(), "marks")), (vec![], vec![]));
}

#[test]
fn a_segment_goes_when_all_of_it_is_settled_also_from_the_middle() {
    let root = tempfile::tempdir().unwrap();
    let small = options().with_segment_bytes(1_000);
    let (mut log, _) = SpoolLog::open(root.path(), small.clone()).unwrap();
    for number in 1..=30 {
        log.append(&entries(number..=number)).unwrap();
    }
    let bases: Vec<u64> = log.segments.keys().copied().collect();
    assert!(bases.len() > 3, "{bases:?}");
    log.settle(&run(bases[1], bases[2] - 1), SpoolOutcome::Acked);
    assert_eq!(files(root.path(), "events").len(), bases.len() - 1);
    let left: Vec<u64> = (1..bases[1]).chain(bases[2]..=30).collect();
    assert_eq!(ids(&mut log), left);
    drop(log);
    let (mut log, recovered) = SpoolLog::open(root.path(), small).unwrap();
    assert_eq!(recovered.events, left.len() as u64);
    assert_eq!(ids(&mut log), left);
    assert_eq!(recovered.corrupt + recovered.torn, 0);
}

#[test]
fn what_is_settled_twice_counts_once() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    log.append(&entries(1..=5)).unwrap();
    assert_eq!(log.settle(&run(1, 3), SpoolOutcome::Acked), 3);
    assert_eq!(log.settle(&run(2, 4), SpoolOutcome::Failed), 1);
    assert_eq!(log.settle(&run(9, 12), SpoolOutcome::Acked), 0);
    assert_eq!(log.pending(), 1);
}

#[test]
fn above_max_bytes_nothing_is_added_until_room_comes_back() {
    let root = tempfile::tempdir().unwrap();
    let small = options().with_max_bytes(4_000).with_segment_bytes(1_000);
    let (mut log, _) = SpoolLog::open(root.path(), small).unwrap();
    let mut number = 0;
    let error = loop {
        match log.append(&entries(number + 1..=number + 1)) {
            Ok(_) => number += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::LimitReached);
    assert!(error.hint().is_some());
    assert!(log.bytes() <= 4_000);
    assert_eq!(ids(&mut log), (1..=number).collect::<Vec<_>>());
    log.settle(&run(1, number), SpoolOutcome::Acked);
    log.append(&entries(1..=1)).unwrap();
}

#[test]
fn a_batch_that_filled_the_spool_makes_room_when_it_is_settled() {
    let root = tempfile::tempdir().unwrap();
    let small = options().with_max_bytes(4_000).with_segment_bytes(1_000);
    let (mut log, _) = SpoolLog::open(root.path(), small).unwrap();
    for _ in 0..3 {
        let positions = log.append(&entries(1..=10)).unwrap();
        assert_eq!(log.append(&entries(1..=10)).unwrap_err().kind(), ErrorKind::LimitReached);
        log.settle(&run(*positions.start(), *positions.end()), SpoolOutcome::Acked);
    }
}

#[test]
fn the_age_of_the_oldest_event_is_known_also_after_opening() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    log.append(&entries(5..=9)).unwrap();
    assert_eq!(log.status().oldest, Some(at(5)));
    drop(log);
    assert_eq!(open(root.path()).0.status().oldest, Some(at(5)));
}

#[test]
fn an_event_that_is_sent_again_is_searched_from_its_first_sending() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    log.append(&entries(1..=2)).unwrap();
    log.mark_sent(&run(1, 1), context(10)).unwrap();
    let marks = log.bytes();
    log.mark_sent(&run(1, 1), context(90)).unwrap();
    assert_eq!(log.bytes(), marks, "nothing new was written");
    log.mark_sent(&run(1, 2), context(90)).unwrap();
    drop(log);
    let (mut log, _) = open(root.path());
    let states: Vec<_> = read_all(&mut log).iter().map(|event| event.state).collect();
    assert_eq!(states, [10, 90].map(|sequence| SpoolState::InDoubt(context(sequence))));
}

#[test]
fn reading_goes_on_where_it_stopped_also_while_events_are_added() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    log.append(&entries(1..=5)).unwrap();
    let chunk = log.read(SpoolPosition::START, ReadLimit::new(3, usize::MAX)).unwrap();
    assert_eq!(chunk.events.len(), 3);
    log.append(&entries(6..=8)).unwrap();
    let chunk = log.read(chunk.next, ReadLimit::default()).unwrap();
    let positions: Vec<u64> = chunk.events.iter().map(|event| event.position.get()).collect();
    assert_eq!(positions, [4, 5, 6, 7, 8]);
    assert!(log.read(chunk.next, ReadLimit::default()).unwrap().events.is_empty());
}

#[test]
fn a_chunk_ends_with_the_event_that_reaches_its_bytes() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    log.append(&entries(1..=5)).unwrap();
    let one = entry(1).event.payload().len();
    let chunk = log.read(SpoolPosition::START, ReadLimit::new(100, one + 1)).unwrap();
    assert_eq!(chunk.events.len(), 2);
}

#[test]
fn a_folder_that_somebody_has_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let (log, _) = open(root.path());
    let error = SpoolLog::open_folder(&log.owner.folder, options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.hint().is_some());
}

#[test]
fn marks_that_a_removed_segment_left_behind_are_not_taken_for_anothers() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    log.append(&entries(1..=3)).unwrap();
    log.settle(&run(1, 2), SpoolOutcome::Acked);
    drop(log);
    let marks = std::fs::read(&files(root.path(), "marks")[0]).unwrap();
    // The process ended between the removal of the two files, and once more
    // after a new segment got the same base.
    std::fs::remove_file(&files(root.path(), "events")[0]).unwrap();
    let (mut log, _) = open(root.path());
    assert_eq!(files(root.path(), "marks"), Vec::<PathBuf>::new());
    log.append(&entries(1..=3)).unwrap();
    drop(log);
    std::fs::write(files(root.path(), "events")[0].with_extension("marks"), marks).unwrap();
    assert_eq!(ids(&mut open(root.path()).0), [1, 2, 3]);
}
