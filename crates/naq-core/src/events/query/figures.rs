//! A question of one's own: which events, told apart by what, and what is measured of them.

use serde::{Deserialize, Serialize};

use super::question::{check_question, question_setters};
use crate::events::{AnswerBasis, Bucket, Filter, GroupBy, Measure, ScanLimits, TimeRange};
use crate::{Error, ErrorKind, Result, Timestamp};

const QUERY: &str = "query";

/// "How much of what, when": figures of the events that a filter means, by
/// group and stretch of time.
///
/// The range is by the events' own timestamps, both ends included. Groups by
/// type, queue, kind of job and outcome are answered from digests, with a
/// filter about these alone; any other one costs a bounded reading of the log.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct QueryRequest {
    /// Which events.
    pub filter: Filter,
    /// From this time on; `None` for the log's beginning.
    pub start: Option<Timestamp>,
    /// Up to this time, included.
    pub end: Option<Timestamp>,
    /// What they are told apart by, at most [`MAX_GROUP_BY`](Self::MAX_GROUP_BY), each once.
    pub group_by: Vec<GroupBy>,
    /// The stretch of time of a row; `None` for the whole range.
    pub bucket: Option<Bucket>,
    /// What is measured, 1 to [`MAX_MEASURES`](Self::MAX_MEASURES); the count by default.
    pub measures: Vec<Measure>,
    /// How much it may read.
    pub scan: ScanLimits,
}

impl QueryRequest {
    /// By how much events can be told apart at once.
    pub const MAX_GROUP_BY: usize = 3;
    /// How much can be measured at once.
    pub const MAX_MEASURES: usize = 16;

    /// The count of the events that a filter means, in the whole log.
    #[must_use]
    pub fn new(filter: Filter) -> Self {
        Self {
            filter,
            start: None,
            end: None,
            group_by: Vec::new(),
            bucket: None,
            measures: vec![Measure::Count],
            scan: ScanLimits::default(),
        }
    }

    /// Tells the events apart by these.
    #[must_use]
    pub fn with_group_by(mut self, groups: impl IntoIterator<Item = GroupBy>) -> Self {
        self.group_by = groups.into_iter().collect();
        self
    }

    /// Makes a row for each stretch of time in which there are events.
    #[must_use]
    pub fn with_bucket(mut self, bucket: Bucket) -> Self {
        self.bucket = Some(bucket);
        self
    }

    /// Sets what is measured.
    #[must_use]
    pub fn with_measures(mut self, measures: impl IntoIterator<Item = Measure>) -> Self {
        self.measures = measures.into_iter().collect();
        self
    }

    /// Checks range, filter, groups, measures and limits.
    ///
    /// # Errors
    /// `InvalidArgument` for an end before the start, a range of more than
    /// [`MAX_ROWS`](QueryAnswer::MAX_ROWS) buckets, a filter that is wrong, too
    /// many groups or measures, one twice, no measure, or a limit of 0.
    pub fn validate(&self) -> Result<()> {
        check_question(QUERY, (self.start, self.end), &self.filter, self.scan)?;
        if let (Some(bucket), Some(start), Some(end)) = (self.bucket, self.start, self.end) {
            let length = i128::from(end.as_nanos()) - i128::from(start.as_nanos());
            let rows = length / bucket.length().as_nanos().cast_signed() + 1;
            if rows > QueryAnswer::MAX_ROWS as i128 {
                let rule = "must not cut the range into more than 10,000 rows";
                return Err(Error::invalid(QUERY, "bucket", rule)
                    .with("bucket", bucket.name())
                    .with("rows", rows.to_string()));
            }
        }
        let mut groups = self.group_by.clone();
        groups.sort_unstable();
        groups.dedup();
        if groups.len() > Self::MAX_GROUP_BY || groups.len() < self.group_by.len() {
            return Err(Error::invalid(QUERY, "group_by", "must be at most 3, each once"));
        }
        let mut measures = self.measures.clone();
        measures.sort_unstable();
        measures.dedup();
        if measures.is_empty()
            || measures.len() > Self::MAX_MEASURES
            || measures.len() < self.measures.len()
        {
            return Err(Error::invalid(QUERY, "measures", "must be 1 to 16, each once"));
        }
        for measure in &measures {
            if let Measure::Percentile(thousandths, _) = measure
                && !(1..=999).contains(thousandths)
            {
                return Err(Error::invalid(QUERY, "measures", "must have percentiles of 1 to 999")
                    .with("measure", measure.to_string()));
            }
        }
        Ok(())
    }

