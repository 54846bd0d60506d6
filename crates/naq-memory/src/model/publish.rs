//! Storing a message: expectations, duplicates, limits, rollups, in the server's order.

use std::time::Duration;

use naq_core::Timestamp;
use naq_core::jetstream::{Headers, MessageTtl, PublishAck, PublishMessage, StoredMessage};

use super::refusal::Refusal;
use super::store::Life;
use super::stream::Stream;
use super::wire;

/// What a rollup header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rollup {
    Subject,
    All,
}

/// How long a message asks to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ttl {
    Seconds(u64),
    Never,
}

/// What a message asks of the stream, read from its headers as the server reads them.
#[derive(Debug)]
pub(crate) struct Request {
    subject: String,
    payload: bytes::Bytes,
    headers: Headers,
    header_bytes: u64,
    pub(crate) message_id: Option<String>,
    expected_stream: Option<String>,
    pub(crate) expected_last_sequence: Option<u64>,
    expected_last_subject_sequence: Option<u64>,
    pub(crate) expected_last_message_id: Option<String>,
    ttl: Result<Option<Ttl>, Refusal>,
    rollup: Option<Result<Rollup, String>>,
}

impl Request {
    /// Reads a message whose subject and headers have been checked.
    pub(crate) fn new(message: PublishMessage) -> Self {
        let headers = wire::headers(&message);
        let text = |name| headers.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
        let number = |name: &str| headers.get(name).and_then(|value| value.parse().ok());
        // The common message has no header of the server's, or an id alone.
        let own = headers.iter().any(|(name, _)| name.starts_with("Nats-"));
        let (mut ttl, mut rollup) = (Ok(None), None);
        if own {
            ttl = headers.get(wire::TTL).filter(|ttl| !ttl.is_empty()).map(parse_ttl).transpose();
            rollup =
                headers.get(wire::ROLLUP).filter(|value| !value.is_empty()).map(
                    |value| match value {
                        wire::ROLLUP_SUBJECT => Ok(Rollup::Subject),
                        wire::ROLLUP_ALL => Ok(Rollup::All),
                        other => Err(other.to_owned()),
                    },
                );
        }
        Self {
            message_id: text(wire::MESSAGE_ID),
            expected_stream: text(wire::EXPECTED_STREAM),
            expected_last_sequence: number(wire::EXPECTED_LAST_SEQUENCE),
            expected_last_subject_sequence: number(wire::EXPECTED_LAST_SUBJECT_SEQUENCE),
            expected_last_message_id: text(wire::EXPECTED_LAST_MESSAGE_ID),
            ttl,
            rollup,
            header_bytes: wire::header_bytes(&headers),
            headers,
            subject: message.subject,
            payload: message.payload,
        }
    }

    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// Headers and payload together.
    pub(crate) fn bytes(&self) -> u64 {
        self.header_bytes + self.payload.len() as u64
    }
}

/// A TTL as a header has it: `never`, Go's duration or whole seconds.
fn parse_ttl(text: &str) -> Result<Ttl, Refusal> {
    if text.eq_ignore_ascii_case("never") {
        return Ok(Ttl::Never);
    }
    let seconds = match text.parse::<u64>() {
        Ok(0) => return Ok(Ttl::Seconds(0)),
        Ok(seconds) => seconds,
        Err(_) => parse_go_duration(text).ok_or(Refusal::TtlInvalid)?.as_secs(),
    };
    if seconds == 0 { Err(Refusal::TtlInvalid) } else { Ok(Ttl::Seconds(seconds)) }
}

/// Go's notation of a duration that isn't negative: `1h2m3.5s`, `90s`, `1500ms`.
fn parse_go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let seconds = match &rest[..unit] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        rest = &rest[unit..];
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
    }
    Some(total)
}

/// The TTL of the port's field, checked as the port says.
pub(crate) fn check_ttl(ttl: Option<MessageTtl>) -> Result<(), Refusal> {
    match ttl {
        Some(MessageTtl::After(after)) if after.subsec_nanos() > 0 || after.is_zero() => {
            Err(Refusal::TtlInvalid)
        }
        _ => Ok(()),
    }
}

impl Stream {
    /// Stores one message, or answers which one with its id was stored before.
    pub(crate) fn publish(
        &mut self,
        request: Request,
        room: u64,
        now: Timestamp,
    ) -> Result<PublishAck, Refusal> {
        self.expire(now);
        if self.config.sealed {
            return Err(Refusal::Sealed(self.config.name.clone()));
        }
        self.check_expected(&request)?;
        if let Some(sequence) = request.message_id.as_deref().and_then(|id| self.dedupe.find(id)) {
            return Ok(PublishAck { stream: self.config.name.clone(), sequence, duplicate: true });
        }
        self.check_last_message_id(&request)?;
        self.check_rest(&request)?;
        if self.weight_of(&request) > room {
            return Err(Refusal::MemoryFull { limit: 0 });
        }
        let sequence = self.store_message(request, true, now)?;
        Ok(PublishAck { stream: self.config.name.clone(), sequence, duplicate: false })
    }

