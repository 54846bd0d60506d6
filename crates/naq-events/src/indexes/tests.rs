//! The index of a block: what it names is a superset of what passes, and of
//! an index of bounded size.

use bytes::Bytes;
use naq_core::ErrorKind;
use naq_core::Timestamp;
use naq_core::events::{Event, Filter, IndexField};
use proptest::prelude::*;
use uuid::Uuid;

use super::block::IndexBlock;
use super::draft::Draft;

fn fields(names: &[&str]) -> Vec<IndexField> {
    names.iter().map(|name| IndexField::new(name).unwrap()).collect()
}

fn draft(fields: &[IndexField]) -> Draft {
    Draft::new(Timestamp::from_nanos(7), Uuid::nil(), 3, fields.len())
}

/// The first sequence of block 3.
const START: u64 = 3 * 65_536 + 1;

fn seal(draft: &Draft) -> IndexBlock {
    IndexBlock::decode(draft.seal()).unwrap()
}

fn candidates(block: &IndexBlock, filter: &str, fields: &[IndexField]) -> Option<Vec<u64>> {
    block.candidates(&Filter::parse(filter).unwrap().lookup(fields)?)
}

fn event(queue: u8, worker: u16) -> Event {
    Event::new("x").with_queue(format!("q{queue}")).with_worker_id(format!("w{worker}"))
}

#[test]
fn conditions_on_indexed_fields_are_met_by_what_is_named_and_others_are_not_asked() {
    let fields = fields(&["queue", "worker_id", "n"]);
    let mut draft = draft(&fields);
    for n in 0..100_u64 {
        let event = event((n % 2) as u8, (n % 10) as u16).with_field("n", n);
        draft.observe(START + n, &event, &fields);
    }
    draft.malformed(START + 100);
    draft.observe(START + 101, &Event::new("x").with_queue("q".repeat(200)), &fields);
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
fn a_field_of_too_many_values_cannot_tell_and_the_others_still_do() {
    let fields = fields(&["job_id", "queue"]);
    let mut draft = draft(&fields);
    for n in 0..20_000_u64 {
        let event = event((n % 200) as u8, 0).with_job_id(format!("j{n}"));
        draft.observe(START + n, &event, &fields);
    }
    let block = seal(&draft);
    assert_eq!((block.values(0), block.values(1)), (None, Some(200)));
    assert_eq!(candidates(&block, "job_id = j1", &fields), None);
    assert_eq!(candidates(&block, "job_id = j1 and queue = q1", &fields).unwrap().len(), 100);
    // It stays so when the block goes on.
    let mut on = Draft::of(&block).unwrap();
    on.observe(START + 20_000, &event(1, 0).with_job_id("j1"), &fields);
    let block = seal(&on);
    assert_eq!(candidates(&block, "job_id = j1", &fields), None);
    assert_eq!(candidates(&block, "queue = q1", &fields).unwrap().len(), 101);
}

#[test]
fn an_index_of_long_values_fits_in_a_message() {
    let fields = fields(&["a", "b", "queue"]);
    let mut draft = draft(&fields);
    for n in 0..16_000_u64 {
        let text = |of: &str| format!("{of}{n:0100}");
        let event = event(1, 0).with_field("a", text("a")).with_field("b", text("bb"));
        draft.observe(START + n, &event, &fields);
    }
    let block = seal(&draft);
    assert!(block.size() < 1_000_000, "{}", block.size());
    assert_eq!(block.values(2), Some(1));
    assert!(block.values(0).is_none(), "both don't fit");
}

#[test]
fn what_is_damaged_or_of_another_version_is_found() {
    let fields = fields(&["queue"]);
    let mut draft = draft(&fields);
    (0..50).for_each(|n| draft.observe(START + n, &event(1, 0), &fields));
    let bytes = draft.seal();
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
        bytes.splice(..0, *b"naqI\x01");
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        if let Ok(block) = IndexBlock::decode(Bytes::from(bytes)) {
            let fields = fields(&["queue"]);
            candidates(&block, "queue = a", &fields);
            Draft::of(&block);
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
                draft.observe(START + n as u64, &event(*queue, *worker), &fields);
            }
        }
        prop_assert_eq!(whole.seal(), part.seal());
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
