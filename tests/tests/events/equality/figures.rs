//! The figures of events, by plain loops.

use std::collections::BTreeMap;

use naq_core::Timestamp;
use naq_core::events::{
    Bucket, ErrorGroup, Event, EventMeasures, EventStats, GroupBy, Measure, MeasuredField,
    Percentiles, QueryRequest, TopErrorsRequest,
};

use super::log::ERRORS;

/// An event that somebody knows of.
pub(super) type Known<'a> = (&'a Event, Timestamp);

/// Figures of those events that lie between two times.
pub(super) struct Figures<'a> {
    pub(super) events: Vec<Known<'a>>,
}

impl<'a> Figures<'a> {
    /// Of the events that pass, in a range with both its ends.
    pub(super) fn of(
        known: impl Iterator<Item = Known<'a>>,
        passes: impl Fn(&Event) -> bool,
        (start, end): (Option<Timestamp>, Option<Timestamp>),
    ) -> Self {
        let is_in = |at| start.is_none_or(|start| at >= start) && end.is_none_or(|end| at <= end);
        Self { events: known.filter(|(event, at)| is_in(*at) && passes(event)).collect() }
    }

    fn times(&self) -> impl Iterator<Item = Timestamp> {
        self.events.iter().map(|(_, at)| *at)
    }

    /// The counts, without what they were made from.
    pub(super) fn stats(&self) -> EventStats {
        let mut stats = EventStats::default();
        stats.total_events = self.events.len() as u64;
        stats.event_types = self.count(|event| Some(event.event_type.as_str()));
        stats.queues = self.count(|event| event.queue.as_deref());
        stats.job_names = self.count(|event| event.job_name.as_deref());
        (stats.first_event, stats.last_event) = (self.times().min(), self.times().max());
        stats.lost = self.events.iter().filter_map(|(event, _)| event.lost_count()).sum();
        stats
    }

    fn count(&self, name: impl Fn(&Event) -> Option<&str>) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for name in self.events.iter().filter_map(|(event, _)| name(event)) {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
        counts
    }

    /// The figures of all of them.
    pub(super) fn measures(&self) -> EventMeasures {
        let value = |measure| value(&self.events, measure, 0.0);
        let of = MeasuredField::Duration;
        let mut measures = EventMeasures::default();
        measures.total_count = self.events.len() as u64;
        measures.success_rate = value(Measure::SuccessRate);
        measures.average_duration = value(Measure::Mean(of));
        (measures.min_duration, measures.max_duration) =
            (value(Measure::Min(of)), value(Measure::Max(of)));
        let percentile = |thousandths| value(Measure::Percentile(thousandths, of));
        measures.percentiles = Percentiles::new(percentile(500), percentile(950), percentile(990));
        measures
    }

    /// The figures by the name that an event gives, if it does.
    pub(super) fn measures_by(
        &self,
        name: impl Fn(&Event) -> Option<&str>,
    ) -> BTreeMap<String, EventMeasures> {
        let mut parts = BTreeMap::<String, Figures<'a>>::new();
        for (event, at) in &self.events {
            let Some(name) = name(event) else { continue };
            let part = parts.entry(name.to_owned()).or_insert(Figures { events: Vec::new() });
            part.events.push((event, *at));
        }
        parts.into_iter().map(|(name, part)| (name, part.measures())).collect()
    }

    /// The rows of an answer, each with its values.
    pub(super) fn rows(&self, request: &QueryRequest) -> BTreeMap<RowKey, Vec<Option<f64>>> {
        let mut rows = BTreeMap::<RowKey, Vec<Known<'_>>>::new();
        for (event, at) in &self.events {
            let groups = request.group_by.iter().map(|by| group(event, *by)).collect();
            let key = (request.bucket.map(|bucket| begin(bucket, *at)), groups);
            rows.entry(key).or_default().push((event, *at));
        }
        let end = request.end.unwrap();
        let start = request.start.or_else(|| self.times().min());
        let seconds =
            |from: Timestamp, to: Timestamp| (to.as_nanos() - from.as_nanos()).max(0) as f64 / 1e9;
        let row = |(key, events): (RowKey, Vec<Known<'_>>)| {
            let start = start.unwrap();
            let stretch = match (key.0, request.bucket) {
                (Some(time), Some(bucket)) => {
                    let next = time.saturating_add(bucket.length());
                    seconds(time.max(start), next.min(end))
                }
                _ => seconds(start, end),
            };
            let values = request.measures.iter().map(|it| value(&events, *it, stretch)).collect();
            (key, values)
        };
        rows.into_iter().map(row).collect()
    }