    /// The error of a question whose answer would have too many rows.
    #[must_use]
    pub fn too_many_rows(&self) -> Error {
        Error::new(ErrorKind::LimitReached, QUERY, "the answer would have over 10,000 rows")
            .with_retry(crate::RetryClass::Never)
            .with("max_rows", QueryAnswer::MAX_ROWS.to_string())
            .with_hint("take a longer bucket, a shorter range, a narrower filter, or fewer groups")
    }
}

question_setters! {
    QueryRequest,
    range: "Sets the range; an open end is the log's.",
    filter: "Sets which events are measured."
}

/// The figures, a row for each group and stretch of time in which there are events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct QueryAnswer {
    /// The asked range.
    pub time_range: TimeRange,
    /// What the events are told apart by: the names of each row's `group`.
    pub group_by: Vec<GroupBy>,
    /// The stretch of time of a row.
    pub bucket: Option<Bucket>,
    /// What was measured: the names of each row's `values`.
    pub measures: Vec<Measure>,
    /// By time, and those of one time by the first measure, the greatest first.
    pub rows: Vec<QueryRow>,
    /// Events that are in no row, because a digest doesn't tell their group any
    /// more, and they are gone.
    pub unlisted: u64,
    /// What it was made from.
    pub basis: AnswerBasis,
}

impl QueryAnswer {
    /// The most rows of an answer.
    pub const MAX_ROWS: usize = 10_000;

    /// An answer without a row.
    #[must_use]
    pub fn new(request: &QueryRequest) -> Self {
        Self {
            time_range: TimeRange { start: request.start, end: request.end },
            group_by: request.group_by.clone(),
            bucket: request.bucket,
            measures: request.measures.clone(),
            rows: Vec::new(),
            unlisted: 0,
            basis: AnswerBasis::default(),
        }
    }
}

/// The figures of one group in one stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct QueryRow {
    /// Where the stretch of time begins; `None` where the whole range is one.
    pub time: Option<Timestamp>,
    /// The group; `None` for events without the field.
    pub group: Vec<Option<String>>,
    /// The figures; `None` where no event has the field.
    pub values: Vec<Option<f64>>,
}

impl QueryRow {
    /// A row.
    #[must_use]
    pub const fn new(
        time: Option<Timestamp>,
        group: Vec<Option<String>>,
        values: Vec<Option<f64>>,
    ) -> Self {
        Self { time, group, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_is_refused_by_its_name() {
        let request = || QueryRequest::new(Filter::new());
        let at = |seconds: i64| Some(Timestamp::from_nanos(seconds * 1_000_000_000));
        let minutes = |start, end| request().with_range(start, end).with_bucket(Bucket::Minute);
        minutes(at(0), at(599_999)).validate().unwrap();
        minutes(at(0), None).validate().unwrap();
        request().with_group_by([GroupBy::Type, GroupBy::Queue]).validate().unwrap();
        let of_percentile = |n| Measure::Percentile(n, crate::events::MeasuredField::Duration);
        let wrong = [
            (minutes(at(0), at(600_000)), "bucket"),
            (request().with_range(at(2), at(1)), "end_time"),
            (request().with_group_by([GroupBy::Type, GroupBy::Type]), "group_by"),
            (request().with_group_by(GroupBy::ALL), "group_by"),
            (request().with_measures([]), "measures"),
            (request().with_measures([Measure::Count, Measure::Count]), "measures"),
            (request().with_measures((1..18).map(of_percentile)), "measures"),
            (request().with_measures([of_percentile(0)]), "measures"),
            (request().with_measures([of_percentile(1_000)]), "measures"),
            (request().with_scan(ScanLimits::default().with_max_messages(0)), "max_messages"),
        ];
        for (request, field) in wrong {
            let error = request.validate().unwrap_err();
            assert_eq!(error.get("field"), Some(field), "{request:?}");
        }
    }
}
