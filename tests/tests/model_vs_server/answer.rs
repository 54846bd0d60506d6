//! What can be seen of an answer, as text, moments in time apart.

use std::fmt::{self, Debug};

use naq_core::jetstream::{
    ConsumerInfo, ConsumerMessage, Delivery, StoredMessage, StreamInfo, SubjectCounts,
};
use naq_core::{Error, Result, Timestamp};

const SOME_TIME: Timestamp = Timestamp::from_nanos(0);

/// An answer as it is compared.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// What must be equal: what is visible of a value, the kind of an error.
    seen: String,
    /// The words of an error, which are each side's own.
    words: Option<String>,
}

impl PartialEq for Answer {
    fn eq(&self, other: &Self) -> bool {
        self.seen == other.seen
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.words {
            None => f.write_str(&self.seen),
            Some(words) => write!(f, "{}: {words}", self.seen),
        }
    }
}

/// What there is to see of a value.
pub(crate) trait Visible {
    fn visible(self) -> String;
}

/// A result: what is visible of the value, or the error's kind.
pub(crate) fn of<T: Visible>(result: Result<T>) -> Answer {
    result.map_or_else(
        |error| of_error(&error),
        |value| Answer { seen: value.visible(), words: None },
    )
}

/// A result whose value is its own text.
pub(crate) fn plain<T: Debug>(result: Result<T>) -> Answer {
    result.map_or_else(
        |error| of_error(&error),
        |value| Answer { seen: format!("{value:?}"), words: None },
    )
}

fn of_error(error: &Error) -> Answer {
    Answer { seen: format!("{:?}", error.kind()), words: Some(error.to_string()) }
}

impl Visible for StoredMessage {
    fn visible(mut self) -> String {
        self.stored_at = SOME_TIME;
        // The order among names is not kept on the way through the client.
        // A batch's id is a random one.
        let value = |name: &str, value: &str| match name {
            "Nats-Batch-Id" => value.len().to_string(),
            _ => value.to_owned(),
        };
        let mut headers: Vec<_> =
            self.headers.iter().map(|(n, v)| (n.to_owned(), value(n, v))).collect();
        headers.sort_by(|a, b| a.0.cmp(&b.0));
        self.headers = headers.into_iter().collect();
        format!("{self:?}")
    }
}

impl Visible for Delivery {
    fn visible(self) -> String {
        match self {
            Self::Message(message) => message.visible(),
            other => format!("{other:?}"),
        }
    }
}

impl Visible for StreamInfo {
    fn visible(mut self) -> String {
        self.created = SOME_TIME;
        self.told_at = self.told_at.map(|_| SOME_TIME);
        self.state.first_time = self.state.first_time.map(|_| SOME_TIME);
        self.state.last_time = self.state.last_time.map(|_| SOME_TIME);
        // A reader's consumer may be there a moment longer.
        self.state.consumers = 0;
        self.config.metadata.retain(|key, _| !key.starts_with("_nats."));
        // No wire, no protocol of the wire.
        self.config.allow_batched_publish = None;
        format!("{self:?}")
    }
}

impl Visible for ConsumerInfo {
    fn visible(mut self) -> String {
        self.created = SOME_TIME;
        // They move over what doesn't match, and when is the server's own affair.
        self.delivered = 0;
        self.ack_floor = 0;
        // The server estimates it, and after a purge wrongly.
        self.pending = 0;
        self.config.metadata.retain(|key, _| !key.starts_with("_nats."));
        format!("{self:?}")
    }
}

impl Visible for Vec<ConsumerMessage> {
    fn visible(self) -> String {
        // How many are pending the server estimates, and after a purge wrongly.
        let one = |delivered: ConsumerMessage| {
            format!("{} deliveries {}", delivered.message.visible(), delivered.deliveries)
        };
        self.into_iter().map(one).collect::<Vec<_>>().join("; ")
    }
}

impl Visible for SubjectCounts {
    fn visible(mut self) -> String {
        self.counts.sort_unstable();
        let Self { info, counts, total, next_offset } = self;
        format!("{counts:?} of {total}, next {next_offset:?}; {}", info.visible())
    }
}
