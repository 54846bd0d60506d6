//! The port to ask the log through.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::events::{
    AnalyticsRequest, CleanupReport, CleanupRequest, EventAnalytics, EventHistory, EventItem,
    EventSink, EventStats, Explanation, HistoryRequest, QueryAnswer, QueryExplanation,
    QueryRequest, ReadEvents, StatsRequest, TopErrors, TopErrorsRequest,
};
use crate::{BoxStream, Result};

/// Reads the log and answers questions about it.
///
/// A question first waits until what the same service had accepted is stored,
/// so that it sees its own program's events. Messages that are no events don't
/// stop it; they are counted. A failed read is an error and never an empty
/// answer. The questions in the words of a program are in
/// [`EventQueryExt`](crate::events::EventQueryExt).
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait EventQuery: Debug + Send + Sync + 'static {
    /// Reads events in stored order, or newest first.
    ///
    /// The stream reads only as fast as it is polled, down to the server;
    /// dropping it ends the reading and everything behind it. It survives
    /// broken connections and says so ([`EventItem::Resumed`],
    /// [`EventItem::Gap`]). An error is its last item.
    ///
    /// # Errors
    /// As items: `InvalidArgument` for contradictory options; `NotFound` where
    /// the stream isn't there or is deleted; `Conflict` where it was made
    /// anew; `PermissionDenied`; `Timeout` or `Unavailable` where it can't be
    /// opened in time.
    fn read_events(&self, options: ReadEvents) -> BoxStream<'static, Result<EventItem>>;

    /// How [`read_events`](Self::read_events) would go about it: what the
    /// server does of the filter, what is left to check, how much is read at
    /// most, and what makes it slow. No event is read for it.
    ///
    /// # Errors
    /// Those of [`read_events`](Self::read_events).
    async fn explain(&self, options: ReadEvents) -> Result<Explanation>;

    /// What happened to one job, worker or schedule.
    ///
    /// An id of which there is no event has an empty history.
    ///
    /// # Errors
    /// `InvalidArgument` for an id or limit that cannot be one; `LimitReached`
    /// where it would read more than it may; those of
    /// [`read_events`](Self::read_events).
    async fn history(&self, request: HistoryRequest) -> Result<EventHistory>;

    /// Counts of the events of a range of time, up to the log's end as it
    /// stood at the start.
    ///
    /// # Errors
    /// As [`history`](Self::history).
    async fn stats(&self, request: StatsRequest) -> Result<EventStats>;

    /// Figures of one type of event over a range of time, up to the log's end
    /// as it stood at the start.
    ///
    /// # Errors
    /// As [`history`](Self::history).
    async fn analytics(&self, request: AnalyticsRequest) -> Result<EventAnalytics>;

    /// The errors of a range of time that occurred most, told apart by what
    /// stays the same in their messages, beside the range before.
    ///
    /// # Errors
    /// As [`history`](Self::history).
    async fn top_errors(&self, request: TopErrorsRequest) -> Result<TopErrors>;

    /// Figures of the events that a filter means, by group and stretch of time.
    ///
    /// # Errors
    /// As [`history`](Self::history); `LimitReached` too where the answer would
    /// have more than [`MAX_ROWS`](QueryAnswer::MAX_ROWS) rows.
    async fn query(&self, request: QueryRequest) -> Result<QueryAnswer>;

    /// What [`query`](Self::query) would be answered from: digests, or a
    /// reading of the log, and how much is read at most. Digests are looked
    /// at for it, and no event is read.
    ///
    /// # Errors
    /// `InvalidArgument` as for [`query`](Self::query); those of
    /// [`read_events`](Self::read_events).
    async fn explain_query(&self, request: QueryRequest) -> Result<QueryExplanation>;

    /// Removes what was stored before now minus an age, and nothing else.
    ///
    /// Repeating it does no harm. Dropping the future doesn't undo what was
    /// removed.
    ///
    /// # Errors
    /// `InvalidArgument` for a type that cannot be one, or limits without a dry
    /// run; `PermissionDenied` where the stream may not be purged;
    /// `OutcomeUnknown` where the answer was lost; those of
    /// [`read_events`](Self::read_events).
    async fn cleanup(&self, request: CleanupRequest) -> Result<CleanupReport>;
}

forward_port! { EventQuery {
    plain {
        read_events(options: ReadEvents) -> BoxStream<'static, Result<EventItem>>;
    }
    boxed {
        explain[](options: ReadEvents) -> Result<Explanation>;
        history[](request: HistoryRequest) -> Result<EventHistory>;
        stats[](request: StatsRequest) -> Result<EventStats>;
        analytics[](request: AnalyticsRequest) -> Result<EventAnalytics>;
        top_errors[](request: TopErrorsRequest) -> Result<TopErrors>;
        query[](request: QueryRequest) -> Result<QueryAnswer>;
        explain_query[](request: QueryRequest) -> Result<QueryExplanation>;
        cleanup[](request: CleanupRequest) -> Result<CleanupReport>;
    }
} }

/// The whole log: [`EventSink`] and [`EventQuery`] in one.
///
/// An `Arc<dyn EventLog>` coerces to either; give a worker the sink alone.
pub trait EventLog: EventSink + EventQuery {}

impl<T: EventSink + EventQuery + ?Sized> EventLog for T {}
