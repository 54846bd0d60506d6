//! The event model: what is logged, how it is stored, and the ports to log and to ask.
//!
//! - An [`Event`] of an [`EventType`] is handed to an [`EventSink`] as an
//!   [`EventInput`]; the [`EventEncoder`] makes it ready to be stored, under
//!   one of its [`EventSubjects`].
//! - An [`EventQuery`] gives it back as a [`RecordedEvent`] with its
//!   [`Position`], among the [`EventItem`]s of a reading, and answers
//!   questions; a [`Filter`] says which events are meant.
//! - [`EventLog`] is both.

mod filter;
#[cfg(feature = "mock")]
mod mock;
mod model;
mod query;
mod sink;
mod wire;

pub use filter::{
    FieldFilter, FieldLookup, Filter, FilterLookup, FilterPlan, FilterSyntaxError, IndexField,
    IndexKey,
};
#[cfg(feature = "mock")]
pub use mock::MockEventLog;
pub use model::{CustomType, EntityKind, Event, EventId, EventIds, EventType, JobContext, Text};
#[cfg(feature = "mock")]
pub use query::MockEventQuery;
pub use query::{
    AnalyticsRequest, AnswerBasis, Bucket, CleanupReport, CleanupRequest, ErrorGroup,
    EventAnalytics, EventHistory, EventItem, EventLog, EventMeasures, EventQuery, EventQueryExt,
    EventStats, ExplainWarning, ExplainedIndex, Explanation, GroupBy, HistoryRequest,
    HistorySummary, JobFold, JobState, JobSummary, MadeFrom, MalformedEvent, Measure,
    MeasuredField, Percentiles, Position, QueryAnswer, QueryExplanation, QueryRequest, QueryRow,
    ReadEvents, ReadStart, ReadUntil, RecordedEvent, ScanLimits, SeenIds, StatsRequest, TimeRange,
    TopErrors, TopErrorsRequest, WhyRead,
};
#[cfg(feature = "mock")]
pub use sink::MockEventSink;
pub use sink::{
    AckLatency, EventAccount, EventCounters, EventLoss, EventReceipt, EventSink, EventSinkExt,
    FlushReport, JobLogger, LossReason,
};
pub use wire::{
    EncodedEvent, EventEncoder, EventInput, EventSubjects, MAX_DEPTH, MalformedReason,
    ParsedSubject, SERVICE, decode,
};

#[cfg(test)]
mod tests;
