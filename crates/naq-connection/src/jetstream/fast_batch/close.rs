//! Fencing a batch off, and learning what is stored of it.

use async_nats::Subject;
use bytes::Bytes;
use naq_core::Result;
use naq_core::jetstream::{check_batch_id, check_subject};

use super::told::Told;
use super::{Operation, check_can, reply};
use crate::jetstream::NatsJetStream;
use crate::nats::{Inbox, Request};

const OPERATION: &str = "close_fast_batch";

/// Commits a batch with a number beyond all that was sent.
///
/// The server finds a gap before it, and ends the batch with what it has. It
/// knows it no more then, so that nothing can be appended that comes late.
pub(in crate::jetstream) async fn close(
    jetstream: &NatsJetStream,
    subject: &str,
    batch: &str,
    beyond: u64,
) -> Result<Option<u64>> {
    check_subject(OPERATION, subject)?;
    check_batch_id(OPERATION, batch)?;
    let wire = &*jetstream.wire;
    let deadline = wire.request_deadline();
    wire.connected(OPERATION, deadline).await?;
    check_can(jetstream, OPERATION)?;
    let part = jetstream.parts.last(batch);
    let mut inbox = Inbox::open_deep(wire, OPERATION, deadline).await?;
    // A commit alone can't be the first of a batch.
    let number = beyond.saturating_sub(part.before).clamp(2, u64::MAX - 1);
    let to = reply(&mut inbox, &part.id, number, Operation::Commit);
    let request = Request { subject: Subject::from(subject), headers: None, payload: Bytes::new() };
    match tokio::time::timeout_at(deadline, wire.publish(OPERATION, request, Some(to))).await {
        Ok(sent) => sent?,
        Err(_) => return Err(wire.link.unavailable(OPERATION)),
    }
    loop {
        let message = inbox.message(OPERATION, subject, deadline).await?;
        match Told::read(&message) {
            Told::Done { count } => {
                jetstream.parts.forget(batch);
                return Ok(Some(part.before.saturating_add(count)));
            }
            Told::Unknown => return Ok(None),
            Told::NotTaken { refusal, .. } | Told::Refused { refusal, .. } => {
                let with_jetstream = wire.client.server_info().jetstream;
                return Err(refusal.into_error(OPERATION, subject, with_jetstream));
            }
            Told::Ack { .. } | Told::Gap => {}
        }
    }
}
