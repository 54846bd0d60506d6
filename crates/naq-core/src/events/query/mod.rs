//! The port to ask the log through: questions, answers, and what they are made with.

mod answers;
mod explanation;
mod ext;
mod job_state;
mod port;
mod read;
mod recorded;
mod requests;
mod seen;

pub use answers::{
    AnswerBasis, CleanupReport, EventAnalytics, EventHistory, EventMeasures, EventStats,
    HistorySummary, Percentiles, TimeRange,
};
pub use explanation::{ExplainWarning, Explanation};
pub use ext::EventQueryExt;
pub use job_state::{JobFold, JobState, JobSummary};
#[cfg(feature = "mock")]
pub use port::MockEventQuery;
pub use port::{EventLog, EventQuery};
pub use read::{ReadEvents, ReadStart, ReadUntil};
pub use recorded::{EventItem, MalformedEvent, Position, RecordedEvent};
pub use requests::{AnalyticsRequest, CleanupRequest, HistoryRequest, ScanLimits, StatsRequest};
pub use seen::SeenIds;
