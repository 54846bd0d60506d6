//! Publishing one message, many, or several at once.

use std::sync::Arc;

use futures::{StreamExt, stream};
use naq_core::jetstream::{BatchAck, PublishAck, PublishMessage, check_subject};
use naq_core::{BoxStream, Error, ErrorKind, Result};

use crate::faults::{PublishFault, injected};
use crate::model::Moment;
use crate::shared::{Effect, Shared, State, about};

/// How many messages are stored under one lock.
const CHUNK: usize = 256;

pub(crate) async fn one(shared: &Shared, message: PublishMessage) -> Result<PublishAck> {
    check_subject("publish", &message.subject)?;
    shared.pass("publish", Effect::Change).await?;
    let now = shared.moment();
    store(&mut shared.state(), message, now)
}

/// One result a message, in order; messages that are ready together are stored together.
pub(crate) fn many(
    shared: Arc<Shared>,
    messages: BoxStream<'static, PublishMessage>,
) -> BoxStream<'static, Result<PublishAck>> {
    messages
        .ready_chunks(CHUNK)
        .then(move |messages| {
            let shared = Arc::clone(&shared);
            async move { stream::iter(chunk(&shared, messages).await) }
        })
        .flatten()
        .boxed()
}

async fn chunk(shared: &Shared, messages: Vec<PublishMessage>) -> Vec<Result<PublishAck>> {
    if let Err(error) = shared.pass("publish", Effect::Change).await {
        return messages.iter().map(|_| Err(error.clone())).collect();
    }
    let now = shared.moment();
    let mut state = shared.state();
    messages
        .into_iter()
        .map(|message| {
            check_subject("publish", &message.subject)?;
            store(&mut state, message, now)
        })
        .collect()
}

/// Stores all messages or none.
pub(crate) async fn batch(shared: &Shared, messages: Vec<PublishMessage>) -> Result<BatchAck> {
    const OPERATION: &str = "publish_atomic";
    for message in &messages {
        check_subject(OPERATION, &message.subject)?;
    }
    shared.pass(OPERATION, Effect::Change).await?;
    let now = shared.moment();
    let mut state = shared.state();
    let fault = state.faults.next_publish();
    if let PublishFault::Fail(kind) = fault {
        return Err(injected(OPERATION, kind));
    }
    let stored =
        state.model.publish_atomic(messages, now).map_err(|refusal| refusal.error(OPERATION));
    if let Ok(ack) = &stored {
        state.tell(&ack.stream);
    }
    match fault {
        PublishFault::LoseAck => Err(lost_ack(OPERATION)),
        _ => stored,
    }
}

fn store(state: &mut State, message: PublishMessage, now: Moment) -> Result<PublishAck> {
    let fault = state.faults.next_publish();
    if let PublishFault::Fail(kind) = fault {
        return Err(injected("publish", kind));
    }
    let subject = message.subject.clone();
    let stored = state
        .model
        .publish(message, now)
        .map_err(|refusal| about(refusal.error("publish"), "subject", &subject));
    if let Ok(ack) = &stored {
        state.tell(&ack.stream);
    }
    match fault {
        PublishFault::LoseAck => Err(lost_ack("publish")),
        _ => stored,
    }
}

fn lost_ack(operation: &'static str) -> Error {
    Error::new(ErrorKind::OutcomeUnknown, operation, "the acknowledgement was lost")
        .with_hint("publish it again with the same message id")
}
