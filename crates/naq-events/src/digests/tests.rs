//! The laws of digests: the same events make the same bytes, bounded, and read back.

use naq_core::events::{Event, Position, RecordedEvent};
use naq_core::{ErrorKind, Timestamp};
use proptest::prelude::*;

use super::cell::{Cell, FEW, FEWER, Key, Minute, Name};
use super::decode::decode;
use super::digest::{BLOCK, Digest, block_end, block_of, block_start};
use super::distribution::Distribution;
use super::draft::{Draft, MOST_BYTES, MOST_ERRORS, MOST_MINUTES};
use super::encode::{OLDEST, VERSION, encode};
use super::hours::Grain;
use super::runs::{Place, Run};
use crate::fence::Mark;

const CREATED: Timestamp = Timestamp::from_nanos(1_764_000_000_000_000_000);

/// Second `n` of the log's time.
fn second(n: i64) -> Timestamp {
    Timestamp::from_nanos(CREATED.as_nanos() + n * 1_000_000_000)
}

fn recorded(sequence: u64, at: Timestamp, event: Event) -> RecordedEvent {
    let payload = serde_json::to_vec(&event.with_timestamp(at)).unwrap();
    let position = Position::new(CREATED, sequence);
    RecordedEvent::decode(position, at, "events.x".to_owned(), payload.into()).unwrap()
}