    /// The expectations that the server looks at before it looks for duplicates.
    pub(crate) fn check_expected(&self, request: &Request) -> Result<(), Refusal> {
        if let Some(expected) = &request.expected_stream
            && *expected != self.config.name
        {
            return Err(Refusal::WrongStream {
                expected: expected.clone(),
                actual: self.config.name.clone(),
            });
        }
        if matches!(request.ttl, Ok(Some(Ttl::Never | Ttl::Seconds(1..))))
            && !self.config.allow_message_ttl
        {
            return Err(Refusal::TtlDisabled);
        }
        if let Some(expected) = request.expected_last_subject_sequence {
            let actual = self
                .store
                .subjects()
                .get(&request.subject)
                .and_then(|sequences| sequences.back().copied())
                .unwrap_or(0);
            if actual != expected {
                return Err(Refusal::WrongLastSequence { actual });
            }
        }
        match request.expected_last_sequence {
            Some(expected) if expected != self.store.last() => {
                Err(Refusal::WrongLastSequence { actual: self.store.last() })
            }
            _ => Ok(()),
        }
    }

    fn check_last_message_id(&self, request: &Request) -> Result<(), Refusal> {
        match &request.expected_last_message_id {
            Some(expected) if *expected != self.last_message_id => {
                Err(Refusal::WrongLastMessageId { actual: self.last_message_id.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Rollup and sizes.
    pub(crate) fn check_rest(&self, request: &Request) -> Result<(), Refusal> {
        match &request.rollup {
            Some(_) if !self.config.allow_rollup || self.config.deny_purge => {
                return Err(Refusal::RollupRefused("rollup not permitted".into()));
            }
            Some(Err(value)) => {
                return Err(Refusal::RollupRefused(
                    format!("rollup value invalid: {value:?}").into(),
                ));
            }
            _ => {}
        }
        let (bytes, limit) = (request.bytes(), self.config.max_message_size);
        if limit > 0 && bytes > limit {
            return Err(Refusal::MessageTooLarge { bytes, limit });
        }
        if request.header_bytes > wire::MAX_HEADER_BYTES {
            return Err(Refusal::MessageTooLarge {
                bytes: request.header_bytes,
                limit: wire::MAX_HEADER_BYTES,
            });
        }
        match &request.ttl {
            Err(refusal) => Err(refusal.clone()),
            Ok(_) => Ok(()),
        }
    }

    fn size_of(&self, request: &Request) -> u64 {
        wire::stored_bytes(
            self.config.storage,
            request.subject.len(),
            request.header_bytes,
            request.payload.len(),
        )
    }

    /// Stores a message that has passed the checks and carries out its rollup.
    pub(crate) fn store_message(
        &mut self,
        request: Request,
        check_room: bool,
        now: Timestamp,
    ) -> Result<u64, Refusal> {
        let size = self.size_of(&request);
        if check_room {
            self.check_room(&request.subject, size, request.rollup.is_some())?;
        }
        let mut headers = request.headers;
        let life = match request.ttl? {
            Some(Ttl::Never) => Life::Forever,
            Some(Ttl::Seconds(seconds)) if seconds > 0 => {
                let seconds = self.at_least_marker(seconds, &mut headers);
                Life::Until(now.saturating_add(Duration::from_secs(seconds)))
            }
            _ => Life::Limits,
        };
        let message = StoredMessage {
            subject: request.subject.clone(),
            sequence: 0,
            stored_at: now,
            headers,
            payload: request.payload,
        };
        let sequence = self.store.append(message, size, life);
        if let Some(id) = &request.message_id {
            self.dedupe.remember(id, sequence, now);
        }
        self.last_message_id = request.message_id.unwrap_or_default();
        self.enforce_subject(&request.subject);
        self.enforce_limits();
        match request.rollup {
            Some(Ok(Rollup::Subject)) => {
                self.keep_newest(Some(&request.subject), 1);
            }
            Some(Ok(Rollup::All)) => {
                self.keep_newest(None, 1);
            }
            _ => {}
        }
        Ok(sequence)
    }

    /// A TTL is at least the markers', or one of them could be missed; except
    /// where a subject has one message at most.
    fn at_least_marker(&self, seconds: u64, headers: &mut Headers) -> u64 {
        let least = self.config.subject_delete_marker_ttl.as_secs();
        if seconds >= least || self.config.max_messages_per_subject == 1 {
            return seconds;
        }
        *headers = headers
            .iter()
            .filter(|(name, _)| *name != wire::TTL)
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .chain([(wire::TTL.to_owned(), least.to_string())])
            .collect();
        least
    }

    fn weight_of(&self, request: &Request) -> u64 {
        self.size_of(request)
    }
}