    /// The errors of the request's range, in order; counted by whole minutes.
    pub(super) fn errors(&self, request: &TopErrorsRequest) -> Vec<ErrorGroup> {
        let minute = |at: Timestamp| at.as_nanos().div_euclid(60_000_000_000);
        let last = minute(request.end.unwrap());
        let first = request.start.map(minute);
        let mut groups = BTreeMap::<(String, Option<String>), Vec<Known<'_>>>::new();
        for (event, at) in &self.events {
            let Some(error) = event.error.as_deref() else { continue };
            let known = ERRORS.iter().find(|(message, _)| error.starts_with(message)).unwrap();
            let key = (known.1.to_owned(), event.error_type.as_deref().map(str::to_owned));
            groups.entry(key).or_default().push((event, *at));
        }
        let mut errors = Vec::new();
        for ((fingerprint, error_type), events) in groups {
            let count = |from: i64, to: i64| {
                events.iter().filter(|(_, at)| (from..=to).contains(&minute(*at))).count() as u64
            };
            let in_range = count(first.unwrap_or(i64::MIN), last);
            let seen = (
                events.iter().map(|(_, at)| *at).min().unwrap(),
                events.iter().map(|(_, at)| *at).max().unwrap(),
            );
            if in_range == 0 || request.new_since.is_some_and(|since| seen.0 < since) {
                continue;
            }
            let mut listed = ErrorGroup::new(fingerprint, error_type, in_range, seen);
            listed.count_before = first.map(|first| {
                let length = last - first + 1;
                count(first - length, first - 1)
            });
            listed.jobs = last_jobs(&events);
            errors.push(listed);
        }
        errors.sort_by_key(|error| {
            (std::cmp::Reverse(error.count), error.fingerprint.clone(), error.error_type.clone())
        });
        errors
    }
}

/// The three jobs that had it last, the newest first.
fn last_jobs(events: &[Known<'_>]) -> Vec<String> {
    let mut last = BTreeMap::<&str, Timestamp>::new();
    for (event, at) in events {
        if let Some(job) = event.job_id.as_deref() {
            let newest = last.entry(job).or_insert(*at);
            *newest = (*newest).max(*at);
        }
    }
    let mut jobs: Vec<_> = last.into_iter().map(|(job, at)| (at, job)).collect();
    jobs.sort_unstable();
    jobs.into_iter().rev().take(3).map(|(_, job)| job.to_owned()).collect()
}

/// What a row is about.
pub(super) type RowKey = (Option<Timestamp>, Vec<Option<String>>);

fn group(event: &Event, by: GroupBy) -> Option<String> {
    let text = match by {
        GroupBy::Type => Some(event.event_type.as_str()),
        GroupBy::Queue => event.queue.as_deref(),
        GroupBy::JobName => event.job_name.as_deref(),
        GroupBy::Worker => event.worker_id.as_deref(),
        GroupBy::Outcome => event.success.map(|is| if is { "success" } else { "failure" }),
        other => panic!("{other:?} is not asked for"),
    };
    text.map(str::to_owned)
}

fn begin(bucket: Bucket, at: Timestamp) -> Timestamp {
    let length = match bucket {
        Bucket::Minute => 60_000_000_000,
        Bucket::Hour => 3_600_000_000_000,
        Bucket::Day => 86_400_000_000_000,
        other => panic!("{other:?} is not asked for"),
    };
    Timestamp::from_nanos(at.as_nanos().div_euclid(length) * length)
}

/// A figure of some events; a rate is over so many seconds.
fn value(events: &[Known<'_>], measure: Measure, stretch: f64) -> Option<f64> {
    let seconds = |of| {
        let of = move |event: &Event| match of {
            MeasuredField::Duration => event.duration,
            _ => event.queue_wait,
        };
        let mut values: Vec<f64> = events.iter().filter_map(|(event, _)| of(event)).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    match measure {
        Measure::Count => Some(events.len() as f64),
        Measure::Rate => (stretch > 0.0).then(|| events.len() as f64 / stretch),
        Measure::SuccessRate => {
            let ends: Vec<bool> = events.iter().filter_map(|(event, _)| event.success).collect();
            let well = ends.iter().filter(|is| **is).count();
            (!ends.is_empty()).then(|| well as f64 / ends.len() as f64)
        }
        Measure::Mean(of) => {
            let values = seconds(of);
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        }
        Measure::Min(of) => seconds(of).first().copied(),
        Measure::Max(of) => seconds(of).last().copied(),
        Measure::Percentile(thousandths, of) => {
            let values = seconds(of);
            let rank = (f64::from(thousandths) / 1_000.0 * values.len() as f64).ceil().max(1.0);
            values.get(rank as usize - 1).copied()
        }
        other => panic!("{other} is not asked for"),
    }
}
