//! A segment: a file of events, a file of marks, and what is known of both in memory.

use std::fs::File;
use std::path::{Path, PathBuf};

use naq_core::{Result, Timestamp};

use super::files;
use super::header::{FileKind, HEADER_BYTES, Identity};
use super::mark::{Mark, SpoolOutcome};
use super::positions::PositionSet;
use super::quarantine;
use super::record::SpoolState;
use super::sent::{SentContext, SentRuns};

/// How far apart the places are that are remembered to begin reading from, in bytes.
const LANDMARK_BYTES: u64 = 256 << 10;

/// A place in the file of events at which a frame begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Landmark {
    pub(super) number: u64,
    pub(super) offset: u64,
    pub(super) accepted_at: Timestamp,
}

/// The two files of a segment.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub(super) events: PathBuf,
    pub(super) marks: PathBuf,
}

impl Paths {
    /// Of the segment whose first event has this position.
    pub(super) fn of(folder: &Path, base: u64) -> Self {
        Self {
            events: folder.join(format!("{base:020}.events")),
            marks: folder.join(format!("{base:020}.marks")),
        }
    }
}

/// A segment.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) paths: Paths,
    pub(super) identity: Identity,
    /// The position behind its last event.
    pub(super) next: u64,
    /// How much of the file of events is its own: the rest is what a failed write left.
    pub(super) events_bytes: u64,
    pub(super) marks_bytes: u64,
    pub(super) settled: PositionSet,
    pub(super) sent: SentRuns,
    /// Whether marks were lost before it was loaded: then each event may have been sent.
    pub(super) has_lost_marks: bool,
    /// Whether its header says that marks are missing.
    pub(super) tells_lost_marks: bool,
    /// Whether damage is in it that could not be set aside.
    pub(super) has_damage: bool,
    /// Whether events may stand behind its end, because the disk doesn't give what is there.
    pub(super) has_unknown_end: bool,
    pub(super) landmarks: Vec<Landmark>,
    /// Settled, and not noted on the disk yet.
    owed: Vec<(SpoolOutcome, PositionSet)>,
    events: Option<File>,
    marks: Option<File>,
    /// What of the events the disk is known to keep: the position behind, and the bytes.
    kept: (u64, u64),
    has_unkept_marks: bool,
    /// Whether the disk failed to keep events of it that are still there.
    has_failed_sync: bool,
    /// Whether the marks say where it ends.
    pub(super) is_sealed: bool,
}

impl Segment {
    /// What is known of a segment that nothing is added to.
    pub(super) fn closed(paths: Paths, identity: Identity, next: u64, events_bytes: u64) -> Self {
        Self {
            paths,
            identity,
            next,
            events_bytes,
            marks_bytes: 0,
            settled: PositionSet::new(),
            sent: SentRuns::default(),
            has_lost_marks: false,
            tells_lost_marks: false,
            has_damage: false,
            has_unknown_end: false,
            landmarks: Vec::new(),
            owed: Vec::new(),
            events: None,
            marks: None,
            kept: (next, events_bytes),
            has_unkept_marks: false,
            has_failed_sync: false,
            is_sealed: false,
        }
    }

    /// Begins a segment.
    ///
    /// # Errors
    /// Those of the disk; then no file is left.
    pub(super) fn create(paths: Paths, identity: Identity) -> Result<Self> {
        let header = identity.header(FileKind::Events);
        let begun = files::create(&paths.events).and_then(|mut file| {
            files::extend(&mut file, 0, &header).map_err(|torn| torn.error)?;
            Ok(file)
        });
        match begun {
            Ok(file) => {
                let bytes = HEADER_BYTES as u64;
                let mut segment = Self::closed(paths, identity, identity.base, bytes);
                segment.events = Some(file);
                segment.kept = (identity.base, 0);
                Ok(segment)
            }
            Err(error) => {
                // An empty file holds nothing that could be lost; the next open removes it.
                let _ = files::remove(&paths.events);
                Err(files::typed("spool_append", &paths.events, error))
            }
        }
    }

