//! The whole account of a sink: its counters, what it lost of which type, and how long acks take.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::EventCounters;
use crate::events::EventType;

/// Why the log has a hole: an event was accepted and is not in it, or may not
/// be, or was dropped in place of being accepted.
///
/// What a call refused by an error is no hole: it was never logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LossReason {
    /// The buffer was full when it was logged, and its policy is `drop_newest`,
    /// or `drop_oldest` where nothing else could be dropped.
    DropNewest,
    /// It was unsent when another one needed its room.
    DropOldest,
    /// The server refused it for good, or it could not be sent within its time.
    Failed,
    /// It was sent and not confirmed within its time: it may be in the log.
    Unknown,
    /// Its record in the spool was damaged, so that nobody knows its type.
    Corrupt,
}

impl LossReason {
    /// Every reason there is.
    pub const ALL: [Self; 5] =
        [Self::DropNewest, Self::DropOldest, Self::Failed, Self::Unknown, Self::Corrupt];

    /// The word for it in the account and in `events_lost` events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DropNewest => "drop_newest",
            Self::DropOldest => "drop_oldest",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Corrupt => "corrupt",
        }
    }
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How many events of a type were lost for a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EventLoss {
    /// Why.
    pub reason: LossReason,
    /// Of which type; `other` for all types beyond the first 32 that lost any,
    /// and where the type isn't known.
    pub event_type: EventType,
    /// How many.
    pub count: u64,
}

impl EventLoss {
    /// So many events of a type, lost for a reason.
    #[must_use]
    pub fn new(reason: LossReason, event_type: impl Into<EventType>, count: u64) -> Self {
        Self { reason, event_type: event_type.into(), count }
    }
}

/// How long events took from their acceptance until the server confirmed them,
/// of the last one to two minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AckLatency {
    /// How many were measured; where there are none, the rest is zero.
    pub count: u64,
    /// The median, as exact as 2 %; so are the other percentiles.
    pub p50: Duration,
    /// The 90th percentile.
    pub p90: Duration,
    /// The 99th percentile.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

/// The account of a sink, one consistent snapshot.
///
/// The losses by dropping, of all types together, are `counters.dropped`; the
/// others are `failed` and `unknown` of the counters, and what was damaged in the
/// spool, which is `failed` too unless it was found when the service started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct EventAccount {
    /// What became of all events.
    pub counters: EventCounters,
    /// What the log doesn't have, or may not have, of which type and why; the
    /// reasons in order, each with its types in order.
    pub losses: Vec<EventLoss>,
    /// How many of these losses no `events_lost` event in the log tells of yet.
    pub untold: u64,
    /// How long it takes until events are stored.
    pub ack_latency: AckLatency,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_back_from_its_json() {
        let account = EventAccount {
            losses: vec![EventLoss::new(LossReason::DropOldest, "worker_heartbeat", 3)],
            ..EventAccount::default()
        };
        let json = serde_json::to_string(&account).unwrap();
        assert!(
            json.contains(r#"{"reason":"drop_oldest","event_type":"worker_heartbeat","count":3}"#)
        );
        assert_eq!(serde_json::from_str::<EventAccount>(&json).unwrap(), account);
        for reason in LossReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }
}
