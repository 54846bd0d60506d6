//! Dead letters: what a group could not handle, kept byte for byte.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use naq_core::config::EventsConfig;
use naq_core::events::{Event, MalformedReason, Position, decode};
use naq_core::jetstream::{
    Discard, Headers, PublishMessage, Retention, StoredMessage, StreamConfig,
};
use naq_core::{Error, ErrorKind, Result, Timestamp, token};

use super::dispatch::Work;

const GROUP: &str = "Naq-Group";
const CAUSE: &str = "Naq-Cause";
const REASON: &str = "Naq-Reason";
const TRIES: &str = "Naq-Tries";
const DIED_AT: &str = "Naq-Died-At";
const STORED_AT: &str = "Naq-Stored-At";
const SUBJECT: &str = "Naq-Subject";
const POSITION: &str = "Naq-Position";
/// There, with [`IN_LOG`], where the event's bytes are in the log alone.
const BYTES: &str = "Naq-Bytes";
const IN_LOG: &str = "log";

/// A reason is kept up to this many bytes.
const MAX_REASON: usize = 1_024;

/// The dead letters may take this part of what the log may; then they are
/// refused, not dropped. A server sets aside what a stream may take.
const DEAD_PART: u64 = 8;

/// The replays may take this part of what the log may.
const REPLAY_PART: u64 = 32;

/// What the log is taken to hold where its size has no limit.
const UNLIMITED: u64 = 1 << 30;

/// Why an event became a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadCause {
    /// The handler rejected it.
    Rejected,
    /// It failed as often as the group allows.
    TriesExhausted,
    /// It is no event, and the handler rejected it as such.
    Malformed,
    /// It was handed over as often as the group allows, and no outcome ever
    /// came: each time the member died or was cut off.
    NoOutcome,
}

impl DeadCause {
    /// Its name on the wire and in the command.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::TriesExhausted => "tries_exhausted",
            Self::Malformed => "malformed",
            Self::NoOutcome => "no_outcome",
        }
    }
}

impl fmt::Display for DeadCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DeadCause {
    type Err = Error;

    /// Reads its name.
    ///
    /// # Errors
    /// `InvalidArgument` for anything else.
    fn from_str(text: &str) -> Result<Self> {
        [Self::Rejected, Self::TriesExhausted, Self::Malformed, Self::NoOutcome]
            .into_iter()
            .find(|cause| cause.as_str() == text)
            .ok_or_else(|| {
                let rule = "must be rejected, tries_exhausted, malformed or no_outcome";
                Error::invalid("dead_letters", "cause", rule).with("cause", text)
            })
    }
}

/// An event that a group could not handle.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its number among the dead letters, by which it is replayed or dropped.
    pub sequence: u64,
    /// The group that could not handle it.
    pub group: String,
    /// Why.
    pub cause: DeadCause,
    /// The handler's reason, or what went wrong the last time.
    pub reason: String,
    /// How often it was handed over.
    pub tries: u64,
    /// When it became a dead letter, by the member's clock.
    pub died_at: Timestamp,
    /// When the event was stored in the log.
    pub stored_at: Timestamp,
    /// The subject that it is stored under in the log.
    pub subject: String,
    /// Its place in the log.
    pub position: Position,
    /// Its bytes, as they are in the log.
    pub payload: Bytes,
    /// Whether they are kept beside the log: not those that, with what is to be
    /// said of them, are more than the server takes. These are read from the
    /// log; none are there when it holds them no longer.
    pub is_kept: bool,
}

impl DeadLetter {
    /// The event, or what is wrong with the bytes.
    ///
    /// # Errors
    /// The reason why it is none.
    pub fn event(&self) -> Result<Event, MalformedReason> {
        decode(&self.payload)
    }

    /// Reads one as it is stored.
    ///
    /// # Errors
    /// `Corrupt` for what naq did not write.
    pub(super) fn read(message: StoredMessage) -> Result<Self> {
        let StoredMessage { sequence, headers, payload, .. } = message;
        let header = |name: &'static str| {
            headers.get(name).ok_or_else(|| corrupt(sequence).with("missing", name))
        };
        Ok(Self {
            group: header(GROUP)?.to_owned(),
            cause: header(CAUSE)?.parse().map_err(|_| corrupt(sequence))?,
            reason: headers.get(REASON).unwrap_or_default().to_owned(),
            tries: header(TRIES)?.parse().map_err(|_| corrupt(sequence))?,
            died_at: header(DIED_AT)?.parse().map_err(|_| corrupt(sequence))?,
            stored_at: nanos(header(STORED_AT)?).ok_or_else(|| corrupt(sequence))?,
            subject: header(SUBJECT)?.to_owned(),
            position: header(POSITION)?.parse().map_err(|_| corrupt(sequence))?,
            is_kept: headers.get(BYTES) != Some(IN_LOG),
            sequence,
            payload,
        })
    }
}

fn corrupt(sequence: u64) -> Error {
    Error::new(ErrorKind::Corrupt, "dead_letters", "not a dead letter as naq writes it")
        .with("sequence", sequence.to_string())
}

/// Where dead letters and those on their way back are kept.
#[derive(Debug, Clone)]
pub(super) struct DeadStreams {
    /// The stream of the dead letters.
    pub(super) dead: String,
    /// The stream of what is to be handled again.
    pub(super) replay: String,
    /// The log's stream.
    pub(super) log: String,
    dead_root: String,
    replay_root: String,
}

