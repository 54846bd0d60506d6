//! How many messages are published at once, and how they are answered.

use crate::{Error, Result};

use super::PublishAck;

/// The longest id of a fast batch, in bytes.
///
/// The server takes 64; an implementation numbers the parts behind it.
pub const MAX_BATCH_ID_BYTES: usize = 48;

/// How many messages are published at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishManyOptions {
    /// The way that they go.
    pub way: PublishWay,
}

impl PublishManyOptions {
    /// Sets the way that they go.
    #[must_use]
    pub fn with_way(mut self, way: PublishWay) -> Self {
        self.way = way;
        self
    }
}

/// A way for many messages to go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PublishWay {
    /// Each message is acknowledged by itself; one failure doesn't stop the rest.
    #[default]
    Pipeline,
    /// All messages are one batch of the server's fast ingest, acknowledged by
    /// watermarks; a failure ends it, and nothing behind it is stored.
    ///
    /// What is stored of it is a prefix, whatever breaks. Needs the capability
    /// `fast_ingest`, and a stream with `allow_batched_publish` that takes all
    /// the subjects.
    FastBatch {
        /// Names the batch on the server: one subject token of at most
        /// [`MAX_BATCH_ID_BYTES`] bytes, different from every other batch's.
        id: String,
        /// Sends message ids with first messages alone, and nothing behind a
        /// first message until the server has it.
        ///
        /// [`JetStream::close_fast_batch`](super::JetStream::close_fast_batch)
        /// fences off whatever comes behind a first message, but not a first
        /// message that arrives late: that one is told by its id, and has
        /// nothing behind it. Give each message its id: when fewer come than
        /// the server acknowledges by itself, one batch becomes several on the
        /// server, and each of them has a first message.
        confirm_start: bool,
    },
}

impl PublishWay {
    /// A fast batch whose first message is not waited for.
    pub fn fast_batch(id: impl Into<String>) -> Self {
        Self::FastBatch { id: id.into(), confirm_start: false }
    }
}

/// One answer to [`JetStream::publish_many`](super::JetStream::publish_many).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// The next message was acknowledged by itself.
    One(PublishAck),
    /// The next so many messages, at least one, are stored, or were before
    /// under the same message ids; where, isn't told.
    Next(u64),
}

impl Published {
    /// How many messages it answers.
    #[must_use]
    pub fn count(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Next(count) => *count,
        }
    }
}

/// Checks the id of a fast batch.
///
/// # Errors
/// `InvalidArgument` unless it is one token of at most [`MAX_BATCH_ID_BYTES`] bytes.
pub fn check_batch_id(operation: &'static str, id: &str) -> Result<()> {
    let rule = if id.is_empty() {
        "must not be empty"
    } else if id.len() > MAX_BATCH_ID_BYTES {
        "must be at most 48 bytes"
    } else if !id.bytes().all(|byte| byte.is_ascii_graphic() && !b".*>".contains(&byte)) {
        "must be one subject token of visible ASCII"
    } else {
        return Ok(());
    };
    Err(Error::invalid(operation, "batch", rule).with("value", id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_id_is_one_short_token() {
        let is_good = |id: &str| check_batch_id("publish_many", id).is_ok();
        assert!(is_good("0198c2f4") && is_good(&"x".repeat(48)));
        for id in ["", "a.b", "*", ">", "a b", "é", "a\n", &"x".repeat(49)] {
            assert!(!is_good(id), "{id:?}");
        }
    }
}
