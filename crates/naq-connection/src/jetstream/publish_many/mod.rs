//! Publishing many messages: the way to the server's full speed.
//!
//! One subscription takes all acknowledgements; each message's reply subject
//! holds its number, and a window of slots holds what is known of it. There is
//! no future, timer or task for a message: the stream that is answered drives
//! all of it, in the task that polls it.
//!
//! # Order
//! Messages are handed to the connection in their order, and a server stores
//! what comes over one connection in that order. Two things break it, and who
//! needs order across them must keep at most one message of an order in flight:
//! a refusal of one message lets the next ones pass, and a break of the
//! connection loses a stretch in the middle. What was in the socket at that
//! moment is gone; what was still in the client's queue (at most 2,048
//! messages) is sent after the reconnect, before anything that is published
//! later. At a break, all that was sent and not acknowledged is answered
//! `OutcomeUnknown` at once, though some of it may still be stored, even after
//! the answer. What was not sent yet waits for the reconnect, in order, within
//! its deadline.

mod pipeline;
mod slot;

use futures::stream::{self, StreamExt};
use naq_core::jetstream::{PublishMessage, Published};
use naq_core::{BoxStream, Result};
use tokio::time::Instant;

use self::pipeline::Pipeline;
use super::NatsJetStream;
use crate::nats::Inbox;

const OPERATION: &str = "publish_many";

/// Answers each message in order.
pub(super) fn pipeline(
    jetstream: NatsJetStream,
    messages: BoxStream<'static, PublishMessage>,
) -> BoxStream<'static, Result<Published>> {
    let opened = async move {
        let deadline = Instant::now() + jetstream.wire.limits.ack_timeout;
        match Inbox::subscribe(&jetstream.wire, OPERATION, deadline).await {
            Ok(inbox) => Pipeline::new(jetstream, inbox, messages).left_stream(),
            Err(error) => messages.map(move |_| Err(error.clone())).right_stream(),
        }
    };
    stream::once(opened).flatten().boxed()
}