impl DeadStreams {
    /// Those beside the log of a configuration: `events_dead` and `events_replay`.
    pub(super) fn of(config: &EventsConfig) -> Self {
        Self {
            dead: format!("{}_dead", config.stream_name),
            replay: format!("{}_replay", config.stream_name),
            log: config.stream_name.clone(),
            dead_root: format!("{}_dead", config.subject_root),
            replay_root: format!("{}_replay", config.subject_root),
        }
    }

    /// The two streams as they shall be.
    pub(super) fn configs(&self, log: &EventsConfig) -> [StreamConfig; 2] {
        let room = log.max_bytes.map_or(UNLIMITED, |size| size.bytes());
        let config = |name: &str, root: &str, part: u64| {
            let config = StreamConfig::new(name, [format!("{root}.>")])
                .with_discard(Discard::New)
                .with_storage(log.storage)
                // At the least what one message may take, and then some.
                .with_max_bytes((room / part).max(4 << 20))
                .with_allow_direct(true);
            if log.replicas > 1 { config.with_replicas(log.replicas) } else { config }
        };
        [
            config(&self.dead, &self.dead_root, DEAD_PART).with_retention(Retention::Limits),
            config(&self.replay, &self.replay_root, REPLAY_PART)
                .with_retention(Retention::WorkQueue),
        ]
    }

    /// The subjects of a group's dead letters, or of all.
    pub(super) fn dead_of(&self, group: Option<&str>) -> String {
        match group {
            Some(group) => format!("{}.{group}.>", self.dead_root),
            None => format!("{}.>", self.dead_root),
        }
    }

    /// The subjects of what a group is to handle again.
    pub(super) fn replay_of(&self, group: &str) -> String {
        format!("{}.{group}.>", self.replay_root)
    }

    /// The message that keeps what a group could not handle.
    ///
    /// Its message id is made of group and place: kept twice, it is there once.
    pub(super) fn letter(
        &self,
        work: &Work,
        cause: DeadCause,
        reason: &str,
        now: Timestamp,
    ) -> PublishMessage {
        let kind = work.kind();
        let subject = format!("{}.{}.{}", self.dead_root, work.group, token::encode(&kind));
        let headers = Headers::new()
            .with(GROUP, &*work.group)
            .with(CAUSE, cause.as_str())
            .with(REASON, one_line(reason))
            .with(TRIES, work.deliveries.to_string())
            .with(DIED_AT, now.to_string())
            .with(STORED_AT, work.stored_at.as_nanos().to_string())
            .with(SUBJECT, work.subject.as_str())
            .with(POSITION, work.position.to_string());
        let id = format!("dead:{}:{}:{}", work.group, work.position, work.replay_id());
        let letter = PublishMessage::new(subject, work.payload.clone())
            .with_headers(headers)
            .with_message_id(id);
        // What the log has lost meanwhile is not said to be nothing.
        let is_lost = work.is_in_log && work.payload.is_empty();
        if is_lost { self.without_bytes(letter) } else { letter }
    }

    /// The same letter, with the event's bytes in the log alone.
    pub(super) fn without_bytes(&self, letter: PublishMessage) -> PublishMessage {
        let mut letter = letter;
        letter.payload = Bytes::new();
        letter.headers = letter.headers.with(BYTES, IN_LOG);
        letter
    }

    /// The message by which a dead letter goes back to its group alone.
    pub(super) fn replay_message(&self, letter: &DeadLetter) -> PublishMessage {
        let kind =
            letter.event().map_or_else(|_| "malformed".to_owned(), |e| e.event_type.to_string());
        let subject = format!("{}.{}.{}", self.replay_root, letter.group, token::encode(&kind));
        let headers = Headers::new()
            .with(GROUP, &*letter.group)
            .with(STORED_AT, letter.stored_at.as_nanos().to_string())
            .with(SUBJECT, letter.subject.as_str())
            .with(POSITION, letter.position.to_string());
        let replay = PublishMessage::new(subject, letter.payload.clone())
            .with_headers(headers)
            .with_message_id(format!("replay:{}:{}", letter.group, letter.sequence));
        if letter.is_kept { replay } else { self.without_bytes(replay) }
    }
}

/// Where a replayed message was in the log.
pub(super) struct Origin {
    pub(super) subject: String,
    pub(super) position: Position,
    pub(super) stored_at: Timestamp,
    /// Whether its bytes are to be read from there.
    pub(super) is_in_log: bool,
}

impl Origin {
    /// Reads what [`DeadStreams::replay_message`] wrote.
    pub(super) fn read(headers: &Headers) -> Option<Self> {
        Some(Self {
            subject: headers.get(SUBJECT)?.to_owned(),
            position: headers.get(POSITION)?.parse().ok()?,
            stored_at: nanos(headers.get(STORED_AT)?)?,
            is_in_log: headers.get(BYTES) == Some(IN_LOG),
        })
    }
}

/// A time as it is kept: in nanoseconds, so that it is the same again.
fn nanos(text: &str) -> Option<Timestamp> {
    text.parse().ok().map(Timestamp::from_nanos)
}

/// A header holds one line.
fn one_line(text: &str) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.len() > MAX_REASON {
        let end = (0..=MAX_REASON).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(0);
        line.truncate(end);
    }
    line.trim().to_owned()
}
