//! Files become jobs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use naq_core::Result;
use naq_core::events::{Event, EventSink, EventType, JobLogger};
use tokio::sync::mpsc;
use tokio::time::Instant;
use walkdir::{DirEntry, WalkDir};

use super::run::{Job, Run};
use crate::complain::Failure;

/// A folder that holds what programs made; others begin with a dot.
const PASSED_OVER: &str = "target";
/// Files that are found and have no job yet.
const FOUND: usize = 256;

/// A path in the folder at which there is nothing.
///
/// # Errors
/// Where the folder itself isn't there.
pub(super) fn missing_file(folder: &Path) -> std::result::Result<PathBuf, Failure> {
    let metadata =
        folder.metadata().map_err(|error| Failure::file("read", folder.display(), &error))?;
    let folder = match folder.parent() {
        Some(parent) if metadata.is_file() => parent,
        _ => folder,
    };
    let mut path = folder.join("no-such-file");
    while path.symlink_metadata().is_ok() {
        path.as_mut_os_string().push("-either");
    }
    Ok(path)
}

/// Puts a job for each file into the queue, and at last the one for the missing file.
pub(super) async fn enqueue(
    events: Arc<dyn EventSink>,
    run: Arc<Run>,
    jobs: mpsc::Sender<Job>,
) -> Result<()> {
    let (sender, mut found) = mpsc::channel(FOUND);
    let walker = {
        let run = Arc::clone(&run);
        tokio::task::spawn_blocking(move || walk(&run, |path| sender.blocking_send(path).is_ok()))
    };
    while let Some(path) = found.recv().await {
        put(&*events, run.job(path), &jobs).await?;
    }
    if let Err(error) = walker.await {
        tracing::error!(%error, "the walk through the folder ended early");
    }
    put(&*events, run.job(run.missing().to_owned()), &jobs).await
}

async fn put(events: &dyn EventSink, mut job: Job, jobs: &mpsc::Sender<Job>) -> Result<()> {
    // Room first: a job that waits for it is not in the queue.
    let Ok(room) = jobs.reserve().await else { return Ok(()) };
    let enqueued = Event::new(EventType::JobEnqueued).with_field("file", job.file.as_str());
    JobLogger::new(events, job.context.clone()).event(enqueued).await?;
    job.queued = Instant::now();
    room.send(job);
    Ok(())
}

/// Finds the files, in the order of their names; ends early where `found` says so.
fn walk(run: &Run, mut found: impl FnMut(PathBuf) -> bool) {
    let entries = WalkDir::new(run.folder())
        .follow_links(false)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(is_wanted);
    for entry in entries {
        if run.is_stopped() {
            return;
        }
        match entry {
            Ok(entry) if entry.file_type().is_file() => {
                if !found(entry.into_path()) {
                    return;
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "passed over"),
        }
    }
}

fn is_wanted(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_str().unwrap_or_default();
    let is_a_program_s = name == PASSED_OVER || name.starts_with('.');
    entry.depth() == 0 || !entry.file_type().is_dir() || !is_a_program_s
}

#[cfg(test)]
mod tests {
    use std::fs;

    use naq_core::Timestamp;

    use super::*;

    fn files(folder: &Path) -> Vec<String> {
        let run = Run::new(folder.to_owned(), PathBuf::new(), Timestamp::from_nanos(0));
        let mut files = Vec::new();
        walk(&run, |path| {
            files.push(path.strip_prefix(folder).unwrap().display().to_string());
            true
        });
        files
    }

    #[test]
    fn files_are_found_and_what_programs_made_and_links_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for file in
            ["b.txt", "a/target/x", "a/c.txt", ".git/config", "a/git/d", "a/.venv/x", ".dot"]
        {
            let file = path.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "x").unwrap();
        }
        std::os::unix::fs::symlink(path.join("b.txt"), path.join("link")).unwrap();
        assert_eq!(files(path), [".dot", "a/c.txt", "a/git/d", "b.txt"]);
    }

    #[test]
    fn the_missing_file_is_missing_whatever_there_is() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("no-such-file"), "x").unwrap();
        let missing = missing_file(folder.path()).unwrap();
        assert_eq!(missing, folder.path().join("no-such-file-either"));
        assert!(missing_file(&folder.path().join("not-there")).is_err());
    }
}
