//! The questions in a program's words.

use std::future::Future;
use std::time::Duration;

use crate::events::{
    AnalyticsRequest, CleanupReport, CleanupRequest, EntityKind, EventAnalytics, EventHistory,
    EventItem, EventQuery, EventStats, EventType, Filter, HistoryRequest, ReadEvents, StatsRequest,
};
use crate::{BoxStream, Error, Result, Timestamp};

/// What every [`EventQuery`] offers beside the port: also a mock and a trait object.
pub trait EventQueryExt: EventQuery {
    /// Everything from the beginning, and then what comes, without end.
    ///
    /// `filter` is a [`Filter`], or its dictionary form as JSON:
    /// `json!({"type": "job_failed", "duration": {"min": 2.5}})`.
    ///
    /// # Errors
    /// As items, those of [`read_events`](EventQuery::read_events); a filter
    /// that is wrong is the only item.
    fn stream_events<F>(&self, filter: F) -> BoxStream<'static, Result<EventItem>>
    where
        F: TryInto<Filter>,
        Error: From<F::Error>,
    {
        match filter.try_into() {
            Ok(filter) => self.read_events(ReadEvents::live().with_filter(filter)),
            Err(error) => {
                let error = Error::from(error);
                Box::pin(futures::stream::once(async move { Err(error) }))
            }
        }
    }

    /// A job's events in stored order, the oldest `limit` of them (the seed's
    /// default is 100), with a summary of all.
    ///
    /// # Errors
    /// Those of [`history`](EventQuery::history).
    fn get_event_history(
        &self,
        job: &str,
        limit: usize,
    ) -> impl Future<Output = Result<EventHistory>> + Send {
        self.history(HistoryRequest::job(job).with_limit(limit))
    }

    /// The first 100 events of a job, a worker or a schedule.
    ///
    /// # Errors
    /// Those of [`history`](EventQuery::history).
    fn get_entity_history(
        &self,
        kind: EntityKind,
        id: &str,
    ) -> impl Future<Output = Result<EventHistory>> + Send {
        self.history(HistoryRequest::new(kind, id))
    }

    /// Counts over a range of time; an open end is the log's.
    ///
    /// # Errors
    /// Those of [`stats`](EventQuery::stats).
    fn get_event_stats(
        &self,
        start: Option<Timestamp>,
        end: Option<Timestamp>,
    ) -> impl Future<Output = Result<EventStats>> + Send {
        self.stats(StatsRequest::default().with_range(start, end))
    }

    /// Figures of one type over a range of time; an open end is the log's.
    ///
    /// # Errors
    /// Those of [`analytics`](EventQuery::analytics).
    fn get_event_analytics(
        &self,
        event_type: impl Into<EventType>,
        start: Option<Timestamp>,
        end: Option<Timestamp>,
    ) -> impl Future<Output = Result<EventAnalytics>> + Send {
        self.analytics(AnalyticsRequest::new(event_type).with_range(start, end))
    }

    /// Removes what was stored longer ago than `max_age`, and nothing else.
    ///
    /// # Errors
    /// Those of [`cleanup`](EventQuery::cleanup).
    fn cleanup_old_events(
        &self,
        max_age: Duration,
    ) -> impl Future<Output = Result<CleanupReport>> + Send {
        self.cleanup(CleanupRequest::new(max_age))
    }
}

impl<T: EventQuery + ?Sized> EventQueryExt for T {}
