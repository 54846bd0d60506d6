//! What the server tells of a batch.

use std::borrow::Cow;

use async_nats::{Message, StatusCode};
use serde::Deserialize;

use crate::jetstream::ack::Refusal;
use crate::jetstream::errors::ApiError;

/// The server doesn't know the batch (any more).
const UNKNOWN_BATCH: u32 = 10_208;

/// One answer of the server.
#[derive(Debug)]
pub(super) enum Told {
    /// All up to this number are stored; the next acknowledgement comes after so many more.
    Ack { number: u64, every: u64 },
    /// A number was missing: the batch ends before it.
    Gap,
    /// The message of this number is not stored: the batch ends before it.
    Refused { number: u64, refusal: Refusal },
    /// The batch has ended; so many of its messages are stored.
    Done { count: u64 },
    /// The server doesn't know the batch (any more).
    Unknown,
    /// What had this number was not taken: a message of the batch, or a word about it.
    NotTaken { number: u64, refusal: Refusal, is_message: bool },
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    msgs: u64,
    #[serde(default)]
    count: Option<u64>,
    #[serde(default)]
    error: Option<ApiError>,
}

impl Told {
    /// Reads an answer; what is none is as good as a message that was not taken.
    pub(super) fn read(message: &Message) -> Self {
        let (number, is_message) = tail(&message.subject);
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return Self::NotTaken { number, refusal: Refusal::NoResponders, is_message };
        }
        let Ok(body) = serde_json::from_slice::<Body<'_>>(&message.payload) else {
            return Self::NotTaken { number, refusal: Refusal::Foreign, is_message };
        };
        match (body.kind.as_deref(), body.error, body.count) {
            (Some("ack"), None, _) => Self::Ack { number: body.seq, every: body.msgs },
            (Some("gap"), None, _) => Self::Gap,
            (Some("err"), Some(error), _) => {
                Self::Refused { number: body.seq, refusal: Refusal::Api(error) }
            }
            (None, Some(error), _) if error.err_code == UNKNOWN_BATCH => Self::Unknown,
            (None, Some(error), _) => {
                Self::NotTaken { number, refusal: Refusal::Api(error), is_message }
            }
            (None, None, Some(count)) => Self::Done { count },
            _ => Self::NotTaken { number, refusal: Refusal::Foreign, is_message },
        }
    }
}

/// The batch that an answer is about, by its subject.
pub(super) fn batch_of(subject: &str) -> Option<&str> {
    subject.rsplit('.').nth(5)
}

/// The number in a reply subject, and whether it is that of a message.
fn tail(subject: &str) -> (u64, bool) {
    let mut tokens = subject.rsplit('.').skip(1);
    let is_message = matches!(tokens.next(), Some("0" | "1"));
    (tokens.next().and_then(|token| token.parse().ok()).unwrap_or(0), is_message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jetstream::ack::tests::reply;

    fn told(payload: &str) -> Told {
        let mut message = reply(payload);
        message.subject = "_INBOX.x.b1.500.fail.7.1.$FI".into();
        Told::read(&message)
    }

    #[test]
    fn each_answer_is_told_apart() {
        assert!(matches!(
            told(r#"{"type":"ack","seq":500,"msgs":250}"#),
            Told::Ack { number: 500, every: 250 }
        ));
        assert!(matches!(told(r#"{"type":"gap","last_seq":2,"seq":4}"#), Told::Gap));
        assert!(matches!(
            told(r#"{"type":"err","seq":4,"error":{"code":503,"err_code":10077}}"#),
            Told::Refused { number: 4, refusal: Refusal::Api(error) } if error.err_code == 10_077
        ));
        assert!(matches!(
            told(r#"{"stream":"S","seq":0,"batch":"b1","count":6}"#),
            Told::Done { count: 6 }
        ));
        assert!(matches!(
            told(r#"{"error":{"code":400,"err_code":10208},"stream":"S","seq":0}"#),
            Told::Unknown
        ));
        assert!(matches!(
            told(r#"{"error":{"code":400,"err_code":10054},"stream":"S","seq":0}"#),
            Told::NotTaken { number: 7, refusal: Refusal::Api(_), is_message: true }
        ));
        for foreign in ["", "{}", "hello", r#"{"stream":"S","seq":9}"#] {
            let told = told(foreign);
            let is_foreign =
                matches!(told, Told::NotTaken { number: 7, refusal: Refusal::Foreign, .. });
            assert!(is_foreign, "{foreign:?}: {told:?}");
        }
        assert_eq!(tail("_INBOX.x.b1.500.fail.9.3.$FI"), (9, false));
        assert_eq!(tail("short"), (0, false));
        assert_eq!(batch_of("_INBOX.x.b1.500.fail.9.3.$FI"), Some("b1"));
        assert_eq!(batch_of("short"), None);
    }
}
