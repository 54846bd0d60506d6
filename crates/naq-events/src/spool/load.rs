//! Reading a segment that is there, as it was left: nothing is changed by that.

use std::io::{self, Read};
use std::path::Path;

use naq_core::{Result, Timestamp};

use super::files::{self, Source};
use super::frame::HEAD_BYTES;
use super::header::{FileKind, HEADER_BYTES, Identity};
use super::mark::Mark;
use super::record;
use super::scan::{Damage, Found, Scanner, Unreadable};
use super::segment::{Landmark, Paths, Segment};

const OPEN: &str = "spool_open";

/// A segment as it was found.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) segment: Segment,
    /// What stands behind the last event of a file that was not sealed.
    pub(super) tail: Option<Damage>,
    /// How long the marks are without what stands behind the last of them.
    pub(super) marks_end: Option<u64>,
    /// Whether the marks belong to a segment that is no more.
    pub(super) has_foreign_marks: bool,
}

impl Loaded {
    /// Before this position nothing else may be put: events may stand there.
    pub(super) fn behind(&self) -> u64 {
        let unknown = if self.segment.has_unknown_end { self.tail } else { None };
        self.segment.next + unknown.map_or(0, |tail| tail.bytes / HEAD_BYTES as u64 + 1)
    }
}

/// Reads what is to know of a segment, which may never have got an event.
///
/// The events are read only where no mark tells where they end: of a spool
/// that was filled long ago that is the last segment. What is damaged in the
/// others is found when it is read. What the disk doesn't give is damage.
///
/// # Errors
/// Those of the disk; `Unsupported` for files of another version.
pub(super) fn load(folder: &Path, base: u64) -> Result<Loaded> {
    let paths = Paths::of(folder, base);
    let fail = |error| files::typed(OPEN, &paths.events, error);
    let mut file = files::open(&paths.events).map_err(fail)?;
    let file_bytes = file.metadata().map_err(fail)?.len();
    let header = Identity::of_events(&beginning(&mut file))?;
    let (stored, is_unmarked) = header.unzip();
    let identity = stored.unwrap_or(Identity { base, created: Timestamp::default(), nonce: 0 });
    let marks = Marks::read(&paths.marks, stored)?;

    let mut segment = Segment::closed(paths.clone(), identity, base, file_bytes);
    let sealed = marks.sealed.filter(|(_, bytes)| *bytes <= file_bytes);
    let mut tail = None;
    if let Some((next, bytes)) = sealed {
        segment.next = next;
        segment.events_bytes = bytes;
    } else {
        tail = find_end(&mut segment, file, file_bytes).map_err(fail)?;
        if let Some((next, _)) = marks.sealed {
            // The file got shorter. What is missing is noticed when it is read.
            segment.next = segment.next.max(next);
        }
    }
    segment.trust_the_disk();
    segment.is_sealed = sealed.is_some();
    segment.has_unknown_end = tail.is_some_and(|tail| tail.is_unreadable);
    // A header that can't be read may have said so.
    segment.has_lost_marks = is_unmarked.unwrap_or(true);
    segment.tells_lost_marks = is_unmarked.unwrap_or_default();
    let (marks_end, has_foreign_marks) = (marks.end, marks.is_foreign);
    marks.apply(&mut segment);
    Ok(Loaded { segment, tail, marks_end, has_foreign_marks })
}

/// The header, or what there is of it.
fn beginning(file: &mut Source) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    // One that the disk doesn't give is as good as one that is damaged.
    let _ = file.take(HEADER_BYTES as u64).read_to_end(&mut bytes);
    bytes
}

/// Where frames begin in a file: behind its header, unless that is damaged.
pub(super) fn first_frame(has_header: bool) -> u64 {
    if has_header { HEADER_BYTES as u64 } else { 0 }
}

/// Reads all events, to know where they end.
fn find_end(segment: &mut Segment, file: Source, file_bytes: u64) -> io::Result<Option<Damage>> {
    let start = first_frame(segment.has_header());
    let mut scanner = Scanner::new(file, start, file_bytes, Unreadable::IsDamage)?;
    segment.events_bytes = start.min(file_bytes);
    let mut tail = None;
    loop {
        match scanner.next()? {
            None => break,
            Some(Found::Damage(damage)) => tail = damage.is_last.then_some(damage),
            Some(Found::Frame { offset, number, body }) => {
                if let Some(entry) = record::read(body) {
                    let accepted_at = entry.accepted_at;
                    segment.note(Landmark { number, offset, accepted_at });
                }
                segment.next = segment.next.max(number + 1);
                segment.events_bytes = scanner.offset();
            }
        }
    }
    Ok(tail)
}

/// What the file of marks holds.
#[derive(Debug, Default)]
struct Marks {
    marks: Vec<Mark>,
    bytes: u64,
    sealed: Option<(u64, u64)>,
    end: Option<u64>,
    is_foreign: bool,
    is_damaged: bool,
}

impl Marks {
    fn read(path: &Path, events: Option<Identity>) -> Result<Self> {
        let fail = |error| files::typed(OPEN, path, error);
        let mut file = match files::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(fail(error)),
        };
        let bytes = file.metadata().map_err(fail)?.len();
        let header = Identity::read(&beginning(&mut file), FileKind::Marks)?;
        let mut marks = Self { bytes, ..Self::default() };
        if header.zip(events).is_some_and(|(marks, events)| marks != events) {
            marks.is_foreign = true;
            marks.bytes = 0;
            return Ok(marks);
        }
        // A header that was never whole has nothing behind it.
        marks.is_damaged = header.is_none() && bytes > HEADER_BYTES as u64;
        let start = first_frame(header.is_some());
        let mut scanner = Scanner::new(file, start, bytes, Unreadable::IsDamage).map_err(fail)?;
        while let Some(found) = scanner.next().map_err(fail)? {
            match found {
                Found::Frame { body, .. } => match Mark::read(body) {
                    Some(Mark::Sealed { next, bytes }) => marks.sealed = Some((next, bytes)),
                    Some(mark) => marks.marks.push(mark),
                    None => marks.is_damaged = true,
                },
                Found::Damage(damage) => {
                    // A mark whose writing was cut off was not answered, so
                    // nothing was done on the strength of it.
                    let is_torn = damage.is_last && !damage.is_unreadable;
                    marks.is_damaged |= damage.is_whole || !is_torn;
                    marks.end = is_torn.then_some(damage.offset);
                }
            }
        }
        Ok(marks)
    }

    fn apply(self, segment: &mut Segment) {
        let (base, last) = (segment.identity.base, segment.next.saturating_sub(1));
        segment.marks_bytes = self.end.unwrap_or(self.bytes);
        segment.has_lost_marks |= self.is_damaged;
        for mark in self.marks {
            match mark {
                Mark::Sent { first, last: end, context } => {
                    let (first, end) = (first.max(base), end.min(last));
                    if first <= end {
                        segment.sent.mark(first, end, context);
                    }
                }
                Mark::Settled { positions, .. } => {
                    for (first, end) in positions.within(base, last).pairs() {
                        segment.settled.insert_run(first, end);
                    }
                }
                Mark::Sealed { .. } => {}
            }
        }
        for (first, end) in segment.settled.pairs() {
            segment.sent.forget(first, end);
        }
    }
}
