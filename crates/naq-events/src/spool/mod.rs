//! What the server doesn't take, kept on disk: append-only, checked, and found again after a crash.
//!
//! This is the storage. [`EventService`](crate::EventService) uses it where
//! `spool.dir` is set: it appends what the server doesn't take, reads it back,
//! sends it, and settles it when it is stored.
//!
//! # Files
//!
//! Below the folder that it is opened with, each process that spools has
//! one of its own, `1`, `2`, …, held by a file lock that the system releases
//! when the process ends. A process that opens the spool takes over a folder
//! in which a dead one left events before it takes an empty one.
//!
//! | file | what is in it |
//! |---|---|
//! | `lock` | locked by its owner; the process id, for people |
//! | `00000000000000000001.events` | a segment: events by their position, from the one in its name on |
//! | `00000000000000000001.marks` | what is known of them: sent, settled, sealed |
//! | `quarantine/…` | damaged bytes, copied before they are passed over; the whole segment where there is no room, or the disk doesn't give them |
//!
//! Files are for their owner alone (`0600`, folders `0700`, on Unix). Each
//! record and each mark has its length and a CRC32C.
//!
//! # What survives what
//!
//! The end of the process, at any instant and however it comes, loses nothing
//! that [`Spool::append`] had answered, whatever the policy: the system has it.
//! The end of the machine (power cut, kernel crash) may lose:
//!
//! | [`SpoolFsync`] | events | `sent` marks |
//! |---|---|---|
//! | `Always` | none that was answered | none |
//! | `Interval` | those of the last interval | those of the last interval |
//! | `Never` | what the system had not written yet, often 30 seconds | the same |
//!
//! An event whose `sent` mark is lost counts as unsent: it is sent again under
//! its id, which the stream recognises as long as its duplicate window lasts.
//! A lost mark that it was settled puts an event in doubt, no more.
//!
//! # States of an event
//!
//! ```text
//! append ──▶ unsent ──mark_sent──▶ in doubt ──settle──▶ gone
//! ```
//!
//! Only what is between the two marks is in doubt after a crash;
//! [`SentContext`] has what settles it. A segment is removed once all of it is
//! settled.
//!
//! | file | concept |
//! |---|---|
//! | `handle.rs`, `worker.rs` | the handle, and the thread that does the work |
//! | `log.rs`, `recover.rs`, `read.rs` | the spool as a plain struct: written, opened, read |
//! | `segment.rs`, `load.rs` | one segment: written, read as it was left |
//! | `record.rs`, `mark.rs`, `header.rs`, `frame.rs`, `scan.rs` | the bytes |
//! | `positions.rs`, `sent.rs` | sets and maps of runs of positions |
//! | `owner.rs`, `files.rs`, `quarantine.rs` | folders, files, their errors |
//! | `inspect.rs` | looking at a spool without opening it |

mod files;
mod frame;
mod handle;
mod header;
mod inspect;
mod load;
mod log;
mod mark;
mod options;
mod owner;
mod positions;
mod quarantine;
mod read;
mod record;
mod recover;
mod scan;
mod segment;
mod sent;
mod status;
mod worker;

#[cfg(test)]
mod tests;

pub use naq_core::config::SpoolFsync;

pub use handle::{Appended, Appending, Spool};
pub use inspect::{SpoolFolder, SpoolReport, SpoolWalk, spool_folders};
pub use mark::SpoolOutcome;
pub use options::SpoolOptions;
pub use positions::{PositionSet, SpoolPosition};
pub use read::{ReadLimit, SpoolChunk};
pub use record::{SpoolEntry, SpoolState, SpooledEvent};
pub use sent::SentContext;
pub use status::{Recovered, SpoolStatus};
