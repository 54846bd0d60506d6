//! The port to ask the log through: questions, answers, and what they are made with.

mod answers;
mod basis;
mod errors;
mod explanation;
mod ext;
mod figures;
mod grouping;
mod job_state;
mod measure;
mod port;
mod question;
mod read;
mod recorded;
mod requests;
mod scan_limits;
mod seen;

pub use answers::{
    CleanupReport, EventAnalytics, EventHistory, EventMeasures, EventStats, HistorySummary,
    Percentiles, TimeRange,
};
pub use basis::{AnswerBasis, MadeFrom};
pub use errors::{ErrorGroup, TopErrors, TopErrorsRequest};
pub use explanation::{ExplainWarning, ExplainedIndex, Explanation, QueryExplanation, WhyRead};
pub use ext::EventQueryExt;
pub use figures::{QueryAnswer, QueryRequest, QueryRow};
pub use grouping::{Bucket, GroupBy};
pub use job_state::{JobFold, JobState, JobSummary};
pub use measure::{Measure, MeasuredField};
#[cfg(feature = "mock")]
pub use port::MockEventQuery;
pub use port::{EventLog, EventQuery};
pub use read::{ReadEvents, ReadStart, ReadUntil};
pub use recorded::{EventItem, MalformedEvent, Position, RecordedEvent};
pub use requests::{AnalyticsRequest, CleanupRequest, HistoryRequest, StatsRequest};
pub use scan_limits::ScanLimits;
pub use seen::SeenIds;
