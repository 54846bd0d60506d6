//! What a program that logs and asks needs: `use naq_events::prelude::*;`.

pub use naq_core::clock::{Clock, ManualClock, SystemClock};
pub use naq_core::config::EventsConfig;
pub use naq_core::events::{
    EntityKind, Event, EventInput, EventItem, EventLog, EventQuery, EventQueryExt, EventReceipt,
    EventSink, EventSinkExt, EventType, Filter, HistoryRequest, JobContext, Position, ReadEvents,
    ReadStart, ReadUntil, RecordedEvent,
};
pub use naq_core::service::{Provide, Service};
pub use naq_core::{Error, ErrorKind, Result};

pub use crate::{EventService, Redact, RedactFn};
