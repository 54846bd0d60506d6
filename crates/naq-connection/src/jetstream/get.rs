//! One stored message by what is known of it.

use async_nats::{Message, StatusCode};
use bytes::Bytes;
use data_encoding::BASE64;
use naq_core::jetstream::{
    Consistency, GetMessage, NO_MESSAGE, StoredMessage, Which, check_filter, check_name,
};
use naq_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{NatsJetStream, api, headers, time};
use crate::nats::{Nature, Request};

const OPERATION: &str = "get_message";

impl NatsJetStream {
    pub(super) async fn get_one(&self, stream: &str, request: GetMessage) -> Result<StoredMessage> {
        check_name(OPERATION, "stream", stream)?;
        check(&request.which)?;
        if request.consistency == Consistency::Any
            && let Some(answer) = self.get_direct(stream, &request.which).await?
        {
            return answer;
        }
        self.get_from_leader(stream, &request.which).await
    }

    /// Asks the stream's leader.
    async fn get_from_leader(&self, stream: &str, which: &Which) -> Result<StoredMessage> {
        #[derive(Deserialize)]
        struct Answer {
            message: RawMessage,
        }
        let subject = format!("STREAM.MSG.GET.{stream}");
        let body = body(which);
        let answer: Answer = api::call(&self.wire, OPERATION, &subject, &body, Nature::Question)
            .await
            .map_err(|error| about(error, stream, which))?;
        answer.message.into_stored()
    }

    /// Asks any replica; `None` where the stream doesn't allow it, or isn't there.
    async fn get_direct(
        &self,
        stream: &str,
        which: &Which,
    ) -> Result<Option<Result<StoredMessage>>> {
        let request = match which {
            // By the subject, which is what rights are given on.
            Which::LastBySubject(subject) if !subject.contains(['*', '>']) => Request {
                subject: format!("{}.DIRECT.GET.{stream}.{subject}", api::PREFIX).into(),
                headers: None,
                payload: Bytes::new(),
            },
            which => Request {
                subject: format!("{}.DIRECT.GET.{stream}", api::PREFIX).into(),
                headers: None,
                payload: body(which).to_string().into(),
            },
        };
        let deadline = self.wire.request_deadline();
        let message = self.wire.ask(OPERATION, request, Nature::Question, deadline).await?;
        Ok(match message.status {
            Some(StatusCode::NO_RESPONDERS) => None,
            _ => Some(direct_answer(message).map_err(|error| about(error, stream, which))),
        })
    }
}

fn check(which: &Which) -> Result<()> {
    match which {
        Which::Sequence(0) => Err(Error::invalid(OPERATION, "sequence", "must be at least 1")),
        Which::Sequence(_) => Ok(()),
        Which::LastBySubject(subject) | Which::NextBySubject { subject, .. } => {
            check_filter(OPERATION, subject)
        }
    }
}

fn body(which: &Which) -> Value {
    match which {
        Which::Sequence(sequence) => json!({ "seq": sequence }),
        Which::LastBySubject(subject) => json!({ "last_by_subj": subject }),
        Which::NextBySubject { subject, sequence } => {
            // The server takes an absent or zero sequence for a malformed request.
            json!({ "seq": (*sequence).max(1), "next_by_subj": subject })
        }
    }
}

fn about(error: Error, stream: &str, which: &Which) -> Error {
    let error = error.with("stream", stream);
    match which {
        Which::Sequence(sequence) => error.with("sequence", sequence.to_string()),
        Which::LastBySubject(subject) => error.with("subject", subject),
        Which::NextBySubject { subject, sequence } => {
            error.with("subject", subject).with("from", sequence.to_string())
        }
    }
}

/// A message as the API tells it.
#[derive(Debug, Deserialize)]
struct RawMessage {
    subject: String,
    seq: u64,
    #[serde(default)]
    hdrs: Option<String>,
    #[serde(default)]
    data: Option<String>,
    time: String,
}

