//! The spool as a plain struct: every step, synchronous, without a thread.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::SpoolFsync;
use naq_core::{Error, ErrorKind, Result, Timestamp};

use super::files;
use super::frame;
use super::header::Identity;
use super::mark::SpoolOutcome;
use super::options::SpoolOptions;
use super::owner::Owner;
use super::positions::{PositionSet, SpoolPosition};
use super::read::Reader;
use super::record::{self, SpoolEntry};
use super::segment::{Landmark, Paths, Segment};
use super::sent::SentContext;
use super::status::SpoolStatus;

/// A segment of which nothing is needed is removed though events could be added, from here on.
const WORTH_REMOVING: u64 = 1 << 20;

/// The spool of one owner.
#[derive(Debug)]
pub(super) struct SpoolLog {
    pub(super) owner: Owner,
    pub(super) options: SpoolOptions,
    /// By the position of the first event; the last one may be added to.
    pub(super) segments: BTreeMap<u64, Segment>,
    /// The position of the next event.
    pub(super) next: u64,
    pub(super) reader: Option<Reader>,
    /// How often in a row the disk did not give what was to be read.
    pub(super) failed_reads: u32,
    pub(super) torn: u64,
    pub(super) corrupt: u64,
    /// Damaged events that the next reading tells of.
    pub(super) untold: PositionSet,
    pub(super) trouble: Option<Error>,
    /// Whether something was written that [`SpoolFsync::Always`] answers only when it is kept.
    is_urgent: bool,
    /// Whether files were made or removed since the disk last kept the folder.
    is_folder_unkept: bool,
    scratch: Vec<u8>,
}

/// What could not be kept.
#[derive(Debug)]
pub(super) struct NotKept {
    pub(super) error: Error,
    /// Events from here on are not in the spool any more.
    pub(super) taken_back: u64,
}

impl SpoolLog {
    pub(super) fn new(owner: Owner, options: SpoolOptions) -> Self {
        Self {
            owner,
            options,
            segments: BTreeMap::new(),
            next: 1,
            reader: None,
            failed_reads: 0,
            torn: 0,
            corrupt: 0,
            untold: PositionSet::new(),
            trouble: None,
            is_urgent: false,
            is_folder_unkept: true,
            scratch: Vec::new(),
        }
    }

    /// Adds events, in this order: all or none. Answers their positions.
    ///
    /// # Errors
    /// `LimitReached` where `max_bytes` or the disk has no room, `TooLarge` for
    /// an event that no spool takes, and those of the disk.
    pub(super) fn append(&mut self, entries: &[SpoolEntry]) -> Result<RangeInclusive<u64>> {
        let first = self.next;
        if entries.is_empty() {
            return Err(Error::invalid("spool_append", "entries", "must not be empty"));
        }
        let mut frames = std::mem::take(&mut self.scratch);
        let added = self.append_frames(entries, &mut frames);
        frames.clear();
        frames.shrink_to(1 << 20);
        self.scratch = frames;
        added?;
        Ok(first..=self.next - 1)
    }

    /// Adds as many of the events as there is room for, the first ones, at least
    /// one. Answers their positions, and why the others were refused.
    ///
    /// # Errors
    /// As [`append`](Self::append), of the first one.
    pub(super) fn append_fitting(
        &mut self,
        entries: &[SpoolEntry],
    ) -> Result<(RangeInclusive<u64>, Option<Error>)> {
        let first = self.next;
        let (mut rest, mut count) = (entries, entries.len());
        loop {
            match self.append(&rest[..count]) {
                Ok(_) => {
                    rest = &rest[count..];
                    count = count.min(rest.len());
                    if rest.is_empty() {
                        return Ok((first..=self.next - 1, None));
                    }
                }
                // Fewer may fit.
                Err(error) if error.kind() == ErrorKind::LimitReached && count > 1 => count /= 2,
                Err(error) if self.next == first => return Err(error),
                Err(error) => return Ok((first..=self.next - 1, Some(error))),
            }
        }
    }

