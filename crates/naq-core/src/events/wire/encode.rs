//! From an event to what is stored: checked, stamped and serialised in one pass.

use std::cell::RefCell;

use bytes::Bytes;
use bytestring::ByteString;

use super::fields::{JsonWriter, Stamp};
use super::subject::Address;
use super::validate::LOG;
use crate::events::model::id::ID_BYTES;
use crate::events::{Event, EventId, EventIds, EventSubjects, EventType, Text};
use crate::time::Rfc3339;
use crate::{Error, ErrorKind, Result, Timestamp};

/// What `service` says where the caller says nothing.
pub const SERVICE: &str = "naq";

/// A scratch buffer that has grown over this is given back.
const SCRATCH_KEPT: usize = 64 * 1024;

thread_local! {
    // Serialising into buffers that are kept and copying the result costs one
    // allocation of the exact size; growing a fresh one costs several.
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch::new()) };
}

/// Where an event is written before its size is known.
#[derive(Debug)]
struct Scratch {
    address: String,
    payload: Vec<u8>,
    times: Rfc3339,
}

impl Scratch {
    const fn new() -> Self {
        Self { address: String::new(), payload: Vec::new(), times: Rfc3339::new() }
    }

    /// One allocation for what was written, address and payload as parts of it.
    fn share(&self) -> Result<(ByteString, Bytes)> {
        let (address, payload) = (self.address.as_bytes(), self.payload.as_slice());
        let mut both = Vec::with_capacity(address.len() + payload.len());
        both.extend_from_slice(address);
        both.extend_from_slice(payload);
        let mut address = Bytes::from(both);
        let payload = address.split_off(self.address.len());
        let address = ByteString::try_from(address).map_err(|error| {
            Error::new(ErrorKind::Unexpected, LOG, "a subject could not be copied")
                .with_source(error)
        })?;
        Ok((address, payload))
    }
}

/// An event in its stored form.
///
/// It is valid, complete and will not change: what is sent again after a
/// doubt is the same bytes under the same id.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedEvent {
    id: EventId,
    event_type: EventType,
    address: Address,
    payload: Bytes,
}

impl EncodedEvent {
    /// The same encoded event again, from what its methods told of it before.
    ///
    /// For what keeps encoded events outside this process. Nothing is checked:
    /// parts that an [`EventEncoder`] didn't make give an event that it
    /// wouldn't make.
    #[must_use]
    pub fn restore(
        id: EventId,
        event_type: EventType,
        subject: &str,
        entity: Option<&str>,
        payload: Bytes,
    ) -> Self {
        Self { id, event_type, address: Address::restore(subject, entity), payload }
    }

    /// Its identity, to be sent as the message id.
    #[must_use]
    pub fn id(&self) -> &EventId {
        &self.id
    }

    /// Its kind.
    #[must_use]
    pub fn event_type(&self) -> &EventType {
        &self.event_type
    }

    /// The subject to store it under.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.address.subject()
    }

    /// The subject, without a copy: it shares its bytes with the event.
    #[must_use]
    pub fn shared_subject(&self) -> ByteString {
        self.address.shared_subject()
    }

    /// The token of the job, worker or schedule whose events must stay in order with it.
    #[must_use]
    pub fn entity(&self) -> Option<&str> {
        self.address.entity()
    }

    /// The bytes to store.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// What it takes in a buffer, in bytes: payload, subject and id.
    #[must_use]
    pub fn size(&self) -> usize {
        self.payload.len() + self.address.len() + ID_BYTES
    }
}

/// Makes events ready to be stored; one per producer, because the order of ids is its own.
#[derive(Debug)]
pub struct EventEncoder {
    subjects: EventSubjects,
    service_version: Text,
    ids: EventIds,
}

impl EventEncoder {
    /// An encoder that stamps this crate's version.
    #[must_use]
    pub fn new(subjects: EventSubjects) -> Self {
        Self {
            subjects,
            service_version: Text::from_static(env!("CARGO_PKG_VERSION")),
            ids: EventIds::new(),
        }
    }

    /// Stamps another version.
    #[must_use]
    pub fn with_service_version(mut self, version: impl Into<Text>) -> Self {
        self.service_version = version.into();
        self
    }

