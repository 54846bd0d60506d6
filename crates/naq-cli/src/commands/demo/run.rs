//! What tells one run from others, and its jobs.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use naq_core::Timestamp;
use naq_core::events::JobContext;
use tokio::time::Instant;

/// How often a job is tried.
pub(super) const ATTEMPTS: u32 = 2;

/// One run of the demo.
///
/// Its name is in every id and is its queue's name: a stream may hold the
/// events of other runs, and of real programs.
#[derive(Debug)]
pub(super) struct Run {
    name: String,
    folder: PathBuf,
    missing: PathBuf,
    start: Timestamp,
    jobs: AtomicU64,
    stopped: AtomicBool,
}

/// A job: one file.
#[derive(Debug)]
pub(super) struct Job {
    /// The file.
    pub(super) path: PathBuf,
    /// The file as it is shown.
    pub(super) file: String,
    /// What is known of it.
    pub(super) context: JobContext,
    /// Which try comes next, from 1.
    pub(super) attempt: u32,
    /// Since when it waits.
    pub(super) queued: Instant,
}

impl Run {
    /// A run that starts now.
    pub(super) fn new(folder: PathBuf, missing: PathBuf, start: Timestamp) -> Self {
        Self {
            name: format!("demo-{}", base36(start.as_nanos().unsigned_abs() / 1_000_000)),
            folder,
            missing,
            // Text keeps microseconds, and the first event must not lie before the start.
            start: start.truncated_to_micros(),
            jobs: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    /// Its queue: every event of the run names it.
    pub(super) fn queue(&self) -> &str {
        &self.name
    }

    /// The id of its worker of a number, from 1.
    pub(super) fn worker(&self, number: usize) -> String {
        format!("{}-w{number}", self.name)
    }

    /// When it started.
    pub(super) const fn start(&self) -> Timestamp {
        self.start
    }

    /// The folder with the files.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file that doesn't exist.
    pub(super) fn missing(&self) -> &Path {
        &self.missing
    }

    /// Its name.
    pub(super) fn missing_name(&self) -> String {
        self.shown(&self.missing)
    }

    /// A job for a file, with the next number in its id.
    pub(super) fn job(&self, path: PathBuf) -> Job {
        let number = self.jobs.fetch_add(1, Ordering::Relaxed) + 1;
        let file = self.shown(&path);
        let context = JobContext::new(format!("{}-{number}", self.name))
            .with_name(kind(&path))
            .with_queue(self.queue())
            .with_attempt(1);
        Job { path, file, context, attempt: 1, queued: Instant::now() }
    }

    /// Asks everybody to come to an end.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether everybody was asked to.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// The path as people know it, from the folder on.
    fn shown(&self, path: &Path) -> String {
        let shown = path.strip_prefix(&self.folder).unwrap_or(path);
        // The folder itself may be the one file.
        let shown = if shown.as_os_str().is_empty() { path } else { shown };
        shown.display().to_string()
    }
}

/// The kind of job: statistics tell files of one kind from others.
fn kind(path: &Path) -> String {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let plain = |text: &&str| {
        !text.is_empty() && text.len() <= 8 && text.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    match extension.filter(plain) {
        Some(extension) => format!("digest_{}", extension.to_ascii_lowercase()),
        None => "digest_file".to_owned(),
    }
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    while number > 0 || digits.is_empty() {
        let digit = u32::try_from(number % 36).unwrap_or(0);
        digits.extend(char::from_digit(digit, 36));
        number /= 36;
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_of_every_run_has_an_id_of_its_own() {
        let run = |nanos| {
            let missing = PathBuf::from("folder/no-such-file");
            Run::new(PathBuf::from("folder"), missing, Timestamp::from_nanos(nanos))
        };
        let (one, other) = (run(1_764_000_000_000_000_000), run(1_764_000_000_001_000_000));
        let ids = [
            one.job(PathBuf::from("folder/a.RS")),
            one.job(PathBuf::from("folder/sub/b")),
            other.job(PathBuf::from("folder/a.RS")),
        ]
        .map(|job| job.context.id.to_string());
        assert!(ids[0].ends_with("-1") && ids[1].ends_with("-2"));
        assert_ne!(ids[0], ids[2]);
        assert_eq!(one.missing_name(), "no-such-file");
    }

    #[test]
    fn a_job_s_kind_is_its_file_s() {
        for (path, name) in [
            ("a.RS", "digest_rs"),
            ("b", "digest_file"),
            (".gitignore", "digest_file"),
            ("c.tar gz", "digest_file"),
        ] {
            assert_eq!(kind(Path::new(path)), name);
        }
    }

    #[test]
    fn a_name_is_short() {
        assert_eq!(base36(0), "0");
        assert_eq!(base36(1_764_000_000_000), "midc1z40");
    }
}
