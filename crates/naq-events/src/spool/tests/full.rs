//! What a disk that fails at any step does to a spool.

use std::io;

use naq_core::ErrorKind;

use super::super::SpoolOutcome;
use super::super::files::faults::{Op, fail};
use super::*;

fn always(root: &Path) -> SpoolLog {
    SpoolLog::open(root, SpoolOptions::default().with_fsync(SpoolFsync::Always)).unwrap().0
}

#[test]
fn a_full_disk_refuses_events_and_takes_them_again_when_there_is_room() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    log.append(&entries(1..=3)).unwrap();
    fail(Op::Write, 0, 2, io::ErrorKind::StorageFull);
    for _ in 0..2 {
        let error = log.append(&entries(4..=5)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitReached);
        assert_eq!(log.status().trouble.unwrap().kind(), ErrorKind::LimitReached);
    }
    assert_eq!(ids(&mut log), [1, 2, 3]);
    assert_eq!(log.append(&entries(4..=5)).unwrap(), 4..=5);
    assert!(log.status().trouble.is_none());
    drop(log);
    let (mut log, recovered) = open(root.path());
    assert_eq!(ids(&mut log), [1, 2, 3, 4, 5]);
    assert_eq!(recovered.torn, 0, "what was half written was cut off at once");
}

#[test]
fn what_was_settled_gives_its_room_back_before_a_full_disk_refuses_anything() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    log.append(&entries(1..=3)).unwrap();
    log.settle(&run(1, 3), SpoolOutcome::Acked);
    fail(Op::Write, 0, 1, io::ErrorKind::StorageFull);
    assert_eq!(log.append(&entries(4..=4)).unwrap(), 4..=4);
    assert_eq!(files(root.path(), "events").len(), 1);
    assert_eq!(ids(&mut log), [4]);
}

#[test]
fn half_an_event_that_cannot_be_cut_off_is_nobodys() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    log.append(&entries(1..=3)).unwrap();
    fail(Op::Write, 0, 1, io::ErrorKind::StorageFull);
    fail(Op::Cut, 0, 1, io::ErrorKind::Other);
    log.append(&entries(4..=5)).unwrap_err();
    assert_eq!(log.append(&entries(6..=7)).unwrap(), 4..=5, "in another segment");
    assert_eq!(ids(&mut log), [1, 2, 3, 6, 7]);
    assert_eq!(log.corrupt, 0);
    drop(log);
    let (mut log, recovered) = open(root.path());
    assert_eq!(ids(&mut log), [1, 2, 3, 6, 7]);
    assert_eq!((recovered.torn, log.corrupt), (0, 0), "the mark says where the segment ends");
}

#[test]
fn a_segment_that_cannot_be_begun_refuses_events_and_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    for op in [Op::Create, Op::Write] {
        fail(op, 0, 1, io::ErrorKind::StorageFull);
        assert_eq!(log.append(&entries(1..=1)).unwrap_err().kind(), ErrorKind::LimitReached);
        assert_eq!(files(root.path(), "events"), Vec::<PathBuf>::new());
    }
    log.append(&entries(1..=1)).unwrap();
    assert_eq!(ids(&mut log), [1]);
}

#[test]
fn an_outcome_holds_though_the_full_disk_cannot_note_it_and_is_noted_later() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    log.append(&entries(1..=5)).unwrap();
    fail(Op::Write, 0, 1, io::ErrorKind::StorageFull);
    assert_eq!(log.settle(&run(1, 2), SpoolOutcome::Acked), 2);
    assert_eq!(log.status().trouble.unwrap().kind(), ErrorKind::LimitReached);
    assert_eq!(ids(&mut log), [3, 4, 5]);
    log.settle(&run(3, 3), SpoolOutcome::Failed);
    drop(log);
    assert_eq!(ids(&mut open(root.path()).0), [4, 5]);
}

#[test]
fn where_a_sending_cannot_be_noted_each_event_of_the_segment_counts_as_sent_the_next_time() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    log.append(&entries(1..=3)).unwrap();
    fail(Op::Write, 0, 1, io::ErrorKind::StorageFull);
    log.mark_sent(&run(1, 2), context(5)).unwrap();
    assert_eq!(in_doubt(&mut log), [1, 2]);
    log.settle(&run(1, 1), SpoolOutcome::Acked);
    drop(log);
    let (mut log, recovered) = open(root.path());
    assert_eq!((recovered.lost_marks, recovered.in_doubt), (1, 2));
    assert_eq!(in_doubt(&mut log), [2, 3], "and what was noted holds");
    // Sent again, it may have been sent before all the same.
    let before = contexts(&mut log);
    log.mark_sent(&run(2, 3), context(70)).unwrap();
    assert_eq!(contexts(&mut log), before);
    drop(log);
    let (mut log, _) = open(root.path());
    assert_eq!(contexts(&mut log), before, "also the time after");
    log.settle(&run(2, 3), SpoolOutcome::Acked);
    assert_eq!(files(root.path(), "events"), Vec::<PathBuf>::new());
}

