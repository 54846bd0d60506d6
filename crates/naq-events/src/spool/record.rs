//! An event as the spool keeps it.
//!
//! `accepted 8 | flags 1 | id | type | subject | entity | payload`, numbers
//! little-endian; a text has its length in two bytes before it. A UUID is its
//! 16 bytes; an entity that the subject ends with is not repeated.

use std::time::Duration;

use bytes::Bytes;
use naq_core::events::{EncodedEvent, EventId, EventType};
use naq_core::{Result, Timestamp};

use super::frame::too_large;
use super::header::Fields;
use super::positions::SpoolPosition;
use super::sent::SentContext;

const ID_IS_UUID: u8 = 1;
const HAS_ENTITY: u8 = 2;
const ENTITY_ENDS_SUBJECT: u8 = 4;

/// What is put into the spool: an event, and what is known of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SpoolEntry {
    /// The event as it will be sent.
    pub event: EncodedEvent,
    /// The wall time at which its producer handed it over.
    pub accepted_at: Timestamp,
    /// What was known when it was sent, where it was sent before.
    pub sent: Option<SentContext>,
}

impl SpoolEntry {
    /// An event that was accepted at this time, and never sent.
    #[must_use]
    pub const fn new(event: EncodedEvent, accepted_at: Timestamp) -> Self {
        Self { event, accepted_at, sent: None }
    }

    /// The same event, which was sent before: it is in doubt from the instant at
    /// which it is in the spool.
    #[must_use]
    pub fn in_doubt(self, sent: SentContext) -> Self {
        Self { sent: Some(sent), ..self }
    }
}

/// What is known of an event in the spool that has no outcome yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolState {
    /// It was never sent.
    Unsent,
    /// It was sent, and whether it arrived was never told.
    InDoubt(SentContext),
}

/// An event that comes out of the spool.
#[derive(Debug, Clone, PartialEq)]
pub struct SpooledEvent {
    /// Where it stands.
    pub position: SpoolPosition,
    /// The event: the bytes that were put in, under the same id.
    pub event: EncodedEvent,
    /// The wall time at which its producer handed it over.
    pub accepted_at: Timestamp,
    /// Whether it may be in the stream already.
    pub state: SpoolState,
}

impl SpooledEvent {
    /// How long ago it was accepted, by the wall clock; zero where that clock was set back.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Duration {
        now.since(self.accepted_at)
    }

    /// When it was sent the first time, where it was.
    pub(crate) fn sent_at(&self) -> Option<Timestamp> {
        match self.state {
            SpoolState::InDoubt(sent) => Some(sent.sent_at),
            SpoolState::Unsent => None,
        }
    }
}

/// Writes an entry as the body of a frame.
///
/// # Errors
/// `TooLarge` for a subject, an entity or an id above 65,535 bytes.
pub(super) fn write(entry: &SpoolEntry, out: &mut Vec<u8>) -> Result<()> {
    let event = &entry.event;
    let uuid = event.id().as_uuid();
    let subject = event.subject();
    let mut flags = if uuid.is_some() { ID_IS_UUID } else { 0 };
    let mut apart = None;
    if let Some(entity) = event.entity() {
        flags |= HAS_ENTITY;
        if subject.rsplit('.').next() == Some(entity) {
            flags |= ENTITY_ENDS_SUBJECT;
        } else {
            apart = Some(entity);
        }
    }
    out.extend_from_slice(&entry.accepted_at.as_nanos().to_le_bytes());
    out.push(flags);
    match uuid {
        Some(uuid) => out.extend_from_slice(uuid.as_bytes()),
        None => write_text(&event.id().to_string(), out)?,
    }
    write_text(event.event_type().as_str(), out)?;
    write_text(subject, out)?;
    if let Some(entity) = apart {
        write_text(entity, out)?;
    }
    out.extend_from_slice(event.payload());
    Ok(())
}

fn write_text(text: &str, out: &mut Vec<u8>) -> Result<()> {
    let bytes = u16::try_from(text.len())
        .map_err(|_| too_large("the spool keeps no subject or id above 65,535 bytes"))?;
    out.extend_from_slice(&bytes.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Reads an entry; `None` for bytes that are none.
pub(super) fn read(body: &[u8]) -> Option<SpoolEntry> {
    let mut fields = Fields(body);
    let accepted_at = Timestamp::from_nanos(fields.i64()?);
    let flags = fields.u8()?;
    let id = if flags & ID_IS_UUID == 0 {
        EventId::from(fields.text()?)
    } else {
        EventId::from(uuid::Uuid::from_bytes(*fields.bytes(16)?.first_chunk()?))
    };
    let event_type = EventType::from(fields.text()?);
    let subject = fields.text()?;
    let entity = match (flags & HAS_ENTITY != 0, flags & ENTITY_ENDS_SUBJECT != 0) {
        (false, _) => None,
        (true, true) => subject.rsplit('.').next(),
        (true, false) => Some(fields.text()?),
    };
    let payload = Bytes::copy_from_slice(fields.0);
    let event = EncodedEvent::restore(id, event_type, subject, entity, payload);
    Some(SpoolEntry::new(event, accepted_at))
}

#[cfg(test)]
mod tests {
    use naq_core::config::SubjectLayout;
    use naq_core::events::{Event, EventEncoder, EventSubjects};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_entry_is_read_back(
            job in "\\PC{1,40}",
            custom_type in "[a-z.]{1,20}",
            has_job in any::<bool>(),
            id in prop::option::of("[!-~]{1,40}"),
            by_entity in any::<bool>(),
            accepted in any::<i64>(),
        ) {
            let layout = if by_entity { SubjectLayout::Entity } else { SubjectLayout::Type };
            let encoder = EventEncoder::new(EventSubjects::new("events", layout).unwrap());
            let mut event = Event::new(custom_type.as_str());
            if has_job {
                event = event.with_job_id(job.as_str());
            }
            if let Some(id) = id {
                event = event.with_id(id.as_str());
            }
            let event = encoder.encode(&event, Timestamp::from_nanos(1)).unwrap();
            let entry = SpoolEntry::new(event, Timestamp::from_nanos(accepted));
            let mut body = Vec::new();
            write(&entry, &mut body).unwrap();
            prop_assert_eq!(read(&body), Some(entry));
        }

        #[test]
        fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(&body);
        }
    }

    #[test]
    fn a_subject_that_cannot_be_kept_is_refused() {
        let subject = "s".repeat(70_000);
        let event = EncodedEvent::restore(
            EventId::from("1"),
            EventType::from("log"),
            &subject,
            None,
            Bytes::new(),
        );
        let error = write(&SpoolEntry::new(event, Timestamp::default()), &mut Vec::new());
        assert_eq!(error.unwrap_err().kind(), naq_core::ErrorKind::TooLarge);
    }
}
