//! The index of a block: what it names is a superset of what passes, and of
//! an index of bounded size.

use bytes::Bytes;
use naq_core::ErrorKind;
use naq_core::Timestamp;
use naq_core::events::{Event, Filter, FilterLookup, IndexField};
use proptest::prelude::*;
use uuid::Uuid;

use super::block::IndexBlock;
use super::draft::{Draft, MOST_BYTES};
use super::field::Field;
use crate::digests::{MinuteRange, Reader};

fn fields(names: &[&str]) -> Vec<IndexField> {
    names.iter().map(|name| IndexField::new(name).unwrap()).collect()
}

fn draft(fields: &[IndexField]) -> Draft {
    Draft::new(Timestamp::from_nanos(7), Uuid::nil(), 3, fields.len())
}

/// When events were stored that don't say when they happened.
fn stored() -> Timestamp {
    "2026-11-24T12:20:00Z".parse().unwrap()
}

/// Shows a draft the event at a sequence.
fn see(draft: &mut Draft, sequence: u64, event: &Event, fields: &[IndexField]) {
    draft.observe((sequence, event.timestamp.unwrap_or_else(stored)), event, fields);
}

/// The first sequence of block 3.
const START: u64 = 3 * 65_536 + 1;

fn seal(draft: &Draft) -> IndexBlock {
    IndexBlock::decode(draft.seal(MOST_BYTES)).unwrap()
}

fn candidates(block: &IndexBlock, filter: &str, fields: &[IndexField]) -> Option<Vec<u64>> {
    let filter = Filter::parse(filter).unwrap();
    let (least, most) = filter.happened_range();
    block.candidates(&filter.lookup(fields)?, &MinuteRange::new(least, most))
}

fn event(queue: u8, worker: u16) -> Event {
    Event::new("x").with_queue(format!("q{queue}")).with_worker_id(format!("w{worker}"))
}

#[test]
fn a_block_of_which_nothing_happened_in_a_range_names_nothing() {
    let fields = fields(&["queue"]);
    let mut draft = draft(&fields);
    draft.malformed(START);
    // Without a time of its own it happened when it was stored.
    see(&mut draft, START + 1, &event(1, 1), &fields);
    let filter = |range: &str| format!("queue = q1 {range}");
    let named = |block: &IndexBlock, range: &str| {
        candidates(block, &filter(range), &fields).map(|found| found.len())
    };
    let untimed = seal(&draft);
    assert_eq!(named(&untimed, ""), Some(2));
    assert_eq!(named(&untimed, "and timestamp > 2026-11-24T12:19:59Z"), Some(2));
    assert_eq!(named(&untimed, "and timestamp > 2026-11-24T12:20:00.1Z"), Some(1));
    for (n, minute) in [(2, 30), (3, 10)] {
        let at: Timestamp = format!("2026-11-24T12:{minute}:00Z").parse().unwrap();
        see(&mut draft, START + n, &event(1, 1).with_timestamp(at), &fields);
    }
    let block = seal(&Draft::of(&seal(&draft)).unwrap());
    for (range, expected) in [
        ("and timestamp < 2026-11-24T12:10:00Z", 4),
        ("and timestamp < 2026-11-24T12:09:59Z", 1),
        ("and timestamp >= 2026-11-24T12:30:00Z", 4),
        ("and timestamp >= 2026-11-24T12:30:01Z", 1),
        ("and timestamp between 2026-11-24T12:20:00Z and 2026-11-24T12:21:00Z", 4),
    ] {
        assert_eq!(named(&block, range), Some(expected), "{range}");
    }
}

#[test]
fn conditions_on_indexed_fields_are_met_by_what_is_named_and_others_are_not_asked() {
    let fields = fields(&["queue", "worker_id", "n"]);
    let mut draft = draft(&fields);
    for n in 0..100_u64 {
        let event = event((n % 2) as u8, (n % 10) as u16).with_field("n", n);
        see(&mut draft, START + n, &event, &fields);
    }
    draft.malformed(START + 100);
    see(&mut draft, START + 101, &Event::new("x").with_queue("q".repeat(200)), &fields);
    let block = seal(&draft);
    assert_eq!((block.through, block.values(0), block.values(1)), (START + 101, Some(2), Some(10)));
    let named = |filter| {
        let found = candidates(&block, filter, &fields)?;
        Some(found.into_iter().map(|sequence| sequence - START).collect::<Vec<_>>())
    };
    assert_eq!(named("queue = q1 and worker_id = w3 and n < 20"), Some(vec![3, 13, 100]));
    // What is too long for a key may be anything.
    assert_eq!(named("queue = q7"), Some(vec![100, 101]));
    assert_eq!(named("worker_id = w0 and (n = 10 or n = 20.0)"), Some(vec![10, 20, 100]));
    assert_eq!(named("n in 97..99 and duration > 2s"), Some(vec![97, 98, 99, 100]));
    assert_eq!(named("worker_id ~ /[45]/ and n < 15"), Some(vec![4, 5, 14, 100]));
    assert_eq!(named("worker_id != w1 and n < 3"), Some(vec![0, 2, 100]));
    assert_eq!(named("not worker_id = w1"), None);
    assert_eq!(named("worker_id = w1 or duration > 2s"), None);
}

