//! A digest as bytes: a mark, the format's version, the parts, a checksum.
//!
//! Times of a cell are counted from the start of its minute, or from the one
//! before, in the largest unit that all of the digest are whole numbers of, and
//! so are values; sequences from the start of the block, and places, minutes
//! and bins from the one before.

use std::collections::BTreeMap;

use super::bytes::Writer;
use super::cell::{Cell, Key, Minute, Name, Outcome, Values};
use super::digest::{Digest, block_start};
use super::distribution::Distribution;
use super::errors::Occurrences;
use super::hours::Grain;

/// What every digest begins with.
pub(crate) const MARK: &[u8; 4] = b"naqD";

/// The version of the format. Each reads those from [`OLDEST`] on, so that
/// digests outlive an update; from the third on they say how finely they tell
/// times apart, from the fourth on which message was their last, and from the
/// fifth on which events repeat others.
pub(crate) const VERSION: u8 = 5;

/// The oldest version that is read.
pub(crate) const OLDEST: u8 = 2;

/// Bits of a cell's first byte; the outcome stands in the lowest two.
pub(crate) const HAS_DURATIONS: u8 = 1 << 2;
pub(crate) const HAS_WAITS: u8 = 1 << 3;
pub(crate) const HAS_LOST: u8 = 1 << 4;
pub(crate) const IS_SHARP: u8 = 1 << 5;
pub(crate) const HAS_REPEATS: u8 = 1 << 6;

/// Bits of what stands behind an error's message.
pub(crate) const HAS_TYPE: u64 = 1;
pub(crate) const IS_REPEATED: u64 = 1 << 1;

/// The units of times and values, in nanoseconds; each divides the ones before.
pub(crate) const UNITS: [u64; 3] = [1_000_000, 1_000, 1];

/// How finely a digest may tell times apart, by its number.
pub(crate) const GRAINS: [Grain; 3] = [Grain::Minute, Grain::Hour, Grain::Day];

/// The units that a digest is written in, as places in [`UNITS`].
#[derive(Debug, Clone, Copy, Default)]
struct Units {
    times: usize,
    values: usize,
}

impl Units {
    /// The largest that what the sharp cells hold are whole numbers of.
    fn of(digest: &Digest) -> Self {
        let mut units = Self::default();
        // From one to another that far off may be more than a number holds:
        // cut off as it is then, it is a whole number of nanoseconds alone.
        let is_far = |nanos: u64| nanos > i64::MAX.unsigned_abs() / 2;
        let finer = |place: &mut usize, nanos: u64| {
            let fits = |unit: u64| unit == 1 || (nanos.is_multiple_of(unit) && !is_far(nanos));
            while UNITS.get(*place).is_some_and(|unit| !fits(*unit)) {
                *place += 1;
            }
        };
        for moment in digest.cells.iter().flat_map(|(_, cell)| cell.few.iter()) {
            finer(&mut units.times, moment.at.as_nanos().unsigned_abs());
            for value in [moment.duration, moment.wait].into_iter().flatten() {
                finer(&mut units.values, value.get());
            }
        }
        units
    }

    fn time(self) -> i64 {
        UNITS.get(self.times).map_or(1, |unit| *unit as i64)
    }

    fn value(self) -> u64 {
        UNITS.get(self.values).map_or(1, |unit| *unit)
    }
}

/// Writes a digest.
pub(crate) fn encode(digest: &Digest) -> Vec<u8> {
    let start = block_start(digest.block);
    let units = Units::of(digest);
    let mut out = Writer::default();
    out.0.extend_from_slice(MARK);
    out.0.push(VERSION);
    out.len(units.times);
    out.len(units.values);
    out.i64(digest.created.as_nanos());
    out.u64(digest.block);
    out.u64((digest.through + 1).saturating_sub(start));
    out.u64(digest.seen);
    out.u64(digest.malformed);
    out.len(GRAINS.iter().position(|grain| *grain == digest.grain).unwrap_or_default());
    // 0 where no message is known.
    let place = (digest.mark.sequence + 1).saturating_sub(start);
    out.u64(place);
    if place > 0 {
        out.i64(digest.mark.stored_at.as_nanos().wrapping_sub(digest.created.as_nanos()));
    }
    out.len(usize::from(digest.tells_repeats));
    out.len(digest.names.len());
    digest.names.iter().for_each(|name| out.text(name));

    out.len(digest.spans.len());
    let mut before = 0;
    for (minute, span) in &digest.spans {
        out.i64(minute.0 - before);
        out.u64(span.from.saturating_sub(start));
        out.u64(span.to - span.from);
        before = minute.0;
    }
    // The minutes that have cells are those that have spans, and the one apart.
    let mut minutes = digest.spans.iter().map(|(minute, _)| *minute).collect::<Vec<_>>();
    minutes.push(Minute::APART);
    let mut cells = digest.cells.as_slice();
    for minute in minutes {
        let of_minute = cells.partition_point(|(key, _)| key.minute <= minute);
        let (now, rest) = cells.split_at(of_minute);
        cells = rest;
        out.len(now.len());
        now.iter().for_each(|(key, it)| cell(&mut out, units, key, it));
    }

    out.len(digest.errors.len());
    for (error, occurrences) in &digest.errors {
        out.text(&error.fingerprint);
        let flag = |is: bool, flag: u64| if is { flag } else { 0 };
        let is_repeated = !occurrences.repeats.is_empty();
        out.u64(flag(error.error_type.is_some(), HAS_TYPE) | flag(is_repeated, IS_REPEATED));
        error.error_type.iter().for_each(|name| out.text(name));
        self::occurrences(&mut out, occurrences);
    }
    out.u64(digest.unlisted_errors);
    let checksum = crc32c::crc32c(&out.0);
    out.0.extend_from_slice(&checksum.to_le_bytes());
    out.0
}

