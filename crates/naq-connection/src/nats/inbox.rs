//! A reply inbox for requests that are answered by more than one message.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_nats::{Message, Subject, Subscriber};
use bytes::{BufMut, BytesMut};
use futures::StreamExt;
use naq_core::connection::ConnectionState;
use naq_core::{Error, ErrorKind, Result};
use tokio::time::Instant;
use tokio_stream::wrappers::BroadcastStream;

use super::link::{Link, Notice};
use super::violation::{Act, Violation};
use super::wire::Wire;

/// Reply subjects are written into chunks of this size, one allocation for many.
const CHUNK: usize = 16 * 1024;

/// What comes to an inbox, or to whoever waits at it.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A message, maybe a status.
    Message(Message),
    /// The connection broke or was closed: what was asked on it is lost.
    Lost,
    /// The server refused something of this connection, maybe not of this inbox's.
    Denied(Arc<Violation>),
}

/// A subscription of its own, under which each reply subject has a number.
#[derive(Debug)]
pub(crate) struct Inbox {
    link: Arc<Link>,
    /// With its last dot.
    prefix: String,
    subscriber: Subscriber,
    notices: BroadcastStream<Notice>,
    chunk: BytesMut,
    /// The connection that counts; another one means that this one was lost.
    generation: u64,
}

impl Inbox {
    /// Waits for a connection and subscribes.
    ///
    /// # Errors
    /// `Unavailable`, `AuthFailed`, `Unsupported` (too old a server) and `Closed`.
    pub(crate) async fn open(
        wire: &Wire,
        operation: &'static str,
        deadline: Instant,
    ) -> Result<Self> {
        let generation = wire.connected(operation, deadline).await?;
        let mut inbox = Self::subscribe(wire, operation, deadline).await?;
        inbox.generation = generation;
        Ok(inbox)
    }

    /// As [`open`](Self::open), for [`reply_of_tokens`](Self::reply_of_tokens).
    pub(crate) async fn open_deep(
        wire: &Wire,
        operation: &'static str,
        deadline: Instant,
    ) -> Result<Self> {
        let generation = wire.connected(operation, deadline).await?;
        let mut inbox = Self::subscribe_to(wire, '>', operation, deadline).await?;
        inbox.generation = generation;
        Ok(inbox)
    }

    /// Subscribes, whether it is connected or not.
    pub(crate) async fn subscribe(
        wire: &Wire,
        operation: &'static str,
        deadline: Instant,
    ) -> Result<Self> {
        Self::subscribe_to(wire, '*', operation, deadline).await
    }

    async fn subscribe_to(
        wire: &Wire,
        wildcard: char,
        operation: &'static str,
        deadline: Instant,
    ) -> Result<Self> {
        let link = Arc::clone(&wire.link);
        let notices = BroadcastStream::new(link.notices());
        let prefix = format!("{}.", wire.client.new_inbox());
        let subscribing = wire.client.subscribe(format!("{prefix}{wildcard}"));
        let subscriber = match tokio::time::timeout_at(deadline, subscribing).await {
            Ok(Ok(subscriber)) => subscriber,
            Ok(Err(error)) => {
                return Err(link.refusal(operation, ConnectionState::Closed).with_source(error));
            }
            Err(_) => return Err(link.unavailable(operation)),
        };
        let generation = link.generation();
        Ok(Self { link, prefix, subscriber, notices, chunk: BytesMut::new(), generation })
    }

    /// The reply subject of a number.
    pub(crate) fn reply(&mut self, number: u64) -> Subject {
        self.reply_of_tokens(&[], number, "")
    }

    /// A reply subject of tokens, each followed by a dot, a number, and what comes behind it.
    pub(crate) fn reply_of_tokens(&mut self, tokens: &[&str], number: u64, tail: &str) -> Subject {
        let tokens_room: usize = tokens.iter().map(|token| token.len() + 1).sum();
        let room = self.prefix.len() + tokens_room + 20 + tail.len();
        if self.chunk.capacity() < room {
            self.chunk.reserve(CHUNK.max(room));
        }
        self.chunk.put_slice(self.prefix.as_bytes());
        for token in tokens {
            self.chunk.put_slice(token.as_bytes());
            self.chunk.put_u8(b'.');
        }
        put_decimal(&mut self.chunk, number);
        self.chunk.put_slice(tail.as_bytes());
        Subject::from_utf8(self.chunk.split().freeze()).expect("text and digits are text")
    }

