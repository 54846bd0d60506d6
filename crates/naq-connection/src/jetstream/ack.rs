//! The acknowledgement of a published message.

use std::borrow::Cow;

use async_nats::{Message, StatusCode};
use naq_core::jetstream::PublishAck;
use naq_core::{Error, ErrorKind, Result};
use serde::Deserialize;

use super::errors::ApiError;

#[derive(Deserialize)]
pub(super) struct AckBody<'a> {
    #[serde(borrow, default)]
    pub(super) stream: Cow<'a, str>,
    #[serde(default)]
    pub(super) seq: u64,
    #[serde(default)]
    duplicate: bool,
    #[serde(default)]
    pub(super) count: Option<u64>,
    #[serde(default)]
    pub(super) error: Option<ApiError>,
}

/// Why a message was not stored.
#[derive(Debug)]
pub(super) enum Refusal {
    /// No stream takes the subject.
    NoResponders,
    /// The server's words.
    Api(ApiError),
    /// Not an acknowledgement: somebody else answers on the subject.
    Foreign,
}

/// Reads an acknowledgement.
pub(super) fn read(message: &Message) -> Result<PublishAck, Refusal> {
    let body = body(message)?;
    Ok(PublishAck {
        stream: body.stream.into_owned(),
        sequence: body.seq,
        duplicate: body.duplicate,
    })
}

/// Reads the body of an acknowledgement that is none of a refusal.
pub(super) fn body(message: &Message) -> Result<AckBody<'_>, Refusal> {
    if message.status == Some(StatusCode::NO_RESPONDERS) {
        return Err(Refusal::NoResponders);
    }
    let mut body: AckBody<'_> =
        serde_json::from_slice(&message.payload).map_err(|_| Refusal::Foreign)?;
    if let Some(error) = body.error.take() {
        return Err(Refusal::Api(error));
    }
    if body.stream.is_empty() {
        return Err(Refusal::Foreign);
    }
    Ok(body)
}

impl Refusal {
    /// The error that a caller sees; `jetstream` is whether the server has it at all.
    pub(super) fn into_error(
        self,
        operation: &'static str,
        subject: &str,
        jetstream: bool,
    ) -> Error {
        match self {
            Self::Api(error) => error.into_error(operation).with("subject", subject),
            Self::NoResponders if !jetstream => no_jetstream(operation),
            Self::NoResponders => {
                Error::new(ErrorKind::NotFound, operation, "no stream takes the subject")
                    .with("subject", subject)
                    .with_hint("create a stream with this subject, or check how it is spelt")
            }
            Self::Foreign => {
                Error::new(ErrorKind::Unexpected, operation, "somebody who is no stream answered")
                    .with("subject", subject)
                    .with_hint("no service may answer requests on a stream's subjects")
            }
        }
    }
}

/// The error of every operation on a server without JetStream.
pub(super) fn no_jetstream(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, operation, "the server runs without JetStream")
        .with_hint("start nats-server with -js, or set jetstream in its configuration")
}

#[cfg(test)]
pub(super) mod tests {
    use bytes::Bytes;

    use super::*;

    pub(in crate::jetstream) fn reply(payload: &str) -> Message {
        Message {
            subject: "_INBOX.x.1".into(),
            reply: None,
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            headers: None,
            status: None,
            description: None,
            length: payload.len(),
        }
    }

    #[test]
    fn an_ack_tells_stream_sequence_and_duplicate() {
        let ack =
            read(&reply(r#"{"stream":"S","domain":"hub","seq":7,"duplicate":true}"#)).unwrap();
        assert_eq!(ack, PublishAck { stream: "S".into(), sequence: 7, duplicate: true });
        let ack = read(&reply(r#"{"stream":"a\"b","seq":7}"#)).unwrap();
        assert_eq!((ack.stream.as_str(), ack.duplicate), ("a\"b", false));
    }

    #[test]
    fn what_is_no_ack_is_an_error() {
        let error = |payload| read(&reply(payload)).unwrap_err().into_error("publish", "a", true);
        let full = r#"{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"S","seq":0}"#;
        assert_eq!(error(full).kind(), ErrorKind::LimitReached);
        for foreign in ["", "{}", "hello", "[]"] {
            assert_eq!(error(foreign).kind(), ErrorKind::Unexpected, "{foreign}");
        }
        let nobody = Message { status: Some(StatusCode::NO_RESPONDERS), ..reply("") };
        let refusal = || read(&nobody).unwrap_err();
        assert_eq!(refusal().into_error("publish", "a", true).kind(), ErrorKind::NotFound);
        assert_eq!(refusal().into_error("publish", "a", false).kind(), ErrorKind::Unsupported);
    }
}
