//! What a message asks of a stream, beside being stored.

use std::time::Duration;

use bytes::Bytes;
use naq_core::Timestamp;
use naq_core::jetstream::{
    Expected, Headers, MessageTtl, PublishMessage, ServerVersion, Storage, StoredMessage,
};

use super::refusal::Refusal;
use super::store::Life;
use super::wire;

/// What a rollup header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rollup {
    /// To be the only message on its subject.
    Subject,
    /// To be the only message.
    All,
}

/// A message as it arrives at a stream.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) subject: String,
    pub(crate) payload: Bytes,
    pub(crate) headers: Headers,
    pub(crate) header_bytes: u64,
    pub(crate) message_id: Option<String>,
    pub(crate) expected: Expected,
    pub(crate) ttl: Option<MessageTtl>,
    /// The header's text where it is none that is known.
    pub(crate) rollup: Option<Result<Rollup, String>>,
}

impl Request {
    /// Checks what can be checked without a stream.
    pub(crate) fn new(
        message: PublishMessage,
        version: ServerVersion,
        max_payload: u64,
    ) -> Result<Self, Refusal> {
        match message.ttl {
            Some(_) if !version.at_least(2, 11) => {
                return Err(Refusal::Version {
                    option: "a TTL of one message",
                    needs: "2.11",
                    version: version.to_string(),
                });
            }
            Some(MessageTtl::After(ttl)) if ttl.subsec_nanos() > 0 || ttl.is_zero() => {
                return Err(Refusal::invalid("ttl", "must be whole seconds, at least one"));
            }
            _ => {}
        }
        wire::check_headers(&message)?;
        let headers = wire::headers(&message);
        let request = Self {
            header_bytes: wire::header_bytes(&headers),
            rollup: rollup(&headers),
            headers,
            subject: message.subject.to_string(),
            payload: message.payload,
            message_id: message.message_id,
            expected: message.expected,
            ttl: message.ttl,
        };
        let bytes = request.bytes();
        if request.header_bytes > wire::MAX_HEADER_BYTES {
            let limit = wire::MAX_HEADER_BYTES;
            return Err(Refusal::TooLarge { what: "headers", bytes: request.header_bytes, limit });
        }
        if bytes > max_payload {
            return Err(Refusal::TooLarge { what: "max_payload", bytes, limit: max_payload });
        }
        Ok(request)
    }

    /// Adds a header that the way of publishing needs.
    pub(crate) fn add_header(&mut self, name: &'static str, value: String) {
        self.headers.append(name, value);
        self.header_bytes = wire::header_bytes(&self.headers);
    }

    /// Headers and payload together.
    pub(crate) fn bytes(&self) -> u64 {
        self.header_bytes + self.payload.len() as u64
    }

    /// Its share of a stream's bytes.
    pub(crate) fn size(&self, storage: Storage) -> u64 {
        wire::stored_bytes(storage, self.subject.len(), self.header_bytes, self.payload.len())
    }

    /// The message as it is stored, how large, and how long it lives.
    ///
    /// A TTL is at least `least_ttl`: markers could be missed otherwise.
    pub(crate) fn into_stored(
        mut self,
        storage: Storage,
        least_ttl: Duration,
        now: Timestamp,
    ) -> (StoredMessage, u64, Life) {
        let life = match self.ttl {
            None => Life::Limits,
            Some(MessageTtl::Never) => Life::Forever,
            Some(MessageTtl::After(ttl)) => {
                if ttl < least_ttl {
                    self.raise_ttl(least_ttl);
                }
                Life::Until(now.saturating_add(ttl.max(least_ttl)))
            }
        };
        let size = self.size(storage);
        let message = StoredMessage {
            subject: self.subject,
            sequence: 0,
            stored_at: now,
            headers: self.headers,
            payload: self.payload,
        };
        (message, size, life)
    }

    fn raise_ttl(&mut self, ttl: Duration) {
        self.headers = self
            .headers
            .iter()
            .filter(|(name, _)| *name != wire::TTL)
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .chain([(wire::TTL.to_owned(), ttl.as_secs().to_string())])
            .collect();
        self.header_bytes = wire::header_bytes(&self.headers);
    }
}

fn rollup(headers: &Headers) -> Option<Result<Rollup, String>> {
    match headers.get(wire::ROLLUP)? {
        "" => None,
        wire::ROLLUP_SUBJECT => Some(Ok(Rollup::Subject)),
        wire::ROLLUP_ALL => Some(Ok(Rollup::All)),
        other => Some(Err(other.to_owned())),
    }
}
