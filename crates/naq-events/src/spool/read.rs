//! Reading events out of the spool, a bounded chunk at a time.

use std::ops::RangeInclusive;

use naq_core::{Error, Result};

use super::files::{self, Source};
use super::load::first_frame;
use super::log::SpoolLog;
use super::mark::SpoolOutcome;
use super::positions::{PositionSet, SpoolPosition};
use super::quarantine;
use super::record::{self, SpooledEvent};
use super::scan::{Damage, Found, Scanner, Unreadable};
use super::segment::Landmark;

/// What can't be read so often in a row is passed over.
pub(super) const TRIES: u32 = 5;

/// How much is read from the spool at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadLimit {
    /// So many events at most.
    pub events: usize,
    /// Reading stops with the event whose payload reaches this, in bytes.
    pub bytes: usize,
}

impl Default for ReadLimit {
    /// 1,000 events, 1 MiB.
    fn default() -> Self {
        Self { events: 1_000, bytes: 1 << 20 }
    }
}

impl ReadLimit {
    /// So many events and bytes.
    #[must_use]
    pub const fn new(events: usize, bytes: usize) -> Self {
        Self { events, bytes }
    }
}

/// Some events out of the spool.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SpoolChunk {
    /// Those without an outcome, in the order in which they were put in.
    pub events: Vec<SpooledEvent>,
    /// Where to read on.
    pub next: SpoolPosition,
    /// Damaged ones that were passed over since the reading before: they ended by that.
    pub corrupt: PositionSet,
}

/// Where in a segment's file the latest reading stopped.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) base: u64,
    scanner: Scanner<Source>,
    /// The position of the next frame, if nothing is missing.
    expected: u64,
    /// Damage before that frame; how many events it held, the frame will tell.
    damage: Option<Damage>,
}

impl SpoolLog {
    /// The next events without an outcome from this position on.
    ///
    /// What is damaged is set aside, counted and passed over; so is what the disk
    /// doesn't give, once it has failed [`TRIES`] times in a row.
    ///
    /// # Errors
    /// Those of the disk, where nothing is read before it.
    pub(super) fn read(&mut self, from: SpoolPosition, limit: ReadLimit) -> Result<SpoolChunk> {
        let mut chunk = SpoolChunk { events: Vec::new(), next: from, corrupt: PositionSet::new() };
        let mut room = limit;
        while room.events > 0 && room.bytes > 0 {
            let from = chunk.next.get();
            let ahead = self.segments.values().find(|segment| segment.next > from);
            let Some(segment) = ahead else { break };
            let (base, next) = (segment.identity.base, segment.next);
            let wanted = segment.settled.first_outside(from.max(base));
            if wanted >= next {
                chunk.next = SpoolPosition(next);
                continue;
            }
            match self.read_on(base, wanted, &mut room, &mut chunk) {
                Ok(()) => self.failed_reads = 0,
                Err(error) => {
                    self.failed_reads += 1;
                    if self.failed_reads > TRIES {
                        // It can't even be opened: nor could be what were added to it.
                        if let Some(segment) = self.segments.get_mut(&base) {
                            segment.add_no_more();
                        }
                        self.pass_over(base, wanted..=next - 1, error);
                        chunk.next = SpoolPosition(next);
                    } else if chunk.events.is_empty() {
                        return Err(error);
                    } else {
                        // The next reading begins where the disk failed.
                        break;
                    }
                }
            }
        }
        chunk.corrupt = std::mem::take(&mut self.untold);
        Ok(chunk)
    }

    /// Reads on in a segment; after an error it begins anew before whatever it
    /// could not pass.
    fn read_on(
        &mut self,
        base: u64,
        wanted: u64,
        room: &mut ReadLimit,
        chunk: &mut SpoolChunk,
    ) -> Result<()> {
        let mut reader = self.stand_at(base, wanted)?;
        self.read_segment(&mut reader, wanted, room, chunk)?;
        if self.segments.contains_key(&base) {
            self.reader = Some(reader);
        }
        Ok(())
    }

    /// A reader that stands at or before `wanted`.
    fn stand_at(&mut self, base: u64, wanted: u64) -> Result<Reader> {
        let segment = &self.segments[&base];
        let start = segment.landmark(wanted).map_or_else(
            || (base, first_frame(segment.has_header())),
            |landmark| (landmark.number, landmark.offset),
        );
        let end = segment.events_bytes;
        if let Some(mut reader) = self.reader.take()
            && reader.base == base
            && (start.0..=wanted).contains(&reader.expected)
        {
            reader.scanner.extend_to(end);
            return Ok(reader);
        }
        let path = &segment.paths.events;
        let unreadable = match self.failed_reads {
            TRIES.. => Unreadable::IsDamage,
            _ => Unreadable::Fails,
        };
        let scanner =
            files::open(path).and_then(|file| Scanner::new(file, start.1, end, unreadable));
        let scanner = scanner.map_err(|error| files::typed("spool_read", path, error))?;
        Ok(Reader { base, scanner, expected: start.0, damage: None })
    }

