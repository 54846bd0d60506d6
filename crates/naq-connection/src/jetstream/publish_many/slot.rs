//! One message of a pipeline, from being taken to its result.

use async_nats::Subject;
use futures::FutureExt;
use futures::future::BoxFuture;
use naq_core::Result;
use naq_core::jetstream::PublishAck;
use tokio::time::Instant;

use super::OPERATION;
use crate::jetstream::NatsJetStream;
use crate::jetstream::ack::Refusal;
use crate::jetstream::publish::{Outbound, Recheck, is_wrong_sequence};

/// What is known of one message.
pub(super) enum Slot {
    /// Waits for a connection, or for room in the client's queue.
    Unsent { outbound: Outbound, deadline: Instant },
    /// Waits for its acknowledgement.
    Sent(Sent),
    /// An expected sequence didn't hold; was it this message that moved it?
    Checking(BoxFuture<'static, Result<PublishAck>>),
    /// Waits to be handed out.
    Done(Result<PublishAck>),
    /// Empty for the moment in which its content changes.
    Changing,
}

/// What is known of a message that was sent.
pub(super) struct Sent {
    pub(super) subject: Subject,
    pub(super) generation: u64,
    pub(super) deadline: Instant,
    pub(super) bytes: usize,
    pub(super) recheck: Option<Box<Recheck>>,
}

impl Slot {
    /// The slot of a message that the server didn't store.
    pub(super) fn refused(jetstream: &NatsJetStream, sent: Sent, refusal: Refusal) -> Self {
        let wrong_sequence = is_wrong_sequence(&refusal);
        let with_jetstream = jetstream.wire.client.server_info().jetstream;
        let error = refusal.into_error(OPERATION, &sent.subject, with_jetstream);
        match sent.recheck {
            Some(recheck) if wrong_sequence => {
                let jetstream = jetstream.clone();
                Slot::Checking(async move { recheck.look(&jetstream, error).await }.boxed())
            }
            _ => Slot::Done(Err(error)),
        }
    }
}
