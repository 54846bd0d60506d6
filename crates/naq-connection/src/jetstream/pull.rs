//! Pulling from a consumer: what is asked, and what the server says beside messages.

use std::time::Duration;

use async_nats::{HeaderMap, Message};
use bytes::Bytes;
use naq_core::{Error, ErrorKind};
use serde_json::{Map, Value};

use super::time::nanos;

/// One request for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pull {
    /// How many messages at most.
    pub(super) batch: u64,
    /// How many bytes at most; 0 is without limit.
    pub(super) max_bytes: u64,
    /// Whether it ends when all that is there has been delivered; with a wait,
    /// when something has been.
    pub(super) no_wait: bool,
    /// How long the request stands, and how often the server shows that it does.
    pub(super) wait: Option<Wait>,
}

/// How long a request stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait {
    pub(super) expires: Duration,
    pub(super) heartbeat: Option<Duration>,
}

impl Pull {
    pub(super) fn body(&self) -> Bytes {
        let mut body = Map::new();
        body.insert("batch".into(), self.batch.into());
        if self.max_bytes > 0 {
            body.insert("max_bytes".into(), self.max_bytes.into());
        }
        if self.no_wait {
            body.insert("no_wait".into(), true.into());
        }
        if let Some(wait) = self.wait {
            body.insert("expires".into(), nanos(wait.expires).into());
            if let Some(heartbeat) = wait.heartbeat {
                body.insert("idle_heartbeat".into(), nanos(heartbeat).into());
            }
        }
        Value::Object(body).to_string().into()
    }
}

/// What the server says at a pull's reply subject that is no message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// The request stands.
    Heartbeat {
        /// The consumer's last delivery.
        consumer: Option<u64>,
        /// What the consumer has examined, at least.
        stream: Option<u64>,
    },
    /// Nothing more is there at the moment.
    Empty,
    /// The request has ended, with so many messages missing (`None`: none were delivered).
    Ended { missing: Option<u64> },
    /// The consumer is gone, or nobody answers for it.
    Gone(String),
    /// The server doesn't understand or allow the request.
    Refused(String),
}

impl Status {
    /// Reads a status; `None` for a message.
    pub(super) fn read(message: &Message) -> Option<Self> {
        let status = message.status?;
        let text = message.description.clone().unwrap_or_default();
        let number = |name| header_number(message.headers.as_ref(), name);
        Some(match status.as_u16() {
            100 => Self::Heartbeat {
                consumer: number("Nats-Last-Consumer"),
                stream: number("Nats-Last-Stream"),
            },
            404 => Self::Empty,
            408 => Self::Ended { missing: number("Nats-Pending-Messages") },
            409 if text.contains("Completed")
                || text.contains("MaxBytes") && !text.contains("MaxRequest") =>
            {
                Self::Ended { missing: number("Nats-Pending-Messages") }
            }
            409 if text.contains("Exceeded") || text.contains("push based") => Self::Refused(text),
            409 => Self::Gone(text),
            503 => Self::Gone("nobody answers".to_owned()),
            code => Self::Refused(format!("{code} {text}")),
        })
    }
}

/// The error of a request that the server doesn't understand or allow.
pub(super) fn refused(operation: &'static str, text: &str) -> Error {
    if text.contains("MaxWaiting") {
        // As many pulls wait as the consumer allows: each ends some time.
        return Error::new(ErrorKind::LimitReached, operation, "too many pulls wait")
            .with("status", text)
            .with_hint("fewer members at a time, or a consumer with a higher max_waiting");
    }
    Error::new(ErrorKind::InvalidArgument, operation, "the server refuses the pull")
        .with("status", text)
        .with_hint("the consumer's max_request limits may forbid it")
}

fn header_number(headers: Option<&HeaderMap>, name: &'static str) -> Option<u64> {
    headers?.get(name)?.as_str().parse().ok()
}

#[cfg(test)]
mod tests {
    use async_nats::StatusCode;

    use super::*;
    use crate::jetstream::ack::tests::reply;

    fn status(code: u16, text: &str, headers: &[(&'static str, &str)]) -> Status {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, *value);
        }
        let message = Message {
            status: Some(StatusCode::from_u16(code).unwrap()),
            description: Some(text.to_owned()),
            headers: Some(map),
            ..reply("")
        };
        Status::read(&message).unwrap()
    }

    #[test]
    fn statuses_are_told_apart() {
        let pending = [("Nats-Pending-Messages", "17")];
        assert_eq!(
            status(
                100,
                "Idle Heartbeat",
                &[("Nats-Last-Consumer", "3"), ("Nats-Last-Stream", "9")]
            ),
            Status::Heartbeat { consumer: Some(3), stream: Some(9) }
        );
        assert_eq!(status(404, "No Messages", &[]), Status::Empty);
        assert_eq!(status(408, "Request Timeout", &pending), Status::Ended { missing: Some(17) });
        assert_eq!(status(408, "Requests Pending", &[]), Status::Ended { missing: None });
        for text in ["Batch Completed", "Message Size Exceeds MaxBytes"] {
            assert_eq!(status(409, text, &pending), Status::Ended { missing: Some(17) });
        }
        for text in ["Consumer Deleted", "Leadership Change", "Server Shutdown"] {
            assert_eq!(status(409, text, &[]), Status::Gone(text.into()));
        }
        assert!(matches!(status(409, "Exceeded MaxRequestBatch of 5", &[]), Status::Refused(_)));
        assert!(matches!(status(409, "Exceeded MaxRequestMaxBytes of 5", &[]), Status::Refused(_)));
        assert!(matches!(status(400, "Bad Request", &[]), Status::Refused(_)));
        assert!(Status::read(&reply("x")).is_none());
    }

    #[test]
    fn a_pull_too_many_may_be_asked_again() {
        let full = Status::read(&Message {
            status: Some(StatusCode::from_u16(409).unwrap()),
            description: Some("Exceeded MaxWaiting".to_owned()),
            ..reply("")
        });
        let Some(Status::Refused(text)) = full else { panic!("{full:?}") };
        assert_eq!(refused("fetch", &text).kind(), ErrorKind::LimitReached);
    }

    #[test]
    fn a_pull_waits_or_says_that_it_does_not() {
        let pull = Pull { batch: 5, max_bytes: 0, no_wait: true, wait: None };
        assert_eq!(&pull.body()[..], br#"{"batch":5,"no_wait":true}"#);
        let wait = Wait { expires: Duration::from_secs(1), heartbeat: None };
        let pull = Pull { batch: 5, max_bytes: 9, no_wait: false, wait: Some(wait) };
        assert_eq!(&pull.body()[..], br#"{"batch":5,"max_bytes":9,"expires":1000000000}"#);
    }
}
