//! Where damaged bytes are set aside, so that somebody can look at them.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use naq_core::Result;

use super::files;
use super::header::Identity;
use super::scan::Damage;
use super::segment::Paths;

const FOLDER: &str = "quarantine";

/// Makes the place for it, so that a disk without room has it later; else it is
/// made when it is needed.
pub(super) fn prepare(folder: &Path) {
    if let Err(error) = files::create_folder(&folder.join(FOLDER)) {
        tracing::debug!(%error, "the spool's quarantine is made when it is needed");
    }
}

/// Copies damaged bytes into a file of their own, named by segment and offset.
///
/// # Errors
/// Those of the disk; then no file is left.
pub(super) fn set_aside(folder: &Path, identity: Identity, damage: Damage) -> Result<()> {
    let place = folder.join(FOLDER);
    let path = place.join(format!("{}-{}.bin", name(identity), damage.offset));
    let copied = copy(&Paths::of(folder, identity.base).events, damage, &place, &path);
    copied.or_else(|error| {
        // What is there already was set aside before.
        if error.kind() == io::ErrorKind::AlreadyExists {
            return Ok(());
        }
        // Half a copy would pass for a whole one the next time.
        let _ = files::remove(&path);
        Err(files::typed("spool_quarantine", &path, error))
    })
}

fn copy(events: &Path, damage: Damage, place: &Path, path: &Path) -> io::Result<()> {
    files::create_folder(place)?;
    let mut source = File::open(events)?;
    source.seek(SeekFrom::Start(damage.offset))?;
    let mut target = files::create(path)?;
    io::copy(&mut source.take(damage.bytes), &mut target)?;
    files::sync(&target)
}

/// What tells a segment's files from those of another one of the same base.
fn name(Identity { base, nonce, .. }: Identity) -> String {
    format!("{base:020}-{nonce:08x}")
}

/// Sets all of a segment's events aside, which takes no room of the disk; nothing
/// where they are gone.
///
/// # Errors
/// Those of the disk; then the file is where it was.
pub(super) fn move_all(events: &Path, identity: Identity) -> Result<()> {
    let Some(folder) = events.parent() else { return Ok(()) };
    let place = folder.join(FOLDER);
    let path = place.join(format!("{}.events", name(identity)));
    let moved = files::create_folder(&place).and_then(|()| fs::rename(events, &path));
    match moved {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(files::typed("spool_quarantine", &path, error))
        }
        _ => Ok(()),
    }
}

/// How many stretches of damage are set aside in an owner's folder, and how many bytes.
pub(super) fn held(folder: &Path) -> (u64, u64) {
    let Ok(entries) = fs::read_dir(folder.join(FOLDER)) else { return (0, 0) };
    let files = entries.filter_map(|entry| entry.ok()?.metadata().ok());
    files.fold((0, 0), |(count, bytes), file| (count + 1, bytes + file.len()))
}
