//! The service as what answers questions.

use async_trait::async_trait;
use naq_core::events::{
    AnalyticsRequest, CleanupReport, CleanupRequest, EventAnalytics, EventHistory, EventItem,
    EventQuery, EventStats, Explanation, HistoryRequest, QueryAnswer, QueryExplanation,
    QueryRequest, ReadEvents, StatsRequest, TopErrors, TopErrorsRequest,
};
use naq_core::{BoxStream, Error, Result};

use crate::service::EventService;
use crate::{analytics, cleanup, explain_query, grouped, history, stats, top_errors};

#[async_trait]
impl EventQuery for EventService {
    fn read_events(&self, options: ReadEvents) -> BoxStream<'static, Result<EventItem>> {
        self.log.read_events(self.settled("read_events"), self.indexes.clone(), options)
    }

    async fn explain(&self, options: ReadEvents) -> Result<Explanation> {
        self.settled("explain").await?;
        self.log.explain(self.indexes.as_ref(), options).await
    }

    async fn history(&self, request: HistoryRequest) -> Result<EventHistory> {
        request.validate()?;
        self.settled(history::OPERATION).await?;
        let meter = self.log.meter(history::OPERATION, request.scan);
        let indexes = self.indexes.as_ref();
        meter.within(history::history(&self.log, indexes, &meter, request)).await
    }

    async fn stats(&self, request: StatsRequest) -> Result<EventStats> {
        request.validate()?;
        self.settled(stats::OPERATION).await?;
        let meter = self.log.meter(stats::OPERATION, request.scan);
        let digests = self.digests.as_deref();
        meter.within(stats::stats(&self.log, digests, &meter, request)).await
    }

    async fn analytics(&self, request: AnalyticsRequest) -> Result<EventAnalytics> {
        request.validate()?;
        self.settled(analytics::OPERATION).await?;
        let meter = self.log.meter(analytics::OPERATION, request.scan);
        let digests = self.digests.as_deref();
        meter.within(analytics::analytics(&self.log, digests, &meter, request)).await
    }

    async fn top_errors(&self, request: TopErrorsRequest) -> Result<TopErrors> {
        request.validate()?;
        self.settled(top_errors::OPERATION).await?;
        let meter = self.log.meter(top_errors::OPERATION, request.scan);
        let digests = self.digests.as_deref();
        meter.within(top_errors::top_errors(&self.log, digests, &meter, request)).await
    }

    async fn query(&self, request: QueryRequest) -> Result<QueryAnswer> {
        request.validate()?;
        self.settled(grouped::OPERATION).await?;
        let meter = self.log.meter(grouped::OPERATION, request.scan);
        let digests = self.digests.as_deref();
        meter.within(grouped::query(&self.log, digests, &meter, request)).await
    }

    async fn explain_query(&self, request: QueryRequest) -> Result<QueryExplanation> {
        let told = |error: Error| error.in_operation(explain_query::OPERATION);
        request.validate().map_err(told)?;
        self.settled(explain_query::OPERATION).await?;
        explain_query::explain(&self.log, self.digests.as_deref(), &request).await
    }

    async fn cleanup(&self, request: CleanupRequest) -> Result<CleanupReport> {
        request.validate()?;
        self.settled(cleanup::OPERATION).await?;
        cleanup::cleanup(&self.log, request).await
    }
}