#[test]
fn a_sending_of_which_no_note_at_all_can_be_made_is_refused_and_can_be_noted_later() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    log.append(&entries(1..=2)).unwrap();
    fail(Op::Write, 0, 1, io::ErrorKind::StorageFull);
    fail(Op::Overwrite, 0, 1, io::ErrorKind::Other);
    let error = log.mark_sent(&run(1, 2), context(5)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(in_doubt(&mut log), Vec::<u64>::new());
    log.mark_sent(&run(1, 2), context(5)).unwrap();
    drop(log);
    let (mut log, recovered) = open(root.path());
    assert_eq!((in_doubt(&mut log), recovered.lost_marks), (vec![1, 2], 0));
}

#[test]
fn what_was_sent_before_is_in_doubt_as_soon_as_it_is_there() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    let sent = |number, sequence| entry(number).in_doubt(context(sequence));
    // Of four events the second and the third were sent; the process ends behind the marks.
    let mixed = [entry(1), sent(2, 5), sent(3, 5), entry(4)];
    fail(Op::Write, 2, 1, io::ErrorKind::StorageFull);
    log.append(&mixed).unwrap_err();
    assert_eq!(in_doubt(&mut log), Vec::<u64>::new());
    log.append(&mixed).unwrap();
    log.append(&[sent(5, 5), sent(6, 9)]).unwrap();
    drop(log);
    let (mut log, recovered) = open(root.path());
    assert_eq!((in_doubt(&mut log), recovered.lost_marks), (vec![2, 3, 5, 6], 0));
    let states: Vec<_> = read_all(&mut log).iter().map(|event| event.state).collect();
    assert_eq!(states[1], SpoolState::InDoubt(context(5)));
    assert_eq!(states[5], SpoolState::InDoubt(context(9)));
}

#[test]
fn what_was_sent_is_not_written_where_that_cannot_be_noted() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    log.append(&entries(1..=1)).unwrap();
    fail(Op::Write, 0, 1, io::ErrorKind::StorageFull);
    let error = log.append(&[entry(2).in_doubt(context(5))]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitReached);
    drop(log);
    let (mut log, recovered) = open(root.path());
    assert_eq!((ids(&mut log), recovered.in_doubt, recovered.lost_marks), (vec![1], 0, 0));
}

#[test]
fn marks_that_the_disk_does_not_keep_are_missed_the_next_time() {
    let root = tempfile::tempdir().unwrap();
    let mut log = always(root.path());
    log.append(&entries(1..=1)).unwrap();
    log.commit().unwrap();
    log.append(&[entry(2).in_doubt(context(5))]).unwrap();
    fail(Op::Sync, 0, 1, io::ErrorKind::Other);
    assert_eq!(log.commit().unwrap_err().taken_back, 2);
    assert_eq!(in_doubt(&mut log), Vec::<u64>::new());
    log.append(&[entry(2).in_doubt(context(5))]).unwrap();
    log.commit().unwrap();
    assert_eq!(log.segments.len(), 2, "nothing more in the file that the disk may have forgotten");
    assert_eq!(in_doubt(&mut log), [2]);
    drop(log);
    let (mut log, recovered) = open(root.path());
    assert_eq!((in_doubt(&mut log), recovered.lost_marks), (vec![1, 2], 1));
}

#[test]
fn of_events_that_are_handed_over_the_first_ones_are_kept_as_many_as_fit() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    log.append(&entries(1..=1)).unwrap();
    // Eight don't fit, nor do four; two do, and not one more.
    fail(Op::Write, 0, 2, io::ErrorKind::StorageFull);
    fail(Op::Write, 1, 2, io::ErrorKind::StorageFull);
    let (kept, refused) = log.append_fitting(&entries(2..=9)).unwrap();
    assert_eq!((kept, refused.unwrap().kind()), (2..=3, ErrorKind::LimitReached));
    let (kept, refused) = log.append_fitting(&entries(4..=9)).unwrap();
    assert!(kept == (4..=9) && refused.is_none());
    fail(Op::Write, 0, 2, io::ErrorKind::StorageFull);
    log.append_fitting(&entries(10..=11)).unwrap_err();
    assert_eq!(ids(&mut log), (1..=9).collect::<Vec<_>>());
}

#[test]
fn half_a_mark_that_cannot_be_cut_off_hides_no_later_one() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    log.append(&entries(1..=4)).unwrap();
    fail(Op::Write, 0, 1, io::ErrorKind::StorageFull);
    fail(Op::Cut, 0, 1, io::ErrorKind::Other);
    log.settle(&run(1, 1), SpoolOutcome::Acked);
    log.settle(&run(2, 2), SpoolOutcome::Acked);
    drop(log);
    let (mut log, recovered) = open(root.path());
    assert_eq!(ids(&mut log), [3, 4]);
    assert_eq!((recovered.lost_marks, recovered.in_doubt), (1, 2), "rather one doubt too many");
}

