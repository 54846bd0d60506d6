//! Publishing one message.

use async_nats::{HeaderMap, Subject};
use bytestring::ByteString;
use naq_core::jetstream::{
    GetMessage, JetStream, PublishAck, PublishMessage, StoredMessage, Which, check_subject,
};
use naq_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

use super::ack::{self, Refusal};
use super::errors::WRONG_LAST_SEQUENCE;
use super::{NatsJetStream, headers};
use crate::nats::{Nature, Request, Wire};

const OPERATION: &str = "publish";

/// A message as the client takes it.
#[derive(Debug)]
pub(super) struct Outbound {
    pub(super) request: Request,
    /// Payload and headers, in bytes.
    pub(super) bytes: usize,
    /// What to look for when an expected sequence doesn't hold.
    pub(super) recheck: Option<Box<Recheck>>,
}

/// What tells a message that lost a race from one that had been stored before.
#[derive(Debug, Clone)]
pub(super) struct Recheck {
    subject: String,
    message_id: String,
    stream: Option<String>,
}

impl Outbound {
    /// Checks a message and makes it ready to be sent.
    pub(super) fn prepare(
        jetstream: &NatsJetStream,
        operation: &'static str,
        mut message: PublishMessage,
    ) -> Result<Self> {
        let wire = &*jetstream.wire;
        check_subject(operation, &message.subject)?;
        if message.ttl.is_some() && !jetstream.can().message_ttl {
            return Err(super::too_old(wire, operation, "a TTL of one message", "2.11"));
        }
        let recheck = Recheck::of(&message);
        let (headers, header_bytes) = headers::of_message(operation, &mut message)?.unzip();
        let bytes = message.payload.len() + header_bytes.unwrap_or_default();
        check_size(wire, operation, bytes)?;
        let PublishMessage { subject, payload, .. } = message;
        let request = Request { subject: shared(operation, subject)?, headers, payload };
        Ok(Self { request, bytes, recheck })
    }

    /// Adds a header that the way of publishing needs.
    pub(super) fn headers_mut(&mut self) -> &mut HeaderMap {
        self.request.headers.get_or_insert_with(HeaderMap::new)
    }
}

impl Recheck {
    fn of(message: &PublishMessage) -> Option<Box<Self>> {
        let expected = &message.expected;
        if expected.last_sequence.is_none() && expected.last_subject_sequence.is_none() {
            return None;
        }
        Some(Box::new(Self {
            subject: message.subject.to_string(),
            message_id: message.message_id.clone()?,
            stream: expected.stream.clone(),
        }))
    }

    /// Whether the last message on the subject is this one after all: then it
    /// was stored by an earlier try, and the acknowledgement says duplicate.
    ///
    /// A server tests expectations before ids on a single node and after them
    /// in a cluster; a caller must not see the difference.
    pub(super) async fn look(&self, jetstream: &NatsJetStream, error: Error) -> Result<PublishAck> {
        match self.find(jetstream).await {
            Ok(Some((stream, stored))) => {
                Ok(PublishAck { stream, sequence: stored.sequence, duplicate: true })
            }
            Ok(None) => Err(error),
            Err(doubt) => Err(Error::new(
                ErrorKind::OutcomeUnknown,
                error.operation(),
                "an expected sequence didn't hold, and whether an earlier try did it can't be read",
            )
            .with("subject", &self.subject)
            .with_source(doubt)),
        }
    }

    async fn find(&self, jetstream: &NatsJetStream) -> Result<Option<(String, StoredMessage)>> {
        let stream = match &self.stream {
            Some(stream) => stream.clone(),
            None => match jetstream.stream_of_subject(OPERATION, &self.subject).await? {
                Some(stream) => stream,
                None => return Ok(None),
            },
        };
        let last = GetMessage::new(Which::LastBySubject(self.subject.clone()));
        match jetstream.get_message(&stream, last).await {
            Ok(stored) if stored.headers.get("Nats-Msg-Id") == Some(&self.message_id) => {
                Ok(Some((stream, stored)))
            }
            Ok(_) => Ok(None),
            Err(error) if error.is(ErrorKind::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether the server's words mean that an expected sequence didn't hold.
pub(super) fn is_wrong_sequence(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Api(error) if WRONG_LAST_SEQUENCE.contains(&error.err_code))
}

/// The client's form of a subject, which shares its bytes.
fn shared(operation: &'static str, subject: ByteString) -> Result<Subject> {
    Subject::from_utf8(subject.into_bytes()).map_err(|error| {
        Error::invalid(operation, "subject", "must be UTF-8 text").with_source(error)
    })
}

fn check_size(wire: &Wire, operation: &'static str, bytes: usize) -> Result<()> {
    let limit = wire.client.max_payload();
    if bytes <= limit {
        return Ok(());
    }
    Err(Error::new(ErrorKind::TooLarge, operation, "over the server's limit")
        .with("bytes", bytes.to_string())
        .with("max_payload", limit.to_string())
        .with_hint("send less, or raise max_payload on the server"))
}

impl NatsJetStream {
    pub(super) async fn publish_one(&self, message: PublishMessage) -> Result<PublishAck> {
        let wire = &*self.wire;
        let deadline = Instant::now() + wire.limits.ack_timeout;
        // Limits and capabilities are known once it is connected.
        wire.connected(OPERATION, deadline).await?;
        let outbound = Outbound::prepare(self, OPERATION, message)?;
        let permit = match tokio::time::timeout_at(deadline, wire.permits.acquire()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(wire.link.unavailable(OPERATION)),
            Err(_) => {
                return Err(Error::new(
                    ErrorKind::LimitReached,
                    OPERATION,
                    "too many messages wait for their acknowledgement",
                )
                .with("max_in_flight", wire.limits.max_in_flight.to_string())
                .with_hint(
                    "the server is slower than what is published: wait, or raise max_in_flight",
                ));
            }
        };
        let subject = outbound.request.subject.clone();
        let reply = wire.ask(OPERATION, outbound.request, Nature::Change, deadline).await?;
        drop(permit);
        let refusal = match ack::read(&reply) {
            Ok(ack) => return Ok(ack),
            Err(refusal) => refusal,
        };
        let wrong_sequence = is_wrong_sequence(&refusal);
        let jetstream = wire.client.server_info().jetstream;
        let error = refusal.into_error(OPERATION, &subject, jetstream);
        match outbound.recheck {
            Some(recheck) if wrong_sequence => recheck.look(self, error).await,
            _ => Err(error),
        }
    }

    /// The stream that takes a subject.
    pub(super) async fn stream_of_subject(
        &self,
        operation: &'static str,
        subject: &str,
    ) -> Result<Option<String>> {
        #[derive(serde::Deserialize)]
        struct Names {
            #[serde(default)]
            streams: Option<Vec<String>>,
        }
        let body = serde_json::json!({ "subject": subject });
        let names: Names =
            super::api::call(&self.wire, operation, "STREAM.NAMES", &body, Nature::Question)
                .await?;
        Ok(names.streams.unwrap_or_default().into_iter().next())
    }
}