#[test]
fn of_many_values_what_is_equal_is_found_and_what_is_alike_is_not_told() {
    let fields = fields(&["job_id", "queue", "n"]);
    let mut draft = draft(&fields);
    for n in 0..60_000_u64 {
        let mut event = event((n % 200) as u8, 0).with_job_id(format!("j{}", n / 3));
        event = event.with_field("n", n as f64 / 2.0);
        see(&mut draft, START + n, &event, &fields);
    }
    let block = seal(&draft);
    assert_eq!(block.values(1), Some(200));
    assert!([0, 2].into_iter().all(|field| block.is_by_hash(field)) && !block.is_by_hash(1));
    // Few of so many values share a hash.
    assert!((19_990..=20_000).contains(&block.values(0).unwrap()));
    let named = |block: &IndexBlock, filter: &str| {
        let found = candidates(block, filter, &fields)?;
        Some(found.into_iter().map(|sequence| sequence - START).collect::<Vec<_>>())
    };
    assert_eq!(named(&block, "job_id = j1"), Some(vec![3, 4, 5]));
    assert_eq!(
        named(&block, "job_id in (j19999, j0)"),
        Some(vec![0, 1, 2, 59_997, 59_998, 59_999])
    );
    assert_eq!(named(&block, "job_id = j1 and queue = q4"), Some(vec![4]));
    assert_eq!(named(&block, "n = 7"), Some(vec![14]));
    assert_eq!(named(&block, "job_id = nobody"), Some(vec![]));
    for alike in ["job_id ~ /j1/", "n > 29000", "job_id != j1"] {
        assert_eq!(named(&block, alike), None, "{alike}");
        let with_queue = format!("{alike} and queue = q1");
        assert_eq!(named(&block, &with_queue).map(|found| found.len()), Some(300), "{alike}");
    }
    // It stays so when the block goes on.
    let mut on = Draft::of(&block).unwrap();
    see(&mut on, START + 60_000, &event(1, 0).with_job_id("j1"), &fields);
    let block = seal(&on);
    assert_eq!(named(&block, "job_id = j1"), Some(vec![3, 4, 5, 60_000]));
    assert_eq!(named(&block, "queue = q1").unwrap().len(), 301);
}

#[test]
fn another_id_in_each_event_fits_in_a_message_with_one_field_more() {
    let fields = fields(&["order", "queue"]);
    let mut draft = draft(&fields);
    for n in 0..65_536_u64 {
        let id = Uuid::from_u64_pair(n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n);
        see(&mut draft, START + n, &event(1, 0).with_field("order", id.to_string()), &fields);
    }
    let block = seal(&draft);
    assert!(block.is_whole() && block.is_by_hash(0));
    assert!(block.size() < 530_000, "{}", block.size());
    let asked = format!("order = '{}'", Uuid::from_u64_pair(0x9e37_79b9_7f4a_7c15, 1));
    assert_eq!(candidates(&block, &asked, &fields), Some(vec![START + 1]));
}

#[test]
fn an_index_of_long_values_fits_in_a_message() {
    let fields = fields(&["a", "b", "c", "queue"]);
    let mut draft = draft(&fields);
    for n in 0..65_000_u64 {
        let text = |of: &str| format!("{of}{:0100}", n % 4_000);
        let mut event = event(1, 0).with_field("a", text("a")).with_field("b", text("bb"));
        event = event.with_field("c", text("ccc"));
        see(&mut draft, START + n, &event, &fields);
    }
    let block = seal(&draft);
    assert!(block.size() < 1_000_000, "{}", block.size());
    assert_eq!(block.values(3), Some(1));
    // Not all fit, but all of their hashes do.
    assert!((0..3).any(|field| block.is_by_hash(field)), "all fit");
    assert!((0..3).all(|field| block.values(field).is_some()), "none fits");
}

#[test]
fn what_has_no_room_even_by_hash_is_left_out_and_the_others_still_tell() {
    let fields = fields(&["a", "b", "queue"]);
    let mut draft = draft(&fields);
    for n in 0..65_536_u64 {
        let event = event((n % 4) as u8, 0).with_field("a", n).with_field("b", n + 1);
        see(&mut draft, START + n, &event, &fields);
    }
    let block = seal(&draft);
    assert!(block.size() < 1_000_000, "{}", block.size());
    let (a, b) = (block.values(0), block.values(1));
    assert!(a.is_none() != b.is_none(), "{a:?} {b:?}");
    assert_eq!(candidates(&block, "a = 7 and b = 8", &fields), Some(vec![START + 7]));
    assert_eq!(block.values(2), Some(4));
    let on = seal(&Draft::of(&block).unwrap());
    assert_eq!((on.values(0), on.values(1)), (a, b));
}

