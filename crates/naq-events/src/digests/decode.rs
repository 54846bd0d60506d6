//! Bytes as a digest again, or what is wrong with them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use naq_core::{Error, ErrorKind, Result, Timestamp};

use super::bytes::Reader;
use super::cell::{Cell, FEW, Key, Minute, Name, Outcome, Values};
use super::digest::{BLOCK, Digest, Span, block_end, block_start};
use super::distribution::Distribution;
use super::encode::{
    GRAINS, HAS_DURATIONS, HAS_LOST, HAS_REPEATS, HAS_TYPE, HAS_WAITS, IS_REPEATED, IS_SHARP, MARK,
    OLDEST, UNITS, VERSION,
};
use super::errors::{ErrorKey, Occurrences, SAMPLES};
use super::few::Few;
use super::hours::{Grain, Hours};
use super::moment::{Moment, Nanos};
use super::names::{Dropped, listed};
use crate::fence::Mark;

const OPERATION: &str = "read_digest";

/// The bytes of a checksum.
const CHECKSUM: usize = 4;

/// Reads what [`encode`](super::encode::encode) wrote, or that of a version before wrote.
///
/// # Errors
/// `Corrupt` for what is no digest or was damaged; `Unsupported` for one of
/// a version that this one doesn't read.
pub(crate) fn decode(bytes: &[u8]) -> Result<Digest> {
    let corrupt = |what: &'static str| Error::new(ErrorKind::Corrupt, OPERATION, what);
    let (content, checksum) =
        bytes.split_last_chunk::<CHECKSUM>().ok_or_else(|| corrupt("too short for a digest"))?;
    let version = content
        .strip_prefix(MARK)
        .and_then(<[u8]>::first)
        .ok_or_else(|| corrupt("these bytes are no digest"))?;
    if crc32c::crc32c(content) != u32::from_le_bytes(*checksum) {
        return Err(corrupt("the checksum doesn't fit: the digest was damaged"));
    }
    if !(OLDEST..=VERSION).contains(version) {
        return Err(Error::new(ErrorKind::Unsupported, OPERATION, "a digest of another version")
            .with("version", version.to_string())
            .with("supported", format!("{OLDEST} to {VERSION}")));
    }
    let mut reader = Reader(content.get(MARK.len() + 1..).unwrap_or_default());
    digest(&mut reader, *version)
        .filter(|_| reader.0.is_empty())
        .ok_or_else(|| corrupt("the parts of the digest don't fit together"))
}

fn digest(reader: &mut Reader<'_>, version: u8) -> Option<Digest> {
    let mut unit = || UNITS.get(usize::try_from(reader.u64()?).ok()?).copied();
    let units = Units { time: unit()?.cast_signed(), value: unit()? };
    let created = Timestamp::from_nanos(reader.i64()?);
    let block = reader.u64().filter(|block| *block < u64::MAX / BLOCK)?;
    let start = block_start(block);
    let through = start - 1 + reader.u64().filter(|looked_at| *looked_at <= BLOCK)?;
    let (seen, malformed) = (reader.u64()?, reader.u64()?);
    let grain = match version {
        OLDEST => Grain::Minute,
        _ => GRAINS.get(usize::try_from(reader.u64()?).ok()?).copied()?,
    };
    // Nothing is added to a coarse one: it would be of two grains.
    if grain != Grain::Minute && through < block_end(block) {
        return None;
    }
    let mark = match version {
        ..4 => Mark::default(),
        _ => mark(reader, created, start)?,
    };
    let tells_repeats = match version {
        ..5 => false,
        _ => reader.u64()? > 0,
    };
    // Older versions didn't cut them.
    let mut is_cut = false;
    let names = many(reader, |reader| {
        let name = listed(reader.text()?);
        is_cut |= matches!(name, Cow::Owned(_));
        Some(name.into_owned())
    })?;
    let mut before = 0_i64;
    let spans = many(reader, |reader| {
        let minute = before.checked_add(reader.i64()?)?;
        before = minute;
        let from = start.checked_add(reader.u64()?)?;
        Some((Minute(minute), Span { from, to: from.checked_add(reader.u64()?)? }))
    })?;
    let mut cells: Vec<(Key, Cell)> = Vec::new();
    for minute in spans.iter().map(|(minute, _)| *minute).chain([Minute::APART]) {
        cells.extend(many(reader, |reader| cell(reader, units, minute, names.len()))?);
    }
    let errors = many(reader, |reader| {
        let fingerprint = reader.text()?.to_owned();
        let flags = reader.u64().filter(|flags| *flags <= HAS_TYPE | IS_REPEATED)?;
        let error_type = match flags & HAS_TYPE {
            0 => None,
            _ => Some(reader.text()?.to_owned()),
        };
        let occurrences = occurrences(reader, flags & IS_REPEATED != 0)?;
        Some((ErrorKey { fingerprint, error_type }, occurrences))
    })?;
    let unlisted_errors = reader.u64()?;
    let digest = Digest {
        created,
        block,
        through,
        mark,
        seen,
        malformed,
        tells_repeats,
        grain,
        dropped: Dropped::of(&cells, &names),
        names,
        cells,
        spans,
        errors,
        unlisted_errors,
        unlisted_between: None,
        hours: Hours::default(),
    };
    let digest = if is_cut { digest.regrouped(|key| key) } else { digest };
    Some(digest.with_unlisted_between())
}