    /// Adds so many frames, numbered from [`next`](Self::next).
    ///
    /// # Errors
    /// Those of the disk. Nothing was added then; where what was written of it
    /// could not be cut off again, nothing can be added any more either.
    pub(super) fn append(&mut self, frames: &[u8], count: u64) -> Result<()> {
        let Some(file) = &mut self.events else {
            let gone = std::io::ErrorKind::NotFound.into();
            return Err(files::typed("spool_append", &self.paths.events, gone));
        };
        files::extend(file, self.events_bytes, frames).map_err(|torn| {
            if !torn.is_cut {
                self.events = None;
            }
            files::typed("spool_append", &self.paths.events, torn.error)
        })?;
        self.next += count;
        self.events_bytes += frames.len() as u64;
        Ok(())
    }

    /// From now on events can't be added.
    pub(super) fn add_no_more(&mut self) {
        self.events = None;
    }

    /// Whether events can be added.
    pub(super) const fn is_open(&self) -> bool {
        self.events.is_some()
    }

    /// Remembers a place, where it is far enough from the one before.
    pub(super) fn note(&mut self, landmark: Landmark) {
        let far = |last: &Landmark| landmark.offset >= last.offset + LANDMARK_BYTES;
        if self.landmarks.last().is_none_or(far) {
            self.landmarks.push(landmark);
        }
    }

    /// The nearest known place before this position.
    pub(super) fn landmark(&self, position: u64) -> Option<Landmark> {
        let behind = self.landmarks.partition_point(|landmark| landmark.number <= position);
        self.landmarks[..behind].last().copied()
    }

    /// Whether its file of events begins with a header that could be read.
    pub(super) fn has_header(&self) -> bool {
        self.identity.nonce != 0
    }

    /// How many events have no outcome.
    pub(super) const fn pending(&self) -> u64 {
        self.next - self.identity.base - self.settled.len()
    }

    /// How many of them may have arrived.
    pub(super) fn in_doubt(&self) -> u64 {
        if self.has_lost_marks { self.pending() } else { self.sent.len() }
    }

    /// How much of the disk it takes.
    pub(super) const fn bytes(&self) -> u64 {
        self.events_bytes + self.marks_bytes
    }

    /// What is known of this event; `None` where it has its outcome.
    pub(super) fn state_of(&self, position: u64) -> Option<SpoolState> {
        if self.settled.first_outside(position) != position {
            return None;
        }
        Some(match self.sent.get(position) {
            Some(context) => SpoolState::InDoubt(context),
            None if self.has_lost_marks => {
                SpoolState::InDoubt(SentContext::lost(self.identity.created))
            }
            None => SpoolState::Unsent,
        })
    }

    /// Notes that a run of its events is about to be sent.
    ///
    /// Where there is no room for that, the segment says from now on that marks are
    /// missing, which takes none: whoever opens it takes each of its events for sent.
    ///
    /// # Errors
    /// Those of the disk; then neither is noted.
    pub(super) fn mark_sent(&mut self, first: u64, last: u64, context: SentContext) -> Result<()> {
        if let Err(error) = self.write_sent(first, last, context) {
            self.tell_lost_marks()?;
            tracing::warn!(
                %error,
                segment = self.identity.base,
                "the spool can't note what is sent: after a crash these events count as sent",
            );
            for (first, last, context) in self.sendings(first, last, context) {
                self.sent.mark(first, last, context);
            }
        }
        Ok(())
    }

    /// Notes that a run was sent, or is about to be.
    ///
    /// # Errors
    /// Those of the disk; then it is not noted, or a part of it.
    pub(super) fn write_sent(&mut self, first: u64, last: u64, context: SentContext) -> Result<()> {
        for (first, last, context) in self.sendings(first, last, context) {
            if !self.sent.knows(first, last, context) {
                self.write_mark(&Mark::Sent { first, last, context })?;
                self.sent.mark(first, last, context);
            }
        }
        Ok(())
    }