    fn append_frames(&mut self, entries: &[SpoolEntry], frames: &mut Vec<u8>) -> Result<()> {
        let mut landmarks = Vec::with_capacity(entries.len());
        for (number, entry) in (self.next..).zip(entries) {
            let (offset, accepted_at) = (frames.len() as u64, entry.accepted_at);
            landmarks.push(Landmark { number, offset, accepted_at });
            frame::write(frames, number, |out| record::write(entry, out))?;
        }
        let bytes = frames.len() as u64;
        if self.bytes() + bytes > self.options.max_bytes {
            self.remove_emptied();
            if self.bytes() + bytes > self.options.max_bytes {
                return Err(self.is_full());
            }
        }
        let first = entries[0].accepted_at;
        let sent = sent_runs(self.next, entries);
        let mut added = self.write(frames, &landmarks, first, &sent);
        if added.as_ref().is_err_and(|error| error.kind() == ErrorKind::LimitReached)
            && self.remove_emptied()
        {
            // What was removed may be the room that was missing.
            added = self.write(frames, &landmarks, first, &sent);
        }
        self.trouble = added.as_ref().err().cloned();
        added
    }

    fn write(
        &mut self,
        frames: &[u8],
        landmarks: &[Landmark],
        first: Timestamp,
        sent: &[(u64, u64, SentContext)],
    ) -> Result<()> {
        let count = landmarks.len() as u64;
        let last = self.next + count - 1;
        let segment = self.active(frames.len() as u64, first)?;
        let (base, marks_bytes) = (segment.events_bytes, segment.marks_bytes);
        // Before the events: there must be no instant at which what was sent
        // would pass for unsent.
        let marked = sent
            .iter()
            .try_for_each(|&(first, last, context)| segment.write_sent(first, last, context));
        if let Err(error) = marked.and_then(|()| segment.append(frames, count)) {
            segment.take_back_sent(marks_bytes, last);
            return Err(error);
        }
        for landmark in landmarks {
            segment.note(Landmark { offset: base + landmark.offset, ..*landmark });
        }
        self.next += count;
        self.is_urgent = true;
        Ok(())
    }

    fn is_full(&self) -> Error {
        Error::new(ErrorKind::LimitReached, "spool_append", "the spool is full")
            .with("path", self.owner.folder.display().to_string())
            .with("spool.max_bytes", self.options.max_bytes.to_string())
            .with_hint("see why the server doesn't take the events, or raise `spool.max_bytes`")
    }

    /// The segment to add so many bytes to, begun where there is none.
    fn active(&mut self, bytes: u64, now: Timestamp) -> Result<&mut Segment> {
        let most = self.options.segment_bytes;
        let last = self.segments.last_key_value().map(|(&base, _)| base);
        let has_room = |segment: &Segment| {
            segment.next == segment.identity.base || segment.events_bytes + bytes <= most
        };
        let base = match last {
            Some(base) if self.segments[&base].is_open() && has_room(&self.segments[&base]) => base,
            last => {
                if let Some(base) = last {
                    self.seal(base)?;
                }
                let base = self.next;
                let identity = Identity { base, created: now, nonce: fastrand::u32(1..) };
                let paths = Paths::of(&self.owner.folder, base);
                let segment = Segment::create(paths, identity)?;
                self.is_folder_unkept = true;
                self.segments.insert(base, segment);
                base
            }
        };
        self.segments.get_mut(&base).ok_or_else(|| lost(base))
    }

    /// Lets nothing be added to a segment any more, and removes it if nothing of it is needed.
    fn seal(&mut self, base: u64) -> Result<()> {
        let Some(segment) = self.segments.get_mut(&base) else { return Ok(()) };
        if segment.is_open() && self.options.fsync != SpoolFsync::Never {
            segment.sync()?;
        }
        if let Err(error) = segment.seal() {
            // Then its end is found by reading it; that is all.
            self.trouble = Some(error);
        }
        self.remove_if_done(base);
        Ok(())
    }

