//! The service as what answers questions.

use async_trait::async_trait;
use naq_core::events::{
    AnalyticsRequest, AnswerBasis, CleanupReport, CleanupRequest, EventAnalytics, EventHistory,
    EventItem, EventQuery, EventStats, Explanation, HistoryRequest, MadeFrom, QueryAnswer,
    QueryExplanation, QueryRequest, ReadEvents, StatsRequest, TopErrors, TopErrorsRequest,
};
use naq_core::{BoxStream, Error, Result};

use crate::answer::Sources;
use crate::digests::{CellFilter, MinuteRange};
use crate::service::EventService;
use crate::{analytics, cleanup, explain_query, grouped, history, stats, top_errors};

impl EventService {
    /// What it has to answer from.
    fn sources(&self) -> Sources<'_> {
        let (digests, indexes) = (self.digests.as_deref(), self.indexes.as_ref());
        Sources { log: &self.log, digests, indexes }
    }

    /// Somebody has an answer: what comes is read ahead of the next question,
    /// where digests are what answers it.
    fn has_answered(&self, basis: &AnswerBasis) {
        if let Some(follower) =
            self.follower.as_ref().filter(|_| basis.made_from == MadeFrom::Digests)
        {
            follower.asked(basis.through);
        }
    }
}

#[async_trait]
impl EventQuery for EventService {
    fn read_events(&self, options: ReadEvents) -> BoxStream<'static, Result<EventItem>> {
        self.log.read_events(self.settled("read_events"), self.indexes.clone(), options)
    }

    async fn explain(&self, options: ReadEvents) -> Result<Explanation> {
        self.settled("explain").await?;
        let has_digests = self.digests.is_some() && CellFilter::of(&options.filter).is_some();
        let mut explanation =
            self.log.explain(self.indexes.as_ref(), (options, &MinuteRange::default())).await?;
        explanation.figures_from = match &explanation.index {
            _ if has_digests => MadeFrom::Digests,
            Some(_) => MadeFrom::Index,
            None => MadeFrom::Log,
        };
        Ok(explanation)
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
        let answer = meter.within(stats::stats(self.sources(), &meter, request)).await;
        answer.inspect(|answer| self.has_answered(&answer.basis))
    }

    async fn analytics(&self, request: AnalyticsRequest) -> Result<EventAnalytics> {
        request.validate()?;
        self.settled(analytics::OPERATION).await?;
        let meter = self.log.meter(analytics::OPERATION, request.scan);
        let answer = meter.within(analytics::analytics(self.sources(), &meter, request)).await;
        answer.inspect(|answer| self.has_answered(&answer.basis))
    }

    async fn top_errors(&self, request: TopErrorsRequest) -> Result<TopErrors> {
        request.validate()?;
        self.settled(top_errors::OPERATION).await?;
        let meter = self.log.meter(top_errors::OPERATION, request.scan);
        let answer = meter.within(top_errors::top_errors(self.sources(), &meter, request)).await;
        answer.inspect(|answer| self.has_answered(&answer.basis))
    }

    async fn query(&self, request: QueryRequest) -> Result<QueryAnswer> {
        request.validate()?;
        self.settled(grouped::OPERATION).await?;
        let meter = self.log.meter(grouped::OPERATION, request.scan);
        let answer = meter.within(grouped::query(self.sources(), &meter, request)).await;
        answer.inspect(|answer| self.has_answered(&answer.basis))
    }

    async fn explain_query(&self, request: QueryRequest) -> Result<QueryExplanation> {
        let told = |error: Error| error.in_operation(explain_query::OPERATION);
        request.validate().map_err(told)?;
        self.settled(explain_query::OPERATION).await?;
        explain_query::explain(self.sources(), &request).await
    }

    async fn cleanup(&self, request: CleanupRequest) -> Result<CleanupReport> {
        request.validate()?;
        self.settled(cleanup::OPERATION).await?;
        cleanup::cleanup(&self.log, request).await
    }
}
