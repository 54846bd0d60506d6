//! From an event to what is stored: checked, stamped and serialised in one pass.

use std::cell::RefCell;

use bytes::Bytes;
use serde_json::Value;

use super::decode::{SECONDS_RULE, is_seconds};
use super::fields::{Field, JsonWriter, Stamp};
use super::id::ID_BYTES;
use super::subject::Address;
use super::{Event, EventId, EventIds, EventSubjects, EventType, Text};
use crate::{Error, ErrorKind, Result, Timestamp, token};

/// How many levels of objects and arrays an event may have, itself included.
pub const MAX_DEPTH: usize = 64;

/// What `service` says where the caller says nothing.
pub const SERVICE: &str = "naq";

/// The operation that refusals name: the call that hands an event in.
const LOG: &str = "log_event";

/// A scratch buffer that has grown over this is given back.
const SCRATCH_KEPT: usize = 64 * 1024;

thread_local! {
    // Serialising into a buffer that is kept and copying the result costs one
    // allocation of the exact size; growing a fresh one costs several.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
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
    /// Nothing is sent. A typed event costs two allocations: subject and payload.
    ///
    /// # Errors
    /// `InvalidArgument` that names field and rule: `type` of 1 to 64 bytes,
    /// `job_id`, `worker_id` and `schedule_id` of 1 to 256, `id` of 1 to 256
    /// visible ASCII characters, `duration` and `queue_wait` finite and not
    /// negative, no custom field with the name of a known one, at most 64
    /// levels of nesting.
    pub fn encode(&self, event: &Event, now: Timestamp) -> Result<EncodedEvent> {
        validate(event)?;
        let id = event.id.clone().unwrap_or_else(|| self.ids.next(now));
        let stamp = Stamp {
            id: Some(&id),
            timestamp: Some(now),
            service: Some(SERVICE),
            service_version: Some(&self.service_version),
        };
        let payload = serialise(event, stamp)?;
        let entity = event.entity().map(|(_, id)| id);
        let address = self.subjects.address(event.event_type.as_str(), entity);
        Ok(EncodedEvent { id, event_type: event.event_type.clone(), address, payload })
    }
}

fn serialise(event: &Event, stamp: Stamp<'_>) -> Result<Bytes> {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        JsonWriter::object(event, stamp, scratch).map_err(|error| {
            Error::new(ErrorKind::Unexpected, LOG, "an event could not be serialised")
                .with_source(error)
        })?;
        let payload = Bytes::copy_from_slice(scratch);
        if scratch.capacity() > SCRATCH_KEPT {
            *scratch = Vec::new();
        }
        Ok(payload)
    })
}

/// Checks the rules that [`EventEncoder::encode`] lists.
///
/// # Errors
/// As there.
pub fn validate(event: &Event) -> Result<()> {
    let told_by_log = |error: Error| error.in_operation(LOG);
    token::check_type(event.event_type.as_str()).map_err(told_by_log)?;
    for (field, id) in [
        (Field::JobId, &event.job_id),
        (Field::WorkerId, &event.worker_id),
        (Field::ScheduleId, &event.schedule_id),
    ] {
        if let Some(id) = id {
            token::check_id(field.name(), id).map_err(told_by_log)?;
        }
    }
    if let Some(id) = &event.id {
        check_event_id(id)?;
    }
    for (field, seconds) in
        [(Field::Duration, event.duration), (Field::QueueWait, event.queue_wait)]
    {
        if seconds.is_some_and(|seconds| !is_seconds(seconds)) {
            return Err(Error::invalid(LOG, field.name(), SECONDS_RULE));
        }
    }
    for (name, value) in &event.custom {
        if Field::known(name).is_some() {
            return Err(Error::invalid(LOG, name, "is a known field and no custom one")
                .with_hint("set it by its own setter"));
        }
        // The event itself is the first level.
        if exceeds_depth(value, MAX_DEPTH - 1) {
            return Err(Error::invalid(LOG, name, "must not be nested over 64 levels deep"));
        }
    }
    Ok(())
}

fn check_event_id(id: &EventId) -> Result<()> {
    if id.as_uuid().is_some() {
        return Ok(());
    }
    let mut buffer = [0; ID_BYTES];
    let text = id.as_text(&mut buffer);
    if (1..=token::MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    {
        return Ok(());
    }
    // It goes into a header, where anything else would be cut, or end the header.
    Err(Error::invalid(LOG, "id", "must be 1 to 256 visible ASCII characters"))
}

/// Whether a value has more than `levels` of arrays and objects; looks no deeper than that.
pub(crate) fn exceeds_depth(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else {
        return value.is_array() || value.is_object();
    };
    match value {
        Value::Array(items) => items.iter().any(|item| exceeds_depth(item, below)),
        Value::Object(fields) => fields.values().any(|field| exceeds_depth(field, below)),
        _ => false,
    }
}
