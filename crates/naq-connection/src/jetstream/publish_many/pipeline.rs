//! The window over the messages that are under way, driven by whoever polls it.

use std::collections::VecDeque;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_nats::message::OutboundMessage;
use async_nats::{Client, Message};
use futures::stream::{Fuse, StreamExt};
use futures::{FutureExt, SinkExt, Stream};
use naq_core::connection::ConnectionState;
use naq_core::jetstream::{PublishAck, PublishMessage, Published};
use naq_core::{BoxStream, Error, Result};
use tokio::time::{Instant, Sleep};

use super::OPERATION;
use super::slot::{Sent, Slot};
use crate::jetstream::NatsJetStream;
use crate::jetstream::ack;
use crate::jetstream::publish::Outbound;
use crate::nats::{Act, Inbox, Nature, Notice, Violation, WorkGuard, denied};

/// How many bytes of messages may wait for their acknowledgement.
const MAX_BYTES_IN_FLIGHT: usize = 16 * 1024 * 1024;

/// How many messages are in flight until one is answered: refusals for want of
/// permission come as events, of which the client keeps 128.
const UNTRUSTED_IN_FLIGHT: usize = 64;

/// How many messages are taken between two looks at what has come.
const TAKEN_AT_ONCE: usize = 64;

/// The window over the messages that are under way.
pub(super) struct Pipeline {
    jetstream: NatsJetStream,
    messages: Fuse<BoxStream<'static, PublishMessage>>,
    client: Client,
    inbox: Inbox,
    window: VecDeque<Slot>,
    /// The number of the window's first message.
    first: u64,
    /// Where in the window the first slot may be that is unsent.
    unsent: usize,
    /// How many are sent and not answered.
    open: usize,
    /// The bytes of what is in the window and not answered.
    bytes: usize,
    /// Whether an answer has come since the last refusal for want of permission.
    trusted: bool,
    /// Why nothing can be sent any more.
    refused: Option<Error>,
    work: WorkGuard,
    /// Rings at the deadline of what was first when it was set.
    timer: Pin<Box<Sleep>>,
}

impl Stream for Pipeline {
    type Item = Result<Published>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(result) = this.pop(cx) {
                return Poll::Ready(Some(result.map(Published::One)));
            }
            let mut moved = this.take_answers(cx);
            moved |= this.take_notices(cx);
            moved |= this.take_messages(cx);
            moved |= this.send(cx);
            moved |= this.expire(cx);
            this.work.set(this.open);
            if this.window.is_empty() && this.messages.is_done() {
                return Poll::Ready(None);
            }
            if !moved {
                return Poll::Pending;
            }
        }
    }
}

impl Pipeline {
    pub(super) fn new(
        jetstream: NatsJetStream,
        inbox: Inbox,
        messages: BoxStream<'static, PublishMessage>,
    ) -> Self {
        let wire = &jetstream.wire;
        Self {
            client: wire.client.clone(),
            work: wire.work.several(),
            messages: messages.fuse(),
            inbox,
            window: VecDeque::new(),
            first: 0,
            unsent: 0,
            open: 0,
            bytes: 0,
            trusted: false,
            refused: None,
            timer: Box::pin(tokio::time::sleep(wire.limits.ack_timeout)),
            jetstream,
        }
    }

    /// The result of the first message, if it is there.
    fn pop(&mut self, cx: &mut Context<'_>) -> Option<Result<PublishAck>> {
        let front = self.window.front_mut()?;
        if let Slot::Checking(check) = front {
            match check.poll_unpin(cx) {
                Poll::Ready(result) => *front = Slot::Done(result),
                Poll::Pending => return None,
            }
        }
        if !matches!(front, Slot::Done(_)) {
            return None;
        }
        match self.window.pop_front()? {
            Slot::Done(result) => {
                self.first += 1;
                self.unsent = self.unsent.saturating_sub(1);
                Some(result)
            }
            _ => None,
        }
    }

    /// Takes the acknowledgements that are here.
    fn take_answers(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        loop {
            match self.inbox.poll_message(cx) {
                Poll::Ready(Some(message)) => {
                    self.answer(&message);
                    moved = true;
                }
                Poll::Ready(None) if self.refused.is_some() => return moved,
                Poll::Ready(None) => {
                    let link = &self.jetstream.wire.link;
                    let error = link.refusal(OPERATION, ConnectionState::Closed);
                    let lost = self.jetstream.wire.lost(OPERATION);
                    self.finish_sent(|_| true, &lost);
                    self.refuse(error);
                    return true;
                }
                Poll::Pending => return moved,
            }
        }
    }

    fn answer(&mut self, message: &Message) {
        self.trusted = true;
        let index = self
            .inbox
            .number(&message.subject)
            .and_then(|number| number.checked_sub(self.first))
            .and_then(|index| usize::try_from(index).ok());
        let slot = index.and_then(|index| self.window.get_mut(index));
        // What was given up may be answered late.
        let Some(slot @ Slot::Sent(_)) = slot else { return };
        let Slot::Sent(sent) = std::mem::replace(slot, Slot::Changing) else {
            return;
        };
        self.open -= 1;
        self.bytes -= sent.bytes;
        *slot = match ack::read(message) {
            Ok(ack) => Slot::Done(Ok(ack)),
            Err(refusal) => Slot::refused(&self.jetstream, sent, refusal),
        };
    }

    fn take_notices(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while let Poll::Ready(notice) = self.inbox.poll_notice(cx) {
            moved = true;
            match notice {
                Notice::Changed => self.look_at_link(),
                Notice::Denied(violation) => self.deny(&violation),
            }
            if self.refused.is_some() {
                break;
            }
        }
        moved
    }

