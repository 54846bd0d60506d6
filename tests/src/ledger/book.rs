//! Writing the ledger's file.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{History, Line};

/// An append-only file of lines.
///
/// Each line is one write to the file: what was written survives a kill of the
/// program that wrote it, and several programs may write to one file.
#[derive(Debug)]
pub struct Book {
    file: File,
    path: PathBuf,
}

impl Book {
    /// Opens a file, new or with lines in it.
    ///
    /// # Panics
    /// When it can't be opened.
    pub fn open(path: &Path) -> Self {
        let file = File::options().create(true).append(true).open(path);
        Self { file: file.expect("the ledger's file opens"), path: path.to_owned() }
    }

    /// Writes one line.
    ///
    /// # Panics
    /// When the disk doesn't take it.
    pub fn write(&self, line: &Line) {
        let mut text = serde_json::to_vec(line).expect("a line is JSON");
        text.push(b'\n');
        // One write, appended as a whole.
        (&self.file).write_all(&text).expect("the ledger's file takes lines");
    }

    /// Awaits a call, and writes down how long it took of the time that it may take.
    pub async fn timed<T>(&self, what: &str, within: Duration, call: impl Future<Output = T>) -> T {
        let start = Instant::now();
        let output = call.await;
        self.write(&Line::called(what, start.elapsed(), within));
        output
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What has been written so far, by whomever.
    ///
    /// # Panics
    /// When the file isn't a ledger.
    pub fn history(&self) -> History {
        History::read(&self.path)
    }
}