    fn read_segment(
        &mut self,
        reader: &mut Reader,
        wanted: u64,
        room: &mut ReadLimit,
        chunk: &mut SpoolChunk,
    ) -> Result<()> {
        while room.events > 0 && room.bytes > 0 {
            let Some(segment) = self.segments.get_mut(&reader.base) else { return Ok(()) };
            let found = reader.scanner.next();
            let found =
                found.map_err(|error| files::typed("spool_read", &segment.paths.events, error))?;
            match found {
                Some(Found::Damage(damage)) => reader.damage = Some(damage),
                Some(Found::Frame { offset, number, body }) => {
                    let bytes = body.len() as u64;
                    let entry = record::read(body);
                    // What comes before is in somebody's hand, or has its outcome.
                    let missing = reader.expected.max(wanted)..=number.saturating_sub(1);
                    self.set_aside(reader, missing);
                    reader.expected = number + 1;
                    let Some(entry) = entry else {
                        // A body that its checksum fits and that can't be read: as good as damaged.
                        let bytes = bytes + super::frame::HEAD_BYTES as u64;
                        reader.damage = Some(Damage {
                            offset,
                            bytes,
                            is_whole: true,
                            is_last: false,
                            is_unreadable: false,
                        });
                        self.set_aside(reader, number.max(wanted)..=number);
                        continue;
                    };
                    let Some(segment) = self.segments.get_mut(&reader.base) else {
                        return Ok(());
                    };
                    let accepted_at = entry.accepted_at;
                    segment.note(Landmark { number, offset, accepted_at });
                    chunk.next = SpoolPosition(number + 1);
                    let state = segment.state_of(number).filter(|_| number >= wanted);
                    if let Some(state) = state {
                        room.events -= 1;
                        room.bytes = room.bytes.saturating_sub(entry.event.payload().len());
                        chunk.events.push(SpooledEvent {
                            position: SpoolPosition(number),
                            event: entry.event,
                            accepted_at,
                            state,
                        });
                    }
                }
                None => {
                    let next = segment.next;
                    let missing = reader.expected.max(wanted)..=next.saturating_sub(1);
                    chunk.next = SpoolPosition(next);
                    self.set_aside(reader, missing);
                    reader.expected = next;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Gives up the events that should stand here, and keeps the bytes that stand in their place.
    ///
    /// Where the disk has no room for them, or doesn't give them, they stay in the
    /// segment, which is set aside whole once the rest of it has its outcome.
    fn set_aside(&mut self, reader: &mut Reader, missing: RangeInclusive<u64>) {
        let positions = Self::run(*missing.start(), *missing.end());
        let Some(segment) = self.segments.get(&reader.base) else { return };
        let is_news = segment.settled.first_outside(*missing.start()) <= *missing.end();
        let damage = reader.damage.take();
        if positions.is_empty() || !is_news {
            return;
        }
        let (folder, identity) = (&self.owner.folder, segment.identity);
        let kept = match damage {
            Some(damage) if damage.is_unreadable => Err(files::unreadable(&segment.paths.events)),
            Some(damage) => quarantine::set_aside(folder, identity, damage),
            None => Ok(()),
        };
        let (folder, first, last) = (folder.display(), missing.start(), missing.end());
        match kept {
            Ok(()) => {
                tracing::error!(%folder, first, last, "damaged events in the spool were set aside");
                self.note_corrupt(reader.base, &positions);
                self.settle(&positions, SpoolOutcome::Corrupt);
            }
            Err(error) => self.pass_over(reader.base, missing, error),
        }
    }

    /// Counts those of these events that have no outcome yet.
    fn note_corrupt(&mut self, base: u64, positions: &PositionSet) {
        let Some(segment) = self.segments.get(&base) else { return };
        for (mut first, last) in positions.pairs() {
            while first <= last {
                let open = segment.settled.first_outside(first);
                if open > last {
                    break;
                }
                self.corrupt += self.untold.insert_run(open, open);
                first = open + 1;
            }
        }
    }

    /// Gives up events whose bytes can't be set aside by themselves: what stands
    /// behind them goes on, or no room would ever come back.
    fn pass_over(&mut self, base: u64, missing: RangeInclusive<u64>, error: Error) {
        let (folder, first, last) = (self.owner.folder.display(), missing.start(), missing.end());
        tracing::error!(%folder, first, last, %error, "damaged events in the spool can't be set aside yet");
        let positions = Self::run(*first, *last);
        self.note_corrupt(base, &positions);
        if let Some(segment) = self.segments.get_mut(&base) {
            segment.pass_over(&positions);
        }
        self.trouble = Some(error);
        self.remove_if_done(base);
    }
}
