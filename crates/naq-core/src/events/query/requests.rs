//! The questions that the log answers.

use std::time::Duration;

use super::question::{check_question, question_setters};
use crate::events::{EntityKind, EventType, Filter, ScanLimits};
use crate::{Error, Result, Timestamp};

/// "What happened to it": the history of one job, worker or schedule.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HistoryRequest {
    /// What it is.
    pub entity: EntityKind,
    /// Its id, 1 to 256 bytes.
    pub id: String,
    /// How many events are shown, at least 1; 100 by default.
    pub limit: usize,
    /// Whether the newest are shown where there are more; else the oldest.
    pub from_end: bool,
    /// Only events from this time on are shown, by the events' own timestamps.
    pub start: Option<Timestamp>,
    /// Only events up to this time, included, are shown.
    pub end: Option<Timestamp>,
    /// Only events that pass it are shown.
    pub filter: Filter,
    /// How much it may read.
    pub scan: ScanLimits,
}

impl HistoryRequest {
    /// The history of one entity, its first 100 events.
    #[must_use]
    pub fn new(entity: EntityKind, id: impl Into<String>) -> Self {
        Self {
            entity,
            id: id.into(),
            limit: 100,
            from_end: false,
            start: None,
            end: None,
            filter: Filter::new(),
            scan: ScanLimits::default(),
        }
    }

    /// The history of a job, its first 100 events.
    #[must_use]
    pub fn job(id: impl Into<String>) -> Self {
        Self::new(EntityKind::Job, id)
    }

    /// Sets how many events are shown, at least 1.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Shows the newest events where there are more than the limit.
    #[must_use]
    pub fn with_from_end(mut self, from_end: bool) -> Self {
        self.from_end = from_end;
        self
    }

    /// Checks id, range, filter and limits.
    ///
    /// # Errors
    /// `InvalidArgument` that names the field and the rule.
    pub fn validate(&self) -> Result<()> {
        const HISTORY: &str = "get_event_history";
        crate::token::check_id(self.entity.field(), &self.id)
            .map_err(|error| error.in_operation(HISTORY))?;
        if self.limit == 0 {
            return Err(Error::invalid(HISTORY, "limit", "must be at least 1"));
        }
        check_question(HISTORY, (self.start, self.end), &self.filter, self.scan)
    }
}

question_setters! {
    HistoryRequest,
    range: "Sets of which time events are shown; an open end is the log's. The summary is of all \
            events in any case.",
    filter: "Sets which events are shown. The summary is of all events in any case."
}

/// "How is it going": statistics over a range of time.
///
/// The range is by the events' own timestamps, both ends included; an open
/// end is the log's.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct StatsRequest {
    /// From this time on.
    pub start: Option<Timestamp>,
    /// Up to this time, included.
    pub end: Option<Timestamp>,
    /// Only events that pass it are counted. So `lost` is told only where
    /// `events_lost` events pass.
    pub filter: Filter,
    /// How much it may read.
    pub scan: ScanLimits,
}

impl StatsRequest {
    /// Checks range, filter and limits.
    ///
    /// # Errors
    /// `InvalidArgument` for an end before the start, a filter that is wrong,
    /// or a limit of 0.
    pub fn validate(&self) -> Result<()> {
        const STATS: &str = "get_event_stats";
        check_question(STATS, (self.start, self.end), &self.filter, self.scan)
    }
}

question_setters! {
    StatsRequest,
    range: "Sets the range; an open end is the log's.",
    filter: "Sets which events are counted."
}

/// "How do runs of this kind go": figures of one type over a range of time.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AnalyticsRequest {
    /// Which events.
    pub event_type: EventType,
    /// From this time on, by the events' own timestamps.
    pub start: Option<Timestamp>,
    /// Up to this time, included.
    pub end: Option<Timestamp>,
    /// Only events that pass it too are measured.
    pub filter: Filter,
    /// How much it may read.
    pub scan: ScanLimits,
}

impl AnalyticsRequest {
    /// The figures of one type over the whole log.
    #[must_use]
    pub fn new(event_type: impl Into<EventType>) -> Self {
        Self {
            event_type: event_type.into(),
            start: None,
            end: None,
            filter: Filter::new(),
            scan: ScanLimits::default(),
        }
    }