    /// Notes that events are about to be sent.
    ///
    /// # Errors
    /// Those of the disk; then some of them may not be noted.
    pub(super) fn mark_sent(
        &mut self,
        positions: &PositionSet,
        context: SentContext,
    ) -> Result<()> {
        for (base, within) in self.by_segment(positions) {
            let Some(segment) = self.segments.get_mut(&base) else { continue };
            for (first, last) in within.pairs() {
                segment
                    .mark_sent(first, last, context)
                    .inspect_err(|error| self.trouble = Some(error.clone()))?;
            }
            self.is_urgent = true;
        }
        Ok(())
    }

    /// Notes what became of events. Answers for how many that is news.
    pub(super) fn settle(&mut self, positions: &PositionSet, outcome: SpoolOutcome) -> u64 {
        let mut news = 0;
        for (base, within) in self.by_segment(positions) {
            let Some(segment) = self.segments.get_mut(&base) else { continue };
            let (new, noted) = segment.settle(outcome, &within);
            news += new;
            if let Err(error) = noted {
                self.trouble = Some(error);
            }
            self.remove_if_done(base);
        }
        news
    }

    /// The positions, segment by segment.
    fn by_segment(&self, positions: &PositionSet) -> Vec<(u64, PositionSet)> {
        let Some((first, last)) = positions.ends() else { return Vec::new() };
        let from = self.segments.range(..=first).next_back().map_or(first, |(&base, _)| base);
        let cut = |(&base, segment): (&u64, &Segment)| {
            (base, positions.within(base, segment.next.saturating_sub(1)))
        };
        let touched = self.segments.range(from..=last.max(from)).map(cut);
        touched.filter(|(_, within)| !within.is_empty()).collect()
    }

    pub(super) fn remove_if_done(&mut self, base: u64) {
        let Some(segment) = self.segments.get(&base) else { return };
        let is_worth_it = !segment.is_open() || segment.events_bytes >= WORTH_REMOVING;
        if segment.pending() == 0 && is_worth_it {
            self.remove(base);
        }
    }

    /// Removes the segment that events are added to, if all of it is settled.
    fn remove_emptied(&mut self) -> bool {
        let Some((&base, segment)) = self.segments.last_key_value() else { return false };
        let is_emptied = segment.pending() == 0 && segment.next > segment.identity.base;
        if is_emptied {
            self.remove(base);
        }
        is_emptied
    }

    fn remove(&mut self, base: u64) {
        // A file that is open can't be removed everywhere.
        self.reader.take_if(|reader| reader.base == base);
        let Some(segment) = self.segments.get_mut(&base) else { return };
        match segment.remove() {
            Ok(()) => {
                self.segments.remove(&base);
                self.is_folder_unkept = true;
            }
            // It is tried again when the spool is closed, and when it is opened.
            Err(error) => self.trouble = Some(error),
        }
    }

    /// Makes the disk keep what [`SpoolFsync::Always`] promises; nothing under the other two.
    ///
    /// # Errors
    /// Those of the disk: then the events that are not kept are taken back.
    pub(super) fn commit(&mut self) -> Result<(), NotKept> {
        let is_due = std::mem::take(&mut self.is_urgent);
        if !is_due || self.options.fsync != SpoolFsync::Always {
            return Ok(());
        }
        let Err(error) = self.try_sync() else { return Ok(()) };
        self.trouble = Some(error.clone());
        let mut taken_back = self.next;
        let unkept = self.segments.iter_mut().filter(|(_, segment)| segment.is_unkept());
        for (_, segment) in unkept {
            let (from, _) = segment.take_back();
            taken_back = taken_back.min(from);
        }
        self.reader = None;
        self.next = self.segments.values().map(|segment| segment.next).max().unwrap_or(taken_back);
        Err(NotKept { error, taken_back })
    }

