//! Random questions, and the answers of a service and of the model side by side.

use std::collections::BTreeMap;

use naq_core::Timestamp;
use naq_core::events::{
    AnalyticsRequest, AnswerBasis, Bucket, Event, EventMeasures, EventQuery, EventStats, Filter,
    GroupBy, Measure, MeasuredField, QueryRequest, StatsRequest, TopErrorsRequest,
};
use naq_events::EventService;

use super::log::{KINDS, at};
use super::model::{Figures, Known, Model};

const MINUTE: i64 = 60_000_000_000;

/// Behind all events, whatever the clock: an open end of some questions would
/// be another instant for each who is asked.
const END: i64 = 400_000_000;

/// A filter, the same as code, and whether digests tell what it is about.
struct Case {
    text: &'static str,
    passes: fn(&Event) -> bool,
    is_about_cells: bool,
}

const fn case(text: &'static str, passes: fn(&Event) -> bool, is_about_cells: bool) -> Case {
    Case { text, passes, is_about_cells }
}

const CASES: [Case; 8] = [
    case("", |_| true, true),
    case("type = job_completed", |it| it.event_type.as_str() == "job_completed", true),
    case(
        "type in (job_failed, log) or queue = queue-2",
        |it| {
            ["job_failed", "log"].contains(&it.event_type.as_str())
                || it.queue.as_deref() == Some("queue-2")
        },
        true,
    ),
    case("not exists queue", |it| it.queue.is_none(), true),
    case(
        "success = true and exists job_name and job_name != name-0",
        |it| {
            it.success == Some(true) && it.job_name.as_deref().is_some_and(|name| name != "name-0")
        },
        true,
    ),
    case("success = false", |it| it.success == Some(false), true),
    case("duration > 50s", |it| it.duration.is_some_and(|seconds| seconds > 50.0), false),
    case(
        "worker_id = w3 and type = job_started",
        |it| it.worker_id.as_deref() == Some("w3") && it.event_type.as_str() == "job_started",
        false,
    ),
];

type Times = (Option<Timestamp>, Option<Timestamp>);

/// A range that touches the log's time, of whole minutes or not.
fn times(random: &mut fastrand::Rng, span: i64, is_of_minutes: bool) -> Times {
    let mut end = || random.bool().then(|| random.i64(-60_000..span + 60_000));
    let (start, end) = match (end(), end()) {
        (Some(one), Some(other)) => (Some(one.min(other)), Some(one.max(other))),
        ends => ends,
    };
    let nanos = |millis: i64| at(0).as_nanos() + millis * 1_000_000;
    let first = |nanos: i64| nanos.div_euclid(MINUTE) * MINUTE;
    let (start, end) = (start.map(nanos), end.map(nanos));
    let (start, end) = match is_of_minutes {
        true => (start.map(first), end.map(|end| first(end) + MINUTE - 1)),
        false => (start, end),
    };
    (start.map(Timestamp::from_nanos), end.map(Timestamp::from_nanos))
}

/// Who is asked, and what it may know.
pub(super) struct Asked<'a> {
    /// The service.
    pub(super) service: &'a EventService,
    /// Everything that was stored.
    pub(super) model: &'a Model,
    /// What of it the service can know from digests, by place.
    pub(super) counted: &'a [bool],
    /// How long the log is, in milliseconds.
    pub(super) span: i64,
    /// Who and when, for failures.
    pub(super) about: String,
}

/// How many answers were held against the model, and how many of them left
/// nothing undecided.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Held {
    pub(super) answers: u64,
    pub(super) decided: u64,
}

impl Held {
    fn count(&mut self, basis: &AnswerBasis) -> bool {
        self.answers += 1;
        self.decided += u64::from(basis.undecided == 0);
        basis.undecided == 0
    }
}