    /// How it builds subjects.
    #[must_use]
    pub fn subjects(&self) -> &EventSubjects {
        &self.subjects
    }

    /// Checks, stamps and serialises an event, which itself is not changed.
    ///
    /// Where the event has none, it gets an id (a UUIDv7 greater than those
    /// before it), `now` as its timestamp, the service `naq` and the version.
    /// Nothing is sent. A typed event costs two allocations: one for subject and
    /// payload together, and one to count who shares it.
    ///
    /// # Errors
    /// `InvalidArgument` that names field and rule: `type` of 1 to 64 bytes,
    /// `job_id`, `worker_id` and `schedule_id` of 1 to 256, `id` of 1 to 256
    /// visible ASCII characters, `duration` and `queue_wait` finite and not
    /// negative, no custom field with the name of a known one, at most 64
    /// levels of nesting.
    pub fn encode(&self, event: &Event, now: Timestamp) -> Result<EncodedEvent> {
        event.validate()?;
        let id = event.id.clone().unwrap_or_else(|| self.ids.next(now));
        let stamp = Stamp {
            id: Some(&id),
            timestamp: Some(now),
            service: Some(SERVICE),
            service_version: Some(&self.service_version),
        };
        let entity = event.entity().map(|(_, id)| id);
        let (address, payload) = SCRATCH.with_borrow_mut(|scratch| -> Result<_> {
            scratch.address.clear();
            scratch.payload.clear();
            let parts =
                self.subjects.address(event.event_type.as_str(), entity, &mut scratch.address);
            let Scratch { payload, times, .. } = scratch;
            JsonWriter::object(event, stamp, payload, times).map_err(|error| {
                Error::new(ErrorKind::Unexpected, LOG, "an event could not be serialised")
                    .with_source(error)
            })?;
            let (text, payload) = scratch.share()?;
            if scratch.payload.capacity() > SCRATCH_KEPT {
                scratch.payload = Vec::new();
            }
            Ok((Address::new(text, parts), payload))
        })?;
        Ok(EncodedEvent { id, event_type: event.event_type.clone(), address, payload })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::SubjectLayout;

    fn encoder() -> EventEncoder {
        EventEncoder::new(EventSubjects::default())
    }

    fn now() -> Timestamp {
        Timestamp::from_nanos(1_764_000_000_123_456_789)
    }

    fn refused(event: &Event) -> (String, String) {
        let error = encoder().encode(event, now()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert_eq!(error.operation(), "log_event");
        (error.get("field").unwrap_or_default().to_owned(), error.message().to_owned())
    }

    #[test]
    fn what_the_caller_leaves_open_is_stamped() {
        let event = Event::job_started("a.b", "w", "q");
        let encoded = encoder().with_service_version("9.9.9").encode(&event, now()).unwrap();
        let stored: Value = serde_json::from_slice(encoded.payload()).unwrap();
        assert_eq!(
            stored,
            json!({
                "type": "job_started",
                "id": encoded.id().to_string(),
                "timestamp": "2025-11-24T16:00:00.123456Z",
                "service": "naq",
                "service_version": "9.9.9",
                "job_id": "a.b",
                "worker_id": "w",
                "queue": "q",
            })
        );
        assert_eq!(encoded.subject(), "events.job_started.a=2Eb");
        assert_eq!(encoded.entity(), Some("a=2Eb"));
        assert_eq!(encoded.event_type(), &EventType::JobStarted);
        assert_eq!(event, Event::job_started("a.b", "w", "q"), "the caller's event is as it was");
    }

    #[test]
    fn what_the_caller_says_stands() {
        let event = Event::log("x")
            .with_id("mine")
            .with_timestamp(Timestamp::from_nanos(0))
            .with_service("billing")
            .with_service_version("2");
        let encoded = encoder().encode(&event, now()).unwrap();
        assert_eq!(encoded.id().to_string(), "mine");
        assert_eq!(
            encoded.payload().as_ref(),
            br#"{"type":"log","id":"mine","timestamp":"1970-01-01T00:00:00.000000Z","service":"billing","service_version":"2","message":"x"}"#
        );
    }

    #[test]
    fn the_type_layout_keeps_the_entity_for_the_order_of_events() {
        let subjects = EventSubjects::new("prod.events", SubjectLayout::Type).unwrap();
        let encoder = EventEncoder::new(subjects);
        let encoded = encoder.encode(&Event::worker_idle("w.1"), now()).unwrap();
        assert_eq!(encoded.subject(), "prod.events.worker_idle");
        assert_eq!(encoded.entity(), Some("w=2E1"));
        let encoded = encoder.encode(&Event::log("x"), now()).unwrap();
        assert_eq!((encoded.subject(), encoded.entity()), ("prod.events.log", None));
    }

    #[test]
    fn an_encoded_event_is_restored_from_what_it_tells() {
        for layout in [SubjectLayout::Entity, SubjectLayout::Type] {
            let encoder = EventEncoder::new(EventSubjects::new("events", layout).unwrap());
            for event in [
                Event::job_paused("a.b"),
                Event::job_paused("job_paused"),
                Event::log("x").with_id("mine"),
            ] {
                let told = encoder.encode(&event, now()).unwrap();
                let again = EncodedEvent::restore(
                    told.id().clone(),
                    told.event_type().clone(),
                    told.subject(),
                    told.entity(),
                    told.payload().clone(),
                );
                assert_eq!(again, told);
            }
        }
    }

    #[test]
    fn ids_follow_one_another() {
        let encoder = encoder();
        let ids: Vec<_> = (0..1000)
            .map(|_| encoder.encode(&Event::log("x"), now()).unwrap().id().as_uuid())
            .collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn what_breaks_a_rule_is_refused_by_field() {
        let long = "x".repeat(257);
        let deep = (0..64).fold(json!(1), |inner, _| json!([inner]));
        for (event, field, rule) in [
            (Event::new(""), "type", "empty"),
            (Event::new("t".repeat(65)), "type", "64 bytes"),
            (Event::job_paused(""), "job_id", "empty"),
            (Event::job_paused(&long), "job_id", "256 bytes"),
            (Event::worker_idle(""), "worker_id", "empty"),
            (Event::schedule_paused(&long), "schedule_id", "256 bytes"),
            (Event::log("x").with_id(""), "id", "visible ASCII"),
            (Event::log("x").with_id("a\r\nb"), "id", "visible ASCII"),
            (Event::log("x").with_id("a b"), "id", "visible ASCII"),
            (Event::log("x").with_id(long.as_str()), "id", "visible ASCII"),
            (Event::job_completed("j", -0.1, true), "duration", "not negative"),
            (Event::job_completed("j", f64::NAN, true), "duration", "finite"),
            (Event::log("x").with_queue_wait(f64::INFINITY), "queue_wait", "finite"),
            (Event::log("x").with_field("job_id", "j"), "job_id", "known field"),
            (Event::log("x").with_field("deep", deep), "deep", "64 levels"),
        ] {
            let (named, told) = refused(&event);
            assert_eq!(named, field);
            assert!(told.contains(rule), "{field}: {told}");
        }
    }

    #[test]
    fn the_limits_themselves_are_taken() {
        let deep = (0..63).fold(json!(1), |inner, _| json!([inner]));
        let event = Event::new("t".repeat(64))
            .with_job_id("j".repeat(256))
            .with_id("i".repeat(256))
            .with_duration(0.0)
            .with_field("deep", deep);
        let encoded = encoder().encode(&event, now()).unwrap();
        assert_eq!(crate::events::decode(encoded.payload()).unwrap().custom, event.custom);
    }

    #[test]
    fn dangerous_ids_reach_no_other_subject() {
        for id in [".", "a.b", "*", ">", " ", "x\r\nPUB x 1\r\n", "\0", "\u{1f600}", "$JS.API.x"] {
            let encoded = encoder().encode(&Event::job_paused(id), now()).unwrap();
            assert!(crate::jetstream::subject_matches("events.job_paused.*", encoded.subject()));
            let back = crate::events::decode(encoded.payload()).unwrap();
            assert_eq!(back.job_id.as_deref(), Some(id));
        }
    }
}