#[test]
fn what_is_damaged_or_of_another_version_is_found() {
    let fields = fields(&["queue"]);
    let mut draft = draft(&fields);
    (0..50).for_each(|n| see(&mut draft, START + n, &event(1, 0), &fields));
    let bytes = draft.seal(MOST_BYTES);
    for place in 0..bytes.len() {
        let mut damaged = bytes.to_vec();
        damaged[place] ^= 1;
        let error = IndexBlock::decode(damaged.into()).unwrap_err();
        assert!(error.is(ErrorKind::Corrupt), "{place}: {error}");
    }
    let mut newer = bytes.to_vec();
    newer[4] += 1;
    let content = newer.len() - 4;
    let checksum = crc32c::crc32c(&newer[..content]);
    newer[content..].copy_from_slice(&checksum.to_le_bytes());
    assert!(IndexBlock::decode(newer.into()).unwrap_err().is(ErrorKind::Unsupported));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(mut bytes: Vec<u8>) {
        bytes.splice(..0, *b"naqI\x05");
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        if let Ok(block) = IndexBlock::decode(Bytes::from(bytes)) {
            let fields = fields(&["queue"]);
            candidates(&block, "queue = a", &fields);
            Draft::of(&block);
        }
    }

    /// Bytes that are no field are no reason to panic either, whatever is asked of them.
    #[test]
    fn any_field_is_read_without_a_panic(
        kind in 1_u8..3,
        values in 0_u8..9,
        size in 0_u8..20,
        bytes: Vec<u8>,
    ) {
        let mut field = vec![kind, 1, 0, values, size];
        field.extend(bytes);
        if let Some(Some(read)) = Field::read(&mut Reader(&field), field.len()) {
            let fields = fields(&["queue"]);
            for filter in ["queue = a", "queue ~ /a/"] {
                let FilterLookup::All(all) = Filter::parse(filter).unwrap().lookup(&fields).unwrap()
                else {
                    panic!("a filter is a conjunction")
                };
                let [FilterLookup::Field(lookup)] = all.as_slice() else { panic!("of one") };
                read.having(&field, lookup);
            }
            read.draft(&field);
        }
    }

    /// What has left the log is named no more.
    #[test]
    fn what_is_gone_is_not_named(
        events in proptest::collection::vec((0_u8..4, 0_u16..9_000, any::<bool>()), 1..300),
        is_by_hash: bool,
    ) {
        let fields = fields(&["queue", "worker_id"]);
        let mut draft = draft(&fields);
        for (n, (queue, worker, _)) in events.iter().enumerate() {
            see(&mut draft, START + n as u64, &event(*queue, *worker), &fields);
        }
        let numbered = || (START..).zip(&events);
        let is_gone = |(sequence, it): (u64, &(u8, u16, bool))| it.2.then_some(sequence);
        let gone: Vec<u64> = numbered().filter_map(is_gone).collect();
        let before = IndexBlock::decode(draft.seal(if is_by_hash { 64 } else { MOST_BYTES })).unwrap();
        let (mut forgets, mut told) = (before.clone(), before.clone());
        forgets.forget(&gone);
        told.forget_with(&forgets);
        let anew = seal(&Draft::of(&forgets).unwrap());
        for block in [&forgets, &told, &anew] {
            prop_assert_eq!(block.there.len(), (events.len() - gone.len()) as u64);
            for (queue, worker, _) in &events {
                for filter in [format!("queue = q{queue}"), format!("worker_id = w{worker}")] {
                    let Some(mut expected) = candidates(&before, &filter, &fields) else { continue };
                    expected.retain(|sequence| !gone.contains(sequence));
                    prop_assert_eq!(candidates(block, &filter, &fields), Some(expected));
                }
            }
        }
    }

    /// A block that is gone on from is the block in one piece.
    #[test]
    fn going_on_makes_the_same(
        events in proptest::collection::vec((0_u8..4, 0_u16..400), 1..300),
        cut in 0_usize..300,
    ) {
        let fields = fields(&["queue", "worker_id"]);
        let (mut whole, mut part) = (draft(&fields), draft(&fields));
        for (n, (queue, worker)) in events.iter().enumerate() {
            if n == cut {
                part = Draft::of(&seal(&part)).unwrap();
            }
            for draft in [&mut whole, &mut part] {
                see(draft, START + n as u64, &event(*queue, *worker), &fields);
            }
        }
        prop_assert_eq!(whole.seal(MOST_BYTES), part.seal(MOST_BYTES));
        let block = seal(&whole);
        for (queue, worker) in &events {
            let filter = format!("queue = q{queue} and worker_id = w{worker}");
            let same = |(_, event): &(usize, &(u8, u16))| *event == &(*queue, *worker);
            let expected: Vec<u64> =
                events.iter().enumerate().filter(same).map(|(n, _)| START + n as u64).collect();
            prop_assert_eq!(candidates(&block, &filter, &fields), Some(expected));
        }
    }
}
