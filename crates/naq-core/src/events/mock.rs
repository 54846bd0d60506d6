//! A mock of the whole log.

use std::time::Duration;

use async_trait::async_trait;

use super::{
    AnalyticsRequest, CleanupReport, CleanupRequest, EventAccount, EventAnalytics, EventCounters,
    EventHistory, EventInput, EventItem, EventQuery, EventReceipt, EventSink, EventStats,
    Explanation, FlushReport, HistoryRequest, QueryAnswer, QueryExplanation, QueryRequest,
    ReadEvents, StatsRequest, TopErrors, TopErrorsRequest,
};
use crate::{BoxStream, Result};

mockall::mock! {
    /// A mock of [`EventLog`](super::EventLog): sink and query in one.
    #[derive(Debug)]
    pub EventLog {}

    #[async_trait]
    impl EventSink for EventLog {
        async fn log(&self, event: EventInput) -> Result<()>;
        fn try_log(&self, event: EventInput) -> Result<()>;
        async fn log_acked(&self, event: EventInput) -> Result<EventReceipt>;
        async fn log_batch(&self, events: Vec<EventInput>) -> Vec<Result<()>>;
        async fn flush(&self, within: Duration) -> Result<FlushReport>;
        fn counters(&self) -> EventCounters;
        fn account(&self) -> EventAccount;
    }

    #[async_trait]
    impl EventQuery for EventLog {
        fn read_events(&self, options: ReadEvents) -> BoxStream<'static, Result<EventItem>>;
        async fn explain(&self, options: ReadEvents) -> Result<Explanation>;
        async fn history(&self, request: HistoryRequest) -> Result<EventHistory>;
        async fn stats(&self, request: StatsRequest) -> Result<EventStats>;
        async fn analytics(&self, request: AnalyticsRequest) -> Result<EventAnalytics>;
        async fn top_errors(&self, request: TopErrorsRequest) -> Result<TopErrors>;
        async fn query(&self, request: QueryRequest) -> Result<QueryAnswer>;
        async fn explain_query(&self, request: QueryRequest) -> Result<QueryExplanation>;
        async fn cleanup(&self, request: CleanupRequest) -> Result<CleanupReport>;
    }
}
