//! How a spool is doing.

use std::path::PathBuf;

use naq_core::{Error, Timestamp};

/// What was found when a spool was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// The folder that this process has now.
    pub folder: PathBuf,
    /// How many events are in it without an outcome.
    pub events: u64,
    /// How many of them were sent, without that it was told what became of them.
    pub in_doubt: u64,
    /// How often the end of a file was cut off, because writing it had not
    /// been finished: that was never accepted.
    pub torn: u64,
    /// How many damaged records were set aside. Others may be found when they are read.
    pub corrupt: u64,
    /// How many segments have lost marks: their events count as in doubt.
    pub lost_marks: u64,
}

/// How a spool is doing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SpoolStatus {
    /// The folder that this process has.
    pub folder: PathBuf,
    /// How many events are in it without an outcome.
    pub events: u64,
    /// How many bytes of the disk its events and marks take.
    pub bytes: u64,
    /// How many bytes they may take.
    pub max_bytes: u64,
    /// When the oldest event without an outcome was accepted, by the wall
    /// clock, or a little before that: up to 256 KiB of events.
    pub oldest: Option<Timestamp>,
    /// How often the end of a file was cut off, because writing it had not been finished.
    pub torn: u64,
    /// How many damaged records were set aside, since it was opened.
    pub corrupt: u64,
    /// The latest error of the disk, until adding events or a sync goes well again.
    pub trouble: Option<Error>,
}
