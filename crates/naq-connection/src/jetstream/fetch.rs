//! Fetching from a durable consumer: one pull, and what comes of it.

use std::time::Duration;

use async_nats::Message;
use naq_core::jetstream::{AckToken, ConsumerMessage, FetchOptions, StoredMessage};
use naq_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

use super::ack_subject::AckSubject;
use super::consumers::{about, check_names};
use super::pull::{Pull, Status, Wait, refused};
use super::{NatsJetStream, api, headers};
use crate::nats::{Inbox, Request, Wire, silence};

const OPERATION: &str = "fetch";

/// How long the server's answer may take beyond a fetch's own wait.
const GRACE: Duration = Duration::from_secs(2);
/// A pull that takes what is there stands unanswered where as many messages are
/// out as the consumer allows: after this long it is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(1);

/// Why a fetch ended early.
enum Interrupted {
    /// The consumer doesn't answer any more.
    Gone(String),
    Failed(Error),
}

impl From<Error> for Interrupted {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl NatsJetStream {
    pub(super) async fn fetch_batch(
        &self,
        stream: &str,
        consumer: &str,
        options: FetchOptions,
    ) -> Result<Vec<ConsumerMessage>> {
        check_names(OPERATION, stream, consumer)?;
        if options.max_messages == 0 {
            return Err(Error::invalid(OPERATION, "max_messages", "must be at least 1"));
        }
        let subject = format!("{}.CONSUMER.MSG.NEXT.{stream}.{consumer}", api::PREFIX);
        let mut messages = Vec::new();
        match pull(&self.wire, subject, &options, &mut messages).await {
            Ok(()) => Ok(messages),
            // What was delivered is handed out; the next call tells what is wrong.
            Err(_) if !messages.is_empty() => Ok(messages),
            Err(Interrupted::Failed(error))
                if error.is(ErrorKind::Timeout) && options.wait.is_zero() =>
            {
                match self.info_of_consumer(stream, consumer).await {
                    Ok(_) => Ok(messages),
                    Err(error) => Err(error.in_operation(OPERATION)),
                }
            }
            Err(Interrupted::Failed(error)) => Err(about(error, stream, consumer)),
            Err(Interrupted::Gone(why)) => Err(self.gone(stream, consumer, why).await),
        }
    }

    /// Why a consumer doesn't answer: it, or its stream, isn't there, or nobody leads it.
    async fn gone(&self, stream: &str, consumer: &str, why: String) -> Error {
        match self.info_of_consumer(stream, consumer).await {
            Err(error) => error.in_operation(OPERATION),
            Ok(_) => Error::new(ErrorKind::Unavailable, OPERATION, "the consumer was interrupted")
                .with("stream", stream)
                .with("consumer", consumer)
                .with("status", why),
        }
    }
}

/// Takes what is there; where nothing is, waits for the first and takes what came with it.
async fn pull(
    wire: &Wire,
    subject: String,
    options: &FetchOptions,
    messages: &mut Vec<ConsumerMessage>,
) -> Result<(), Interrupted> {
    let mut inbox = Inbox::open(wire, OPERATION, wire.request_deadline()).await?;
    let waits = !options.wait.is_zero();
    let pull = Pull {
        batch: options.max_messages as u64,
        max_bytes: options.max_bytes,
        no_wait: true,
        wait: waits.then_some(Wait { expires: options.wait, heartbeat: None }),
    };
    let reply = inbox.reply(0);
    let request = Request { subject: subject.clone().into(), headers: None, payload: pull.body() };
    wire.send(OPERATION, request, Some(reply), wire.request_deadline()).await?;
    let grace = wire.limits.request_timeout.max(GRACE);
    let patience = if waits { options.wait + grace } else { SILENCE.min(grace) };
    let deadline = Instant::now() + patience;
    let filling = fill(&mut inbox, &subject, options.max_messages, messages);
    match tokio::time::timeout_at(deadline, filling).await {
        Ok(filled) => filled,
        Err(_) => Err(silence(OPERATION, &subject).into()),
    }
}

/// Takes what comes of a pull, until it has all or the pull has ended.
async fn fill(
    inbox: &mut Inbox,
    subject: &str,
    most: usize,
    messages: &mut Vec<ConsumerMessage>,
) -> Result<(), Interrupted> {
    while messages.len() < most {
        let message = inbox.answer(OPERATION, subject).await?;
        match Status::read(&message) {
            None => messages.extend(delivery(message)),
            Some(Status::Heartbeat { .. }) => {}
            Some(Status::Empty | Status::Ended { .. }) => break,
            Some(Status::Gone(why)) => return Err(Interrupted::Gone(why)),
            Some(Status::Refused(text)) => return Err(refused(OPERATION, &text).into()),
        }
    }
    Ok(())
}

/// A delivery out of a message; `None` for what is none.
fn delivery(message: Message) -> Option<ConsumerMessage> {
    let reply = message.reply?;
    let facts = AckSubject::parse(&reply)?;
    Some(ConsumerMessage {
        message: StoredMessage {
            subject: message.subject.into_string(),
            sequence: facts.stream_sequence,
            stored_at: facts.stored_at,
            headers: message.headers.as_ref().map(headers::of_delivery).unwrap_or_default(),
            payload: message.payload,
        },
        deliveries: facts.deliveries,
        pending: facts.pending,
        token: AckToken::new(reply.as_str()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_tells_what_its_reply_subject_holds() {
        let message = Message {
            subject: "a.b".into(),
            reply: Some("$JS.ACK.S.c.2.9.7.1700000000000000000.3".into()),
            ..crate::jetstream::ack::tests::reply("x")
        };
        let delivery = delivery(message).unwrap();
        assert_eq!((delivery.deliveries, delivery.pending), (2, 3));
        assert_eq!(delivery.message.sequence, 9);
    }
}
