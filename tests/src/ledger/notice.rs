//! naq's own events in the stream: those that tell of holes.

use naq_core::events::LossReason;
use serde_json::Value;

/// One stored `events_lost` event, as naq makes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its id.
    pub id: String,
    /// Why events were lost.
    pub reason: LossReason,
    /// How many.
    pub count: u64,
}

impl Notice {
    /// What a stored payload tells; `None` for what naq doesn't make.
    pub fn of(payload: &[u8]) -> Option<Self> {
        let event: Value = serde_json::from_slice(payload).ok()?;
        if event["type"] != "events_lost" {
            return None;
        }
        let count = event["count"].as_u64()?;
        let by_type = event["types"].as_object()?.values();
        let sum: u64 = by_type.map(Value::as_u64).sum::<Option<u64>>()?;
        let timed = ["first_time", "last_time"].iter().all(|time| event[*time].is_string());
        let notice = Self {
            id: event["id"].as_str()?.to_owned(),
            reason: serde_json::from_value(event["reason"].clone()).ok()?,
            count,
        };
        (sum == count && timed).then_some(notice)
    }
}
