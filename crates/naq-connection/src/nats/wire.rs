//! Requests with a deadline over one connection.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_nats::client::PublishErrorKind;
use async_nats::{Client, HeaderMap, Message, PublishError, Subject};
use bytes::Bytes;
use naq_core::config::ConnectionConfig;
use naq_core::connection::ConnectionState;
use naq_core::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::connect::check_version;
use super::link::Link;
use super::replies::{Answer, Replies, inbox_denied};
use super::violation::{Act, Violation};
use super::work::Work;
use crate::guard::TaskGuard;

/// The deadlines and bounds of one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// For the answer to a question.
    pub(crate) request_timeout: Duration,
    /// For the acknowledgement of a message.
    pub(crate) ack_timeout: Duration,
    /// How many messages may wait for their acknowledgement.
    pub(crate) max_in_flight: usize,
}

impl From<&ConnectionConfig> for Limits {
    fn from(config: &ConnectionConfig) -> Self {
        Self {
            request_timeout: config.request_timeout,
            ack_timeout: config.ack_timeout,
            max_in_flight: config.max_in_flight,
        }
    }
}

/// Whether sending a request twice is harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// It changes nothing: it is asked again after a break; no answer is `Timeout`.
    Question,
    /// It changes something: it is sent once; no answer is `OutcomeUnknown`.
    Change,
}

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) subject: Subject,
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) payload: Bytes,
}

/// One connection as the JetStream adapter sees it.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) client: Client,
    pub(crate) link: Arc<Link>,
    pub(crate) limits: Limits,
    pub(crate) work: Work,
    /// One for each single message that waits for its acknowledgement.
    pub(crate) permits: Semaphore,
    replies: Replies,
    /// The generation whose server's version was last checked.
    checked: AtomicU64,
    _truth: TaskGuard,
}

impl Drop for Wire {
    fn drop(&mut self) {
        // Whoever still listens learns it, and no reconnect goes on for nobody.
        self.link.set(ConnectionState::Closed);
    }
}

impl Wire {
    pub(crate) async fn new(client: Client, link: Arc<Link>, limits: Limits) -> Result<Self> {
        let replies = Replies::open(&client, &link).await?;
        let truth = TaskGuard::spawn({
            let (link, client) = (Arc::clone(&link), client.clone());
            async move { link.keep_true(&client).await }
        });
        Ok(Self {
            client,
            link,
            limits,
            work: Work::default(),
            permits: Semaphore::new(limits.max_in_flight.min(Semaphore::MAX_PERMITS)),
            replies,
            checked: AtomicU64::new(0),
            _truth: truth,
        })
    }

    /// Waits until it is connected to a server that is new enough, and gives the generation.
    pub(crate) async fn connected(
        &self,
        operation: &'static str,
        deadline: Instant,
    ) -> Result<u64> {
        let generation = self.link.connected(operation, deadline).await?;
        if self.checked.load(Ordering::Relaxed) != generation {
            check_version(operation, &self.client.server_info().version, self.link.url())?;
            self.checked.store(generation, Ordering::Relaxed);
        }
        Ok(generation)
    }

    /// When a request that is made now must be answered.
    pub(crate) fn request_deadline(&self) -> Instant {
        Instant::now() + self.limits.request_timeout
    }

    /// Sends a request and waits for the first reply, whatever it says.
    ///
    /// `no_responders` is a reply with status 503.
    ///
    /// # Errors
    /// `Unavailable` (not sent: no connection in time), `AuthFailed`,
    /// `Closed`, `PermissionDenied`, `TooLarge`; without a reply `Timeout` or
    /// `OutcomeUnknown`, by its nature.
    pub(crate) async fn ask(
        &self,
        operation: &'static str,
        request: Request,
        nature: Nature,
        deadline: Instant,
    ) -> Result<Message> {
        loop {
            let generation = self.connected(operation, deadline).await?;
            let _work = (nature == Nature::Change).then(|| self.work.begin());
            let mut place = self.replies.expect(operation, &request.subject, generation)?;
            let reply = place.reply_subject();
            self.send(operation, request.clone(), Some(reply), deadline).await?;
            match tokio::time::timeout_at(deadline, place.answer()).await {
                Ok(Answer::Message(message)) => return Ok(message),
                Ok(Answer::Denied(violation)) => return Err(denied(operation, &violation)),
                Ok(Answer::Lost) if nature == Nature::Question => {
                    // The link learns of a break a moment before or after the place does.
                    if self.link.state() == ConnectionState::Closed {
                        return Err(self.link.refusal(operation, ConnectionState::Closed));
                    }
                    tokio::task::yield_now().await;
                }
                Ok(Answer::Lost) => return Err(self.lost(operation)),
                Err(_) => return Err(self.unanswered(operation, nature, &request.subject)),
            }
        }
    }

