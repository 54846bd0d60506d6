//! Digests: what blocks of the log come to, kept when the events are gone.
//!
//! The log is cut into blocks of 65,536 sequences. The digest of a block holds
//! what questions ask of it: how many events of each type, queue, kind of job
//! and outcome happened in each minute, how long they took, and which errors
//! they told of. A digest says how many of its block's messages it has seen;
//! what was gone before is a hole that can be counted.
//!
//! | file | concept |
//! |---|---|
//! | `distribution.rs` | durations: exact sums, percentiles within 1 % |
//! | `fingerprint.rs` | messages of errors without what varies |
//! | `cell.rs`, `few.rs`, `moment.rs` | what is told apart, and what is counted of it |
//! | `errors.rs` | the errors of a block |
//! | `names.rs` | how long a name is, and which of them a digest leaves out |
//! | `repeats.rs` | which events are stored more than once |
//! | `draft.rs` | a digest in the making, and its bounds |
//! | `digest.rs`, `hours.rs` | a digest, and its minutes put together by hour |
//! | `head.rs`, `runs.rs` | a few words of a block, and blocks put together |
//! | `encode.rs`, `decode.rs`, `bytes.rs` | its form as bytes |
//! | `store.rs` | the bucket that keeps digests |
//! | `kept.rs` | the digests that a service has, and the block that grows |
//! | `keeping.rs` | when what was read is kept |
//! | `growing.rs` | the digest of a block that is being read |
//! | `right.rs` | whether digests may be kept |
//! | `lost.rs` | digests of messages that the server has lost |
//! | `memory.rs`, `recent.rs` | what of them is in memory |
//! | `bare.rs` | the blocks at a log's beginning that have none |
//! | `fold.rs` | digests for nobody's question |
//! | `ageing.rs`, `tiers.rs` | removing digests that are too old, and making old ones coarser |
//! | `digested.rs` | how far the store's digests reach |
//! | `range.rs`, `choose.rs` | what of a question cells can answer |
//! | `flight.rs` | one at a time reads what came |
//! | `follower.rs` | reading what comes while somebody asks |
//! | `gather.rs` | an answer from digests, and from the log for the rest |
//! | `halves.rs` | what of them is put together for it |
//! | `reading.rs`, `rests.rs` | the rest of it: what is read, and folded on the way |
//! | `worn.rs` | blocks that are read again, and those that can't be |

mod ageing;
mod bare;
mod bytes;
mod cell;
mod choose;
mod decode;
mod digest;
mod digested;
mod distribution;
mod draft;
mod encode;
mod errors;
mod few;
mod fingerprint;
mod flight;
mod fold;
mod follower;
mod gather;
mod growing;
mod halves;
mod head;
mod hours;
mod keeping;
mod kept;
mod lost;
mod memory;
mod moment;
mod names;
mod range;
mod reading;
mod recent;
mod repeats;
mod rests;
mod right;
mod runs;
mod store;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_answers;
#[cfg(test)]
mod tests_of_errors;
#[cfg(test)]
mod tests_of_keeping;
#[cfg(test)]
mod tests_of_loading;
#[cfg(test)]
mod tests_of_richness;
#[cfg(test)]
mod tests_of_tiers;
#[cfg(test)]
mod tests_of_worn;
mod tiers;
mod worn;

pub(crate) use bytes::{Reader, Writer};
pub(crate) use cell::{Cell, Key, Minute, Name, Outcome};
pub(crate) use choose::CellFilter;
pub(crate) use digest::{BLOCK, Digest, block_end, block_of, block_start};
pub(crate) use digested::Digested;
pub(crate) use distribution::Distribution;
pub(crate) use errors::{ErrorKey, Occurrences};
pub(crate) use fingerprint::fingerprint;
pub(crate) use flight::PATIENCE;
pub(crate) use follower::Follower;
pub(crate) use gather::{Ask, Tally};
pub(crate) use hours::Grain;
pub(crate) use kept::Digests;
pub(crate) use names::listed;
pub(crate) use range::{Lies, MinuteRange};
pub(crate) use tiers::{Coarsening, MOST as MOST_COARSER, Tiers};