    /// The number of a reply subject of this inbox.
    pub(crate) fn number(&self, subject: &str) -> Option<u64> {
        subject.strip_prefix(&self.prefix)?.parse().ok()
    }

    /// Whether a refusal is of this inbox's own subscription.
    pub(crate) fn is_denied_by(&self, violation: &Violation) -> bool {
        violation.act == Act::Subscribe && violation.subject.starts_with(&self.prefix)
    }

    /// The next message that is here already; `None` when the client has ended.
    pub(crate) fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.subscriber.poll_next_unpin(cx)
    }

    /// The next notice; one that says to look when some were missed.
    pub(crate) fn poll_notice(&mut self, cx: &mut Context<'_>) -> Poll<Notice> {
        self.notices.poll_next_unpin(cx).map(|notice| match notice {
            Some(Ok(notice)) => notice,
            Some(Err(_)) | None => Notice::Changed,
        })
    }

    /// Whether the connection that counts is gone.
    pub(crate) fn is_lost(&self) -> bool {
        let up =
            matches!(self.link.state(), ConnectionState::Connected | ConnectionState::Draining);
        !up || self.link.generation() != self.generation
    }

    /// The connection that counts.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Waits for what comes next; messages before notices.
    pub(crate) async fn arrival(&mut self) -> Arrival {
        poll_fn(|cx| {
            match self.poll_message(cx) {
                Poll::Ready(Some(message)) => return Poll::Ready(Arrival::Message(message)),
                Poll::Ready(None) => return Poll::Ready(Arrival::Lost),
                Poll::Pending => {}
            }
            loop {
                match self.poll_notice(cx) {
                    Poll::Ready(Notice::Changed) if self.is_lost() => {
                        return Poll::Ready(Arrival::Lost);
                    }
                    Poll::Ready(Notice::Changed) => {}
                    Poll::Ready(Notice::Denied(violation)) => {
                        return Poll::Ready(Arrival::Denied(violation));
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    /// Waits for the next message that answers a request on `subject`.
    ///
    /// # Errors
    /// Those of [`answer`](Self::answer), and `Timeout`.
    pub(crate) async fn message(
        &mut self,
        operation: &'static str,
        subject: &str,
        deadline: Instant,
    ) -> Result<Message> {
        match tokio::time::timeout_at(deadline, self.answer(operation, subject)).await {
            Ok(answer) => answer,
            Err(_) => Err(silence(operation, subject)),
        }
    }

    /// As [`message`](Self::message), for whoever keeps a deadline for several.
    ///
    /// # Errors
    /// `Unavailable` when the connection broke, `PermissionDenied` for a
    /// refusal of the request or the inbox.
    pub(crate) async fn answer(
        &mut self,
        operation: &'static str,
        subject: &str,
    ) -> Result<Message> {
        loop {
            match self.arrival().await {
                Arrival::Message(message) => return Ok(message),
                Arrival::Denied(violation) => {
                    let ours = violation.act == Act::Publish && violation.subject == subject;
                    if ours || self.is_denied_by(&violation) {
                        return Err(super::wire::denied(operation, &violation));
                    }
                }
                Arrival::Lost => {
                    return Err(Error::new(
                        ErrorKind::Unavailable,
                        operation,
                        "the connection broke before the answer",
                    )
                    .with("url", self.link.url()));
                }
            }
        }
    }
}

/// The error of a request that nothing came of.
pub(crate) fn silence(operation: &'static str, subject: &str) -> Error {
    Error::new(ErrorKind::Timeout, operation, "no answer from the server in time")
        .with("subject", subject)
}

fn put_decimal(into: &mut BytesMut, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        // A remainder of ten fits a digit.
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    into.put_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_written_as_they_are_read() {
        for number in [0, 9, 10, 4_096, u64::MAX] {
            let mut text = BytesMut::new();
            put_decimal(&mut text, number);
            assert_eq!(std::str::from_utf8(&text).unwrap(), number.to_string());
        }
    }
}