impl RawMessage {
    fn into_stored(self) -> Result<StoredMessage> {
        let decoded = |text: Option<String>| {
            BASE64.decode(text.unwrap_or_default().as_bytes()).map_err(|error| {
                Error::new(ErrorKind::Unexpected, OPERATION, "the server's answer can't be read")
                    .with_source(error)
            })
        };
        Ok(StoredMessage {
            subject: self.subject,
            sequence: self.seq,
            stored_at: time::required(OPERATION, &self.time)?,
            headers: headers::of_block(&decoded(self.hdrs)?),
            payload: decoded(self.data)?.into(),
        })
    }
}

/// Reads the answer of a direct get, one message of a batch included.
pub(super) fn direct_answer(message: Message) -> Result<StoredMessage> {
    if let Some(status) = message.status {
        return Err(direct_refusal(status, message.description.as_deref()));
    }
    let odd = |what: &'static str| {
        Error::new(ErrorKind::Unexpected, OPERATION, "a direct get was answered without its header")
            .with("header", what)
    };
    let map = message.headers.as_ref().ok_or_else(|| odd("any"))?;
    let text = |name: &'static str| {
        map.get(name).map(async_nats::HeaderValue::as_str).ok_or_else(|| odd(name))
    };
    Ok(StoredMessage {
        subject: text("Nats-Subject")?.to_owned(),
        sequence: text("Nats-Sequence")?.parse().map_err(|_| odd("Nats-Sequence"))?,
        stored_at: time::required(OPERATION, text("Nats-Time-Stamp")?)?,
        headers: headers::of_direct_get(map),
        payload: message.payload,
    })
}

/// The error of a direct get that ended in a status.
pub(super) fn direct_refusal(status: StatusCode, description: Option<&str>) -> Error {
    let (kind, message) = match status.as_u16() {
        404 => (ErrorKind::NotFound, "no message found"),
        408 => (ErrorKind::InvalidArgument, "the server doesn't understand the request"),
        413 => (ErrorKind::LimitReached, "too many subjects match"),
        503 => (ErrorKind::Unavailable, "nobody answers for the stream at the moment"),
        _ => (ErrorKind::Unexpected, "the server answered with a status that is not known"),
    };
    let error = Error::new(kind, OPERATION, message)
        .with("status", format!("{} {}", status.as_u16(), description.unwrap_or_default()));
    // A direct get has no code of its own; a missing message is told like any other.
    match kind {
        ErrorKind::NotFound => error.with("error_code", NO_MESSAGE.to_string()),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_the_api_is_read() {
        let raw: RawMessage = serde_json::from_value(json!({
            "subject": "a.b", "seq": 7, "time": "2026-01-02T03:04:05.000000001Z",
            "hdrs": BASE64.encode(b"NATS/1.0\r\nA: 1\r\n\r\n"), "data": BASE64.encode(b"hello"),
        }))
        .unwrap();
        let stored = raw.into_stored().unwrap();
        assert_eq!((stored.sequence, &stored.payload[..]), (7, &b"hello"[..]));
        assert_eq!(stored.headers.get("A"), Some("1"));
        assert_eq!(stored.stored_at.as_nanos() % 1_000, 1);
    }

    #[test]
    fn a_direct_answer_loses_the_headers_of_the_get() {
        let mut map = async_nats::HeaderMap::new();
        for (name, value) in [
            ("Nats-Stream", "S"),
            ("Nats-Subject", "a.b"),
            ("Nats-Sequence", "9"),
            ("Nats-Time-Stamp", "2026-01-02T03:04:05Z"),
            ("Mine", "1"),
        ] {
            map.append(name, value);
        }
        let reply = crate::jetstream::ack::tests::reply("x");
        let stored = direct_answer(Message { headers: Some(map), ..reply.clone() }).unwrap();
        assert_eq!((stored.subject.as_str(), stored.sequence), ("a.b", 9));
        assert_eq!(stored.headers.iter().collect::<Vec<_>>(), [("Mine", "1")]);
        let missing = Message { status: Some(StatusCode::NOT_FOUND), ..reply };
        assert_eq!(direct_answer(missing).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
