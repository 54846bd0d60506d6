//! Looking at a spool without taking it: nothing is changed, and its owner is not disturbed.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use naq_core::{ErrorKind, Result};

use super::SpoolPosition;
use super::files::{self, Source};
use super::load::{Loaded, first_frame, load};
use super::owner::{bases, folders, is_owned};
use super::quarantine;
use super::record::{self, SpooledEvent};
use super::scan::{Found, Scanner, Unreadable};
use super::segment::Segment;

/// One owner's folder of a spool, as it is seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoolFolder {
    /// Where it is.
    pub path: PathBuf,
    /// Whether a process has it at the moment.
    pub is_owned: bool,
    /// How many segments it has.
    pub segments: u64,
    /// How many events are in it without an outcome, damaged ones included.
    pub events: u64,
    /// How many of them were sent, without that it was told what became of them.
    pub in_doubt: u64,
    /// How many bytes of the disk events and marks take.
    pub bytes: u64,
    /// How many stretches of damage were set aside in its quarantine.
    pub quarantined: u64,
    /// How many bytes they take.
    pub quarantined_bytes: u64,
}

/// What a check of a folder found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SpoolReport {
    /// Events without an outcome that are as they were written.
    pub intact: u64,
    /// Events without an outcome whose record is damaged or missing.
    pub corrupt: u64,
    /// Files whose end was not written to its end; the next owner cuts that
    /// off. Of a folder that has an owner: that is being written.
    pub torn: u64,
    /// Segments that have lost marks.
    pub lost_marks: u64,
}

/// The folders of a spool's owners, in the order of their numbers; none where
/// there is no spool.
///
/// It blocks for as long as reading takes: all marks, and of each segment that
/// was not finished the events.
///
/// # Errors
/// Those of the disk; `Unsupported` for files of another version.
pub fn spool_folders(root: impl AsRef<Path>) -> Result<Vec<SpoolFolder>> {
    folders(root.as_ref())?.into_iter().map(|path| SpoolFolder::open(&path)).collect()
}

impl SpoolFolder {
    /// Looks at one owner's folder.
    ///
    /// # Errors
    /// As [`spool_folders`].
    pub fn open(path: &Path) -> Result<Self> {
        let (quarantined, quarantined_bytes) = quarantine::held(path);
        let mut folder = Self {
            path: path.to_owned(),
            is_owned: is_owned(path),
            segments: 0,
            events: 0,
            in_doubt: 0,
            bytes: 0,
            quarantined,
            quarantined_bytes,
        };
        for base in bases(path, "events")? {
            let Some(Loaded { segment, .. }) = still_there(load(path, base))? else { continue };
            folder.segments += 1;
            folder.events += segment.pending();
            folder.in_doubt += segment.in_doubt();
            folder.bytes += segment.bytes();
        }
        Ok(folder)
    }

    /// Reads all events without an outcome, in order, one segment after the
    /// other; damaged ones are passed over ([`verify`](Self::verify) counts them).
    ///
    /// # Errors
    /// Those of the disk.
    pub fn walk(&self) -> Result<SpoolWalk> {
        let bases = bases(&self.path, "events")?.into();
        Ok(SpoolWalk { folder: self.path.clone(), bases, current: None })
    }

    /// Reads and checks all of it. It blocks for as long as that takes.
    ///
    /// # Errors
    /// Those of the disk; `Unsupported` for files of another version.
    pub fn verify(&self) -> Result<SpoolReport> {
        let mut report = SpoolReport::default();
        for base in bases(&self.path, "events")? {
            let Some(loaded) = still_there(load(&self.path, base))? else { continue };
            report.lost_marks += u64::from(loaded.segment.has_lost_marks);
            match loaded.tail {
                Some(tail) if tail.is_whole || tail.is_unreadable => report.corrupt += 1,
                Some(_) => report.torn += 1,
                None => {}
            }
            let pending = loaded.segment.pending();
            let mut walk = Walk::begin(loaded.segment)?;
            let mut intact = 0;
            while let Some(walk) = &mut walk
                && walk.next()?.is_some()
            {
                intact += 1;
            }
            report.intact += intact;
            report.corrupt += pending.saturating_sub(intact);
        }
        Ok(report)
    }
}

/// The events of a folder, in order.
///
/// It ends with the first error.
#[derive(Debug)]
pub struct SpoolWalk {
    folder: PathBuf,
    bases: VecDeque<u64>,
    current: Option<Walk>,
}

impl SpoolWalk {
    fn step(&mut self) -> Result<Option<SpooledEvent>> {
        loop {
            if let Some(walk) = &mut self.current
                && let Some(event) = walk.next()?
            {
                return Ok(Some(event));
            }
            let Some(base) = self.bases.pop_front() else { return Ok(None) };
            self.current = match still_there(load(&self.folder, base))? {
                Some(loaded) => Walk::begin(loaded.segment)?,
                None => None,
            };
        }
    }
}

impl Iterator for SpoolWalk {
    type Item = Result<SpooledEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.bases.clear();
            self.current = None;
        }
        step.transpose()
    }
}

/// The events of one segment.
#[derive(Debug)]
struct Walk {
    segment: Segment,
    scanner: Scanner<Source>,
}

impl Walk {
    /// At the segment's beginning; `None` where its owner has removed it meanwhile.
    fn begin(segment: Segment) -> Result<Option<Self>> {
        let path = &segment.paths.events;
        let start = first_frame(segment.has_header());
        let end = segment.events_bytes;
        let scanner = files::open(path)
            .and_then(|file| Scanner::new(file, start, end, Unreadable::IsDamage))
            .map_err(|error| files::typed("spool_read", path, error));
        Ok(still_there(scanner)?.map(|scanner| Self { segment, scanner }))
    }

    fn next(&mut self) -> Result<Option<SpooledEvent>> {
        let path = &self.segment.paths.events;
        loop {
            let found = self.scanner.next();
            match found.map_err(|error| files::typed("spool_read", path, error))? {
                None => return Ok(None),
                Some(Found::Damage(_)) => {}
                Some(Found::Frame { number, body, .. }) => {
                    let state = self.segment.state_of(number);
                    if let Some((state, entry)) = state.zip(record::read(body)) {
                        return Ok(Some(SpooledEvent {
                            position: SpoolPosition(number),
                            event: entry.event,
                            accepted_at: entry.accepted_at,
                            state,
                        }));
                    }
                }
            }
        }
    }
}

/// A segment that its owner removes meanwhile has nothing to show.
fn still_there<T>(loaded: Result<T>) -> Result<Option<T>> {
    match loaded {
        Ok(loaded) => Ok(Some(loaded)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
