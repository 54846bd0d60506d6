//! What an event must be to be stored.

use serde_json::Value;

use super::fields::Field;
use super::scalar::{SECONDS_RULE, is_seconds};
use crate::events::model::id::ID_BYTES;
use crate::events::{Event, EventId};
use crate::{Error, Result, token};

/// How many levels of objects and arrays an event may have, itself included.
pub const MAX_DEPTH: usize = 64;

/// The operation that refusals name: the call that hands an event in.
pub(super) const LOG: &str = "log_event";

impl Event {
    /// Checks the rules that [`EventEncoder::encode`](super::EventEncoder::encode) lists.
    ///
    /// # Errors
    /// As there.
    pub fn validate(&self) -> Result<()> {
        let told_by_log = |error: Error| error.in_operation(LOG);
        token::check_type(self.event_type.as_str()).map_err(told_by_log)?;
        for (field, id) in [
            (Field::JobId, &self.job_id),
            (Field::WorkerId, &self.worker_id),
            (Field::ScheduleId, &self.schedule_id),
        ] {
            if let Some(id) = id {
                token::check_id(field.name(), id).map_err(told_by_log)?;
            }
        }
        if let Some(id) = &self.id {
            check_event_id(id)?;
        }
        for (field, seconds) in
            [(Field::Duration, self.duration), (Field::QueueWait, self.queue_wait)]
        {
            if seconds.is_some_and(|seconds| !is_seconds(seconds)) {
                return Err(Error::invalid(LOG, field.name(), SECONDS_RULE));
            }
        }
        for (name, value) in &self.custom {
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