    /// Makes the disk keep all that was written.
    ///
    /// # Errors
    /// Those of the disk. What it could not keep stays in the spool as long as
    /// the machine runs; events that follow go to another file.
    pub(super) fn sync(&mut self) -> Result<()> {
        let synced = self.try_sync();
        self.trouble = synced.as_ref().err().cloned();
        if synced.is_err() {
            self.segments.values_mut().for_each(Segment::trust_the_disk);
        }
        synced
    }

    fn try_sync(&mut self) -> Result<()> {
        for segment in self.segments.values_mut().filter(|segment| segment.is_unkept()) {
            segment.sync()?;
        }
        if std::mem::take(&mut self.is_folder_unkept) {
            let folder = &self.owner.folder;
            files::sync_folder(folder)
                .map_err(|error| files::typed("spool_sync", folder, error))?;
        }
        Ok(())
    }

    /// Whether something was written that the disk may not keep yet.
    pub(super) fn is_unkept(&self) -> bool {
        self.is_folder_unkept || self.segments.values().any(Segment::is_unkept)
    }

    /// Notes what is not noted yet, makes the disk keep it, and removes what is not needed.
    ///
    /// # Errors
    /// The first of the disk's; what can be done is done nevertheless.
    pub(super) fn close(mut self) -> Result<()> {
        let bases: Vec<u64> = self.segments.keys().copied().collect();
        let mut closed = Ok(());
        for base in bases {
            if self.segments.get(&base).is_some_and(|segment| segment.pending() == 0) {
                self.remove(base);
            } else if let Some(segment) = self.segments.get_mut(&base) {
                closed = closed.and(segment.close());
            }
        }
        closed.and(self.sync())
    }

    /// How many events have no outcome.
    pub(super) fn pending(&self) -> u64 {
        self.segments.values().map(Segment::pending).sum()
    }

    /// How much of the disk events and marks take.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.values().map(Segment::bytes).sum()
    }

    /// The first event without an outcome.
    pub(super) fn front(&self) -> Option<u64> {
        let open = self.segments.values().find(|segment| segment.pending() > 0)?;
        Some(open.settled.first_outside(open.identity.base))
    }

    /// How it is doing.
    pub(super) fn status(&self) -> SpoolStatus {
        let oldest = self.front().and_then(|front| {
            let (_, segment) = self.segments.range(..=front).next_back()?;
            let near = segment.landmark(front).map(|landmark| landmark.accepted_at);
            Some(near.unwrap_or(segment.identity.created))
        });
        SpoolStatus {
            folder: self.owner.folder.clone(),
            events: self.pending(),
            bytes: self.bytes(),
            max_bytes: self.options.max_bytes,
            oldest,
            torn: self.torn,
            corrupt: self.corrupt,
            trouble: self.trouble.clone(),
        }
    }

    /// The positions of a run.
    pub(super) fn run(first: u64, last: u64) -> PositionSet {
        PositionSet::run(SpoolPosition(first), SpoolPosition(last))
    }
}

/// The runs of entries that were sent before, the first entry at this position.
fn sent_runs(first: u64, entries: &[SpoolEntry]) -> Vec<(u64, u64, SentContext)> {
    let mut runs: Vec<(u64, u64, SentContext)> = Vec::new();
    for (number, entry) in (first..).zip(entries) {
        let Some(context) = entry.sent else { continue };
        match runs.last_mut() {
            // The earlier time is before both were sent.
            Some((_, last, same)) if *last + 1 == number && same.is_same_place(&context) => {
                *last = number;
            }
            _ => runs.push((number, number, context)),
        }
    }
    runs
}

fn lost(base: u64) -> Error {
    Error::new(ErrorKind::Unexpected, "spool_append", "a segment that was just there is gone")
        .with("segment", base.to_string())
}