impl Asked<'_> {
    /// What it can answer from: what it has counted, or what is there.
    fn known(&self, is_from_digests: bool) -> impl Iterator<Item = Known<'_>> {
        let counted = self.counted.iter().copied().chain(std::iter::repeat(false));
        let is_known = move |is_there, counted| is_there || (is_from_digests && counted);
        let stored = self.model.all.iter().zip(counted);
        let known = stored.filter(move |(stored, counted)| is_known(stored.is_there, *counted));
        known.filter_map(|(stored, _)| Some((stored.event.as_ref()?, stored.at)))
    }

    /// Asks for everything, and holds what the answer says of itself against
    /// what happened; answers how many messages it has from digests.
    pub(super) async fn everything(&self) -> AnswerBasis {
        let got = self.service.stats(StatsRequest::default()).await.unwrap();
        let about = &self.about;
        let basis = got.basis;
        let is_known = |(stored, counted): (&super::model::Stored, &bool)| {
            (stored.is_there || *counted).then_some(stored.event.is_none())
        };
        let known: Vec<bool> =
            self.model.all.iter().zip(self.counted).filter_map(is_known).collect();
        let end = self.model.end();
        assert_eq!(basis.through, end, "{about}: {basis:?}");
        assert_eq!(basis.holes, end - known.len() as u64, "{about}: {basis:?}");
        let malformed = known.iter().filter(|is_none| **is_none).count() as u64;
        assert_eq!((basis.malformed, got.malformed), (malformed, malformed), "{about}: {basis:?}");
        assert_eq!(basis.undecided, 0, "{about}: {basis:?}");
        assert_eq!(basis.from_digests + basis.read, known.len() as u64, "{about}: {basis:?}");
        let figures = Figures::of(self.known(true), |_| true, (None, None));
        assert_eq!(counts(&got), figures.stats(), "{about}");
        basis
    }

    /// Asks something of each kind.
    pub(super) async fn something(&self, random: &mut fastrand::Rng, held: &mut Held) {
        let case = random.choice(&CASES).unwrap();
        let is_of_minutes = random.bool();
        let times = times(random, self.span, is_of_minutes);
        self.stats(case, times, is_of_minutes, held).await;
        self.analytics(random, times, held).await;
        self.query(random, case, times, held).await;
        self.errors(random, times, held).await;
    }

    async fn stats(&self, case: &Case, times: Times, is_of_minutes: bool, held: &mut Held) {
        let request = StatsRequest::default().with_range(times.0, times.1);
        let got = self.service.stats(request.with_filter(filter(case))).await.unwrap();
        let figures = Figures::of(self.known(case.is_about_cells), case.passes, times);
        let expected = figures.stats();
        let about = format!("{}: {:?} {times:?} {:?}", self.about, case.text, got.basis);
        let is_decided = held.count(&got.basis);
        assert!(is_decided || (case.is_about_cells && !is_of_minutes), "{about}");
        assert!(got.total_events <= expected.total_events, "{about}: {expected:?}");
        let missing = expected.total_events - got.total_events;
        assert!(missing <= got.basis.undecided, "{about}: {expected:?}");
        assert_eq!(got.unlisted, 0, "{about}");
        if is_decided {
            assert_eq!(counts(&got), expected, "{about}");
        }
    }

    async fn analytics(&self, random: &mut fastrand::Rng, times: Times, held: &mut Held) {
        let kind = *random.choice(&KINDS).unwrap();
        let request = AnalyticsRequest::new(kind).with_range(times.0, times.1);
        let got = self.service.analytics(request).await.unwrap();
        if !held.count(&got.basis) {
            return;
        }
        let of_kind = |event: &Event| event.event_type.as_str() == kind;
        let figures = Figures::of(self.known(true), of_kind, times);
        let about = format!("{}: {kind} {times:?} {:?}", self.about, got.basis);
        assert_measures(&got.measures, &figures.measures(), &about);
        let by_queue = figures.measures_by(|event| event.queue.as_deref());
        let by_job_name = figures.measures_by(|event| event.job_name.as_deref());
        for (got, expected) in [(&got.by_queue, by_queue), (&got.by_job_name, by_job_name)] {
            assert!(got.keys().eq(expected.keys()), "{about}: {got:?} {expected:?}");
            for (got, expected) in got.values().zip(expected.values()) {
                assert_measures(got, expected, &about);
            }
        }
        assert_eq!(got.unlisted, 0, "{about}");
    }

    async fn query(&self, random: &mut fastrand::Rng, case: &Case, times: Times, held: &mut Held) {
        let times = (times.0, Some(times.1.unwrap_or(at(END))));
        let mut groups = vec![GroupBy::Type, GroupBy::Queue, GroupBy::JobName, GroupBy::Outcome];
        random.shuffle(&mut groups);
        groups.truncate(random.usize(0..=3));
        let has_worker = random.u8(..5) == 0;
        if has_worker {
            groups.truncate(2);
            groups.insert(0, GroupBy::Worker);
        }
        let (duration, wait) = (MeasuredField::Duration, MeasuredField::QueueWait);
        let mut measures = vec![
            Measure::Count,
            Measure::Rate,
            Measure::SuccessRate,
            Measure::Mean(duration),
            Measure::Mean(wait),
            Measure::Min(wait),
            Measure::Max(wait),
            Measure::Min(duration),
            Measure::Max(duration),
            Measure::Percentile(random.u16(1..=999), duration),
            Measure::Percentile(random.u16(1..=999), wait),
        ];
        random.shuffle(&mut measures);
        measures.truncate(random.usize(1..=measures.len()));
        let mut request = QueryRequest::new(filter(case))
            .with_range(times.0, times.1)
            .with_group_by(groups)
            .with_measures(measures);
        request.bucket = match random.u8(..5) {
            // From a start on to the end of all times there are too many minutes.
            0 if times.0.is_none() || times.1 < Some(at(END)) => Some(Bucket::Minute),
            1 if times.0.is_none() || times.1 < Some(at(END)) => Some(Bucket::Hour),
            2 => Some(Bucket::Day),
            _ => None,
        };
        if request.bucket == Some(Bucket::Minute) {
            // Each minute's groups of a long log are more rows than an answer has.
            request.group_by.truncate(1);
        }
        let got = self.service.query(request.clone()).await.unwrap();
        let about = format!("{}: {request:?} {:?}", self.about, got.basis);
        assert!(got.rows.is_sorted_by_key(|row| row.time), "{about}");
        if !held.count(&got.basis) {
            return;
        }
        let known = self.known(case.is_about_cells && !has_worker);
        let expected = Figures::of(known, case.passes, times).rows(&request);
        let rows: BTreeMap<_, _> = got
            .rows
            .iter()
            .map(|row| ((row.time, row.group.clone()), row.values.clone()))
            .collect();
        assert_eq!((rows.len(), got.unlisted), (got.rows.len(), 0), "{about}");
        assert!(rows.keys().eq(expected.keys()), "{about}: {rows:?}, not {expected:?}");
        for (key, values) in &rows {
            for ((measure, got), expected) in
                request.measures.iter().zip(values).zip(&expected[key])
            {
                let about = format!("{about}: {measure} of {key:?}");
                assert_close(*got, *expected, tolerance(*measure), &about);
            }
        }
    }

    async fn errors(&self, random: &mut fastrand::Rng, times: Times, held: &mut Held) {
        let times = (times.0, Some(times.1.unwrap_or(at(END))));
        let limit = random.usize(1..8);
        let mut request =
            TopErrorsRequest::default().with_range(times.0, times.1).with_limit(limit);
        if random.u8(..4) == 0 {
            request = request.with_new_since(at(random.i64(-60..self.span / 1_000 + 60)));
        }
        let got = self.service.top_errors(request.clone()).await.unwrap();
        let about = format!("{}: {request:?} {:?}", self.about, got.basis);
        held.count(&got.basis);
        // When an error was seen first is known from the whole log.
        let everything = Figures::of(self.known(true), |_| true, (None, None));
        let mut expected = everything.errors(&request);
        let (total, different) =
            (expected.iter().map(|error| error.count).sum::<u64>(), expected.len() as u64);
        expected.truncate(limit);
        assert_eq!(got.errors, expected, "{about}");
        let counted = (got.total, got.different, got.unlisted, got.basis.undecided);
        assert_eq!(counted, (total, different, 0, 0), "{about}");
    }
}

