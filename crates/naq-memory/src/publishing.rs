//! Publishing one message, many, or several at once.

use std::sync::Arc;

use futures::{StreamExt, stream};
use naq_core::jetstream::{BatchAck, PublishAck, PublishMessage, Published, check_subject};
use naq_core::{BoxStream, Error, ErrorKind, Result};

use crate::faults::{PublishFault, injected};
use crate::model::Moment;
use crate::session::{Effect, Session, about};
use crate::shared::State;

/// How many messages are stored under one lock.
const CHUNK: usize = 256;

pub(crate) async fn one(session: &Session, message: PublishMessage) -> Result<PublishAck> {
    check_subject("publish", &message.subject)?;
    session.pass("publish", Effect::Change).await?;
    let now = session.moment();
    store(&mut session.state(), message, now)
}

/// One result a message, in order; messages that are ready together are stored together.
pub(crate) fn many(
    session: Arc<Session>,
    messages: BoxStream<'static, PublishMessage>,
) -> BoxStream<'static, Result<Published>> {
    messages
        .ready_chunks(CHUNK)
        .then(move |messages| {
            let session = Arc::clone(&session);
            async move { stream::iter(chunk(&session, messages).await) }
        })
        .flatten()
        .boxed()
}

async fn chunk(session: &Session, messages: Vec<PublishMessage>) -> Vec<Result<Published>> {
    if let Err(error) = session.pass("publish", Effect::Change).await {
        return messages.iter().map(|_| Err(error.clone())).collect();
    }
    let now = session.moment();
    let mut state = session.state();
    messages
        .into_iter()
        .map(|message| {
            check_subject("publish", &message.subject)?;
            store(&mut state, message, now).map(Published::One)
        })
        .collect()
}

/// Stores all messages or none.
pub(crate) async fn batch(session: &Session, messages: Vec<PublishMessage>) -> Result<BatchAck> {
    const OPERATION: &str = "publish_atomic";
    for message in &messages {
        check_subject(OPERATION, &message.subject)?;
    }
    session.pass(OPERATION, Effect::Change).await?;
    let now = session.moment();
    let mut state = session.state();
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

pub(crate) fn lost_ack(operation: &'static str) -> Error {
    Error::new(ErrorKind::OutcomeUnknown, operation, "the acknowledgement was lost")
        .with_hint("publish it again with the same message id")
}
