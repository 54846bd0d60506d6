//! Fast ingest (ADR-50): many messages as one batch, acknowledged by watermarks.
//!
//! | file | concept |
//! |---|---|
//! | `driver.rs` | the stream of answers: takes what is told, and decides what is next |
//! | `driver/sending.rs` | the messages and words that it sends |
//! | `batch.rs` | what is known of one batch on the server, without I/O |
//! | `told.rs` | what the server tells of a batch |
//! | `parts.rs` | the batches on the server that one batch of a caller became |
//! | `close.rs` | fencing a batch off |
//!
//! # Protocol
//! There is no header: the reply subject of each message says what it is.
//! `<inbox>.<batch>.<flow>.fail.<number>.<operation>.$FI`, where the operation
//! is 0 for the first message, 1 for the next ones, 3 for "commit what came
//! before", 4 for "tell me again". `fail` makes a gap in the numbers end the
//! batch, so that what is stored is a prefix. The server acknowledges every
//! `flow` messages, and the whole at the commit.
//!
//! # Short of a full flow
//! Nothing but a commit makes the server acknowledge the messages behind the
//! last full flow; "tell me again" repeats the last acknowledgement alone. So
//! when no more messages come, the batch is committed, and the next message
//! begins another one on the server. That waits until the first is
//! acknowledged whole: what is stored stays a prefix over all of them.

mod batch;
mod close;
mod driver;
mod parts;
mod told;

use futures::stream::{self, StreamExt};
use naq_core::jetstream::{PublishMessage, Published, check_batch_id};
use naq_core::{BoxStream, Result};
use tokio::time::Instant;

pub(super) use self::close::close;
use self::driver::Driver;
pub(crate) use self::parts::Parts;
use super::NatsJetStream;
use crate::nats::Inbox;

/// After how many messages the server is asked to acknowledge.
const FLOW: u64 = 500;

/// Stores all messages as one batch.
pub(super) fn publish(
    jetstream: NatsJetStream,
    messages: BoxStream<'static, PublishMessage>,
    id: String,
    confirm_start: bool,
) -> BoxStream<'static, Result<Published>> {
    let opened = async move {
        match open(&jetstream, &id).await {
            Ok(inbox) => Driver::new(jetstream, inbox, messages, id, confirm_start).left_stream(),
            Err(error) => stream::iter([Err(error)]).right_stream(),
        }
    };
    stream::once(opened).flatten().boxed()
}

async fn open(jetstream: &NatsJetStream, id: &str) -> Result<Inbox> {
    const OPERATION: &str = "publish_many";
    check_batch_id(OPERATION, id)?;
    let wire = &*jetstream.wire;
    let deadline = Instant::now() + wire.limits.ack_timeout;
    wire.connected(OPERATION, deadline).await?;
    check_can(jetstream, OPERATION)?;
    Inbox::open_deep(wire, OPERATION, deadline).await
}

fn check_can(jetstream: &NatsJetStream, operation: &'static str) -> Result<()> {
    if jetstream.can().fast_ingest {
        return Ok(());
    }
    Err(super::too_old(&jetstream.wire, operation, "fast ingest", "2.14"))
}

/// How a message of a batch is told apart: the tail of its reply subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Start = 0,
    Append = 1,
    Commit = 3,
    Ping = 4,
}

/// The reply subject of a message of the batch `id`.
fn reply(inbox: &mut Inbox, id: &str, number: u64, operation: Operation) -> async_nats::Subject {
    inbox.reply_of_tokens(
        &[id, FLOW_AND_MODE],
        number,
        match operation {
            Operation::Start => ".0.$FI",
            Operation::Append => ".1.$FI",
            Operation::Commit => ".3.$FI",
            Operation::Ping => ".4.$FI",
        },
    )
}

/// [`FLOW`], and that a gap ends the batch.
const FLOW_AND_MODE: &str = "500.fail";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flow_is_written_as_it_is_counted() {
        assert_eq!(FLOW_AND_MODE, format!("{FLOW}.fail"));
    }
}
