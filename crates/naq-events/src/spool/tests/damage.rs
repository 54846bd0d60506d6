//! What damage on the disk costs: each byte of a small spool, cut there or changed.

use std::fs;

use super::super::SpoolOutcome;
use super::super::spool_folders;
use super::*;

const EVENTS: u64 = 6;

/// A spool of six events in one segment: 1 and 2 settled, 3 sent.
fn make(root: &Path) {
    let (mut log, _) = open(root);
    log.append(&entries(1..=EVENTS)).unwrap();
    log.mark_sent(&run(1, 3), context(10)).unwrap();
    log.settle(&run(1, 2), SpoolOutcome::Acked);
}

/// Runs `check` for each variant of one of the spool's files.
fn with_each(
    extension: &str,
    vary: impl Fn(&[u8], usize) -> Vec<u8>,
    check: impl Fn(usize, &Path),
) {
    let whole = tempfile::tempdir().unwrap();
    make(whole.path());
    let events = fs::read(&files(whole.path(), "events")[0]).unwrap();
    let marks = fs::read(&files(whole.path(), "marks")[0]).unwrap();
    let length = if extension == "events" { events.len() } else { marks.len() };
    for offset in 0..length {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("1").join(format!("{:020}", 1));
        fs::create_dir_all(root.path().join("1")).unwrap();
        fs::write(path.with_extension("events"), &events).unwrap();
        fs::write(path.with_extension("marks"), &marks).unwrap();
        let varied = vary(if extension == "events" { &events } else { &marks }, offset);
        fs::write(path.with_extension(extension), varied).unwrap();
        check(offset, root.path());
    }
}

/// Opening again finds the same, and no new damage.
fn holds_still(log: SpoolLog, expected: &[u64], root: &Path) {
    drop(log);
    let (mut log, recovered) = open(root);
    assert_eq!(ids(&mut log), expected);
    assert_eq!((recovered.torn, log.corrupt), (0, 0), "counted once");
}

#[test]
fn events_cut_off_at_any_byte_leave_those_before() {
    with_each(
        "events",
        |bytes, at| bytes[..at].to_vec(),
        |offset, root| {
            let (mut log, recovered) = open(root);
            let out = ids(&mut log);
            assert!(
                out.iter().copied().eq((3..=EVENTS).take(out.len())),
                "cut at {offset}: {out:?}"
            );
            assert!(
                recovered.torn <= 1 && recovered.corrupt == 0,
                "cut at {offset}: {recovered:?}"
            );
            log.append(&entries(7..=7)).unwrap();
            let expected: Vec<u64> = out.iter().copied().chain([7]).collect();
            assert_eq!(ids(&mut log), expected, "cut at {offset}");
            holds_still(log, &expected, root);
        },
    );
}

#[test]
fn a_torn_last_event_is_cut_off_and_counted() {
    let root = tempfile::tempdir().unwrap();
    make(root.path());
    let path = files(root.path(), "events").remove(0);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let (mut log, recovered) = open(root.path());
    assert_eq!((recovered.torn, recovered.corrupt, recovered.events), (1, 0, 3));
    assert_eq!(ids(&mut log), [3, 4, 5]);
}

#[test]
fn events_changed_at_any_byte_cost_one_of_them_at_most() {
    with_each("events", flip, |offset, root| {
        let folder = spool_folders(root).unwrap().remove(0);
        let report = folder.verify().unwrap();
        let (mut log, recovered) = open(root);
        let out = ids(&mut log);
        let lost: Vec<u64> = (3..=EVENTS).filter(|number| !out.contains(number)).collect();
        assert!(lost.len() <= 1, "flip at {offset}: {out:?}");
        assert!(out.is_sorted());
        let counted = log.corrupt + recovered.torn;
        assert!(counted >= lost.len() as u64, "flip at {offset}: {lost:?} lost, {counted} counted");
        assert_eq!(report.intact, out.len() as u64, "flip at {offset}");
        assert!(report.corrupt + report.torn >= lost.len() as u64, "flip at {offset}: {report:?}");
        if log.corrupt > 0 {
            assert_eq!(spool_folders(root).unwrap()[0].quarantined, 1, "flip at {offset}");
        }
        holds_still(log, &out, root);
    });
}