fn some_event() -> impl Strategy<Value = (i64, Event)> {
    let name =
        |prefix: &'static str| prop::option::of((0..3).prop_map(move |n| format!("{prefix}{n}")));
    let fields = (name("queue-"), name("name-"), prop::option::of(any::<bool>()));
    let seconds = (prop::option::of(0_f64..100.0), prop::option::of(0_f64..1e-3));
    let error = prop::option::of(
        (0_usize..3, 0..4)
            .prop_map(|(kind, n)| format!("error {kind} {n}", kind = ["a", "b", "c"][kind])),
    );
    let kind = prop::sample::select(vec!["job_failed", "job_completed", "custom", "events_lost"]);
    (0_i64..400, kind, fields, seconds, error, 0..5).prop_map(
        |(at, kind, (queue, job_name, success), (duration, wait), error, job)| {
            let mut event = Event::new(kind).with_job_id(format!("job-{job}"));
            event.queue = queue.map(Into::into);
            event.job_name = job_name.map(Into::into);
            (event.success, event.duration, event.queue_wait) = (success, duration, wait);
            event.error = error.map(Into::into);
            event.custom.insert("count".to_owned(), 3.into());
            (at, event)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_of_folding_and_merging_gives_the_same_bytes(
        events in prop::collection::vec(some_event(), 1..60),
        cuts in prop::collection::vec(0_usize..60, 0..4),
        turn in 0_usize..60,
    ) {
        let stored: Vec<_> = events
            .into_iter()
            .zip(1..)
            .map(|((at, event), sequence)| recorded(sequence, second(at), event))
            .collect();
        let mut whole = Draft::new(CREATED, 0);
        stored.iter().for_each(|event| whole.observe(event));
        let (_, expected) = whole.seal();

        let mut turned = stored.clone();
        turned.rotate_left(turn % stored.len());
        let mut parts = vec![Draft::new(CREATED, 0)];
        for (index, event) in turned.iter().enumerate() {
            if cuts.contains(&index) {
                parts.push(Draft::new(CREATED, 0));
            }
            parts.last_mut().unwrap().observe(event);
        }
        let mut merged = Draft::new(CREATED, 0);
        for part in parts.iter().rev() {
            let (digest, bytes) = part.seal();
            prop_assert_eq!(&decode(&bytes).unwrap(), &digest);
            merged.merge(&digest);
        }
        prop_assert_eq!(merged.seal().1, expected);
    }

    #[test]
    fn any_instant_cuts_small_cells_as_it_cuts_the_events(
        mut events in prop::collection::vec(some_event(), 1..60),
        cut in 0_i64..400,
        // Whole seconds, microseconds, nanoseconds.
        (finer, parts) in prop::sample::select(vec![(0, 1.0), (5_000, 1e6), (7, 1e9)]),
    ) {
        let at = |n: i64| Timestamp::from_nanos(second(n).as_nanos() + finer);
        let mut draft = Draft::new(CREATED, 0);
        let mut expected = (0, Distribution::default(), Distribution::default());
        for ((n, event), sequence) in events.iter_mut().zip(1..) {
            event.custom.clear();
            event.duration = event.duration.map(|seconds| (seconds * parts).round() / parts);
            draft.observe(&recorded(sequence, at(*n), event.clone()));
            if *n <= cut {
                expected.0 += 1;
                event.duration.into_iter().for_each(|seconds| expected.1.observe(seconds));
                event.queue_wait.into_iter().for_each(|seconds| expected.2.observe(seconds));
            }
        }
        let digest = decode(&draft.seal().1).unwrap();
        let mut found = (0, Distribution::default(), Distribution::default());
        for (_, cell) in &digest.cells {
            prop_assert!(cell.is_sharp());
            if let Some(part) = cell.when(|time| time <= at(cut)) {
                found.0 += part.count;
                part.add_values(&mut found.1, &mut found.2);
            }
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_damaged_digest_is_never_read(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut draft = Draft::new(CREATED, 3);
        let event = Event::job_failed("j", "no route to 10.0.0.7", 1.5).with_queue("q");
        draft.observe(&recorded(block_start(3), second(1), event));
        let (_, mut bytes) = draft.seal();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        prop_assert_eq!(decode(&bytes).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_digest_counts_what_it_has_seen_and_what_was_gone() {
    let mut draft = Draft::new(CREATED, 1);
    let start = block_start(1);
    draft.observe(&recorded(start + 4, second(0), Event::log("x")));
    draft.malformed(start + 5);
    draft.reach(start + 9);
    let (digest, bytes) = draft.seal();
    assert_eq!((digest.seen, digest.malformed, digest.holes()), (2, 1, 8));
    assert_eq!(digest.through, start + 9);
    assert_eq!(Draft::from_digest(&decode(&bytes).unwrap()).seal().1, bytes);
    let (nothing, _) = Draft::new(CREATED, 1).seal();
    assert_eq!((nothing.through, nothing.holes()), (start - 1, 0));
}

#[test]
fn many_events_of_one_cell_are_their_distribution() {
    let draft = |count: u64| {
        let mut draft = Draft::new(CREATED, 0);
        for sequence in 1..=count {
            let at = second((sequence % 60).cast_signed());
            draft.observe(&recorded(sequence, at, Event::log("x").with_duration(0.5)));
        }
        let (digest, bytes) = draft.seal();
        assert_eq!(decode(&bytes).unwrap(), digest);
        digest.cells
    };
    for (count, is_sharp) in [(FEW as u64, true), (FEW as u64 + 1, false)] {
        let [(_, cell)] = draft(count).try_into().unwrap();
        assert_eq!((cell.count, cell.is_sharp()), (count, is_sharp));
        assert_eq!(cell.when(|_| true).is_some(), is_sharp);
        let (mut durations, mut waits) = (Distribution::default(), Distribution::default());
        cell.add_values(&mut durations, &mut waits);
        assert_eq!((durations.bins()[0].1, durations.mean()), (count, Some(0.5)));
        assert!(waits.is_empty());
    }
}

#[test]
fn where_room_is_short_the_events_of_large_cells_are_told_apart_no_longer() {
    // Cells of a thousand events, and one of a hundred, whose values vary in each digit.
    let mut draft = Draft::new(CREATED, 0);
    let mut random = fastrand::Rng::with_seed(7);
    for sequence in 1..=56_000 {
        let cell = sequence % 64;
        let mut event = Event::log("x").with_queue(format!("queue-{cell}"));
        if cell == 1 && sequence > 6_400 {
            continue;
        }
        (event.duration, event.queue_wait) = (Some(random.f64() * 1e6), Some(random.f64() * 1e6));
        let nanos = random.i64(0..60_000_000_000);
        draft.observe(&recorded(
            sequence,
            Timestamp::from_nanos(second(0).as_nanos() + nanos),
            event,
        ));
    }
    let (digest, bytes) = draft.seal();
    assert!(bytes.len() <= MOST_BYTES, "{}", bytes.len());
    assert_eq!(digest.cells.len(), 64);
    for (_, cell) in &digest.cells {
        assert_eq!(cell.is_sharp(), cell.count <= FEWER as u64, "{} events", cell.count);
    }
    assert_eq!(decode(&bytes).unwrap(), digest);
}

#[test]
fn times_at_the_ends_of_time_are_read_back() {
    let mut draft = Draft::new(CREATED, 0);
    for (sequence, nanos) in [(1, i64::MIN + 808), (2, i64::MAX - 807), (3, 0), (4, i64::MAX)] {
        let at = Timestamp::from_nanos(nanos);
        draft.observe(&recorded(sequence, at, Event::log("x")));
    }
    let (digest, bytes) = draft.seal();
    assert_eq!(decode(&bytes).unwrap(), digest);
}

#[test]
fn a_block_has_its_sequences() {
    assert_eq!((block_of(1), block_of(BLOCK), block_of(BLOCK + 1)), (0, 0, 1));
    assert_eq!((block_start(1), block_end(1)), (BLOCK + 1, 2 * BLOCK));
}

#[test]
fn where_the_events_of_a_minute_lie_is_known() {
    let mut draft = Draft::new(CREATED, 0);
    for (sequence, at) in [(1, 0), (2, 61), (3, 5), (9, 62)] {
        draft.observe(&recorded(sequence, second(at), Event::log("x")));
    }
    let (digest, _) = draft.seal();
    let spans: Vec<_> = digest.spans.iter().map(|(_, span)| (span.from, span.to)).collect();
    assert_eq!(spans, [(1, 3), (2, 9)]);
}

#[test]
fn another_version_is_told_and_not_misread() {
    let (digest, _) = Draft::new(CREATED, 0).seal();
    let mut bytes = encode(&digest);
    bytes.truncate(bytes.len() - 4);
    bytes[4] = 99;
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    let error = decode(&bytes).unwrap_err();
    assert_eq!((error.kind(), error.get("version")), (ErrorKind::Unsupported, Some("99")));
    for bytes in [&b""[..], b"naqD", b"{\"a\":1}"] {
        assert_eq!(decode(bytes).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn digests_of_versions_before_are_read_as_ones_of_minutes_that_know_no_message() {
    let mut draft = Draft::new(CREATED, 0);
    (1..=9).for_each(|n| draft.observe(&recorded(n, second(7 * n.cast_signed()), Event::log("x"))));
    let (digest, mut bytes) = draft.seal();
    // Behind version, units, creation time and four counts stand the grain, the
    // last message, and that repeats are told: each of them came with a version.
    assert_eq!((bytes[4], &bytes[20..23]), (VERSION, &[0, 0, 1][..]));
    let expected = Digest { tells_repeats: false, ..digest };
    for (version, left_out) in [(4, 22), (3, 21), (OLDEST, 20)] {
        bytes[4] = version;
        bytes.remove(left_out);
        bytes.truncate(bytes.len() - 4);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        let digest = decode(&bytes).unwrap();
        assert_eq!(digest, expected);
        // Nor does what goes on from it tell how often they were repeated.
        assert!(!decode(&Draft::from_digest(&digest).seal().1).unwrap().tells_repeats);
    }
}

/// An event of some id in a minute, stored at a sequence.
fn with_id(sequence: u64, minute: i64, id: &str) -> RecordedEvent {
    let event = Event::job_failed("j", "no route to host", 0.5).with_id(id);
    recorded(sequence, second(60 * minute), event)
}

#[test]
fn events_that_are_stored_repeatedly_are_counted_by_cell_and_error() {
    let draft = |ids: &[(i64, &str)]| {
        let mut draft = Draft::new(CREATED, 0);
        let events = ids.iter().zip(1..).map(|((minute, id), n)| with_id(n, *minute, id));
        let repeats: Vec<bool> = events.map(|event| draft.observe_and_tell(&event)).collect();
        (draft, repeats)
    };
    let of = |digest: &Digest| {
        let cells: Vec<u64> = digest.cells.iter().map(|(_, cell)| cell.repeats).collect();
        let errors = digest.errors.iter().flat_map(|(_, all)| all.repeats.values().copied());
        (cells, errors.collect::<Vec<_>>())
    };
    let (draft, repeats) = draft(&[(0, "a"), (1, "b"), (0, "a"), (1, "c"), (0, "a"), (0, "d")]);
    assert_eq!(repeats, [false, false, true, false, true, false]);
    let (digest, bytes) = draft.seal();
    assert_eq!(of(&digest), (vec![2, 0], vec![2]));
    assert_eq!(decode(&bytes).unwrap(), digest);
    // Of a part are those that can't all be among the others.
    let cell = &digest.cells[0].1;
    assert_eq!(cell.when(|_| true).map(|part| part.repeats), Some(2));
    assert_eq!(Cell { count: 5, ..cell.clone() }.when(|_| true).map(|part| part.repeats), Some(1));
    // They are added up, and an id that was counted before is not known.
    let mut both = Draft::from_digest(&digest);
    assert!(!both.observe_and_tell(&with_id(7, 0, "a")));
    assert!(both.observe_and_tell(&with_id(8, 1, "a")));
    let both = both.seal().0;
    assert_eq!(of(&both), (vec![2, 1], vec![2, 1]));
    for grain in [Grain::Day, Grain::Whole] {
        let run = Run::of(&both, grain);
        let twice = Run::join(Place::of(grain, 1, 0), &run, &run).unwrap().sum;
        assert_eq!(of(&twice), (vec![6], vec![6]), "{grain:?}");
        assert!(twice.tells_repeats);
    }
    assert_eq!(of(&both.coarser(Grain::Day)).0, [3]);
}

#[test]
fn repeats_take_room_where_there_are_some_alone() {
    let bytes = |id: fn(u64) -> String| {
        let mut draft = Draft::new(CREATED, 0);
        (1..=9).for_each(|n| draft.observe(&with_id(n, 0, &id(n))));
        draft.seal().1.len()
    };
    let without_ids = {
        let mut draft = Draft::new(CREATED, 0);
        for n in 1..=9 {
            let event = Event::job_failed("j", "no route to host", 0.5);
            draft.observe(&recorded(n, second(0), event));
        }
        draft.seal().1.len()
    };
    assert_eq!(bytes(|n| n.to_string()), without_ids);
    // A number in the cell, and one with its minute in the error.
    let repeated = bytes(|n| (n / 2).to_string()) - without_ids;
    assert!((3..20).contains(&repeated), "{repeated} bytes");
}

#[test]
fn a_digest_knows_its_last_message() {
    let stored_at = Timestamp::from_nanos(CREATED.as_nanos() + 5);
    for sequence in [1, BLOCK] {
        let mut draft = Draft::new(CREATED, 0);
        draft.malformed(sequence);
        draft.marks(Mark { sequence, stored_at });
        let (digest, bytes) = draft.seal();
        let decoded = decode(&bytes).unwrap();
        assert_eq!((decoded.mark, &decoded), (Mark { sequence, stored_at }, &digest));
        assert_eq!(Draft::from_digest(&decoded).mark(), decoded.mark);
    }
}

/// A block in which each event is in a minute, a queue and of a kind of its own.
fn rich(events: u64) -> Draft {
    let mut draft = Draft::new(CREATED, 0);
    for sequence in 1..=events {
        let n = sequence.cast_signed();
        let event =
            Event::job_failed(format!("job-{n}"), format!("kind {}", letters(sequence)), 0.5)
                .with_queue(format!("a queue of a rather long name {n}"))
                .with_job_name(format!("a kind of job of a rather long name {n}"));
        draft.observe(&recorded(sequence, second(n * 60), event));
    }
    draft
}

/// A name without digits, which a fingerprint keeps.
fn letters(mut n: u64) -> String {
    let mut text = String::new();
    while n > 0 {
        text.push(char::from(b'a' + (n % 26) as u8));
        n /= 26;
    }
    text
}

#[test]
fn a_block_that_is_too_rich_is_made_coarser_and_counts_everything_still() {
    let (digest, bytes) = rich(20_000).seal();
    assert!(bytes.len() <= MOST_BYTES, "{}", bytes.len());
    assert_eq!(digest.cells.iter().map(|(_, cell)| cell.count).sum::<u64>(), 20_000);
    assert!(digest.cells.iter().all(|(key, _)| key.job_name == Name::Dropped));
    assert_eq!(digest.errors.len(), MOST_ERRORS);
    let listed: u64 = digest.errors.iter().map(|(_, all)| all.count()).sum();
    assert_eq!(listed + digest.unlisted_errors, 20_000);
    assert_eq!(decode(&bytes).unwrap(), digest);
}

#[test]
fn errors_with_long_words_are_listed_as_far_as_there_is_room() {
    let mut draft = Draft::new(CREATED, 0);
    for sequence in 1..=3_000_u64 {
        let long = |word: String, length: usize| word.repeat(length / word.len().max(1) + 1);
        let mut event = Event::job_failed(
            format!("{}{sequence}", long("j".to_owned(), 240)),
            long(format!("{} ", letters(sequence % 999 + 27)), 250),
            0.5,
        );
        event.error_type = Some(format!("{}{}", long("t".to_owned(), 120), sequence % 999).into());
        draft.observe(&recorded(sequence, second(sequence.cast_signed() * 60), event));
    }
    let (digest, bytes) = draft.seal();
    assert!(bytes.len() <= MOST_BYTES, "{}", bytes.len());
    assert!(!digest.errors.is_empty() && digest.errors.len() < 999, "{}", digest.errors.len());
    let listed: u64 = digest.errors.iter().map(|(_, all)| all.count()).sum();
    assert_eq!(listed + digest.unlisted_errors, 3_000);
    assert_eq!(decode(&bytes).unwrap(), digest);
}

#[test]
fn clocks_that_are_wrong_do_not_blow_a_digest_up() {
    let mut draft = Draft::new(CREATED, 0);
    let [most, _] = MOST_MINUTES.map(|most| most as u64);
    for sequence in 1..=BLOCK {
        // Two in each of some minutes, then one in each, years away.
        let minute = if sequence <= 2 * most { sequence / 2 } else { 1_000_000 + 99 * sequence };
        let event = Event::log("x")
            .with_duration(sequence as f64 / 7.0)
            .with_queue_wait(sequence as f64 / 11.0);
        draft.observe(&recorded(sequence, second(minute.cast_signed() * 60), event));
    }
    let (digest, bytes) = draft.seal();
    assert!(bytes.len() <= MOST_BYTES, "{}", bytes.len());
    assert_eq!(digest.spans.len() as u64, most);
    let (apart, kept): (Vec<_>, Vec<_>) =
        digest.cells.iter().partition(|(key, _)| key.minute == Minute::APART);
    let count = |cells: &[&(Key, Cell)]| cells.iter().map(|(_, cell)| cell.count).sum::<u64>();
    assert_eq!(count(&apart) + count(&kept), BLOCK);
    assert!(count(&kept) >= 2 * most - 1, "{}", count(&kept));
    assert!(apart[0].1.last > second(60_000_000));
}

#[test]
fn each_minute_of_a_quiet_log_is_told() {
    let mut draft = Draft::new(CREATED, 0);
    for sequence in 1..=BLOCK {
        let event = Event::job_completed(format!("job-{sequence}"), 0.25, true).with_queue("mail");
        draft.observe(&recorded(sequence, second(sequence.cast_signed() * 20), event));
    }
    let (digest, bytes) = draft.seal();
    assert!(bytes.len() <= MOST_BYTES, "{}", bytes.len());
    assert_eq!(digest.spans.len() as u64, BLOCK * 20 / 60 + 1);
    assert!(digest.cells_apart().is_empty());
}

#[test]
fn names_that_an_older_version_has_not_cut_are_cut_and_put_together() {
    let mut draft = Draft::new(CREATED, 0);
    for sequence in 1..=3 {
        let event = Event::new("log").with_queue(["a", "b", "b"][sequence as usize - 1]);
        draft.observe(&recorded(sequence, second(1), event));
    }
    let (mut digest, _) = draft.seal();
    let begins = "a".repeat(300);
    digest.names = digest
        .names
        .iter()
        .map(|name| match name.as_str() {
            "log" => name.clone(),
            name => format!("{begins}{name}"),
        })
        .collect();
    let long = digest.names[0].clone();
    let read = decode(&encode(&digest)).unwrap();
    assert!(read.names.iter().all(|name| name.len() < long.len()), "{:?}", read.names);
    let counts: Vec<_> = read.cells.iter().map(|(_, cell)| cell.count).collect();
    assert_eq!((counts, read.names.len(), read.dropped.ends), (vec![3], 2, true));
}
