//! The event model: what is logged, how it is stored, and the ports to log and to ask.
//!
//! - An [`Event`] of an [`EventType`] is handed to an [`EventSink`] as an
//!   [`EventInput`]; the [`EventEncoder`] makes it ready to be stored, under
//!   one of its [`EventSubjects`].
//! - An [`EventQuery`] gives it back as a [`RecordedEvent`] with its
//!   [`Position`], among the [`EventItem`]s of a reading, and answers
//!   questions; a [`Filter`] says which events are meant.
//! - [`EventLog`] is both.

mod answers;
mod context;
mod counters;
mod decode;
mod encode;
mod event;
mod event_type;
mod fields;
mod filter;
mod id;
mod input;
mod job_logger;
mod job_state;
mod kinds;
#[cfg(feature = "mock")]
mod mock;
mod query;
mod query_ext;
mod read;
mod recorded;
mod recorded_json;
mod requests;
mod seen;
mod sink;
mod sink_ext;
mod subject;
mod text;
mod time_text;

pub use answers::{
    CleanupReport, EventAnalytics, EventHistory, EventMeasures, EventStats, HistorySummary,
    Percentiles, TimeRange,
};
pub use context::JobContext;
pub use counters::{EventCounters, EventReceipt, FlushReport};
pub use decode::{MalformedReason, decode};
pub use encode::{EncodedEvent, EventEncoder, MAX_DEPTH, SERVICE};
pub use event::Event;
pub use event_type::{CustomType, EntityKind, EventType};
pub use filter::{FieldFilter, Filter};
pub use id::{EventId, EventIds};
pub use input::EventInput;
pub use job_logger::JobLogger;
pub use job_state::{JobFold, JobState, JobSummary};
#[cfg(feature = "mock")]
pub use mock::MockEventLog;
#[cfg(feature = "mock")]
pub use query::MockEventQuery;
pub use query::{EventLog, EventQuery};
pub use query_ext::EventQueryExt;
pub use read::{ReadEvents, ReadStart, ReadUntil};
pub use recorded::{EventItem, MalformedEvent, Position, RecordedEvent};
pub use requests::{AnalyticsRequest, CleanupRequest, HistoryRequest, ScanLimits, StatsRequest};
pub use seen::SeenIds;
pub use sink::EventSink;
#[cfg(feature = "mock")]
pub use sink::MockEventSink;
pub use sink_ext::EventSinkExt;
pub use subject::{EventSubjects, ParsedSubject};
pub use text::Text;

#[cfg(test)]
mod tests;
