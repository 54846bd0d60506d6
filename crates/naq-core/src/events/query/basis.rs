//! What an answer was made from, and what is missing in it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What an answer was made from, and what is missing in it.
///
/// From digests, every sequence up to `through` is in exactly one of
/// `from_digests`, what was read of the rest, and `holes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AnswerBasis {
    /// What it was made from, beside what was read.
    pub made_from: MadeFrom,
    /// When the log was looked at, by the clock of who asked: all that was
    /// stored before, and is not counted as missing, is in it.
    pub as_of: Option<Timestamp>,
    /// The newest sequence that is in it: the log's end when it was looked at.
    /// From digests it may be a little more, up to the end of a block: what
    /// another question has read that looked later.
    pub through: u64,
    /// When the newest message of the log as it was looked at was stored, by
    /// the server's clock; `None` where it has none.
    pub newest_stored: Option<Timestamp>,
    /// The oldest sequence that the log still holds: what was stored before is
    /// known from digests alone, and has no events behind it any more.
    pub first_sequence: u64,
    /// When that was stored, by the server's clock; `None` where the log has
    /// no message.
    pub oldest_stored: Option<Timestamp>,
    /// How many sequences behind `first_sequence` are not in the log any more:
    /// ages by type, or a purge, took them from its midst. Digests that were
    /// made before have them, and an answer from the log doesn't.
    pub removed: u64,
    /// Messages whose digests were used, whatever their times.
    pub from_digests: u64,
    /// Messages that an index named, and that were got by it; they are in
    /// `read` too. What the index leaves out was not read.
    pub from_index: u64,
    /// Messages that were read from the log.
    pub read: u64,
    /// Messages that are no events, of all that were counted or read.
    pub malformed: u64,
    /// How many of the counted events had the id of one that was counted
    /// shortly before: the same event, stored more than once, and counted each
    /// time. At least so many: of what was read, those with the id of one of
    /// the last 65,536 before them; from digests, those with an id that the same
    /// process has counted before in their block of 65,536 sequences. Of a
    /// minute that the range cuts, a digest tells those that must be in it.
    /// `None` where a digest of an older naq is in the answer: it tells none.
    pub duplicates: Option<u64>,
    /// Sequences that had left the log before anybody counted them, or whose
    /// digest is gone too; in one pass over the log, as far as the pass saw.
    pub holes: u64,
    /// Events that may lie in the range and are in no figure: of what has left
    /// the log, where many events agree, only the minute is known, and the
    /// range ends within it.
    pub undecided: u64,
}

impl AnswerBasis {
    /// How old the answer is at a time of the asker's clock; `None` where it
    /// doesn't say when it was made, zero where that lies ahead.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        self.as_of.map(|as_of| now.since(as_of))
    }
}

/// What an answer was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MadeFrom {
    /// One pass over what the filter lets through of the log.
    #[default]
    Log,
    /// What an index names, and what it doesn't cover.
    Index,
    /// Digests, and what no digest has.
    Digests,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_gets_older() {
        let at = Timestamp::from_nanos;
        let basis = AnswerBasis { as_of: Some(at(2_000)), ..AnswerBasis::default() };
        assert_eq!(basis.age(at(5_000)), Some(Duration::from_nanos(3_000)));
        assert_eq!(basis.age(at(1_000)), Some(Duration::ZERO));
        assert_eq!(AnswerBasis::default().age(at(1)), None);
    }
}