    /// What is to be noted of a sending: of an event whose mark may be lost, before
    /// that, that nobody knows where it was sent to before.
    fn sendings(
        &self,
        first: u64,
        last: u64,
        context: SentContext,
    ) -> Vec<(u64, u64, SentContext)> {
        let lost = SentContext::lost(self.identity.created);
        let gaps = if self.has_lost_marks { self.sent.gaps(first, last) } else { Vec::new() };
        let before = gaps.into_iter().map(|(first, last)| (first, last, lost));
        before.chain([(first, last, context)]).collect()
    }

    /// Takes back what was noted, behind this length of the marks, of events
    /// up to `last` that were not added then.
    pub(super) fn take_back_sent(&mut self, marks_bytes: u64, last: u64) {
        if self.next <= last {
            self.sent.forget(self.next, last);
        }
        if let Some(file) = &self.marks
            && marks_bytes < self.marks_bytes
            && files::cut(file, marks_bytes).is_ok()
        {
            // Where it can't be cut off, others at these positions count as sent: no harm.
            self.marks_bytes = marks_bytes;
        }
    }

    /// Notes in the header that marks are missing, for whoever opens the segment.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn tell_lost_marks(&mut self) -> Result<()> {
        // Without a header it is taken for that anyway.
        if !self.tells_lost_marks && self.has_header() {
            let header = self.identity.header(FileKind::UnmarkedEvents);
            files::overwrite(&self.paths.events, &header)
                .map_err(|error| files::typed("spool_mark", &self.paths.events, error))?;
            self.tells_lost_marks = true;
        }
        Ok(())
    }

    /// Notes what became of its events. Answers for how many that is news.
    ///
    /// # Errors
    /// Those of the disk. It holds in memory nevertheless and is written with
    /// the next mark: a full disk must not keep a segment from being removed.
    pub(super) fn settle(
        &mut self,
        outcome: SpoolOutcome,
        positions: &PositionSet,
    ) -> (u64, Result<()>) {
        let mut new = 0;
        for (first, last) in positions.pairs() {
            new += self.settled.insert_run(first, last);
            self.sent.forget(first, last);
        }
        if new == 0 {
            return (0, Ok(()));
        }
        match self.owed.iter_mut().find(|(owed, _)| *owed == outcome) {
            Some((_, owed)) => {
                for (first, last) in positions.pairs() {
                    owed.insert_run(first, last);
                }
            }
            None => self.owed.push((outcome, positions.clone())),
        }
        // Of a segment that is about to go nobody reads the marks again.
        let written = if self.pending() == 0 && !self.is_open() { Ok(()) } else { self.pay() };
        (new, written)
    }

    /// Gives up events of which nothing could be set aside: that isn't noted, so
    /// that whoever opens the segment tries again.
    pub(super) fn pass_over(&mut self, positions: &PositionSet) {
        self.has_damage = true;
        for (first, last) in positions.pairs() {
            self.settled.insert_run(first, last);
        }
    }

    /// Notes what is not noted yet, makes the disk keep it, and adds nothing any more.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn close(&mut self) -> Result<()> {
        let paid = self.pay();
        if !self.is_open() {
            return paid;
        }
        paid.and(self.sync()).and(self.seal())
    }

    /// Writes the outcomes that are not noted on the disk yet.
    pub(super) fn pay(&mut self) -> Result<()> {
        while let Some((outcome, positions)) = self.owed.last().cloned() {
            self.write_mark(&Mark::Settled { outcome, positions })?;
            self.owed.pop();
        }
        Ok(())
    }

    /// Lets nothing be added any more, and notes where it ends, if that is known.
    ///
    /// # Errors
    /// Those of the disk; then its end is found by reading it, the next time.
    pub(super) fn seal(&mut self) -> Result<()> {
        self.events = None;
        // What the disk failed to keep may be taken back.
        if !self.is_sealed && !self.has_unknown_end && !self.has_failed_sync {
            self.write_mark(&Mark::Sealed { next: self.next, bytes: self.events_bytes })?;
            self.is_sealed = true;
        }
        Ok(())
    }

    fn write_mark(&mut self, mark: &Mark) -> Result<()> {
        let typed = |error| files::typed("spool_mark", &self.paths.marks, error);
        let mut bytes = Vec::new();
        if self.marks_bytes == 0 {
            bytes = self.identity.header(FileKind::Marks);
        }
        mark.write(&mut bytes)?;
        let file = match &mut self.marks {
            Some(file) => file,
            none => none.insert(files::append(&self.paths.marks).map_err(typed)?),
        };
        match files::extend(file, self.marks_bytes, &bytes) {
            Ok(()) => {
                self.marks_bytes += bytes.len() as u64;
                self.has_unkept_marks = true;
                Ok(())
            }
            Err(torn) => {
                if !torn.is_cut
                    && let Ok(metadata) = file.metadata()
                {
                    self.marks_bytes = metadata.len();
                }
                Err(typed(torn.error))
            }
        }
    }

    /// Whether the disk may not keep all of it yet.
    pub(super) fn is_unkept(&self) -> bool {
        self.has_unkept_marks || self.kept.1 < self.events_bytes
    }

    /// Makes the disk keep it.
    ///
    /// # Errors
    /// Those of the disk. After them nothing more is added: a disk that failed
    /// to keep a file may have forgotten what it failed to keep, and a second
    /// try that goes well says nothing. So it goes on failing until the events
    /// are taken back, or the disk is trusted nevertheless.
    pub(super) fn sync(&mut self) -> Result<()> {
        // What was sent before it was spooled must not be kept without that being known.
        if self.has_unkept_marks
            && let Some(file) = &self.marks
        {
            let synced = files::sync(file);
            self.has_unkept_marks = false;
            if let Err(error) = synced {
                self.events = None;
                let error = files::typed("spool_sync", &self.paths.marks, error);
                return self.tell_lost_marks().and(Err(error));
            }
        }
        if self.kept.1 < self.events_bytes {
            let synced = match &self.events {
                _ if self.has_failed_sync => Err(std::io::Error::other("an earlier sync failed")),
                Some(file) => files::sync(file),
                None => files::append(&self.paths.events).and_then(|file| files::sync(&file)),
            };
            if let Err(error) = synced {
                self.has_failed_sync = true;
                self.events = None;
                return Err(files::typed("spool_sync", &self.paths.events, error));
            }
            self.trust_the_disk();
        }
        Ok(())
    }

    /// Takes the disk to keep all events of it from here on.
    pub(super) const fn trust_the_disk(&mut self) {
        self.kept = (self.next, self.events_bytes);
        self.has_failed_sync = false;
    }

    /// Takes back the events that the disk does not keep. Answers the first of
    /// them, and for how many events without an outcome that is so.
    pub(super) fn take_back(&mut self) -> (u64, u64) {
        let before = self.pending();
        self.has_failed_sync = false;
        let (next, bytes) = self.kept;
        if bytes >= self.events_bytes {
            return (self.next, 0);
        }
        self.sent.forget(next, self.next.saturating_sub(1));
        let bytes = bytes.max(HEADER_BYTES as u64);
        let is_cut =
            files::append(&self.paths.events).and_then(|file| files::cut(&file, bytes)).is_ok();
        if is_cut {
            self.next = next;
            self.events_bytes = bytes;
            self.settled = self.settled.within(self.identity.base, next.saturating_sub(1));
            self.landmarks.retain(|landmark| landmark.number < next);
        } else {
            // They stay in the file, and are not to come out of it.
            self.settled.insert_run(next, self.next.saturating_sub(1));
            let failed = PositionSet::run(
                super::SpoolPosition(next),
                super::SpoolPosition(self.next.saturating_sub(1)),
            );
            self.owed.push((SpoolOutcome::Failed, failed));
        }
        (next, before - self.pending())
    }

    /// Removes its files: the events first, because marks without events do no
    /// harm, and events without marks would be sent again. Where there was no
    /// room to set damage aside that is in it, all of its events are.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn remove(&mut self) -> Result<()> {
        self.events = None;
        self.marks = None;
        if self.has_damage {
            quarantine::move_all(&self.paths.events, self.identity)?;
        }
        files::remove(&self.paths.events)
            .and_then(|()| files::remove(&self.paths.marks))
            .map_err(|error| files::typed("spool_remove", &self.paths.events, error))
    }
}
