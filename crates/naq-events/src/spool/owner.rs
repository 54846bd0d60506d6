//! Whose folder it is: one process at a time writes to a spool.
//!
//! Below the folder that the user names, each owner has one of its own, `1`,
//! `2` and so on, held by the lock of a file in it. The system releases the
//! lock when the process ends, however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use naq_core::{Error, ErrorKind, Result};

use super::{files, quarantine};

const OPEN: &str = "spool_open";
const LOCK_FILE: &str = "lock";

/// How many processes can have a spool below one folder at the same time.
const MAX_OWNERS: u32 = 1_000;

/// How often a folder with events in it is tried, and the wait in between.
const LOOKS: u32 = 3;
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A folder that belongs to this process as long as this exists.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) folder: PathBuf,
    /// Held, not read: closing it releases the lock.
    _lock: File,
}

impl Owner {
    /// Takes a folder below `root`: the first free one in which events were
    /// left, so that somebody sends them, else the first free one.
    ///
    /// # Errors
    /// Those of the disk; `LimitReached` where a thousand others have one.
    pub(super) fn below(root: &Path) -> Result<Self> {
        create(root)?;
        // Whoever just looks at a folder has its lock for a moment too.
        for look in 1..=LOOKS {
            let mut is_held = false;
            for folder in folders(root)?.iter().filter(|folder| has_events(folder)) {
                match Self::of(folder)? {
                    Some(owner) => return Ok(owner),
                    None => is_held = true,
                }
            }
            if !is_held {
                break;
            }
            if look < LOOKS {
                thread::sleep(LOOK_AGAIN);
            }
        }
        for number in 1..=MAX_OWNERS {
            if let Some(owner) = Self::of(&root.join(number.to_string()))? {
                return Ok(owner);
            }
        }
        Err(Error::new(ErrorKind::LimitReached, OPEN, "too many programs share the spool's folder")
            .with("path", root.display().to_string())
            .with_hint("open the spool of some of them in another folder"))
    }

    /// Takes this folder, unless somebody has it.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn of(folder: &Path) -> Result<Option<Self>> {
        let fail = |error| files::typed(OPEN, folder, error);
        create(folder)?;
        let mut lock = files::append(&folder.join(LOCK_FILE)).map_err(fail)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(fail(error)),
        }
        // For people alone, so a full disk is no reason to do without the spool.
        let _ = lock.set_len(0).and_then(|()| writeln!(lock, "pid {}", std::process::id()));
        quarantine::prepare(folder);
        Ok(Some(Self { folder: folder.to_owned(), _lock: lock }))
    }
}

/// Makes a folder and those above it where they are not there yet, and makes the
/// disk keep them: what is in a folder is lost with it.
fn create(folder: &Path) -> Result<()> {
    let fail = |error| files::typed(OPEN, folder, error);
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
        .collect();
    files::create_folder(folder).map_err(fail)?;
    for made in missing {
        let above = made.parent().filter(|above| !above.as_os_str().is_empty());
        match files::sync_folder(above.unwrap_or(Path::new("."))) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                tracing::warn!(folder = %made.display(), "a power cut may lose this new folder");
            }
            synced => synced.map_err(fail)?,
        }
    }
    Ok(())
}

/// Whether somebody has this folder, as far as that can be told.
pub(super) fn is_owned(folder: &Path) -> bool {
    // A lock that is shared keeps nobody out for longer than this call.
    let lock = OpenOptions::new().read(true).open(folder.join(LOCK_FILE));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The folders of owners below `root`, by their number; none where there is no root.
///
/// # Errors
/// Those of the disk.
pub(super) fn folders(root: &Path) -> Result<Vec<PathBuf>> {
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let mut folders: Vec<(u32, PathBuf)> = list(root)?
        .into_iter()
        .filter(|path| path.is_dir())
        .filter_map(|path| Some((number(&path)?, path)))
        .collect();
    folders.sort();
    Ok(folders.into_iter().map(|(_, path)| path).collect())
}

/// The bases of the segments in an owner's folder, in order.
///
/// # Errors
/// Those of the disk.
pub(super) fn bases(folder: &Path, extension: &str) -> Result<Vec<u64>> {
    let mut bases: Vec<u64> = list(folder)?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .filter_map(|path| path.file_stem()?.to_str()?.parse().ok())
        .collect();
    bases.sort_unstable();
    Ok(bases)
}

/// Whether events may be left in a folder.
pub(super) fn has_events(folder: &Path) -> bool {
    bases(folder, "events").is_ok_and(|bases| !bases.is_empty())
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(files::typed(OPEN, folder, error)),
    };
    entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()
        .map_err(|error| files::typed(OPEN, folder, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_owner_has_a_folder_of_its_own_and_gives_it_back() {
        let root = tempfile::tempdir().unwrap();
        let first = Owner::below(root.path()).unwrap();
        let second = Owner::below(root.path()).unwrap();
        assert!(first.folder.ends_with("1") && second.folder.ends_with("2"));
        assert!(is_owned(&first.folder) && is_owned(&second.folder));
        let freed = first.folder.clone();
        drop(first);
        assert!(!is_owned(&freed));
        assert_eq!(Owner::below(root.path()).unwrap().folder, freed);
    }

    #[test]
    fn a_free_folder_with_events_in_it_goes_first() {
        let root = tempfile::tempdir().unwrap();
        let third = root.path().join("3");
        drop(Owner::of(&third).unwrap());
        fs::write(third.join("00000000000000000001.events"), "x").unwrap();
        assert_eq!(Owner::below(root.path()).unwrap().folder, third);
    }

    #[test]
    fn whoever_looks_at_a_folder_keeps_nobody_from_taking_it_over() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("1");
        drop(Owner::of(&folder).unwrap());
        fs::write(folder.join("00000000000000000001.events"), "x").unwrap();
        let looks = OpenOptions::new().read(true).open(folder.join(LOCK_FILE)).unwrap();
        looks.try_lock_shared().unwrap();
        thread::scope(|scope| {
            let taken = scope.spawn(|| Owner::below(root.path()).unwrap().folder);
            // It has looked once, or will have: both ways it gets the folder.
            thread::sleep(LOOK_AGAIN / 2);
            drop(looks);
            assert_eq!(taken.join().unwrap(), folder);
        });
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_what_is_in_it() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let owner = Owner::below(&root.path().join("new/spool")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&root.path().join("new")), 0o700);
        assert_eq!(mode(&owner.folder), 0o700);
        assert_eq!(mode(&owner.folder.join(LOCK_FILE)), 0o600);
    }
}