/// The last message that a digest of a block which starts there was made of.
fn mark(reader: &mut Reader<'_>, created: Timestamp, start: u64) -> Option<Mark> {
    Some(match reader.u64().filter(|place| *place <= BLOCK)? {
        0 => Mark::default(),
        place => {
            let since = reader.i64()?;
            let stored_at = Timestamp::from_nanos(created.as_nanos().wrapping_add(since));
            Mark { sequence: start - 1 + place, stored_at }
        }
    })
}

/// As many things as the next number says.
fn many<'a, T>(
    reader: &mut Reader<'a>,
    mut one: impl FnMut(&mut Reader<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    (0..reader.len()?).map(|_| one(reader)).collect()
}

/// The units of times and values, in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Units {
    time: i64,
    value: u64,
}

fn cell(
    reader: &mut Reader<'_>,
    units: Units,
    minute: Minute,
    names: usize,
) -> Option<(Key, Cell)> {
    let flags = reader.byte()?;
    let mut name = || {
        Some(match reader.u64()? {
            0 => Name::Absent,
            1 => Name::Dropped,
            place => {
                let place = u32::try_from(place - 2).ok()?;
                ((place as usize) < names).then_some(Name::At(place))?
            }
        })
    };
    let (event_type, queue, job_name) = (name()?, name()?, name()?);
    let outcome = match flags & 3 {
        0 => Outcome::Open,
        1 => Outcome::Failure,
        2 => Outcome::Success,
        _ => return None,
    };
    let key = Key { minute, event_type, queue, job_name, outcome };
    let count = reader.u64().filter(|count| *count > 0)?;
    let lost = if flags & HAS_LOST != 0 { reader.u64()? } else { 0 };
    let repeats = if flags & HAS_REPEATS != 0 { reader.u64()? } else { 0 };
    let start = if minute == Minute::APART { 0 } else { minute.start().as_nanos() };
    let cell = if flags & IS_SHARP != 0 {
        let few = usize::try_from(count).ok().filter(|count| *count <= FEW)?;
        let few = moments(reader, units, few, start, flags)?;
        Cell { repeats, ..Cell::of_few(few, lost)? }
    } else {
        let first = start.wrapping_add(reader.i64()?);
        let last = if count > 1 { first.wrapping_add(reader.i64()?) } else { first };
        let (first, last) = (Timestamp::from_nanos(first), Timestamp::from_nanos(last));
        let mut distribution = |flag: u8| match flags & flag {
            0 => Some(Distribution::default()),
            _ => read_distribution(reader),
        };
        let (durations, waits) = (distribution(HAS_DURATIONS)?, distribution(HAS_WAITS)?);
        let many = Some(Box::new(Values { durations, waits }));
        Cell { count, first, last, lost, repeats, few: Few::default(), many }
    };
    Some((key, cell))
}

fn moments(
    reader: &mut Reader<'_>,
    units: Units,
    count: usize,
    start: i64,
    flags: u8,
) -> Option<Few> {
    let mut before = start;
    let mut few = Vec::with_capacity(count);
    for _ in 0..count {
        before = before.wrapping_add(reader.i64()?.wrapping_mul(units.time));
        let mut value = |flag: u8| {
            if flags & flag == 0 {
                return Some(None);
            }
            match reader.u64()? {
                0 => Some(None),
                value => {
                    let nanos = u128::from(value - 1) * u128::from(units.value);
                    Nanos::new(nanos).map(Some)
                }
            }
        };
        let (duration, wait) = (value(HAS_DURATIONS)?, value(HAS_WAITS)?);
        few.push(Moment { at: Timestamp::from_nanos(before), duration, wait });
    }
    few.is_sorted().then(|| few.into_iter().collect())
}

fn read_distribution(reader: &mut Reader<'_>) -> Option<Distribution> {
    let bins = reader.len()?;
    let min = reader.number()?;
    let max = min.checked_add(reader.number()?)?;
    let sum = reader.number()?;
    let mut before = 0_u16;
    let bins = (0..bins)
        .map(|_| {
            before = before.checked_add(u16::try_from(reader.u64()?).ok()?)?;
            Some((before, reader.u64()?))
        })
        .collect::<Option<_>>()?;
    Distribution::from_parts(sum, (min, max), bins)
}

fn occurrences(reader: &mut Reader<'_>, is_repeated: bool) -> Option<Occurrences> {
    let time = |nanos: i64| Timestamp::from_nanos(nanos);
    let times = Some((time(reader.i64()?), time(reader.i64()?)));
    let minutes = read_minutes(reader)?;
    let repeats = if is_repeated { read_minutes(reader)? } else { BTreeMap::new() };
    let samples = many(reader, |reader| Some((time(reader.i64()?), reader.text()?.to_owned())))?;
    (samples.len() <= SAMPLES).then_some(Occurrences { minutes, repeats, times, samples })
}

fn read_minutes(reader: &mut Reader<'_>) -> Option<BTreeMap<Minute, u64>> {
    let mut minutes = BTreeMap::new();
    let mut before = 0_i64;
    for _ in 0..reader.len()? {
        before = before.checked_add(reader.i64()?)?;
        minutes.insert(Minute(before), reader.u64()?);
    }
    Some(minutes)
}