    /// Checks type, range, filter and limits.
    ///
    /// # Errors
    /// `InvalidArgument` for a type that cannot be one, an end before the
    /// start, a filter that is wrong, or a limit of 0.
    pub fn validate(&self) -> Result<()> {
        const ANALYTICS: &str = "get_event_analytics";
        crate::token::check_type(self.event_type.as_str())
            .map_err(|error| error.in_operation(ANALYTICS))?;
        check_question(ANALYTICS, (self.start, self.end), &self.filter, self.scan)
    }
}

question_setters! {
    AnalyticsRequest,
    range: "Sets the range; an open end is the log's.",
    filter: "Sets which events of the type are measured."
}

/// "Forget what is old": removes events by age.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CleanupRequest {
    /// Events that were stored longer ago than this are removed; 86,400 s by default.
    pub max_age: Duration,
    /// Only events of this type.
    pub event_type: Option<EventType>,
    /// Whether to count only, and remove nothing.
    pub dry_run: bool,
    /// How much a dry run may read to count; removing counts nothing.
    pub scan: ScanLimits,
}

impl Default for CleanupRequest {
    /// Removes all that is older than a day.
    fn default() -> Self {
        Self::new(Duration::from_secs(86_400))
    }
}

impl CleanupRequest {
    /// Removes all that is older than `max_age`.
    #[must_use]
    pub fn new(max_age: Duration) -> Self {
        Self { max_age, event_type: None, dry_run: false, scan: ScanLimits::default() }
    }

    /// Removes only events of this type.
    #[must_use]
    pub fn with_event_type(mut self, event_type: impl Into<EventType>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }

    /// Counts only.
    #[must_use]
    pub fn with_dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Sets how much a dry run may read to count.
    #[must_use]
    pub fn with_scan(mut self, scan: ScanLimits) -> Self {
        self.scan = scan;
        self
    }

    /// Checks type and limits.
    ///
    /// # Errors
    /// `InvalidArgument` for a type that cannot be one, a limit of 0, or limits
    /// without a dry run.
    pub fn validate(&self) -> Result<()> {
        const CLEANUP: &str = "cleanup_old_events";
        if !self.dry_run && self.scan != ScanLimits::default() {
            return Err(Error::invalid(CLEANUP, "scan", "limits the counting of a dry run alone"));
        }
        if let Some(event_type) = &self.event_type {
            crate::token::check_type(event_type.as_str())
                .map_err(|error| error.in_operation(CLEANUP))?;
        }
        self.scan.validate(CLEANUP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(result: Result<()>) -> String {
        result.unwrap_err().get("field").unwrap_or_default().to_owned()
    }

    #[test]
    fn wrong_questions_are_refused_by_the_field_s_name() {
        let (early, late) = (Timestamp::from_nanos(1), Timestamp::from_nanos(2));
        assert_eq!(field(HistoryRequest::job("").validate()), "job_id");
        assert_eq!(field(HistoryRequest::job("j").with_limit(0).validate()), "limit");
        let worker = HistoryRequest::new(EntityKind::Worker, "w".repeat(257));
        assert_eq!(field(worker.validate()), "worker_id");
        let stats = StatsRequest::default().with_range(Some(late), Some(early));
        assert_eq!(field(stats.validate()), "end_time");
        assert_eq!(field(AnalyticsRequest::new("").validate()), "type");
        let none = ScanLimits::default().with_max_messages(0);
        assert_eq!(field(AnalyticsRequest::new("x").with_scan(none).validate()), "max_messages");
        assert_eq!(field(CleanupRequest::default().with_event_type("").validate()), "type");
        let bounded = || CleanupRequest::default().with_scan(ScanLimits::unlimited());
        assert_eq!(field(bounded().validate()), "scan");
        bounded().with_dry_run(true).validate().unwrap();
        let wrong = || Filter::new().queue("a").field("error").matches("(");
        let requests = [
            HistoryRequest::job("j").with_filter(wrong()).validate(),
            StatsRequest::default().with_filter(wrong()).validate(),
            AnalyticsRequest::new("x").with_filter(wrong()).validate(),
        ];
        assert_eq!(requests.map(field), ["error.regex"; 3]);
    }

    #[test]
    fn the_defaults_are_those_that_are_documented() {
        assert_eq!(HistoryRequest::job("j").limit, 100);
        assert_eq!(CleanupRequest::default().max_age, Duration::from_secs(86_400));
    }
}
