//! Opening a spool: what was left is put in order, and nothing of it is lost.

use std::path::Path;

use naq_core::{Error, ErrorKind, Result};

use super::files;
use super::load::{Loaded, load};
use super::log::SpoolLog;
use super::options::SpoolOptions;
use super::owner::{Owner, bases};
use super::positions::PositionSet;
use super::quarantine;
use super::read::ReadLimit;
use super::segment::{Paths, Segment};
use super::status::Recovered;

const OPEN: &str = "spool_open";

impl SpoolLog {
    /// Takes a folder below `root` and puts what was left in it in order.
    ///
    /// # Errors
    /// Those of the disk; `Unsupported` for files of another version;
    /// `LimitReached` where too many others have a folder below `root`.
    pub(super) fn open(root: &Path, options: SpoolOptions) -> Result<(Self, Recovered)> {
        Self::recover(Owner::below(root)?, options)
    }

    /// Takes this folder, which is below some root.
    ///
    /// # Errors
    /// As [`open`](Self::open), and `Conflict` where another process has it.
    pub(super) fn open_folder(folder: &Path, options: SpoolOptions) -> Result<(Self, Recovered)> {
        let owner = Owner::of(folder)?.ok_or_else(|| {
            Error::new(ErrorKind::Conflict, OPEN, "another program has this part of the spool")
                .with("path", folder.display().to_string())
                .with_hint("it sends these events itself; stop it, or wait until it ends")
        })?;
        Self::recover(owner, options)
    }

    fn recover(owner: Owner, options: SpoolOptions) -> Result<(Self, Recovered)> {
        let mut log = Self::new(owner, options);
        let folder = log.owner.folder.clone();
        let found = bases(&folder, "events")?;
        // Before anything is added: marks that a segment left behind must not
        // meet a new one of the same base.
        for base in bases(&folder, "marks")? {
            if found.binary_search(&base).is_err() {
                let marks = Paths::of(&folder, base).marks;
                files::remove(&marks).map_err(|error| files::typed(OPEN, &marks, error))?;
            }
        }
        let mut lost_marks = 0;
        for base in found {
            let loaded = load(&folder, base)?;
            log.next = log.next.max(loaded.behind());
            if loaded.segment.pending() == 0 {
                log.drop_segment(loaded)?;
                continue;
            }
            let segment = log.put_in_order(loaded)?;
            lost_marks += u64::from(segment.has_lost_marks);
            log.segments.insert(base, segment);
        }
        // Reads the first event, so that its age is known and damage before it noticed.
        if let Err(error) = log.read(super::SpoolPosition::START, ReadLimit::new(1, 1)) {
            log.trouble = Some(error);
        }
        // What is damaged so far is told by this opening.
        log.untold = PositionSet::new();
        let recovered = Recovered {
            folder,
            events: log.pending(),
            in_doubt: log.segments.values().map(Segment::in_doubt).sum(),
            torn: log.torn,
            corrupt: log.corrupt,
            lost_marks,
        };
        Ok((log, recovered))
    }

    /// Cuts off what is no event and no mark at the ends of its files, and seals it.
    fn put_in_order(&mut self, loaded: Loaded) -> Result<Segment> {
        let Loaded { mut segment, tail, marks_end, has_foreign_marks } = loaded;
        if segment.has_lost_marks
            && let Err(error) = segment.tell_lost_marks()
        {
            // What tells it otherwise is not cut off then.
            self.trouble = Some(error);
            return Ok(segment);
        }
        if has_foreign_marks {
            let marks = &segment.paths.marks;
            files::remove(marks).map_err(|error| files::typed(OPEN, marks, error))?;
        } else if let Some(end) = marks_end {
            cut(&segment.paths.marks, end)?;
        }
        if let Some(tail) = tail {
            if let Err(error) = self.count_tail(&segment, tail) {
                // On a full disk it stays where it is, and where it can't be read.
                // Nothing is added to this file any more, and the next time its
                // end is looked at again.
                self.trouble = Some(error);
                if tail.is_unreadable {
                    self.corrupt += 1;
                    segment.has_damage = true;
                }
                return Ok(segment);
            }
            cut(&segment.paths.events, tail.offset)?;
        }
        if let Err(error) = segment.seal() {
            // Without room for the mark its end is found by reading it, the next time again.
            self.trouble = Some(error);
        }
        Ok(segment)
    }

    /// Counts what stood behind the last event of a file, and keeps it if it was once whole.
    fn count_tail(&mut self, segment: &Segment, tail: super::scan::Damage) -> Result<()> {
        if tail.is_unreadable {
            return Err(files::unreadable(&segment.paths.events));
        }
        if tail.is_whole {
            quarantine::set_aside(&self.owner.folder, segment.identity, tail)?;
            self.corrupt += 1;
        } else {
            self.torn += 1;
        }
        Ok(())
    }

    /// Removes a segment of which nothing is needed.
    fn drop_segment(&mut self, Loaded { mut segment, tail, .. }: Loaded) -> Result<()> {
        // What stands behind the last event may have been one.
        if let Some(tail) = tail
            && let Err(error) = self.count_tail(&segment, tail)
        {
            self.corrupt += 1;
            self.trouble = Some(error);
            segment.has_damage = true;
        }
        segment.remove().map_err(|error| error.in_operation(OPEN))
    }
}

fn cut(path: &Path, end: u64) -> Result<()> {
    files::append(path)
        .and_then(|file| files::cut(&file, end))
        .map_err(|error| files::typed(OPEN, path, error))
}
