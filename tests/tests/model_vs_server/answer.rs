//! What can be seen of an answer, as text, moments in time apart.

use std::fmt::Debug;

use naq_core::jetstream::{
    ConsumerInfo, ConsumerMessage, Delivery, StoredMessage, StreamInfo, SubjectCounts,
};
use naq_core::{Error, Result, Timestamp};

const SOME_TIME: Timestamp = Timestamp::from_nanos(0);

/// An answer as it is compared.
pub(crate) trait Visible {
    fn visible(self) -> String;
}

/// A result: what is visible of the answer, or the error's kind.
pub(crate) fn of<T: Visible>(result: Result<T>) -> String {
    match result {
        Ok(value) => value.visible(),
        Err(error) => of_error(&error),
    }
}

/// A result that is its own text.
pub(crate) fn plain<T: Debug>(result: Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => of_error(&error),
    }
}

fn of_error(error: &Error) -> String {
    // Which field it was the server doesn't always say; the suite holds where it must be named.
    format!("{:?}", error.kind())
}

impl Visible for StoredMessage {
    fn visible(mut self) -> String {
        self.stored_at = SOME_TIME;
        // The order among names is not kept on the way through the client.
        let mut headers: Vec<_> =
            self.headers.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
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
        self.config.metadata.retain(|key, _| !key.starts_with("_nats."));
        format!("{self:?}")
    }
}

impl Visible for Vec<ConsumerMessage> {
    fn visible(self) -> String {
        let one = |delivered: ConsumerMessage| {
            let (deliveries, pending) = (delivered.deliveries, delivered.pending);
            format!("{} deliveries {deliveries} pending {pending}", delivered.message.visible())
        };
        self.into_iter().map(one).collect::<Vec<_>>().join("; ")
    }
}

impl Visible for SubjectCounts {
    fn visible(mut self) -> String {
        self.counts.sort_unstable();
        format!("{self:?}")
    }
}
