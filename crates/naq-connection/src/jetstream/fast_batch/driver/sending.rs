//! Sending the messages of a batch, and the words about it.

use std::task::{Context, Poll};

use async_nats::message::OutboundMessage;
use bytes::Bytes;
use futures::SinkExt;
use futures::stream::StreamExt;
use naq_core::Result;
use naq_core::connection::ConnectionState;
use naq_core::jetstream::PublishMessage;
use tokio::time::Instant;

use super::super::batch::Batch;
use super::super::{Operation, reply};
use super::{Course, Driver, MAX_BYTES_IN_FLIGHT, OPERATION, TAKEN_AT_ONCE};
use crate::jetstream::publish::Outbound;

impl Driver {
    /// Sends messages as long as there are some, and room for them.
    pub(super) fn feed(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        for _ in 0..TAKEN_AT_ONCE {
            if !matches!(self.course, Course::Running) || !self.has_room() {
                return moved;
            }
            if self.batch.is_none()
                && self.jetstream.wire.link.state() != ConnectionState::Connected
            {
                return self.hold(cx) || moved;
            }
            match self.client.poll_ready_unpin(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    let error = self.jetstream.wire.unsendable(OPERATION, error);
                    self.over(Some(error));
                    return true;
                }
                Poll::Pending => return moved,
            }
            let message = match self.held.take() {
                Some((message, _)) => message,
                None => match self.messages.poll_next_unpin(cx) {
                    Poll::Ready(Some(message)) => message,
                    Poll::Ready(None) => {
                        self.finish(None);
                        return true;
                    }
                    Poll::Pending => return moved,
                },
            };
            moved = true;
            if let Err(error) = self.send(message) {
                self.finish(Some(error));
            }
        }
        moved
    }

    fn has_room(&self) -> bool {
        self.batch.as_ref().is_none_or(|batch| {
            batch.is_open()
                && batch.unacked() < self.window
                && batch.bytes() < MAX_BYTES_IN_FLIGHT
                && (batch.is_confirmed() || !self.confirm_start)
        })
    }

    /// Without a connection one message is taken, so that it is answered in time.
    fn hold(&mut self, cx: &mut Context<'_>) -> bool {
        if self.held.is_some() {
            return false;
        }
        match self.messages.poll_next_unpin(cx) {
            Poll::Ready(Some(message)) => {
                let until = Instant::now() + self.jetstream.wire.limits.ack_timeout;
                self.held = Some((message, until));
                true
            }
            Poll::Ready(None) => {
                self.finish(None);
                true
            }
            Poll::Pending => false,
        }
    }

    /// Hands a message to the client, which has room for it.
    fn send(&mut self, mut message: PublishMessage) -> Result<()> {
        if self.confirm_start && self.batch.is_some() {
            message.message_id = None;
        }
        let outbound = Outbound::prepare(&self.jetstream, OPERATION, message)?;
        let (operation, number) = match &mut self.batch {
            Some(batch) => (Operation::Append, batch.append(outbound.bytes)),
            None => {
                let generation = self.jetstream.wire.link.generation();
                let part = self.jetstream.parts.begin(&self.id, self.parts, self.stored);
                self.parts += 1;
                self.denied = None;
                let subject = outbound.request.subject.clone();
                let now = Instant::now();
                self.batch = Some(Batch::begin(part, subject, generation, outbound.bytes, now));
                (Operation::Start, 1)
            }
        };
        let request = outbound.request;
        let Some(batch) = &self.batch else { return Ok(()) };
        let message = OutboundMessage {
            subject: request.subject,
            reply: Some(reply(&mut self.inbox, batch.id(), number, operation)),
            payload: request.payload,
            headers: request.headers,
        };
        if let Err(error) = self.client.start_send_unpin(message) {
            let error = self.jetstream.wire.unsendable(OPERATION, error);
            self.over(Some(error));
        }
        Ok(())
    }

    /// Sends a word about the batch. Says whether it could be sent.
    pub(super) fn tell(
        &mut self,
        operation: Operation,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> bool {
        let Some(batch) = &mut self.batch else { return false };
        if self.client.poll_ready_unpin(cx).is_pending() {
            return false;
        }
        let number = match operation {
            Operation::Commit => batch.close(now),
            _ => batch.ask(now),
        };
        let message = OutboundMessage {
            subject: batch.subject().clone(),
            reply: Some(reply(&mut self.inbox, batch.id(), number, operation)),
            payload: Bytes::new(),
            headers: None,
        };
        if let Err(error) = self.client.start_send_unpin(message) {
            let error = self.jetstream.wire.unsendable(OPERATION, error);
            self.over(Some(error));
        }
        true
    }
}