#[test]
fn what_the_disk_does_not_keep_is_refused_and_taken_back() {
    let root = tempfile::tempdir().unwrap();
    let mut log = always(root.path());
    log.append(&entries(1..=2)).unwrap();
    log.commit().unwrap();
    log.append(&entries(3..=4)).unwrap();
    fail(Op::Sync, 0, 1, io::ErrorKind::Other);
    let not_kept = log.commit().unwrap_err();
    assert_eq!((not_kept.taken_back, not_kept.error.kind()), (3, ErrorKind::Unavailable));
    assert_eq!(ids(&mut log), [1, 2]);
    assert_eq!(log.append(&entries(5..=5)).unwrap(), 3..=3);
    log.commit().unwrap();
    drop(log);
    assert_eq!(ids(&mut open(root.path()).0), [1, 2, 5]);
}

#[test]
fn what_the_disk_did_not_keep_at_a_segments_end_is_taken_back_though_a_second_sync_goes_well() {
    let root = tempfile::tempdir().unwrap();
    // Each append begins a segment of its own.
    let options = SpoolOptions::default().with_fsync(SpoolFsync::Always).with_segment_bytes(1);
    let mut log = SpoolLog::open(root.path(), options).unwrap().0;
    log.append(&entries(1..=1)).unwrap();
    log.commit().unwrap();
    log.append(&entries(2..=3)).unwrap();
    fail(Op::Sync, 0, 1, io::ErrorKind::Other);
    log.append(&entries(4..=4)).unwrap_err();
    assert_eq!(log.append(&entries(5..=5)).unwrap(), 4..=4);
    assert_eq!(log.commit().unwrap_err().taken_back, 2);
    assert_eq!(ids(&mut log), [1]);
    log.append(&entries(6..=6)).unwrap();
    log.commit().unwrap();
    assert_eq!(ids(&mut log), [1, 6]);
    drop(log);
    let (mut log, recovered) = open(root.path());
    assert_eq!(ids(&mut log), [1, 6]);
    assert_eq!((recovered.events, recovered.corrupt, log.corrupt), (2, 0, 0));
}

#[test]
fn the_first_event_of_a_spool_can_be_taken_back_too() {
    let root = tempfile::tempdir().unwrap();
    let mut log = always(root.path());
    log.append(&entries(1..=1)).unwrap();
    fail(Op::Sync, 0, 1, io::ErrorKind::Other);
    assert_eq!(log.commit().unwrap_err().taken_back, 1);
    assert_eq!(log.append(&entries(2..=2)).unwrap(), 1..=1);
    log.commit().unwrap();
    assert_eq!(ids(&mut log), [2]);
}

#[test]
fn what_is_neither_kept_nor_cut_off_does_not_come_out() {
    let root = tempfile::tempdir().unwrap();
    let mut log = always(root.path());
    log.append(&entries(1..=2)).unwrap();
    log.commit().unwrap();
    log.append(&entries(3..=4)).unwrap();
    fail(Op::Sync, 0, 1, io::ErrorKind::Other);
    fail(Op::Cut, 0, 1, io::ErrorKind::Other);
    assert_eq!(log.commit().unwrap_err().taken_back, 3);
    assert_eq!(ids(&mut log), [1, 2]);
    log.append(&entries(5..=5)).unwrap();
    log.commit().unwrap();
    assert_eq!(ids(&mut log), [1, 2, 5]);
    log.close().unwrap();
    assert_eq!(ids(&mut open(root.path()).0), [1, 2, 5]);
}

#[test]
fn a_sync_that_fails_now_and_then_keeps_the_events_and_tells() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    log.append(&entries(1..=2)).unwrap();
    fail(Op::Sync, 0, 1, io::ErrorKind::Other);
    assert_eq!(log.sync().unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(log.status().trouble.is_some());
    log.append(&entries(3..=3)).unwrap();
    assert_eq!(log.segments.len(), 2, "nothing more in the file that the disk may have forgotten");
    log.sync().unwrap();
    assert_eq!(ids(&mut log), [1, 2, 3]);
}

#[test]
fn damage_for_which_there_is_no_room_holds_nothing_up_and_is_set_aside_with_its_segment() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    log.append(&entries(1..=4)).unwrap();
    log.close().unwrap();
    let path = files(root.path(), "events").remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    fail(Op::Create, 1, 1, io::ErrorKind::StorageFull);
    let (mut log, recovered) = open(root.path());
    assert_eq!((recovered.events, recovered.corrupt), (3, 1));
    assert_eq!(log.status().trouble.unwrap().kind(), ErrorKind::LimitReached);
    assert_eq!(ids(&mut log), [2, 3, 4]);
    let aside = root.path().join("1/quarantine");
    assert!(!aside.exists() || aside.read_dir().unwrap().next().is_none());
    log.settle(&run(2, 4), SpoolOutcome::Acked);
    assert_eq!(files(root.path(), "events"), Vec::<PathBuf>::new());
    let kept = aside.read_dir().unwrap().next().unwrap().unwrap().path();
    assert_eq!(std::fs::read(kept).unwrap(), bytes, "all of it");
}