fn filter(case: &Case) -> Filter {
    if case.text.is_empty() { Filter::new() } else { Filter::parse(case.text).unwrap() }
}

/// What is counted, without what it was counted from.
fn counts(stats: &EventStats) -> EventStats {
    let mut counts = EventStats::default();
    counts.total_events = stats.total_events;
    counts.event_types.clone_from(&stats.event_types);
    counts.queues.clone_from(&stats.queues);
    counts.job_names.clone_from(&stats.job_names);
    (counts.first_event, counts.last_event) = (stats.first_event, stats.last_event);
    (counts.lost, counts.unlisted) = (stats.lost, stats.unlisted);
    counts
}

/// Seconds are kept to the nanosecond, and percentiles within a hundredth.
const fn tolerance(measure: Measure) -> f64 {
    match measure {
        Measure::Percentile(..) => 0.01,
        _ => 1e-9,
    }
}

#[track_caller]
fn assert_close(got: Option<f64>, expected: Option<f64>, tolerance: f64, about: &str) {
    let is_close = match (got, expected) {
        (Some(got), Some(expected)) => (got - expected).abs() <= tolerance * expected.abs() + 2e-9,
        (got, expected) => got == expected,
    };
    assert!(is_close, "{about}: {got:?}, not {expected:?}");
}

#[track_caller]
fn assert_measures(got: &EventMeasures, expected: &EventMeasures, about: &str) {
    assert_eq!(got.total_count, expected.total_count, "{about}");
    for (got, expected, tolerance) in [
        (got.success_rate, expected.success_rate, 1e-9),
        (got.average_duration, expected.average_duration, 1e-9),
        (got.min_duration, expected.min_duration, 1e-9),
        (got.max_duration, expected.max_duration, 1e-9),
        (got.percentiles.p50, expected.percentiles.p50, 0.01),
        (got.percentiles.p95, expected.percentiles.p95, 0.01),
        (got.percentiles.p99, expected.percentiles.p99, 0.01),
    ] {
        assert_close(got, expected, tolerance, about);
    }
}