    /// Gives up what went over a connection that is gone.
    fn look_at_link(&mut self) {
        let link = &self.jetstream.wire.link;
        let (state, generation) = (link.state(), link.generation());
        let up = matches!(state, ConnectionState::Connected | ConnectionState::Draining);
        let refusal = link.refusal(OPERATION, state);
        let lost = self.jetstream.wire.lost(OPERATION);
        self.finish_sent(|sent| !up || sent.generation != generation, &lost);
        match state {
            ConnectionState::Draining | ConnectionState::Closed => self.refuse(refusal),
            ConnectionState::AuthFailed => self.finish_unsent(&refusal),
            _ => {}
        }
    }

    fn deny(&mut self, violation: &Violation) {
        let error = denied(OPERATION, violation);
        if self.inbox.is_denied_by(violation) {
            self.finish_sent(|_| true, &error);
            self.refuse(error);
        } else if violation.act == Act::Publish {
            self.trusted = false;
            self.finish_sent(|sent| sent.subject.as_str() == violation.subject, &error);
        }
    }

    /// Ends all that is unsent, and all that comes, with an error.
    fn refuse(&mut self, error: Error) {
        self.finish_unsent(&error);
        self.refused = Some(error);
    }

    fn finish_sent(&mut self, which: impl Fn(&Sent) -> bool, error: &Error) {
        for slot in &mut self.window {
            if let Slot::Sent(sent) = slot
                && which(sent)
            {
                self.open -= 1;
                self.bytes -= sent.bytes;
                *slot = Slot::Done(Err(error.clone()));
            }
        }
    }

    fn finish_unsent(&mut self, error: &Error) {
        for slot in self.window.iter_mut().skip(self.unsent) {
            if let Slot::Unsent { outbound, .. } = slot {
                self.bytes -= outbound.bytes;
                *slot = Slot::Done(Err(error.clone()));
            }
        }
    }

    /// Takes messages as long as there is room.
    fn take_messages(&mut self, cx: &mut Context<'_>) -> bool {
        let wire = &*self.jetstream.wire;
        let deadline = Instant::now() + wire.limits.ack_timeout;
        for taken in 0..TAKEN_AT_ONCE {
            if self.window.len() >= wire.limits.max_in_flight || self.bytes >= MAX_BYTES_IN_FLIGHT {
                return taken > 0;
            }
            let Poll::Ready(Some(message)) = self.messages.poll_next_unpin(cx) else {
                return taken > 0;
            };
            let slot = match &self.refused {
                Some(error) => Slot::Done(Err(error.clone())),
                None => match Outbound::prepare(&self.jetstream, OPERATION, message) {
                    Ok(outbound) => {
                        self.bytes += outbound.bytes;
                        Slot::Unsent { outbound, deadline }
                    }
                    Err(error) => Slot::Done(Err(error)),
                },
            };
            self.window.push_back(slot);
        }
        true
    }

    /// Sends, in order, as long as the client takes it.
    fn send(&mut self, cx: &mut Context<'_>) -> bool {
        let wire = &*self.jetstream.wire;
        if wire.link.state() != ConnectionState::Connected {
            return false;
        }
        let generation = wire.link.generation();
        let deadline = Instant::now() + wire.limits.ack_timeout;
        let mut moved = false;
        while self.trusted || self.open < UNTRUSTED_IN_FLIGHT {
            let Some(slot) = self.window.get_mut(self.unsent) else { break };
            if !matches!(slot, Slot::Unsent { .. }) {
                self.unsent += 1;
                continue;
            }
            match self.client.poll_ready_unpin(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    let error = wire.unsendable(OPERATION, error);
                    self.refuse(error);
                    return true;
                }
                Poll::Pending => break,
            }
            let Slot::Unsent { outbound, .. } = std::mem::replace(slot, Slot::Changing) else {
                break;
            };
            let Outbound { request, bytes, recheck } = outbound;
            let subject = request.subject.clone();
            let message = OutboundMessage {
                subject: request.subject,
                reply: Some(self.inbox.reply(self.first + self.unsent as u64)),
                payload: request.payload,
                headers: request.headers,
            };
            *slot = match self.client.start_send_unpin(message) {
                Ok(()) => {
                    self.open += 1;
                    Slot::Sent(Sent { subject, generation, deadline, bytes, recheck })
                }
                Err(error) => {
                    self.bytes -= bytes;
                    Slot::Done(Err(wire.unsendable(OPERATION, error)))
                }
            };
            self.unsent += 1;
            moved = true;
        }
        moved
    }

    /// Gives up the first message at its deadline; those behind it have later ones.
    fn expire(&mut self, cx: &mut Context<'_>) -> bool {
        let deadline = match self.window.front() {
            Some(Slot::Sent(Sent { deadline, .. }) | Slot::Unsent { deadline, .. }) => *deadline,
            _ => return false,
        };
        if self.timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        if deadline > Instant::now() {
            self.timer.as_mut().reset(deadline);
            // To be woken it must be polled once more.
            return true;
        }
        let wire = &*self.jetstream.wire;
        let Some(front) = self.window.front_mut() else { return false };
        match front {
            Slot::Sent(sent) => {
                self.open -= 1;
                self.bytes -= sent.bytes;
                let error = wire.unanswered(OPERATION, Nature::Change, &sent.subject);
                *front = Slot::Done(Err(error));
            }
            Slot::Unsent { outbound, .. } => {
                self.bytes -= outbound.bytes;
                *front = Slot::Done(Err(wire.link.unavailable(OPERATION)));
            }
            Slot::Checking(_) | Slot::Done(_) | Slot::Changing => {}
        }
        true
    }
}
