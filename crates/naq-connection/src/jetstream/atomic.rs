//! Several messages stored all or none: atomic batches (ADR-50).

use naq_core::jetstream::{BatchAck, PublishMessage};
use naq_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

use super::publish::Outbound;
use super::{NatsJetStream, ack};
use crate::nats::Nature;

const OPERATION: &str = "publish_atomic";

/// What a server takes at most, unless it is configured to take less.
const MAX_MESSAGES: usize = 1_000;

impl NatsJetStream {
    pub(super) async fn publish_batch(&self, messages: Vec<PublishMessage>) -> Result<BatchAck> {
        let wire = &*self.wire;
        if messages.is_empty() || messages.len() > MAX_MESSAGES {
            return Err(Error::invalid(OPERATION, "messages", "must be 1 to 1000 messages")
                .with("messages", messages.len().to_string()));
        }
        let deadline = Instant::now() + wire.limits.request_timeout;
        let generation = wire.connected(OPERATION, deadline).await?;
        if !self.can().atomic_publish {
            return Err(super::too_old(wire, OPERATION, "atomic batches", "2.12"));
        }
        let mut batch = Vec::with_capacity(messages.len());
        for message in messages {
            batch.push(Outbound::prepare(self, OPERATION, message)?);
        }
        let id = super::unique_name(wire);
        let count = batch.len();
        for (index, outbound) in batch.iter_mut().enumerate() {
            let headers = outbound.headers_mut();
            headers.append("Nats-Batch-Id", id.as_str());
            headers.append("Nats-Batch-Sequence", (index + 1).to_string());
            if index + 1 == count {
                headers.append("Nats-Batch-Commit", "1");
            }
        }
        // The server holds them back; the last one commits and is answered for all.
        let Some(last) = batch.pop() else { return Err(incomplete()) };
        let _work = wire.work.begin();
        for outbound in batch {
            wire.send(OPERATION, outbound.request, None, deadline).await?;
        }
        if wire.link.generation() != generation {
            return Err(incomplete());
        }
        let subject = last.request.subject.clone();
        let reply = wire.ask(OPERATION, last.request, Nature::Change, deadline).await?;
        let body = ack::body(&reply).map_err(|refusal| {
            let jetstream = wire.client.server_info().jetstream;
            refusal.into_error(OPERATION, &subject, jetstream)
        })?;
        if body.count != Some(count as u64) {
            return Err(Error::new(
                ErrorKind::Unexpected,
                OPERATION,
                "the server acknowledged another number of messages than the batch has",
            )
            .with("stream", body.stream.clone())
            .with("messages", count.to_string())
            .with("acknowledged", body.count.unwrap_or_default().to_string()));
        }
        Ok(BatchAck {
            stream: body.stream.clone().into_owned(),
            sequence: body.seq,
            count: count as u64,
        })
    }
}

/// The connection broke before the commit was sent: the server forgets the batch.
fn incomplete() -> Error {
    Error::new(ErrorKind::Unavailable, OPERATION, "the connection broke before the commit")
        .with_hint("nothing was stored: publish the batch again")
}