#[test]
fn a_corrupt_event_is_set_aside_byte_for_byte() {
    let root = tempfile::tempdir().unwrap();
    make(root.path());
    let path = files(root.path(), "events").remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let id = bytes.windows(6).position(|bytes| bytes == b"\"id\":\"").unwrap();
    // Of the fourth event, in the middle of the file.
    let frames: Vec<usize> =
        (0..bytes.len()).filter(|&at| bytes[at..].starts_with(&[0xF5, b'n', b'q', 0xFF])).collect();
    bytes[frames[3] + (id - frames[0])] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let (mut log, _) = open(root.path());
    assert_eq!(ids(&mut log), [3, 5, 6]);
    assert_eq!(log.status().corrupt, 1);
    let aside = fs::read_dir(root.path().join("1/quarantine")).unwrap().next().unwrap().unwrap();
    let name = aside.file_name().into_string().unwrap();
    assert!(name.ends_with(&format!("-{}.bin", frames[3])), "{name}");
    assert_eq!(fs::read(aside.path()).unwrap(), &bytes[frames[3]..frames[4]]);
    let folder = spool_folders(root.path()).unwrap().remove(0);
    assert_eq!((folder.quarantined, folder.events), (1, 3));
}

#[test]
fn marks_cut_off_or_changed_at_any_byte_lose_no_event() {
    let check = |offset: usize, root: &Path| {
        let (mut log, recovered) = open(root);
        let out = ids(&mut log);
        let expected: Vec<u64> = (3..=EVENTS).collect();
        assert!(out.ends_with(&expected), "at {offset}: {out:?}");
        assert_eq!(log.corrupt + recovered.torn, 0, "at {offset}");
        holds_still(log, &out, root);
    };
    with_each("marks", |bytes, at| bytes[..at].to_vec(), check);
    with_each("marks", flip, |offset, root| {
        check(offset, root);
        let (mut log, recovered) = open(root);
        // What was sent is in doubt, whatever became of its mark.
        let third = read_all(&mut log).into_iter().find(|event| event.position.get() == 3);
        let is_known = matches!(third.unwrap().state, SpoolState::InDoubt(_));
        assert!(is_known || recovered.lost_marks > 0, "flip at {offset}");
    });
}

#[test]
fn where_marks_were_lost_every_event_is_in_doubt_and_in_no_stream() {
    let root = tempfile::tempdir().unwrap();
    make(root.path());
    let path = files(root.path(), "marks").remove(0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[super::super::header::HEADER_BYTES + 25] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let (mut log, recovered) = open(root.path());
    assert_eq!((recovered.lost_marks, recovered.in_doubt), (1, 4));
    let lost = SpoolState::InDoubt(SentContext::lost(at(1)));
    assert!(read_all(&mut log).iter().all(|event| event.state == lost));
}

#[test]
fn a_damaged_last_mark_is_missed_each_time_that_the_spool_is_opened() {
    let root = tempfile::tempdir().unwrap();
    let (mut log, _) = open(root.path());
    log.append(&entries(1..=3)).unwrap();
    log.mark_sent(&run(1, 2), context(5)).unwrap();
    drop(log);
    let path = files(root.path(), "marks").remove(0);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    for _ in 0..2 {
        let (mut log, recovered) = open(root.path());
        assert_eq!((in_doubt(&mut log), recovered.lost_marks), (vec![1, 2, 3], 1));
    }
}

#[test]
fn damage_in_a_sealed_segment_is_found_when_it_is_read() {
    let root = tempfile::tempdir().unwrap();
    let small = options().with_segment_bytes(1_000);
    let (mut log, _) = SpoolLog::open(root.path(), small.clone()).unwrap();
    for number in 1..=20 {
        log.append(&entries(number..=number)).unwrap();
    }
    let second = *log.segments.keys().nth(1).unwrap();
    log.close().unwrap();
    let path = root.path().join(format!("1/{second:020}.events"));
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let (mut log, recovered) = SpoolLog::open(root.path(), small).unwrap();
    assert_eq!((recovered.events, recovered.torn), (20, 1));
    let out = ids(&mut log);
    assert_eq!(log.corrupt, 20 - out.len() as u64);
    assert!(out.len() < 20 && out.contains(&1) && out.contains(&20) && out.is_sorted());
    assert_eq!(log.pending(), out.len() as u64);
}

#[test]
fn looking_at_a_spool_changes_none_of_its_bytes() {
    let root = tempfile::tempdir().unwrap();
    make(root.path());
    let path = files(root.path(), "events").remove(0);
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 3);
    fs::write(&path, &bytes).unwrap();
    let folder = spool_folders(root.path()).unwrap().remove(0);
    assert_eq!((folder.events, folder.in_doubt, folder.is_owned), (3, 1, false));
    let report = folder.verify().unwrap();
    assert_eq!((report.intact, report.corrupt, report.torn), (3, 0, 1));
    let walked: Vec<u64> =
        folder.walk().unwrap().map(|event| event.unwrap().position.get()).collect();
    assert_eq!(walked, [3, 4, 5]);
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

fn flip(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 0x10;
    bytes
}