fn cell(out: &mut Writer, units: Units, key: &Key, cell: &Cell) {
    let outcome = match key.outcome {
        Outcome::Open => 0,
        Outcome::Failure => 1,
        Outcome::Success => 2,
    };
    let has = |few: bool, many: fn(&Values) -> bool| few || cell.many.as_deref().is_some_and(many);
    let has_durations =
        has(cell.few.iter().any(|it| it.duration.is_some()), |it| !it.durations.is_empty());
    let has_waits = has(cell.few.iter().any(|it| it.wait.is_some()), |it| !it.waits.is_empty());
    let flag = |is: bool, flag: u8| if is { flag } else { 0 };
    out.0.push(
        outcome
            | flag(has_durations, HAS_DURATIONS)
            | flag(has_waits, HAS_WAITS)
            | flag(cell.lost > 0, HAS_LOST)
            | flag(cell.repeats > 0, HAS_REPEATS)
            | flag(cell.is_sharp(), IS_SHARP),
    );
    for name in [key.event_type, key.queue, key.job_name] {
        out.u64(match name {
            Name::Absent => 0,
            Name::Dropped => 1,
            Name::At(place) => u64::from(place) + 2,
        });
    }
    out.u64(cell.count);
    if cell.lost > 0 {
        out.u64(cell.lost);
    }
    if cell.repeats > 0 {
        out.u64(cell.repeats);
    }
    let start = if key.minute == Minute::APART { 0 } else { key.minute.start().as_nanos() };
    match &cell.many {
        None => {
            let mut before = start;
            for moment in cell.few.iter() {
                out.i64(moment.at.as_nanos().wrapping_sub(before) / units.time());
                before = moment.at.as_nanos();
                for (has, value) in [(has_durations, moment.duration), (has_waits, moment.wait)] {
                    if has {
                        out.u64(value.map_or(0, |value| value.get() / units.value() + 1));
                    }
                }
            }
        }
        Some(values) => {
            out.i64(cell.first.as_nanos().wrapping_sub(start));
            if cell.count > 1 {
                out.i64(cell.last.as_nanos().wrapping_sub(cell.first.as_nanos()));
            }
            for all in [&values.durations, &values.waits].into_iter().filter(|it| !it.is_empty()) {
                distribution(out, all);
            }
        }
    }
}

fn distribution(out: &mut Writer, all: &Distribution) {
    let (min, max) = all.ends_nanos();
    out.len(all.bins().len());
    out.number(min);
    out.number(max - min);
    out.number(all.sum_nanos());
    let mut before = 0;
    for (bin, count) in all.bins() {
        out.u64(u64::from(bin - before));
        out.u64(*count);
        before = *bin;
    }
}

fn occurrences(out: &mut Writer, all: &Occurrences) {
    let (first, last) = all.times.unwrap_or_default();
    out.i64(first.as_nanos());
    out.i64(last.as_nanos());
    minutes(out, &all.minutes);
    if !all.repeats.is_empty() {
        minutes(out, &all.repeats);
    }
    out.len(all.samples.len());
    for (at, job) in &all.samples {
        out.i64(at.as_nanos());
        out.text(job);
    }
}

fn minutes(out: &mut Writer, counts: &BTreeMap<Minute, u64>) {
    out.len(counts.len());
    let mut before = 0;
    for (minute, count) in counts {
        out.i64(minute.0 - before);
        out.u64(*count);
        before = minute.0;
    }
}