    /// Hands a message to the client by a deadline: one that isn't connected takes
    /// only so many.
    ///
    /// # Errors
    /// `Unavailable` where it wasn't taken, and then never will be; `TooLarge` and
    /// `InvalidArgument`.
    pub(crate) async fn send(
        &self,
        operation: &'static str,
        request: Request,
        reply: Option<Subject>,
        deadline: Instant,
    ) -> Result<()> {
        let mut sending = pin!(self.publish(operation, request, reply));
        // A client that has room needs no timer.
        if let Poll::Ready(sent) = futures::poll!(&mut sending) {
            return sent;
        }
        match tokio::time::timeout_at(deadline, sending).await {
            Ok(sent) => sent,
            Err(_) => Err(self.link.unavailable(operation)),
        }
    }

    /// Hands a message to the client, in order with what was handed to it before.
    pub(crate) async fn publish(
        &self,
        operation: &'static str,
        request: Request,
        reply: Option<Subject>,
    ) -> Result<()> {
        let Request { subject, headers, payload } = request;
        let client = &self.client;
        let sent = match (reply, headers) {
            (Some(reply), Some(headers)) => {
                client.publish_with_reply_and_headers(subject, reply, headers, payload).await
            }
            (Some(reply), None) => client.publish_with_reply(subject, reply, payload).await,
            (None, Some(headers)) => client.publish_with_headers(subject, headers, payload).await,
            (None, None) => client.publish(subject, payload).await,
        };
        sent.map_err(|error| self.unsendable(operation, error))
    }

    /// The error of a message that the client didn't take.
    pub(crate) fn unsendable(&self, operation: &'static str, error: PublishError) -> Error {
        match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => {
                Error::new(ErrorKind::TooLarge, operation, "over the server's limit")
                    .with("max_payload", self.client.max_payload().to_string())
                    .with_hint("send less, or raise max_payload on the server")
                    .with_source(error)
            }
            PublishErrorKind::InvalidSubject => {
                Error::invalid(operation, "subject", "must be a valid subject").with_source(error)
            }
            PublishErrorKind::Send => {
                self.link.refusal(operation, ConnectionState::Closed).with_source(error)
            }
        }
    }

    /// The error of a change whose connection broke before its answer.
    pub(crate) fn lost(&self, operation: &'static str) -> Error {
        Error::new(ErrorKind::OutcomeUnknown, operation, "the connection broke before the answer")
            .with("url", self.link.url())
            .with_hint("it may have been carried out: repeat it with the same message id, or look")
    }

    /// The error of a request without an answer at its deadline.
    pub(crate) fn unanswered(
        &self,
        operation: &'static str,
        nature: Nature,
        subject: &str,
    ) -> Error {
        let kind = match nature {
            Nature::Question => ErrorKind::Timeout,
            Nature::Change => ErrorKind::OutcomeUnknown,
        };
        let error = Error::new(kind, operation, "no answer from the server in time")
            .with("subject", subject)
            .with("url", self.link.url());
        match nature {
            Nature::Question => error,
            Nature::Change => error.with_hint(
                "it may have been carried out: repeat it with the same message id, or look",
            ),
        }
    }
}

/// The error of what the server refused for want of permission.
pub(crate) fn denied(operation: &'static str, violation: &Violation) -> Error {
    match violation.act {
        Act::Publish => {
            Error::new(ErrorKind::PermissionDenied, operation, "may not publish to the subject")
                .with("subject", &violation.subject)
                .with_hint("give the user publish permission for this subject on the server")
        }
        Act::Subscribe => inbox_denied(operation, violation.subject.trim_end_matches(['*', '>'])),
    }
}
