//! The spool: its folder, its room, how fast its disk keeps a write, and what was left in it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use naq_core::config::{SpoolConfig, SpoolFsync, format_duration};
use naq_events::spool::{SpoolFolder, spool_folders};

use super::Findings;
use crate::output::human;

/// A disk that takes longer to keep a write holds programs up.
const SLOW: Duration = Duration::from_millis(50);

/// So many writes are timed.
const WRITES: usize = 5;

/// Examines the spool of the configuration, if there is one.
pub(super) fn examine(config: &SpoolConfig, findings: &mut Findings) {
    let Some(dir) = &config.dir else { return };
    let folders = match spool_folders(dir) {
        Ok(folders) => folders,
        Err(error) => {
            let (what, hint) = super::told(&error);
            return findings.fail("spool", what, hint);
        }
    };
    left(dir, &folders, findings);
    if !dir.is_dir() {
        return findings.ok("spool disk", "not made yet; the first program that starts makes it");
    }
    disk(dir, config, findings);
    room(dir, config, &folders, findings);
}

/// What is in it.
fn left(dir: &Path, folders: &[SpoolFolder], findings: &mut Findings) {
    let events: u64 = folders.iter().map(|folder| folder.events).sum();
    let orphans = folders.iter().filter(|folder| !folder.is_owned);
    let orphaned: u64 = orphans.map(|folder| folder.events).sum();
    let damaged: u64 = folders.iter().map(|folder| folder.quarantined).sum();
    let mut found = format!("{}: {}", dir.display(), human::counted(events, "event"));
    if orphaned > 0 {
        found.push_str(&format!(", {} left by ended programs", human::count(orphaned)));
    }
    if damaged > 0 {
        found.push_str(&format!(", {} set aside", human::counted(damaged, "damaged record")));
        let advice = "save what is in the folders named `quarantine`, remove it there, and look \
                      after that disk";
        findings.warn("spool", found, advice);
    } else if orphaned > 0 {
        let advice = "the next program that starts sends them, and so does `naq spool replay`";
        findings.warn("spool", found, advice);
    } else {
        findings.ok("spool", found);
    }
}

/// Whether it can be written to, and how long the disk takes to keep that.
fn disk(dir: &Path, config: &SpoolConfig, findings: &mut Findings) {
    let median = match time_writes(dir) {
        Ok(median) => median,
        Err(error) => {
            let advice = "give the user of the program the right to write there, or name another \
                          folder as `events.spool.dir`";
            return findings.fail("spool disk", format!("can't be written to: {error}"), advice);
        }
    };
    let how = match config.fsync {
        SpoolFsync::Interval => format!("interval, {}", format_duration(config.fsync_interval)),
        other => other.to_string(),
    };
    let found = format!("keeps a write in {}; fsync {how}", human::duration(median));
    if median > SLOW && config.fsync == SpoolFsync::Always {
        let advice = "a faster disk, or `events.spool.fsync = \"interval\"`, which may lose the \
                      last interval in a power cut";
        findings.warn("spool disk", found, advice);
    } else {
        findings.ok("spool disk", found);
    }
}

fn time_writes(dir: &Path) -> io::Result<Duration> {
    let path = dir.join(format!(".doctor-{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    // As all else in the folder, for its owner alone.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path)?;
    let mut times = Vec::with_capacity(WRITES);
    let written = (0..WRITES).try_for_each(|_| {
        let begun = Instant::now();
        file.write_all(&[0; 4_096])?;
        file.sync_data()?;
        times.push(begun.elapsed());
        Ok::<_, io::Error>(())
    });
    drop(file);
    let removed = fs::remove_file(&path);
    written?;
    removed?;
    times.sort_unstable();
    Ok(times[WRITES / 2])
}

/// Whether the disk has the room that the spool may take.
fn room(dir: &Path, config: &SpoolConfig, folders: &[SpoolFolder], findings: &mut Findings) {
    let taken: u64 = folders.iter().map(|folder| folder.bytes).sum();
    let most = config.max_bytes.bytes();
    let found = format!("{} taken, of {} for each program", human::size(taken), human::size(most));
    match free_bytes(dir) {
        Some(free) if free < most => {
            let found = format!("{found}; {} free on the disk", human::size(free));
            let advice = "free some, or set `events.spool.max_bytes` to what the disk can hold";
            findings.warn("spool room", found, advice);
        }
        Some(free) => {
            findings.ok("spool room", format!("{found}; {} free on the disk", human::size(free)));
        }
        None => findings.ok("spool room", found),
    }
}

#[cfg(unix)]
fn free_bytes(dir: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

#[cfg(not(unix))]
fn free_bytes(_dir: &Path) -> Option<u64> {
    None
}
